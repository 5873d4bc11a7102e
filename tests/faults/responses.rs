//! ABS's answers: statuses, silence, resets.

use crate::background_traffic::BackgroundTraffic;
use crate::every_second;
use crate::harness::{eventually, scenario};
use crate::watch::{Watch, recovers, strike};
use serde_json::json;
use std::time::Duration;

#[test]
fn answers_with_another_status() {
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
            strike(harness, fault, json!({"status": status})).await;
        }
        background.stop(&faults.map(|(fault, _)| fault)).await;
    });
}

#[test]
fn an_answer_that_says_when_to_come_back() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "status_429").await;
        harness
            .abs
            .fault(json!({"status": 429, "retry_after": 4, "times": 1}))
            .await;
        let struck = eventually("the fault strikes", async || {
            let strikes = harness.abs.counter("faults").await;
            (strikes == 1).then_some(harness.abs.fetches().await)
        })
        .await;
        watch.sees_its_effects(harness, 1).await;
        let times = eventually("the next fetch", async || {
            let times = harness.abs.fetch_times().await;
            (times.len() as u64 > struck).then_some(times)
        })
        .await;
        let next = usize::try_from(struck).unwrap();
        let waited = times[next] - times[next - 1];
        // Envoy's clock and the simulator's may differ by a moment.
        assert!(waited >= Duration::from_millis(3_990), "{waited:?}");
        recovers(harness).await;
        background.stop(&["status_429"]).await;
    });
}

#[test]
fn answers_that_do_not_come() {
    let setup = every_second().plugin(json!({"abs": {"timeout": "3s"}}));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        strike(harness, "no_answer", json!({"delay_ms": 60_000})).await;
        strike(
            harness,
            "silence_after_headers",
            json!({"hang_after_headers": true}),
        )
        .await;
        strike(harness, "reset", json!({"reset": true})).await;
        background
            .stop(&["no_answer", "silence_after_headers", "reset"])
            .await;
    });
}
