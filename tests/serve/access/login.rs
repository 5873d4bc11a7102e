//! The login: its cookie, and requests that another site makes a browser send.

use super::{NODE, OPERATOR, READER, bearer, cookie, header, log_in, protected};
use crate::support::Fleet;

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
