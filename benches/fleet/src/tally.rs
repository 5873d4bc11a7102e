//! Latencies, errors and the state of all nodes. Sends nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The configuration.
    Poll,
    /// The list.
    List,
}

/// A response that arrived whole.
pub struct Arrived {
    /// Its status.
    pub status: u16,
    /// The bytes of its body, as they were sent.
    pub n_bytes: u64,
    /// The version of the configuration or the entity tag of the list, unless the node has it already.
    pub version: Option<String>,
}

/// Everything that is counted.
pub struct Tally {
    since: Instant,
    polls: Samples,
    lists: Samples,
    marked: Instant,
    nodes: Vec<Seen>,
}

/// What one node has.
#[derive(Clone, Default)]
struct Seen {
    configuration: Progress,
    list: Progress,
}

#[derive(Clone, Default)]
struct Progress {
    version: String,
    /// When the last request was sent that got a response.
    asked: Option<Instant>,
}

#[derive(Default)]
struct Samples {
    microseconds: Vec<u32>,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    n_bytes: u64,
}

impl Tally {
    /// Nothing yet.
    pub fn new(n_nodes: usize) -> Self {
        let now = Instant::now();
        Self {
            since: now,
            polls: Samples::default(),
            lists: Samples::default(),
            marked: now,
            nodes: vec![Seen::default(); n_nodes],
        }
    }

    /// Counts a request of a node, sent at `asked`, with its response or error.
    pub fn count(
        &mut self,
        node: usize,
        kind: Kind,
        asked: Instant,
        result: Result<Arrived, String>,
    ) {
        let samples = match kind {
            Kind::Poll => &mut self.polls,
            Kind::List => &mut self.lists,
        };
        let arrived = match result {
            Ok(arrived) => arrived,
            Err(error) => {
                increment(samples.errors.entry(error).or_default(), 1);
                return;
            }
        };
        samples.microseconds.push(microseconds(asked.elapsed()));
        increment(samples.statuses.entry(arrived.status).or_default(), 1);
        increment(&mut samples.n_bytes, arrived.n_bytes);
        let Some(seen) = self.nodes.get_mut(node) else {
            return;
        };
        let progress = match kind {
            Kind::Poll => &mut seen.configuration,
            Kind::List => &mut seen.list,
        };
        if matches!(arrived.status, 200 | 304) {
            progress.asked = Some(asked);
            if let Some(version) = arrived.version {
                progress.version = version;
            }
        }
    }

    /// What was counted since the last call.
    pub fn samples(&mut self) -> Value {
        let seconds = self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        json!({
            "seconds": seconds,
            "polls": std::mem::take(&mut self.polls).into_json(),
            "lists": std::mem::take(&mut self.lists).into_json(),
        })
    }

    /// What the nodes have, and how many got a response since the mark.
    pub fn state(&self) -> Value {
        let mut configurations = BTreeMap::<&str, u64>::new();
        let mut lists = BTreeMap::<&str, u64>::new();
        let [mut polled, mut fetched] = [0_u64; 2];
        for node in &self.nodes {
            increment(
                configurations
                    .entry(&node.configuration.version)
                    .or_default(),
                1,
            );
            increment(lists.entry(&node.list.version).or_default(), 1);
            increment(&mut polled, u64::from(self.is_new(&node.configuration)));
            increment(&mut fetched, u64::from(self.is_new(&node.list)));
        }
        json!({
            "configurations": configurations,
            "lists": lists,
            "polled": polled,
            "fetched": fetched,
        })
    }

    /// From now on, responses count as new.
    pub fn mark(&mut self) -> Value {
        self.marked = Instant::now();
        Value::Null
    }

    fn is_new(&self, progress: &Progress) -> bool {
        progress.asked.is_some_and(|asked| asked >= self.marked)
    }
}

impl Samples {
    fn into_json(mut self) -> Value {
        self.microseconds.sort_unstable();
        let at = |thousandths: usize| {
            let index = self.microseconds.len().saturating_mul(thousandths) / 1_000;
            let last = self.microseconds.last();
            self.microseconds.get(index).or(last).copied()
        };
        let statuses: BTreeMap<String, u64> = self
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), *count))
            .collect();
        json!({
            "responses": self.microseconds.len(),
            "p50_us": at(500),
            "p99_us": at(990),
            "max_us": at(1_000),
            "statuses": statuses,
            "errors": self.errors,
            "body_bytes": self.n_bytes,
        })
    }
}

/// The tally; a panic elsewhere does not make it wrong.
pub fn locked(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn increment(count: &mut u64, by: u64) {
    *count = count.saturating_add(by);
}
