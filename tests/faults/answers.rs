//! ABS's answers: statuses, silence, resets.

use crate::every_second;
use crate::rig::{eventually, scenario};
use crate::steady::Steady;
use crate::watch::{Watch, recovers, strike};
use serde_json::json;
use std::time::Duration;

#[test]
fn answers_with_another_status() {
    scenario(every_second(), async |rig| {
        let steady = Steady::with_list(rig).await;
        let faults = [
            ("status_301", 301),
            ("status_401", 401),
            ("status_403", 403),
            ("status_404", 404),
            ("status_500", 500),
            ("status_503", 503),
        ];
        for (fault, status) in faults {
            strike(rig, fault, json!({"status": status})).await;
        }
        steady.stop(&faults.map(|(fault, _)| fault)).await;
    });
}

#[test]
fn an_answer_that_says_when_to_come_back() {
    scenario(every_second(), async |rig| {
        let steady = Steady::with_list(rig).await;
        let watch = Watch::begin(rig, "status_429").await;
        rig.abs
            .fault(json!({"status": 429, "retry_after": 4, "times": 1}))
            .await;
        let struck = eventually("the fault strikes", async || {
            let strikes = rig.abs.counter("faults").await;
            (strikes == 1).then_some(rig.abs.fetches().await)
        })
        .await;
        watch.sees_its_effects(rig, 1).await;
        let times = eventually("the next fetch", async || {
            let times = rig.abs.fetch_times().await;
            (times.len() as u64 > struck).then_some(times)
        })
        .await;
        let next = usize::try_from(struck).unwrap();
        let waited = times[next] - times[next - 1];
        // Envoy's clock and the simulator's may differ by a moment.
        assert!(waited >= Duration::from_millis(3_990), "{waited:?}");
        recovers(rig).await;
        steady.stop(&["status_429"]).await;
    });
}

#[test]
fn answers_that_do_not_come() {
    let setup = every_second().plugin(json!({"abs": {"timeout": "3s"}}));
    scenario(setup, async |rig| {
        let steady = Steady::with_list(rig).await;
        strike(rig, "no_answer", json!({"delay_ms": 60_000})).await;
        strike(
            rig,
            "silence_after_headers",
            json!({"hang_after_headers": true}),
        )
        .await;
        strike(rig, "reset", json!({"reset": true})).await;
        steady
            .stop(&["no_answer", "silence_after_headers", "reset"])
            .await;
    });
}
