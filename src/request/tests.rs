//! Readings of requests. tests/spellings compares them with real servers.

use super::*;
use crate::codec::base64::tests::{URL_SAFE, encode};
use crate::config::{Api, Apis, UsernameSource};
use crate::identifier::{ClientIdentifier, FingerprintKey, IdentifierKind, PerKind};
use crate::test_random::random_below;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod claims;
mod spellings;

const EVERY_KIND: PerKind<bool> = PerKind {
    ip: true,
    cookie: true,
    oauth_token: true,
    api_key: true,
    username: true,
    header: true,
    token_claims: true,
};

fn api() -> Api {
    Api {
        api_id: String::from("shop"),
        ..Api::default()
    }
}

fn headers(list: &[(&str, &[u8])]) -> RequestHeaders {
    let mut headers = RequestHeaders::default();
    for (name, value) in list {
        headers.add(name.as_bytes(), value);
    }
    headers
}

fn identifiers(api: &Api, headers: &RequestHeaders, wanted: PerKind<bool>) -> Vec<String> {
    let mut found = Vec::new();
    visit_identifiers(api, headers, wanted, &mut |identifier| {
        found.push(shown(identifier));
    });
    found
}

fn readings(api: &Api, headers: &RequestHeaders) -> Vec<String> {
    let mut found = Vec::new();
    visit_readings(api, headers, EVERY_KIND, &mut |identifier| {
        found.push(shown(identifier));
    });
    found
}

fn shown(identifier: ClientIdentifier<'_>) -> String {
    match identifier {
        ClientIdentifier::Cookie { name, value } => {
            format!("cookie {}={}", name.escape_ascii(), value.escape_ascii())
        }
        ClientIdentifier::OauthToken(token) => format!("token {}", token.escape_ascii()),
        ClientIdentifier::ApiKey(value) => format!("key {}", value.escape_ascii()),
        ClientIdentifier::Username(name) => format!("user {}", name.escape_ascii()),
        ClientIdentifier::Header { name, value } => {
            format!("header {name}={}", value.escape_ascii())
        }
        ClientIdentifier::TokenClaims(claims) => {
            let claims = claims.iter();
            let claims = claims.map(|(name, value)| format!("{name}={}", value.escape_ascii()));
            format!("claims {}", claims.collect::<Vec<_>>().join(" "))
        }
        ClientIdentifier::Ip(range) => format!("ip {range}"),
    }
}

fn jwt(payload: &[u8]) -> Vec<u8> {
    format!("e30.{}.c2ln", encode(payload, URL_SAFE)).into_bytes()
}

#[test]
fn credentials_in_joined_headers_are_separated() {
    let api = Api::default();
    let headers = headers(&[("authorization", b"Bearer t1,Basic Ym9iOng=, bearer t2")]);
    let (mut tokens, mut names) = (Vec::new(), Vec::new());
    let wanted = PerKind {
        oauth_token: true,
        username: true,
        ..PerKind::default()
    };
    visit_identifiers(&api, &headers, wanted, &mut |identifier| match identifier {
        ClientIdentifier::OauthToken(token) => tokens.push(token.to_vec()),
        ClientIdentifier::Username(name) => names.push(name.to_vec()),
        _ => {}
    });
    assert!(tokens.contains(&b"t1".to_vec()) && tokens.contains(&b"t2".to_vec()));
    assert_eq!(names, [b"bob".to_vec()]);
}

