//! Tokens, roles and the login: who gets what, and what a request without a token learns.

use std::fs;

use serde_json::{Value, json};
use ureq::http::Response;

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
fn a_thousand_wrong_tokens_are_refused_and_logged_once() {
    let fleet = protected();
    let mut statuses = Vec::new();
    for number in 0..1000 {
        let token = format!("guess-0123456789-{number}");
        let path = "/v3/discovery:extension_configs";
        statuses.push(with_token(&fleet, "POST", path, &token));
    }
    assert!(statuses[..20].iter().all(|status| *status == 401));
    assert!(statuses[20..].iter().all(|status| *status == 429));
    let refused = fleet.get(
        "/unknown",
        &[("authorization", &bearer("guess-0123456789"))],
    );
    assert_eq!(refused.status(), 429);
    let seconds: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=61).contains(&seconds));
    assert_eq!(log_in(&fleet, "guess-0123456789").status(), 429);
    // The right token passes: behind a proxy all clients have one address.
    let right = fleet.get("/unknown", &[("authorization", &bearer(OPERATOR))]);
    assert_eq!(right.status(), 404);
    assert_eq!(log_in(&fleet, OPERATOR).status(), 303);
    let log = fleet.log();
    assert_eq!(log.matches("wrong token").count(), 2, "{log}");
    assert_eq!(log.matches("\"log\":\"audit\"").count(), 2, "{log}");
    assert!(!log.contains("guess-"), "{log}");
}

#[test]
fn a_node_that_repeats_one_wrong_token_locks_no_other_out() {
    let fleet = protected();
    let path = "/v3/discovery:extension_configs";
    for _ in 0..100 {
        assert_eq!(with_token(&fleet, "POST", path, "before-the-rotation"), 401);
    }
    assert_ne!(with_token(&fleet, "POST", path, NODE), 429);
}

#[test]
fn a_login_is_a_cookie_until_logout() {
    let fleet = protected();
    let browser = ("accept", "text/html,application/xhtml+xml");
    let first = fleet.get("/", &[browser]);
    assert_eq!(first.status(), 303);
    assert_eq!(header(&first, "location"), "/login");
    assert_eq!(fleet.get("/login", &[browser]).status(), 200);

    let response = log_in(&fleet, OPERATOR);
    assert_eq!(response.status(), 303);
    assert_eq!(header(&response, "location"), "/");
    let set = header(&response, "set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(attribute), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains(OPERATOR), "{set}");

    let cookie = cookie(&response);
    let path = "/v3/discovery:extension_configs";
    let with = |headers: &[(&str, &str)]| {
        let mut headers = headers.to_vec();
        headers.push(("cookie", &cookie));
        fleet.send("POST", path, &headers, "{}").status().as_u16()
    };
    assert_eq!(with(&[("sec-fetch-site", "same-origin")]), 400);
    assert_eq!(with(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(with(&[("origin", "http://evil.example")]), 403);
    assert_eq!(with(&[("origin", fleet.url())]), 400);
    assert_eq!(with(&[]), 403, "a cookie needs one of the headers");

    let headers = [("cookie", cookie.as_str()), ("origin", fleet.url())];
    let out = fleet.send("POST", "/logout", &headers, "");
    assert_eq!(out.status(), 303);
    assert!(header(&out, "set-cookie").starts_with("portcullis_session=; Max-Age=0;"));
}

#[test]
fn the_cookie_of_a_reader_is_no_operators_and_a_node_has_none() {
    let fleet = protected();
    let reader = log_in(&fleet, READER);
    let cookie = cookie(&reader);
    let headers = [("cookie", cookie.as_str()), ("origin", fleet.url())];
    let path = "/v3/discovery:extension_configs";
    assert_eq!(fleet.send("POST", path, &headers, "{}").status(), 403);
    for wrong in [NODE, "wrong-0123456789abc", ""] {
        let response = log_in(&fleet, wrong);
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, "set-cookie"), "");
    }
}

#[test]
fn a_cookie_is_valid_at_every_server_with_the_token() {
    let one = protected();
    let other = protected();
    let cookie = cookie(&log_in(&one, OPERATOR));
    let headers = [("cookie", cookie.as_str())];
    assert_eq!(other.get("/unknown", &headers).status(), 404);
}

#[test]
fn a_login_from_another_site_is_refused() {
    let fleet = protected();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://evil.example"),
    ];
    let form = format!("token={OPERATOR}");
    let response = fleet.send("POST", "/login", &headers, form);
    assert_eq!(response.status(), 403);
    assert_eq!(header(&response, "set-cookie"), "");
}

#[test]
fn an_open_server_responds_to_no_name_of_another_site() {
    let fleet = Fleet::started();
    let path = "/v3/discovery:extension_configs";
    for host in [
        "evil.example",
        "evil.example:9902",
        "127.0.0.1.evil.example",
    ] {
        let headers = [("host", host)];
        assert_eq!(
            fleet.send("POST", path, &headers, "{}").status(),
            403,
            "{host}"
        );
        assert_eq!(fleet.get("/unknown", &headers).status(), 403, "{host}");
    }
    for host in [
        "localhost:9902",
        "127.0.0.1",
        "[::1]:9902",
        "portcullis_fleet",
    ] {
        let headers = [("host", host)];
        assert_eq!(
            fleet.send("POST", path, &headers, "{}").status(),
            400,
            "{host}"
        );
    }
    let headers = [("origin", "http://evil.example")];
    assert_eq!(fleet.send("POST", path, &headers, "{}").status(), 403);
    // With a token, the name is that of the deployment.
    let fleet = protected();
    let authorization = bearer(OPERATOR);
    let headers = [
        ("host", "portcullis.example"),
        ("authorization", authorization.as_str()),
    ];
    assert_eq!(fleet.send("POST", path, &headers, "{}").status(), 400);
}

