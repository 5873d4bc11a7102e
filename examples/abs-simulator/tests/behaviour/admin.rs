use std::time::Instant;

use serde_json::json;

use crate::attack_list::{ONE_OF_EACH, empty};
use crate::support::{ACTIVE, Server, wait_until};

#[test]
fn the_admin_endpoints_change_the_list() {
    let server = Server::simulator(&[]);
    server.list(ONE_OF_EACH);
    let response = server.admin(
        "DELETE",
        "/admin/list",
        r#"{"oauth_tokens":["token-1"],"cookies":null}"#,
    );
    assert_eq!(response.json(), json!({"active_entries": 6}));
    let response = server.admin(
        "POST",
        "/admin/load",
        r#"{"ips":["192.0.2.8","192.0.2.8"]}"#,
    );
    assert_eq!(response.json(), json!({"active_entries": 1}));
    assert_eq!(server.active()["ips"], json!(["192.0.2.8"]));
    assert_eq!(server.active()["usernames"], json!([]));
    let response = server.admin("DELETE", "/admin/list", "");
    assert_eq!(response.json(), json!({"active_entries": 0}));
    for malformed in [
        r#"{"ips":["192.0.2.8"],"ttl_second":1}"#,
        r#"{"ips":["192.0.2.8"],"ttl_seconds":0}"#,
        r#"{"ips":["192.0.2.8"],"ttl_seconds":-1}"#,
        r#"{"ips":["192.0.2.8"],"detected_at":"yesterday"}"#,
    ] {
        let response = server.request("POST", "/admin/list", &[], malformed);
        assert_eq!(response.status, 400, "{malformed}");
        assert_eq!(server.active(), empty());
    }
}

#[test]
fn generated_entries_follow_the_scheme() {
    let server = Server::simulator(&[]);
    let generate = |body: &str| {
        server.admin("POST", "/admin/generate", body);
        server.active()
    };
    let list = generate(r#"{"entries":70000,"kinds":"ips","seed":1}"#);
    let ips = list["ips"].as_array().unwrap();
    assert_eq!(ips.len(), 70_000);
    assert_eq!(ips[0], "10.0.0.0");
    assert_eq!(ips[69_999], "10.1.17.111");
    let unique: std::collections::HashSet<_> = ips.iter().collect();
    assert_eq!(unique.len(), 70_000);
    assert_eq!(generate(r#"{"entries":1,"seed":3}"#)["ips"][0], "10.32.0.0");
    // The seventeenth seed wraps around to the first.
    assert_eq!(generate(r#"{"entries":1,"seed":17}"#)["ips"][0], "10.0.0.0");

    let list = generate(r#"{"entries":12,"kinds":"mixed","seed":2}"#);
    assert_eq!(
        list,
        json!({
            "ips": ["10.16.0.0", "10.16.0.1", "10.16.0.2"],
            "cookies": {"SESSION": [
                "00000002000000000000000000000000",
                "00000002000000000000000000000001",
                "00000002000000000000000000000002",
            ]},
            "oauth_tokens": [
                "tok-00000002-000000000000000000000000000000",
                "tok-00000002-000000000000000000000000000001",
            ],
            "api_keys": [
                "key-00000002-00000000000000000000000",
                "key-00000002-00000000000000000000001",
            ],
            "usernames": ["user0.2@example.com", "user1.2@example.com"],
        })
    );
    for refused in [
        r#"{"entries":0}"#,
        r#"{"entries":16777217}"#,
        r#"{"entries":1,"kinds":"all"}"#,
        "{}",
    ] {
        let response = server.request("POST", "/admin/generate", &[], refused);
        assert_eq!(response.status, 400, "{refused}");
    }
}

#[test]
fn the_times_of_fetches_are_reported() {
    let server = Server::simulator(&[]);
    let times = || -> Vec<u64> {
        serde_json::from_value(server.admin("GET", "/admin/fetches", "").json()).unwrap()
    };
    assert!(times().is_empty());
    server.active();
    let first = times();
    wait_until("the clock advances", || {
        server.active();
        times().last() > first.last()
    });
    let times = times();
    assert!(times.is_sorted() && times.starts_with(&first), "{times:?}");
    assert_eq!(times.len() as u64, server.counter("attacklist_get"));
}

#[test]
fn a_large_list_is_served_from_memory() {
    let server = Server::simulator(&[]);
    let whole = r#"{"entries":100000,"kinds":"mixed","detected_at":"2026-03-01T10:00"}"#;
    server.admin("POST", "/admin/generate", whole);
    server.list(r#"{"ips":["192.0.2.1"],"detected_at":"2026-03-01T09:00"}"#);
    let time = |target: &str| {
        let start = Instant::now();
        assert!(server.attack_list(target).body.len() > 3_000_000);
        start.elapsed()
    };
    // With a window that excludes an entry, the simulator serialises the list each time.
    let window = "/v4/abs/attacklist?earlier_date=2026-03-01T10:00&later_date=2099-01-01T00:00&status=active";
    // Alternates both and compares the fastest of each, because other load only increases a time.
    let (mut serialised, mut kept) = (time(window), time(ACTIVE));
    wait_until("the kept list takes less than half the time", || {
        serialised = serialised.min(time(window));
        kept = kept.min(time(ACTIVE));
        kept * 2 < serialised
    });
}
