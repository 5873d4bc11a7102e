//! Header values and claims of tokens that feeds list.

use super::*;
use crate::config::{Jwt, JwtLocation};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CLAIMS: PerKind<bool> = PerKind {
    ip: false,
    cookie: false,
    oauth_token: false,
    api_key: false,
    username: false,
    header: false,
    token_claims: true,
};

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// An API with feeds of tokens that have these claims.
fn api_with(feeds: &[&[&str]]) -> Api {
    Api {
        token_claims: feeds.iter().map(|claims| texts(claims)).collect(),
        ..api()
    }
}

fn bearer(payload: &[u8]) -> RequestHeaders {
    let token = jwt(payload);
    headers(&[("authorization", &[b"Bearer ", token.as_slice()].concat())])
}

#[track_caller]
fn check(feeds: &[&[&str]], payload: &str, expected: &[&str]) {
    let (api, headers) = (api_with(feeds), bearer(payload.as_bytes()));
    let expected: Vec<_> = expected
        .iter()
        .map(|claims| format!("claims {claims}"))
        .collect();
    assert_eq!(identifiers(&api, &headers, CLAIMS), expected, "{payload}");
    let mut found = Vec::new();
    visit_readings(&api, &headers, CLAIMS, &mut |identifier| {
        found.push(shown(identifier));
    });
    assert_eq!(found, expected, "{payload}");
}

