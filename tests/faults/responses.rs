//! ABS's responses: statuses, timeouts, resets.

use crate::background_traffic::BackgroundTraffic;
use crate::every_second;
use crate::harness::{eventually, scenario};
use crate::matrix::{Row, documented};
use crate::watch::{Watch, inject, recovers};
use serde_json::json;
use std::time::Duration;

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "status_301",
        what: "a redirect, which is not followed",
        metrics: &["fetch.result=status"],
        log: &[("status 301", 1)],
        test: "responses::error_statuses",
        ..Row::BASE
    },
    Row {
        fault: "status_401",
        what: "ABS does not know the keys",
        metrics: &["fetch.result=unauthorized"],
        log: &[("status 401", 1)],
        documented: documented::KEYS,
        test: "responses::error_statuses",
        ..Row::BASE
    },
    Row {
        fault: "status_403",
        what: "the keys lack permission",
        metrics: &["fetch.result=unauthorized"],
        log: &[("status 403", 1)],
        documented: documented::KEYS,
        test: "responses::error_statuses",
        ..Row::BASE
    },
    Row {
        fault: "status_404",
        what: "the page does not exist",
        metrics: &["fetch.result=status"],
        log: &[("status 404", 1)],
        test: "responses::error_statuses",
        ..Row::BASE
    },
    Row {
        fault: "status_429",
        what: "too many requests, with `Retry-After`: the next fetch waits that long",
        metrics: &["fetch.result=status"],
        log: &[("status 429", 1)],
        test: "responses::a_response_with_retry_after",
        ..Row::BASE
    },
    Row {
        fault: "status_500",
        what: "ABS fails",
        metrics: &["fetch.result=status"],
        log: &[("status 500", 1)],
        test: "responses::error_statuses",
        ..Row::BASE
    },
    Row {
        fault: "status_503",
        what: "ABS is overloaded",
        metrics: &["fetch.result=status"],
        log: &[("status 503", 1)],
        test: "responses::error_statuses",
        ..Row::BASE
    },
    Row {
        fault: "no_response",
        what: "no response within `abs.timeout`",
        metrics: &["fetch.result=timeout"],
        log: &[("within abs.timeout", 1)],
        test: "responses::incomplete_responses",
        ..Row::BASE
    },
    Row {
        fault: "silence_after_headers",
        what: "headers without a body",
        metrics: &["fetch.result=reset"],
        log: &[("it was interrupted", 1)],
        test: "responses::incomplete_responses",
        ..Row::BASE
    },
    Row {
        fault: "reset",
        what: "the connection is reset",
        metrics: &["fetch.result=status"],
        log: &[("status 503", 1)],
        test: "responses::incomplete_responses",
        ..Row::BASE
    },
];

#[test]
fn error_statuses() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let faults = [
            ("status_301", 301),
            ("status_401", 401),
            ("status_403", 403),
            ("status_404", 404),
            ("status_500", 500),
            ("status_503", 503),
        ];
        for (fault, status) in faults {
            inject(harness, fault, json!({"status": status})).await;
        }
        background.stop(&faults.map(|(fault, _)| fault)).await;
    });
}

#[test]
fn a_response_with_retry_after() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "status_429").await;
        harness
            .abs
            .fault(json!({"status": 429, "retry_after": 4, "times": 1}))
            .await;
        let n_fetches = eventually("the fault occurs", async || {
            let n_faults = harness.abs.counter("faults").await;
            (n_faults == 1).then_some(harness.abs.fetches().await)
        })
        .await;
        watch.expect_effects(harness, 1).await;
        let times = eventually("the next fetch", async || {
            let times = harness.abs.fetch_times().await;
            (times.len() as u64 > n_fetches).then_some(times)
        })
        .await;
        let next = usize::try_from(n_fetches).unwrap();
        let waited = times[next] - times[next - 1];
        // Envoy's timer and the simulator's clock may differ slightly.
        assert!(waited >= Duration::from_millis(3_990), "{waited:?}");
        recovers(harness).await;
        background.stop(&["status_429"]).await;
    });
}

#[test]
fn incomplete_responses() {
    let setup = every_second().plugin(json!({"abs": {"timeout": "3s"}}));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        inject(harness, "no_response", json!({"delay_ms": 60_000})).await;
        inject(
            harness,
            "silence_after_headers",
            json!({"hang_after_headers": true}),
        )
        .await;
        inject(harness, "reset", json!({"reset": true})).await;
        background
            .stop(&["no_response", "silence_after_headers", "reset"])
            .await;
    });
}
