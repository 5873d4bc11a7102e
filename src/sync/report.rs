//! What operators see of a feed's list and its fetches: metrics and log lines. Only the owner of the lease reports.

use std::rc::Rc;

use super::store::Store;
use crate::config::feed::ABS;
use crate::identifier::{IdentifierKind, PerKind};
use crate::list::Manifest;
use crate::metrics::{FeedMetric, FetchResult, LastResult, MeteredHost, Metric};

/// The metrics and log lines of one feed.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    host: MeteredHost<'a>,
    feed: &'a Rc<str>,
    kinds: PerKind<bool>,
}

impl<'a> Report<'a> {
    /// Those of the feed with this name, of whose list these kinds are taken.
    pub fn new(host: MeteredHost<'a>, feed: &'a Rc<str>, kinds: PerKind<bool>) -> Self {
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
    pub fn list(self, manifest: &Manifest) {
        for kind in self.kinds() {
            self.set(FeedMetric::Entries(kind), *manifest.counts.get(kind));
        }
        self.set(FeedMetric::Bytes, manifest.stored_bytes);
        self.set(FeedMetric::Generation, manifest.generation);
    }

    /// A new list.
    pub fn new_list(self, manifest: &Manifest, skipped: u64, left_out: u64) {
        let counts = self.kinds();
        let counts = counts.map(|kind| format!("{} {}", kind.as_str(), manifest.counts.get(kind)));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let left_out = match left_out {
            0 => String::new(),
            n => format!(", {n} decisions of other scopes or types left out"),
        };
        log::info!(
            "{} {} is active: {counts}; {} bytes, {skipped} entries skipped{left_out}",
            self.list_name(),
            manifest.generation,
            manifest.stored_bytes
        );
    }

    /// The state of the list and of its fetches, which the gauges do not have: it was reported under another name, or they
    /// had the state of another list.
    pub fn state(self, store: &Store) {
        let host = self.host;
        let (now, unix_now) = (host.monotonic_now(), host.unix_now());
        let unix = |time| {
            let passed = now.saturating_sub(time);
            unix_now.saturating_sub(passed).as_secs()
        };
        if let Some(manifest) = store.manifest(&*host) {
            self.list(&manifest);
        }
        if let Some(freshness) = store.freshness(&*host) {
            self.set(FeedMetric::LastSuccess, unix(freshness.last_success));
        }
        let lease = store.lease(&*host).lease;
        if let Some(lease) = lease.filter(|lease| !lease.attempt_open)
            && let Some(last_attempt) = lease.last_attempt
        {
            let result = match lease.failures {
                0 => LastResult::Ok,
                _ => LastResult::Failed,
            };
            self.set(FeedMetric::LastResult, result.value());
            self.set(FeedMetric::LastAttempt, unix(last_attempt));
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
