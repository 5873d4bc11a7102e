//! When ABS is asked for the list, and how fast all workers have it.

use crate::harness::{Harness, Setup, eventually, interval, scenario, within};
use serde_json::json;
use std::time::Duration;

#[test]
fn one_fetch_an_interval_with_one_worker() {
    one_fetch_an_interval_with(1);
}

#[test]
fn one_fetch_an_interval_with_four_workers() {
    one_fetch_an_interval_with(4);
}

#[test]
fn one_fetch_an_interval_with_sixteen_workers() {
    one_fetch_an_interval_with(16);
}

/// Six intervals of two seconds under traffic on every worker, and more after a change of configuration.
fn one_fetch_an_interval_with(workers: u32) {
    let setup = Setup::new()
        .concurrency(workers)
        .plugin(json!({"abs_attack_request_minutes": 2.0 / 60.0}));
    scenario(setup, async |harness| {
        let traffic = harness
            .traffic(&harness.get("/"), 2 * workers as usize)
            .await;
        harness.metric_reaches("fetch.result=ok", 1).await;
        assert_interval(harness, Duration::from_secs(2), 6).await;
        harness
            .envoy
            .reconfigure(json!({"deny_list": {"ips": ["127.0.0.9"]}}))
            .await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.9"))
            .await;
        assert_interval(harness, Duration::from_secs(2), 3).await;
        traffic.stop().await.assert_clean();
    });
}

#[test]
fn a_changed_interval_is_honoured() {
    scenario(Setup::new(), async |harness| {
        harness.metric_reaches("fetch.result=ok", 1).await;
        harness
            .envoy
            .reconfigure(json!({"abs_attack_request_minutes": 0.07}))
            .await;
        assert_interval(harness, Duration::from_millis(4200), 2).await;
        harness
            .envoy
            .reconfigure(json!({"abs_attack_request_minutes": 0.02}))
            .await;
        assert_interval(harness, Duration::from_millis(1200), 4).await;
    });
}

/// Fails the test unless there is one fetch in each of the next `count` intervals.
async fn assert_interval(harness: &Harness, interval: Duration, count: u32) {
    interval::assert_interval(async || harness.abs.fetch_times().await, interval, count).await;
}

#[test]
fn a_new_list_is_active_on_every_worker_within_a_second_of_its_fetch() {
    scenario(Setup::new(), async |harness| {
        let listed = harness.get("/").from("127.0.0.7");
        let mut connections = harness.connections_to_all_workers(&listed).await;
        harness.metric_reaches("fetch.result=ok", 1).await;

        let generation = harness.envoy.count("attack_list.generation").await;
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        eventually("the next generation is published", async || {
            (harness.envoy.count("attack_list.entries.kind=ip").await == 1).then_some(())
        })
        .await;
        within(Duration::from_secs(1), "every worker denies", async || {
            for connection in &mut connections {
                if !connection.send(&listed).await.unwrap().is_denied() {
                    return None;
                }
            }
            Some(())
        })
        .await;
        assert!(harness.envoy.count("attack_list.generation").await > generation);
    });
}

#[test]
fn the_fetch_sends_the_credentials_and_the_etag_of_the_active_list() {
    scenario(Setup::new(), async |harness| {
        harness.metric_reaches("fetch.result=ok", 1).await;
        // ABS reports an unchanged list.
        harness.metric_reaches("fetch.result=not_modified", 1).await;
        assert_eq!(harness.abs.counter("attacklist_unauthorized").await, 0);
        assert_eq!(harness.envoy.count("fetch.result=unauthorized").await, 0);
    });
}

#[test]
fn a_list_of_a_million_is_fetched_and_enforced() {
    scenario(Setup::new(), async |harness| {
        harness.abs.generate(1_000_000).await;
        harness
            .metric_becomes("attack_list.entries.kind=ip", 1_000_000)
            .await;
        harness.block("127.0.0.7").await;
        harness
            .assert_allowed(&harness.get("/").from("127.0.0.8"))
            .await;
    });
}
