//! All nodes, by their ids. Recording a request takes a few steps, however many nodes there are.
//!
//! When there is no room, the node with the lowest rank is replaced, of several the one that is silent for the longest: a
//! node that has polled for a minute is not replaced by ids that somebody makes up. Nodes silent for a day are forgotten.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::node::{FORGOTTEN_AFTER, Node, NodeFilter, State};
use super::report::Report;
use super::text::{LONGEST_NAME, LONGEST_VERSION, bounded, encoded, keep};
use super::totals::{Added, Sums};
use super::{Events, Poll};

/// The most nodes that are remembered.
pub const MOST_NODES: usize = 50_000;

/// The most filters of one node.
const MOST_FILTERS: usize = 16;

/// The most filters whose served versions are remembered.
const MOST_SERVED: usize = 1_024;

/// How long a node polls until it is established.
const ESTABLISHED_AFTER: Duration = Duration::from_secs(60);

/// All nodes.
#[derive(Debug, Default)]
pub struct Registry {
    nodes: HashMap<Arc<str>, (Place, Node)>,
    /// The same nodes, the next one to replace first.
    order: BTreeSet<(Place, Arc<str>)>,
    /// The versions that were served last, by filter.
    served: BTreeMap<String, String>,
    /// The counters of all nodes.
    pub totals: Sums,
    /// What happened to reports and nodes.
    pub events: Events,
}

/// Rank, and the time of the last request.
type Place = (Rank, Duration);

/// Who replaces whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Known only by the header of requests for lists.
    #[default]
    Reports,
    /// Requests configuration.
    Polls,
    /// Has requested configuration for a while.
    Established,
}

impl Registry {
    /// Records a request for configuration.
    pub fn polled(&mut self, poll: &Poll<'_>) {
        if poll.id.is_empty() {
            return;
        }
        self.remember_served(poll);
        let now = poll.now;
        self.update(poll.id.as_bytes(), Rank::Polls, now, |node, _| {
            keep(&mut node.id, poll.id, LONGEST_NAME);
            keep(&mut node.cluster, poll.cluster, LONGEST_NAME);
            keep(&mut node.envoy, poll.envoy, LONGEST_VERSION);
            node.first_poll.get_or_insert(now);
            // A filter that was removed from the node's configuration.
            node.filters.retain(|one| {
                let silence = now.saturating_sub(one.last_poll);
                one.name == poll.filter || silence <= one.longest_silence()
            });
            if !node.filters.iter().any(|one| one.name == poll.filter)
                && node.filters.len() < MOST_FILTERS
            {
                node.filters.push(NodeFilter {
                    name: bounded(poll.filter, LONGEST_NAME),
                    ..NodeFilter::default()
                });
            }
            if let Some(filter) = node.filters.iter_mut().find(|one| one.name == poll.filter) {
                keep(&mut filter.accepted, poll.accepted, LONGEST_VERSION);
                keep(&mut filter.served, poll.served, LONGEST_VERSION);
                filter.behind_since = match poll.accepted == poll.served {
                    true => None,
                    false => filter.behind_since.or(Some(now)),
                };
                filter.polled(now);
            }
        });
    }

    /// Records the header of a request for a list; none if it is not valid.
    pub fn reported(&mut self, report: Option<Report>, now: Duration) {
        let Some(report) = report else {
            self.events.invalid_reports = self.events.invalid_reports.saturating_add(1);
            return;
        };
        let mut added = None;
        self.update(&report.id, Rank::Reports, now, |node, totals| {
            if node.id.is_empty() {
                node.id = bounded(&String::from_utf8_lossy(&report.id), LONGEST_NAME);
            }
            let elapsed = node.last_report.map(|last| now.saturating_sub(last));
            let result = totals.add(
                &mut node.last,
                &report.counters,
                report.allow_listed,
                elapsed,
            );
            added = Some(result);
            match result {
                Added::Implausible => return,
                Added::Restarted => node.restarts = node.restarts.saturating_add(1),
                Added::Counted => {}
            }
            node.module = report.module;
            node.lists = report.lists;
            node.last_report = Some(now);
        });
        let events = &mut self.events;
        let count = match added {
            Some(Added::Implausible) => &mut events.implausible_reports,
            _ => &mut events.reports,
        };
        *count = count.saturating_add(1);
    }

