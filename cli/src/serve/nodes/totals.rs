//! The counters of all nodes, added up by feed and kind. Names that no configuration has are added up as `other`, so that a
//! node can't invent a label of a metric.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis::identifier::IdentifierKind;
use portcullis::judge::verdict::{DenyKind, ListOrigin};

use super::report::Counter;

/// The name for what has no known one.
const OTHER: &str = "other";

/// The most names of feeds that are remembered.
const MOST_FEEDS: usize = 1_024;

/// More requests in a second than an Envoy handles.
const MOST_PER_SECOND: u64 = 1_000_000;

/// How long an Envoy may have counted before its first report.
const LONGEST_UPTIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// What is new in it was added.
    Counted,
    /// The same, and the Envoy was restarted.
    Restarted,
    /// Nothing: a counter rose by more than an Envoy handles.
    Implausible,
}

/// The counters of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Denied requests by feed and kind.
    pub denied: Vec<Total>,
    /// Requests that would be denied, by feed and kind.
    pub would_deny: Vec<Total>,
    /// Requests of clients on the allow list.
    pub allow_listed: u64,
}

/// A number of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The feed, `manual`, or `other`.
    pub feed: String,
    /// The kind of identifier, `no_list`, or `other`.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// The sums as they grow.
#[derive(Debug)]
pub struct Sums {
    feeds: BTreeSet<String>,
    kinds: Vec<&'static str>,
    names: BTreeMap<Name, u16>,
    sums: Vec<Sum>,
    allow_listed: u64,
}

/// One sum.
#[derive(Debug)]
struct Sum {
    name: Name,
    count: u64,
    /// Without what nodes counted before their first report, which is of an unknown time.
    observed: u64,
}

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Whether the requests were only counted, not denied.
    pub would_deny: bool,
    /// The feed.
    pub feed: String,
    /// The kind.
    pub kind: &'static str,
}

/// The last counters of one node.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// By the index of the name.
    counts: Vec<(u16, u64)>,
    /// Requests of clients on the allow list.
    pub allow_listed: u64,
    /// Whether there was a report.
    has_reported: bool,
}

impl Default for Sums {
    fn default() -> Self {
        let listed = IdentifierKind::ALL.into_iter().map(DenyKind::Listed);
        let kinds = listed.chain([DenyKind::NoList]);
        let feeds = [ListOrigin::Manual.as_str(), portcullis::config::feed::ABS];
        Self {
            feeds: feeds.map(str::to_owned).into(),
            kinds: kinds.map(DenyKind::as_str).collect(),
            names: BTreeMap::new(),
            sums: Vec::new(),
            allow_listed: 0,
        }
    }
}

impl Sums {
    /// Adds the name of a feed.
    pub fn know(&mut self, feed: &str) {
        if self.feeds.len() < MOST_FEEDS && !self.feeds.contains(feed) {
            self.feeds.insert(feed.to_owned());
        }
    }

