//! The configuration changes while Envoy serves.

use crate::harness::artefact::Artefact;
use crate::harness::audit::Replies;
use crate::harness::client::{Reply, Request};
use crate::harness::envoy::Change;
use crate::harness::envoy_files::directory_in;
use crate::harness::envoy_process::envoy_binary;
use crate::harness::process::{Process, artefact, repository};
use crate::harness::{DEADLINE, Harness, Setup, scenario, throughout};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn fifty_changes_under_traffic_fail_no_request_and_cause_no_storm_of_fetches() {
    scenario(Setup::new(), async |harness| {
        let listed = harness.block("127.0.0.7").await;
        let passing = harness
            .traffic(&harness.get("/").from("127.0.0.8"), 8)
            .await;
        // A listed client stays blocked throughout.
        let blocked = harness
            .traffic_on_every_worker(&listed, Reply::is_denied)
            .await;

        let start = Instant::now();
        let fetches = harness.abs.fetches().await;
        for change in 1..=50 {
            harness
                .envoy
                .reconfigure(json!({"deny_list": {"ips": [format!("192.0.2.{change}")]}}))
                .await;
            passing.wait_for_more(25).await;
        }
        let fetched = harness.abs.fetches().await - fetches;
        let intervals = start.elapsed().as_secs_f64() / 1.2;

        passing.stop().await.assert_clean();
        blocked.stop().await.assert_clean();
        assert!(
            (fetched as f64) <= intervals * 1.2 + 2.0,
            "{fetched} fetches in {intervals:.1} intervals"
        );
        let reloads = harness.envoy.vm_reloads().await;
        assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        // Fetches continue after the last change.
        harness.list_is_fetched_again().await;
    });
}

#[test]
fn all_requests_get_500_while_the_first_configuration_is_bad() {
    scenario(
        Setup::new().plugin(json!({"enable_firewal": true})),
        async |harness| {
            let request = harness.get("/");
            harness
                .becomes(&request, "a 500", |reply| {
                    reply.status == 500 && !reply.is_from_api()
                })
                .await;
            harness.envoy.logs("enable_firewal: unknown key").await;

            harness
                .envoy
                .reconfigure(json!({"enable_firewal": null}))
                .await;
            serves_and_blocks(harness).await;
        },
    );
}

#[test]
fn all_requests_get_500_while_the_module_can_not_be_read() {
    let missing = PathBuf::from("/nonexistent/module");
    scenario(Setup::new().module(missing), async |harness| {
        all_requests_get_500(harness).await;

        let module = Artefact::under_test().module();
        assert_eq!(harness.envoy.take_module(&module).await, Change::Accepted);
        serves_and_blocks(harness).await;
    });
}

#[test]
fn all_requests_get_500_while_the_first_file_is_not_json() {
    // The harness's file replaces the bad one later.
    let setup = Setup::new().bootstrap(|text| {
        let broken = directory_in(&text).join("broken.json");
        std::fs::write(broken, "{\"resources\": [").unwrap();
        text.replace("/filter.json", "/broken.json")
    });
    scenario(setup, async |harness| {
        all_requests_get_500(harness).await;

        let directory = harness.envoy.directory();
        std::fs::rename(directory.join("filter.json"), directory.join("broken.json")).unwrap();
        serves_and_blocks(harness).await;
    });
}

async fn all_requests_get_500(harness: &Harness) {
    let request = harness.get("/");
    throughout(Duration::from_secs(1), async || {
        let reply = request.send().await;
        assert!(reply.status == 500 && !reply.is_from_api(), "{reply:?}");
    })
    .await;
}

async fn serves_and_blocks(harness: &Harness) {
    harness.becomes_allowed(&harness.get("/")).await;
    harness.block("127.0.0.7").await;
}

