//! `enable_abs`: records of requests and responses for ABS, and their fate when ABS fails.

use crate::harness::{Harness, Setup, eventually, scenario};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CONNECTIONS: usize = 16;

/// Batches, to the simulator's receiver at ABS's address.
fn sending(traffic: Value) -> Setup {
    Setup::new()
        .plugin(json!({"enable_abs": true, "traffic": {"format": "batch", "cluster": null}}))
        .plugin(json!({"traffic": traffic}))
}

/// The shipped format: ASE's sideband, at its own address.
fn sideband() -> Setup {
    Setup::new().plugin(json!({"enable_abs": true}))
}

/// Sends one request with its own path for each number, over several connections.
async fn send_numbered(harness: &Harness, numbers: std::ops::Range<usize>) {
    let mut tasks = Vec::new();
    for offset in 0..CONNECTIONS {
        let first = harness.get("/n");
        let numbers = numbers.clone();
        tasks.push(tokio::spawn(async move {
            let mut connection = first.connect().await.unwrap();
            for number in numbers.skip(offset).step_by(CONNECTIONS) {
                let request = first.clone().at_path(&format!("/n/{number}"));
                let reply = connection.send(&request).await.unwrap();
                assert_eq!(reply.status, 200);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// The filter's counts of records: sent, dropped, failed.
async fn books(harness: &Harness) -> [u64; 3] {
    [
        harness.envoy.count("traffic.sent").await,
        harness.envoy.count("traffic.dropped").await,
        harness.envoy.count("traffic.failed").await,
    ]
}

#[test]
fn each_of_ten_thousand_requests_arrives_exactly_once() {
    scenario(
        sending(json!({"flush_interval": "500ms"})),
        async |harness| {
            send_numbered(harness, 0..10_000).await;
            eventually("ABS has all records", async || {
                (harness.abs.counter("traffic_records").await >= 10_000).then_some(())
            })
            .await;
            harness.metric_becomes("traffic.sent", 10_000).await;
            let records = harness.abs.records().await;
            let urls: BTreeSet<_> = records
                .iter()
                .map(|record| record["url"].as_str().unwrap().to_owned())
                .collect();
            let ids: BTreeSet<_> = records
                .iter()
                .map(|record| record["correlation_id"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(
                (records.len(), urls.len(), ids.len()),
                (10_000, 10_000, 10_000)
            );
            assert_eq!(books(harness).await, [10_000, 0, 0]);
            assert_eq!(harness.abs.counter("traffic_records").await, 10_000);
        },
    );
}

#[test]
fn a_record_has_the_request_the_response_and_the_verdict() {
    scenario(
        sending(json!({"flush_interval": "100ms", "gzip": true})),
        async |harness| {
            harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            harness
                .becomes_denied(&harness.get("/x").from("127.0.0.7"))
                .await;
            let token = harness.secrets.plant("token");
            harness
                .get("/recorded?api_key=k1")
                .bearer(&token)
                .header("user-agent", "probe/1")
                .header("x-internal", "not-recorded")
                .header("accept", b"caf\xe9".as_slice())
                .header("referer", vec![b'r'; 20_000])
                .send()
                .await;
            harness.get("/blocked").from("127.0.0.7").send().await;
            let find = async |url: &str| {
                eventually(&format!("a record of {url}"), async || {
                    let records = harness.abs.records().await;
                    records.into_iter().find(|record| record["url"] == url)
                })
                .await
            };
            let record = find("/recorded?api_key=k1").await;
            assert_eq!(record["source_ip"], "127.0.0.1", "{record}");
            assert_eq!(record["method"], "GET");
            assert_eq!(record["http_version"], "1.1");
            assert_eq!(record["response_code"], "200");
            assert_eq!(record["verdict"], "allowed");
            assert_eq!(record["blocked"], false);
            let text = record.to_string();
            assert!(text.contains(&format!("Bearer {token}")), "{text}");
            assert!(
                text.contains("probe/1") && text.contains("caf\u{fffd}"),
                "{text}"
            );
            assert!(
                !text.contains("not-recorded") && !text.contains("rrrr"),
                "{text}"
            );
            let blocked = find("/blocked").await;
            assert_eq!(blocked["verdict"], "denied abs ip");
            assert_eq!(blocked["blocked"], true);
            assert_eq!(blocked["response_code"], "403");
        },
    );
}

#[test]
fn sideband_calls_for_a_request_and_its_response_go_to_the_same_node() {
    let setup = sideband().abs_arguments(&["--ase-nodes", "3", "--ase-token", "ase-secret"]);
    let setup = setup.plugin(json!({"traffic": {"ase_token": "ase-secret"}}));
    scenario(setup, async |harness| {
        assert_ne!(harness.abs.address, harness.abs.sideband);
        send_numbered(harness, 0..64).await;
        harness.metric_becomes("traffic.sent", 64).await;
        assert_eq!(harness.abs.counter("ase_request").await, 64);
        assert_eq!(harness.abs.counter("ase_response").await, 64);
        assert_eq!(harness.abs.counter("traffic_records").await, 64);
        assert_eq!(harness.abs.counter("traffic_batches").await, 0);
        assert_eq!(books(harness).await, [64, 0, 0]);
        assert!(
            harness
                .envoy
                .count("traffic.last_success_unix_seconds")
                .await
                > 0
        );
        assert_eq!(
            harness
                .envoy
                .count("traffic.last_failure_unix_seconds")
                .await,
            0
        );
    });
}

#[test]
fn sideband_calls_to_abs_fail_with_one_line_per_worker() {
    // ABS's cluster, which has no sideband interface.
    let setup = sideband().plugin(json!({"traffic": {"cluster": "abs"}}));
    scenario(setup, async |harness| {
        send_numbered(harness, 0..64).await;
        harness.metric_becomes("traffic.failed", 64).await;
        assert_eq!(books(harness).await, [0, 0, 64]);
        assert_eq!(
            harness.envoy.count("traffic.last_failure_status").await,
            404
        );
        let lines = harness.envoy.log();
        let lines: Vec<_> = lines
            .lines()
            .filter(|line| line.contains("sending traffic information failed"))
            .collect();
        assert!((1..=4).contains(&lines.len()), "{lines:?}");
        assert!(
            lines[0].contains("check that traffic.cluster names"),
            "{lines:?}"
        );
        // With the right cluster, all records arrive.
        harness
            .envoy
            .reconfigure(json!({"traffic": {"cluster": "ase"}}))
            .await;
        send_numbered(harness, 0..64).await;
        harness.metric_becomes("traffic.sent", 64).await;
        assert_eq!(harness.abs.counter("traffic_records").await, 64);
    });
}

#[test]
fn an_outage_of_ase_does_not_stop_the_fetches() {
    scenario(sideband(), async |harness| {
        harness
            .abs
            .fault(json!({"reset": true, "endpoint": "traffic"}))
            .await;
        send_numbered(harness, 0..32).await;
        harness
            .metric_reaches("traffic.last_failure_unix_seconds", 1)
            .await;
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        harness
            .becomes_denied(&harness.get("/x").from("127.0.0.7"))
            .await;
        harness.abs.clear_faults().await;
        harness.metric_reaches("traffic.sent", 32).await;
    });
}

#[test]
fn an_attacker_that_abs_detects_from_records_is_blocked() {
    scenario(
        sending(json!({"flush_interval": "100ms"}))
            .abs_arguments(&["--detect-unauthorized-per-minute", "5"]),
        async |harness| {
            let token = harness.secrets.plant("attacker");
            let attack = harness.get("/status/401").bearer(&token);
            eventually("the attacker is blocked", async || {
                (attack.send().await.status == 403).then_some(())
            })
            .await;
            harness
                .becomes_denied(&harness.get("/").bearer(&token))
                .await;
            harness.assert_allowed(&harness.get("/")).await;
        },
    );
}

#[test]
fn with_abs_down_requests_pass_the_queue_is_bounded_and_every_record_is_counted() {
    scenario(
        sending(json!({"queue_memory": "64KB", "batch_bytes": "16KB", "flush_interval": "100ms"})),
        async |harness| {
            send_numbered(harness, 0..100).await;
            harness.metric_becomes("traffic.sent", 100).await;
            harness.abs.stop();
            send_numbered(harness, 100..4_100).await;
            harness.metric_reaches("traffic.dropped", 1_000).await;
            let n_lines = |what: &str| {
                let line = format!("sending traffic information {what}");
                harness.envoy.log().matches(&line).count()
            };
            harness
                .envoy
                .logs("sending traffic information failed")
                .await;
            harness.abs.restart().await;
            eventually("every record is accounted for", async || {
                (books(harness).await.iter().sum::<u64>() == 4_100).then_some(())
            })
            .await;
            // A batch that was pending when ABS went down may have arrived and be sent again.
            let [sent, ..] = books(harness).await;
            let arrived = harness.abs.counter("traffic_records").await;
            assert!(arrived >= sent - 100, "{arrived} of {sent}");
            eventually(
                "each worker that failed reports that it works again",
                async || (n_lines("works again") == n_lines("failed")).then_some(()),
            )
            .await;
            let lines = n_lines("failed");
            assert!((1..=4).contains(&lines), "one line a worker, not {lines}");
        },
    );
}

#[test]
fn for_every_response_of_abs_requests_pass_and_records_are_kept_or_counted() {
    scenario(
        sending(json!({"flush_interval": "100ms"})),
        async |harness| {
            let traffic = harness.traffic(&harness.get("/background"), 4).await;
            for (fault, kept) in [
                (json!({"status": 401}), false),
                (json!({"status": 404}), false),
                (json!({"status": 405}), false),
                (json!({"status": 413}), false),
                (json!({"status": 429, "retry_after": 1}), true),
                (json!({"status": 500}), true),
                (json!({"status": 400}), false),
                (json!({"reset": true}), true),
                (json!({"delay_ms": 300}), true),
            ] {
                let mut order = fault.clone();
                order["endpoint"] = json!("traffic");
                let [_, _, failed] = books(harness).await;
                harness.abs.fault(order).await;
                if !kept {
                    harness.metric_reaches("traffic.failed", failed + 1).await;
                } else if fault["delay_ms"].is_null() {
                    let faults = harness.abs.counter("faults").await;
                    eventually("the fault occurs", async || {
                        (harness.abs.counter("faults").await > faults).then_some(())
                    })
                    .await;
                }
                harness.abs.clear_faults().await;
                let [sent, ..] = books(harness).await;
                harness.metric_reaches("traffic.sent", sent + 1).await;
                if kept {
                    let [.., now] = books(harness).await;
                    assert_eq!(now, failed, "{fault}");
                }
            }
            let report = traffic.stop().await;
            report.assert_clean();
            eventually("every record is accounted for", async || {
                (books(harness).await.iter().sum::<u64>() == report.good).then_some(())
            })
            .await;
        },
    );
}

#[test]
fn a_changed_configuration_loses_no_record() {
    scenario(
        sending(json!({"flush_interval": "200ms"})),
        async |harness| {
            let traffic = harness.traffic(&harness.get("/"), 4).await;
            for round in 0..10 {
                harness
                    .envoy
                    .reconfigure(json!({"deny_list": {"ips": [format!("192.0.2.{round}")]}}))
                    .await;
                traffic.wait_for_more(50).await;
            }
            let report = traffic.stop().await;
            report.assert_clean();
            harness.metric_becomes("traffic.sent", report.good).await;
            assert_eq!(books(harness).await, [report.good, 0, 0]);
        },
    );
}

#[test]
fn with_sample_a_share_of_the_requests_is_recorded() {
    scenario(
        sending(json!({"flush_interval": "100ms", "sample": 0.25})),
        async |harness| {
            send_numbered(harness, 0..400).await;
            eventually("the sample has arrived", async || {
                // Each worker samples evenly, so its count may be off by one.
                let records = harness.abs.counter("traffic_records").await;
                (96..=104).contains(&records).then_some(())
            })
            .await;
        },
    );
}