#[test]
fn a_token_file_that_changes_is_read_again_and_a_bad_one_changes_nothing() {
    let mut fleet = Fleet::new();
    let file = fleet.path("operator");
    fs::write(&file, format!("{OPERATOR}\r\n")).unwrap();
    fleet.arguments = vec![
        "--operator-token-file".to_owned(),
        file.display().to_string(),
    ];
    fleet
        .environment
        .push(("PORTCULLIS_NODE_TOKEN".to_owned(), NODE.to_owned()));
    fleet.start();
    let path = "/v3/discovery:extension_configs";
    let status = |token: &str| with_token(&fleet, "POST", path, token);
    assert_eq!(status(OPERATOR), 400);
    let session = cookie(&log_in(&fleet, OPERATOR));
    let session = [("cookie", session.as_str()), ("origin", fleet.url())];
    assert_eq!(fleet.send("POST", path, &session, "{}").status(), 400);

    for (bad, reason) in [
        ("", "is empty"),
        ("short\n", "has 5 characters"),
        ("with a space 0123456789", "has a space"),
        (NODE, "same token"),
    ] {
        fs::write(&file, bad).unwrap();
        eventually("the reason", || fleet.log().contains(reason).then_some(()));
        assert_eq!(status(OPERATOR), 400);
    }
    let new = "operator-the-second-one";
    fs::write(&file, new).unwrap();
    eventually("the new token", || (status(new) == 400).then_some(()));
    assert_eq!(status(OPERATOR), 401);
    assert_eq!(fleet.send("POST", path, &session, "{}").status(), 401);
    assert!(!fleet.log().contains(new) && !fleet.log().contains(NODE));
}

#[test]
fn a_role_without_a_token_is_open_on_loopback() {
    let mut fleet = Fleet::new();
    fleet
        .environment
        .push(("PORTCULLIS_NODE_TOKEN".to_owned(), NODE.to_owned()));
    fleet.start();
    let path = "/v3/discovery:extension_configs";
    assert_eq!(fleet.send("POST", path, &[], "{}").status(), 401);
    assert_eq!(with_token(&fleet, "POST", path, NODE), 400);
    assert_eq!(fleet.get("/unknown", &[]).status(), 404);
    assert!(fleet.log().contains("there is no operator token"));
}

/// What the program prints before it ends.
fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut fleet = Fleet::new();
    fleet.arguments = arguments.iter().map(|one| (*one).to_owned()).collect();
    let mut command = fleet.command();
    command.envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn an_address_that_others_reach_needs_tokens_and_tls() {
    let everywhere = ["--listen", "0.0.0.0:0"];
    let message = refusal(&everywhere, &[]);
    for part in [
        "other machines can reach 0.0.0.0:0",
        "--operator-token-file FILE or PORTCULLIS_OPERATOR_TOKEN",
        "--read-token-file FILE or PORTCULLIS_READ_TOKEN",
        "--node-token-file FILE or PORTCULLIS_NODE_TOKEN",
        "--tls-certificate FILE and --tls-key FILE",
        "--without-tls",
        "--listen 127.0.0.1:0",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let message = refusal(&everywhere, &TOKENS);
    assert!(
        message.contains("TLS") && !message.contains("FILE or"),
        "{message}"
    );
    let message = refusal(&["--listen", "[::]:0", "--without-tls"], &TOKENS[..2]);
    assert!(
        message.contains("--node-token-file") && !message.contains("TLS"),
        "{message}"
    );

    let mut fleet = Fleet::new();
    fleet.arguments = ["--listen", "0.0.0.0:0", "--without-tls"]
        .map(str::to_owned)
        .to_vec();
    for (name, token) in TOKENS {
        fleet.environment.push((name.to_owned(), token.to_owned()));
    }
    fleet.start();
    assert!(fleet.url().starts_with("http://0.0.0.0:"));
}

#[test]
fn a_token_that_cannot_be_used_ends_the_start() {
    let long = "x".repeat(2000);
    for (token, reason) in [
        ("", "PORTCULLIS_READ_TOKEN is empty"),
        ("fifteen-letters", "has 15 characters"),
        (long.as_str(), "is too long"),
        ("umlaut-ä-0123456789", "outside of ASCII"),
        ("two-lines-01234567\nx", "a control character"),
    ] {
        let message = refusal(&[], &[("PORTCULLIS_READ_TOKEN", token)]);
        assert!(message.contains(reason), "{message}");
        assert!(token.is_empty() || !message.contains(token), "{message}");
    }
    let same = [
        ("PORTCULLIS_READ_TOKEN", OPERATOR),
        ("PORTCULLIS_OPERATOR_TOKEN", OPERATOR),
    ];
    assert!(refusal(&[], &same).contains("hold the same token"));
    let message = refusal(&["--node-token-file", "/nonexistent/token"], &[]);
    assert!(
        message.contains("/nonexistent/token can't be read"),
        "{message}"
    );
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
