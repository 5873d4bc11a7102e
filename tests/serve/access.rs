//! Roles: who gets what, and what a request without a token learns.

mod login;
mod tokens;

use serde_json::{Value, json};
use ureq::http::Response;

use crate::relay::relay;
use crate::relay::upstream::Upstream;
use crate::support::{Fleet, body, eventually, filter};

const OPERATOR: &str = "operator-0123456789";
const READER: &str = "reader-0123456789ab";
const NODE: &str = "node-0123456789abcd";

const TOKENS: [(&str, &str); 3] = [
    ("PORTCULLIS_OPERATOR_TOKEN", OPERATOR),
    ("PORTCULLIS_READ_TOKEN", READER),
    ("PORTCULLIS_NODE_TOKEN", NODE),
];

/// Every route, and whether an operator, a reader and a node may use it.
const ROUTES: &[(&str, &str, [bool; 3])] = &[
    ("POST", "/v3/discovery:extension_configs", NODES),
    ("GET", "/v4/abs/attacklist", NODES),
    ("GET", "/v1/feeds/partner", NODES),
    ("POST", "/v1/usage-metrics", NODES),
    ("GET", "/metrics", READERS),
    ("GET", "/", READERS),
    ("POST", "/page/explain", READERS),
    ("POST", "/page/switch", OPERATORS),
    ("POST", "/page/entry", OPERATORS),
    ("POST", "/page/remove", OPERATORS),
    ("GET", "/v1/status", READERS),
    ("GET", "/v1/filters", READERS),
    ("GET", "/v1/filters/portcullis", READERS),
    ("PUT", "/v1/filters/portcullis", OPERATORS),
    ("GET", "/v1/filters/portcullis/flags", READERS),
    ("PATCH", "/v1/filters/portcullis/flags", OPERATORS),
    ("GET", "/v1/filters/portcullis/lists/deny_list", READERS),
    ("POST", "/v1/filters/portcullis/lists/deny_list", OPERATORS),
    (
        "DELETE",
        "/v1/filters/portcullis/lists/deny_list",
        OPERATORS,
    ),
    ("GET", "/v1/feeds", READERS),
    ("GET", "/v1/nodes", READERS),
    ("GET", "/v1/changes", READERS),
    ("POST", "/v1/explain", READERS),
    ("GET", "/v1/openapi.json", READERS),
];

const NODES: [bool; 3] = [true, false, true];
const READERS: [bool; 3] = [true, true, false];
const OPERATORS: [bool; 3] = [true, false, false];

fn protected() -> Fleet {
    let mut fleet = Fleet::new();
    for (name, token) in TOKENS {
        fleet.environment.push((name.to_owned(), token.to_owned()));
    }
    fleet.start();
    fleet
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn with_token(fleet: &Fleet, method: &str, path: &str, token: &str) -> u16 {
    let authorization = bearer(token);
    let headers = [("authorization", authorization.as_str())];
    fleet.send(method, path, &headers, "{}").status().as_u16()
}

fn header<'a>(response: &'a Response<Vec<u8>>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn log_in(fleet: &Fleet, token: &str) -> Response<Vec<u8>> {
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("sec-fetch-site", "same-origin"),
    ];
    fleet.send("POST", "/login", &headers, format!("token={token}"))
}

/// The cookie of a login as a browser sends it.
fn cookie(response: &Response<Vec<u8>>) -> String {
    let cookie = header(response, "set-cookie");
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn each_role_has_its_routes_and_no_other() {
    let fleet = protected();
    for (method, path, allowed) in ROUTES {
        for (token, allowed) in [OPERATOR, READER, NODE].into_iter().zip(allowed) {
            let status = with_token(&fleet, method, path, token);
            assert_ne!(status, 401, "{method} {path} with {token}");
            assert_ne!(status, 405, "{method} {path} with {token}");
            assert_eq!(
                status != 403,
                *allowed,
                "{method} {path} with {token}: {status}"
            );
        }
    }
}

#[test]
fn every_documented_route_is_in_the_table() {
    let document: Value = serde_json::from_str(include_str!("../../docs/fleet-api.json")).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{name}", "portcullis")
            .replace("{list}", "deny_list");
        for method in methods.as_object().unwrap().keys() {
            if method == "parameters" {
                continue;
            }
            let method = method.to_uppercase();
            let known = ROUTES
                .iter()
                .any(|(known, at, _)| *known == method && *at == path);
            assert!(known, "{method} {path}");
        }
    }
}

