//! Several listeners, several filters, bad configurations, a restart.

use crate::background_traffic::{BackgroundTraffic, CLEAN, LISTED};
use crate::every_second;
use crate::harness::artefact::Artefact;
use crate::harness::client::Request;
use crate::harness::envoy::Change;
use crate::harness::envoy_files::{directory_in, plugin};
use crate::harness::{Harness, eventually, scenario};
use crate::matrix::{EACH_WORKER, List, Requests, Row, documented};
use crate::watch::Watch;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "bad_configuration",
        what: "a configuration with two errors",
        metrics: &["fetch.result=not_modified"],
        log: &[
            ("the plugin configuration is refused", 1),
            ("enable_firewal: unknown key", 1),
            ("attack_list_memory: found", 1),
        ],
        documented: documented::CONFIGURATION,
        test: "envoys::a_configuration_with_errors",
        ..Row::BASE
    },
    Row {
        fault: "two_filters",
        what: "two filters of one VM with one list of ABS and different manual lists, which apply per filter",
        list: List::New,
        metrics: &["fetch.result=ok"],
        documented: documented::SEVERAL_FILTERS,
        test: "envoys::two_filters_with_different_configurations",
        ..Row::BASE
    },
    Row {
        fault: "ten_listeners",
        what: "the same filter on ten listeners: still one fetch per interval",
        list: List::New,
        metrics: &["fetch.result=not_modified"],
        documented: documented::SEVERAL_FILTERS,
        test: "envoys::one_filter_on_ten_listeners",
        ..Row::BASE
    },
    Row {
        fault: "restart",
        what: "Envoy is killed and restarted",
        requests: Requests::Other("served before and after"),
        list: List::New,
        metrics: &["fetch.result=ok"],
        documented: documented::RESTART,
        test: "envoys::envoy_is_restarted",
        ..Row::BASE
    },
    Row {
        fault: "records_refused",
        what: "ABS refuses traffic records",
        metrics: &["traffic.dropped"],
        log: &[("sending traffic information failed", EACH_WORKER)],
        documented: documented::RECORDS,
        test: "envoys::abs_refuses_traffic_records",
        ..Row::BASE
    },
];

/// A request to another listener.
fn at(harness: &Harness, listener: SocketAddr, client: &str) -> Request {
    harness.get("/").at_port(listener.port()).from(client)
}

/// The bootstrap before its listener, the listener, and the rest.
fn listener(bootstrap: &str) -> [&str; 3] {
    let (before, rest) = bootstrap.split_once("    - name: ingress\n").unwrap();
    let (listener, after) = rest.split_once("\n  clusters:\n").unwrap();
    [before, listener, after]
}

#[test]
fn one_filter_on_ten_listeners() {
    let setup = every_second().bootstrap(|text| {
        let [before, listener, after] = listener(&text);
        let ten: String = (0..10)
            .map(|i| format!("    - name: ingress{i}\n{listener}\n"))
            .collect();
        format!("{before}{ten}  clusters:\n{after}")
    });
    scenario(setup, async |harness| {
        let listeners = harness.envoy.listeners().await;
        assert_eq!(listeners.len(), 10);
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "ten_listeners").await;
        let mut lanes = Vec::new();
        for listener in listeners {
            // Together the connections to all listeners reach every worker.
            assert!(at(harness, listener, LISTED).send().await.is_denied());
            lanes.push(harness.traffic(&at(harness, listener, CLEAN), 2).await);
        }
        let (started, fetches) = (std::time::Instant::now(), harness.abs.fetches().await);
        harness.abs.list(json!({"ips": ["127.0.0.9"]})).await;
        watch.expect_effects(harness, 5).await;
        for listener in harness.envoy.listeners().await {
            let request = at(harness, listener, "127.0.0.9");
            assert!(request.send().await.is_denied());
        }
        // One fetch a second, not one per listener.
        let (fetched, span) = (harness.abs.fetches().await - fetches, started.elapsed());
        assert!(
            fetched as f64 <= span.as_secs_f64() + 2.0,
            "{fetched} in {span:?}"
        );
        for lane in lanes {
            lane.stop().await.assert_clean();
        }
        background.stop(&["ten_listeners"]).await;
    });
}

/// A second filter of the same module: other manual lists, another reply, the same list of ABS.
fn second_filter(directory: &Path) -> Value {
    let artefact = Artefact::under_test();
    let mut filter = artefact.filter();
    *plugin(&mut filter) = json!({
        "enable_abs_attack": true,
        "abs_attack_request_minutes": 0.0167,
        "abs": {"cluster": "abs", "timeout": "1s"},
        "allow_list": {"ips": ["127.0.0.9"], "oauth_tokens": ["second"]},
        "deny_list": {"ips": ["127.0.0.11"]},
        "deny_response": {"status": 429}
    });
    artefact.set_module(&mut filter, &artefact.module(), directory);
    filter["resources"][0]["typed_config"].clone()
}

