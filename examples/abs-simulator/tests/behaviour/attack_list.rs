use std::time::SystemTime;

use abs_simulator::date::format_date;
use serde_json::{Value, json};

use crate::support::{ACTIVE, BOTH, CREDENTIALS, EXPIRED, Server, gunzip, wait_until, with};

pub const ONE_OF_EACH: &str = r#"{"ips":["192.0.2.1"],"cookies":{"JSESSIONID":["c3"],"PHPSESSIONID":["c1","c2"]},
    "oauth_tokens":["token-1"],"api_keys":["api-key-1"],"usernames":["user one"]}"#;

pub fn empty() -> Value {
    json!({"ips": [], "cookies": {}, "oauth_tokens": [], "api_keys": [], "usernames": []})
}

#[test]
fn listed_identifiers_are_served_in_the_format_of_abs() {
    let server = Server::simulator(&[]);
    assert_eq!(server.active(), empty());
    let response = server.admin("POST", "/admin/list", ONE_OF_EACH);
    assert_eq!(response.json(), json!({"active_entries": 7}));
    let response = server.attack_list(ACTIVE);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(
        response.json(),
        serde_json::from_str::<Value>(ONE_OF_EACH).unwrap()
    );
    // Listing an identifier again changes nothing.
    let response = server.admin("POST", "/admin/list", r#"{"ips":["192.0.2.1"]}"#);
    assert_eq!(response.json(), json!({"active_entries": 7}));
}

#[test]
fn both_credentials_are_checked_on_every_method() {
    let server = Server::simulator(&["--access-key", "key", "--secret-key", "secret"]);
    let right = [("x-abs-ak", "key"), ("x-abs-sk", "secret")];
    let wrong: [&[(&str, &str)]; 5] = [
        &[],
        &right[..1],
        &right[1..],
        &[("x-abs-ak", "key"), ("x-abs-sk", "wrong")],
        &CREDENTIALS,
    ];
    for headers in wrong {
        for method in ["GET", "PUT", "DELETE"] {
            let response = server.request(method, ACTIVE, headers, "{}");
            assert_eq!(response.status, 401, "{method} {headers:?}");
            assert!(response.error().contains("x-abs-ak"));
            assert_eq!(response.header("content-type"), Some("application/json"));
        }
    }
    assert_eq!(server.request("GET", ACTIVE, &right, "").status, 200);
    assert_eq!(server.counter("attacklist_get"), 6);
    assert_eq!(server.counter("attacklist_unauthorized"), 15);
}

#[test]
fn a_restricted_user_sees_no_secrets_and_changes_nothing() {
    let server = Server::simulator(&[]);
    server.list(ONE_OF_EACH);
    let restricted = [("x-abs-ak-ru", "abs_ak_ru"), ("x-abs-sk-ru", "abs_sk_ru")];
    let response = server.request("GET", ACTIVE, &restricted, "");
    assert_eq!(response.status, 200);
    assert_eq!(
        response.json(),
        json!({
            "ips": ["192.0.2.1"],
            "cookies": {"JSESSIONID": ["c3******"], "PHPSESSIONID": ["c1******", "c2******"]},
            "oauth_tokens": ["to******"],
            "api_keys": ["ap******"],
            "usernames": ["user one"],
        })
    );
    for method in ["PUT", "DELETE"] {
        let response = server.request(method, ACTIVE, &restricted, r#"{"ips":["192.0.2.1"]}"#);
        assert_eq!(response.status, 403, "{method}");
    }
    assert_eq!(server.active()["oauth_tokens"], json!(["token-1"]));
}

#[test]
fn a_wrong_query_is_refused_with_what_is_allowed() {
    let server = Server::simulator(&[]);
    let table = [
        ("", "earlier_date: found \"\""),
        (
            "?earlier_date=2026-01-01T00:00",
            "later_date: found \"\", expected a date in UTC of the form yyyy-mm-ddThh:mm",
        ),
        (
            "?earlier_date=2026-01-01&later_date=2026-01-02T00:00",
            "earlier_date: found \"2026-01-01\"",
        ),
        (
            "?earlier_date=2026-01-01T00:00&later_date=2026-13-01T00:00",
            "later_date: found \"2026-13-01T00:00\"",
        ),
        (
            "?earlier_date=2026-01-02T00:00&later_date=2026-01-01T00:00",
            "earlier_date is after later_date",
        ),
        (
            "?earlier_date=2026-01-01T00:00&later_date=2026-01-01T00:00&status=all",
            "status: found \"all\", allowed are active, expired",
        ),
    ];
    for (query, expected) in table {
        let response = server.attack_list(&format!("/v4/abs/attacklist{query}"));
        assert_eq!(response.status, 400, "{query}");
        assert!(response.error().contains(expected), "{}", response.error());
    }
    let encoded =
        "/v4/abs/attacklist?earlier_date=2026-01-01T00%3A00&later_date=2026-01-01T00%3A00";
    assert_eq!(server.attack_list(encoded).status, 200);
}

#[test]
fn the_window_includes_both_its_minutes() {
    let server = Server::simulator(&[]);
    server.list(r#"{"ips":["192.0.2.1"],"detected_at":"2026-03-01T10:00"}"#);
    server.list(r#"{"ips":["192.0.2.2"],"detected_at":"2026-03-01T11:30"}"#);
    let table = [
        (
            "2026-03-01T10:00",
            "2026-03-01T11:30",
            json!(["192.0.2.1", "192.0.2.2"]),
        ),
        ("2026-03-01T10:01", "2026-03-01T11:30", json!(["192.0.2.2"])),
        ("2026-03-01T10:00", "2026-03-01T11:29", json!(["192.0.2.1"])),
        ("2026-03-01T10:01", "2026-03-01T11:29", json!([])),
    ];
    // Twice, with a window of all entries between them, to show that cached bodies do not affect others.
    for _ in 0..2 {
        for (earlier, later, expected) in &table {
            let response = server.attack_list(&format!(
                "/v4/abs/attacklist?earlier_date={earlier}&later_date={later}&status=active"
            ));
            assert_eq!(response.json()["ips"], *expected, "{earlier} to {later}");
        }
        assert_eq!(server.active()["ips"], json!(["192.0.2.1", "192.0.2.2"]));
    }
    // An entry of this second is in a window that ends with this minute.
    server.list(r#"{"ips":["192.0.2.3"]}"#);
    let now = format_date(SystemTime::now());
    let response = server.attack_list(&format!(
        "/v4/abs/attacklist?earlier_date=2026-04-01T00:00&later_date={now}"
    ));
    assert_eq!(response.json()["ips"], json!(["192.0.2.3"]));
}

#[test]
fn an_entry_expires_and_can_be_listed_again() {
    let server = Server::simulator(&[]);
    server.list(r#"{"ips":["192.0.2.1"],"usernames":["bob"],"ttl_seconds":3}"#);
    server.list(r#"{"ips":["192.0.2.2"]}"#);
    let before = server.attack_list(ACTIVE);
    wait_until("two entries expire", || {
        server.active()["ips"] == json!(["192.0.2.2"])
    });
    assert_ne!(
        server.attack_list(ACTIVE).header("etag"),
        before.header("etag")
    );
    assert_eq!(server.active()["usernames"], json!([]));
    let expired = server.attack_list(EXPIRED).json();
    assert_eq!(expired["ips"], json!(["192.0.2.1"]));
    assert_eq!(expired["usernames"], json!(["bob"]));
    assert_eq!(
        server.attack_list(BOTH).json()["ips"],
        json!(["192.0.2.2", "192.0.2.1"])
    );
    let admin = server.admin("GET", "/admin/list", "").json();
    assert_eq!(admin["active"]["ips"], json!(["192.0.2.2"]));
    assert_eq!(admin["expired"]["ips"], json!(["192.0.2.1"]));

    server.list(r#"{"ips":["192.0.2.1"]}"#);
    assert_eq!(server.active()["ips"], json!(["192.0.2.2", "192.0.2.1"]));
    assert_eq!(server.attack_list(EXPIRED).json()["ips"], json!([]));
}

#[test]
fn the_default_time_to_live_comes_from_the_flag() {
    let server = Server::simulator(&["--ttl-minutes", "0.004"]);
    server.list(r#"{"ips":["192.0.2.1"]}"#);
    server.list(r#"{"ips":["192.0.2.2"],"ttl_seconds":3600}"#);
    wait_until("the entry without a time of its own expires", || {
        server.active()["ips"] == json!(["192.0.2.2"])
    });
}

#[test]
fn the_entity_tag_depends_on_the_content_and_not_on_the_window() {
    let server = Server::simulator(&[]);
    server.list(ONE_OF_EACH);
    let first = server.attack_list(ACTIVE);
    let etag = first.header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"'), "{etag} is not strong");
    let other_window = "/v4/abs/attacklist?earlier_date=2021-05-05T05:05&later_date=2098-01-01T00:00&status=active";
    assert_eq!(
        server.attack_list(other_window).header("etag"),
        Some(etag.as_str())
    );

    let listed_tags = format!("\"other\", W/{etag}");
    for tags in [etag.as_str(), "*", &listed_tags] {
        let headers = with(&CREDENTIALS, &[("if-none-match", tags)]);
        let response = server.request("GET", other_window, &headers, "");
        assert_eq!(response.status, 304, "{tags}");
        assert_eq!(response.header("etag"), Some(etag.as_str()));
        assert!(response.body.is_empty());
    }
    assert_eq!(server.counter("attacklist_not_modified"), 3);
    // Credentials are checked first.
    let response = server.request("GET", ACTIVE, &[("if-none-match", &etag)], "");
    assert_eq!(response.status, 401);

    server.list(r#"{"ips":["192.0.2.9"]}"#);
    let headers = with(&CREDENTIALS, &[("if-none-match", &etag)]);
    assert_eq!(server.request("GET", ACTIVE, &headers, "").status, 200);
    // The same content has the same tag again.
    server.admin("DELETE", "/admin/list", r#"{"ips":["192.0.2.9"]}"#);
    assert_eq!(server.request("GET", ACTIVE, &headers, "").status, 304);
}

#[test]
fn only_a_large_body_is_compressed_and_only_if_accepted() {
    let server = Server::simulator(&[]);
    let gzip = with(&CREDENTIALS, &[("accept-encoding", "br, GZIP;q=0.5")]);
    let small = server.request("GET", ACTIVE, &gzip, "");
    assert_eq!(small.header("content-encoding"), None);

    server.admin("POST", "/admin/generate", r#"{"entries":1000}"#);
    let plain = server.attack_list(ACTIVE);
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    for refused in ["br", "gzip;q=0", "identity"] {
        let headers = with(&CREDENTIALS, &[("accept-encoding", refused)]);
        let response = server.request("GET", ACTIVE, &headers, "");
        assert_eq!(response.header("content-encoding"), None, "{refused}");
    }

    let compressed = server.request("GET", ACTIVE, &gzip, "");
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert_eq!(gunzip(&compressed.body), plain.body);
    assert_ne!(compressed.header("etag"), plain.header("etag"));
    for tag in [plain.header("etag"), compressed.header("etag")] {
        let headers = with(&gzip, &[("if-none-match", tag.unwrap())]);
        assert_eq!(server.request("GET", ACTIVE, &headers, "").status, 304);
    }
}

#[test]
fn put_deletes_the_named_active_identifiers() {
    let server = Server::simulator(&[]);
    server.list(ONE_OF_EACH);
    let named = r#"{"ips":["192.0.2.1","192.0.2.77"],"cookies":{"PHPSESSIONID":["c2"],"OTHER":["c1"]},"usernames":["user one"]}"#;
    let response = server.request("PUT", "/v4/abs/attacklist", &CREDENTIALS, named);
    assert_eq!(response.status, 200);
    let response = response.json();
    assert_eq!(
        response["attacklist"],
        json!({
            "ips": ["192.0.2.1"],
            "cookies": {"PHPSESSIONID": ["c2"]},
            "oauth_tokens": [],
            "api_keys": [],
            "usernames": ["user one"],
        })
    );
    assert!(response["message"].is_string());
    assert_eq!(
        response["date"].as_str().unwrap().len(),
        "2026-01-01T00:00".len()
    );
    assert_eq!(
        server.active(),
        json!({
            "ips": [],
            "cookies": {"JSESSIONID": ["c3"], "PHPSESSIONID": ["c1"]},
            "oauth_tokens": ["token-1"],
            "api_keys": ["api-key-1"],
            "usernames": [],
        })
    );
    assert_eq!(server.counter("attacklist_put"), 1);
    for malformed in [
        "",
        "not json",
        r#"{"ip":["192.0.2.1"]}"#,
        r#"{"ips":"192.0.2.1"}"#,
    ] {
        let response = server.request("PUT", "/v4/abs/attacklist", &CREDENTIALS, malformed);
        assert_eq!(response.status, 400, "{malformed:?}");
    }
}

#[test]
fn delete_removes_whole_kinds() {
    let server = Server::simulator(&[]);
    let kinds = ["ips", "cookies", "oauth_tokens", "api_keys", "usernames"];
    for kind in kinds {
        server.admin("POST", "/admin/load", ONE_OF_EACH);
        let flags = format!(r#"{{"delete_all":false,"delete_all_{kind}":true}}"#);
        let response = server.request("DELETE", "/v4/abs/attacklist", &CREDENTIALS, flags);
        assert_eq!(response.status, 200);
        let mut expected: Value = serde_json::from_str(ONE_OF_EACH).unwrap();
        expected[kind] = empty()[kind].clone();
        assert_eq!(server.active(), expected, "{kind}");
    }
    server.admin("POST", "/admin/load", ONE_OF_EACH);
    let response = server.request(
        "DELETE",
        "/v4/abs/attacklist",
        &CREDENTIALS,
        r#"{"delete_all":true}"#,
    );
    assert_eq!(response.status, 200);
    assert_eq!(server.active(), empty());
    assert_eq!(server.counter("attacklist_delete"), 6);
}
