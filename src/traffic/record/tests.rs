//! The content of records, and what they never contain.

use super::*;
use crate::config::{Config, Jwt, JwtLocation};
use crate::identifier::IdentifierKind;
use crate::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use crate::traffic::identifiers::LONGEST_URL;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn config(traffic: &str) -> Config {
    let json =
        format!(r#"{{"abs": {{"cluster": "abs"}}, "enable_abs": true, "traffic": {traffic}}}"#);
    Config::parse(json.as_bytes(), &|_| None).unwrap()
}

fn headers(pairs: &[(&str, &[u8])]) -> RequestHeaders {
    let mut headers = RequestHeaders::default();
    for (name, value) in pairs {
        headers.add(name.as_bytes(), value);
    }
    headers
}

fn record(traffic: &Traffic, api: &Api, request: &[(&str, &[u8])], verdict: Verdict) -> Record {
    let meta = RequestMeta {
        source_address: b"192.0.2.1:52000",
        protocol: b"HTTP/1.1",
        correlation_id: CorrelationId {
            vm: 10,
            request: 255,
        },
        verdict: &verdict,
        now: Duration::from_millis(1_000),
    };
    let mut buffer = b"left over".to_vec();
    let pending = PendingRecord::new(traffic, api, &headers(request), meta, &mut buffer);
    let response = headers(&[
        (":status", b"401"),
        ("content-type", b"text/plain"),
        ("set-cookie", b"S=secret"),
    ]);
    pending.finish(
        traffic,
        &response,
        Duration::from_millis(1_042),
        &mut buffer,
    )
}

fn line(api: &Api, request: &[(&str, &[u8])], verdict: Verdict) -> Value {
    let record = record(
        &config(r#"{"format": "batch"}"#).traffic,
        api,
        request,
        verdict,
    );
    assert!(record.first.ends_with(b"\n") && record.second.is_empty());
    serde_json::from_slice(&record.first).unwrap()
}

#[test]
fn a_record_contains_what_abs_needs_and_nothing_else() {
    let line = line(
        &Api::default(),
        &[
            (":method", b"GET"),
            (":path", b"/cart?api_key=k1"),
            (":authority", b"shop.example"),
            ("user-agent", b"curl/8"),
            ("cookie", b"S=1; T=2"),
            ("authorization", b"Bearer t1"),
            ("x-api-key", b"k2"),
            ("x-internal", b"internal"),
        ],
        Verdict::Deny(DenyReason {
            origin: ListOrigin::Feed("abs".into()),
            kind: DenyKind::Listed(IdentifierKind::Ip),
        }),
    );
    let expected = json!({
        "correlation_id": "000000000000000a-ff", "source_ip": "192.0.2.1", "source_port": 52000, "method": "GET",
        "url": "/cart?api_key=k1", "http_version": "1.1",
        "headers": [{"host": "shop.example"}, {"user-agent": "curl/8"}, {"x-api-key": "k2"},
            {"authorization": "Bearer t1"}, {"cookie": "S=1; T=2"}],
        "user_info": [], "response_code": "401", "response_status": "Unauthorized",
        "response_headers": [{"content-type": "text/plain"}], "api_id": "*/", "time": 1000, "duration_ms": 42,
        "verdict": "denied abs ip", "blocked": true
    });
    assert_eq!(line, expected);
}

#[test]
fn users_are_reported_without_their_password() {
    // bob:hunter2
    let line = line(
        &Api::default(),
        &[("authorization", b"Basic Ym9iOmh1bnRlcjI=")],
        Verdict::Allow,
    );
    assert_eq!(line["user_info"], json!([{"username": "bob"}]));
    assert_eq!(line["headers"], json!([]));
    assert_eq!(
        (&line["verdict"], &line["blocked"]),
        (&json!("allowed"), &json!(false))
    );
}

#[test]
fn passwords_of_joined_credentials_are_not_reported() {
    for joined in [
        b"Bearer t1,Basic Ym9iOmh1bnRlcjI=",
        b"Basic Ym9iOmh1bnRlcjI=,Bearer t1",
    ] {
        let line = line(
            &Api::default(),
            &[("authorization", joined)],
            Verdict::Allow,
        );
        assert_eq!(line["user_info"][0], json!({"username": "bob"}));
        assert_eq!(line["headers"], json!([{"authorization": "Bearer t1"}]));
    }
}

#[test]
fn only_the_cookies_of_the_api_are_reported() {
    let api = Api {
        cookie: Some(vec!["S".into()]),
        ..Api::default()
    };
    let with = line(
        &api,
        &[("cookie", b"a=1; S=\"2\""), ("cookie", b"S=3")],
        Verdict::Allow,
    );
    assert_eq!(with["headers"][0], json!({"cookie": "S=2; S=3"}));
    let without = line(&api, &[("cookie", b"a=1")], Verdict::Allow);
    assert_eq!(without["headers"], json!([]));
    let none = Api {
        oauth2_access_token: false,
        username: vec![],
        ..Api::default()
    };
    let none = line(&none, &[("authorization", b"Bearer t")], Verdict::Allow);
    assert_eq!(none["headers"], json!([]));
}

#[test]
fn hostile_bytes_become_valid_json() {
    let long = vec![b'x'; 64 * 1024];
    let exact = vec![b'y'; LONGEST_VALUE];
    let line = line(
        &Api::default(),
        &[
            (":path", &long),
            (":method", b"\"\\\x01\n"),
            ("user-agent", b"\xff\xfe caf\xc3\xa9"),
            ("referer", &long),
            ("accept", &exact),
        ],
        Verdict::Allow,
    );
    assert_eq!(line["method"], json!("\"\\\u{1}\n"));
    assert_eq!(line["url"].as_str().unwrap().len(), LONGEST_URL);
    assert_eq!(
        line["headers"][0]["user-agent"],
        json!("\u{fffd}\u{fffd} caf\u{e9}")
    );
    assert_eq!(
        line["headers"][1]["accept"].as_str().unwrap().len(),
        LONGEST_VALUE
    );
    assert_eq!(line["headers"].as_array().unwrap().len(), 2);
}

/// The values of all headers of this name in a record, and the identifiers in `user_info`.
fn reported(line: &Value, list: &str, name: &str) -> Vec<String> {
    let entries = line[list].as_array().unwrap().iter();
    let values = entries.filter_map(|entry| entry[name].as_str());
    values.map(str::to_owned).collect()
}

#[test]
fn other_cookies_cannot_hide_a_cookie() {
    let junk = "x".repeat(8 * 1024);
    let beside = format!("a={junk}; SID=mallory; b=1");
    let many: Vec<_> = (0..900).map(|n| format!("c{n}=0123456789")).collect();
    let many = format!("{}; SID=mallory", many.join("; "));
    for header in [beside, many] {
        let line = line(
            &Api::default(),
            &[("cookie", header.as_bytes())],
            Verdict::Allow,
        );
        let headers = reported(&line, "headers", "cookie");
        let pairs: Vec<_> = headers.iter().flat_map(|value| value.split("; ")).collect();
        assert!(pairs.contains(&"SID=mallory"), "{headers:?}");
        assert!(headers.iter().all(|value| value.len() <= LONGEST_VALUE));
        // A truncated one would be another cookie.
        assert!(!pairs.iter().any(|pair| pair.starts_with("a=")));
    }
}

#[test]
fn other_parameters_cannot_hide_an_api_key() {
    let junk = "x".repeat(9 * 1024);
    for path in [
        format!("/shop?junk={junk}&api_key=k%201&more=1"),
        format!("/{junk}?api_key=k+1"),
    ] {
        let line = line(
            &Api::default(),
            &[(":path", path.as_bytes())],
            Verdict::Allow,
        );
        let url = line["url"].as_str().unwrap();
        assert!(url.ends_with("?api_key=k%201"), "{url}");
        assert!(url.len() <= LONGEST_URL + 20);
    }
    let path = format!("/{junk}");
    let line = line(
        &Api::default(),
        &[(":path", path.as_bytes())],
        Verdict::Allow,
    );
    assert_eq!(line["url"].as_str().unwrap().len(), LONGEST_URL);
}

#[test]
fn other_text_cannot_hide_a_token() {
    let junk = "x".repeat(8 * 1024);
    for value in [
        format!("Bearer t1 {junk}x"),
        format!("Bearer {junk}x t1"),
        format!("Bearer {junk}x,bearer\tt1"),
        format!("Basic Ym9iOmh1bnRlcjI= {junk}, Bearer  t1 "),
    ] {
        let line = line(
            &Api::default(),
            &[("authorization", value.as_bytes())],
            Verdict::Allow,
        );
        assert_eq!(
            reported(&line, "headers", "authorization"),
            ["Bearer t1"],
            "{}",
            &value[..40]
        );
    }
}

#[test]
fn tokens_and_sessions_outside_their_headers_are_reported_too() {
    let api = Api {
        cookie: Some(vec!["SID".into()]),
        oauth2_cookie: vec!["at".into()],
        path_parameters: vec!["jsessionid".into()],
        jwt: Some(Jwt {
            location: JwtLocation::Header("x-jwt".into()),
            username: Some("name".into()),
            client_id: Some("azp".into()),
        }),
        ..Api::default()
    };
    // {"name":"bob","azp":"app-1"}
    let token = b"e30.eyJuYW1lIjoiYm9iIiwiYXpwIjoiYXBwLTEifQ.c2ln";
    let junk = "x".repeat(9 * 1024);
    let path = format!("/{junk};JSESSIONID=s1/a?junk={junk}&access_token=t1");
    let line = line(
        &api,
        &[
            (":path", path.as_bytes()),
            ("x-jwt", token),
            ("cookie", b"SID=1; at=t2; other=3"),
        ],
        Verdict::Allow,
    );
    let token = core::str::from_utf8(token).unwrap();
    assert_eq!(
        line["headers"],
        json!([{"x-jwt": token}, {"cookie": "SID=1; at=t2"}])
    );
    assert_eq!(
        line["user_info"],
        json!([{"username": "bob"}, {"client_id": "app-1"}])
    );
    let url = line["url"].as_str().unwrap();
    assert!(url.ends_with(";JSESSIONID=s1?access_token=t1"), "{url}");
}

#[test]
fn the_size_of_many_tokens_is_limited() {
    let value = format!("Bearer {}", "t ".repeat(30_000));
    let pairs: &[(&str, &[u8])] = &[("authorization", value.as_bytes())];
    let traffic = config(r#"{"format": "batch"}"#).traffic;
    let record = record(&traffic, &Api::default(), pairs, Verdict::Allow);
    let length = record.first.len();
    assert!(
        (MAX_IDENTIFIER_BYTES..MAX_IDENTIFIER_BYTES + 1_000).contains(&length),
        "{length}"
    );
}

#[test]
fn no_bit_of_a_password_is_reported() {
    // user, without a password; bob:hunter2; and bob:hu, nter2:x in two words.
    for (value, usernames, tokens) in [
        ("Basic dXNlcg,Basic Ym9iOmh1bnRlcjI=", &["bob"][..], &[][..]),
        ("Basic Ym9iOmh1,bnRlcjI6eA==", &["bob"], &[]),
        ("Basic Ym9iOmh1 bnRlcjI6eA==", &["bob"], &[]),
        ("Basic dXNlcg Basic Ym9iOmh1bnRlcjI=", &[], &[]),
        ("Bearer t1 Basic Ym9iOmh1bnRlcjI=", &[], &["Bearer t1"]),
        (
            "Bearer t1, basic Ym9iOmh1bnRlcjI=",
            &["bob"],
            &["Bearer t1"],
        ),
    ] {
        let line = line(
            &Api::default(),
            &[("authorization", value.as_bytes())],
            Verdict::Allow,
        );
        let names = reported(&line, "user_info", "username");
        assert!(
            usernames
                .iter()
                .all(|name| names.iter().any(|known| known == name)),
            "{value}: {names:?}"
        );
        // Neither a mix of the bits of two credentials nor a password.
        assert!(
            names.iter().all(|name| name == "user" || name == "bob"),
            "{value}: {names:?}"
        );
        assert_eq!(
            reported(&line, "headers", "authorization"),
            tokens,
            "{value}"
        );
    }
}

#[test]
fn the_client_of_a_token_is_reported_with_its_user() {
    // {"sub":"bob","client_id":"app-1"}
    let token = b"Bearer e30.eyJzdWIiOiJib2IiLCJjbGllbnRfaWQiOiJhcHAtMSJ9.c2ln";
    let line = line(&Api::default(), &[("authorization", token)], Verdict::Allow);
    assert_eq!(
        line["user_info"],
        json!([{"username": "bob"}, {"client_id": "app-1"}])
    );
}

#[test]
fn a_record_is_one_line_for_every_reader() {
    let traffic = config(r#"{"format": "batch"}"#).traffic;
    let agent = "a\u{85}b\u{2028}c\u{2029}d\r\ne";
    let pairs: &[(&str, &[u8])] = &[("user-agent", agent.as_bytes())];
    let record = record(&traffic, &Api::default(), pairs, Verdict::Allow);
    let text = core::str::from_utf8(&record.first).unwrap();
    let line_ends = ['\u{85}', '\u{2028}', '\u{2029}', '\r'];
    assert!(
        !text.contains(line_ends) && text.matches('\n').count() == 1,
        "{text}"
    );
    let line: Value = serde_json::from_str(text).unwrap();
    assert_eq!(line["headers"][0]["user-agent"], agent);
}

#[test]
fn addresses_of_every_kind_are_split() {
    let table: &[(&[u8], &[u8], u16)] = &[
        (b"192.0.2.1:80", b"192.0.2.1", 80),
        (b"[2001:db8::1]:443", b"2001:db8::1", 443),
        (b"/run/envoy.sock", b"/run/envoy.sock", 0),
        (b"", b"", 0),
        (b":", b":", 0),
        (b"x:99999999", b"x:99999999", 0),
    ];
    for (address, ip, port) in table {
        assert_eq!(split_port(address), (*ip, *port));
    }
}

#[test]
fn sideband_records_have_two_bodies() {
    let config = config(r#"{"format": "sideband"}"#);
    let pairs: &[(&str, &[u8])] = &[(":method", b"GET"), (":path", b"/cart")];
    let record = record(&config.traffic, &Api::default(), pairs, Verdict::Allow);
    let request: Value = serde_json::from_slice(&record.first).unwrap();
    assert_eq!(
        request,
        json!({
            "source_ip": "192.0.2.1", "source_port": 52000, "method": "GET", "url": "/cart", "http_version": "1.1",
            "headers": [], "user_info": []
        })
    );
    let response: Value = serde_json::from_slice(&record.second).unwrap();
    assert_eq!(
        response,
        json!({
            "response_code": "401", "response_status": "Unauthorized", "http_version": "1.1",
            "headers": [{"content-type": "text/plain"}]
        })
    );
}
