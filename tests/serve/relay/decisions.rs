//! CrowdSec's decisions: deltas are merged, whole lists repair what a delta missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::upstream::{Upstream, ok, response};
use super::{header, list, relay};
use crate::support::{Fleet, body, eventually};

const LIST: &str = "/v1/feeds/crowdsec?startup=true";

fn configuration(upstream: &Upstream, extra: &Value) -> Value {
    let mut feed = json!({
        "name": "crowdsec", "format": "crowdsec", "cluster": "lapi", "interval": "1s",
        "headers": {"x-api-key": {"env": "LIST_KEY"}},
    });
    for (key, value) in extra.as_object().unwrap() {
        feed[key] = value.clone();
    }
    json!({"feeds": [feed], "upstreams": {"lapi": upstream.url}})
}

fn ban(value: &str, duration: &str) -> Value {
    json!({"duration": duration, "id": 1, "origin": "cscli", "scenario": "test", "scope": "Ip", "type": "ban",
           "value": value})
}

fn stream(new: &[Value], deleted: &[Value]) -> Vec<u8> {
    let body = json!({"new": new, "deleted": deleted});
    ok("application/json", &body.to_string())
}

/// A local API with a whole list and the next deltas, each given once.
fn lapi(whole: Vec<u8>, deltas: Vec<Vec<u8>>) -> impl Fn(&str) -> Option<Vec<u8>> + Send + 'static {
    let deltas = std::sync::Mutex::new(deltas.into_iter());
    move |head| match head.contains("startup=true") {
        true => Some(whole.clone()),
        false => Some(
            deltas
                .lock()
                .unwrap()
                .next()
                .unwrap_or_else(|| stream(&[], &[])),
        ),
    }
}

fn values(fleet: &Fleet) -> Vec<String> {
    let list = body(&list(fleet, LIST));
    let new = list["new"].as_array().unwrap();
    new.iter()
        .map(|one| one["value"].as_str().unwrap().to_owned())
        .collect()
}

fn becomes(fleet: &Fleet, expected: &[&str]) {
    eventually("the list", || (values(fleet) == expected).then_some(()));
}

fn n_whole(upstream: &Upstream) -> usize {
    let requests = upstream.requests();
    let whole = requests.iter().filter(|head| head.contains("startup=true"));
    whole.count()
}

#[test]
fn deltas_add_and_delete_and_an_empty_one_keeps_the_version() {
    let whole = stream(
        &[ban("192.0.2.1", "4h"), ban("192.0.2.2", "4h")],
        &[ban("192.0.2.1", "-1m")],
    );
    let delta = stream(
        &[ban("192.0.2.3", "4h"), ban("192.0.2.4", "4h")],
        &[ban("192.0.2.2", "-1s"), ban("192.0.2.4", "-1s")],
    );
    let upstream = Upstream::new(lapi(whole, vec![stream(&[], &[]), delta]));
    let fleet = relay(&configuration(&upstream, &json!({})));
    assert_eq!(values(&fleet), ["192.0.2.1", "192.0.2.2"]);
    becomes(&fleet, &["192.0.2.1", "192.0.2.3", "192.0.2.4"]);
    let list = fleet.get(LIST, &[]);
    let etag = header(&list, "etag").to_owned();
    let seconds = body(&list)["new"][0]["duration"]
        .as_str()
        .unwrap()
        .to_owned();
    let seconds: u64 = seconds.strip_suffix('s').unwrap().parse().unwrap();
    assert!((14_300..=14_400).contains(&seconds), "{seconds}");
    let n_requests = upstream.requests().len();
    eventually("two more requests", || {
        (upstream.requests().len() > n_requests + 1).then_some(())
    });
    assert_eq!(fleet.get(LIST, &[("if-none-match", &etag)]).status(), 304);
    assert_eq!(n_whole(&upstream), 1);
    assert!(upstream.requests()[0].contains("x-api-key: list-secret"));
}

#[test]
fn after_an_error_the_whole_list_is_fetched() {
    let delta = stream(&[ban("192.0.2.2", "4h")], &[]);
    let error = response("500 Internal Server Error", "", "");
    let whole = stream(&[ban("192.0.2.1", "4h")], &[]);
    let upstream = Upstream::new(lapi(whole, vec![delta, error]));
    let fleet = relay(&configuration(&upstream, &json!({})));
    // The delta counts until the whole list does not have it.
    eventually("the second whole list", || {
        (n_whole(&upstream) == 2).then_some(())
    });
    becomes(&fleet, &["192.0.2.1"]);
    assert!(fleet.log().contains("returned status 500"));
}

#[test]
fn a_delta_that_cannot_be_read_keeps_the_list_until_the_whole_one() {
    let whole = stream(&[ban("192.0.2.1", "4h")], &[]);
    let bad = ok("application/json", "{\"new\": [], \"deleted\": 5}");
    let upstream = Upstream::new(lapi(whole, vec![bad]));
    let fleet = relay(&configuration(&upstream, &json!({})));
    eventually("the second whole list", || {
        (n_whole(&upstream) == 2).then_some(())
    });
    assert_eq!(values(&fleet), ["192.0.2.1"]);
}

