//! What operators see of a feed's list and its fetches: metrics and log lines. Only the owner of the lease reports.

use core::time::Duration;
use std::sync::Arc;

use super::attempts::Attempts;
use crate::config::feed::ABS;
use crate::host::System;
use crate::identifier::{IdentifierKind, PerKind};
use crate::metrics::{FeedMetric, FetchResult, LastResult, MeteredHost, Metric};

/// What is reported of an active list.
#[derive(Clone, Copy, Debug)]
pub struct ListState {
    /// The number of the list.
    pub generation: u64,
    /// Its entries by kind.
    pub counts: PerKind<u64>,
    /// Its size, in bytes.
    pub bytes: u64,
}

impl ListState {
    /// The number of entries.
    pub fn n_entries(&self) -> u64 {
        self.counts.total()
    }
}

/// The metrics and log lines of one feed.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    host: MeteredHost<'a, dyn System + 'a>,
    feed: &'a Arc<str>,
    kinds: PerKind<bool>,
}

impl<'a> Report<'a> {
    /// Those of the feed with this name, of whose list these kinds are taken.
    pub fn new(
        host: MeteredHost<'a, dyn System + 'a>,
        feed: &'a Arc<str>,
        kinds: PerKind<bool>,
    ) -> Self {
        Self { host, feed, kinds }
    }

    /// The kinds of entries that its list can have.
    fn kinds(self) -> impl Iterator<Item = IdentifierKind> {
        let kinds = IdentifierKind::ALL.into_iter();
        kinds.filter(move |kind| *self.kinds.get(*kind))
    }

    /// The list, as log lines name it.
    pub fn list_name(self) -> String {
        match &**self.feed {
            ABS => "attack list".to_owned(),
            name => format!("list {name}"),
        }
    }

    fn set(self, metric: FeedMetric, value: u64) {
        self.host
            .set(&Metric::Feed(self.feed.clone(), metric), value);
    }

    fn add(self, metric: FeedMetric, by: u64) {
        self.host.add(&Metric::Feed(self.feed.clone(), metric), by);
    }

    /// An attempt ended.
    pub fn attempt(self, result: FetchResult) {
        self.add(FeedMetric::Fetch(result), 1);
        self.set(FeedMetric::LastResult, LastResult::from(result).value());
        self.set(FeedMetric::LastAttempt, self.host.unix_now().as_secs());
    }

    /// An attempt succeeded.
    pub fn success(self) {
        self.set(FeedMetric::LastSuccess, self.host.unix_now().as_secs());
    }

    /// A list has entries that can't be used.
    pub fn skipped(self, entries: u64) {
        self.add(FeedMetric::EntriesSkipped, entries);
    }

    /// The active list.
    pub fn list(self, list: &ListState) {
        for kind in self.kinds() {
            self.set(FeedMetric::Entries(kind), *list.counts.get(kind));
        }
        self.set(FeedMetric::Bytes, list.bytes);
        self.set(FeedMetric::Generation, list.generation);
    }

    /// A new list.
    pub fn new_list(self, list: &ListState, skipped: u64, left_out: u64) {
        let counts = self.kinds();
        let counts = counts.map(|kind| format!("{} {}", kind.as_str(), list.counts.get(kind)));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let left_out = match left_out {
            0 => String::new(),
            n => format!(", {n} decisions of other scopes or types left out"),
        };
        log::info!(
            "{} {} is active: {counts}; {} bytes, {skipped} entries skipped{left_out}",
            self.list_name(),
            list.generation,
            list.bytes
        );
    }

    /// The state of the list and of its fetches, which the gauges do not have: it was reported under another name, or they
    /// had the state of another list. `last_success`: on the monotonic clock.
    pub fn state(
        self,
        list: Option<&ListState>,
        last_success: Option<Duration>,
        attempts: Option<&Attempts>,
    ) {
        let host = self.host;
        let (now, unix_now) = (host.monotonic_now(), host.unix_now());
        let unix = |time| {
            let passed = now.saturating_sub(time);
            unix_now.saturating_sub(passed).as_secs()
        };
        if let Some(list) = list {
            self.list(list);
        }
        if let Some(last_success) = last_success {
            self.set(FeedMetric::LastSuccess, unix(last_success));
        }
        if let Some(attempts) = attempts.filter(|attempts| !attempts.is_open)
            && let Some(last) = attempts.last
        {
            let result = match attempts.failures {
                0 => LastResult::Ok,
                _ => LastResult::Failed,
            };
            self.set(FeedMetric::LastResult, result.value());
            self.set(FeedMetric::LastAttempt, unix(last));
        }
    }

    /// There is no list any more.
    pub fn no_list(self) {
        self.clear();
        let list = self.list_name();
        log::info!("the {list} is dropped: no configuration uses it any more");
    }

    /// The name is no longer that of the list.
    pub fn clear(self) {
        let entries = self.kinds().map(FeedMetric::Entries);
        // Alerts on the list's age would otherwise fire for a list that no configuration uses.
        let others = [
            FeedMetric::Bytes,
            FeedMetric::Stale,
            FeedMetric::LastSuccess,
            FeedMetric::LastResult,
            FeedMetric::LastAttempt,
        ];
        for metric in entries.chain(others) {
            self.set(metric, 0);
        }
    }

    /// Whether the list is too old.
    pub fn stale(self, is_stale: bool) {
        self.set(FeedMetric::Stale, u64::from(is_stale));
    }

    /// The list became stale or fresh.
    pub fn log_age(self, is_stale: bool, setting: &str) {
        let list = self.list_name();
        if is_stale {
            log::warn!("the {list} is stale: no fetch has succeeded within {setting}");
        } else {
            log::info!("the {list} is fresh again");
        }
    }
}
