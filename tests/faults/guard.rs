//! Lists and shares of denied requests that the guard does not let through.

use crate::background_traffic::{BackgroundTraffic, CLEAN, LISTED};
use crate::every_second;
use crate::harness::client::Reply;
use crate::harness::{eventually, scenario};
use crate::watch::{Watch, recovers, strike};
use serde_json::{Value, json};

/// What comes is refused whole: the list in force stays, and goes on being fetched once ABS is put right.
fn is_refused(fault: &str, plugin: Value, list: Value) {
    scenario(every_second().plugin(plugin), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, fault).await;
        harness.abs.list(list.clone()).await;
        watch.sees_its_effects(harness, 2).await;
        harness.abs.unlist(list).await;
        recovers(harness).await;
        background.stop(&[fault]).await;
    });
}

#[test]
fn a_list_of_which_too_much_cannot_be_used() {
    let ips: Vec<_> = (0..102).map(|i| format!("10.0.0.{}", i * 3)).collect();
    let body = json!({"ips": ips}).to_string();
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        strike(harness, "skips_too_many", json!({"body": body})).await;
        background.stop(&["skips_too_many"]).await;
    });
}

#[test]
fn a_range_of_ipv4_that_is_too_wide() {
    let list = json!({"ips": ["126.0.0.0/7", "127.0.0.9"]});
    is_refused("range_too_wide", json!({}), list);
}

#[test]
fn a_range_of_ipv6_that_is_too_wide() {
    let list = json!({"ips": ["2001::/31", "127.0.0.9"]});
    is_refused("ipv6_range_too_wide", json!({}), list);
}

#[test]
fn a_list_that_grows_too_fast() {
    let ips: Vec<_> = (0..1_200)
        .map(|i| format!("10.0.{}.{}", i / 256, i % 256))
        .collect();
    is_refused(
        "change_too_large",
        json!({"guard": {"max_change_percent": 50}}),
        json!({"ips": ips}),
    );
}

#[test]
fn a_list_over_its_memory() {
    let ips: Vec<_> = (0..3_000)
        .map(|i| format!("10.0.{}.{}", i / 256, i % 256))
        .collect();
    is_refused(
        "over_memory",
        json!({"attack_list_memory": "8KB"}),
        json!({"ips": ips}),
    );
}

#[test]
fn entries_that_must_not_be_blocked() {
    let setup = every_second().plugin(json!({
        "guard": {"never_block": ["127.0.2.0/24"]},
        "allow_list": {"ips": ["127.0.3.1"], "oauth_tokens": ["probe"]}
    }));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "protected_entries").await;
        harness
            .abs
            .list(json!({
                "ips": ["0.0.0.0", "::", "127.0.2.9", "127.0.2.128/25", "127.0.3.1", "127.0.0.9"],
                "oauth_tokens": ["probe"]
            }))
            .await;
        // The unspecified addresses, which no client has.
        watch.sees_its_effects(harness, 2).await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.9"))
            .await;
        for request in [
            harness.get("/").from("127.0.2.9"),
            harness.get("/").from("127.0.2.200"),
            harness.get("/").from("127.0.3.1"),
            harness.get("/").from("127.0.0.9").bearer("probe"),
        ] {
            harness.assert_allowed(&request).await;
        }
        background.stop(&["protected_entries"]).await;
    });
}

#[test]
fn abs_lists_so_many_clients_that_most_requests_would_be_denied() {
    let setup = every_second().plugin(json!({"guard": {"max_denied_percent": 60}}));
    scenario(setup, async |harness| {
        harness.abs.list(crate::background_traffic::list()).await;
        let listed = harness.get("/").from(LISTED);
        harness.becomes_denied(&listed).await;
        let background = BackgroundTraffic::clean(harness).await;
        let watch = Watch::begin(harness, "denied_share").await;
        // A listed client is denied, or counted: both are well here.
        let either = |reply: &Reply| reply.is_denied() || reply.is_allowed();
        let mut lanes = Vec::new();
        for _ in 0..4 {
            lanes.push(harness.traffic_on_every_worker(&listed, either).await);
        }
        // On every worker: each counts for itself.
        harness.becomes_allowed(&listed).await;
        harness
            .metric_reaches("would_deny.source=abs.kind=ip", 1)
            .await;
        let told = |text: &str| harness.envoy.log().matches(text).count();
        eventually("each worker says that it only counts", async || {
            (told("only counts what it would deny") == 4).then_some(())
        })
        .await;
        for lane in lanes {
            lane.stop().await.assert_clean();
        }
        harness.becomes_denied(&listed).await;
        eventually("each worker says that it enforces again", async || {
            (told("this worker enforces it again") == 4).then_some(())
        })
        .await;
        watch.sees_its_effects(harness, 1).await;
        background.stop(&["denied_share"]).await;
    });
}

#[test]
fn that_no_list_has_come_yet_is_not_abs_denying_too_many() {
    let setup = every_second().abs_down().plugin(json!({
        "before_first_list": "deny",
        "guard": {"max_denied_percent": 10}
    }));
    scenario(setup, async |harness| {
        let request = harness.get("/").from(CLEAN);
        // More on each worker than the share needs, over more ticks than it takes to see it.
        let traffic = harness
            .traffic_on_every_worker(&request, Reply::is_denied)
            .await;
        harness
            .metric_reaches("denied.source=abs.kind=no_list", 1_200)
            .await;
        harness.metric_reaches("fetch.result=status", 3).await;
        traffic.stop().await.assert_clean();
    });
}
