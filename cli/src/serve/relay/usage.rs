//! CrowdSec's usage metrics: those of all nodes are added up, and sent to the local API as those of one bouncer.
//!
//! The sums are in memory: a restart of the server loses what was not sent yet, the numbers of at most 15 minutes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use portcullis::config::Feed;
use portcullis::feed::crowdsec::usage::{Usage, request_path};
use serde::Deserialize;
use ureq::http::Method;

use crate::clients::feed::{headers_with_json, unix_now};
use crate::clients::http::Server as Upstream;
use crate::serve::Server;
use crate::serve::problem::Problem;

/// The time between two reports to the local API, which asks for at least this much.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// The largest report of a node, which has less than a kilobyte.
const LARGEST_REPORT: usize = 64 * 1024;

/// The most requests in one report: more than an Envoy handles in a day.
const MOST_REQUESTS: u64 = 100_000_000_000;

/// The numbers of all nodes that were not sent yet.
#[derive(Debug)]
pub struct Collected(Mutex<Sums>);

#[derive(Debug)]
struct Sums {
    processed: u64,
    dropped: u64,
    /// Whether there was a report since the last one that was sent.
    has_some: bool,
    /// When the window began, in time since 1970.
    since: Duration,
    /// When the server started.
    started: Duration,
    /// The next report; the first one is sent at once.
    due: Option<Instant>,
    is_failing: bool,
}

impl Collected {
    /// No numbers; the server started at `now`.
    pub fn new(now: Duration) -> Self {
        Self(Mutex::new(Sums {
            processed: 0,
            dropped: 0,
            has_some: false,
            since: now,
            started: now,
            due: None,
            is_failing: false,
        }))
    }

    /// Adds the report of a node.
    ///
    /// # Errors
    ///
    /// It is none, with the reason.
    pub fn add(&self, body: &[u8]) -> Result<(), String> {
        let report: Report = serde_json::from_slice(body)
            .map_err(|error| format!("the body has no usage metrics: {error}"))?;
        let components = report.remediation_components.iter();
        let metrics = components.flat_map(|component| &component.metrics);
        let (mut processed, mut dropped) = (0_u64, 0_u64);
        for item in metrics.flat_map(|metrics| &metrics.items) {
            let sum = match item.name.as_str() {
                "processed" => &mut processed,
                "dropped" => &mut dropped,
                _ => continue,
            };
            *sum = sum.saturating_add(item.value);
        }
        if processed.max(dropped) > MOST_REQUESTS {
            return Err("no Envoy handles so many requests between two reports".to_owned());
        }
        let mut sums = self.sums();
        sums.processed = sums.processed.saturating_add(processed);
        sums.dropped = sums.dropped.saturating_add(dropped);
        sums.has_some = true;
        Ok(())
    }

    /// The report that is due at `now`, if there is something to report.
    fn due(&self, now: Instant, unix_now: Duration) -> Option<Usage> {
        let mut sums = self.sums();
        if !sums.has_some || sums.due.is_some_and(|due| now < due) {
            return None;
        }
        sums.due = now.checked_add(INTERVAL);
        Some(Usage {
            processed: sums.processed,
            dropped: sums.dropped,
            window: unix_now.saturating_sub(sums.since),
            unix_now,
            unix_start: sums.started,
        })
    }

    /// A report was sent: the next one has what came since.
    fn sent(&self, usage: Usage) {
        let mut sums = self.sums();
        sums.has_some = sums.processed > usage.processed || sums.dropped > usage.dropped;
        sums.processed = sums.processed.saturating_sub(usage.processed);
        sums.dropped = sums.dropped.saturating_sub(usage.dropped);
        sums.since = usage.unix_now;
        sums.is_failing = false;
    }

