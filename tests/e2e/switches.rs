//! The flags: firewall, attack list, blocking of one API, shadow mode.

use crate::rig::{Setup, eventually, scenario, throughout};
use serde_json::json;
use std::time::Duration;

#[test]
fn an_api_with_blocking_off_ignores_the_list_of_abs_but_not_the_manual_list() {
    scenario(
        Setup::new().plugin(json!({
            "deny_list": {"ips": ["127.0.0.9"]},
            "apis": [
                {"api_id": "open", "url": "/shop/open", "enable_blocking": false},
                {"api_id": "shop", "url": "/shop"},
                {"api_id": "other-host", "hostname": "open.example.com", "url": "/shop", "enable_blocking": false}
            ]
        })),
        async |rig| {
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            let listed = |path: &str| rig.get(path).from("127.0.0.7");

            rig.becomes_denied(&listed("/shop/cart")).await;
            rig.assert_allowed(&listed("/shop/open")).await;
            rig.assert_allowed(&listed("/shop/open/cart")).await;
            // Whole segments count.
            rig.assert_denied(&listed("/shop/opening")).await;
            rig.assert_allowed(&listed("/shop/cart").header("host", "open.example.com"))
                .await;
            rig.assert_denied(&listed("/shop/cart").header("host", "other.example.com"))
                .await;
            rig.assert_denied(&rig.get("/shop/open").from("127.0.0.9"))
                .await;
        },
    );
}

#[test]
fn shadow_mode_counts_and_marks_what_it_would_deny_and_lets_it_pass() {
    scenario(
        Setup::new().plugin(json!({"apis": [
            {"api_id": "trial", "url": "/trial", "mode": "shadow"},
            {"api_id": "rest", "url": "/"}
        ]})),
        async |rig| {
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            rig.becomes_denied(&rig.get("/").from("127.0.0.7")).await;

            rig.assert_allowed(&rig.get("/trial/listed").from("127.0.0.7"))
                .await;
            rig.assert_allowed(&rig.get("/trial/clean").from("127.0.0.8"))
                .await;

            rig.metric_becomes("would_deny.source=abs.kind=ip", 4).await;
            let entry = rig.envoy.access_log_entry("/trial/listed").await;
            assert_eq!(entry["verdict"], "would_deny abs ip", "{entry}");
            assert_eq!(entry["details"], "via_upstream", "{entry}");
            let entry = rig.envoy.access_log_entry("/trial/clean").await;
            assert!(entry["verdict"].is_null(), "{entry}");
        },
    );
}

#[test]
fn nothing_is_blocked_while_the_firewall_is_off() {
    scenario(
        Setup::new().plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}})),
        async |rig| {
            let listed = rig.get("/").from("127.0.0.7");
            let manual = rig.get("/").from("127.0.0.9");
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            rig.becomes_denied(&listed).await;
            rig.becomes_denied(&manual).await;

            rig.envoy
                .reconfigure(json!({"enable_firewall": false}))
                .await;
            rig.becomes_allowed(&listed).await;
            rig.becomes_allowed(&manual).await;

            // Another flag than enable_abs_attack: the list is still fetched.
            rig.list_is_fetched_anew().await;
            rig.assert_allowed(&listed).await;

            rig.envoy
                .reconfigure(json!({"enable_firewall": true}))
                .await;
            rig.becomes_denied(&listed).await;
            rig.becomes_denied(&manual).await;
        },
    );
}

#[test]
fn disabling_the_attack_list_stops_the_fetches_and_the_blocking_on_it_at_once() {
    scenario(
        Setup::new().plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}})),
        async |rig| {
            let listed = rig.get("/").from("127.0.0.7");
            let manual = rig.get("/").from("127.0.0.9");
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            rig.becomes_denied(&listed).await;

            rig.envoy
                .reconfigure(json!({"enable_abs_attack": false}))
                .await;

            rig.becomes_allowed(&listed).await;
            rig.assert_denied(&manual).await;
            let fetches = rig.abs.fetches().await;
            // Five intervals of 1.2 seconds.
            throughout(Duration::from_secs(6), async || {
                assert!(listed.send().await.is_allowed());
                assert_eq!(rig.abs.fetches().await, fetches);
            })
            .await;

            rig.envoy
                .reconfigure(json!({"enable_abs_attack": true}))
                .await;
            eventually("ABS is asked again", async || {
                (rig.abs.fetches().await > fetches).then_some(())
            })
            .await;
            rig.becomes_denied(&listed).await;
        },
    );
}

#[test]
fn the_list_is_neither_fetched_nor_enforced_unless_it_is_enabled() {
    scenario(
        Setup::new().plugin(json!({"enable_abs_attack": null})),
        async |rig| {
            let listed = rig.get("/").from("127.0.0.7");
            rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            throughout(Duration::from_secs(4), async || {
                assert!(listed.send().await.is_allowed());
                assert_eq!(rig.abs.fetches().await, 0);
            })
            .await;

            rig.envoy
                .reconfigure(json!({"enable_abs_attack": true}))
                .await;
            rig.becomes_denied(&listed).await;
        },
    );
}
