//! Usage metrics for CrowdSec's local API: one report for the process, what it counts, failures.

use core::cell::RefCell;
use std::rc::Rc;

use log::Level;
use portcullis::host::HostError;
use serde_json::{Value, json};

use super::abs::list_response;
use super::process::{MAIN, Process};
use super::*;
use crate::fake_host::{Reaction, Response, SentCall, World};
use crate::secrets::secret;

const PATH: &str = "/v1/usage-metrics";
const LISTED: &str = "203.0.113.7";

/// One feed of CrowdSec, changed by `changes`.
fn feed(changes: Value) -> Value {
    let mut feed = json!({
        "name": "crowdsec",
        "format": "crowdsec",
        "cluster": "lapi",
        "authority": "lapi.example.com",
        "headers": {"x-api-key": secret("lapi-key")},
        "usage_metrics": true,
    });
    let (Value::Object(known), Value::Object(changes)) = (&mut feed, changes) else {
        panic!("both are objects");
    };
    known.extend(changes);
    json!({ "feeds": [feed] })
}

/// A LAPI with one decision, and what it does with reports.
struct Lapi(Rc<RefCell<Reaction>>);

impl Lapi {
    fn serving(world: &World) -> Self {
        let accepted = Reaction::After(millis(20), Response::new(201, ""));
        let reports = Rc::new(RefCell::new(accepted));
        let shared = reports.clone();
        let list = json!({"new": [{
            "duration": "100h", "id": 1, "origin": "cscli", "scenario": "manual", "scope": "Ip", "type": "ban", "value": LISTED,
        }], "deleted": null});
        world.set_abs(move |call| match call.is_get() {
            true => Reaction::After(millis(20), list_response(&list)),
            false => shared.borrow().clone(),
        });
        Self(reports)
    }

    fn to_reports(&self, reaction: Reaction) {
        self.0.replace(reaction);
    }

    fn status(&self, status: u16) {
        self.to_reports(Reaction::After(millis(20), Response::new(status, "")));
    }
}

fn started(n_workers: usize, config: &Value) -> (Process, Lapi) {
    let process = Process::new(n_workers);
    let lapi = Lapi::serving(process.world());
    process.configure(config);
    process.advance(seconds(2));
    assert_denies_only(&process, &[LISTED], &["203.0.113.8"]);
    process.advance(seconds(2));
    (process, lapi)
}

/// The reports that were sent so far.
fn reports(process: &Process) -> Vec<SentCall> {
    let sent = process.world().sent().into_iter();
    sent.filter(|call| !call.is_get()).collect()
}

/// The numbers of a report: requests, denied ones, seconds.
fn numbers(report: &SentCall) -> (u64, u64, u64) {
    let body: Value = serde_json::from_slice(&report.body).unwrap();
    let metrics = &body["remediation_components"][0]["metrics"][0];
    let items = &metrics["items"];
    assert_eq!(
        (&items[0]["name"], &items[1]["name"]),
        (&json!("processed"), &json!("dropped"))
    );
    let number = |value: &Value| value.as_u64().unwrap();
    (
        number(&items[0]["value"]),
        number(&items[1]["value"]),
        number(&metrics["meta"]["window_size_seconds"]),
    )
}

/// Sends one request of a listed client and two of others to each worker.
fn send_requests(process: &Process) {
    assert_denies_only(process, &[LISTED], &["203.0.113.8", "203.0.113.9"]);
}

/// The log lines about usage metrics.
fn lines(process: &Process) -> Vec<(Level, String)> {
    let logs = process.world().logs().into_iter();
    logs.filter(|(_, line)| line.contains("usage metrics"))
        .collect()
}