#[test]
fn two_filters_with_different_configurations() {
    let setup = every_second()
        .plugin(json!({"allow_list": {"ips": ["127.0.0.10"], "oauth_tokens": ["first"]}}))
        .bootstrap(|text| {
            let [before, listener, after] = listener(&text);
            let (start, rest) = listener.split_once("config_discovery:").unwrap();
            let (_, end) = rest.split_once("                  - name: envoy.filters.http.router").unwrap();
            let second = format!(
                "{start}typed_config: {}\n                  - name: envoy.filters.http.router{end}",
                second_filter(directory_in(&text))
            );
            format!(
                "{before}    - name: first\n{listener}\n    - name: second\n{second}\n  clusters:\n{after}"
            )
        });
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "two_filters").await;
        let second = harness.envoy.listeners().await[1];
        harness
            .abs
            .list(json!({
                "ips": ["127.0.0.9", "127.0.0.10"],
                "oauth_tokens": ["first", "second"]
            }))
            .await;
        watch.expect_effects(harness, 1).await;
        let status = async |listener: SocketAddr, client: &str, token: Option<&str>| {
            let mut request = at(harness, listener, client);
            if let Some(token) = token {
                request = request.bearer(token);
            }
            request.send().await.status
        };
        let first = harness.envoy.listener;
        for (client, token, at_first, at_second) in [
            (CLEAN, None, 200, 200),
            (LISTED, None, 403, 429),
            // Each allow list applies to its own filter only.
            ("127.0.0.9", None, 403, 200),
            ("127.0.0.10", None, 200, 429),
            (CLEAN, Some("first"), 200, 429),
            (CLEAN, Some("second"), 403, 200),
            // So does the deny list.
            ("127.0.0.11", None, 200, 429),
        ] {
            let expected = (at_first, at_second);
            let mut met = (0, 0);
            eventually(
                &format!("{client} {token:?} gets {expected:?}"),
                async || {
                    met = (
                        status(first, client, token).await,
                        status(second, client, token).await,
                    );
                    (met == expected).then_some(())
                },
            )
            .await;
        }
        background.stop(&["two_filters"]).await;
    });
}

#[test]
fn a_configuration_with_errors() {
    let setup = every_second().plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}}));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "bad_configuration").await;
        let change = harness
            .envoy
            .configure(json!({
                "enable_firewal": false,
                "attack_list_memory": "lots",
                "deny_list": null
            }))
            .await;
        assert_eq!(change, Change::Refused);
        watch.expect_effects(harness, 1).await;
        let suggestion = "enable_firewal: unknown key; did you mean \"enable_firewall\"?";
        harness.envoy.logs(suggestion).await;
        let manual = harness.get("/").from("127.0.0.9");
        harness.assert_denied(&manual).await;
        // Envoy accepts a good one afterwards.
        harness.envoy.reconfigure(json!({"deny_list": null})).await;
        harness.becomes_allowed(&manual).await;
        background.stop(&["bad_configuration"]).await;
    });
}

#[test]
fn envoy_is_restarted() {
    // With this interval, a list that is there at once comes from the fetch at the start.
    let setup = every_second().plugin(json!({"abs_attack_request_minutes": 10}));
    scenario(setup, async |harness| {
        harness.abs.list(crate::background_traffic::list()).await;
        harness
            .envoy
            .reconfigure(json!({"abs_attack_request_minutes": 0.0167}))
            .await;
        let background = BackgroundTraffic::once_listed(harness).await;
        background.stop(&[]).await;
        harness.restart_envoy().await;
        let watch = Watch::from_start("restart");
        let background = BackgroundTraffic::once_listed(harness).await;
        watch.expect_effects(harness, 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 1);
        background.stop(&["restart"]).await;
    });
}

#[test]
fn abs_refuses_traffic_records() {
    let setup = every_second().plugin(json!({
        "enable_abs": true,
        "traffic": {"format": "batch", "cluster": null, "flush_interval": "100ms", "queue_memory": "64KB", "batch_bytes": "8KB"}
    }));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "records_refused").await;
        harness
            .abs
            .fault(json!({"status": 500, "endpoint": "traffic"}))
            .await;
        watch.expect_effects(harness, 1).await;
        let sent = harness.envoy.count("traffic.sent").await;
        harness.abs.clear_faults().await;
        harness.metric_reaches("traffic.sent", sent + 100).await;
        background.stop(&["records_refused"]).await;
    });
}