    /// Adds what is new in a report of a node, the first one or `elapsed` after its last. An Envoy was restarted if a counter
    /// fell below half. A smaller fall changes nothing: requests for two lists arrive in another order than the node sent
    /// them.
    ///
    /// A report that can't be true is not added: one that a client makes up must not bring a sum to the end of its range.
    ///
    /// Counters that a report does not have keep their values: the filters of one Envoy report different feeds. For the same
    /// reason those of unknown feeds prove no restart.
    pub fn add(
        &mut self,
        last: &mut Last,
        counters: &[Counter],
        allow_listed: Option<u64>,
        elapsed: Option<Duration>,
    ) -> Added {
        let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
        for counter in counters {
            let count = counts.entry(self.index(counter)).or_default();
            *count = count.saturating_add(counter.count);
        }
        let is_other = |index: u16| {
            let name = self.sums.get(usize::from(index));
            name.is_some_and(|Sum { name, .. }| name.feed == OTHER || name.kind == OTHER)
        };
        let fell = |(index, count): &(u16, u64)| {
            !is_other(*index) && counts.get(index).is_some_and(|new| *new < count / 2)
        };
        let restarted = last.counts.iter().any(fell)
            || allow_listed.is_some_and(|new| new < last.allow_listed / 2);
        let is_first = !last.has_reported;
        let before = |index| {
            let mut known = last.counts.iter();
            let known = known.find(|(known, _)| *known == index);
            known.map(|(_, count)| if restarted { 0 } else { *count })
        };
        let rises = counts.iter().map(|(index, count)| match before(*index) {
            Some(known) => (count.saturating_sub(known), elapsed),
            // Another filter of the Envoy may have counted it for long.
            None => (*count, None),
        });
        let allowed = allow_listed.map(|count| match restarted {
            true => (count, elapsed),
            false => (count.saturating_sub(last.allow_listed), elapsed),
        });
        if rises
            .chain(allowed)
            .any(|(rise, elapsed)| rise > most_within(elapsed))
        {
            return Added::Implausible;
        }
        if restarted {
            // The names stay: what is new since the restart has a limit.
            last.counts.iter_mut().for_each(|(_, count)| *count = 0);
            last.allow_listed = 0;
        }
        last.has_reported = true;
        for (index, count) in counts {
            let Some(sum) = self.sums.get_mut(usize::from(index)) else {
                continue;
            };
            let new = match last.counts.iter_mut().find(|(known, _)| *known == index) {
                Some((_, known)) => {
                    let new = count.saturating_sub(*known);
                    *known = count.max(*known);
                    new
                }
                None => {
                    last.counts.push((index, count));
                    count
                }
            };
            sum.count = sum.count.saturating_add(new);
            if !is_first {
                sum.observed = sum.observed.saturating_add(new);
            }
        }
        if let Some(count) = allow_listed {
            let new = count.saturating_sub(last.allow_listed);
            self.allow_listed = self.allow_listed.saturating_add(new);
            last.allow_listed = count.max(last.allow_listed);
        }
        match restarted {
            true => Added::Restarted,
            false => Added::Counted,
        }
    }

    /// The last counters of a node, with their names.
    pub fn named(&self, last: &Last) -> Vec<(Name, u64)> {
        let counted = last.counts.iter().filter(|(_, count)| *count > 0);
        let named = counted.filter_map(|(index, count)| {
            let sum = self.sums.get(usize::from(*index))?;
            Some((sum.name.clone(), *count))
        });
        named.collect()
    }

    /// The sums.
    pub fn read(&self) -> Totals {
        let mut totals = Totals {
            allow_listed: self.allow_listed,
            ..Totals::default()
        };
        for (name, index) in &self.names {
            let count = self.sums.get(usize::from(*index)).map(|sum| sum.count);
            let total = Total {
                feed: name.feed.clone(),
                kind: name.kind.to_owned(),
                count: count.unwrap_or_default(),
            };
            match name.would_deny {
                true => totals.would_deny.push(total),
                false => totals.denied.push(total),
            }
        }
        totals
    }

    /// The denied requests that happened while this server ran, by feed and kind. They never fall.
    pub fn observed(&self) -> Vec<Total> {
        let denied = self.sums.iter().filter(|sum| !sum.name.would_deny);
        let denied = denied.map(|sum| Total {
            feed: sum.name.feed.clone(),
            kind: sum.name.kind.to_owned(),
            count: sum.observed,
        });
        denied.collect()
    }

    /// The index of the name of a counter.
    fn index(&mut self, counter: &Counter) -> u16 {
        let known = self.kinds.iter().find(|kind| **kind == counter.kind);
        let feed = match self.feeds.contains(&counter.feed) {
            true => counter.feed.as_str(),
            false => OTHER,
        };
        let name = Name {
            would_deny: counter.would_deny,
            feed: feed.to_owned(),
            kind: known.copied().unwrap_or(OTHER),
        };
        if let Some(index) = self.names.get(&name) {
            return *index;
        }
        // `MOST_FEEDS` names, each with some kinds, are far below this limit.
        let index = u16::try_from(self.sums.len()).unwrap_or(u16::MAX);
        self.names.insert(name.clone(), index);
        self.sums.push(Sum {
            name,
            count: 0,
            observed: 0,
        });
        index
    }
}

/// The most requests of an Envoy in this time; if it is not known, since its start.
fn most_within(elapsed: Option<Duration>) -> u64 {
    let seconds = elapsed.map_or(LONGEST_UPTIME.as_secs(), |time| time.as_secs().max(1));
    seconds.saturating_mul(MOST_PER_SECOND)
}