#[test]
fn envoy_does_not_start_without_the_file() {
    let directory = tempfile::TempDir::new().unwrap();
    let missing = directory.path().join("filter.json");
    let artefact = Artefact::under_test();
    let shipped = std::fs::read_to_string(repository().join(artefact.bootstrap())).unwrap();
    let bootstrap = directory.path().join("envoy.yaml");
    let text = shipped
        .replace(
            &format!("path: {}", artefact.filter_path()),
            &format!("path: {}", missing.display()),
        )
        .replace("port_value: 9901", "port_value: 0")
        .replace("port_value: 10000", "port_value: 0");
    std::fs::write(&bootstrap, text).unwrap();
    let mut envoy = Process::start(
        "envoy",
        Command::new(envoy_binary())
            .arg("-c")
            .arg(&bootstrap)
            .arg("--disable-hot-restart"),
    );

    let started = Instant::now();
    // Output arrives through a pipe, with a delay.
    while !(envoy.ended().is_some() && envoy.stderr().contains(missing.to_str().unwrap())) {
        assert!(started.elapsed() < DEADLINE, "Envoy runs or writes nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!envoy.ended().unwrap().success());
}

#[test]
fn another_build_of_the_module_takes_over_the_active_list_under_traffic() {
    if Artefact::Wasm.is_left_out("each loaded native module has its own list") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let shipped = Artefact::Wasm.module();
    let other = another_build(&shipped, directory.path());
    scenario(Setup::new(), async |harness| {
        let listed = harness.block("127.0.0.7").await;
        // From here on, shared data is the only source of the list.
        harness.abs.stop();
        let passing = harness
            .traffic(&harness.get("/").from("127.0.0.8"), 8)
            .await;
        let blocked = harness
            .traffic_on_every_worker(&listed, Reply::is_denied)
            .await;

        for module in [&other, &shipped, &other, &shipped] {
            assert_eq!(harness.envoy.take_module(module).await, Change::Accepted);
            passing.wait_for_more(200).await;
            blocked.wait_for_more(200).await;
        }

        passing.stop().await.assert_clean();
        blocked.stop().await.assert_clean();
        // Fetches continue.
        harness.abs.restart().await;
        harness.block("127.0.0.9").await;
        harness.becomes_allowed(&listed).await;
    });
}

/// The module named by `PORTCULLIS_OTHER_WASM`, such as the one of the release before; without it, a copy of `shipped`
/// with other bytes, which Envoy runs in its own VM.
fn another_build(shipped: &Path, directory: &Path) -> PathBuf {
    // A custom section: id, size, length of the name, name.
    const SECTION: &[u8] = &[0, 6, 5, b'o', b't', b'h', b'e', b'r'];
    if std::env::var_os("PORTCULLIS_OTHER_WASM").is_some() {
        return artefact("PORTCULLIS_OTHER_WASM", "", "make module");
    }
    let path = directory.join("other.wasm");
    let bytes = [std::fs::read(shipped).unwrap().as_slice(), SECTION].concat();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn envoy_judges_every_request_from_its_first_connection_on() {
    let port = port_outside_the_ephemeral_range();
    let setup = Setup::new()
        .abs_down()
        .plugin(json!({"before_first_list": "deny"}))
        .bootstrap(move |text| at_port(&text, port));
    scenario(setup, async |harness| {
        for _ in 0..5 {
            let stop = Arc::new(AtomicBool::new(false));
            let clients: Vec<_> = (0..4)
                .map(|_| tokio::spawn(knock(port, "127.0.0.1", Arc::clone(&stop))))
                .collect();
            harness.restart_envoy().await;
            let ready = Instant::now();
            while ready.elapsed() < Duration::from_millis(300) {
                assert!(harness.get("/").send().await.is_denied());
            }
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                let knocks = client.await.unwrap();
                assert!(knocks.n_refused > 0, "Envoy was never down");
                assert!(knocks.statuses.len() > 10, "{knocks:?}");
                assert!(
                    knocks.statuses.iter().all(|&status| status == 403),
                    "{knocks:?}"
                );
            }
        }
    });
}

/// The bootstrap with this port for clients.
pub fn at_port(bootstrap: &str, port: u16) -> String {
    let any = "address: '::', ipv4_compat: true, port_value: 0";
    assert!(bootstrap.contains(any));
    let ours = any.replace("port_value: 0", &format!("port_value: {port}"));
    bootstrap.replace(any, &ours)
}

/// A port that is known before Envoy starts, outside the system's range of ephemeral ports.
pub fn port_outside_the_ephemeral_range() -> u16 {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (start..32_000)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("one of thousands should be free")
}

/// The results of a client that sends requests before Envoy listens.
#[derive(Debug, Default)]
pub struct Knocks {
    /// Requests without a reply.
    pub n_refused: u64,
    /// The status of each reply after the last of those.
    pub statuses: Vec<u16>,
}

/// Sends requests from an address on new connections until `stop` is set.
pub async fn knock(port: u16, from: &str, stop: Arc<AtomicBool>) -> Knocks {
    let envoy = SocketAddr::from(([127, 0, 0, 1], port));
    let request = Request::get(envoy, "/", &Replies::default()).from(from);
    let mut knocks = Knocks::default();
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        match request.try_send().await {
            Ok(reply) => knocks.statuses.push(reply.status),
            Err(_) => {
                knocks.n_refused += 1;
                knocks.statuses.clear();
            }
        }
    }
    knocks
}
