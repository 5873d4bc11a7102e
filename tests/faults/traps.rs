//! VMs that crash: the module is built with the feature `trap`, and a request header says where it traps.

use crate::background_traffic::{BackgroundTraffic, CLEAN, LISTED, LISTED_TOKEN};
use crate::every_second;
use crate::harness::artefact::Artefact;
use crate::harness::client::Request;
use crate::harness::process::artefact;
use crate::harness::stopwatch::Stopwatch;
use crate::harness::{Harness, Setup, eventually, scenario, throughout};
use crate::matrix::{List, Requests, Row, documented};
use crate::watch::Watch;
use serde_json::json;
use std::time::{Duration, Instant};

/// The rows that the tests below show.
pub const ROWS: &[Row] = &[
    Row {
        fault: "trap_in_request",
        what: "a VM crashes in a request",
        requests: Requests::CrashFails,
        metrics: &["fetch.result=not_modified"],
        log: &[("unreachable", 1)],
        documented: documented::WORKER_VM,
        test: "traps::a_vm_crashes_in_a_request",
        ..Row::BASE
    },
    Row {
        fault: "trap_again_at_once",
        what: "a VM crashes again within a second of its start: Envoy creates the next one after about a second",
        requests: Requests::Other("503 on that worker until then; no listed request passes"),
        metrics: &["fetch.result=not_modified"],
        log: &[("unreachable", 2)],
        documented: documented::WORKER_VM,
        test: "traps::a_vm_crashes_again_at_once",
        ..Row::BASE
    },
    Row {
        fault: "trap_in_tick",
        what: "a worker's VM crashes in its tick",
        requests: Requests::CrashFails,
        metrics: &["fetch.result=not_modified"],
        log: &[("unreachable", 1)],
        documented: documented::WORKER_VM,
        test: "traps::a_worker_vm_crashes_in_its_tick",
        ..Row::BASE
    },
    Row {
        fault: "trap_on_main_thread",
        what: "the main thread's VM crashes, which Envoy does not recreate",
        metrics: &["fetch.result=not_modified"],
        log: &[("unreachable", 1)],
        documented: documented::FETCHING_VM,
        test: "traps::the_main_thread_vm_crashes",
        ..Row::BASE
    },
    Row {
        fault: "trap_while_publishing",
        what: "the main thread's VM crashes after it wrote all of a new list except the manifest; another VM publishes the list",
        list: List::New,
        metrics: &["fetch.result=ok"],
        log: &[("unreachable", 1)],
        documented: documented::FETCHING_VM,
        test: "traps::a_vm_crashes_while_it_publishes_a_list",
        ..Row::BASE
    },
    Row {
        fault: "trap_while_a_worker_publishes",
        what: "the same in a worker's VM",
        requests: Requests::CrashFails,
        list: List::New,
        metrics: &["fetch.result=ok"],
        log: &[("unreachable", 1)],
        documented: documented::FETCHING_VM,
        test: "traps::a_vm_crashes_while_it_publishes_a_list",
    },
];

/// Envoy recreates a VM at once if it crashes later than this after its start, otherwise after about a second (its backoff).
const BACKOFF: Duration = Duration::from_secs(3);

/// How often the VM of every worker crashes in the memory test.
const CRASHES: u64 = 6;

fn crashing() -> Setup {
    let module = artefact(
        "PORTCULLIS_TRAP_WASM",
        "target/portcullis-trap.wasm",
        "make trap-module",
    );
    every_second().module(module)
}

/// Whether the tests of this file are left out: they are about VMs, which Envoy creates again.
fn only_vms() -> bool {
    Artefact::Wasm.is_left_out("a native module has no VM that could crash")
}

/// Traffic on VMs that are old enough for Envoy to recreate them at once.
async fn with_old_vms(harness: &Harness) -> BackgroundTraffic {
    let started = Instant::now();
    let background = BackgroundTraffic::with_list(harness).await;
    tokio::time::sleep_until((started + BACKOFF).into()).await;
    background
}

