//! Outages: no list yet, a stale list, ABS down.

use crate::harness::envoy::METRIC_PREFIX;
use crate::harness::{Harness, Setup, eventually, scenario};
use hyper::Method;
use serde_json::{Value, json};

#[test]
fn with_one_of_two_nodes_of_abs_down_lists_still_arrive() {
    let setup = Setup::new().bootstrap(|text| {
        let (before, abs) = text.split_once("    - name: abs\n").unwrap();
        let (head, endpoint) = abs.split_once("          - lb_endpoints:\n").unwrap();
        // Nothing listens on port 1.
        let other = "              - endpoint:
                  address:
                    socket_address: { address: 127.0.0.1, port_value: 1 }
";
        format!("{before}    - name: abs\n{head}          - lb_endpoints:\n{other}{endpoint}")
    });
    scenario(setup, async |harness| {
        for n in 7..12 {
            let listed = format!("127.0.0.{n}");
            harness.abs.list(json!({"ips": [listed]})).await;
            harness
                .becomes_denied(&harness.get("/").from(&listed))
                .await;
        }
        // Envoy tried the other node too.
        assert!(harness.envoy.count("fetch.result=status").await > 0);
    });
}

#[test]
fn bodies_arrive_unchanged_while_abs_is_down() {
    scenario(
        Setup::new().abs_down().plugin(json!({"enable_abs": true})),
        async |harness| {
            failed_fetches_reach(harness, 1).await;
            for size in [0, 1, 100_000, 3_000_000] {
                for http2 in [false, true] {
                    let request = harness.get("/").with_body(Method::POST, vec![b'x'; size]);
                    let request = if http2 { request.http2() } else { request };
                    let reply = request.send().await;
                    assert!(reply.is_allowed(), "{reply:?}");
                    let seen: Value = serde_json::from_str(&reply.body).unwrap();
                    assert_eq!(seen["method"], "POST");
                    assert_eq!(seen["body_bytes"], size);
                }
            }
        },
    );
}

#[test]
fn with_before_first_list_deny_all_requests_are_denied_until_the_first_list() {
    scenario(
        Setup::new().abs_down().plugin(json!({
            "before_first_list": "deny",
            "allow_list": {"ips": ["127.0.0.10"]}
        })),
        async |harness| {
            let request = harness.get("/no-list").from("127.0.0.8");
            harness.assert_denied(&request).await;
            harness
                .assert_allowed(&harness.get("/").from("127.0.0.10"))
                .await;
            let entry = harness.envoy.access_log_entry("/no-list").await;
            assert_eq!(entry["details"], "portcullis_denied_abs_no_list", "{entry}");
            harness
                .metric_becomes("denied.source=abs.kind=no_list", 4)
                .await;

            harness.abs.restart().await;
            harness.becomes_allowed(&request).await;
        },
    );
}

#[test]
fn no_fault_of_abs_changes_the_active_list() {
    scenario(
        Setup::new().plugin(json!({"abs": {"timeout": "1s"}})),
        async |harness| {
            let listed = harness.block("127.0.0.7").await;

            for (fault, result) in [
                (json!({"status": 500}), "status"),
                (json!({"truncate_at": 10}), ""),
                (json!({"body": "not json"}), "malformed"),
                (json!({"body": "{\"message\": \"no list\"}"}), "malformed"),
                (json!({"delay_ms": 5000}), "timeout"),
                (json!({"hang_after_headers": true}), ""),
                (json!({"reset": true}), ""),
            ] {
                let before = counted(harness, result).await;
                harness.abs.fault(fault.clone()).await;
                eventually(&format!("a fetch that fails by {fault}"), async || {
                    (counted(harness, result).await > before).then_some(())
                })
                .await;
                harness.assert_denied(&listed).await;
                harness.abs.clear_faults().await;
            }

            harness.abs.unlist(json!({"ips": ["127.0.0.7"]})).await;
            harness.becomes_allowed(&listed).await;
        },
    );

    /// Failed fetches with this result; with any if it depends on how Envoy reports the fault.
    async fn counted(harness: &Harness, result: &str) -> u64 {
        if result.is_empty() {
            failed_fetches(harness).await
        } else {
            harness.envoy.count(&format!("fetch.result={result}")).await
        }
    }
}

#[test]
fn with_when_stale_drop_a_stale_list_is_dropped() {
    scenario(stale_after_three_seconds("drop"), async |harness| {
        let listed = harness.block("127.0.0.7").await;

        harness.abs.fault(json!({"status": 503})).await;

        harness.becomes_allowed(&listed).await;
        harness.metric_becomes("attack_list.stale", 1).await;

        harness.abs.clear_faults().await;
        harness.becomes_denied(&listed).await;
        harness.metric_becomes("attack_list.stale", 0).await;
    });
}

fn stale_after_three_seconds(when_stale: &str) -> Setup {
    let plugin: Value = json!({"attack_list_max_age": "3s", "when_stale": when_stale});
    Setup::new().plugin(plugin)
}

async fn failed_fetches(harness: &Harness) -> u64 {
    harness
        .envoy
        .stats(&format!("{METRIC_PREFIX}fetch.result="))
        .await
        .iter()
        .filter(|(name, _)| !name.ends_with("=ok") && !name.ends_with("=not_modified"))
        .map(|(_, count)| count)
        .sum()
}

async fn failed_fetches_reach(harness: &Harness, least: u64) {
    eventually(&format!("{least} fetches fail"), async || {
        (failed_fetches(harness).await >= least).then_some(())
    })
    .await;
}
