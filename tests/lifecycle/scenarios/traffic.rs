use core::cell::Cell;
use std::rc::Rc;

use portcullis::host::{RootId, StreamId};
use serde_json::{Value, json};

use super::abs::{Abs, ips};
use super::filter_vm::FilterVm;
use super::process::Process;
use super::*;
use crate::fake_host::{Reaction, Response, SentCall, World};
use crate::secrets::secret;
use crate::target::TargetVm;

fn traffic_config() -> Value {
    config_with(
        json!({"enable_abs": true, "enable_abs_attack": false, "traffic": {"format": "batch", "flush_interval": "1s"}}),
    )
}

/// The records that ABS received, as JSON.
fn records(process: &Process) -> Vec<Value> {
    let calls = process.world().sent().into_iter();
    let batches = calls.filter(|call| call.header(":path") == Some("/portcullis/v1/traffic"));
    batches
        .flat_map(|call| {
            let text = String::from_utf8(call.body).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect::<Vec<Value>>()
        })
        .collect()
}

#[test]
fn each_request_becomes_one_record_with_its_verdict() {
    let process = Process::new(2);
    process
        .world()
        .set_abs(|_| Reaction::After(millis(10), Response::new(200, "")));
    let mut config = traffic_config();
    config["deny_list"] = json!({"oauth_tokens": [secret("token")]});
    process.configure(&config);
    process.advance(seconds(1));
    for i in 0..10 {
        process.denies(1, &Request::get(&format!("/{i}")));
        process.denies(2, &Request::get("/denied").bearer(&secret("token")));
    }
    process.advance(seconds(5));
    let records = records(&process);
    assert_eq!(records.len(), 20);
    assert_eq!(process.world().metric("traffic.sent"), 20);
    let denied = |record: &&Value| record["verdict"] == "denied manual oauth_token";
    assert_eq!(records.iter().filter(denied).count(), 10);
    let mut urls: Vec<_> = records
        .iter()
        .map(|record| record["url"].to_string())
        .collect();
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), 11);
}

#[test]
fn a_request_is_read_once_for_verdict_and_record() {
    let mut config = traffic_config();
    config["deny_list"] = json!({"ips": ["192.0.2.66"], "oauth_tokens": [secret("token")]});
    // The verdict needs address and headers; the record only the protocol in addition.
    for (enable_abs, questions) in [(false, 2), (true, 3)] {
        config["enable_abs"] = json!(enable_abs);
        let process = Process::new(1);
        process.configure(&config);
        process.advance(seconds(1));
        let asked = || process.world().effects(process.vm(1)).request_reads;
        let before = asked();
        process.denies(1, &Request::get("/").bearer("unlisted"));
        assert_eq!(asked() - before, questions);
    }
}

#[test]
fn a_short_flush_interval_applies_without_further_requests() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.respond(Response::new(200, ""));
    let mut config = traffic_config();
    config["traffic"]["flush_interval"] = json!("100ms");
    process.configure(&config);
    process.advance(seconds(1));
    process.denies(1, &Request::get("/"));
    // It is looked at as often as it is long.
    process.advance(millis(200));
    assert_eq!(records(&process).len(), 1);
}

#[test]
fn records_survive_a_change_of_configuration_and_an_outage_of_abs() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.hold();
    process.configure(&traffic_config());
    process.advance(seconds(1));
    for _ in 0..5 {
        process.denies(1, &Request::get("/").bearer(&secret("token")));
    }
    process.advance(seconds(3));
    assert_eq!(process.world().pending().len(), 1);
    let mut changed = traffic_config();
    changed["deny_list"] = json!({"ips": ["192.0.2.5"]});
    process.configure(&changed);
    assert_eq!(
        process.world().pending().len(),
        0,
        "the old call was cancelled"
    );
    abs.respond(Response::new(503, ""));
    process.advance(seconds(10));
    assert_eq!(process.world().metric("traffic.sent"), 0);
    abs.respond(Response::new(200, ""));
    process.advance(seconds(40));
    assert_eq!(process.world().metric("traffic.sent"), 5);
    assert_eq!(process.world().metric("traffic.dropped"), 0);
}

