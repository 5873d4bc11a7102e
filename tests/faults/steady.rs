//! Traffic of clean and of listed clients, on every worker, while something goes wrong.

use crate::matrix::{Requests, row};
use crate::rig::client::{Connection, Reply, Request};
use crate::rig::{Rig, eventually};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A client that is on no list.
pub const CLEAN: &str = "127.0.0.8";
/// A client that ABS lists.
pub const LISTED: &str = "127.0.0.7";

/// A token that ABS lists beside it.
pub const LISTED_TOKEN: &str = "listed";

/// Between two requests of one connection: steady, not a load test.
const PACE: Duration = Duration::from_millis(10);

/// At a crash a connection to that worker may lose the request that is under way; each kind of traffic has one.
const LOST_AT_A_CRASH: usize = 1;

/// So many requests say something.
const ENOUGH: u64 = 50;

/// The list that names [`LISTED`].
pub fn list() -> Value {
    json!({"ips": [LISTED], "oauth_tokens": [LISTED_TOKEN]})
}

/// Both kinds of traffic. [`Steady::stop`] says whether it met what it should.
#[must_use]
pub struct Steady {
    clean: Lane,
    listed: Option<Lane>,
}

impl Steady {
    /// Clean traffic alone.
    pub async fn clean(rig: &Rig) -> Self {
        let request = rig.get("/").from(CLEAN);
        Self {
            clean: Lane::start(rig, &request, Reply::is_allowed).await,
            listed: None,
        }
    }

    /// Has the simulator list [`LISTED`], waits until that is in force, and starts both kinds.
    pub async fn with_list(rig: &Rig) -> Self {
        rig.abs.list(list()).await;
        Self::once_listed(rig).await
    }

    /// Waits until [`LISTED`] is denied, and starts both kinds.
    pub async fn once_listed(rig: &Rig) -> Self {
        let request = rig.get("/").from(LISTED);
        rig.becomes_denied(&request).await;
        Self {
            listed: Some(Lane::start(rig, &request, Reply::is_denied).await),
            ..Self::clean(rig).await
        }
    }

    /// Ends the listed client's traffic, since its list is to go; fails the test if any of it passed.
    pub async fn stop_listed(&mut self) {
        if let Some(lane) = self.listed.take() {
            lane.stop().await.assert_clean("a listed client");
        }
    }

    /// Ends all of it; fails the test unless every clean request was answered by the API and every listed one denied, or
    /// what the rows of these faults say otherwise.
    pub async fn stop(mut self, faults: &[&str]) {
        let crashes = faults
            .iter()
            .filter(|fault| row(fault).requests == Requests::CrashFails);
        let most = crashes.count() * LOST_AT_A_CRASH;
        if let Some(lane) = self.listed.take() {
            lane.stop().await.assert_lost("a listed client", most);
        }
        self.clean.stop().await.assert_lost("a clean client", most);
    }
}

/// The same request again and again, on one connection to each worker.
pub struct Lane {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    connections: Vec<JoinHandle<Vec<String>>>,
}

/// What the traffic met.
#[derive(Debug)]
pub struct Met {
    /// Requests answered as they should be.
    pub good: u64,
    /// A line for each that was not.
    pub bad: Vec<String>,
}

impl Lane {
    /// Starts it; a reply for which `holds` is false is a failure.
    pub async fn start(rig: &Rig, request: &Request, holds: fn(&Reply) -> bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let good = Arc::new(AtomicU64::new(0));
        let connections = rig.connections_to_all_workers(request).await;
        let connections = connections
            .into_iter()
            .map(|connection| {
                let (request, stop, good) = (request.clone(), stop.clone(), good.clone());
                tokio::spawn(send_until(connection, request, holds, stop, good))
            })
            .collect();
        Self {
            stop,
            good,
            connections,
        }
    }

    /// Ends it, as soon as there were enough requests to say something.
    pub async fn stop(self) -> Met {
        eventually("enough requests", async || {
            let ended = self.connections.iter().any(JoinHandle::is_finished);
            (ended || self.good.load(Ordering::Relaxed) >= ENOUGH).then_some(())
        })
        .await;
        self.stop.store(true, Ordering::Relaxed);
        let mut bad = Vec::new();
        for connection in self.connections {
            bad.extend(connection.await.unwrap());
        }
        Met {
            good: self.good.load(Ordering::Relaxed),
            bad,
        }
    }
}

impl Met {
    /// Fails the test if a request failed, or if there were too few to say anything.
    pub fn assert_clean(&self, who: &str) {
        self.assert_lost(who, 0);
    }

    /// As [`Met::assert_clean`], but `most` may have got 503 from Envoy.
    fn assert_lost(&self, who: &str, most: usize) {
        let lost = self.bad.iter().filter(|bad| bad.starts_with("503 "));
        assert!(
            lost.count() == self.bad.len() && self.bad.len() <= most,
            "{} of {} requests of {who} went wrong: {:?}",
            self.bad.len(),
            self.good,
            self.bad.iter().take(5).collect::<Vec<_>>()
        );
        assert!(
            self.good >= ENOUGH,
            "{who} sent only {} requests",
            self.good
        );
    }
}

async fn send_until(
    mut connection: Connection,
    request: Request,
    holds: fn(&Reply) -> bool,
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
) -> Vec<String> {
    let mut bad = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        match connection.send(&request).await {
            Ok(reply) if holds(&reply) => {
                good.fetch_add(1, Ordering::Relaxed);
            }
            Ok(reply) => bad.push(format!("{} {}", reply.status, reply.body)),
            Err(error) => {
                bad.push(format!("no reply: {error}"));
                break;
            }
        }
    }
    bad
}
