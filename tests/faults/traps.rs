//! VMs that crash: the module is built with the feature `trap`, and a request's header says where.

use crate::every_second;
use crate::rig::client::Request;
use crate::rig::process::artefact;
use crate::rig::stopwatch::Stopwatch;
use crate::rig::{Rig, Setup, eventually, scenario, throughout};
use crate::soak::resident_kilobytes;
use crate::steady::{CLEAN, LISTED, LISTED_TOKEN, Steady};
use crate::watch::Watch;
use serde_json::json;
use std::time::{Duration, Instant};

/// A VM that crashes sooner after its start is not made anew at once, but within a second or so: Envoy's backoff.
const BACKOFF: Duration = Duration::from_secs(3);

/// How often the VM of every worker crashes in the test of memory.
const CRASHES: u64 = 6;

fn crashing() -> Setup {
    let module = artefact(
        "PORTCULLIS_TRAP_WASM",
        "target/portcullis-trap.wasm",
        "make trap-module",
    );
    every_second().module(module)
}

/// Traffic on VMs that are old enough to be made anew at once.
async fn with_old_vms(rig: &Rig) -> Steady {
    let started = Instant::now();
    let steady = Steady::with_list(rig).await;
    tokio::time::sleep_until((started + BACKOFF).into()).await;
    steady
}

/// A request that gives a command to the module.
fn command(rig: &Rig, word: &str) -> Request {
    rig.get("/").from(CLEAN).header("x-portcullis-trap", word)
}

/// Waits until Envoy has made `n` VMs anew.
async fn reloads(rig: &Rig, n: u64) {
    eventually(&format!("Envoy has made {n} VMs anew"), async || {
        let stats = rig.envoy.stats("wasm.portcullis.vm_reload_success").await;
        (stats.values().sum::<u64>() >= n).then_some(())
    })
    .await;
}

/// Lists another client, and waits until every worker denies it: the fetching goes on, whoever does it.
async fn blocking_goes_on(rig: &Rig, client: &str) {
    rig.abs.list(json!({"ips": [client]})).await;
    rig.becomes_denied(&rig.get("/").from(client)).await;
    rig.assert_denied(&rig.get("/").from(LISTED)).await;
    rig.assert_allowed(&rig.get("/").from(CLEAN)).await;
}

#[test]
fn a_vm_crashes_while_it_judges_a_request() {
    scenario(crashing(), async |rig| {
        let steady = with_old_vms(rig).await;
        let watch = Watch::begin(rig, "trap_in_request").await;
        let reply = command(rig, "request").send().await;
        assert_eq!(reply.status, 503, "{reply:?}");
        reloads(rig, 1).await;
        watch.sees_its_effects(rig, 1).await;
        blocking_goes_on(rig, "127.0.0.9").await;
        steady.stop(&["trap_in_request"]).await;
    });
}

#[test]
fn a_vm_crashes_again_as_soon_as_it_was_made_anew() {
    scenario(crashing(), async |rig| {
        let steady = with_old_vms(rig).await;
        steady.stop(&[]).await;
        let watch = Watch::begin(rig, "trap_again_at_once").await;
        // All on one connection, so on one worker, and at once, so that the worker sees no pause between them: the first
        // crashes the old VM, the second the new one, and the third finds none.
        let crash = command(rig, "request").http2();
        let mut connection = crash.connect().await.unwrap();
        let crashed = Stopwatch::start();
        for reply in connection.send_at_once(&crash, 3).await {
            assert_eq!(reply.status, 503, "{reply:?}");
        }
        let stats = rig.envoy.stats("wasm.portcullis.vm_reload_").await;
        assert_eq!(stats["wasm.portcullis.vm_reload_success"], 1, "{stats:?}");
        assert_eq!(stats["wasm.portcullis.vm_reload_backoff"], 1, "{stats:?}");
        let listed = rig.get("/").from(CLEAN).bearer(LISTED_TOKEN).http2();
        eventually("the worker blocks again", async || {
            let reply = connection.send(&listed).await.unwrap();
            assert!(reply.is_denied() || reply.status == 503, "{reply:?}");
            reply.is_denied().then_some(())
        })
        .await;
        assert!(crashed.elapsed() < BACKOFF, "{:?}", crashed.elapsed());
        watch.sees_its_effects(rig, 1).await;
        blocking_goes_on(rig, "127.0.0.9").await;
    });
}

#[test]
fn the_vm_of_a_worker_crashes_in_its_tick() {
    scenario(crashing(), async |rig| {
        let steady = with_old_vms(rig).await;
        let watch = Watch::begin(rig, "trap_in_tick").await;
        assert!(command(rig, "tick").send().await.is_allowed());
        reloads(rig, 1).await;
        watch.sees_its_effects(rig, 1).await;
        blocking_goes_on(rig, "127.0.0.9").await;
        steady.stop(&["trap_in_tick"]).await;
    });
}

