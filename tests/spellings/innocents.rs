//! Requests that must pass: near misses of listed identities, by kind.
//!
//! Each one differs from a listed identity in name, value or place, and no server reads it as the same.

use crate::comparison::{Listed, compare};
use crate::identities::{Identity, basic, percent_encoded, signed};
use crate::raw::RawRequest;
use Identity::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

/// Values that differ slightly from the listed one.
fn near(value: &str) -> Vec<String> {
    let swapped: String = value
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    vec![
        "other".to_owned(),
        value[..value.len() - 1].to_owned(),
        value[1..].to_owned(),
        value[..value.len() / 2].to_owned(),
        format!("{value}x"),
        format!("x{value}"),
        format!("{value}{value}"),
        swapped,
    ]
}

/// All innocent requests with their kinds.
fn innocents() -> Vec<(&'static str, RawRequest)> {
    let mut found = Vec::new();
    cookies(&mut |request| found.push(("cookie", request)));
    sessions(&mut |request| found.push(("session", request)));
    tokens(&mut |request| found.push(("authorization", request)));
    jwts(&mut |request| found.push(("jwt", request)));
    keys(&mut |request| found.push(("api key", request)));
    users(&mut |request| found.push(("user", request)));
    found
}

fn cookies(add: &mut dyn FnMut(RawRequest)) {
    let mut cookie = |header: String| add(RawRequest::header("cookie", header));
    for identity in [Cookie, DottedCookie, JSessionId] {
        let (name, value) = (identity.cookie_name(), identity.value());
        for value in near(value) {
            // The hexadecimal digits of a session are case-sensitive too.
            cookie(format!("{name}={value}"));
        }
        for other in [
            "X".to_owned(),
            format!("{name}{name}"),
            format!("x{name}"),
            format!("{name}x"),
            format!("__Host-{name}"),
        ] {
            cookie(format!("{other}={value}"));
            cookie(format!("a=b; {other}={value}; c=d"));
        }
        cookie(format!("{name}; {value}"));
        cookie(format!("{value}={name}"));
        cookie(format!("a={name}={value}"));
        cookie(value.to_owned());
        cookie(format!("{name}=; a={value}"));
        cookie(format!("{name}=a; b={value}"));
    }
    let value = JSessionId.value();
    for path in [
        "/;jsessionid=other".to_owned(),
        format!("/;jsessionid={value}0"),
        format!("/;jsessionid={}", &value[1..]),
        format!("/;xjsessionid={value}"),
        format!("/;jsessionidx={value}"),
        format!("/jsessionid={value}"),
        format!("/;sid={value}"),
        format!("/?jsessionid={value}"),
        format!("/{value}"),
        format!("/;jsessionid=;x={value}"),
    ] {
        add(RawRequest::path(path));
    }
}

fn sessions(add: &mut dyn FnMut(RawRequest)) {
    for (identity, what) in [
        (FlaskSession, "flask"),
        (SignedCookie, "serializer"),
        (StarletteSession, "starlette"),
    ] {
        let (name, listed) = (identity.cookie_name(), identity.value());
        let innocent = signed("innocent", what);
        let mut cookie = |name: &str, value: &str| {
            add(RawRequest::header("cookie", format!("{name}={value}")));
        };
        cookie(name, innocent);
        cookie("other", listed);
        // Another session with the listed signature.
        let (_, signature) = listed.rsplit_once('.').unwrap();
        let (head, _) = innocent.rsplit_once('.').unwrap();
        cookie(name, &format!("{head}.{signature}"));
        // A part of the session.
        let (head, signature) = listed.rsplit_once('.').unwrap();
        cookie(name, &format!("{}.{signature}", &head[..head.len() - 1]));
        cookie(name, &format!("{}.{signature}", &head[1..]));
        cookie(name, signature);
    }
}

fn tokens(add: &mut dyn FnMut(RawRequest)) {
    let value = Token.value();
    for value in near(value) {
        for scheme in ["Bearer ", "Token ", "DPoP ", ""] {
            add(RawRequest::header(
                "authorization",
                format!("{scheme}{value}"),
            ));
        }
        add(RawRequest::path(format!("/?access_token={value}")));
        add(RawRequest::header("cookie", format!("token={value}")));
    }
    for name in [
        "x-token",
        "user-agent",
        "x-api-key",
        "referer",
        "proxy-authorization",
    ] {
        add(RawRequest::header(name, value));
    }
    for path in [
        format!("/{value}"),
        format!("/?token={value}"),
        format!("/?xaccess_token={value}"),
        format!("/?access_tokens={value}"),
        format!("/?access_token=&a={value}"),
        format!("/access_token={value}"),
    ] {
        add(RawRequest::path(path));
    }
    add(RawRequest::header("cookie", format!("a={value}")));
}

