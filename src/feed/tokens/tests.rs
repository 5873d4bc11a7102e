//! Which entries identify tokens, and which bodies are lists.

use core::time::Duration;
use std::io;

use super::*;
use crate::feed::entries::Skipped;
use crate::feed::scalar::Shape;
use crate::identifier::listed::Unusable;
use crate::identifier::{ClientIdentifier, FingerprintKey, IdentifierKind};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Keeps what it receives, and is full after `room` entries.
#[derive(Default)]
struct Listed {
    entries: Vec<String>,
    skipped: Vec<Skipped>,
    room: Option<usize>,
}

impl EntrySink for Listed {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool {
        let ClientIdentifier::TokenClaims(claims) = entry else {
            panic!("a list of tokens has claims only");
        };
        assert_eq!(time_to_live, None);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let claims = claims.iter();
        let claims = claims.map(|(name, value)| format!("{name}={}", text(value)));
        self.entries.push(claims.collect::<Vec<_>>().join(" "));
        self.room.is_none_or(|room| self.entries.len() <= room)
    }

    fn skipped(&mut self, entry: Skipped) {
        self.skipped.push(entry);
    }
}

fn read_into(
    mut body: &[u8],
    claims: &[&str],
    listed: &mut Listed,
) -> Result<EntryCounts, TokensError> {
    let claims: Vec<String> = claims.iter().map(ToString::to_string).collect();
    read_tokens(&mut body, &claims, listed)
}

/// With the claims `jti`, `aud` and `sub`.
fn read_all(body: &str) -> (Result<EntryCounts, TokensError>, Listed) {
    let mut listed = Listed::default();
    let outcome = read_into(body.as_bytes(), &["jti", "aud", "sub"], &mut listed);
    (outcome, listed)
}

