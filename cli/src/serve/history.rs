//! The denied requests of the last hour, by feed and kind: from the totals that each node reports since its start.
//!
//! Kept in memory only, and bounded. A node counts from its second sample on: its first totals are of an unknown time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many minutes are kept.
const MINUTES: usize = 60;

/// The most series that are kept apart; the names come from nodes.
const MOST_SERIES: usize = 12;

/// The name of the series of all others.
const OTHERS: &str = "other";

/// A minute.
const MINUTE: u64 = 60;

/// The totals of one node: requests by feed and kind, such as `drop ip`.
pub type Totals = BTreeMap<String, u64>;

/// The denied requests of the last hour.
#[derive(Debug, Default)]
pub struct History(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    totals: BTreeMap<String, Totals>,
    series: BTreeSet<String>,
    minutes: VecDeque<(u64, Totals)>,
}

/// One minute: its start since 1970, and the denied requests of each series.
pub type Minute = (Duration, Vec<u64>);

impl History {
    /// Records the totals of all nodes. A total that falls is of a node that restarted.
    pub fn sample(&self, now: Duration, nodes: impl IntoIterator<Item = (String, Totals)>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_secs() / MINUTE;
        kept.start(minute);
        let mut before = std::mem::take(&mut kept.totals);
        for (id, totals) in nodes {
            if let Some(before) = before.remove(&id) {
                for (series, total) in &totals {
                    let known = before.get(series).copied().unwrap_or(0);
                    kept.add(series, total.checked_sub(known).unwrap_or(*total));
                }
            }
            kept.totals.insert(id, totals);
        }
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
        let step = newest.map(|newest| minute.checked_sub(newest));
        match step {
            Some(Some(0)) => return,
            Some(Some(step)) if step <= MINUTES as u64 => {}
            _ => self.minutes.clear(),
        }
        let first = self
            .minutes
            .back()
            .map_or(minute, |(newest, _)| newest.saturating_add(1));
        for minute in first..=minute {
            self.minutes.push_back((minute, Totals::new()));
            if self.minutes.len() > MINUTES {
                self.minutes.pop_front();
            }
        }
        let minutes = &self.minutes;
        self.series.retain(|series| {
            minutes
                .iter()
                .any(|(_, counts)| counts.contains_key(series))
        });
    }

    fn add(&mut self, series: &str, count: u64) {
        let is_new = !self.series.contains(series);
        let series = match is_new && self.series.len() >= MOST_SERIES {
            true => OTHERS,
            false => series,
        };
        if let Some((_, counts)) = self.minutes.back_mut()
            && count > 0
        {
            self.series.insert(series.to_owned());
            let sum = counts.entry(series.to_owned()).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(history: &History, seconds: u64, nodes: &[(&str, &[(&str, u64)])]) {
        let nodes = nodes.iter().map(|(id, totals)| {
            let totals = totals.iter();
            let totals = totals.map(|(series, total)| ((*series).to_owned(), *total));
            ((*id).to_owned(), totals.collect())
        });
        history.sample(Duration::from_secs(seconds), nodes);
    }

    fn counts(history: &History) -> Vec<Vec<u64>> {
        history
            .read()
            .1
            .into_iter()
            .map(|(_, counts)| counts)
            .collect()
    }

    #[test]
    fn only_what_is_added_counts_also_after_a_restart() {
        let history = History::default();
        sample(&history, 600, &[("a", &[("abs ip", 1_000)])]);
        sample(
            &history,
            610,
            &[("a", &[("abs ip", 1_003)]), ("b", &[("abs ip", 50)])],
        );
        sample(
            &history,
            660,
            &[
                ("a", &[("abs ip", 2)]),
                ("b", &[("abs ip", 51), ("drop ip", 4)]),
            ],
        );
        let (series, minutes) = history.read();
        assert_eq!(series, ["abs ip", "drop ip"]);
        assert_eq!(minutes[0], (Duration::from_secs(600), vec![3, 0]));
        assert_eq!(minutes[1], (Duration::from_secs(660), vec![3, 4]));
    }

    #[test]
    fn a_minute_without_a_sample_is_empty_and_old_ones_end() {
        let history = History::default();
        sample(&history, 0, &[("a", &[("abs ip", 0)])]);
        sample(&history, 1, &[("a", &[("abs ip", 1)])]);
        sample(&history, 181, &[("a", &[("abs ip", 3)])]);
        assert_eq!(counts(&history), [[1], [0], [0], [2]]);
        sample(&history, 60 * 60, &[("a", &[("abs ip", 3)])]);
        assert_eq!(counts(&history).len(), MINUTES);
        assert_eq!(counts(&history)[0], [0]);
        sample(&history, 60 * 70, &[("a", &[("abs ip", 3)])]);
        assert!(history.read().0.is_empty());
    }

    #[test]
    fn a_clock_that_jumps_starts_again() {
        let history = History::default();
        sample(&history, 1_000_000, &[("a", &[("abs ip", 1)])]);
        sample(&history, 60, &[("a", &[("abs ip", 2)])]);
        assert_eq!(counts(&history), [[1]]);
        sample(&history, u64::MAX, &[("a", &[("abs ip", 3)])]);
        assert_eq!(counts(&history), [[1]]);
    }

    #[test]
    fn hostile_names_do_not_add_up() {
        let history = History::default();
        let names: Vec<String> = (0..1_000)
            .map(|number| format!("feed{number} ip"))
            .collect();
        let totals = |total| names.iter().map(|name| (name.clone(), total)).collect();
        history.sample(Duration::from_secs(60), [("a".to_owned(), totals(0))]);
        history.sample(Duration::from_secs(61), [("a".to_owned(), totals(1))]);
        let (series, minutes) = history.read();
        assert_eq!(series.len(), MOST_SERIES + 1);
        assert_eq!(minutes[0].1.iter().sum::<u64>(), 1_000);
        assert!(series.contains(&OTHERS.to_owned()));
    }
}
