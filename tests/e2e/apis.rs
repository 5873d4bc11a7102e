//! Rules of one API: blocking off, shadow mode.

use crate::harness::{Setup, scenario};
use serde_json::json;

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
        async |harness| {
            harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            let listed = |path: &str| harness.get(path).from("127.0.0.7");

            harness.becomes_denied(&listed("/shop/cart")).await;
            harness.assert_allowed(&listed("/shop/open")).await;
            harness.assert_allowed(&listed("/shop/open/cart")).await;
            // A base path matches whole segments.
            harness.assert_denied(&listed("/shop/opening")).await;
            harness.assert_allowed(&listed("/shop/cart").header("host", "open.example.com"))
                .await;
            harness.assert_denied(&listed("/shop/cart").header("host", "other.example.com"))
                .await;
            harness.assert_denied(&harness.get("/shop/open").from("127.0.0.9"))
                .await;
        },
    );
}

#[test]
fn shadow_mode_counts_and_marks_what_it_would_deny_and_allows_it() {
    scenario(
        Setup::new().plugin(json!({"apis": [
            {"api_id": "trial", "url": "/trial", "mode": "shadow"},
            {"api_id": "rest", "url": "/"}
        ]})),
        async |harness| {
            harness.block("127.0.0.7").await;

            harness
                .assert_allowed(&harness.get("/trial/listed").from("127.0.0.7"))
                .await;
            harness
                .assert_allowed(&harness.get("/trial/clean").from("127.0.0.8"))
                .await;

            harness
                .metric_becomes("would_deny.source=abs.kind=ip", 4)
                .await;
            let entry = harness.envoy.access_log_entry("/trial/listed").await;
            assert_eq!(entry["verdict"], "would_deny abs ip", "{entry}");
            assert_eq!(entry["details"], "via_upstream", "{entry}");
            let entry = harness.envoy.access_log_entry("/trial/clean").await;
            assert!(entry["verdict"].is_null(), "{entry}");
        },
    );
}
