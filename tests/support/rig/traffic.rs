//! Steady traffic in the background, to see that nothing fails while something changes.

use super::client::{Reply, Request};
use super::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two requests of one connection: steady, not a load test.
const PACE: Duration = Duration::from_millis(2);

/// So many requests say something.
const ENOUGH: u64 = 100;

/// Connections that send one request after the other until stopped.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    connections: Vec<JoinHandle<Vec<String>>>,
}

/// What the traffic met.
#[derive(Debug)]
pub struct Report {
    /// Requests answered as they should be.
    pub good: u64,
    /// One line for each request that was not.
    pub bad: Vec<String>,
}

impl Traffic {
    /// Starts `connections` connections that send `request`; a reply for which `good` does not hold is a failure.
    pub fn start(request: &Request, connections: usize, good: fn(&Reply) -> bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let connections = (0..connections)
            .map(|_| {
                let (request, stop, sent) = (request.clone(), Arc::clone(&stop), Arc::clone(&sent));
                tokio::spawn(async move { send_until(&request, good, &stop, &sent).await })
            })
            .collect();
        Self {
            stop,
            sent,
            connections,
        }
    }

    /// How many requests were answered well so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends the traffic, as soon as there were enough requests to say something.
    pub async fn stop(self) -> Report {
        eventually("enough requests", async || {
            let ended = self.connections.iter().any(JoinHandle::is_finished);
            (ended || self.sent() >= ENOUGH).then_some(())
        })
        .await;
        self.stop.store(true, Ordering::Relaxed);
        let mut bad = Vec::new();
        for connection in self.connections {
            bad.extend(connection.await.unwrap());
        }
        Report {
            good: self.sent.load(Ordering::Relaxed),
            bad,
        }
    }
}

impl Report {
    /// Fails the test if a request failed, or if there were too few to say anything.
    pub fn assert_clean(&self) {
        assert!(
            self.bad.is_empty(),
            "{} failed: {:?}",
            self.bad.len(),
            self.bad.first()
        );
        assert!(self.good >= ENOUGH, "only {} requests were sent", self.good);
    }
}

async fn send_until(
    request: &Request,
    good: fn(&Reply) -> bool,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> Vec<String> {
    let mut bad = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    let mut connection = match request.connect().await {
        Ok(connection) => connection,
        Err(error) => return vec![error.to_string()],
    };
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        match connection.send(request).await {
            Ok(reply) if good(&reply) => {
                sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(reply) => bad.push(format!("{} {}", reply.status, reply.body)),
            Err(error) => {
                bad.push(error.to_string());
                match request.connect().await {
                    Ok(new) => connection = new,
                    Err(_) => break,
                }
            }
        }
    }
    bad
}
