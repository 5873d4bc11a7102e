//! `feeds`, and the other commands with the list of a feed, against the simulator's LAPI and lists by URL.

use serde_json::{Value, json};

use crate::support::{Abs, Workspace, assert_session};

const CONFIG: &str = r#"{
  "abs": {"cluster": "abs"},
  "feeds": [
    {"name": "lapi", "format": "crowdsec", "cluster": "lapi", "headers": {"x-api-key": {"env": "LAPI_KEY"}},
     "session_cookie": "SESSION", "scope_headers": {"Country": "cf-ipcountry"}, "scopes": ["ip", "range", "username", "session", "Country", "AS"]},
    {"name": "drop", "format": "text", "cluster": "lists", "path": "/lists/drop", "interval": "90s"},
    {"name": "revoked", "format": "tokens", "cluster": "lists", "path": "/tokens/revoked", "claims": ["jti", "aud"],
     "mode": "shadow", "headers": {"authorization": "very-secret"}},
    {"name": "later", "format": "text", "cluster": "lists", "path": "/lists/later", "enabled": false,
     "headers": {"basic": {"user": "reader", "password_env": "LATER_PASSWORD"}}}
  ],
  "apis": [
    {"api_id": "open", "url": "/open", "enable_blocking": false},
    {"api_id": "only_drop", "url": "/only-drop", "feeds": ["drop"]}
  ]
}
"#;

const DECISIONS: &str = r#"[{"value": "192.0.2.1"}, {"scope": "Range", "value": "198.51.100.0/24"},
    {"scope": "username", "value": "mallory"}, {"scope": "session", "value": "session-of-mallory"},
    {"scope": "Country", "value": "ZZ"}, {"scope": "AS", "value": "64500"}, {"value": "192.0.2.2", "type": "captcha"},
    {"value": "nonsense"}]"#;

const DROP: &str = "# Sample\n192.0.2.1\n198.51.100.0/24 ; SBL1\n198.51.100.9-198.51.100.10\nlocalhost\n10.0.0.1\n";

const REVOKED: &str =
    r#"["token-of-mallory", {"jti": "other-token", "aud": "shop"}, {"sub": "bob"}]"#;

/// A workspace with the feeds of [`CONFIG`].
fn workspace(simulator: &Abs) -> Workspace {
    let mut workspace = simulator.workspace();
    workspace.write("config.json", CONFIG);
    workspace.set("PORTCULLIS_CONFIG", "config.json");
    workspace.set("LAPI_KEY", "lapi_key");
    workspace.set("URL", &simulator.url);
    workspace
}

fn serve(simulator: &Abs) {
    simulator.admin("POST", "/admin/decisions", DECISIONS);
    simulator.admin("PUT", "/admin/lists/drop", DROP);
    let secured = "/admin/lists/later?header=authorization&value=Basic%20cmVhZGVyOnBhc3M=";
    simulator.admin("PUT", secured, "# Nothing yet\n");
    simulator.admin("PUT", "/admin/tokens/revoked", REVOKED);
}

#[test]
fn feeds_are_listed_and_read() {
    let simulator = Abs::start(&[]);
    serve(&simulator);
    assert_session(&workspace(&simulator), "feeds");
}

#[test]
fn the_list_of_a_feed_decides_in_explain() {
    let workspace = Workspace::new();
    workspace.write("config.json", CONFIG);
    workspace.write("drop.txt", DROP);
    workspace.write("revoked.json", REVOKED);
    workspace.write("wide.txt", "200.0.0.0/7\n");
    let decision = |scope: &str, value: &str, duration: &str| json!({"duration": duration, "scope": scope, "type": "ban", "value": value});
    let decisions = json!({"new": [decision("Ip", "192.0.2.1", "4h"), decision("Country", "ZZ", "4h"),
        decision("username", "mallory", "-1s")], "deleted": null});
    workspace.write("lapi.json", &decisions.to_string());
    // {"jti": "other-token", "aud": "shop"}
    workspace.write(
        "token",
        "Authorization: Bearer e30.eyJqdGkiOiJvdGhlci10b2tlbiIsImF1ZCI6InNob3AifQ.x",
    );
    assert_session(&workspace, "explain_feeds");
}

