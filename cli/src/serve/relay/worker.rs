//! The thread of one feed: when to fetch what, and what becomes of the result.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use portcullis::config::Feed;
use portcullis::feed::backoff::{backoff, honoured};
use portcullis::feed::response::Validators;
use portcullis::metrics::FetchResult;

use super::entries::Entries;
use super::form::Form;
use super::relayed::{List, Relayed, Stop};
use super::stored::{Confirmed, Header, Restored, Stored};
use super::upstream::{Ask, Failed, Fetched, fetch, has_deltas, read_list, seconds};
use crate::clients::feed::unix_now;
use crate::clients::http::Server;

/// A delta can miss a change: the local API ends its JSON properly after a database error.
const WHOLE_AGAIN: Duration = Duration::from_secs(3_600);

/// A clock that moves by this much was set.
const CLOCK_SET: Duration = Duration::from_secs(10);

/// The thread of one feed.
pub struct Worker {
    /// The feed.
    pub feed: Feed,
    /// Its server.
    pub server: Server,
    /// What requests see.
    pub relayed: Arc<Relayed>,
    /// Its files.
    pub stored: Stored,
    /// The end of the thread.
    pub stop: Arc<Stop>,
    /// The served entries, if they have durations.
    entries: Option<Arc<Entries>>,
    validators: Validators,
    /// When the last whole list was fetched, by both clocks; `None` if the next list must be whole.
    last_whole: Option<(Instant, Duration)>,
}

impl Worker {
    /// The thread of a feed, with the list on disk if there is one.
    pub fn new(
        feed: Feed,
        server: Server,
        relayed: Arc<Relayed>,
        stored: Stored,
        stop: Arc<Stop>,
    ) -> Self {
        let mut worker = Self {
            feed,
            server,
            relayed,
            stored,
            stop,
            entries: None,
            validators: Validators::default(),
            last_whole: None,
        };
        match worker.stored.read() {
            Ok(Some(restored)) => {
                if let Err(error) = worker.restore(&restored) {
                    worker.ignore_stored(&error);
                }
            }
            Ok(None) => {}
            Err(error) => worker.ignore_stored(&error.to_string()),
        }
        worker
    }

    /// Fetches until the relay stops.
    pub fn run(mut self) {
        loop {
            let wait = self.attempt();
            let next = unix_now().saturating_add(wait).as_secs();
            self.relayed.status().next_fetch = Some(next);
            let usage = self.relayed.usage.as_ref();
            if let Some(reason) = usage.and_then(|usage| usage.send(&self.feed, &self.server)) {
                self.log(&reason);
            }
            if self.stop.wait(wait) {
                return;
            }
        }
    }

    /// Serves a list from disk.
    fn restore(&mut self, restored: &Restored) -> Result<(), String> {
        let Restored {
            header,
            body,
            confirmed,
        } = restored;
        if matches!(self.relayed.form, Form::Crowdsec { .. }) {
            let mut text = GzDecoder::new(&*body.gzip);
            let (mut entries, _) = read_list(&self.feed, &mut text, header.rendered_at)
                .map_err(|error| error.explained(&self.feed).to_string())?;
            entries.sort();
            self.entries = Some(Arc::new(entries));
        }
        self.validators = confirmed.validators();
        self.relayed.publish(List::new(
            header.etag.clone(),
            body.clone(),
            header.rendered_at,
            self.entries.clone(),
        ));
        let mut status = self.relayed.status();
        status.etag = Some(header.etag.clone());
        status.entries = header.counts();
        status.gzip_bytes = length(body.gzip.len());
        status.plain_bytes = body.plain_bytes;
        status.last_success = Some(confirmed.at);
        Ok(())
    }

    fn ignore_stored(&self, reason: &str) {
        self.log(&format!(
            "the list in {} is not used: {reason}; the next fetch replaces it",
            self.stored.path().display()
        ));
    }

    /// Fetches once; returns the time to wait.
    fn attempt(&mut self) -> Duration {
        let now = unix_now();
        let entries = self.entries.clone();
        let known = Some(&self.validators).filter(|known| !known.is_empty());
        let is_recent = self.last_whole.is_some_and(|(monotonic, unix)| {
            deltas_may_follow(monotonic.elapsed(), unix, unix_now())
        });
        let ask = match &entries {
            Some(entries) if is_recent && has_deltas(&self.feed) => Ask::Delta(entries),
            Some(_) => Ask::Whole(None),
            None => Ask::Whole(known),
        };
        let is_whole = matches!(ask, Ask::Whole(_));
        let fetched = fetch(&self.feed, &self.server, ask, self.n_before());
        {
            let mut status = self.relayed.status();
            let counter = match is_whole {
                true => &mut status.whole_fetches,
                false => &mut status.delta_fetches,
            };
            *counter = counter.saturating_add(1);
            status.last_fetch = Some(now.as_secs());
        }
        let outcome = match fetched {
            Fetched::List {
                entries,
                validators,
            } => self.accept(entries, validators, now),
            Fetched::NotModified => {
                self.confirm(now);
                Ok(FetchResult::NotModified)
            }
            Fetched::LargeDelta => {
                self.last_whole = None;
                return Duration::ZERO;
            }
            Fetched::Failed(failed) => Err(failed),
        };
        match outcome {
            Ok(result) => {
                if is_whole {
                    self.last_whole = Some((Instant::now(), unix_now()));
                }
                self.succeeded(result, now)
            }
            Err(failed) => {
                // The local API counts a delta as delivered.
                self.last_whole = None;
                self.failed(&failed)
            }
        }
    }

