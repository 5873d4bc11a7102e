//! Background traffic, to show that no request fails while something changes.
//!
//! Owns the pace and the results. The test says which replies are good.

use super::client::{Connection, Reply, Request};
use super::waiting::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Requests a second over all connections: a constant rate that any machine can serve.
const RATE: u32 = 400;

/// The least number of requests for a result.
const ENOUGH: u64 = 100;

/// One request, repeated on several connections until stopped.
pub struct Traffic {
    who: String,
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    lanes: Vec<JoinHandle<Vec<String>>>,
}

/// The results.
#[derive(Debug)]
pub struct Report {
    /// Number of good replies.
    pub good: u64,
    /// One line for each other result.
    pub bad: Vec<String>,
    who: String,
}

impl Traffic {
    /// Sends the first `request` on each connection and continues in the background. A reply that `is_expected` rejects is a
    /// failure; so is a connection without a reply, which then ends.
    pub async fn start(
        connections: Vec<Connection>,
        request: &Request,
        is_expected: fn(&Reply) -> bool,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let good = Arc::new(AtomicU64::new(0));
        let pace = Duration::from_secs(1) * u32::try_from(connections.len()).unwrap() / RATE;
        let mut lanes = Vec::new();
        for connection in connections {
            let mut lane = Lane {
                connection,
                request: request.clone(),
                is_expected,
                good: Arc::clone(&good),
                bad: Vec::new(),
            };
            let open = lane.send().await;
            let stop = Arc::clone(&stop);
            lanes.push(tokio::spawn(async move {
                if open {
                    lane.run(pace, &stop).await;
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

    /// Number of good replies so far.
    pub fn good(&self) -> u64 {
        self.good.load(Ordering::Relaxed)
    }

    /// Waits for `n` more good replies.
    pub async fn wait_for_more(&self, n: u64) {
        let before = self.good();
        eventually(&format!("{n} more of {}", self.who), async || {
            (self.good() >= before + n).then_some(())
        })
        .await;
    }

    /// Ends the traffic once there were enough requests.
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
    /// Fails the test if a request failed, or if there were too few.
    pub fn assert_clean(&self) {
        self.assert_lost(0);
    }

    /// Like [`Report::assert_clean`], but allows up to `most` replies with 503.
    pub fn assert_lost(&self, most: usize) {
        let lost = self.bad.iter().filter(|bad| bad.starts_with("503 "));
        assert!(
            lost.count() == self.bad.len() && self.bad.len() <= most,
            "{} of {}: {} failed: {:?}",
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
    is_expected: fn(&Reply) -> bool,
    good: Arc<AtomicU64>,
    bad: Vec<String>,
}

impl Lane {
    async fn run(&mut self, pace: Duration, stop: &AtomicBool) {
        let mut pace = tokio::time::interval(pace);
        // Missed requests are not sent later.
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.load(Ordering::Relaxed) {
            pace.tick().await;
            if !self.send().await {
                break;
            }
        }
    }

    /// Sends one request; returns whether there was a reply.
    async fn send(&mut self) -> bool {
        match self.connection.send(&self.request).await {
            Ok(reply) if (self.is_expected)(&reply) => {
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
