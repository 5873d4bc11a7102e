//! ABS is unreachable: down, unknown name, bad certificate, no cluster.

use crate::background_traffic::{BackgroundTraffic, LISTED};
use crate::every_second;
use crate::harness::certificate::Certificate;
use crate::harness::{Setup, scenario};
use crate::matrix::{List, Requests, Row, documented};
use crate::watch::{Watch, inject, recovers};
use serde_json::json;

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "down_at_start",
        what: "ABS is not there when Envoy starts",
        list: List::NoneYet,
        metrics: &["fetch.result=status"],
        log: &[("status 503", 1)],
        documented: documented::UNREACHABLE_AT_START,
        test: "unreachable::abs_is_down_at_the_start",
        ..Row::BASE
    },
    Row {
        fault: "down_at_second_fetch",
        what: "ABS goes down after its first response",
        metrics: &["fetch.result=status"],
        log: &[("status 503", 1)],
        test: "unreachable::abs_goes_down_after_its_first_response_and_stays_down",
        ..Row::BASE
    },
    Row {
        fault: "down_for_long",
        what: "the same for twenty fetches, past `attack_list_max_age`",
        metrics: &["fetch.result=status"],
        log: &[("status 503", 1), ("the attack list is stale", 1)],
        documented: documented::UNREACHABLE_FOR_LONG,
        test: "unreachable::abs_goes_down_after_its_first_response_and_stays_down",
        ..Row::BASE
    },
    Row {
        fault: "flapping",
        what: "ABS fails and recovers repeatedly while its list changes",
        metrics: &["fetch.result=status"],
        log: &[("status 500", 1)],
        test: "unreachable::abs_fails_and_recovers_repeatedly",
        ..Row::BASE
    },
    Row {
        fault: "unknown_name",
        what: "the name of ABS does not resolve",
        list: List::NoneYet,
        metrics: &["fetch.result=reset"],
        log: &[("no healthy host", 1)],
        documented: documented::UNREACHABLE_AT_START,
        test: "unreachable::the_name_of_abs_does_not_resolve",
        ..Row::BASE
    },
    Row {
        fault: "no_cluster",
        what: "`abs.cluster` names a cluster that this Envoy does not have",
        list: List::NoneYet,
        metrics: &["fetch.result=reset"],
        log: &[("no such cluster", 1)],
        documented: documented::UNREACHABLE_AT_START,
        test: "unreachable::the_configured_cluster_does_not_exist",
        ..Row::BASE
    },
    Row {
        fault: "certificate_of_another_name",
        what: "ABS's certificate is for another name",
        list: List::NoneYet,
        metrics: &["fetch.result=status"],
        log: &[("TLS settings", 1)],
        documented: documented::UNREACHABLE_AT_START,
        test: "unreachable::the_certificate_of_abs_is_for_another_name",
        ..Row::BASE
    },
    Row {
        fault: "expired_certificate",
        what: "ABS's certificate has expired",
        list: List::NoneYet,
        metrics: &["fetch.result=status"],
        log: &[("TLS settings", 1)],
        documented: documented::UNREACHABLE_AT_START,
        test: "unreachable::the_certificate_of_abs_has_expired",
        ..Row::BASE
    },
    Row {
        fault: "clock_behind",
        what: "ABS's clock is a day behind",
        list: List::New,
        metrics: &["fetch.result=ok"],
        documented: documented::CLOCK,
        test: "unreachable::the_clock_of_abs_is_a_day_off",
        ..Row::BASE
    },
    Row {
        fault: "clock_ahead",
        what: "ABS's clock is a day ahead",
        requests: Requests::Other(
            "an entry dated in the future is not requested yet, so its client passes; otherwise served",
        ),
        metrics: &["fetch.result=not_modified"],
        documented: documented::CLOCK,
        test: "unreachable::the_clock_of_abs_is_a_day_off",
        ..Row::BASE
    },
];

#[test]
fn abs_is_down_at_the_start() {
    scenario(every_second().abs_down(), async |harness| {
        let background = BackgroundTraffic::clean(harness).await;
        Watch::from_start("down_at_start")
            .expect_effects(harness, 2)
            .await;
        harness.abs.restart().await;
        harness.abs.list(json!({"ips": [LISTED]})).await;
        harness.becomes_denied(&harness.get("/").from(LISTED)).await;
        background.stop(&["down_at_start"]).await;
    });
}