#[test]
fn the_entries_of_decisions_end_by_themselves() {
    let simulator = Abs::start(&[]);
    let decision = r#"{"value": "192.0.2.1", "duration": "4h"}"#;
    simulator.admin("POST", "/admin/decisions", decision);
    let workspace = workspace(&simulator);
    let command = ["feeds", "read", "lapi", "--entries", "--output", "json"];
    let output = workspace.run(&[&command[..], &["--url", &simulator.url]].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ends = json["list"][0]["ends_in_seconds"].as_u64().unwrap();
    assert!((14_000..=14_400).contains(&ends), "{json}");
    assert_eq!(json["entries"]["ip"], 1);
}

#[test]
fn what_the_filter_refuses_is_an_error() {
    let simulator = Abs::start(&[]);
    serve(&simulator);
    let workspace = workspace(&simulator);
    let html = r#"{"body": "<html><body>Log in</body></html>", "content_type": "text/html", "endpoint": "all"}"#;
    let redirect = r#"{"redirect": "https://example.com/list", "endpoint": "all"}"#;
    let empty = r#"{"body": "", "endpoint": "all"}"#;
    let table = [
        (
            "lapi",
            html,
            "the decisions are not JSON: expected value at line 1 column 1; check that the cluster and the path of the feed \
             lead to CrowdSec's local API",
        ),
        (
            "drop",
            html,
            "the response is an HTML or XML document, not a list with one address or range a line; check that the path of \
             the feed names a list, and that the server accepts its headers",
        ),
        (
            "revoked",
            html,
            "the tokens are not JSON: expected value at line 1 column 1; check that the path of the feed names a list of \
             tokens, and that the server accepts its headers",
        ),
        (
            "lapi",
            r#"{"map": true, "endpoint": "all"}"#,
            "the decisions have another shape: expected a list under new, found an object; check that the cluster and \
             the path of the feed lead to CrowdSec's local API",
        ),
        (
            "drop",
            redirect,
            "the list server redirects to \"https://example.com/list\" (status 302), and redirects are not followed; set \
             cluster, authority and path to the new location",
        ),
        (
            "drop",
            empty,
            "the list is empty, without even a comment; check that the path of the feed names a list",
        ),
        (
            "drop",
            r#"{"status": 204, "endpoint": "all"}"#,
            "the list server returned status 204; 200 is expected",
        ),
        (
            "drop",
            r#"{"body": "192.0.2.1\n200.0.0.0/7\n", "endpoint": "all"}"#,
            "the list has the range 200.0.0.0/7, wider than /8; remove it from the list, or change guard.widest_ipv4 of the feed \
             drop or guard.widest_ipv6 of the feed drop",
        ),
    ];
    for (feed, fault, words) in table {
        simulator.admin("POST", "/admin/fault", fault);
        for command in [&["feeds", "read", feed][..], &["view_blacklist", feed]] {
            workspace.assert_refused(
                &[command, &["--url", &simulator.url]].concat(),
                1,
                &format!("error: the feed {feed} at http://abs: {words}\n"),
            );
        }
        simulator.admin("DELETE", "/admin/fault", "");
    }
}

#[test]
fn a_long_list_is_read_completely() {
    let simulator = Abs::start(&[]);
    for (path, body) in [
        (
            "/admin/decisions/generate",
            r#"{"entries": 5000, "kinds": "mixed"}"#,
        ),
        (
            "/admin/lists/drop/generate",
            r#"{"entries": 5000, "kinds": "mixed"}"#,
        ),
        ("/admin/tokens/revoked/generate", r#"{"entries": 5000}"#),
    ] {
        simulator.admin("POST", path, body);
    }
    let workspace = workspace(&simulator);
    for (feed, expected) in [
        (
            "lapi",
            json!({"ip": 3000, "cookie": 1000, "username": 1000, "header": 0}),
        ),
        ("drop", json!({"ip": 5000})),
        ("revoked", json!({"token_claims": 5000})),
    ] {
        let arguments = ["feeds", "read", feed, "--output", "json"];
        let output = workspace.run(&[&arguments[..], &["--url", &simulator.url]].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["entries"], expected);
        assert_eq!(json["skipped"], json!([]));
    }
}

#[test]
fn a_list_that_is_too_large_for_envoys_default_is_read_with_a_note() {
    let simulator = Abs::start(&[]);
    serve(&simulator);
    let body = format!("192.0.2.1\n{}", "# x\n".repeat(9 << 20));
    // The body of a fault is never compressed.
    let fault = json!({"body": body, "endpoint": "lists"}).to_string();
    simulator.admin("POST", "/admin/fault", &fault);
    let output = workspace(&simulator).run(&["feeds", "read", "drop", "--url", &simulator.url]);
    let note = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "note: the response has {} bytes, and Envoy accepts 33554432 by default",
        body.len()
    );
    assert!(note.starts_with(&expected), "{note}");
    assert!(output.status.success());
}
