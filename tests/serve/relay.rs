//! The relay: what upstreams are asked, what nodes get, and what a fault changes.

mod decisions;
mod document;
mod faults;
pub mod upstream;

use std::process::Command;

use serde_json::{Value, json};

use self::upstream::Upstream;
use crate::schema;
use crate::support::{Fleet, body, filter};

const ATTACK_LIST: &str = "/v4/abs/attacklist?earlier_date=2026-01-01T00:00&status=active";

/// A server that relays the feeds of this configuration.
pub fn relay(configuration: &Value) -> Fleet {
    let mut fleet = Fleet::new();
    let file = fleet.path("relay.json");
    std::fs::write(&file, configuration.to_string()).unwrap();
    fleet.arguments = vec!["--relay".to_owned(), file.display().to_string()];
    fleet.environment = ["LIST_KEY", "CROWDSEC_KEY"]
        .map(|name| (name.to_owned(), "list-secret".to_owned()))
        .to_vec();
    fleet.start();
    fleet
}

/// ABS's list, fetched once a second.
fn abs(upstream: &Upstream) -> Value {
    json!({
        "enable_abs_attack": true,
        "abs_attack_request_minutes": 0.0167,
        "abs": {"cluster": "abs", "access_key": "ak-secret", "secret_key": "sk-secret", "timeout": "2s"},
        "upstreams": {"abs": upstream.url},
    })
}

/// The list as soon as there is one.
fn list(fleet: &Fleet, path: &str) -> ureq::http::Response<Vec<u8>> {
    crate::support::eventually("a list", || {
        let response = fleet.get(path, &[]);
        (response.status() == 200).then_some(response)
    })
}

fn header<'a>(response: &'a ureq::http::Response<Vec<u8>>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn age(response: &ureq::http::Response<Vec<u8>>) -> u64 {
    header(response, "age").parse().unwrap()
}

#[test]
fn many_nodes_cost_the_upstream_one_request() {
    let upstream = Upstream::of_json(&json!({"ips": ["192.0.2.2", "192.0.2.1"]}));
    let mut configuration = abs(&upstream);
    configuration["abs_attack_request_minutes"] = json!(10);
    let fleet = relay(&configuration);
    let first = list(&fleet, ATTACK_LIST);
    assert_eq!(body(&first), json!({"ips": ["192.0.2.1", "192.0.2.2"]}));
    assert_eq!(header(&first, "cache-control"), "no-store");
    let etag = header(&first, "etag").to_owned();
    for _ in 0..20 {
        assert_eq!(fleet.get(ATTACK_LIST, &[]).body(), first.body());
        let unchanged = fleet.get(ATTACK_LIST, &[("if-none-match", &etag)]);
        assert_eq!(unchanged.status(), 304);
        assert!(unchanged.body().is_empty());
        assert_eq!(header(&unchanged, "etag"), etag);
        age(&unchanged);
    }
    let changed = fleet.get(ATTACK_LIST, &[("if-none-match", "\"other\"")]);
    assert_eq!(changed.status(), 200);
    let requests = upstream.requests();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("GET /v4/abs/attacklist?earlier_date="));
    assert!(requests[0].contains("x-abs-ak: ak-secret"));
    let shown = format!("{:?} {}", first.headers(), fleet.log());
    assert!(!shown.contains("secret"));
}

#[test]
fn a_list_is_compressed_only_for_clients_that_accept_it() {
    let addresses: Vec<String> = (0..1_000)
        .map(|n| format!("198.18.{}.{}", n / 250, n % 250 + 1))
        .collect();
    let upstream = Upstream::of_json(&json!({"ips": addresses}));
    let fleet = relay(&abs(&upstream));
    list(&fleet, ATTACK_LIST);
    // The test's client decompresses, so the length on the wire is read from a socket.
    let wire = |accepted: &str| {
        upstream::exchange(
            fleet.url(),
            &format!(
                "GET {ATTACK_LIST} HTTP/1.1\r\nhost: a\r\n{accepted}connection: close\r\n\r\n"
            ),
        )
    };
    let plain = wire("");
    let zipped = wire("accept-encoding: gzip\r\n");
    let head =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..400.min(bytes.len())]).to_lowercase();
    assert!(!head(&plain).contains("content-encoding"));
    assert!(head(&zipped).contains("content-encoding: gzip"));
    assert!(
        zipped.len() * 4 < plain.len(),
        "{} {}",
        zipped.len(),
        plain.len()
    );
}

