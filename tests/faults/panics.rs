//! Panics in the native module, which is built with the feature `trap`: a request header says where it panics.

use crate::background_traffic::{BackgroundTraffic, CLEAN, LISTED};
use crate::every_second;
use crate::harness::artefact::Artefact;
use crate::harness::client::Request;
use crate::harness::process::artefact;
use crate::harness::{Harness, Setup, scenario};
use crate::matrix::{List, Requests, Row, documented};
use crate::watch::Watch;
use serde_json::json;

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "panic_in_request",
        what: "the native module panics in a request",
        requests: Requests::Other("503 for that request"),
        metrics: &["fetch.result=not_modified", "panics"],
        log: &[("panicked at", 1)],
        documented: documented::PANIC,
        test: "panics::the_module_panics_in_a_request",
        ..Row::BASE
    },
    Row {
        fault: "panic_in_tick",
        what: "the native module panics on the main thread",
        metrics: &["fetch.result=not_modified", "panics"],
        log: &[("panicked at", 1)],
        documented: documented::PANIC,
        test: "panics::the_module_panics_on_the_main_thread",
        ..Row::BASE
    },
    Row {
        fault: "panic_in_parser",
        what: "the native module panics while it reads a list",
        list: List::New,
        metrics: &["fetch.result=reset", "fetch.result=ok", "panics"],
        log: &[("panicked at", 1), ("fetching the attack list failed", 1)],
        documented: documented::PANIC,
        test: "panics::the_module_panics_while_it_reads_a_list",
        ..Row::BASE
    },
    Row {
        fault: "panics_on_one_worker",
        what: "the native module panics in three requests on one worker within a minute",
        requests: Requests::Other("503 for every request, until the configuration is replaced"),
        metrics: &["fetch.result=not_modified", "panics"],
        log: &[("panicked at", 3), ("ended in a panic within 60 s", 1)],
        documented: documented::PANIC,
        test: "panics::the_module_panics_three_times_on_one_worker",
        ..Row::BASE
    },
];

fn is_left_out() -> bool {
    Artefact::Native.is_left_out("a panic in a wasm module crashes its VM")
}

fn panicking() -> Setup {
    every_second().module(artefact(
        "PORTCULLIS_TRAP_NATIVE",
        "target/libportcullis-trap.so",
        "make trap-native",
    ))
}

/// A request with a command for the module.
fn command(harness: &Harness, word: &str) -> Request {
    harness
        .get("/")
        .from(CLEAN)
        .header("x-portcullis-trap", word)
}

/// Lists another client and waits until every worker denies it.
async fn new_entries_are_blocked(harness: &Harness, client: &str) {
    harness.abs.list(json!({"ips": [LISTED, client]})).await;
    harness.becomes_denied(&harness.get("/").from(client)).await;
    harness.assert_denied(&harness.get("/").from(LISTED)).await;
    harness.assert_allowed(&harness.get("/").from(CLEAN)).await;
}

#[test]
fn the_module_panics_in_a_request() {
    if is_left_out() {
        return;
    }
    scenario(panicking(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "panic_in_request").await;
        let reply = command(harness, "request").send().await;
        assert_eq!(reply.status, 503, "{reply:?}");
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
        background.stop(&["panic_in_request"]).await;
    });
}

#[test]
fn the_module_panics_on_the_main_thread() {
    if is_left_out() {
        return;
    }
    scenario(panicking(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "panic_in_tick").await;
        assert!(command(harness, "tick").send().await.is_allowed());
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
        background.stop(&["panic_in_tick"]).await;
    });
}

#[test]
fn the_module_panics_while_it_reads_a_list() {
    if is_left_out() {
        return;
    }
    scenario(panicking(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        let watch = Watch::begin(harness, "panic_in_parser").await;
        assert!(command(harness, "parse").send().await.is_allowed());
        new_entries_are_blocked(harness, "127.0.0.9").await;
        watch.expect_effects(harness, 1).await;
        background.stop(&["panic_in_parser"]).await;
    });
}

#[test]
fn the_module_panics_three_times_on_one_worker() {
    if is_left_out() {
        return;
    }
    scenario(panicking(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        background.stop(&[]).await;
        let watch = Watch::begin(harness, "panics_on_one_worker").await;
        let panic = command(harness, "request").http2();
        // On one connection and so on one worker.
        let mut connection = panic.connect().await.unwrap();
        for reply in connection.send_at_once(&panic, 3).await {
            assert_eq!(reply.status, 503, "{reply:?}");
        }
        let clean = harness.get("/").from(CLEAN);
        let listed = harness.get("/").from(LISTED);
        for request in [&clean, &listed] {
            harness
                .becomes(request, "a 503", |reply| reply.status == 503)
                .await;
        }
        harness
            .envoy
            .reconfigure(json!({"deny_response": {"status": 403}}))
            .await;
        harness.becomes_allowed(&clean).await;
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
    });
}
