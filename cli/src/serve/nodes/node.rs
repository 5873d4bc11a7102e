//! One node: what it said last, its state, and both as JSON.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::report::List;
use super::totals::{Last, Name};

/// How long a node may take for a new configuration before it is behind.
const GRACE: Duration = Duration::from_secs(30);

/// Silence that is never a problem.
const SHORTEST_SILENCE: Duration = Duration::from_secs(30);

/// Silence that is a problem while the usual time between two polls is not known.
const FIRST_SILENCE: Duration = Duration::from_secs(60);

/// Without a request for this time, a node is forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// One node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// `node.id`.
    pub id: String,
    /// `node.cluster`.
    pub cluster: String,
    /// Envoy's version.
    pub envoy: String,
    /// The filter's version, if it reports.
    pub module: String,
    /// The filters for which it polls.
    pub filters: Vec<NodeFilter>,
    /// Its lists, if it reports.
    pub lists: Vec<List>,
    /// The time of its last request, since 1970.
    pub last_seen: Duration,
    /// The time of its last report, since 1970.
    pub last_report: Option<Duration>,
    /// How often its counters fell: the Envoy was restarted, or several have the same id.
    pub restarts: u64,
    /// The time of its first poll, since 1970.
    pub(super) first_poll: Option<Duration>,
    /// Its last counters.
    pub(super) last: Last,
    /// The same with names; only in lists.
    pub(super) counters: Vec<(Name, u64)>,
}

/// What a node has of one filter.
#[derive(Clone, Debug, Default)]
pub struct NodeFilter {
    /// The filter.
    pub name: String,
    /// The version that it reports as accepted; empty if it has none.
    pub accepted: String,
    /// The version that is served.
    pub served: String,
    /// Since when they differ.
    pub behind_since: Option<Duration>,
    /// The time of the last poll.
    pub last_poll: Duration,
    /// The usual time between two polls, if known.
    pub interval: Option<Duration>,
}

/// What the server knows of the configuration of a node. The worst state last, except for `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It reports the served version. The comment of `nodes.rs` says what that proves.
    Current,
    /// It reports another version, for at most 30 seconds.
    Updating,
    /// It reports another version for longer.
    Behind,
    /// It has stopped to poll: for three times its usual interval, and at least 30 seconds.
    Silent,
    /// It requests lists, but no configuration from this server.
    Unknown,
}

impl State {
    /// All states.
    pub const ALL: [State; 5] = [
        State::Current,
        State::Updating,
        State::Behind,
        State::Silent,
        State::Unknown,
    ];

    /// The name in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Current => "current",
            State::Updating => "updating",
            State::Behind => "behind",
            State::Silent => "silent",
            State::Unknown => "unknown",
        }
    }
}

impl Node {
    /// Its state. The nodes of [`super::Nodes::list`] compare with what is served now.
    pub fn state(&self, now: Duration) -> State {
        self.state_against(now, |filter| &filter.served)
    }

    /// Its state, with the version that is served of each filter.
    pub(super) fn state_against<'a>(
        &'a self,
        now: Duration,
        served: impl Fn(&'a NodeFilter) -> &'a str,
    ) -> State {
        let Some(last) = self.last_poll() else {
            return State::Unknown;
        };
        if now.saturating_sub(last) >= FORGOTTEN_AFTER {
            return State::Unknown;
        }
        let longest = self.filters.iter().map(NodeFilter::longest_silence).max();
        if longest.is_some_and(|longest| now.saturating_sub(last) > longest) {
            return State::Silent;
        }
        let states = self.filters.iter().map(|filter| {
            let is_behind = |since| now.saturating_sub(since) > GRACE;
            match served(filter) == filter.accepted {
                true => State::Current,
                false if filter.behind_since.is_some_and(is_behind) => State::Behind,
                false => State::Updating,
            }
        });
        states.max().unwrap_or(State::Unknown)
    }

    /// The time of its last poll, since 1970.
    pub fn last_poll(&self) -> Option<Duration> {
        self.filters.iter().map(|filter| filter.last_poll).max()
    }

    /// Since when it is behind or silent, since 1970.
    pub fn since(&self, now: Duration) -> Option<Duration> {
        match self.state(now) {
            State::Silent => self.last_poll(),
            State::Behind | State::Updating => {
                let since = self.filters.iter().filter_map(|filter| filter.behind_since);
                since.min()
            }
            State::Current | State::Unknown => None,
        }
    }

    /// Requests that it denied (`would_deny`: would deny), by feed and kind.
    pub fn counters(&self, would_deny: bool) -> impl Iterator<Item = (&str, &str, u64)> {
        let counters = self.counters.iter();
        counters
            .filter(move |(name, _)| name.would_deny == would_deny)
            .map(|(name, count)| (name.feed.as_str(), name.kind, *count))
    }

    /// Requests of clients on the allow list, if it reports.
    pub fn allow_listed(&self) -> u64 {
        self.last.allow_listed
    }

    /// For programs.
    pub fn to_json(&self, now: Duration) -> Value {
        let filters = self.filters.iter().map(|filter| {
            json!({
                "filter": filter.name,
                "accepted": filter.accepted,
                "served": filter.served,
                "behind_since_unix_seconds": seconds(filter.behind_since),
            })
        });
        let lists = self.lists.iter().map(|list| {
            json!({ "feed": list.feed, "generation": list.generation, "entries": list.entries })
        });
        let by_feed = |would_deny| {
            let mut feeds = Map::new();
            for (feed, kind, count) in self.counters(would_deny) {
                let kinds = feeds.entry(feed).or_insert_with(|| json!({}));
                if let Value::Object(kinds) = kinds {
                    kinds.insert(kind.to_owned(), count.into());
                }
            }
            feeds
        };
        json!({
            "id": self.id,
            "cluster": self.cluster,
            "envoy": self.envoy,
            "module": self.module,
            "state": self.state(now).as_str(),
            "since_unix_seconds": seconds(self.since(now)),
            "last_seen_unix_seconds": self.last_seen.as_secs(),
            "last_report_unix_seconds": seconds(self.last_report),
            "filters": filters.collect::<Vec<_>>(),
            "lists": lists.collect::<Vec<_>>(),
            "denied": by_feed(false),
            "would_deny": by_feed(true),
            "allow_listed": self.allow_listed(),
            "restarts": self.restarts,
        })
    }
}

impl NodeFilter {
    /// Records a poll at `now`.
    pub(super) fn polled(&mut self, now: Duration) {
        if !self.last_poll.is_zero() {
            let gap = now.saturating_sub(self.last_poll);
            self.interval = Some(match self.interval {
                None => gap.min(FIRST_SILENCE),
                // A pause, such as a restart, changes it little; a longer interval after some polls.
                Some(usual) => {
                    let gap = gap.min(usual.max(SHORTEST_SILENCE).saturating_mul(2));
                    let sum = usual.saturating_mul(3).saturating_add(gap);
                    sum.checked_div(4).unwrap_or(gap)
                }
            });
        }
        self.last_poll = now;
    }

    /// The longest silence that is not a problem.
    pub(super) fn longest_silence(&self) -> Duration {
        match self.interval {
            None => FIRST_SILENCE,
            Some(usual) => usual.saturating_mul(3).max(SHORTEST_SILENCE),
        }
    }
}

fn seconds(time: Option<Duration>) -> Option<u64> {
    time.map(|time| time.as_secs())
}