#[test]
fn one_report_has_the_numbers_of_all_workers() {
    let (process, _lapi) = started(4, &feed(json!({"origins": ["cscli"]})));
    let before = process.world().n_fetches();
    send_requests(&process);
    send_requests(&process);
    process.advance(seconds(890));
    assert_eq!(reports(&process).len(), 0, "no 15 minutes have passed");
    process.advance(seconds(20));
    let sent = reports(&process);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let report = &sent[0];
    assert_eq!(report.vm, process.vm(MAIN));
    assert_eq!(report.cluster, "lapi");
    assert_eq!(report.timeout, seconds(30));
    let key = secret("lapi-key");
    for (name, value) in [
        (":method", "POST"),
        (":path", PATH),
        (":authority", "lapi.example.com"),
        ("content-type", "application/json"),
        ("x-api-key", &key),
        (
            "user-agent",
            concat!("portcullis/", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        assert_eq!(report.header(name), Some(value), "{name}");
    }
    // Those of `started` came after the first tick of the owner, too.
    assert_eq!(numbers(report), (4 * 2 + 2 * 4 * 3, 4 + 2 * 4, 900));
    let body: Value = serde_json::from_slice(&report.body).unwrap();
    let component = &body["remediation_components"][0];
    let metrics = &component["metrics"][0];
    let labels = &metrics["items"][1]["labels"];
    assert_eq!(*labels, json!({"origin": "cscli", "remediation": "ban"}));
    let unix = |time: &Value| time.as_u64().unwrap();
    let now = process.world().unix().as_secs();
    let sent_at = unix(&metrics["meta"]["utc_now_timestamp"]);
    assert!((now - 20..=now).contains(&sent_at), "{sent_at} at {now}");
    let age = sent_at - unix(&component["utc_startup_timestamp"]);
    assert!((900..910).contains(&age), "{age}");
    assert!(process.world().n_fetches() > before + 10, "fetches go on");
    assert_eq!(lines(&process), []);
}

#[test]
fn a_report_has_only_the_numbers_since_the_last_one() {
    let (process, _lapi) = started(2, &feed(json!({})));
    process.advance(seconds(910));
    send_requests(&process);
    process.advance(seconds(900));
    process.advance(seconds(900));
    let sent = reports(&process);
    let all: Vec<_> = sent.iter().map(numbers).collect();
    assert_eq!(all, [(4, 2, 900), (6, 2, 900), (0, 0, 900)]);
    for pair in sent.windows(2) {
        assert!(pair[1].at - pair[0].at >= seconds(900), "{pair:?}");
    }
}

#[test]
fn denials_of_shadow_mode_are_not_dropped_requests() {
    let process = Process::new(1);
    let _lapi = Lapi::serving(process.world());
    process.configure(&feed(json!({"mode": "shadow"})));
    process.advance(seconds(2));
    assert!(!process.denies(1, &from(LISTED)));
    process.advance(seconds(910));
    assert_eq!(
        process.world().metric("would_deny.source=crowdsec.kind=ip"),
        1
    );
    assert_eq!(numbers(&reports(&process)[0]), (1, 0, 900));
}

#[test]
fn without_usage_metrics_nothing_is_sent_or_counted() {
    let (process, _lapi) = started(2, &feed(json!({"usage_metrics": false})));
    send_requests(&process);
    process.advance(seconds(2_000));
    assert_eq!(reports(&process).len(), 0);
    assert_eq!(process.world().metric("requests"), 0);
}

#[test]
fn the_numbers_of_a_failed_report_are_in_the_next_one() {
    let (process, lapi) = started(2, &feed(json!({})));
    let failures = [
        Reaction::After(millis(20), Response::new(500, "")),
        Reaction::After(millis(20), Response::reset()),
        // The response never comes.
        Reaction::Hold,
    ];
    for (n_failed, failure) in failures.into_iter().enumerate() {
        lapi.to_reports(failure);
        send_requests(&process);
        process.advance(seconds(if n_failed == 0 { 910 } else { 900 }));
        assert_eq!(reports(&process).len(), n_failed + 1);
    }
    lapi.status(201);
    process.advance(seconds(900));
    send_requests(&process);
    process.advance(seconds(900));
    let all: Vec<_> = reports(&process).iter().map(numbers).collect();
    let expected = [
        (10, 4, 900),
        (16, 6, 1_800),
        (22, 8, 2_700),
        (22, 8, 3_600),
        (6, 2, 900),
    ];
    assert_eq!(all, expected);
    let lines = lines(&process);
    let [(Level::Warn, failed), (Level::Info, works)] = &lines[..] else {
        panic!("two lines are expected: {lines:?}")
    };
    assert!(failed.contains("status 500"), "{failed}");
    assert_eq!(
        works,
        "sending usage metrics of the feed crowdsec works again"
    );
}

#[test]
fn a_call_that_the_host_refuses_is_a_failed_report() {
    let (process, lapi) = started(1, &feed(json!({})));
    lapi.to_reports(Reaction::Refuse(HostError::BadArgument));
    process.advance(seconds(910));
    assert_eq!(reports(&process).len(), 0);
    lapi.status(200);
    process.advance(seconds(900));
    let all: Vec<_> = reports(&process).iter().map(numbers).collect();
    assert_eq!(all, [(2, 1, 1_800)]);
}

#[test]
fn a_lapi_without_usage_metrics_is_asked_once() {
    let (process, lapi) = started(2, &feed(json!({})));
    lapi.status(404);
    process.advance(seconds(910));
    lapi.status(201);
    send_requests(&process);
    process.advance(seconds(3_600));
    assert_eq!(reports(&process).len(), 1);
    let lines = lines(&process);
    let [(Level::Info, line)] = &lines[..] else {
        panic!("one line is expected: {lines:?}")
    };
    assert!(line.contains("404"), "{line}");
    send_requests(&process);
}

#[test]
fn a_refused_key_is_reported_with_its_setting() {
    let (process, lapi) = started(1, &feed(json!({})));
    lapi.status(403);
    process.advance(seconds(2_000));
    let lines = lines(&process);
    let [(Level::Warn, line)] = &lines[..] else {
        panic!("one line is expected: {lines:?}")
    };
    assert!(line.contains("headers of the feed crowdsec"), "{line}");
}

#[test]
fn a_new_owner_reports_what_it_has_seen() {
    let config = feed(json!({"interval": "5s"}));
    let (process, _lapi) = started(2, &config);
    process.advance(seconds(600));
    process.kill(MAIN);
    process.advance(seconds(30));
    send_requests(&process);
    process.configure(&config);
    process.advance(seconds(880));
    assert_eq!(reports(&process).len(), 0, "15 minutes of the new owner");
    send_requests(&process);
    process.advance(seconds(60));
    let all: Vec<_> = reports(&process).iter().map(numbers).collect();
    assert_eq!(all, [(6, 2, 900)]);
}