    /// Sends a report to the local API if one is due. Returns why it failed, if the one before did not.
    pub fn send(&self, feed: &Feed, upstream: &Upstream) -> Option<String> {
        let usage = self.due(Instant::now(), unix_now())?;
        let origins = feed.reporting().map(|options| options.origins.as_slice());
        let body = usage.to_json(origins.unwrap_or_default()).into_bytes();
        let path = request_path(&feed.path);
        let headers = headers_with_json(feed, &path);
        let reason = match upstream.send(Method::POST, &path, &headers, body) {
            Ok(response) if (200..300).contains(&response.status) => {
                self.sent(usage);
                return None;
            }
            Ok(response) if response.status == 404 => {
                "the upstream has no usage metrics (status 404); update CrowdSec, or turn off usage_metrics".to_owned()
            }
            Ok(response) => format!("the upstream returned status {}", response.status),
            Err(failure) => failure.message,
        };
        let was_failing = std::mem::replace(&mut self.sums().is_failing, true);
        (!was_failing).then(|| {
            format!(
                "sending usage metrics failed: {reason}; the next report has these numbers, too"
            )
        })
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is read of a node's report.
#[derive(Deserialize)]
struct Report {
    remediation_components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    metrics: Vec<Metrics>,
}

#[derive(Deserialize)]
struct Metrics {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    value: u64,
}

/// `POST /v1/usage-metrics`: the usage metrics of a node.
pub async fn usage_metrics(
    State(server): State<Arc<Server>>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let Some(collected) = server.relay.usage() else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no relayed feed has usage_metrics; set it to true for a feed of crowdsec in the server's file of relayed feeds",
        ));
    };
    if body.len() > LARGEST_REPORT {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is too large; allowed are {LARGEST_REPORT} bytes"),
        ));
    }
    match collected.add(&body) {
        Ok(()) => Ok(StatusCode::CREATED),
        Err(reason) => Err(Problem::new(StatusCode::BAD_REQUEST, reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_800_000_000);

    fn report(processed: u64, dropped: u64) -> Vec<u8> {
        let usage = Usage {
            processed,
            dropped,
            window: INTERVAL,
            unix_now: START,
            unix_start: START,
        };
        usage.to_json(&[]).into_bytes()
    }

    #[test]
    fn the_numbers_of_a_report_that_fails_are_part_of_the_next() {
        let collected = Collected::new(START);
        let (now, unix) = (Instant::now(), START + Duration::from_secs(60));
        assert!(collected.due(now, unix).is_none());
        collected.add(&report(10, 1)).unwrap();
        collected.add(&report(5, 2)).unwrap();
        let first = collected.due(now, unix).unwrap();
        assert_eq!((first.processed, first.dropped), (15, 3));
        assert_eq!(first.window, Duration::from_secs(60));
        // It failed. The next one is due after the interval.
        collected.add(&report(1, 0)).unwrap();
        assert!(collected.due(now, unix).is_none());
        let second = collected.due(now + INTERVAL, unix + INTERVAL).unwrap();
        assert_eq!((second.processed, second.dropped), (16, 3));
        // It is sent, and a report came meanwhile.
        collected.add(&report(7, 7)).unwrap();
        collected.sent(second);
        let third = collected
            .due(now + 2 * INTERVAL, unix + 2 * INTERVAL)
            .unwrap();
        assert_eq!((third.processed, third.dropped), (7, 7));
        assert_eq!(third.window, INTERVAL);
        collected.sent(third);
        assert!(collected.due(now + 4 * INTERVAL, unix).is_none());
    }

    #[test]
    fn what_no_node_sends_is_refused() {
        let collected = Collected::new(START);
        for body in [
            &b"{}"[..],
            b"[]",
            b"{\"remediation_components\": [{\"metrics\": [{\"items\": [{\"name\": \"processed\", \"value\": -1}]}]}]}",
        ] {
            assert!(collected.add(body).is_err());
        }
        assert!(collected.add(&report(u64::MAX, 0)).is_err());
        assert!(collected.add(&report(0, u64::MAX)).is_err());
        assert!(collected.due(Instant::now(), START).is_none());
    }
}