#[test]
fn every_combination_of_the_claims_of_a_token_is_visited() {
    let table: [(&[&str], &str, &[&str]); 12] = [
        (&["jti"], r#"{"jti":"x"}"#, &["jti=x"]),
        (&["jti"], r#"{"jti":7,"aud":"a"}"#, &["jti=7"]),
        (&["jti"], r#"{"jti":"x","jti":"y"}"#, &["jti=x", "jti=y"]),
        (&["jti"], r#"{"jti":" x \u0000\n"}"#, &[r"jti= x \x00\n"]),
        (&["jti"], r#"{"sub":"x","JTI":"y"}"#, &[]),
        (&["jti"], r#"{"jti":"","jti":null,"jti":[true,{}]}"#, &[]),
        (&["jti"], r#"{"jti":"x""#, &[]),
        (
            &["jti", "aud"],
            r#"{"jti":"x","aud":["a","b"]}"#,
            &["jti=x", "aud=a", "aud=b", "jti=x aud=a", "jti=x aud=b"],
        ),
        // A claim that is missing leaves the others.
        (
            &["sub", "sid", "aud", "jti"],
            r#"{"sub":"s","jti":"x"}"#,
            &["sub=s", "jti=x", "sub=s jti=x"],
        ),
        (
            &["c", "b", "a"],
            r#"{"a":1,"b":[2,3],"c":"4"}"#,
            &[
                "c=4",
                "b=2",
                "b=3",
                "a=1",
                "c=4 b=2",
                "c=4 b=3",
                "c=4 a=1",
                "b=2 a=1",
                "b=3 a=1",
                "c=4 b=2 a=1",
                "c=4 b=3 a=1",
            ],
        ),
        (
            &["a", "b", "c", "d", "e"],
            r#"{"a":1,"d":4,"e":5}"#,
            &["a=1", "d=4", "a=1 d=4"],
        ),
        (&[], r#"{"jti":"x"}"#, &[]),
    ];
    for (claims, payload, expected) in table {
        check(&[claims], payload, expected);
    }
    check(
        &[&["jti"], &["sub", "jti"], &["iss"]],
        r#"{"jti":"x","sub":"s"}"#,
        &["jti=x", "sub=s", "jti=x", "sub=s jti=x"],
    );
    check(&[], r#"{"jti":"x"}"#, &[]);
}

#[test]
fn a_claim_that_can_not_be_read_hides_no_other() {
    for bad in [r#""\ud800""#, "1e999", r#"["x", "\udc00"]"#] {
        check(
            &[&["jti", "name"]],
            &format!(r#"{{"jti":"x","name":{bad}}}"#),
            &["jti=x"],
        );
        check(&[&["name"]], &format!(r#"{{"name":{bad}}}"#), &[]);
        check(
            &[&["name", "jti"]],
            &format!(r#"{{"name":{bad},"jti":"x"}} x"#),
            &[],
        );
    }
    let api = Api {
        username: vec![UsernameSource::JwtClaim("sub".to_owned())],
        ..api_with(&[&["name", "sub"]])
    };
    let headers = bearer(b"{\"name\":\"\xff\",\"sub\":\"bob\"}");
    let expected = ["user bob", "claims sub=bob"];
    assert_eq!(identifiers(&api, &headers, EVERY_KIND)[1..], expected);
}

#[test]
fn the_number_of_combinations_is_bounded_and_smaller_ones_are_first() {
    let list = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>().join(",");
    let found = |payload: &str, feeds: &[&[&str]]| {
        identifiers(&api_with(feeds), &bearer(payload.as_bytes()), CLAIMS)
    };
    let payload = format!(r#"{{"a":[{}],"b":[{}],"c":"x"}}"#, list(100), list(10));
    let all = found(&payload, &[&["a", "b", "c"]]);
    assert_eq!(all.len(), 256);
    let sizes: Vec<_> = all.iter().map(|one| one.split(' ').count()).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert_eq!(sizes.iter().filter(|size| **size == 2).count(), 111);
    assert!(all.contains(&"claims c=x".to_owned()));
    // A feed does not use up the bound of the next one.
    let two = found(&payload, &[&["a", "b", "c"], &["c"]]);
    assert_eq!(two.len(), 257);
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    // All combinations of four claims, below the bound.
    let payload = r#"{"a":[1,2],"b":[1,2],"c":[1,2],"d":[1,2]}"#;
    assert_eq!(found(payload, &[&["a", "b", "c", "d"]]).len(), 80);
}

#[test]
fn users_and_combinations_come_from_one_token() {
    let api = Api {
        username: vec![UsernameSource::JwtClaim("sub".to_owned())],
        ..api_with(&[&["jti", "sub"]])
    };
    let headers = bearer(br#"{"jti":"x","sub":"bob","name":"B"}"#);
    let wanted = PerKind {
        username: true,
        ..CLAIMS
    };
    assert_eq!(
        identifiers(&api, &headers, wanted),
        [
            "user bob",
            "claims jti=x",
            "claims sub=bob",
            "claims jti=x sub=bob"
        ]
    );
    let only_users = PerKind {
        username: true,
        ..PerKind::default()
    };
    assert_eq!(identifiers(&api, &headers, only_users), ["user bob"]);
    assert_eq!(
        identifiers(&api, &headers, CLAIMS),
        ["claims jti=x", "claims sub=bob", "claims jti=x sub=bob"]
    );
}

#[test]
fn claims_are_read_wherever_tokens_are_read() {
    let token = String::from_utf8(jwt(br#"{"jti":"x"}"#)).unwrap();
    let api = Api {
        oauth2_cookie: texts(&["at"]),
        jwt: Some(Jwt {
            location: JwtLocation::Header("x-jwt".to_owned()),
            username: None,
            client_id: None,
        }),
        // Whether tokens count themselves makes no difference.
        oauth2_access_token: false,
        ..api_with(&[&["jti"]])
    };
    let expected = ["claims jti=x"];
    for (name, value) in [
        ("authorization", format!("Bearer {token}")),
        ("authorization", format!("Basic Ym9iOng=,bearer {token}")),
        (":path", format!("/?access_token={token}")),
        ("cookie", format!("a=1; at={token}")),
        ("x-jwt", token.clone()),
    ] {
        let headers = headers(&[(name, value.as_bytes())]);
        let found = identifiers(&api, &headers, CLAIMS);
        assert!(found.starts_with(&expected.map(str::to_owned)), "{value}");
        assert!(readings(&api, &headers).contains(&expected[0].to_owned()));
    }
    for (name, value) in [
        ("x-api-key", token.clone()),
        ("cookie", format!("b={token}")),
        (":path", format!("/?b={token}")),
    ] {
        let headers = headers(&[(name, value.as_bytes())]);
        assert!(identifiers(&api, &headers, CLAIMS).is_empty(), "{value}");
    }
}

#[test]
fn the_number_of_tokens_is_bounded() {
    let tokens: Vec<String> = (0..100)
        .map(|number| {
            let payload = format!(r#"{{"jti":{number}}}"#);
            String::from_utf8(jwt(payload.as_bytes())).unwrap()
        })
        .collect();
    let header = format!("Bearer {}", tokens.join(" "));
    let headers = headers(&[("authorization", header.as_bytes())]);
    let mut found = Vec::new();
    visit_readings(
        &api_with(&[&["jti"]]),
        &headers,
        CLAIMS,
        &mut |identifier| {
            found.push(shown(identifier));
        },
    );
    assert!(found.len() <= 32, "{}", found.len());
    for number in [0, 1, 99] {
        assert!(found.contains(&format!("claims jti={number}")), "{number}");
    }
}

#[test]
fn header_values_are_exact_and_joined_ones_count_too() {
    let api = Api {
        scope_headers: texts(&["cf-ipcountry", "cf-asn"]),
        ..api()
    };
    let wanted = PerKind {
        header: true,
        ..PerKind::default()
    };
    let table: [(&str, &str, &[&str], &[&str]); 10] = [
        ("cf-ipcountry", "XX", &["XX"], &["XX"]),
        ("cf-ipcountry", " xx\t", &["xx"], &["xx"]),
        ("CF-IPCountry", "XX", &["XX"], &["XX"]),
        ("cf_ipcountry", "XX", &["XX"], &["XX"]),
        ("cf-ipcountry", "\"XX\"", &["\\\"XX\\\""], &["\\\"XX\\\""]),
        ("cf-ipcountry", "a b", &["a b"], &["a b"]),
        ("cf-ipcountry", "%58%58", &["%58%58"], &["%58%58"]),
        (
            "cf-ipcountry",
            "FR, XX",
            &["FR, XX"],
            &["FR, XX", "FR", "XX"],
        ),
        ("cf-ipcountry", ",, ,XX", &[",, ,XX"], &[",, ,XX", "XX"]),
        ("cf-ipcountry", " ", &[], &[]),
    ];
    let shown_as = |values: &[&str]| -> Vec<_> {
        let values = values.iter();
        values
            .map(|value| format!("header cf-ipcountry={value}"))
            .collect()
    };
    for (name, value, plain, tolerant) in table {
        let headers = headers(&[(name, value.as_bytes()), ("x-other", b"XX")]);
        assert_eq!(
            identifiers(&api, &headers, wanted),
            shown_as(plain),
            "{value}"
        );
        let mut found = Vec::new();
        visit_readings(&api, &headers, wanted, &mut |identifier| {
            found.push(shown(identifier));
        });
        assert_eq!(found, shown_as(tolerant), "{value}");
    }
    let repeated = headers(&[
        ("cf-ipcountry", b"FR"),
        ("cf-asn", b"64496"),
        ("cf-ipcountry", b"XX"),
    ]);
    assert_eq!(
        identifiers(&api, &repeated, wanted),
        [
            "header cf-ipcountry=FR",
            "header cf-ipcountry=XX",
            "header cf-asn=64496"
        ]
    );
    // The first ones and the last of many parts count.
    let many = format!("A,{}Z", "b,".repeat(10_000));
    let many = headers(&[("cf-ipcountry", many.as_bytes())]);
    let found = readings(&api, &many);
    assert!(found.len() <= 35);
    for value in ["A", "Z"] {
        assert!(found.contains(&format!("header cf-ipcountry={value}")));
    }
}

#[test]
fn listed_claims_and_header_values_have_the_fingerprints_of_requests() {
    let key = FingerprintKey::from_words([1, 2]);
    let api = Api {
        scope_headers: texts(&["cf-ipcountry"]),
        ..api_with(&[&["jti", "aud"]])
    };
    let token = jwt(br#"{"aud":["shop","x"],"jti":7}"#);
    let headers = headers(&[
        ("authorization", &[b"Bearer ", token.as_slice()].concat()),
        ("cf-ipcountry", b"XX"),
    ]);
    let mut found = Vec::new();
    visit_readings(&api, &headers, EVERY_KIND, &mut |identifier| {
        found.push(identifier.fingerprint(&key));
    });
    for listed in [
        key.token_claims(&[("jti", b"7")]),
        key.token_claims(&[("jti", b"7"), ("aud", b"shop")]),
        key.token_claims(&[("aud", b"x")]),
        key.header("cf-ipcountry", b"XX"),
    ] {
        assert!(found.contains(&listed));
    }
    for other in [
        key.token_claims(&[("aud", b"7")]),
        key.token_claims(&[("jti", b"7"), ("aud", b"y")]),
        key.token_claims(&[("aud", b"shop"), ("aud", b"x")]),
        key.header("cf-asn", b"XX"),
    ] {
        assert!(!found.contains(&other));
    }
}