#[test]
fn a_decision_disappears_when_its_time_is_over() {
    let whole = stream(&[ban("192.0.2.1", "4h"), ban("192.0.2.2", "3s")], &[]);
    let mut deltas = vec![stream(&[], &[]); 4];
    deltas.push(stream(&[ban("192.0.2.3", "4h")], &[]));
    let upstream = Upstream::new(lapi(whole, deltas));
    let fleet = relay(&configuration(&upstream, &json!({})));
    assert_eq!(values(&fleet), ["192.0.2.1", "192.0.2.2"]);
    becomes(&fleet, &["192.0.2.1", "192.0.2.3"]);
    assert_eq!(n_whole(&upstream), 1);
}

#[test]
fn a_short_list_is_refused_also_after_deltas() {
    let many: Vec<Value> = (0..2_000)
        .map(|n| ban(&format!("198.18.{}.{}", n / 250, n % 250 + 1), "4h"))
        .collect();
    let upstream = Upstream::new(lapi(stream(&many, &[]), vec![stream(&[], &many[..1_500])]));
    let fleet = relay(&configuration(&upstream, &json!({})));
    assert_eq!(values(&fleet).len(), 2_000);
    eventually("the second whole list", || {
        (n_whole(&upstream) == 2).then_some(())
    });
    assert!(fleet.log().contains("went from 2000 to 500 entries"));
    assert_eq!(values(&fleet).len(), 2_000);
}

#[test]
fn lists_whose_deltas_are_ambiguous_are_fetched_whole() {
    for extra in [
        json!({"origins": ["cscli"]}),
        json!({"scenarios_containing": ["ssh"]}),
        json!({"types": ["ban", "captcha"]}),
    ] {
        let upstream = Upstream::new(lapi(stream(&[ban("192.0.2.1", "4h")], &[]), vec![]));
        let fleet = relay(&configuration(&upstream, &extra));
        assert_eq!(values(&fleet), ["192.0.2.1"]);
        eventually("two requests", || {
            (upstream.requests().len() > 1).then_some(())
        });
        assert_eq!(n_whole(&upstream), upstream.requests().len());
    }
}

#[test]
fn usage_metrics_of_all_nodes_are_one_report() {
    let report = |processed: u64, dropped: u64| {
        json!({"remediation_components": [{
            "type": "portcullis", "version": "1", "utc_startup_timestamp": 1, "feature_flags": [],
            "metrics": [{
                "meta": {"window_size_seconds": 900, "utc_now_timestamp": 2},
                "items": [
                    {"name": "processed", "value": processed, "unit": "request"},
                    {"name": "dropped", "value": dropped, "unit": "request", "labels": {"remediation": "ban"}},
                ],
            }],
        }]})
        .to_string()
    };
    let post = |fleet: &Fleet, body: String| {
        let status = fleet.send("POST", "/v1/usage-metrics", &[], body).status();
        status.as_u16()
    };
    let upstream = Upstream::new(lapi(stream(&[ban("192.0.2.1", "4h")], &[]), Vec::new()));
    let fleet = relay(&configuration(&upstream, &json!({})));
    assert_eq!(post(&fleet, report(1, 1)), 404);
    drop(fleet);

    // The first fetch, which the first report follows, waits for the nodes.
    let waits = Arc::new(AtomicBool::new(true));
    let (asked, reply) = (waits.clone(), stream(&[], &[]));
    upstream.replies(move |_| {
        while asked.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
        Some(reply.clone())
    });
    let fleet = relay(&configuration(
        &upstream,
        &json!({"usage_metrics": true, "origins": ["cscli"]}),
    ));
    assert_eq!(post(&fleet, report(100, 7)), 201);
    assert_eq!(post(&fleet, report(11, 2)), 201);
    assert_eq!(post(&fleet, "{}".to_owned()), 400);
    assert_eq!(post(&fleet, " ".repeat(100_000)), 413);
    waits.store(false, Ordering::Relaxed);
    let sent = |upstream: &Upstream| -> Vec<String> {
        let requests = upstream.requests().into_iter();
        let reports = requests.filter(|one| one.starts_with("POST /v1/usage-metrics "));
        reports.collect()
    };
    let first = eventually("the report", || sent(&upstream).first().cloned());
    let (head, text) = first.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("x-api-key: list-secret"), "{head}");
    let sums: Value = serde_json::from_str(text).unwrap();
    let items = &sums["remediation_components"][0]["metrics"][0]["items"];
    assert_eq!(items[0]["value"], 111, "{text}");
    assert_eq!(items[1]["value"], 9, "{text}");
    assert_eq!(items[1]["labels"]["origin"], "cscli");
}