#[test]
fn abs_goes_down_after_its_first_response_and_stays_down() {
    let setup = every_second().plugin(json!({"attack_list_max_age": "15s"}));
    scenario(setup, async |harness| {
        let mut background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "down_at_second_fetch").await;
        harness.abs.stop();
        watch.expect_effects(harness, 1).await;
        // At least as many fetches as an hour of the default interval has.
        let watch = watch.continues_as("down_for_long");
        watch.expect_effects(harness, 20).await;
        assert_eq!(harness.envoy.count("attack_list.stale").await, 1);
        // It restarts with an empty list.
        background.stop_listed().await;
        harness.abs.restart().await;
        recovers(harness).await;
        harness.metric_becomes("attack_list.stale", 0).await;
        harness
            .becomes_allowed(&harness.get("/").from(LISTED))
            .await;
        background
            .stop(&["down_at_second_fetch", "down_for_long"])
            .await;
    });
}

#[test]
fn abs_fails_and_recovers_repeatedly() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        for round in 1..=5 {
            inject(harness, "flapping", json!({"status": 500})).await;
            let next = format!("127.0.1.{round}");
            harness.abs.list(json!({"ips": [next]})).await;
            harness.becomes_denied(&harness.get("/").from(&next)).await;
        }
        background.stop(&["flapping"]).await;
    });
}

#[test]
fn the_name_of_abs_does_not_resolve() {
    let setup = every_second().bootstrap(|text| {
        let (before, abs) = text.split_once("    - name: abs\n").unwrap();
        let abs = abs.replacen("type: STATIC", "type: STRICT_DNS", 1);
        let abs = abs.replacen("address: 127.0.0.1", "address: abs.invalid", 1);
        format!("{before}    - name: abs\n{abs}")
    });
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::clean(harness).await;
        Watch::from_start("unknown_name")
            .expect_effects(harness, 3)
            .await;
        background.stop(&["unknown_name"]).await;
    });
}

#[test]
fn the_configured_cluster_does_not_exist() {
    let setup = every_second().plugin(json!({"abs": {"cluster": "nowhere"}}));
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::clean(harness).await;
        harness.abs.list(json!({"ips": [LISTED]})).await;
        Watch::from_start("no_cluster")
            .expect_effects(harness, 3)
            .await;
        harness
            .envoy
            .reconfigure(json!({"abs": {"cluster": "abs"}}))
            .await;
        harness.becomes_denied(&harness.get("/").from(LISTED)).await;
        background.stop(&["no_cluster"]).await;
    });
}

#[test]
fn the_certificate_of_abs_is_for_another_name() {
    bad_certificate("certificate_of_another_name", "other.example.com", 2096);
}

#[test]
fn the_certificate_of_abs_has_expired() {
    bad_certificate("expired_certificate", "abs.example.com", 2020);
}

fn bad_certificate(fault: &str, name: &str, last_year: i32) {
    let certificate = Certificate::valid_until(name, last_year);
    let arguments = certificate.arguments();
    let setup: Setup = every_second()
        .abs_arguments(&arguments.each_ref().map(String::as_str))
        .abs_over_tls(certificate.path());
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::clean(harness).await;
        Watch::from_start(fault).expect_effects(harness, 3).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
        background.stop(&[fault]).await;
    });
}

#[test]
fn the_clock_of_abs_is_a_day_off() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        for (fault, client, days) in [
            ("clock_behind", "127.0.0.9", -1),
            ("clock_ahead", "127.0.0.10", 1),
        ] {
            let watch = Watch::begin(harness, fault).await;
            harness
                .abs
                .list(json!({"ips": [client], "detected_at": days_from_now(days)}))
                .await;
            harness.list_is_fetched_again().await;
            watch.expect_effects(harness, 1).await;
            let request = harness.get("/").from(client);
            match fault {
                "clock_behind" => harness.assert_denied(&request).await,
                _ => harness.assert_allowed(&request).await,
            }
        }
        background.stop(&["clock_behind", "clock_ahead"]).await;
    });
}

/// A date and time in ABS's format.
fn days_from_now(days: i64) -> String {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seconds = i64::try_from(since_epoch).unwrap() + days * 86_400;
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let (date, hour, minute) = (time.date(), time.hour(), time.minute());
    format!("{date}T{hour:02}:{minute:02}")
}