#[test]
fn strings_and_objects_are_claims() {
    let table = [
        (r#""a""#, "jti=a"),
        (r#""\u0061 \u00e9\u0000 ""#, "jti=a \u{e9}\0 "),
        ("17", "jti=17"),
        ("-1", "jti=-1"),
        ("18446744073709551615", "jti=18446744073709551615"),
        (r#"{"jti": "a"}"#, "jti=a"),
        (r#"{"jti": 7}"#, "jti=7"),
        (
            r#"{"sub": "s", "jti": "a", "aud": "shop"}"#,
            "jti=a aud=shop sub=s",
        ),
        (r#"{"aud": "shop"}"#, "aud=shop"),
        (
            r#"{"iss": ["x", {"jti": 1}], "aud": "shop", "exp": 1.5, "JTI": null}"#,
            "aud=shop",
        ),
        (r#"{"jti": "a", "jti": "b"}"#, "jti=b"),
        (r#"{"j\u0074i": "a"}"#, "jti=a"),
    ];
    for (entry, claims) in table {
        let body = format!(r#"["good", {entry}, {{"sub": "bob"}}]"#);
        let (outcome, listed) = read_all(&body);
        let counts = outcome.unwrap_or_else(|error| panic!("{entry}: {error}"));
        assert_eq!(
            listed.entries,
            ["jti=good", claims, "sub=bob"],
            "{entry}: values of other entries don't count"
        );
        assert_eq!((counts.usable.token_claims, counts.n_skipped()), (3, 0));
    }
}

#[test]
fn the_claims_that_count_are_those_of_the_feed() {
    let body = r#"["a", {"jti": "b", "sub": "s"}, {"sid": 1}]"#;
    let entries = |claims: &[&str]| {
        let mut listed = Listed::default();
        read_into(body.as_bytes(), claims, &mut listed).map(|_| listed.entries)
    };
    assert_eq!(entries(&[DEFAULT_CLAIM]).unwrap(), ["jti=a", "jti=b"]);
    assert_eq!(entries(&["sub", "jti"]).unwrap(), ["sub=a", "sub=s jti=b"]);
    assert_eq!(entries(&["sid"]).unwrap(), ["sid=a", "sid=1"]);
    assert_eq!(
        entries(&["a", "b", "c", "d", "jti", "sid"]).unwrap(),
        ["a=a"],
        "at most four claims"
    );
    assert!(matches!(entries(&[]), Err(TokensError::NothingUsable(_))));
}

#[test]
fn entries_and_tokens_have_the_same_fingerprint() {
    struct Prints(Vec<u64>);
    const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);
    impl EntrySink for Prints {
        fn entry(&mut self, entry: ClientIdentifier<'_>, _: Option<Duration>) -> bool {
            self.0.push(entry.fingerprint(&KEY).0);
            true
        }

        fn skipped(&mut self, _: Skipped) {}
    }
    let claims = ["sub".to_owned(), "aud".to_owned()];
    let mut prints = Prints(Vec::new());
    let body = r#"[{"aud": "shop", "sub": 7}, {"sub": "7", "aud": "shop"}, "7"]"#;
    read_tokens(&mut body.as_bytes(), &claims, &mut prints).unwrap();
    let both = KEY.token_claims(&[("sub", b"7"), ("aud", b"shop")]).0;
    let one = KEY.token_claims(&[("sub", b"7")]).0;
    assert_eq!(prints.0, [both, both, one]);
}

#[test]
fn unusable_entries_are_skipped_and_counted() {
    use Unusable::{Empty, LongNumber, Null, WrongType};
    let table = [
        ("null", Null),
        ("true", WrongType),
        ("1.0", LongNumber),
        ("1e3", LongNumber),
        ("18446744073709551616", LongNumber),
        (r#""""#, Empty),
        ("[]", WrongType),
        (r#"["a"]"#, WrongType),
        ("{}", WrongType),
        (r#"{"id": "a"}"#, WrongType),
        (r#"{"token": {"jti": "a"}}"#, WrongType),
        (r#"{"jti": null}"#, Null),
        (r#"{"jti": "a", "aud": null}"#, Null),
        (r#"{"jti": "a", "aud": ["shop"]}"#, WrongType),
        (
            r#"{"aud": [["shop"], {"jti": "a"}], "jti": "a"}"#,
            WrongType,
        ),
        (r#"{"jti": {"jti": "a"}}"#, WrongType),
        (r#"{"jti": "a", "aud": false}"#, WrongType),
        (r#"{"jti": "a", "aud": ""}"#, Empty),
        (r#"{"jti": 0.5}"#, LongNumber),
    ];
    for (entry, reason) in table {
        let body = format!(r#"["good", {entry}, "next"]"#);
        let (outcome, listed) = read_all(&body);
        let counts = outcome.unwrap_or_else(|error| panic!("{entry}: {error}"));
        assert_eq!(listed.entries, ["jti=good", "jti=next"], "{entry}");
        let skipped = Skipped {
            kind: IdentifierKind::TokenClaims,
            position: 2,
            reason,
        };
        assert_eq!(listed.skipped, [skipped], "{entry}");
        assert_eq!(counts.first_skipped.token_claims, Some(skipped));
        assert_eq!((counts.n_entries(), counts.n_skipped()), (3, 1));
    }
}

#[test]
fn an_empty_list_is_a_list() {
    for body in ["[]", " [ ]\n"] {
        assert_eq!(read_all(body).0, Ok(EntryCounts::default()));
    }
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let table = [
        (
            "<html>SECRET</html>",
            "not JSON: expected value at line 1 column 1; check that the path of the feed names a list of tokens",
        ),
        ("", "the tokens are empty or end before"),
        ("SECRET\n", "not JSON"),
        (r#"["SECRET"#, "end before their JSON does"),
        (
            r#"["SECRET"] x"#,
            "go on after their JSON at line 1 column 12; one JSON list",
        ),
        (r#"["SECRET",]"#, "not JSON"),
        ("null", "found null"),
        ("7", "found a number"),
        (r#""SECRET""#, "found a string"),
        ("{}", "found an empty object"),
        (r#"{"jti": "SECRET"}"#, "found an object with 1 key"),
        (
            r#"{"revoked": ["SECRET"], "next": [1]}"#,
            "found an object with 2 keys",
        ),
        (
            r#"[{"id": "SECRET"}, null]"#,
            "none of the tokens can be used: token_claims 2 of 2 (entry 1 of token_claims: of an unsupported type)",
        ),
    ];
    for (body, words) in table {
        let (outcome, listed) = read_all(body);
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(words), "{body}: {message}");
        assert!(!message.contains("SECRET"), "{body}: {message}");
        assert!(!body.starts_with('{') || listed.entries.is_empty());
    }
    let error = read_all(r#"{"a": {}}"#).0.unwrap_err();
    assert_eq!(error, TokensError::WrongShape(Shape::Object(1)));
}

const LIST: &str = r#"["a", {"jti": "b", "aud": "shop"}, null, 7, {"sub": "s", "x": [{}]}]"#;

#[test]
fn a_body_cut_at_any_byte_is_never_a_list() {
    assert_eq!(read_all(LIST).1.entries.len(), 4);
    for cut in 0..LIST.len() {
        let outcome = read_all(&LIST[..cut]).0;
        let Err(TokensError::Json(error)) = outcome else {
            panic!("cut at {cut}: {outcome:?}");
        };
        assert_eq!(error.kind, json::ErrorKind::Truncated, "{cut}");
    }
}

#[test]
fn a_full_sink_ends_the_list() {
    for room in 0..4 {
        let mut listed = Listed {
            room: Some(room),
            ..Listed::default()
        };
        let outcome = read_into(LIST.as_bytes(), &["jti", "sub"], &mut listed);
        assert_eq!(outcome, Err(TokensError::SinkFull), "{room}");
        assert_eq!(listed.entries.len(), room + 1);
    }
}

#[test]
fn a_body_that_can_not_be_read_is_not_a_list() {
    struct Broken(io::ErrorKind);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
    }
    for (kind, words) in [
        (io::ErrorKind::UnexpectedEof, "ends early"),
        (io::ErrorKind::InvalidData, "damaged"),
        (io::ErrorKind::FileTooLarge, "could not be read"),
    ] {
        let outcome = read_tokens(&mut Broken(kind), &[], &mut Listed::default());
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn deep_nesting_does_not_grow_the_stack() {
    for open in ["[", r#"[{"jti":"#, r#"[{"a":"#] {
        let (outcome, listed) = read_all(&open.repeat(200_000));
        assert!(outcome.is_err() && listed.entries.is_empty());
    }
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (outcome, listed) = read_all(&format!(
        r#"["a", {nested}, {{"x": {nested}, "jti": "b"}}]"#
    ));
    assert_eq!(outcome.unwrap().n_skipped(), 1);
    assert_eq!(listed.entries, ["jti=a", "jti=b"]);
}