/// A request with a command for the module.
fn command(harness: &Harness, word: &str) -> Request {
    harness
        .get("/")
        .from(CLEAN)
        .header("x-portcullis-trap", word)
}

/// Waits until Envoy has recreated `n` VMs.
async fn reloads(harness: &Harness, n: u64) {
    eventually(&format!("Envoy has recreated {n} VMs"), async || {
        let stats = harness
            .envoy
            .stats("wasm.portcullis.vm_reload_success")
            .await;
        (stats.values().sum::<u64>() >= n).then_some(())
    })
    .await;
}

/// Lists another client and waits until every worker denies it, which shows that some VM still fetches.
async fn new_entries_are_blocked(harness: &Harness, client: &str) {
    harness.abs.list(json!({"ips": [client]})).await;
    harness.becomes_denied(&harness.get("/").from(client)).await;
    harness.assert_denied(&harness.get("/").from(LISTED)).await;
    harness.assert_allowed(&harness.get("/").from(CLEAN)).await;
}

#[test]
fn a_vm_crashes_in_a_request() {
    if only_vms() {
        return;
    }
    scenario(crashing(), async |harness| {
        let background = with_old_vms(harness).await;
        let watch = Watch::begin(harness, "trap_in_request").await;
        let reply = command(harness, "request").send().await;
        assert_eq!(reply.status, 503, "{reply:?}");
        reloads(harness, 1).await;
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
        background.stop(&["trap_in_request"]).await;
    });
}

#[test]
fn a_vm_crashes_again_at_once() {
    if only_vms() {
        return;
    }
    scenario(crashing(), async |harness| {
        let background = with_old_vms(harness).await;
        background.stop(&[]).await;
        let watch = Watch::begin(harness, "trap_again_at_once").await;
        // On one connection and so on one worker, without a pause: the first crashes the old VM, the second the new one, and
        // for the third there is no VM.
        let crash = command(harness, "request").http2();
        let mut connection = crash.connect().await.unwrap();
        let crashed = Stopwatch::start();
        for reply in connection.send_at_once(&crash, 3).await {
            assert_eq!(reply.status, 503, "{reply:?}");
        }
        let stats = harness.envoy.vm_reloads().await;
        assert_eq!(stats["wasm.portcullis.vm_reload_success"], 1, "{stats:?}");
        assert_eq!(stats["wasm.portcullis.vm_reload_backoff"], 1, "{stats:?}");
        let listed = harness.get("/").from(CLEAN).bearer(LISTED_TOKEN).http2();
        eventually("the worker blocks again", async || {
            let reply = connection.send(&listed).await.unwrap();
            assert!(reply.is_denied() || reply.status == 503, "{reply:?}");
            reply.is_denied().then_some(())
        })
        .await;
        assert!(crashed.elapsed() < BACKOFF, "{:?}", crashed.elapsed());
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
    });
}

#[test]
fn a_worker_vm_crashes_in_its_tick() {
    if only_vms() {
        return;
    }
    scenario(crashing(), async |harness| {
        let background = with_old_vms(harness).await;
        let watch = Watch::begin(harness, "trap_in_tick").await;
        assert!(command(harness, "tick").send().await.is_allowed());
        reloads(harness, 1).await;
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
        background.stop(&["trap_in_tick"]).await;
    });
}

#[test]
fn the_main_thread_vm_crashes() {
    if only_vms() {
        return;
    }
    scenario(crashing(), async |harness| {
        let background = with_old_vms(harness).await;
        let watch = Watch::begin(harness, "trap_on_main_thread").await;
        assert!(command(harness, "main").send().await.is_allowed());
        watch.expect_effects(harness, 1).await;
        new_entries_are_blocked(harness, "127.0.0.9").await;
        // It serves no requests, so Envoy does not recreate it.
        let reloads = harness.envoy.vm_reloads().await;
        assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        background.stop(&["trap_on_main_thread"]).await;
    });
}

