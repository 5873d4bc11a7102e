//! What is known of each Envoy: from its requests for configuration, and from the `x-portcullis-node` header of its
//! requests for lists. Everything that a node says of itself is bounded text: never a label of a metric, never trusted.
//!
//! | file | owns |
//! |---|---|
//! | `nodes/node.rs` | one node, its state and its JSON |
//! | `nodes/report.rs` | the header, parsed |
//! | `nodes/registry.rs` | all nodes: who is replaced when there is no room, who is forgotten |
//! | `nodes/totals.rs` | the counters of all nodes, added up |
//! | `nodes/text.rs` | text from outside, bounded |
//!
//! What the state of a node proves: Envoy reports the version of the configuration that it has. 1.36 and 1.40 report the
//! previous version after they refused one, so [`State::Current`] proves that the configuration is active; 1.38.2 reports
//! the refused version, so there it proves only that the node received it. The server serves only what the filter's own
//! loader accepts, so a refusal has another cause, such as a missing module file. A report in the header proves that the
//! module runs, and which lists it has; it has no version of the configuration.
//!
//! The node id is the key: Envoys with the same `node.id` are one node here, and each change between their counters looks
//! like a restart (`restarts`). A node id is compared by the start that the header has room for.

mod node;
mod registry;
mod report;
mod text;
mod totals;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(test)]
pub use self::node::NodeFilter;
pub use self::node::{Node, State};
use self::registry::Registry;
#[cfg(test)]
pub use self::report::List as ActiveList;
use self::report::Report;
pub use self::totals::{Total, Totals};

/// A request for configuration.
#[derive(Clone, Debug)]
pub struct Poll<'a> {
    /// `node.id`.
    pub id: &'a str,
    /// `node.cluster`.
    pub cluster: &'a str,
    /// Envoy's version, as far as the node reports it.
    pub envoy: &'a str,
    /// The filter.
    pub filter: &'a str,
    /// The version that the node reports as accepted.
    pub accepted: &'a str,
    /// The version that it gets.
    pub served: &'a str,
    /// The time since 1970.
    pub now: Duration,
}

/// All nodes.
#[derive(Debug, Default)]
pub struct Nodes(Mutex<Registry>);

/// How many nodes there are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary([usize; State::ALL.len()]);

/// What happened to reports and nodes since the start of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Headers that were read.
    pub reports: u64,
    /// Headers that were ignored.
    pub invalid_reports: u64,
    /// Headers that were not counted, because no Envoy handles so many requests.
    pub implausible_reports: u64,
    /// Nodes that were replaced by others, or not recorded, because there was no room.
    pub evicted: u64,
}

impl Nodes {
    /// Records a request for configuration.
    pub fn polled(&self, poll: &Poll<'_>) {
        self.registry().polled(poll);
    }

    /// Records the `x-portcullis-node` header of a request for a list.
    pub fn reported(&self, header: &str, now: Duration) {
        let report = Report::parse(header);
        self.registry().reported(report, now);
    }

    /// Adds names of feeds whose counters are added up by their names; those of unknown feeds are added up as `other`.
    pub fn know_feeds<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let mut registry = self.registry();
        for name in names {
            registry.totals.know(name);
        }
    }

    /// All nodes, by their ids.
    pub fn list(&self) -> Vec<Node> {
        self.registry().list()
    }

    /// The first nodes in the order of `rank` and then of their ids, at most so many.
    pub fn first_by<R: Ord>(
        &self,
        now: Duration,
        most: usize,
        rank: impl Fn(State) -> R,
    ) -> Vec<Node> {
        self.registry().first_by(now, most, rank)
    }

    /// How many nodes there are in each state.
    pub fn summary(&self, now: Duration) -> Summary {
        let mut summary = Summary::default();
        self.registry().visit_states(now, |state| {
            if let Some(count) = summary.0.get_mut(state as usize) {
                *count = count.saturating_add(1);
            }
        });
        summary
    }

    /// The counters of all nodes that ever reported to this server, added up. They never fall.
    pub fn totals(&self) -> Totals {
        self.registry().totals.read()
    }

    /// The denied requests that happened while this server ran, by feed and kind.
    pub fn observed(&self) -> Vec<Total> {
        self.registry().totals.observed()
    }

    /// What happened to reports and nodes.
    pub fn events(&self) -> Events {
        self.registry().events
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Summary {
    /// The nodes in this state.
    pub fn of(&self, state: State) -> usize {
        self.0.get(state as usize).copied().unwrap_or_default()
    }

    /// Each state with its nodes, in the order of [`State::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (State, usize)> {
        State::ALL.into_iter().zip(self.0)
    }
}