#[test]
fn the_vm_of_the_main_thread_crashes() {
    scenario(crashing(), async |rig| {
        let steady = with_old_vms(rig).await;
        let watch = Watch::begin(rig, "trap_on_main_thread").await;
        assert!(command(rig, "main").send().await.is_allowed());
        watch.sees_its_effects(rig, 1).await;
        blocking_goes_on(rig, "127.0.0.9").await;
        // It serves nobody, so nobody asks for it again.
        let reloads = rig.envoy.stats("wasm.portcullis.vm_reload_success").await;
        assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        steady.stop(&["trap_on_main_thread"]).await;
    });
}

#[test]
fn the_vm_that_publishes_a_list_crashes_half_way() {
    scenario(crashing(), async |rig| {
        let steady = with_old_vms(rig).await;
        let watch = Watch::begin(rig, "trap_while_publishing").await;
        assert!(command(rig, "publish").send().await.is_allowed());
        let new = rig.get("/").from("127.0.0.9");
        rig.abs.list(json!({"ips": ["127.0.0.9"]})).await;
        watch.sees_its_effects(rig, 1).await;
        // The main thread's was the first to publish; now a worker takes over, publishes, and the next crash is its own.
        rig.becomes_denied(&new).await;
        let watch = Watch::begin(rig, "trap_while_a_worker_publishes").await;
        assert!(command(rig, "publish").send().await.is_allowed());
        rig.abs.list(json!({"ips": ["127.0.0.10"]})).await;
        watch.sees_its_effects(rig, 1).await;
        reloads(rig, 1).await;
        rig.becomes_denied(&rig.get("/").from("127.0.0.10")).await;
        blocking_goes_on(rig, "127.0.0.11").await;
        steady
            .stop(&["trap_while_publishing", "trap_while_a_worker_publishes"])
            .await;
    });
}

/// The rows of envoy/README.md on the other two policies: what a crash leaves there, and that it stays so.
#[test]
fn with_another_failure_policy_a_crashed_worker_answers_503_or_lets_everybody_pass_from_then_on() {
    for (policy, status) in [("FAIL_CLOSED", 503), ("FAIL_OPEN", 200)] {
        scenario(crashing().failure_policy(policy), async |rig| {
            rig.abs.list(crate::steady::list()).await;
            let listed = rig.get("/").from(CLEAN).bearer(LISTED_TOKEN);
            rig.becomes_denied(&listed).await;
            // Each connection is on a worker of its own; the first one's crashes.
            let mut workers = rig.connections_to_all_workers(&listed).await;
            let crash = command(rig, "request");
            assert_eq!(workers[0].send(&crash).await.unwrap().status, 503);
            throughout(BACKOFF, async || {
                for request in [&listed, &rig.get("/").from(CLEAN)] {
                    let reply = workers[0].send(request).await.unwrap();
                    assert_eq!(reply.status, status, "{policy}: {reply:?}");
                }
                // The others go on judging.
                for worker in &mut workers[1..] {
                    assert!(worker.send(&listed).await.unwrap().is_denied());
                }
            })
            .await;
            let reloads = rig.envoy.stats("wasm.portcullis.vm_reload_").await;
            assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        });
    }
}

#[test]
fn memory_stays_where_it_is_while_the_vms_of_all_workers_crash_over_and_over() {
    scenario(
        crashing().plugin(json!({"abs_attack_request_minutes": 10})),
        async |rig| {
            let mut sizes = Vec::new();
            rig.abs.generate(200_000).await;
            rig.envoy
                .reconfigure(json!({"abs_attack_request_minutes": 0.0167}))
                .await;
            rig.metric_becomes("attack_list.entries.kind=ip", 200_000)
                .await;
            rig.abs.list(crate::steady::list()).await;
            let listed = rig.get("/").from(CLEAN).bearer(LISTED_TOKEN);
            rig.becomes_denied(&listed).await;
            let crash = command(rig, "request");
            let mut workers = rig.connections_to_all_workers(&listed).await;
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
                // A VM that crashes sooner after its start is made anew with a delay.
                tokio::time::sleep(BACKOFF).await;
                reloads(rig, round * workers.len() as u64).await;
                sizes.push(resident_kilobytes(rig.envoy.process().id()));
            }
            println!("resident memory after each round of crashes, in KB: {sizes:?}");
            // What a crashed VM held is given back: sixteen that stayed, with a megabyte each, would be over this bound.
            let (early, late) = (sizes[1], sizes[sizes.len() - 1]);
            assert!(late * 50 <= early * 51, "more than 2 % more: {sizes:?}");
        },
    );
}
