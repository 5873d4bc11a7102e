//! Lists that the guard refuses, and shares of denied requests.

use crate::background_traffic::{BackgroundTraffic, CLEAN, LISTED};
use crate::every_second;
use crate::harness::artefact::Artefact;
use crate::harness::client::Reply;
use crate::harness::{eventually, scenario};
use crate::matrix::{EACH_WORKER, List, Requests, Row, documented};
use crate::watch::{Watch, inject, recovers};
use serde_json::{Value, json};

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "skips_too_many",
        what: "more unusable entries than `guard.max_skipped_percent` allows",
        metrics: &["fetch.result=malformed"],
        log: &[("guard.max_skipped_percent", 1)],
        documented: documented::GUARD,
        test: "guard::a_list_with_too_many_unusable_entries",
        ..Row::BASE
    },
    Row {
        fault: "range_too_wide",
        what: "an IPv4 range wider than `guard.widest_ipv4`",
        metrics: &["fetch.result=refused"],
        log: &[("126.0.0.0/7, wider than /8", 1)],
        documented: documented::GUARD,
        test: "guard::an_ipv4_range_that_is_too_wide",
        ..Row::BASE
    },
    Row {
        fault: "ipv6_range_too_wide",
        what: "an IPv6 range wider than `guard.widest_ipv6`",
        metrics: &["fetch.result=refused"],
        log: &[("2001::/31, wider than /32", 1)],
        documented: documented::GUARD,
        test: "guard::an_ipv6_range_that_is_too_wide",
        ..Row::BASE
    },
    Row {
        fault: "change_too_large",
        what: "a list that grows by more than `guard.max_change_percent`",
        metrics: &["fetch.result=refused"],
        log: &[("guard.max_change_percent", 1)],
        documented: documented::GUARD,
        test: "guard::a_list_that_grows_too_fast",
        ..Row::BASE
    },
    Row {
        fault: "over_memory",
        what: "a list that needs more than `attack_list_memory`",
        metrics: &["fetch.result=memory"],
        log: &[("attack_list_memory", 1)],
        documented: documented::GUARD,
        test: "guard::a_list_over_the_memory_bound",
        ..Row::BASE
    },
    Row {
        fault: "protected_entries",
        what: "entries for unspecified addresses, for the allow list and for `guard.never_block`",
        list: List::New,
        metrics: &["entries_skipped"],
        documented: documented::UNUSABLE_ENTRY,
        test: "guard::entries_that_must_not_be_blocked",
        ..Row::BASE
    },
    Row {
        fault: "denied_share",
        what: "a list that would deny more than `guard.max_denied_percent` of the requests",
        requests: Requests::Other(
            "a worker over the bound only counts what it would deny; clean requests are served",
        ),
        metrics: &["would_deny.source=abs.kind=ip"],
        log: &[
            ("only counts what it would deny", EACH_WORKER),
            ("enforces it again", EACH_WORKER),
        ],
        documented: documented::DENIED_SHARE,
        test: "guard::a_list_that_would_deny_most_requests",
        ..Row::BASE
    },
];

/// The list is refused as a whole: the active list stays, and fetches succeed once ABS's list is fixed.
fn is_refused(fault: &str, plugin: Value, list: Value) {
    scenario(every_second().plugin(plugin), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, fault).await;
        harness.abs.list(list.clone()).await;
        watch.expect_effects(harness, 2).await;
        harness.abs.unlist(list).await;
        recovers(harness).await;
        background.stop(&[fault]).await;
    });
}

#[test]
fn a_list_with_too_many_unusable_entries() {
    let ips: Vec<_> = (0..102).map(|i| format!("10.0.0.{}", i * 3)).collect();
    let body = json!({"ips": ips}).to_string();
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        inject(harness, "skips_too_many", json!({"body": body})).await;
        background.stop(&["skips_too_many"]).await;
    });
}

#[test]
fn an_ipv4_range_that_is_too_wide() {
    let list = json!({"ips": ["126.0.0.0/7", "127.0.0.9"]});
    is_refused("range_too_wide", json!({}), list);
}

#[test]
fn an_ipv6_range_that_is_too_wide() {
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
fn a_list_over_the_memory_bound() {
    let ips: Vec<_> = (0..3_000)
        .map(|i| format!("10.0.{}.{}", i / 256, i % 256))
        .collect();
    let setup = every_second().plugin(json!({"attack_list_memory": "8KB"}));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let bytes = harness.envoy.count("attack_list.bytes").await;
        assert!(bytes > 0 && bytes <= 8 << 10, "{bytes}");
        let watch = Watch::begin(harness, "over_memory").await;
        harness.abs.list(json!({"ips": ips})).await;
        watch.expect_effects(harness, 2).await;
        assert_eq!(harness.envoy.count("attack_list.bytes").await, bytes);
        assert_eq!(harness.envoy.count("attack_list.entries.kind=ip").await, 1);
        // A higher bound takes effect with the next fetch.
        harness
            .envoy
            .reconfigure(json!({"attack_list_memory": "1MB"}))
            .await;
        harness
            .metric_becomes("attack_list.entries.kind=ip", 3_001)
            .await;
        recovers(harness).await;
        background.stop(&["over_memory"]).await;
    });
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
        // No client has an unspecified address.
        watch.expect_effects(harness, 2).await;
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
fn a_list_that_would_deny_most_requests() {
    let setup = every_second().plugin(json!({"guard": {"max_denied_percent": 60}}));
    scenario(setup, async |harness| {
        harness.abs.list(crate::background_traffic::list()).await;
        let listed = harness.get("/").from(LISTED);
        harness.becomes_denied(&listed).await;
        let watch = Watch::begin(harness, "denied_share").await;
        // A listed client is denied or only counted.
        let either = |reply: &Reply| reply.is_denied() || reply.is_allowed();
        let mut lanes = Vec::new();
        for _ in 0..4 {
            lanes.push(harness.traffic_on_every_worker(&listed, either).await);
        }
        // After the listed client, so that the share passes its bound once.
        let background = BackgroundTraffic::clean(harness).await;
        // On every worker, because each one counts its own requests.
        harness.becomes_allowed(&listed).await;
        harness
            .metric_reaches("would_deny.source=abs.kind=ip", 1)
            .await;
        let n_lines = |text: &str| harness.envoy.log().matches(text).count();
        let each = Artefact::under_test().n_reporters(EACH_WORKER);
        eventually("each worker reports that it only counts", async || {
            (n_lines("only counts what it would deny") == each).then_some(())
        })
        .await;
        for lane in lanes {
            lane.stop().await.assert_clean();
        }
        harness.becomes_denied(&listed).await;
        eventually("each worker reports that it enforces again", async || {
            (n_lines("enforces it again") == each).then_some(())
        })
        .await;
        watch.expect_effects(harness, 1).await;
        background.stop(&["denied_share"]).await;
    });
}

#[test]
fn denials_before_the_first_list_are_not_counted_against_the_share() {
    let setup = every_second().abs_down().plugin(json!({
        "before_first_list": "deny",
        "guard": {"max_denied_percent": 10}
    }));
    scenario(setup, async |harness| {
        let request = harness.get("/").from(CLEAN);
        // More requests on each worker and more ticks than the share needs to be measured.
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
