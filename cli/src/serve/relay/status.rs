//! What is known of a relayed feed, for the API, the page and metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::identifier::{IdentifierKind, PerKind};
use serde_json::{Map, Value, json};

/// A relayed feed.
#[derive(Clone, Debug, Default)]
pub struct FeedStatus {
    /// Its name.
    pub name: String,
    /// The format of its list.
    pub format: &'static str,
    /// Where the list is fetched, without credentials.
    pub upstream: String,
    /// The entity tag of the served list; `None` if there is no list.
    pub etag: Option<String>,
    /// The numbers of entries that are served.
    pub entries: PerKind<u64>,
    /// The size of the list, compressed.
    pub gzip_bytes: u64,
    /// The size of the list without compression.
    pub plain_bytes: u64,
    /// The last fetch that gave a list or confirmed it, in seconds since 1970.
    pub last_success: Option<u64>,
    /// An older list is stale; `None`: none is.
    pub max_age: Option<Duration>,
    /// The last fetch, in seconds since 1970.
    pub last_fetch: Option<u64>,
    /// The result of the last fetch, as in metrics: `ok`, `not_modified`, `unauthorized` and so on.
    pub last_result: Option<&'static str>,
    /// The result of the last fetch in words; empty if there is nothing to say.
    pub last_error: String,
    /// Failed fetches since the last success.
    pub failures: u32,
    /// The next fetch, in seconds since 1970.
    pub next_fetch: Option<u64>,
    /// The numbers of fetches by result.
    pub fetches: BTreeMap<&'static str, u64>,
    /// Fetches of whole lists.
    pub whole_fetches: u64,
    /// Fetches of changes only.
    pub delta_fetches: u64,
    /// Why the list can't be kept on disk.
    pub state_problem: Option<String>,
}

impl FeedStatus {
    /// The number of entries of all kinds.
    pub fn n_entries(&self) -> u64 {
        let kinds = IdentifierKind::ALL.into_iter();
        kinds.map(|kind| *self.entries.get(kind)).sum()
    }

    /// How long ago the list was given or confirmed; `None` if there is no list.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        let success = self.etag.as_ref().and(self.last_success)?;
        Some(now.saturating_sub(Duration::from_secs(success)))
    }

    /// Whether the list is older than the feed allows. A node counts from its own last fetch.
    pub fn is_stale(&self, now: Duration) -> bool {
        let age = self.age(now).zip(self.max_age);
        age.is_some_and(|(age, longest)| age > longest)
    }

    /// For `/v1/feeds`.
    pub fn to_json(&self, now: Duration) -> Value {
        let mut entries = Map::new();
        for kind in IdentifierKind::ALL {
            let count = *self.entries.get(kind);
            if count > 0 {
                entries.insert(kind.as_str().to_owned(), count.into());
            }
        }
        json!({
            "name": self.name,
            "format": self.format,
            "upstream": self.upstream,
            "etag": self.etag,
            "entries": entries,
            "gzip_bytes": self.gzip_bytes,
            "plain_bytes": self.plain_bytes,
            "last_success": self.last_success,
            "max_age": self.max_age.map(|age| age.as_secs()),
            "stale": self.is_stale(now),
            "last_fetch": self.last_fetch,
            "last_result": self.last_result,
            "last_error": self.last_error,
            "failures": self.failures,
            "next_fetch": self.next_fetch,
            "fetches": self.fetches,
            "whole_fetches": self.whole_fetches,
            "delta_fetches": self.delta_fetches,
            "state_problem": self.state_problem,
        })
    }
}