#[test]
fn a_feed_keeps_its_format_and_two_servers_give_the_same_bytes() {
    let text = Upstream::of(
        "text/plain",
        "# list\n203.0.113.0/24\n192.0.2.1\n10.0.0.0/8\n",
    );
    let tokens = Upstream::of_json(&json!(["b", "a", {"jti": "c"}]));
    let second = Upstream::of_json(&json!({"usernames": ["bob"], "ips": ["192.0.2.1"]}));
    let configuration = json!({
        "feeds": [
            {"name": "drop", "format": "text", "cluster": "lists", "path": "/drop.txt?key=1",
             "headers": {"authorization": {"env": "LIST_KEY"}}},
            {"name": "revoked", "format": "tokens", "cluster": "tokens", "path": "/tokens"},
            {"name": "europe", "format": "abs", "cluster": "abs"},
        ],
        "upstreams": {
            "lists": {"url": text.url, "insecure": false},
            "tokens": tokens.url,
            "abs": second.url,
        },
    });
    let servers = [relay(&configuration), relay(&configuration)];
    let table = [
        (
            "/v1/feeds/drop",
            "# portcullis\n192.0.2.1\n203.0.113.0/24\n",
        ),
        ("/v1/feeds/revoked", r#"["a","b","c"]"#),
        (
            "/v1/feeds/europe",
            r#"{"ips":["192.0.2.1"],"usernames":["bob"]}"#,
        ),
    ];
    for (path, expected) in table {
        let [one, other] = servers.each_ref().map(|server| list(server, path));
        assert_eq!(String::from_utf8_lossy(one.body()), expected);
        assert_eq!(one.body(), other.body());
        assert_eq!(header(&one, "etag"), header(&other, "etag"));
    }
    assert!(text.requests()[0].contains("authorization: list-secret"));
}

#[test]
fn the_relayed_lists_decide_in_explain() {
    let upstream = Upstream::of_json(&json!({"ips": ["192.0.2.1"]}));
    let fleet = relay(&abs(&upstream));
    list(&fleet, ATTACK_LIST);
    let enforced = filter(&json!({"enable_abs_attack": true, "abs": {"cluster": "portcullis"}}));
    fleet.write("portcullis.json", &enforced.to_string());
    let explain = |address: &str| {
        let headers = [("content-type", "application/json")];
        let question = json!({ "ip": address }).to_string();
        body(&fleet.send("POST", "/v1/explain", &headers, question))
    };
    let explained = crate::support::eventually("a verdict over the list", || {
        let explained = explain("192.0.2.1");
        (explained["verdict"] != "allowed").then_some(explained)
    });
    assert_eq!(explained["verdict"], "denied abs ip");
    assert_eq!(explained["decided_by"]["entry"]["value"], "192.0.2.1");
    assert_eq!(explain("192.0.2.2")["verdict"], "allowed");
    let command = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["--server", fleet.url(), "explain", "--ip", "192.0.2.1"])
        .env_clear()
        .output()
        .unwrap();
    let text = String::from_utf8(command.stdout).unwrap();
    assert!(text.contains("denied abs ip"), "{text}");

    let feeds = body(&fleet.get("/v1/feeds", &[]));
    let document = schema::document();
    let schema = &document["components"]["schemas"]["Feed"];
    schema::check(&document, schema, &feeds["feeds"][0], "feed").unwrap();
    assert_eq!(feeds["feeds"][0]["entries"], json!({"ip": 1}));
}

#[test]
fn an_unknown_feed_is_an_error_that_names_the_known_ones() {
    let upstream = Upstream::of_json(&json!({"ips": []}));
    let fleet = relay(&abs(&upstream));
    let response = fleet.get("/v1/feeds/drop", &[]);
    assert_eq!(response.status(), 404);
    let message = body(&response)["error"].as_str().unwrap().to_owned();
    assert!(message.contains("drop") && message.contains("abs"));
    let without = Fleet::started();
    let response = without.get(ATTACK_LIST, &[]);
    assert_eq!(response.status(), 404);
    assert!(
        body(&response)["error"]
            .as_str()
            .unwrap()
            .contains("--relay")
    );
}

#[test]
fn all_errors_of_the_file_are_reported_with_their_paths() {
    let mut fleet = Fleet::new();
    let file = fleet.path("relay.json");
    let configuration = json!({
        "enable_abs_attak": true,
        "feeds": [
            {"name": "drop", "format": "text", "cluster": "lists"},
        ],
        "upstreams": {
            "a": "ftp://x", "b": 5, "c": {"url": "http://x:1", "key": 1}, "d": "http://bob:pw-secret@x",
            "e": {"url": "http://x:1", "insecure": "yes"},
        },
    });
    std::fs::write(&file, configuration.to_string()).unwrap();
    fleet.arguments = vec!["--relay".to_owned(), file.display().to_string()];
    let errors = |fleet: &Fleet| {
        let output = fleet.command().output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = errors(&fleet);
    for path in [
        "enable_abs_attak: unknown key",
        "feeds[0].path: missing",
        "upstreams.a: found",
        "upstreams.b: found",
        "upstreams.c.key: unknown key",
        "upstreams.d: found",
        "upstreams.e.insecure: found",
    ] {
        assert!(shown.contains(path), "{path} in {shown}");
    }
    assert!(!shown.contains("pw-secret") && !shown.contains("upstreams: unknown"));
    let configuration = json!({
        "feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/d"}],
        "upstreams": {"list": "http://x:1"},
    });
    std::fs::write(&file, configuration.to_string()).unwrap();
    let shown = errors(&fleet);
    assert!(shown.contains("upstreams.lists: missing") && shown.contains("upstreams.list: found"));
    std::fs::write(&file, "{}").unwrap();
    let shown = errors(&fleet);
    assert!(shown.contains("upstreams: missing") && shown.contains("feeds: missing"));
}