    /// The number of entries of the served list, for the guard.
    fn n_before(&self) -> Option<u64> {
        self.relayed.list()?;
        let now = seconds(unix_now());
        let n_live = self.entries.as_ref().map(|entries| {
            let n_live = entries.live(now).count();
            length(n_live)
        });
        Some(n_live.unwrap_or_else(|| self.relayed.status().n_entries()))
    }

    /// Serves a new list, unless it is the same.
    fn accept(
        &mut self,
        mut entries: Entries,
        validators: Validators,
        fetched_at: Duration,
    ) -> Result<FetchResult, Failed> {
        let now = seconds(unix_now());
        let form = &self.relayed.form;
        let served = self.relayed.list();
        let is_same = match &self.entries {
            Some(before) => entries.settle(before, now),
            None => false,
        };
        let etag = match &served {
            Some(served) if is_same => served.etag.clone(),
            _ => form.etag(&entries, now),
        };
        self.validators = validators;
        let counts = entries.counts(now);
        if served.is_none_or(|served| served.etag != etag) {
            let body = form.render(&entries, now).map_err(|error| Failed {
                result: FetchResult::Memory,
                reason: format!("the list can't be written: {error}"),
                retry_after: None,
            })?;
            let header = Header::new(&etag, &counts, now, body.plain_bytes);
            let kept = self.stored.write(&header, &body);
            self.report_state(kept);
            {
                let mut status = self.relayed.status();
                status.etag = Some(etag.clone());
                status.gzip_bytes = length(body.gzip.len());
                status.plain_bytes = body.plain_bytes;
            }
            if matches!(form, Form::Crowdsec { .. }) {
                self.entries = Some(Arc::new(entries));
            }
            let list = List::new(etag, body, now, self.entries.clone());
            self.relayed.publish(list);
        }
        self.relayed.status().entries = counts;
        self.confirm(fetched_at);
        Ok(FetchResult::Ok)
    }

    /// The upstream has confirmed the served list.
    fn confirm(&self, at: Duration) {
        let Some(list) = self.relayed.list() else {
            return;
        };
        let confirmed = Confirmed::new(&list.etag, at.as_secs(), &self.validators);
        if let Err(error) = self.stored.confirm(&confirmed) {
            self.report_state(Err(error));
        }
    }

    fn report_state(&self, kept: io::Result<()>) {
        let problem = kept.err().map(|error| {
            format!("{error}; the list is served from memory, and a restart serves an older one")
        });
        let mut status = self.relayed.status();
        if problem.is_some() && problem != status.state_problem {
            self.log(problem.as_deref().unwrap_or_default());
        }
        status.state_problem = problem;
    }

    fn succeeded(&self, result: FetchResult, at: Duration) -> Duration {
        let mut status = self.relayed.status();
        count(&mut status.fetches, result);
        if status.failures > 0 || status.last_result.is_none() {
            self.log(&format!("fetched, {} entries", status.n_entries()));
        }
        status.last_success = Some(at.as_secs());
        status.last_result = Some(result.as_str());
        status.last_error.clear();
        status.failures = 0;
        jittered(self.feed.interval)
    }

    fn failed(&self, failed: &Failed) -> Duration {
        let mut status = self.relayed.status();
        count(&mut status.fetches, failed.result);
        if status.last_error != failed.reason {
            self.log(&failed.reason);
        }
        status.last_result = Some(failed.result.as_str());
        status.last_error.clone_from(&failed.reason);
        status.failures = status.failures.saturating_add(1);
        let wait = jittered(backoff(status.failures, self.feed.interval));
        wait.max(failed.retry_after.map(honoured).unwrap_or_default())
    }

    fn log(&self, message: &str) {
        log_line!("portcullis serve: feed {}: {message}", self.feed.name);
    }
}

fn count(fetches: &mut std::collections::BTreeMap<&'static str, u64>, result: FetchResult) {
    let count = fetches.entry(result.as_str()).or_default();
    *count = count.saturating_add(1);
}

/// Whether deltas may follow a list that was fetched whole: it is not old, and the clock by which decisions end was not set
/// since. `elapsed`: by the clock that nobody sets; `unix`: the time of the fetch; `unix_now`: now.
fn deltas_may_follow(elapsed: Duration, unix: Duration, unix_now: Duration) -> bool {
    let by_clock = unix_now.checked_sub(unix);
    let is_steady = by_clock.is_some_and(|by_clock| by_clock.abs_diff(elapsed) < CLOCK_SET);
    elapsed < WHOLE_AGAIN && is_steady
}

/// Up to a tenth longer: several servers do not fetch together forever.
fn jittered(wait: Duration) -> Duration {
    let share = u32::try_from(RandomState::new().hash_one(()) % 1_000).unwrap_or(0);
    let unit = wait.checked_div(10_000).unwrap_or_default();
    wait.saturating_add(unit.saturating_mul(share))
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_needs_a_whole_list() {
        let seconds = Duration::from_secs;
        let table = [
            (60, 1_060, true),
            (60, 1_065, true),
            // Set forward, set back, set back behind the fetch.
            (60, 1_080, false),
            (60, 1_040, false),
            (60, 900, false),
            // An hour is over.
            (3_600, 4_600, false),
        ];
        for (elapsed, now, expected) in table {
            let may_follow = deltas_may_follow(seconds(elapsed), seconds(1_000), seconds(now));
            assert_eq!(may_follow, expected, "{elapsed} {now}");
        }
    }
}