    /// All nodes, by their ids, with what is served now.
    pub fn list(&self) -> Vec<Node> {
        let nodes = self.nodes.values().map(|(_, node)| self.shown(node));
        let mut nodes: Vec<Node> = nodes.collect();
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        nodes
    }

    /// The first nodes in the order of `rank` and then of their ids, at most so many.
    pub fn first_by<R: Ord>(
        &self,
        now: Duration,
        most: usize,
        rank: impl Fn(State) -> R,
    ) -> Vec<Node> {
        let mut first: BTreeMap<(R, &str, &str), &Node> = BTreeMap::new();
        for (key, (_, node)) in &self.nodes {
            let state = node.state_against(now, |filter| self.served_of(filter));
            // Ids that are not the same can look the same.
            first.insert((rank(state), &node.id, key), node);
            if first.len() > most {
                first.pop_last();
            }
        }
        first.into_values().map(|node| self.shown(node)).collect()
    }

    /// A node with what is served now.
    fn shown(&self, node: &Node) -> Node {
        let mut node = node.clone();
        node.counters = self.totals.named(&node.last);
        node.counters.sort();
        for filter in &mut node.filters {
            filter.served = self.served_of(filter).to_owned();
        }
        node
    }

    /// Visits the state of each node.
    pub fn visit_states(&mut self, now: Duration, mut visit: impl FnMut(State)) {
        self.forget(now);
        for (_, node) in self.nodes.values() {
            visit(node.state_against(now, |filter| self.served_of(filter)));
        }
    }

    /// The version that was served last, to any node.
    fn served_of<'a>(&'a self, filter: &'a NodeFilter) -> &'a str {
        self.served.get(&filter.name).unwrap_or(&filter.served)
    }

    fn remember_served(&mut self, poll: &Poll<'_>) {
        if let Some(served) = self.served.get_mut(poll.filter) {
            keep(served, poll.served, LONGEST_VERSION);
        } else if self.served.len() < MOST_SERVED {
            let version = bounded(poll.served, LONGEST_VERSION);
            self.served.insert(poll.filter.to_owned(), version);
        }
    }

    /// Changes a node, or a new one if there is room for it.
    fn update(
        &mut self,
        id: &[u8],
        rank: Rank,
        now: Duration,
        change: impl FnOnce(&mut Node, &mut Sums),
    ) {
        self.forget(now);
        let key = encoded(id);
        let (key, (place, mut node)) = match self.nodes.remove_entry(key.as_str()) {
            Some(known) => known,
            None if self.make_room(rank) => (Arc::from(key), Default::default()),
            None => return,
        };
        self.order.remove(&(place, key.clone()));
        change(&mut node, &mut self.totals);
        node.last_seen = now;
        let is_established = |first: Duration| now.saturating_sub(first) >= ESTABLISHED_AFTER;
        let rank = match node.first_poll.is_some_and(is_established) {
            true => Rank::Established,
            false => rank.max(place.0),
        };
        let place = (rank, now);
        self.order.insert((place, key.clone()));
        self.nodes.insert(key, (place, node));
    }

    /// Makes room for a node of this rank, if there is none.
    fn make_room(&mut self, rank: Rank) -> bool {
        if self.nodes.len() < MOST_NODES {
            return true;
        }
        self.events.evicted = self.events.evicted.saturating_add(1);
        let Some(first) = self.order.first() else {
            return false;
        };
        // A header does not replace a node that polls.
        if first.0.0 > rank && rank == Rank::Reports {
            return false;
        }
        let (_, key) = first.clone();
        self.order.pop_first();
        self.nodes.remove(&key);
        true
    }

    /// Forgets nodes that are silent for a day, of each rank.
    fn forget(&mut self, now: Duration) {
        for rank in [Rank::Reports, Rank::Polls, Rank::Established] {
            let start = ((rank, Duration::ZERO), Arc::from(""));
            while let Some(first) = self.order.range(start.clone()..).next()
                && first.0.0 == rank
                && now.saturating_sub(first.0.1) >= FORGOTTEN_AFTER
            {
                let first = first.clone();
                self.order.remove(&first);
                self.nodes.remove(&first.1);
            }
        }
    }
}