#[test]
fn a_vm_crashes_while_it_publishes_a_list() {
    if only_vms() {
        return;
    }
    scenario(crashing(), async |harness| {
        let background = with_old_vms(harness).await;
        let watch = Watch::begin(harness, "trap_while_publishing").await;
        assert!(command(harness, "publish").send().await.is_allowed());
        let new = harness.get("/").from("127.0.0.9");
        harness.abs.list(json!({"ips": ["127.0.0.9"]})).await;
        watch.expect_effects(harness, 1).await;
        // The main thread's VM crashed. A worker takes over, publishes, and crashes next.
        harness.becomes_denied(&new).await;
        let watch = Watch::begin(harness, "trap_while_a_worker_publishes").await;
        assert!(command(harness, "publish").send().await.is_allowed());
        harness.abs.list(json!({"ips": ["127.0.0.10"]})).await;
        watch.expect_effects(harness, 1).await;
        reloads(harness, 1).await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.10"))
            .await;
        new_entries_are_blocked(harness, "127.0.0.11").await;
        background
            .stop(&["trap_while_publishing", "trap_while_a_worker_publishes"])
            .await;
    });
}

/// What envoy/README.md says about the other two failure policies after a crash.
#[test]
fn with_another_failure_policy_a_crashed_worker_returns_503_or_lets_all_requests_pass() {
    if only_vms() {
        return;
    }
    for (policy, status) in [("FAIL_CLOSED", 503), ("FAIL_OPEN", 200)] {
        scenario(crashing().failure_policy(policy), async |harness| {
            harness.abs.list(crate::background_traffic::list()).await;
            let listed = harness.get("/").from(CLEAN).bearer(LISTED_TOKEN);
            harness.becomes_denied(&listed).await;
            // Each connection is on its own worker; the VM of the first one crashes.
            let mut workers = harness.connections_to_all_workers(&listed).await;
            let crash = command(harness, "request");
            assert_eq!(workers[0].send(&crash).await.unwrap().status, 503);
            throughout(BACKOFF, async || {
                for request in [&listed, &harness.get("/").from(CLEAN)] {
                    let reply = workers[0].send(request).await.unwrap();
                    assert_eq!(reply.status, status, "{policy}: {reply:?}");
                }
                // The others still block.
                for worker in &mut workers[1..] {
                    assert!(worker.send(&listed).await.unwrap().is_denied());
                }
            })
            .await;
            let reloads = harness.envoy.vm_reloads().await;
            assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        });
    }
}

#[test]
fn memory_does_not_grow_while_the_vms_of_all_workers_crash_repeatedly() {
    if only_vms() {
        return;
    }
    scenario(
        crashing().plugin(json!({"abs_attack_request_minutes": 10})),
        async |harness| {
            let mut sizes = Vec::new();
            harness.abs.generate(200_000).await;
            harness
                .envoy
                .reconfigure(json!({"abs_attack_request_minutes": 0.0167}))
                .await;
            harness
                .metric_becomes("attack_list.entries.kind=ip", 200_000)
                .await;
            harness.abs.list(crate::background_traffic::list()).await;
            let listed = harness.get("/").from(CLEAN).bearer(LISTED_TOKEN);
            harness.becomes_denied(&listed).await;
            let crash = command(harness, "request");
            let mut workers = harness.connections_to_all_workers(&listed).await;
            for round in 1..=CRASHES {
                for worker in &mut workers {
                    assert_eq!(worker.send(&crash).await.unwrap().status, 503);
                }
                eventually("every worker blocks again", async || {
                    for worker in &mut workers {
                        if !worker.send(&listed).await.unwrap().is_denied() {
                            return None;
                        }
                    }
                    Some(())
                })
                .await;
                // Envoy recreates a VM that crashes sooner only after a delay.
                tokio::time::sleep(BACKOFF).await;
                reloads(harness, round * workers.len() as u64).await;
                sizes.push(harness.envoy.process().resident_kib());
            }
            println!("resident memory after each round of crashes, in KB: {sizes:?}");
            // A crashed VM's memory is freed: sixteen leaked VMs of a megabyte each would exceed this bound.
            let (early, late) = (sizes[1], sizes[sizes.len() - 1]);
            assert!(late * 50 <= early * 51, "more than 2 % more: {sizes:?}");
        },
    );
}