fn jwts(add: &mut dyn FnMut(RawRequest)) {
    for (identity, what) in [
        (JwtHs256, "hs256"),
        (JwtRs256, "rs256"),
        (JwtEs256, "es256"),
    ] {
        let listed: Vec<&str> = identity.value().split('.').collect();
        let innocent: Vec<&str> = signed("innocent", what).split('.').collect();
        let (head, payload, signature) = (listed[0], listed[1], listed[2]);
        for token in [
            signed("innocent", what).to_owned(),
            format!("{}.{}.{signature}", innocent[0], innocent[1]),
            format!("{head}.{}.{}", innocent[1], innocent[2]),
            format!("{head}.{}.{signature}", &payload[..payload.len() - 1]),
            format!("{head}.{payload}A.{signature}"),
            format!("{}.{payload}.{signature}", &head[1..]),
            format!("{payload}.{head}.{signature}"),
            format!("{head}.{}", innocent[1]),
            head.to_owned(),
            payload.to_owned(),
            signature.to_owned(),
        ] {
            add(RawRequest::header(
                "authorization",
                format!("Bearer {token}"),
            ));
            add(RawRequest::path(format!("/?access_token={token}")));
        }
    }
}

fn keys(add: &mut dyn FnMut(RawRequest)) {
    let value = ApiKey.value();
    for value in near(value) {
        add(RawRequest::header("x-api-key", &value));
        add(RawRequest::path(format!(
            "/?api_key={}",
            percent_encoded(&value)
        )));
        add(RawRequest::header(
            "authorization",
            format!("ApiKey {value}"),
        ));
    }
    for name in [
        "x-api-keys",
        "api-key",
        "x-api",
        "xx-api-key",
        "x-apikey",
        "x--api-key",
        "user-agent",
    ] {
        add(RawRequest::header(name, value));
    }
    for path in [
        format!("/?key={value}"),
        format!("/?api_keys={value}"),
        format!("/?xapi_key={value}"),
        format!("/?apikey={value}"),
        format!("/?api_key=&a={value}"),
        format!("/?{value}=api_key"),
        format!("/api_key={value}"),
        format!("/{value}"),
        format!("/?a=api_key={value}"),
        format!("/?api_key=a%26api_key={value}"),
    ] {
        add(RawRequest::path(path));
    }
    // A plus sign in a query is a space, so this is not the listed key.
    let encoded = EncodedApiKey.value();
    add(RawRequest::header("x-api-key", encoded.replace('+', "-")));
    add(RawRequest::header("x-api-key", encoded.to_lowercase()));
}

fn users(add: &mut dyn FnMut(RawRequest)) {
    for identity in [User, AccentedUser] {
        let value = identity.value();
        for user in [
            format!("{value}x"),
            format!("x{value}"),
            value[1..].to_owned(),
            value[..value.len() - 1].to_owned(),
            value.to_uppercase(),
            "zoe-listed".to_owned(),
            format!("{value}@example.com"),
        ] {
            add(basic(&STANDARD.encode(format!("{user}:a password"))));
            add(RawRequest::header(
                "authorization",
                format!("Digest username=\"{user}\", realm=\"{value}\""),
            ));
        }
        add(basic(&STANDARD.encode(format!("bob:{value}"))));
        add(basic(&STANDARD.encode(format!(":{value}"))));
        add(RawRequest::header(
            "authorization",
            format!("Bearer {value}"),
        ));
        add(RawRequest::header("x-user", value));
    }
}

#[test]
fn innocent_requests_pass() {
    compare(Listed::Abs, async |comparison| {
        let mut blocked = String::new();
        for (kind, request) in innocents() {
            if comparison.is_denied(&request).await == Some(true) {
                writeln!(blocked, "[{kind}] {request:?}").unwrap();
            }
        }
        assert!(
            blocked.is_empty(),
            "innocent requests are denied:\n{blocked}"
        );
    });
}
