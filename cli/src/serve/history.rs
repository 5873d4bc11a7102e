//! The denied requests of the last hour, by feed and kind: from samples of the sums of all nodes. In memory only, bounded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many minutes are kept.
const MINUTES: u64 = 60;

/// The most series that are kept apart.
const MOST_SERIES: usize = 12;

/// The name of the series of all others.
const OTHERS: &str = "other";

const MINUTE: u64 = 60;

/// Requests by series: feed and kind, such as `drop ip`.
pub type Counts = BTreeMap<String, u64>;

/// The denied requests of the last hour.
#[derive(Debug, Default)]
pub struct History(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The sums of the last sample.
    sums: Counts,
    series: BTreeSet<String>,
    /// Minutes since 1970, the oldest first.
    minutes: VecDeque<(u64, Counts)>,
}

/// One minute: its start since 1970, and the denied requests of each series.
pub type Minute = (Duration, Vec<u64>);

impl History {
    /// Records the sums of all nodes, which start at zero with the server and never fall.
    pub fn sample(&self, now: Duration, sums: Counts) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.start(now.as_secs() / MINUTE);
        let before = std::mem::take(&mut kept.sums);
        for (series, sum) in &sums {
            let known = before.get(series).copied().unwrap_or(0);
            kept.add(series, sum.saturating_sub(known));
        }
        kept.sums = sums;
    }

    /// The names of the series, and the last minutes, the oldest first.
    pub fn read(&self) -> (Vec<String>, Vec<Minute>) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minutes = kept.minutes.iter().map(|(minute, counts)| {
            let start = Duration::from_secs(minute.saturating_mul(MINUTE));
            let count = |series| counts.get(series).copied().unwrap_or(0);
            (start, kept.series.iter().map(count).collect())
        });
        (kept.series.iter().cloned().collect(), minutes.collect())
    }
}

impl Kept {
    /// Starts a minute. A minute without a sample has no requests. A clock that jumps starts the history again.
    fn start(&mut self, minute: u64) {
        let newest = self.minutes.back().map(|(newest, _)| *newest);
        let first = match newest.and_then(|newest| Some((newest, minute.checked_sub(newest)?))) {
            Some((newest, step)) if step <= MINUTES => newest.saturating_add(1),
            _ => {
                self.minutes.clear();
                minute
            }
        };
        for minute in first..=minute {
            self.minutes.push_back((minute, Counts::new()));
        }
        while self.minutes.len() as u64 > MINUTES {
            self.minutes.pop_front();
        }
        let minutes = &self.minutes;
        self.series.retain(|series| {
            minutes
                .iter()
                .any(|(_, counts)| counts.contains_key(series))
        });
    }

    fn add(&mut self, series: &str, count: u64) {
        if count == 0 {
            return;
        }
        let is_known = self.series.contains(series) || self.series.len() < MOST_SERIES;
        let series = match is_known {
            true => series,
            false => OTHERS,
        };
        if let Some((_, counts)) = self.minutes.back_mut() {
            self.series.insert(series.to_owned());
            let sum = counts.entry(series.to_owned()).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(history: &History, seconds: u64, sums: &[(&str, u64)]) {
        let sums = sums
            .iter()
            .map(|(series, sum)| ((*series).to_owned(), *sum));
        history.sample(Duration::from_secs(seconds), sums.collect());
    }

    fn counts(history: &History) -> Vec<Vec<u64>> {
        let (_, minutes) = history.read();
        minutes.into_iter().map(|(_, counts)| counts).collect()
    }

    #[test]
    fn each_minute_has_what_is_added_to_the_sums() {
        let history = History::default();
        sample(&history, 600, &[]);
        sample(&history, 610, &[("abs ip", 3)]);
        sample(&history, 660, &[("abs ip", 6), ("drop ip", 4)]);
        sample(&history, 670, &[("abs ip", 6), ("drop ip", 5)]);
        let (series, minutes) = history.read();
        assert_eq!(series, ["abs ip", "drop ip"]);
        assert_eq!(minutes[0], (Duration::from_secs(600), vec![3, 0]));
        assert_eq!(minutes[1], (Duration::from_secs(660), vec![3, 5]));
    }

    #[test]
    fn a_minute_without_a_sample_is_empty_and_old_ones_end() {
        let history = History::default();
        sample(&history, 1, &[("abs ip", 1)]);
        sample(&history, 181, &[("abs ip", 3)]);
        assert_eq!(counts(&history), [[1], [0], [0], [2]]);
        sample(&history, 60 * 60, &[("abs ip", 3)]);
        assert_eq!(counts(&history).len(), 60);
        assert_eq!(counts(&history)[0], [0]);
        sample(&history, 60 * 70, &[("abs ip", 3)]);
        assert!(history.read().0.is_empty());
    }

    #[test]
    fn a_clock_that_jumps_starts_again() {
        let history = History::default();
        sample(&history, 1_000_000, &[("abs ip", 1)]);
        sample(&history, 60, &[("abs ip", 2)]);
        assert_eq!(counts(&history), [[1]]);
        sample(&history, u64::MAX, &[("abs ip", 3)]);
        assert_eq!(counts(&history), [[1]]);
    }

    #[test]
    fn many_series_are_kept_as_one() {
        let history = History::default();
        let sums = (0..1_000).map(|number| (format!("feed{number} ip"), 1));
        history.sample(Duration::from_secs(60), sums.collect());
        let (series, minutes) = history.read();
        assert_eq!(series.len(), MOST_SERIES + 1);
        assert_eq!(minutes[0].1.iter().sum::<u64>(), 1_000);
        assert!(series.contains(&OTHERS.to_owned()));
    }
}
