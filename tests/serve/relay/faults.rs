//! The upstream away, wrong or short; the server killed; its files damaged or not writable.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

use super::upstream::{Upstream, response};
use super::{ATTACK_LIST, abs, age, header, list, relay};
use crate::support::{Fleet, body, eventually};

fn addresses(n: usize) -> Value {
    let addresses: Vec<String> = (0..n)
        .map(|n| format!("198.18.{}.{}", n / 250, n % 250 + 1))
        .collect();
    json!({"ips": addresses})
}

fn logs(fleet: &Fleet, text: &str) {
    eventually(text, || fleet.log().contains(text).then_some(()));
}

#[test]
fn an_upstream_that_is_away_or_wrong_changes_nothing_but_the_age() {
    let upstream = Upstream::of_json(&addresses(2_000));
    let mut configuration = abs(&upstream);
    configuration["guard"] = json!({"max_change_percent": 50});
    let fleet = relay(&configuration);
    let first = list(&fleet, ATTACK_LIST);
    let same = || {
        let now = fleet.get(ATTACK_LIST, &[]);
        assert_eq!(now.status(), 200);
        assert_eq!(now.body(), first.body());
        assert_eq!(header(&now, "etag"), header(&first, "etag"));
        now
    };
    upstream.goes_away();
    logs(&fleet, "did not respond");
    eventually("an age", || (age(&same()) >= 2).then_some(()));
    let table: [(&str, Vec<u8>); 6] = [
        (
            "returned status 500",
            response("500 Internal Server Error", "", ""),
        ),
        (
            "redirects to",
            response("302 Found", "location: /login\r\n", ""),
        ),
        (
            "is not JSON",
            response("200 OK", "", "<!DOCTYPE html><html></html>"),
        ),
        (
            "none of the",
            response("200 OK", "", "{\"message\": \"nothing\"}"),
        ),
        (
            "interrupted",
            b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\nconnection: close\r\n\r\n{\"ips\": ["
                .to_vec(),
        ),
        (
            "went from 2000 to 900 entries",
            super::upstream::ok("application/json", &addresses(900).to_string()),
        ),
    ];
    for (message, reply) in table {
        upstream.replies(move |_| Some(reply.clone()));
        logs(&fleet, message);
        same();
    }
    upstream.replies_json(&addresses(1_500));
    eventually("the new list", || {
        let now = fleet.get(ATTACK_LIST, &[]);
        (body(&now) != body(&first)).then(|| assert!(age(&now) < 20))
    });
}

#[test]
fn a_list_survives_kill_9_while_the_upstream_is_away() {
    let upstream = Upstream::of_json(&addresses(100));
    let mut fleet = relay(&abs(&upstream));
    let before = list(&fleet, ATTACK_LIST);
    fleet.kill();
    upstream.goes_away();
    fleet.start();
    // At once: the server listens when it has read its files.
    let after = fleet.get(ATTACK_LIST, &[]);
    assert_eq!(after.status(), 200);
    assert_eq!(after.body(), before.body());
    assert_eq!(header(&after, "etag"), header(&before, "etag"));
    eventually("an age", || {
        (age(&fleet.get(ATTACK_LIST, &[])) >= 2).then_some(())
    });
    fleet.kill();
    // The list of another upstream is another list.
    let other = Upstream::new(|_| None);
    fs::write(fleet.path("relay.json"), abs(&other).to_string()).unwrap();
    fleet.start();
    assert_eq!(fleet.get(ATTACK_LIST, &[]).status(), 503);
}

#[test]
fn an_unchanged_list_is_not_transferred_after_a_restart() {
    let list_of = response("200 OK", "etag: \"v1\"\r\n", &addresses(3).to_string());
    let upstream = Upstream::new(move |head| {
        let is_known = head.contains("if-none-match: \"v1\"");
        Some(match is_known {
            true => response("304 Not Modified", "", ""),
            false => list_of.clone(),
        })
    });
    let mut fleet = relay(&abs(&upstream));
    list(&fleet, ATTACK_LIST);
    eventually("a conditional request", || {
        (upstream.requests().len() > 1).then_some(())
    });
    fleet.kill();
    let n_requests = upstream.requests().len();
    fleet.start();
    eventually("a request", || {
        (upstream.requests().len() > n_requests).then_some(())
    });
    let conditional = upstream
        .requests()
        .iter()
        .filter(|head| head.contains("if-none-match"))
        .count();
    assert_eq!(conditional, upstream.requests().len() - 1);
    assert_eq!(fleet.get(ATTACK_LIST, &[]).status(), 200);
}

#[test]
fn damaged_files_are_ignored_and_replaced() {
    let upstream = Upstream::of_json(&addresses(3));
    let mut fleet = relay(&abs(&upstream));
    list(&fleet, ATTACK_LIST);
    fleet.kill();
    let file = fleet.path("state/lists/abs.list");
    let mut content = fs::read(&file).unwrap();
    *content.last_mut().unwrap() ^= 1;
    fs::write(&file, content).unwrap();
    upstream.goes_away();
    fleet.start();
    assert_eq!(fleet.get(ATTACK_LIST, &[]).status(), 503);
    logs(&fleet, "abs.list is not used: its checksum is wrong");
    upstream.replies_json(&addresses(4));
    let new = list(&fleet, ATTACK_LIST);
    upstream.goes_away();
    fleet.kill();
    fleet.start();
    assert_eq!(fleet.get(ATTACK_LIST, &[]).body(), new.body());
}

#[test]
fn a_list_that_cannot_be_kept_is_served_from_memory() {
    let upstream = Upstream::of_json(&addresses(3));
    let mut fleet = relay(&abs(&upstream));
    list(&fleet, ATTACK_LIST);
    fleet.kill();
    fs::remove_dir_all(fleet.path("state/lists")).unwrap();
    fs::write(fleet.path("state/lists"), "not a directory").unwrap();
    fleet.start();
    list(&fleet, ATTACK_LIST);
    logs(&fleet, "the list is served from memory");
}

#[test]
fn wrong_credentials_are_reported_until_they_are_right() {
    let upstream = Upstream::new(|_| Some(response("401 Unauthorized", "", "")));
    let fleet = relay(&abs(&upstream));
    let refused = eventually("the first result", || {
        let response = fleet.get(ATTACK_LIST, &[]);
        assert_eq!(response.status(), 503);
        let message = body(&response)["error"].as_str().unwrap().to_owned();
        message.contains("refused the keys").then_some(response)
    });
    let retry_after: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=60).contains(&retry_after));
    upstream.replies_json(&addresses(1));
    list(&fleet, ATTACK_LIST);
}