#[test]
fn a_node_sends_its_token_as_envoy_injects_it() {
    let fleet = protected();
    let path = "/v3/discovery:extension_configs";
    // A feed can have an Authorization header of its own.
    let headers = [
        ("x-portcullis-token", NODE),
        ("authorization", "Basic eA=="),
    ];
    assert_eq!(fleet.send("POST", path, &headers, "{}").status(), 400);
    for wrong in ["wrong-0123456789abc", ""] {
        let headers = [("x-portcullis-token", wrong)];
        assert_eq!(fleet.send("POST", path, &headers, "{}").status(), 401);
    }
}

#[test]
fn a_request_without_a_valid_token_gets_the_same_response_everywhere() {
    let fleet = protected();
    let mut seen: Vec<(u16, String, Vec<u8>)> = Vec::new();
    let paths = ROUTES.iter().map(|(method, path, _)| (*method, *path));
    // There a browser gets the login.
    let paths = paths.filter(|(_, path)| *path != "/");
    let unknown = [
        ("GET", "/v1/unknown"),
        ("GET", "/v3/discovery:extension_configs"),
        ("DELETE", "/v1/status"),
        ("GET", "/v1/filters/portcullis"),
        ("GET", "/%ff/../x"),
        ("GET", "/healthz/"),
    ];
    for (method, path) in paths.chain(unknown) {
        let wrong = bearer("wrong-0123456789abc");
        let basic = format!("Basic {OPERATOR}");
        for credential in [
            None,
            Some(("authorization", wrong.as_str())),
            Some(("authorization", basic.as_str())),
            Some(("authorization", "")),
            Some(("cookie", "portcullis_session=9999999999.00")),
        ] {
            let headers: Vec<_> = credential.into_iter().collect();
            let response = fleet.send(method, path, &headers, "");
            assert_eq!(response.status(), 401, "{method} {path} {credential:?}");
            assert_eq!(header(&response, "www-authenticate"), "Bearer");
            let mut names: Vec<_> = response
                .headers()
                .keys()
                .map(|name| name.as_str())
                .collect();
            names.sort_unstable();
            let one = (401, names.join(" "), response.body().clone());
            if seen.iter().all(|other| *other != one) {
                seen.push(one);
            }
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn an_unknown_path_with_a_token_is_not_found() {
    let fleet = protected();
    for token in [OPERATOR, READER, NODE] {
        assert_eq!(with_token(&fleet, "GET", "/unknown", token), 404);
    }
}

#[test]
fn health_is_open_and_empty() {
    let fleet = protected();
    for path in ["/healthz", "/readyz"] {
        let response = fleet.get(path, &[]);
        assert_eq!(response.status(), 200);
        assert!(response.body().is_empty());
    }
}

#[test]
fn a_server_with_a_filter_that_was_never_valid_is_not_ready() {
    let mut fleet = Fleet::new();
    fleet.write("other.json", "{}");
    fleet.start();
    assert_eq!(fleet.get("/readyz", &[]).status(), 503);
    assert_eq!(fleet.get("/healthz", &[]).status(), 200);
    fleet.write("other.json", &filter(&json!({})).to_string());
    eventually("ready", || {
        (fleet.get("/readyz", &[]).status() == 200).then_some(())
    });
}

#[test]
fn a_server_is_ready_when_each_relayed_feed_has_a_list() {
    let upstream = Upstream::of_json(&json!(["token-1"]));
    upstream.goes_away();
    let fleet = relay(&json!({
        "feeds": [{"name": "revoked", "format": "tokens", "cluster": "auth", "path": "/", "interval": "1s"}],
        "upstreams": {"auth": upstream.url},
    }));
    eventually("a failed fetch", || {
        fleet.log().contains("did not respond").then_some(())
    });
    assert_eq!(fleet.get("/readyz", &[]).status(), 503);
    assert_eq!(fleet.get("/healthz", &[]).status(), 200);
    upstream.replies_json(&json!(["token-1"]));
    eventually("ready", || {
        (fleet.get("/readyz", &[]).status() == 200).then_some(())
    });
    // It stays ready: the list is there.
    upstream.goes_away();
    eventually("another failed fetch", || {
        (body(&fleet.get("/v1/feeds", &[]))["feeds"][0]["failures"] != 0).then_some(())
    });
    assert_eq!(fleet.get("/readyz", &[]).status(), 200);
}

#[test]
fn every_response_has_the_headers_for_browsers() {
    let fleet = protected();
    for path in ["/login", "/healthz", "/unknown"] {
        let response = fleet.get(path, &[]);
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "referrer-policy"), "same-origin");
        assert_eq!(header(&response, "cache-control"), "no-store");
    }
}

#[test]
fn an_unknown_version_of_the_body_is_a_problem_in_json() {
    let fleet = protected();
    let authorization = bearer(NODE);
    let headers = [("authorization", authorization.as_str())];
    let response = fleet.send("POST", "/v3/discovery:extension_configs", &headers, "[");
    assert_eq!(response.status(), 400);
    assert!(body(&response)["error"].is_string());
}
