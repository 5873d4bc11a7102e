//! The configuration changes while Envoy serves.

use crate::harness::audit::Replies;
use crate::harness::client::{Reply, Request};
use crate::harness::envoy::Change;
use crate::harness::envoy_process::envoy_binary;
use crate::harness::process::{Process, artefact, repository};
use crate::harness::{DEADLINE, Setup, scenario, throughout};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

#[test]
fn fifty_changes_under_traffic_fail_no_request_and_cause_no_storm_of_fetches() {
    scenario(Setup::new(), async |harness| {
        let listed = harness.get("/").from("127.0.0.7");
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        harness.becomes_denied(&listed).await;
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
        let reloads = harness.envoy.stats("wasm.portcullis.vm_reload").await;
        assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
        // The fetches go on after the last change.
        harness.list_is_fetched_again().await;
    });
}

#[test]
fn nobody_is_served_unjudged_when_the_configuration_is_bad_at_the_start() {
    scenario(
        Setup::new().plugin(json!({"enable_firewal": true})),
        async |harness| {
            let request = harness.get("/");
            harness
                .becomes(&request, "answered with 500", |reply| {
                    reply.status == 500 && !reply.is_from_api()
                })
                .await;
            harness.envoy.logs("enable_firewal: unknown key").await;

            harness
                .envoy
                .reconfigure(json!({"enable_firewal": null}))
                .await;
            harness.becomes_allowed(&request).await;
            harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            harness
                .becomes_denied(&harness.get("/").from("127.0.0.7"))
                .await;
        },
    );
}

#[test]
fn nobody_is_served_unjudged_while_the_module_can_not_be_read() {
    let missing = PathBuf::from("/nonexistent/portcullis.wasm");
    scenario(Setup::new().module(missing), async |harness| {
        let request = harness.get("/");
        throughout(Duration::from_secs(1), async || {
            let reply = request.send().await;
            assert!(reply.status == 500 && !reply.is_from_api(), "{reply:?}");
        })
        .await;

        let module = artefact("PORTCULLIS_WASM", "target/portcullis.wasm", "make module");
        assert_eq!(harness.envoy.take_module(&module).await, Change::Accepted);
        harness.becomes_allowed(&request).await;
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.7"))
            .await;
    });
}

#[test]
fn nobody_is_served_unjudged_when_the_file_is_no_json_at_the_start() {
    // The harness's own file stands beside the bad one, to take its place later.
    let directory = Arc::new(OnceLock::new());
    let told = Arc::clone(&directory);
    let setup = Setup::new().bootstrap(move |text| {
        let (_, rest) = text.split_once("watched_directory: { path: ").unwrap();
        let directory = PathBuf::from(rest.split(' ').next().unwrap());
        std::fs::write(directory.join("broken.json"), "{\"resources\": [").unwrap();
        told.set(directory).unwrap();
        text.replace("/filter.json", "/broken.json")
    });
    scenario(setup, async |harness| {
        let request = harness.get("/");
        throughout(Duration::from_secs(1), async || {
            let reply = request.send().await;
            assert!(reply.status == 500 && !reply.is_from_api(), "{reply:?}");
        })
        .await;

        let directory = directory.get().unwrap();
        std::fs::rename(directory.join("filter.json"), directory.join("broken.json")).unwrap();
        harness.becomes_allowed(&request).await;
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.7"))
            .await;
    });
}

#[test]
fn envoy_does_not_start_where_the_file_is_missing() {
    let directory = tempfile::TempDir::new().unwrap();
    let missing = directory.path().join("filter.json");
    let shipped = std::fs::read_to_string(repository().join("envoy/envoy.yaml")).unwrap();
    let bootstrap = directory.path().join("envoy.yaml");
    let text = shipped
        .replace(
            "path: envoy/filter.json",
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
    // It ends, and what it wrote comes through a pipe, a moment later.
    while !(envoy.ended().is_some() && envoy.stderr().contains(missing.to_str().unwrap())) {
        assert!(started.elapsed() < DEADLINE, "Envoy runs, or says nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!envoy.ended().unwrap().success());
}

#[test]
fn another_build_of_the_module_takes_over_under_traffic_with_the_list_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let shipped = artefact("PORTCULLIS_WASM", "target/portcullis.wasm", "make module");
    let other = another_build(&shipped, directory.path());
    scenario(Setup::new(), async |harness| {
        let listed = harness.get("/").from("127.0.0.7");
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        harness.becomes_denied(&listed).await;
        // From here on the list can come from nowhere but shared data.
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
        // It goes on fetching.
        harness.abs.restart().await;
        harness.abs.list(json!({"ips": ["127.0.0.9"]})).await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.9"))
            .await;
        harness.becomes_allowed(&listed).await;
    });
}

/// The module named by `PORTCULLIS_OTHER_WASM`, such as the one of the release before; without it, a copy of `shipped`
/// with other bytes, which Envoy runs in a VM of its own.
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
fn from_its_first_connection_on_envoy_judges_every_request_and_answers_none_with_an_error() {
    let port = port_that_nobody_takes();
    let setup = Setup::new()
        .abs_down()
        .plugin(json!({"before_first_list": "deny"}))
        .bootstrap(move |text| {
            let any = "address: '::', ipv4_compat: true, port_value: 0";
            assert!(text.contains(any));
            text.replace(
                any,
                &any.replace("port_value: 0", &format!("port_value: {port}")),
            )
        });
    scenario(setup, async |harness| {
        for _ in 0..5 {
            let stop = Arc::new(AtomicBool::new(false));
            let clients: Vec<_> = (0..4)
                .map(|_| tokio::spawn(knock(port, Arc::clone(&stop))))
                .collect();
            harness.restart_envoy().await;
            let ready = Instant::now();
            while ready.elapsed() < Duration::from_millis(300) {
                assert!(harness.get("/").send().await.is_denied());
            }
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                let knocks = client.await.unwrap();
                assert!(knocks.n_in_vain > 0, "Envoy was never away");
                assert!(knocks.statuses.len() > 10, "{knocks:?}");
                assert!(
                    knocks.statuses.iter().all(|&status| status == 403),
                    "{knocks:?}"
                );
            }
        }
    });
}

/// A port that is known before Envoy is there, outside the range from which the system gives out ports meanwhile.
fn port_that_nobody_takes() -> u16 {
    let start = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    (start..32_000)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("one of thousands should be free")
}

/// What a client met that sent requests before Envoy was there.
#[derive(Debug, Default)]
struct Knocks {
    /// Requests without a reply.
    n_in_vain: u64,
    /// The status of each reply since the last of those.
    statuses: Vec<u16>,
}

/// Sends requests on new connections until told to stop.
async fn knock(port: u16, stop: Arc<AtomicBool>) -> Knocks {
    let envoy = SocketAddr::from(([127, 0, 0, 1], port));
    let request = Request::get(envoy, "/", &Replies::default());
    let mut knocks = Knocks::default();
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        match request.try_send().await {
            Ok(reply) => knocks.statuses.push(reply.status),
            Err(_) => {
                knocks.n_in_vain += 1;
                knocks.statuses.clear();
            }
        }
    }
    knocks
}