#[test]
fn an_upstream_that_asks_to_wait_is_left_alone() {
    let upstream = Upstream::new(|_| {
        Some(response(
            "429 Too Many Requests",
            "retry-after: 600\r\n",
            "",
        ))
    });
    let fleet = relay(&abs(&upstream));
    let wait = eventually("the wait", || {
        let response = fleet.get(ATTACK_LIST, &[]);
        let message = body(&response)["error"].as_str().unwrap().to_owned();
        message
            .contains("429")
            .then(|| header(&response, "retry-after").to_owned())
    });
    assert_eq!(wait, "60");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_response_that_never_ends_is_a_timeout() {
    let mut configuration = abs(&Upstream::of_json(&json!({})));
    let endless = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", endless.local_addr().unwrap());
    configuration["upstreams"]["abs"] = json!(url);
    thread::spawn(move || {
        // Kept open.
        let mut streams = Vec::new();
        for stream in endless.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1_024]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"ips\": [");
            streams.push(stream);
        }
    });
    let fleet = relay(&configuration);
    logs(&fleet, "did not end within the timeout of 2s");
    let status = body(&fleet.get("/v1/feeds", &[]));
    assert_eq!(status["feeds"][0]["last_result"], "timeout", "{status}");
}

#[test]
fn no_status_and_no_line_of_the_log_has_a_secret_of_an_address() {
    let upstream = Upstream::of_json(&json!(["token-1"]));
    let configuration = json!({
        "feeds": [{
            "name": "drop", "format": "tokens", "cluster": "lists", "path": "/drop.json?key=SECRET-query",
            "interval": "1s",
        }],
        "upstreams": {"lists": upstream.url},
    });
    let fleet = relay(&configuration);
    list(&fleet, "/v1/feeds/drop");
    let nothing_secret = || {
        for path in ["/v1/feeds", "/v1/status", "/metrics", "/"] {
            let text = String::from_utf8(fleet.get(path, &[]).into_body()).unwrap();
            assert!(!text.contains("SECRET-"), "{path}: {text}");
        }
        assert!(!fleet.log().contains("SECRET-"), "{}", fleet.log());
    };
    nothing_secret();
    let status = body(&fleet.get("/v1/feeds", &[]));
    let shown = format!("{}/drop.json", upstream.url);
    assert_eq!(status["feeds"][0]["upstream"], json!(shown));
    let location =
        "location: https://SECRET-user:SECRET-password@example.com/new?key=SECRET-key\r\n";
    for (reason, reply) in [
        (
            "redirects to \"https://example.com/new\"",
            response("302 Found", location, ""),
        ),
        ("status 401", response("401 Unauthorized", "", "")),
        (
            "interrupted",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n192".to_vec(),
        ),
    ] {
        upstream.replies(move |_| Some(reply.clone()));
        logs(&fleet, reason);
        nothing_secret();
    }
    upstream.goes_away();
    logs(&fleet, "did not respond");
    nothing_secret();
}