#[test]
fn disabled_traffic_information_drops_and_counts_the_queue() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.hold();
    process.configure(&traffic_config());
    process.advance(seconds(1));
    for _ in 0..5 {
        process.denies(1, &Request::get("/").bearer(&secret("token")));
    }
    process.configure(&json!({}));
    abs.respond(Response::new(200, ""));
    process.advance(seconds(20));
    process.denies(1, &Request::get("/"));
    process.advance(seconds(20));
    assert_eq!(records(&process), Vec::<Value>::new());
    let world = process.world();
    assert_eq!(
        (
            world.metric("traffic.sent"),
            world.metric("traffic.dropped")
        ),
        (0, 5)
    );
    assert_eq!(process.tick_period(1), None);
}

#[test]
fn queued_records_contain_no_secret_in_their_debug_form() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.hold();
    process.configure(&traffic_config());
    process.advance(seconds(1));
    // One is in a call, the others are queued; the process searches for leaks at its end.
    for i in 0..3 {
        let request = Request::get(&format!("/?api_key={}", secret("key")));
        process.denies(
            1,
            &request
                .cookie("SID", &secret("cookie"))
                .basic(&secret("mallory")),
        );
        process.advance(seconds(i));
    }
    assert_eq!(process.world().pending().len(), 1);
}

/// Sideband to ASE, which is a cluster of its own.
fn sideband_config() -> Value {
    config_with(json!({
        "enable_abs": true,
        "enable_abs_attack": false,
        "traffic": {"format": "sideband", "cluster": "ase", "ase_token": secret("ase-token")},
    }))
}

/// Simulates ASE by `react`, which gets the number of the call.
fn ase(process: &Process, react: impl Fn(usize, &SentCall) -> Response + 'static) {
    let calls = Cell::new(0);
    process.world().set_abs(move |call| {
        let n = calls.replace(calls.get() + 1);
        Reaction::After(millis(10), react(n, call))
    });
}

/// The numbers of records sent, failed and dropped.
fn totals(process: &Process) -> [u64; 3] {
    ["sent", "failed", "dropped"].map(|name| process.world().metric(&format!("traffic.{name}")))
}

/// The log lines about sending.
fn lines(process: &Process) -> Vec<String> {
    let logs = process.world().logs().into_iter().map(|(_, line)| line);
    logs.filter(|line| line.contains("sending traffic information"))
        .collect()
}

#[test]
fn sideband_calls_go_to_ase_with_request_and_response_at_one_node() {
    let process = Process::new(1);
    ase(&process, |n, _| {
        let session = format!("PISESSIONID=node-{n}; Max-Age=180");
        Response::new(200, "{}").header("set-cookie", session)
    });
    let mut config = sideband_config();
    config["traffic"]["authority"] = json!("ase.example.com:8443");
    process.configure(&config);
    process.advance(seconds(1));
    for _ in 0..2 {
        process.denies(1, &Request::get("/"));
    }
    process.advance(seconds(2));
    let calls = process.world().sent();
    let paths: Vec<_> = calls
        .iter()
        .map(|call| (call.header(":path").unwrap(), call.header("cookie")))
        .collect();
    assert_eq!(
        paths,
        [
            ("/ase/request", None),
            ("/ase/response", Some("PISESSIONID=node-0")),
            ("/ase/request", None),
            ("/ase/response", Some("PISESSIONID=node-2")),
        ]
    );
    for call in &calls {
        assert_eq!(call.cluster, "ase");
        assert_eq!(call.header(":authority"), Some("ase.example.com:8443"));
        assert_eq!(call.header("ase-token"), Some(&*secret("ase-token")));
        assert_eq!(call.header("x-abs-sk"), None, "ABS's keys are for ABS");
    }
    assert_eq!(totals(&process), [2, 0, 0]);
}

#[test]
fn records_without_a_cluster_go_to_abs() {
    let process = Process::new(1);
    ase(&process, |_, _| Response::new(200, ""));
    let mut config = traffic_config();
    config["abs"]["authority"] = json!("abs.example.com");
    process.configure(&config);
    process.advance(seconds(1));
    process.denies(1, &Request::get("/"));
    process.advance(seconds(3));
    let calls = process.world().sent();
    assert_eq!((calls.len(), &*calls[0].cluster), (1, "abs"));
    assert_eq!(calls[0].header(":authority"), Some("abs.example.com"));
    assert_eq!(calls[0].header("x-abs-sk"), Some(&*secret("secret-key")));
}

