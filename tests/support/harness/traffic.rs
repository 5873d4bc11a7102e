//! Background traffic in the background, to see that nothing fails while something changes.
//!
//! Owns the pace and what became of each request. What a good reply is, the test says.

use super::client::{Connection, Reply, Request};
use super::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Requests a second, of all connections together: steady, not a load test, whatever the machine can do.
const RATE: u32 = 400;

/// So many requests say something.
const ENOUGH: u64 = 100;

/// The same request again and again on each of several connections, until stopped.
pub struct Traffic {
    who: String,
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    lanes: Vec<JoinHandle<Vec<String>>>,
}

/// What the traffic met.
#[derive(Debug)]
pub struct Report {
    /// Requests answered as they should be.
    pub good: u64,
    /// One line for each request that was not.
    pub bad: Vec<String>,
    who: String,
}

impl Traffic {
    /// Sends the first `request` on each connection, and goes on in the background. A reply for which `holds` is false
    /// is a failure; a connection without a reply is one, too, and ends.
    pub async fn start(
        connections: Vec<Connection>,
        request: &Request,
        holds: fn(&Reply) -> bool,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let good = Arc::new(AtomicU64::new(0));
        let pace = Duration::from_secs(1) * u32::try_from(connections.len()).unwrap() / RATE;
        let mut lanes = Vec::new();
        for connection in connections {
            let mut lane = Lane {
                connection,
                request: request.clone(),
                holds,
                good: Arc::clone(&good),
                bad: Vec::new(),
            };
            let goes_on = lane.send().await;
            let stop = Arc::clone(&stop);
            lanes.push(tokio::spawn(async move {
                if goes_on {
                    lane.go_on(pace, &stop).await;
                }
                lane.bad
            }));
        }
        Self {
            who: request.to_string(),
            stop,
            good,
            lanes,
        }
    }

    /// How many requests were answered well so far.
    pub fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// Waits until `n` more requests were answered well.
    pub async fn goes_on(&self, n: u64) {
        let before = self.good();
        eventually(&format!("{n} more of {}", self.who), async || {
            (self.good() >= before + n).then_some(())
        })
        .await;
    }

    /// Ends the traffic, as soon as there were enough requests to say something.
    pub async fn stop(self) -> Report {
        eventually(&format!("enough of {}", self.who), async || {
            let ended = self.lanes.iter().any(JoinHandle::is_finished);
            (ended || self.good() >= ENOUGH).then_some(())
        })
        .await;
        self.stop.store(true, Ordering::Relaxed);
        let mut bad = Vec::new();
        for lane in self.lanes {
            bad.extend(lane.await.unwrap());
        }
        Report {
            good: self.good.load(Ordering::Relaxed),
            bad,
            who: self.who,
        }
    }
}

impl Report {
    /// Fails the test if a request failed, or if there were too few to say anything.
    pub fn assert_clean(&self) {
        self.assert_lost(0);
    }

    /// As [`Report::assert_clean`], but `most` may have got 503 from Envoy.
    pub fn assert_lost(&self, most: usize) {
        let lost = self.bad.iter().filter(|bad| bad.starts_with("503 "));
        assert!(
            lost.count() == self.bad.len() && self.bad.len() <= most,
            "{} of {}: {} went wrong: {:?}",
            self.bad.len(),
            self.good,
            self.who,
            self.bad.iter().take(5).collect::<Vec<_>>()
        );
        assert!(self.good >= ENOUGH, "{}: only {}", self.who, self.good);
    }
}

/// One of the connections.
struct Lane {
    connection: Connection,
    request: Request,
    holds: fn(&Reply) -> bool,
    good: Arc<AtomicU64>,
    bad: Vec<String>,
}

impl Lane {
    async fn go_on(&mut self, pace: Duration, stop: &AtomicBool) {
        let mut pace = tokio::time::interval(pace);
        // What was not sent in time is not made up for.
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            pace.tick().await;
            if !self.send().await {
                break;
            }
        }
    }

    /// Sends one request; whether a reply came.
    async fn send(&mut self) -> bool {
        match self.connection.send(&self.request).await {
            Ok(reply) if (self.holds)(&reply) => {
                self.good.fetch_add(1, Ordering::Relaxed);
                true
            }
            Ok(reply) => {
                self.bad.push(format!("{} {}", reply.status, reply.body));
                true
            }
            Err(error) => {
                self.bad.push(format!("no reply: {error}"));
                false
            }
        }
    }
}
