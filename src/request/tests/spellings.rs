//! Spellings of a listed identifier that a common server accepts and that must match, and similar text that must not match.

use super::*;
use crate::config::{Jwt, JwtLocation};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);

/// A list entry.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Cookie(&'a str, &'a str),
    Token(&'a str),
    Key(&'a str),
    User(&'a str),
}

impl Entry<'_> {
    fn fingerprint(self) -> crate::identifier::Fingerprint {
        match self {
            Entry::Cookie(name, value) => KEY.cookie(name.as_bytes(), value.as_bytes()),
            Entry::Token(token) => KEY.oauth_token(token.as_bytes()),
            Entry::Key(value) => KEY.api_key(value.as_bytes()),
            Entry::User(name) => KEY.username(name.as_bytes()),
        }
    }
}

fn carries(api: &Api, list: &[(&str, &[u8])], entry: Entry<'_>) -> bool {
    let mut headers = RequestHeaders::default();
    let others: Vec<String> = api
        .apikey_header
        .iter()
        .cloned()
        .chain([String::from("x-jwt")])
        .collect();
    for (name, value) in list {
        headers.add_if_read(name.as_bytes(), value, &others);
    }
    let mut found = false;
    visit_readings(api, &headers, EVERY_KIND, &mut |identifier| {
        found |= identifier.fingerprint(&KEY) == entry.fingerprint();
    });
    found
}

#[track_caller]
fn check(header: &str, entry: Entry<'_>, accepted: &[&[u8]], similar: &[&[u8]]) {
    for (values, expected) in [(accepted, true), (similar, false)] {
        for value in values {
            assert_eq!(
                carries(&api(), &[(header, value)], entry),
                expected,
                "{header}: {}",
                value.escape_ascii()
            );
        }
    }
}

#[test]
fn a_listed_cookie_is_found_in_every_spelling() {
    check(
        "cookie",
        Entry::Cookie("S", "abc"),
        &[
            b"S=abc",
            b"x=1; S=abc; y=2",
            b"S=abc\xa0",
            b"S=\xc2\xa0abc",
            b"S=abc\xe3\x80\x80",
            b"\xe3\x80\x80S=abc",
            b"S\xa0=abc",
            b"S=abc\x85; x=1",
            b"S=abc\x0b",
            b"S=abc\x0c;x=1",
            b"x=1, S=abc",
            b"x=1,S=abc,y=2",
            b"x=1 S=abc y=2",
            b"S=abc, x=1",
            b"S=abc x",
            b"S=\"abc",
            b"S=abc\"",
            b"S=\"abc\"xyz",
            b"S=\"abcZ",
            b"S=\"\\141bc\"",
            b"S=%61bc",
            b"S=j:\"abc\"",
            b"S=j%3A%22abc%22",
            b"S=j%3a\"abc\"",
            b"S=j:[\"abc\"]",
            b"S[]=abc",
            b"S[0]=abc",
            b"S[a][b]=abc",
            b"S%20=abc",
            b"S%00x=abc",
            b"S=abc%20",
            b"S=abc\xae",
            b"S=abc]",
            b"\xe5S=abc",
            b"a=b\x83S=abc",
            b"a=b;\xd7S=abc",
            b"S=ab\\c\"",
            b"S\t=\tabc\tn; a=b",
            b"S = abc x",
            b"a=b S=a\\bc",
            b"\xa6S=a\\bc",
            b"S=a\\bc\xa6",
            b"\x9eS=\"\\141bc\"",
            b"a=b;? S=abc",
            b"S[0]^=abc",
            b"S=abc%00",
            b"%53=abc",
            b"s=abc",
            b"x=\"; S=abc",
        ],
        &[
            b"S=abcd",
            b"S=ab",
            b"S=Abc",
            b"S=xabc",
            b"T=abc",
            b"SS=abc",
            b"x=S=abc",
            b"S=abc=",
            b"S=a bc",
            b"S=j:\"abcd\"",
            b"S=\"abcZZ",
            b"abc",
            b"S",
        ],
    );
    for sent in ["my.S=abc", "my_S=abc", "MY_s=abc", "my[S=abc", "my%20S=abc"] {
        check(
            "cookie",
            Entry::Cookie("my.S", "abc"),
            &[sent.as_bytes()],
            &[],
        );
    }
    check(
        "cookie",
        Entry::Cookie("S", "a b"),
        &[b"S=a+b", b"S=a%20b", b"S=\"a b\""],
        &[b"S=ab"],
    );
    check(
        "cookie",
        Entry::Cookie("S", "1001"),
        &[b"S=j:1001"],
        &[b"S=j:10010"],
    );
}

#[test]
fn a_path_parameter_is_a_cookie_if_the_api_reads_it() {
    let entry = Entry::Cookie("JSESSIONID", "abc");
    check(
        ":path",
        entry,
        &[
            b"/shop;jsessionid=abc",
            b"/shop;JSESSIONID=abc/cart?x=1",
            b"/;a=1;jsessionid=abc",
            b"/shop%3bjsessionid=abc",
            b"/shop;jsessionid=%61bc",
        ],
        &[
            b"/shop;jsessionid=abcd",
            b"/shop;xjsessionid=abc",
            b"/shop?;jsessionid=abc",
            b"/shop/jsessionid=abc",
        ],
    );
    let path: &[(&str, &[u8])] = &[(":path", b"/;jsessionid=abc")];
    let other = Api {
        cookie: Some(vec![String::from("PHPSESSID")]),
        ..api()
    };
    assert!(!carries(&other, path, entry));
    let none = Api {
        path_parameters: Vec::new(),
        ..api()
    };
    assert!(!carries(&none, path, entry));
}

#[test]
fn a_listed_token_is_found_in_every_place_and_spelling() {
    let entry = Entry::Token("T-1");
    check(
        "authorization",
        entry,
        &[
            b"Bearer T-1",
            b"bearer T-1",
            b"DPoP T-1",
            b"Token T-1",
            b"JWT T-1",
            b"Bearer: T-1",
            b"Bearer:T-1",
            b"Bearer=T-1",
            b"T-1",
            b"x Bearer T-1",
            b"Bearer x T-1",
            b"Bearer T-1 x",
            b"Bearer Bearer T-1",
            b"Bearer \"T-1\"",
            b"Token token=T-1",
            b"Token token=\"T-1\", x=y",
            b"Bearer T-1,Basic Ym9iOng=",
            b"Basic Ym9iOng=,Bearer T-1",
            b"Bearer\xa0T-1",
            b"Bearer\tT-1",
            b"Bearer T-1\xc2\xa0",
            b"Bearer T-1;",
            b"xBearer T-1",
            b"Bearer :T-1",
            b"OAuth T-1",
            b"BearerT-1",
            b"x,bearerT-1",
        ],
        &[
            b"Bearer T-12",
            b"Bearer T-",
            b"Bearer t-1",
            b"Bearer xT-1",
            b"Bearer",
        ],
    );
    check(
        "authorization",
        Entry::Token("a b"),
        &[b"Bearer a b", b"Bearer a b,x"],
        &[b"Bearer a", b"Bearer ab"],
    );
    check(
        ":path",
        entry,
        &[
            b"/?access_token=T-1",
            b"/x?y=1&ACCESS_TOKEN=T-1",
            b"/?access_token=T%2d1",
        ],
        &[
            b"/?access_token=T-12",
            b"/?token=T-1",
            b"/?xaccess_token=T-1",
            b"/T-1",
        ],
    );
    let api = Api {
        oauth2_cookie: vec![String::from("auth")],
        ..api()
    };
    assert!(carries(&api, &[("cookie", b"x=1; auth=T-1")], entry));
    assert!(!carries(&api, &[("cookie", b"x=T-1")], entry));
    let none = Api {
        oauth2_access_token: false,
        ..api
    };
    for request in [
        ("authorization", b"Bearer T-1".as_slice()),
        (":path", b"/?access_token=T-1"),
    ] {
        assert!(!carries(&none, &[request], entry), "{request:?}");
    }
}

#[test]
fn scheme_names_are_not_tokens() {
    let digest: &[u8] = b"Digest username=\"bob\", realm=\"shop\", qop=auth";
    for listed in ["Bearer", "basic", "realm=\"shop\"", "shop", "qop=auth"] {
        for value in [b"Bearer Bearer".as_slice(), b"x Basic Ym9iOng=", digest] {
            let request: &[(&str, &[u8])] = &[("authorization", value)];
            assert!(!carries(&api(), request, Entry::Token(listed)), "{listed}");
            assert!(!carries(&api(), request, Entry::Key(listed)), "{listed}");
        }
    }
    let joined = [digest, b", Bearer T-1"].concat();
    assert!(carries(
        &api(),
        &[("authorization", &joined)],
        Entry::Token("T-1")
    ));
}

#[test]
fn a_listed_key_is_found_in_every_place_and_spelling() {
    let entry = Entry::Key("K 1");
    check(
        ":path",
        entry,
        &[
            b"/?api_key=K+1",
            b"/?api_key=K%201",
            b"/?x=1&API_KEY=K%201",
            b"/?api%5Fkey=K+1",
            b"/?+api_key=K+1",
            b"/?api.key=K+1",
            b"/?api+key=K+1",
            b"/?api%5Bkey=K+1",
            b"/?api[key=K+1",
            b"/?api_key[]=K+1",
            b"/?api_key%5B%5D=K+1",
            b"/?api_key[0]=K+1",
            b"/?api_key%00x=K+1",
            b"/?x=1;api_key=K+1",
            b"/?api_key=K+1;x=1",
            b"/??api_key=K+1",
            b"/?api_key=K+1%20",
            b"/?api_key=K+1%0a",
            b"/?api_key=K+1%00",
            b"/?api_key=K+1%00x",
            b"/?api_key=%E3%80%80K+1",
        ],
        &[
            b"/?api_key=K1",
            b"/?api_key=K+12",
            b"/?api_key=k+1",
            b"/?key=K+1",
            b"/?xapi_key=K+1",
            b"/?api_keys=K+1",
            b"/api_key=K+1",
            b"/?x=api_key=K+1",
        ],
    );
    check(
        ":path",
        Entry::Key("a+b"),
        &[b"/?api_key=a+b", b"/?api_key=a%2Bb"],
        &[b"/?api_key=ab"],
    );
    check(":path", Entry::Key("a%2Bb"), &[b"/?api_key=a%2Bb"], &[]);
    check(
        ":path",
        Entry::Key("a;b"),
        &[b"/?api_key=a;b"],
        &[b"/?api_key=a"],
    );
    for name in [
        "x-api-key",
        "X-Api-Key",
        "x_api_key",
        "x.api.key",
        "X_API.KEY",
    ] {
        check(
            &name.to_ascii_lowercase(),
            Entry::Key("K1"),
            &[b"K1", b" K1\t", b"K1\xa0", b"K1, x", b"x, K1"],
            &[b"K12"],
        );
    }
    check("x-api-keys", Entry::Key("K1"), &[], &[b"K1"]);
    check(
        "authorization",
        Entry::Key("K1"),
        &[b"ApiKey K1", b"Bearer K1", b"K1", b"Api-Key: K1"],
        &[b"ApiKey K2"],
    );
}

#[test]
fn a_listed_user_is_found_in_every_encoding() {
    check(
        "authorization",
        Entry::User("bob"),
        &[
            b"Basic Ym9iOng=",
            b"Basic Ym9iOng",
            b"basic  Ym9iOng=",
            b"Basic Y-m9iOng=",
            b"Basic Ym9i_Ong=",
            b"Basic Ym9i",
            b"Basic Y m9iOng=",
            b"Basic Ym9iOng= x",
            b"Basic Ym9iOng=Ym9i",
            b"Basic: Ym9iOng=",
            b"x Basic Ym9iOng=",
            b"Bearer x,Basic Ym9iOng=",
            b"Digest username=\"bob\", realm=\"x\"",
            b"digest realm=\"x\",username=bob",
            b"Digest username = \"b\\ob\"",
            b"Digest username='bob', x=y",
            b"Digest x=\"a\",username=\x85bob\"",
            b"Digest xusername=\"bob\",nonce",
            b"Digest username=\"bob,x",
            b"Digest username*=UTF-8''b%6fb",
        ],
        &[
            b"Basic Ym9iYjp4",
            b"Basic Ym8",
            b"Digest username=\"bobb\"",
            b"Digest realm=\"bob\"",
            b"Bearer Ym9iOng=",
        ],
    );
    // Zo\u{eb} as UTF-8, as Latin-1, and decomposed.
    for name in ["Zo\u{eb}", "Zoe\u{308}"] {
        check(
            "authorization",
            Entry::User(name),
            &[
                b"Basic Wm/DqzpY",
                b"Basic Wm_DqzpY",
                b"Basic Wm/rOlg=",
                b"Basic Wm9lzIg6WA==",
            ],
            &[b"Basic Wm9lOlg="],
        );
    }
    // The name that a server reports if it decodes UTF-8 as Latin-1.
    check(
        "authorization",
        Entry::User("Zo\u{c3}\u{ab}"),
        &[b"Basic Wm/DqzpY"],
        &[],
    );
}

/// `header.payload.signature` with an HMAC of 32 bytes.
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IiLCJ4IjpbIm1hbGxvcnkiLDFdfQ.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[test]
fn a_listed_json_web_token_is_found_with_any_signature() {
    let signed = &JWT[..JWT.rfind('.').unwrap()];
    for signature in [
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "twin",
        "",
    ] {
        let sent = format!("{signed}.{signature}");
        let bearer = format!("Bearer {sent}");
        check(
            "authorization",
            Entry::Token(JWT),
            &[bearer.as_bytes()],
            &[],
        );
        check("x-api-key", Entry::Key(JWT), &[sent.as_bytes()], &[]);
        let cookie = format!("S={sent}");
        check("cookie", Entry::Cookie("S", JWT), &[cookie.as_bytes()], &[]);
    }
    // Another payload, an opaque token of three parts, and a token of two parts.
    for other in [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        signed,
    ] {
        let bearer = format!("Bearer {other}");
        check(
            "authorization",
            Entry::Token(JWT),
            &[],
            &[bearer.as_bytes()],
        );
    }
    check(
        "authorization",
        Entry::Token("v4.local.first"),
        &[b"Bearer v4.local.first"],
        &[b"Bearer v4.local.second"],
    );
}

#[test]
fn a_listed_encrypted_token_is_found_in_any_base64() {
    // dir, 96 bits of initialization vector, two bytes of text, 128 bits of tag.
    let listed = "eyJhbGciOiJkaXIifQ..AAAAAAAAAAAAAAAA.AAA.AAAAAAAAAAAAAAAAAAAAAA";
    check(
        "authorization",
        Entry::Token(listed),
        &[
            b"Bearer eyJhbGciOiJkaXIifQ..AAAAAAAAAAAAAAAA.AAB.AAAAAAAAAAAAAAAAAAAAAB",
            b"Bearer eyJhbGciOiJkaXIifQ..AAAAAAAAAAAAAAAA.AAA=.AAAAAAAAAAAAAAAAAAAAAA==",
        ],
        &[b"Bearer eyJhbGciOiJkaXIifQ..AAAAAAAAAAAAAAAA.AAE.AAAAAAAAAAAAAAAAAAAAAA"],
    );
}

#[test]
fn a_listed_signed_session_is_found_with_any_signature() {
    let listed = "eyJ1c2VyIjoiYm9iIn0.aRBcDe.0123456789abcdefghijklmnopq";
    check(
        "cookie",
        Entry::Cookie("session", listed),
        &[
            b"session=eyJ1c2VyIjoiYm9iIn0.aRBcDe.0123456789abcdefghijklmnopr",
            b"session=eyJ1c2VyIjoiYm9iIn0.aRBcDe.0123456789abcdefghijklmnopq=",
            b"session=eyJ1c2VyIjoiYm9iIn0.aRBcDe.0123456789abcdefghijklmnopq!",
            b"session=eyJ1c2VyIjoiYm9iIn0.aRBcDe.%01%23%45%67%89%abcdefghijklmnopq",
            b"session=eyJ1c2VyIjoiYm9iIn0%2EaRBcDe%2E0123456789abcdefghijklmnopq",
        ],
        &[
            b"session=eyJ1c2VyIjoiYm9iIn0.aRBcDf.0123456789abcdefghijklmnopq",
            b"session=eyJ1c2VyIjoiYWxpY2UifQ.aRBcDe.0123456789abcdefghijklmnopq",
            b"session=eyJ1c2VyIjoiYm9iIn0",
        ],
    );
    // A short text before the dot may be shared by many clients.
    check(
        "cookie",
        Entry::Cookie("session", "v1.0123456789abcdefghijklmnopq"),
        &[],
        &[b"session=v1.0123456789abcdefghijklmnopr"],
    );
    check(
        "cookie",
        Entry::Cookie("JSESSIONID", "0123456789abcdef0123.node1"),
        &[],
        &[b"JSESSIONID=0123456789abcdef0123.node2"],
    );
}

#[test]
fn claims_are_read_from_every_token() {
    let api = Api {
        username: vec![UsernameSource::JwtClaim(String::from("x"))],
        oauth2_cookie: vec![String::from("auth")],
        ..api()
    };
    let entry = Entry::User("mallory");
    let bearer = format!("Bearer {JWT}");
    let query = format!("/?access_token={JWT}");
    let cookie = format!("auth={JWT}");
    for request in [
        ("authorization", &bearer),
        (":path", &query),
        ("cookie", &cookie),
        ("authorization", &JWT.to_owned()),
    ] {
        assert!(
            carries(&api, &[(request.0, request.1.as_bytes())], entry),
            "{request:?}"
        );
    }
    assert!(carries(
        &api,
        &[("authorization", bearer.as_bytes())],
        Entry::User("1")
    ));
    assert!(!carries(
        &api,
        &[("authorization", bearer.as_bytes())],
        Entry::User("bob")
    ));

    let at = |location: JwtLocation| Api {
        username: Vec::new(),
        jwt: Some(Jwt {
            location,
            username: Some(String::from("sub")),
            client_id: None,
        }),
        ..api.clone()
    };
    let by_header = at(JwtLocation::Header(String::from("x-jwt")));
    assert!(carries(
        &by_header,
        &[("x-jwt", JWT.as_bytes())],
        Entry::User("bob")
    ));
    assert!(carries(
        &by_header,
        &[("x-jwt", bearer.as_bytes())],
        Entry::User("bob")
    ));
    let by_query = at(JwtLocation::Query(String::from("jwt")));
    let path = format!("/?jwt={JWT}");
    assert!(carries(
        &by_query,
        &[(":path", path.as_bytes())],
        Entry::User("bob")
    ));
    assert!(!carries(
        &by_header,
        &[(":path", path.as_bytes())],
        Entry::User("bob")
    ));
}

#[test]
fn a_path_selects_every_api_that_a_server_may_select() {
    let at = |api_id: &str, url: &str| Api {
        api_id: String::from(api_id),
        url: String::from(url),
        ..api()
    };
    let apis = Apis::new(vec![
        at("shop", "/shop"),
        at("open", "/open"),
        at("rest", ""),
    ]);
    let found = |path: &str| {
        let mut found = Vec::new();
        visit_apis(&apis, b"a.example", path.as_bytes(), &mut |api| {
            found.push(api.api_id.as_str());
        });
        found
    };
    for (path, expected) in [
        ("/shop", &["shop"][..]),
        ("/shop/cart?x=/../open", &["shop"]),
        ("/open/cart", &["open"]),
        ("/shopping", &["rest"]),
        ("/SHOP/cart", &["rest", "shop"]),
        ("/shop;x=1", &["rest", "shop"]),
        ("/;x=1/shop", &["rest", "shop"]),
        ("/open/..;/shop", &["open", "shop"]),
        ("/open/%2e%2e;/shop", &["open", "shop"]),
        ("/open/%2e%2e/shop", &["open", "shop"]),
        ("/open/../shop", &["open", "shop"]),
        ("/open/..%3b/shop", &["open", "shop"]),
        ("/open/..;%2fz/shop", &["open", "shop", "rest"]),
        ("/open%2f..%2fshop", &["rest", "shop"]),
        ("/open/..\\shop", &["open", "shop"]),
        ("//shop", &["rest", "shop"]),
        ("/%73hop", &["rest", "shop"]),
        ("/./shop", &["rest", "shop"]),
    ] {
        assert_eq!(found(path), expected, "{path}");
    }
    let folded = Apis::new(vec![
        Api {
            url_case_insensitive: true,
            ..at("shop", "/Shop")
        },
        at("rest", ""),
    ]);
    assert_eq!(select_api(&folded, b"", b"/sHOP/x").api_id, "shop");
}