#[test]
fn a_refusal_is_counted_and_logged_once_and_delays_nothing() {
    for (format, status, body, advice) in [
        ("sideband", 503, "Error: Unknown API", "add the API to ASE"),
        ("sideband", 401, "", "traffic.ase_token"),
        ("sideband", 404, "", "traffic.cluster"),
        ("sideband", 405, "", "traffic.cluster"),
        ("batch", 401, "", "abs.access_key"),
        ("batch", 404, "", "use \"sideband\""),
        ("batch", 405, "", "use \"sideband\""),
    ] {
        let process = Process::new(1);
        ase(&process, move |_, _| Response::new(status, body));
        let mut config = sideband_config();
        config["traffic"]["format"] = json!(format);
        config["traffic"]["flush_interval"] = json!("50ms");
        process.configure(&config);
        process.advance(seconds(1));
        for _ in 0..5 {
            process.denies(1, &Request::get("/"));
            process.advance(seconds(1));
        }
        assert_eq!(totals(&process), [0, 5, 0], "{format} {advice}");
        let lines = lines(&process);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(advice), "{lines:?}");
        let world = process.world();
        let failure = world.metric("traffic.last_failure_status");
        assert_eq!(failure, u64::from(status));
        assert!(world.metric("traffic.last_failure_unix_seconds") > 0);
        assert_eq!(world.metric("traffic.last_success_unix_seconds"), 0);
        // Disabled, it is no failure.
        let mut off = config.clone();
        off["enable_abs"] = json!(false);
        process.configure(&off);
        process.advance(seconds(1));
        assert_eq!(world.metric("traffic.last_failure_unix_seconds"), 0);
        process.configure(&config);
        process.advance(seconds(1));
        process.denies(1, &Request::get("/"));
        process.advance(seconds(1));
        assert_eq!(totals(&process), [0, 6, 0]);
        // The failure ends.
        ase(&process, |_, _| Response::new(200, ""));
        process.advance(seconds(60));
        process.denies(1, &Request::get("/"));
        process.advance(seconds(1));
        assert_eq!(totals(&process), [1, 6, 0]);
        assert!(world.metric("traffic.last_success_unix_seconds") > 0);
        assert_eq!(
            self::lines(&process)[2],
            "sending traffic information works again"
        );
    }
}

#[test]
fn an_api_unknown_to_ase_delays_no_other() {
    let process = Process::new(1);
    ase(&process, |_, call| {
        let body = String::from_utf8_lossy(&call.body);
        if body.contains("/unknown") {
            Response::new(503, "Error: Unknown API")
        } else {
            Response::new(200, "{}")
        }
    });
    process.configure(&sideband_config());
    process.advance(seconds(1));
    for _ in 0..10 {
        process.denies(1, &Request::get("/unknown"));
        process.denies(1, &Request::get("/known"));
        process.advance(seconds(1));
    }
    assert_eq!(totals(&process), [10, 10, 0]);
    assert_eq!(lines(&process).len(), 1);
}

#[test]
fn an_outage_of_ase_loses_no_queued_record() {
    let process = Process::new(1);
    ase(&process, |_, _| Response::reset());
    process.configure(&sideband_config());
    process.advance(seconds(1));
    for _ in 0..5 {
        process.denies(1, &Request::get("/"));
    }
    process.advance(seconds(300));
    assert_eq!(totals(&process), [0, 0, 0]);
    let failure = process.world().metric("traffic.last_failure_unix_seconds");
    assert!(failure > 0);
    assert_eq!(process.world().metric("traffic.last_failure_status"), 0);
    ase(&process, |_, _| Response::new(200, "{}"));
    process.advance(seconds(120));
    assert_eq!(totals(&process), [5, 0, 0]);
    let success = process.world().metric("traffic.last_success_unix_seconds");
    assert!(success > failure);
    let lines = lines(&process);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("traffic.cluster"), "{lines:?}");
}

#[test]
fn a_stream_without_an_end_is_counted_when_its_number_is_used_again() {
    let world = World::new(1);
    world.set_abs(|_| Reaction::Hold);
    let host = Rc::new(world.new_vm());
    let mut vm = TargetVm::new(host.clone());
    let (root, stream) = (RootId(1), StreamId(7));
    host.add_root(root);
    let mut config = traffic_config();
    config["traffic"]["queue_memory"] = json!("4KB");
    config["traffic"]["batch_bytes"] = json!("1KB");
    assert!(vm.configure(root, config.to_string().as_bytes()));
    for _ in 0..100 {
        host.begin_request(root, Request::get("/"));
        vm.request(root, stream);
    }
    vm.stream_ended(stream);
    host.end_request();
    world.pass(seconds(2));
    vm.tick(root);
    assert_eq!(world.metric("traffic.dropped"), 99);
    assert_eq!(world.sent().len(), 1);
}