#[test]
fn a_listed_token_cannot_hide_among_other_words() {
    // Servers read the second word, or the last.
    for header in ["Bearer t1 x", "Bearer x t1", "bearer x\tt1 ,Basic Ym9iOng="] {
        let headers = headers(&[("authorization", header.as_bytes())]);
        let found = readings(&api(), &headers);
        assert!(found.contains(&String::from("token t1")), "{found:?}");
    }
    let claims = String::from_utf8(jwt(br#"{"sub":"bob"}"#)).unwrap();
    for header in [
        format!("Bearer {claims} a.b"),
        format!("Bearer a.b {claims}"),
    ] {
        let headers = headers(&[("authorization", header.as_bytes())]);
        let found = readings(&api(), &headers);
        assert!(found.contains(&String::from("user bob")), "{found:?}");
    }
}

#[test]
fn a_listed_cookie_is_found_in_escaped_form() {
    let key = FingerprintKey::from_words([1, 2]);
    let prints = |header: &str| {
        let headers = headers(&[("cookie", header.as_bytes())]);
        let (mut prints, cookie) = (Vec::new(), true);
        let wanted = PerKind {
            cookie,
            ..PerKind::default()
        };
        visit_readings(&api(), &headers, wanted, &mut |identifier| {
            prints.push(identifier.fingerprint(&key));
        });
        prints
    };
    for (listed, sent) in [
        ("s%3Aabc", "S=s:abc"),
        ("s:abc", "S=s%3aabc"),
        ("abc", "S=%61%62c"),
        ("abc", "S=\"%61bc\""),
        ("100%", "S=100%"),
        ("abc", r#"S="\141b\c""#),
        (r"a\b", r"S=a\b"),
    ] {
        let listed = key.cookie(b"S", listed.as_bytes());
        assert!(prints(sent).contains(&listed), "{sent}");
    }
    let listed = key.cookie(b"S", b"abc");
    for sent in ["S=%2561bc", "S=%4abc", r"S=\141bd", r"S=\14", "T=abc"] {
        assert!(!prints(sent).contains(&listed), "{sent}");
    }
}

#[test]
fn cookies_are_read_pair_by_pair() {
    type Pairs = &'static [(&'static [u8], &'static [u8])];
    let table: &[(&[u8], Pairs)] = &[
        (b"a=1", &[(b"a", b"1")]),
        (b"a=1; b=2", &[(b"a", b"1"), (b"b", b"2")]),
        (b"a=1;b=2;", &[(b"a", b"1"), (b"b", b"2")]),
        (b" \ta = 1\t;\tb=2 ", &[(b"a", b"1"), (b"b", b"2")]),
        (b"a=\"1\"", &[(b"a", b"1")]),
        (b"a= \"1\" ", &[(b"a", b"1")]),
        (b"a=\"\"", &[(b"a", b"")]),
        (b"a=\"", &[(b"a", b"\"")]),
        (b"a=\"1", &[(b"a", b"\"1")]),
        (b"a=\"\"1\"\"", &[(b"a", b"\"1\"")]),
        (b"a=\" 1 \"", &[(b"a", b" 1 ")]),
        (b"a=x=y==", &[(b"a", b"x=y==")]),
        (b"a=", &[(b"a", b"")]),
        (b"a=1; a=2", &[(b"a", b"1"), (b"a", b"2")]),
        (b"a; =1; ;; = ; b=2", &[(b"b", b"2")]),
        (b"a=\xff\x00\xfe", &[(b"a", b"\xff\x00\xfe")]),
        (b"\xff=1", &[(b"\xff", b"1")]),
        (b"", &[]),
        (b"=", &[]),
        (b";", &[]),
        (b"   ", &[]),
    ];
    for (header, expected) in table {
        let mut found = Vec::new();
        visit_cookies(header, &mut |name, value| {
            found.push((name.to_vec(), value.to_vec()));
        });
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        assert_eq!(found, expected, "{}", header.escape_ascii());
    }
    let long = [b"a=".as_slice(), &[b'x'; 64 * 1024]].concat();
    let mut length = 0;
    visit_cookies(&long, &mut |_, value| length = value.len());
    assert_eq!(length, 64 * 1024);
}

#[test]
fn bearer_tokens_are_read_byte_for_byte() {
    let long = [b"Bearer ".as_slice(), &[b'x'; 64 * 1024]].concat();
    let table: &[(&[u8], Option<&[u8]>)] = &[
        (b"Bearer abc", Some(b"abc")),
        (b"bearer abc", Some(b"abc")),
        (b"BEARER abc", Some(b"abc")),
        (b"Bearer   abc \t", Some(b"abc")),
        (b" Bearer abc", Some(b"abc")),
        (b"Bearer\tabc", Some(b"abc")),
        (b"Bearer a b", Some(b"a b")),
        (b"Bearer \"abc\"", Some(b"\"abc\"")),
        (b"Bearer \xff\xfe", Some(b"\xff\xfe")),
        (&long, Some(&long[7..])),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearerabc", None),
        (b"Basic abc", None),
        (b"Bear", None),
        (b"", None),
        (b"\xff\xff\xff\xff\xff\xff abc", None),
    ];
    for (header, expected) in table {
        assert_eq!(bearer_token(header), *expected, "{}", header.escape_ascii());
    }
}

#[test]
fn basic_users_are_read_in_every_base64_spelling() {
    let table: &[(&[u8], Option<&[u8]>)] = &[
        (b"Basic Ym9iOnNlY3JldA==", Some(b"bob")),
        (b"basic Ym9iOnNlY3JldA", Some(b"bob")),
        (b"BASIC   Ym9iOnNlY3JldA=", Some(b"bob")),
        (b"Basic Y!m9\xffiOn NlY3JldA==", Some(b"bob")),
        // "bob:a:b", "bob:", and "b??>>:" in both alphabets.
        (b"Basic Ym9iOmE6Yg==", Some(b"bob")),
        (b"Basic Ym9iOg==", Some(b"bob")),
        (b"Basic Yj8/Pj46", Some(b"b??>>")),
        (b"Basic Yj8_Pj46", Some(b"b??>>")),
        // "\xff\xfe:x"
        (b"Basic //46eA==", Some(b"\xff\xfe")),
        // ":secret", "bob"
        (b"Basic OnNlY3JldA==", None),
        (b"Basic Ym9i", None),
        (b"Basic ", None),
        (b"Basic", None),
        (b"Basic =", None),
        (b"Basic A", None),
        (b"Bearer Ym9iOnNlY3JldA==", None),
        (b"", None),
    ];
    for (header, expected) in table {
        assert_eq!(
            basic_username(header).as_deref(),
            *expected,
            "{}",
            header.escape_ascii()
        );
    }
}

#[test]
fn query_values_are_decoded() {
    let table: &[(&[u8], &[&[u8]])] = &[
        (b"/?k=1", &[b"1"]),
        (b"/a/b?x=0&k=1&k=2&y", &[b"1", b"2"]),
        (b"?k=1", &[b"1"]),
        (b"/?k=a%2Bb+c%20d", &[b"a+b c d"]),
        (b"/?%6b=1&%6B=2", &[b"1", b"2"]),
        (b"/?k=%", &[b"%"]),
        (b"/?k=%4", &[b"%4"]),
        (b"/?k=%zz%4z%41", &[b"%zz%4zA"]),
        (b"/?k=+%", &[b" %"]),
        (b"/?k=%ff%00", &[b"\xff\x00"]),
        (b"/?k=\xff", &[b"\xff"]),
        (b"/?k=a=b", &[b"a=b"]),
        (b"/?k", &[b""]),
        (b"/?k=", &[b""]),
        (b"/?k=1#?k=2&k=3", &[b"1"]),
        (b"/?x?k=1&k=2?3", &[b"2?3"]),
        (b"/?k=1;k=2", &[b"1;k=2"]),
        (b"/#?k=1", &[]),
        (b"/?kk=1&K=2&=k&&", &[]),
        (b"/?", &[]),
        (b"/k=1", &[]),
        (b"", &[]),
    ];
    for (path, expected) in table {
        let mut found: Vec<Vec<u8>> = Vec::new();
        query_values(path, "k", &mut |value| found.push(value.to_vec()));
        assert_eq!(found, *expected, "{}", path.escape_ascii());
    }
    let mut found: Vec<Vec<u8>> = Vec::new();
    query_values(b"/?a+b%C3%A9=1", "a b\u{e9}", &mut |value| {
        found.push(value.to_vec());
    });
    assert_eq!(found, [b"1"]);
}

fn claims(token: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    visit_jwt_claims(token, &["sub"], &mut |value| {
        found.push(String::from_utf8(value.to_vec()).unwrap());
    });
    found
}

#[test]
fn jwt_claims_are_strings_numbers_and_lists() {
    let table: &[(&[u8], &[&str])] = &[
        (br#"{"sub":"bob"}"#, &["bob"]),
        (br#" {"iss":"x","sub":"bob","aud":["a"]} "#, &["bob"]),
        (
            br#"{"sub":"Zo\u00eb \"\ud83d\ude00"}"#,
            &["Zo\u{eb} \"\u{1f600}"],
        ),
        (br#"{"sub":7}"#, &["7"]),
        (br#"{"sub":-7}"#, &["-7"]),
        (
            br#"{"sub":18446744073709551615}"#,
            &["18446744073709551615"],
        ),
        (br#"{"sub":7.0}"#, &["7", "7.0"]),
        (br#"{"sub":7.5}"#, &["7.5"]),
        (br#"{"s\u0075b":"bob"}"#, &["bob"]),
        (br#"{"sub":"first","sub":"last"}"#, &["first", "last"]),
        (br#"{"sub":["mallory","x"]}"#, &["mallory", "x"]),
        (br#"{"sub":[1001]}"#, &["1001"]),
        (br#"{"sub":["a",["b"],{"sub":"c"},"d"]}"#, &["a", "d"]),
        (br#"{"sub":1e999}"#, &[]),
        (br#"{"sub":true}"#, &[]),
        (br#"{"sub":null}"#, &[]),
        (br#"{"sub":{"sub":"bob"}}"#, &[]),
        (br#"{"a":{"sub":"bob"}}"#, &[]),
        (br#"{"sub":""}"#, &[]),
        (br#"{"SUB":"bob"}"#, &[]),
        (br#"{"sub":"bob"} x"#, &[]),
        (br#"{"sub":"bob""#, &[]),
        (br#"{"sub":"\ud800"}"#, &[]),
        (b"{\"sub\":\"\xff\"}", &[]),
        (br#"["sub","bob"]"#, &[]),
        (br#""sub""#, &[]),
        (b"7.0", &[]),
        (b"", &[]),
    ];
    for (payload, expected) in table {
        assert_eq!(
            claims(&jwt(payload)),
            *expected,
            "{}",
            payload.escape_ascii()
        );
    }
}

#[test]
fn jwts_are_read_with_and_without_padding_and_signature() {
    // {"sub":"bob"}
    let table: &[(&[u8], &[&str])] = &[
        (b"e30.eyJzdWIiOiJib2IifQ.c2ln", &["bob"]),
        (b"e30.eyJzdWIiOiJib2IifQ==.c2ln", &["bob"]),
        (b"e30.eyJzdWIiOiJib2IifQ.", &["bob"]),
        (b"e30.eyJzdWIiOiJib2IifQ", &["bob"]),
        (b".eyJzdWIiOiJib2IifQ.", &["bob"]),
        (b"eyJzdWIiOiJib2IifQ", &[]),
        (b"e30..c2ln", &[]),
        (b"..", &[]),
        (b".", &[]),
        (b"", &[]),
        (b"\xff.\xff.\xff", &[]),
    ];
    for (token, expected) in table {
        assert_eq!(claims(token), *expected, "{}", token.escape_ascii());
    }
}

#[test]
fn long_and_deeply_nested_jwts_are_limited() {
    let padding = jwt::MAX_BYTES * 3 / 4 - 64;
    let near = format!(r#"{{"x":"{}","sub":"bob"}}"#, "x".repeat(padding));
    assert!(jwt(near.as_bytes()).len() <= jwt::MAX_BYTES);
    assert_eq!(claims(&jwt(near.as_bytes())), ["bob"]);
    let past = format!(r#"{{"x":"{}","sub":"bob"}}"#, "x".repeat(padding + 64));
    assert!(jwt(past.as_bytes()).len() > jwt::MAX_BYTES);
    assert!(claims(&jwt(past.as_bytes())).is_empty());

    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let other = format!(r#"{{"x":{deep},"sub":"bob"}}"#);
    assert_eq!(claims(&jwt(other.as_bytes())), ["bob"]);
    let claim = format!(r#"{{"sub":{deep}}}"#);
    assert!(claims(&jwt(claim.as_bytes())).is_empty());
    assert!(claims(&jwt(deep.as_bytes())).is_empty());
}

#[test]
fn ports_are_removed_from_host_names() {
    let table: &[(&[u8], &[u8])] = &[
        (b"api.example.com", b"api.example.com"),
        (b"api.example.com:8443", b"api.example.com"),
        (b"api.example.com.", b"api.example.com"),
        (b"api.example.com.:80", b"api.example.com"),
        (b"api.example.com..", b"api.example.com."),
        (b"api.example.com:", b"api.example.com"),
        (b"[2001:db8::1]", b"2001:db8::1"),
        (b"[2001:db8::1]:443", b"2001:db8::1"),
        (b"[2001:db8::1", b"2001:db8::1"),
        (b"192.0.2.1:80", b"192.0.2.1"),
        (b"", b""),
        (b":", b""),
        (b".", b""),
        (b"[", b""),
        (b"\xff:1", b"\xff"),
    ];
    for (authority, expected) in table {
        assert_eq!(
            host_name(authority),
            *expected,
            "{}",
            authority.escape_ascii()
        );
    }
}

#[test]
fn base_paths_match_whole_segments() {
    let table: &[(&str, &[u8], bool)] = &[
        ("", b"/anything?x", true),
        ("", b"", true),
        ("", b"*", true),
        ("/shop", b"/shop", true),
        ("/shop", b"/shop/", true),
        ("/shop", b"/shop?x", true),
        ("/shop", b"/shop#x", true),
        ("/shop", b"/shop/cart", true),
        ("/shop", b"/shopping", false),
        ("/shop", b"/sho", false),
        ("/shop", b"/SHOP", false),
        ("/shop", b"/x/shop", false),
        ("/shop", b"/?/shop", false),
        ("/shop", b"", false),
        ("/shop", b"/shop\xff", false),
        ("/shop/v1", b"/shop/v1/cart", true),
        ("/shop/v1", b"/shop/v11", false),
    ];
    for (base, path, expected) in table {
        assert_eq!(
            path_matches(base, path),
            *expected,
            "{base} {}",
            path.escape_ascii()
        );
    }
}

#[test]
fn the_first_matching_api_is_selected() {
    let named = |api_id: &str, hostname: Option<&str>, url: &str| Api {
        api_id: String::from(api_id),
        hostname: hostname.map(String::from),
        url: String::from(url),
        ..api()
    };
    let apis = Apis::new(vec![
        named("cart", Some("api.example.com"), "/shop/cart"),
        named("shop", None, "/shop"),
        named("v6", Some("[2001:db8::1]"), ""),
        named("rest", Some("api.example.com"), ""),
    ]);
    let table: &[(&[u8], &[u8], &str)] = &[
        (b"api.example.com", b"/shop/cart/1", "cart"),
        (b"API.Example.COM.:443", b"/shop/cart", "cart"),
        (b"other.example.com", b"/shop/cart", "shop"),
        (b"", b"/shop", "shop"),
        (b"api.example.com", b"/", "rest"),
        (b"[2001:DB8::1]:443", b"/", "v6"),
        (b"api.example.com.evil.example", b"/", "*/"),
        (b"other.example.com", b"/", "*/"),
        (b"", b"", "*/"),
    ];
    for (authority, path, expected) in table {
        assert_eq!(
            select_api(&apis, authority, path).api_id,
            *expected,
            "{} {}",
            authority.escape_ascii(),
            path.escape_ascii()
        );
    }
    let none = Apis::default();
    assert_eq!(select_api(&none, b"api.example.com", b"/").api_id, "*/");
}

#[test]
fn every_repeated_header_counts() {
    let headers = headers(&[
        (":authority", b"api.example.com"),
        (":path", b"/shop?api_key=k3&api_key=&api_key=k%34"),
        ("cookie", b"session=clean; other=x; empty="),
        ("authorization", b"Bearer t1"),
        ("x-api-key", b"k1"),
        ("authorization", b"Basic Ym9iOnNlY3JldA=="),
        ("x-api-key", b" "),
        ("X-API-Key", b" k2 "),
        ("authorization", b"bearer e30.eyJzdWIiOiJhbGljZSJ9.x"),
        ("cookie", b"session=\"listed\""),
    ]);
    assert_eq!(headers.authority(), b"api.example.com");
    assert_eq!(
        identifiers(&api(), &headers, EVERY_KIND),
        [
            "cookie session=clean",
            "cookie other=x",
            "cookie session=listed",
            "token t1",
            "token e30.eyJzdWIiOiJhbGljZSJ9.x",
            "user alice",
            "key k1",
            "key k2",
            "key k3",
            "key k4",
            "user bob",
        ]
    );
}

#[test]
fn the_api_decides_which_identifiers_count() {
    let headers = headers(&[
        (":path", b"/?api_key=k1&key=k2"),
        ("cookie", b"session=a; SESSION=b; other=c"),
        ("authorization", b"Bearer e30.eyJzdWIiOiJib2IiLCJpZCI6N30.x"),
        ("x-api-key", b"k3"),
        ("x-key", b"k4"),
        ("x-user", b" Zo\xc3\xab "),
        ("x-user", b""),
    ]);
    let nothing = Api {
        cookie: Some(Vec::new()),
        oauth2_access_token: false,
        apikey_header: Vec::new(),
        apikey_qs: Vec::new(),
        username: Vec::new(),
        ..api()
    };
    assert!(identifiers(&nothing, &headers, EVERY_KIND).is_empty());
    let some = Api {
        cookie: Some(vec![String::from("session")]),
        apikey_header: vec![String::from("x-key"), String::from("x-none")],
        apikey_qs: vec![String::from("key")],
        username: vec![
            UsernameSource::Header(String::from("x-user")),
            UsernameSource::JwtClaim(String::from("id")),
            UsernameSource::BasicAuth,
        ],
        ..nothing
    };
    assert_eq!(
        identifiers(&some, &headers, EVERY_KIND),
        [
            "cookie session=a",
            "cookie SESSION=b",
            "user 7",
            "key k4",
            "key k2",
            "user Zo\\xc3\\xab",
        ]
    );
}

#[test]
fn unwanted_kinds_are_not_visited() {
    let headers = headers(&[
        (":path", b"/?api_key=k"),
        ("cookie", b"a=1"),
        ("authorization", b"Bearer e30.eyJzdWIiOiJib2IifQ.x"),
        ("cf-ipcountry", b"XX"),
    ]);
    let api = Api {
        scope_headers: vec!["cf-ipcountry".to_owned()],
        token_claims: vec![vec!["sub".to_owned()]],
        ..api()
    };
    assert!(identifiers(&api, &headers, PerKind::default()).is_empty());
    for (kind, expected) in [
        (IdentifierKind::Ip, None),
        (IdentifierKind::Cookie, Some("cookie a=1")),
        (
            IdentifierKind::OauthToken,
            Some("token e30.eyJzdWIiOiJib2IifQ.x"),
        ),
        (IdentifierKind::ApiKey, Some("key k")),
        (IdentifierKind::Username, Some("user bob")),
        (IdentifierKind::Header, Some("header cf-ipcountry=XX")),
        (IdentifierKind::TokenClaims, Some("claims sub=bob")),
    ] {
        let mut wanted = PerKind::default();
        *wanted.get_mut(kind) = true;
        let found = identifiers(&api, &headers, wanted);
        assert_eq!(found.first().map(String::as_str), expected);
        assert!(found.len() <= 1);
    }
}

#[test]
fn cleared_headers_are_empty() {
    let mut headers = headers(&[(":path", b"/a"), ("cookie", b"a=1")]);
    headers.clear();
    assert_eq!(headers.path(), b"");
    headers.add(b":path", b"/b");
    headers.add(b"", b"");
    assert_eq!(headers.path(), b"/b");
    assert_eq!(headers.values("cookie").count(), 0);
}

#[test]
fn identifiers_have_a_kind_and_a_fingerprint_and_are_redacted() {
    let key = FingerprintKey::from_words([1, 2]);
    let cookie = ClientIdentifier::Cookie {
        name: b"hunter",
        value: b"hunter2",
    };
    let table = [
        (
            cookie,
            IdentifierKind::Cookie,
            key.cookie(b"hunter", b"hunter2"),
        ),
        (
            ClientIdentifier::OauthToken(b"hunter2"),
            IdentifierKind::OauthToken,
            key.oauth_token(b"hunter2"),
        ),
        (
            ClientIdentifier::ApiKey(b"hunter2"),
            IdentifierKind::ApiKey,
            key.api_key(b"hunter2"),
        ),
        (
            ClientIdentifier::Username(b"hunter2"),
            IdentifierKind::Username,
            key.username(b"hunter2"),
        ),
        (
            ClientIdentifier::Header {
                name: "hunter",
                value: b"hunter2",
            },
            IdentifierKind::Header,
            key.header("hunter", b"hunter2"),
        ),
        (
            ClientIdentifier::TokenClaims(&[("hunter", b"hunter2")]),
            IdentifierKind::TokenClaims,
            key.token_claims(&[("hunter", b"hunter2")]),
        ),
    ];
    for (identifier, kind, fingerprint) in table {
        assert_eq!(identifier.kind(), kind);
        assert_eq!(identifier.fingerprint(&key), fingerprint);
        let printed = format!("{identifier:?}");
        assert!(
            !printed.contains("hunter") && !printed.contains("104"),
            "{printed}"
        );
    }
    let printed = format!("{:?}", headers(&[("cookie", b"hunter2")]));
    assert_eq!(printed, "RequestHeaders(1, redacted)");
}

#[test]
fn random_bytes_never_panic() {
    const ALPHABET: &[u8] = b"ab=;\"% +&?#./:[]{}\\\t\0\xff\xc3,Bearer Basic e30";
    let mut next = random_below();
    let mut visited = 0;
    for _ in 0..20_000 {
        let mut bytes = |prefix: &[u8]| {
            let mut bytes = prefix.to_vec();
            for _ in 0..next(24) {
                bytes.push(ALPHABET[next(ALPHABET.len())]);
            }
            bytes
        };
        let headers = headers(&[
            (":authority", &bytes(b"")),
            (":path", &bytes(b"/?a=")),
            ("cookie", &bytes(b"")),
            ("authorization", &bytes(b"Bearer ")),
            ("authorization", &bytes(b"Basic ")),
            ("authorization", &jwt(&bytes(b"{\"sub\":\""))),
            ("x-api-key", &bytes(b"")),
        ]);
        let mut api = api();
        api.apikey_qs = vec![String::from("a"), String::from("")];
        api.scope_headers = vec![String::from("x-api-key")];
        api.token_claims = vec![vec![String::from("sub"), String::from("a")]];
        let apis = Apis::new(vec![api]);
        let api = select_api(&apis, headers.authority(), headers.path());
        let key = FingerprintKey::from_words([1, 2]);
        let mut readings = Vec::new();
        visit_readings(api, &headers, EVERY_KIND, &mut |identifier| {
            readings.push(identifier.fingerprint(&key));
        });
        visit_identifiers(api, &headers, EVERY_KIND, &mut |identifier| {
            visited += 1;
            let fingerprint = identifier.fingerprint(&key);
            assert!(readings.contains(&fingerprint), "{}", shown(identifier));
        });
    }
    assert!(visited > 20_000, "{visited}");
}
