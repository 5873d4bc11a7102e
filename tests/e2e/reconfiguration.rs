//! The configuration changes while Envoy serves.

use crate::rig::envoy::Change;
use crate::rig::{Setup, eventually, scenario};
use serde_json::json;
use std::time::Instant;

#[test]
fn fifty_changes_under_traffic_fail_no_request_and_cause_no_storm_of_fetches() {
    scenario(Setup::new(), async |rig| {
        let listed = rig.get("/").from("127.0.0.7");
        rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        rig.becomes_denied(&listed).await;
        let passing = rig.traffic(&rig.get("/").from("127.0.0.8"), 8);
        // A listed client stays blocked throughout.
        let blocked = crate::rig::traffic::Traffic::start(&listed, 4, |reply| reply.is_denied());

        let start = Instant::now();
        let fetches = rig.abs.fetches().await;
        for change in 1..=50 {
            let sent = passing.sent();
            rig.envoy
                .reconfigure(json!({"deny_list": {"ips": [format!("192.0.2.{change}")]}}))
                .await;
            eventually("traffic between two changes", async || {
                (passing.sent() > sent + 8).then_some(())
            })
            .await;
        }
        let fetched = rig.abs.fetches().await - fetches;
        let intervals = start.elapsed().as_secs_f64() / 1.2;

        passing.stop().await.assert_clean();
        blocked.stop().await.assert_clean();
        assert!(
            (fetched as f64) <= intervals * 1.2 + 2.0,
            "{fetched} fetches in {intervals:.1} intervals"
        );
        let reloads = rig.envoy.stats("wasm.portcullis.vm_reload").await;
        assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        // The fetches go on after the last change.
        rig.list_is_fetched_anew().await;
    });
}

#[test]
fn a_bad_configuration_is_refused_with_every_error_and_the_one_in_force_goes_on() {
    scenario(
        Setup::new().plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}})),
        async |rig| {
            let listed = rig.get("/").from("127.0.0.7");
            let manual = rig.get("/").from("127.0.0.9");
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            rig.becomes_denied(&listed).await;

            let change = rig
                .envoy
                .configure(json!({
                    "enable_firewal": false,
                    "attack_list_memory": "lots",
                    "deny_list": null
                }))
                .await;

            assert_eq!(change, Change::Refused);
            rig.envoy
                .logs("enable_firewal: unknown key; did you mean \"enable_firewall\"?")
                .await;
            rig.envoy.logs("attack_list_memory: found \"lots\"").await;
            rig.assert_denied(&listed).await;
            rig.assert_denied(&manual).await;
            rig.list_is_fetched_anew().await;

            // A good one is taken after a bad one.
            rig.envoy.reconfigure(json!({"deny_list": null})).await;
            rig.becomes_allowed(&manual).await;
            rig.becomes_denied(&listed).await;
        },
    );
}

#[test]
fn nobody_is_served_unjudged_when_the_configuration_is_bad_at_the_start() {
    scenario(
        Setup::new().plugin(json!({"enable_firewal": true})),
        async |rig| {
            let request = rig.get("/");
            rig.becomes(&request, "answered with 500", |reply| {
                reply.status == 500 && !reply.is_from_api()
            })
            .await;
            rig.envoy.logs("enable_firewal: unknown key").await;

            rig.envoy.reconfigure(json!({"enable_firewal": null})).await;
            rig.becomes_allowed(&request).await;
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            rig.becomes_denied(&rig.get("/").from("127.0.0.7")).await;
        },
    );
}

#[test]
fn the_list_in_force_survives_a_change_of_configuration() {
    scenario(
        // Long enough that the second fetch is not due in this test.
        Setup::new().plugin(json!({"abs_attack_request_minutes": 10})),
        async |rig| {
            rig.metric_reaches("fetch.result=ok", 1).await;
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            // A shorter interval takes effect at once.
            rig.envoy
                .reconfigure(json!({"abs_attack_request_minutes": 0.02}))
                .await;
            rig.becomes_denied(&rig.get("/").from("127.0.0.7")).await;

            rig.abs.stop();
            rig.envoy
                .reconfigure(json!({"deny_list": {"ips": ["127.0.0.9"]}}))
                .await;
            rig.becomes_denied(&rig.get("/").from("127.0.0.9")).await;
            rig.assert_denied(&rig.get("/").from("127.0.0.7")).await;
        },
    );
}
