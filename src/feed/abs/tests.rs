//! The entries of valid bodies, and the errors of invalid ones.

use core::time::Duration;
use std::io;

use super::*;
use crate::feed::entries::Skipped;
use crate::identifier::ClientIdentifier;
use crate::identifier::IdentifierKind::{ApiKey, Cookie, Ip, OauthToken, Username};
use crate::identifier::listed::Unusable;
use crate::test_random::random_below;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const DOCUMENTED: &str = include_str!("../../../tests/fixtures/attack_list/documented.json");
const UNDER_ATTACKLIST: &str =
    include_str!("../../../tests/fixtures/attack_list/under_attacklist.json");
const BOTH_LEVELS: &str = include_str!("../../../tests/fixtures/attack_list/both_levels.json");
const OBJECTS: &str = include_str!("../../../tests/fixtures/attack_list/objects.json");
const API_KEYS_BY_NAME: &str =
    include_str!("../../../tests/fixtures/attack_list/api_keys_by_name.json");
const UNUSABLE: &str = include_str!("../../../tests/fixtures/attack_list/unusable.json");

/// Records entries; accepts `capacity` of them.
struct Listed {
    entries: Vec<String>,
    skipped: Vec<Skipped>,
    capacity: usize,
}

impl Listed {
    fn new(capacity: usize) -> Self {
        Listed {
            entries: Vec::new(),
            skipped: Vec::new(),
            capacity,
        }
    }

    fn record(&mut self, entry: String) -> bool {
        self.entries.push(entry);
        self.entries.len() <= self.capacity
    }
}

impl EntrySink for Listed {
    fn entry(&mut self, entry: ClientIdentifier<'_>, _: Option<Duration>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.record(match entry {
            ClientIdentifier::Ip(range) => format!("ip {range}"),
            ClientIdentifier::Cookie { name, value } => {
                format!("cookie {} {}", text(name), text(value))
            }
            ClientIdentifier::OauthToken(token) => format!("token {}", text(token)),
            ClientIdentifier::ApiKey(value) => format!("api_key {}", text(value)),
            ClientIdentifier::Username(name) => format!("username {}", text(name)),
            other => panic!("ABS lists no {}", other.kind().as_str()),
        })
    }

    fn skipped(&mut self, entry: Skipped) {
        self.skipped.push(entry);
    }
}

/// A body in pieces of `piece` bytes that ends with `failure`, if any.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
    failure: Option<io::ErrorKind>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.piece.min(self.rest.len()).min(buffer.len());
        if length == 0 {
            return self.failure.map_or(Ok(0), |kind| Err(kind.into()));
        }
        let (piece, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.rest = rest;
        Ok(length)
    }
}

fn read_all(mut body: &[u8]) -> (Result<EntryCounts, AttackListError>, Listed) {
    let mut listed = Listed::new(usize::MAX);
    let outcome = read_attack_list(&mut body, &mut listed);
    (outcome, listed)
}

#[track_caller]
fn check(body: &str, entries: &[&str], skipped: u64) {
    let (outcome, listed) = read_all(body.as_bytes());
    let counts = outcome.unwrap_or_else(|error| panic!("{body}: {error}"));
    assert_eq!(listed.entries, entries, "{body}");
    assert_eq!(counts.n_skipped(), skipped, "{body}");
    assert_eq!(listed.skipped.len() as u64, skipped, "{body}");
    assert_eq!(counts.n_entries(), entries.len() as u64 + skipped, "{body}");
}

/// Asserts that the body is rejected with an error that contains `words` and nothing secret.
#[track_caller]
fn check_refused(body: &str, words: &str) {
    let error = read_all(body.as_bytes()).0.unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains(words), "{body}: {shown}");
    for secret in ["A", "B", "SECRET"] {
        let shown = shown.replace("ABS", "").replace("API", "");
        assert!(!shown.contains(secret), "{body}: {shown}");
    }
}

#[test]
fn the_documented_shape_is_read() {
    check(
        DOCUMENTED,
        &[
            "ip 192.168.4.10/32",
            "ip 2001:db8::1/128",
            "cookie PHPSESSIONID Cookie1",
            "cookie PHPSESSIONID Cookie2",
            "cookie JSESSIONID Cookie3",
            "token Token1",
            "api_key api_key_1",
            "username username1",
        ],
        0,
    );
}

#[test]
fn the_keys_are_found_under_attacklist() {
    check(
        UNDER_ATTACKLIST,
        &["ip 192.168.4.10/32", "cookie PHPSESSIONID Cookie1"],
        0,
    );
}

#[test]
fn both_levels_and_repeated_keys_count() {
    check(
        BOTH_LEVELS,
        &[
            "username first",
            "username second",
            "ip 192.0.2.1/32",
            "username third",
        ],
        0,
    );
}

#[test]
fn entries_may_be_objects() {
    check(
        OBJECTS,
        &[
            "ip 192.0.2.1/32",
            "cookie PHPSESSIONID Cookie1",
            "token Token1",
            "token Token2",
            "token Token3",
            "api_key key1",
            "username Zo\u{eb} \u{1f600}",
        ],
        0,
    );
}

#[test]
fn api_keys_may_be_under_names() {
    check(
        API_KEYS_BY_NAME,
        &["api_key key1", "api_key key2", "api_key key3"],
        0,
    );
}

#[test]
fn unusable_entries_are_skipped_and_counted() {
    check(
        UNUSABLE,
        &[
            "ip 192.0.2.1/32",
            "cookie PHPSESSIONID good",
            "cookie PHPSESSIONID 7",
        ],
        18,
    );
    let (_, listed) = read_all(UNUSABLE.as_bytes());
    let of_ips: Vec<_> = listed
        .skipped
        .iter()
        .filter(|entry| entry.kind == Ip)
        .collect();
    assert_eq!(
        of_ips
            .iter()
            .map(|entry| entry.position)
            .collect::<Vec<_>>(),
        (2..=12).collect::<Vec<_>>()
    );
    assert_eq!(
        of_ips[0].to_string(),
        "entry 2 of ips: not an address or a CIDR range"
    );
    assert_eq!(
        of_ips[10].to_string(),
        "entry 12 of ips: of an unsupported type"
    );
}

#[test]
fn white_space_and_schemes_are_removed_from_values() {
    check(
        r#"{"ips": ["192.0.2.1\n", " 198.51.100.0/24\r\n"], "cookies": {" SID ": ["\tv ", " \"w\" "]},
            "oauth_tokens": ["T\n", "Bearer U", "bearer  V", {"token": "BEARER W "}],
            "api_keys": [" k\u00a0"], "usernames": ["\u3000bob\u0085"]}"#,
        &[
            "ip 192.0.2.1/32",
            "ip 198.51.100.0/24",
            "cookie SID v",
            "cookie SID w",
            "token T",
            "token U",
            "token V",
            "token W",
            "api_key k",
            "username bob",
        ],
        0,
    );
}

#[test]
fn numbers_are_read_as_their_text() {
    check(
        r#"{"cookies": {"S": [7]}, "oauth_tokens": [0, -5], "api_keys": [18446744073709551615, {"api_key": 1.5}],
            "usernames": [1001, 12345678901234567890123, 1.2345678901234567]}"#,
        &[
            "cookie S 7",
            "token 0",
            "token -5",
            "api_key 18446744073709551615",
            "api_key 1.5",
            "username 1001",
        ],
        2,
    );
}

#[test]
fn a_byte_order_mark_is_ignored() {
    check("\u{feff}{\"usernames\": [\"bob\"]}", &["username bob"], 0);
    check("\u{feff}\n{\"ips\": []}", &[], 0);
    for body in [
        "\u{feff}",
        "\u{feff}\u{feff}{\"ips\": []}",
        "{\"ips\": []}\u{feff}",
    ] {
        assert!(read_all(body.as_bytes()).0.is_err(), "{body:?}");
    }
}

#[test]
fn an_entry_that_no_request_could_match_is_skipped() {
    for (list, reason) in [
        (r#""cookies": {"S": ["x; y"]}"#, Unusable::Character),
        (r#""cookies": {"S": ["x\u0001y"]}"#, Unusable::Character),
        (r#""cookies": {"a=b": ["x"]}"#, Unusable::CookieName),
        (r#""oauth_tokens": ["x\ny"]"#, Unusable::Character),
        (r#""oauth_tokens": ["Bearer "]"#, Unusable::Scheme),
        (r#""api_keys": ["x\u0000y"]"#, Unusable::Character),
        (r#""api_keys": ["Basic"]"#, Unusable::Scheme),
        (r#""usernames": ["x\ry"]"#, Unusable::Character),
        (r#""usernames": [" \n"]"#, Unusable::Empty),
        (r#""ips": ["0.0.0.0"]"#, Unusable::UnspecifiedAddress),
    ] {
        let body = format!(r#"{{{list}, "usernames": ["bob"]}}"#);
        check(&body, &["username bob"], 1);
        assert_eq!(
            read_all(body.as_bytes()).1.skipped[0].reason,
            reason,
            "{body}"
        );
    }
}

#[test]
fn a_list_is_empty_only_if_it_is_well_formed_and_empty() {
    for body in [
        r#"{"ips": []}"#,
        r#"{"attacklist": {}}"#,
        r#"{"attacklist": null}"#,
        r#"{"attacklist": []}"#,
        r#"{"attacklist": {}, "message": "no attackers"}"#,
        r#"{"attacklist": {"ips": []}}"#,
        r#"{"ips": [], "cookies": {}, "oauth_tokens": [], "api_keys": {}, "usernames": []}"#,
        r#"{"cookies": [], "api_keys": null, "usernames": {}}"#,
        r#"{"cookies": {"S": []}, "api_keys": {"k": {}, "l": null}}"#,
    ] {
        check(body, &[], 0);
    }
    for key in ["ips", "cookies", "oauth_tokens", "api_keys", "usernames"] {
        for empty in ["null", "[]", "{}"] {
            check(&format!("{{\"{key}\": {empty}}}"), &[], 0);
        }
    }
}

#[test]
fn an_unexpected_shape_of_any_key_is_rejected() {
    for key in ["ips", "cookies", "oauth_tokens", "api_keys", "usernames"] {
        for (wrong, found) in [
            ("1", "a number"),
            ("-1.5", "a number"),
            ("true", "a boolean"),
            ("\"A,B\"", "a string"),
            ("\"\"", "a string"),
        ] {
            let message = format!("found {found} under {key}; expected ");
            check_refused(&format!("{{\"{key}\": {wrong}}}"), &message);
            check_refused(
                &format!(r#"{{"{key}": ["192.0.2.1"], "attacklist": {{"{key}": {wrong}}}}}"#)
                    .replace(
                        r#""cookies": ["192.0.2.1"]"#,
                        r#""cookies": {"S": ["SECRET"]}"#,
                    ),
                &message,
            );
        }
    }
    let others = r#""usernames": ["SECRET"]"#;
    for (list, message) in [
        (
            r#""ips": {"A": {}}"#,
            "found an object with 1 key under ips; expected a list of addresses",
        ),
        (
            r#""ips": {"A": ["192.0.2.1"], "B": []}"#,
            "found an object with 2 keys under ips",
        ),
        (
            r#""oauth_tokens": {"A": 1}"#,
            "found an object with 1 key under oauth_tokens",
        ),
        (
            r#""cookies": ["A", "B"]"#,
            "found a list under cookies; expected an object from a cookie's name",
        ),
        (r#""cookies": [{"A": ["B"]}]"#, "found a list under cookies"),
        (r#""cookies": [["A"]]"#, "found a list under cookies"),
        (
            r#""cookies": {"A": "B"}"#,
            "found a string under cookies, under a name; expected a list of values",
        ),
        (
            r#""cookies": {"A": {"B": []}}"#,
            "found an object with 1 key under cookies, under a name",
        ),
        (
            r#""api_keys": {"A": "B"}"#,
            "found a string under api_keys, under a name",
        ),
        (
            r#""attacklist": ["A"]"#,
            "found a list under attacklist; expected an object with the keys",
        ),
        (
            r#""attacklist": [{"ips": ["192.0.2.1"]}]"#,
            "found a list under attacklist",
        ),
        (r#""attacklist": "A""#, "found a string under attacklist"),
        (r#""attacklist": 3"#, "found a number under attacklist"),
        (
            r#""attacklist": {"total": 1, "items": ["A"]}"#,
            "found an object with 2 keys under attacklist",
        ),
    ] {
        check_refused(&format!("{{{list}}}"), message);
        check_refused(&format!("{{{others}, {list}}}"), message);
        check_refused(&format!("{{{list}, {others}}}"), message);
    }
}

#[test]
fn entries_of_an_unexpected_shape_are_rejected_if_none_of_their_kind_is_usable() {
    let others = r#""ips": ["192.0.2.1"]"#;
    for (list, kind) in [
        (r#""usernames": [{"value": "A"}]"#, Username),
        (r#""usernames": [{"value": "A"}, {"value": "B"}]"#, Username),
        (r#""usernames": [{}]"#, Username),
        (r#""oauth_tokens": [["A"]]"#, OauthToken),
        (r#""oauth_tokens": [{"token": {"A": "B"}}]"#, OauthToken),
        (r#""api_keys": [true]"#, ApiKey),
        (r#""api_keys": {"k": [{"key": "A"}]}"#, ApiKey),
        (r#""cookies": {"S": [{"value": "A"}]}"#, Cookie),
    ] {
        let (outcome, _) = read_all(format!("{{{others}, {list}}}").as_bytes());
        match outcome {
            Err(AttackListError::WrongEntries {
                kind: found,
                counts,
            }) => {
                assert_eq!(found, kind, "{list}");
                assert_eq!(counts.usable.ip, 1);
            }
            other => panic!("{list}: {other:?}"),
        }
        check_refused(&format!("{{{others}, {list}}}"), "(entry 1 of ");
        check_refused(&format!("{{{list}}}"), "can be used");
    }
    // A usable entry shows that the shape is right.
    check(
        r#"{"usernames": [{"value": "A"}, "bob"]}"#,
        &["username bob"],
        1,
    );
    // Values, not the shape: clients choose them, and must not be able to get a list rejected.
    check(
        r#"{"ips": ["192.0.2.1"], "usernames": ["a\nb", "", null]}"#,
        &["ip 192.0.2.1/32"],
        3,
    );
    check(
        r#"{"ips": ["unknown"], "usernames": ["bob"]}"#,
        &["username bob"],
        1,
    );
}

#[test]
fn a_body_without_one_usable_entry_is_rejected() {
    for (body, message) in [
        (
            r#"{"ips": ["A", "192.0.2.1:443"]}"#,
            "none of the entries of the attack list can be used: ips 2 of 2 \
             (entry 1 of ips: not an address or a CIDR range)",
        ),
        (
            r#"{"ips": ["A,B"]}"#,
            "none of the entries of the attack list can be used",
        ),
        (
            r#"{"ips": [{"value": "A"}]}"#,
            "none of the entries of the attack list can be used",
        ),
        (
            r#"{"ips": [1001, true, null]}"#,
            "none of the entries of the attack list can be used",
        ),
        (
            r#"{"usernames": [""], "oauth_tokens": ["A\nB"], "attacklist": {"ips": []}}"#,
            "oauth_tokens 1 of 1 (entry 1 of oauth_tokens: a character that no request can carry there), \
             usernames 1 of 1 (entry 1 of usernames: empty)",
        ),
    ] {
        check_refused(body, message);
    }
}

#[test]
fn a_body_without_the_five_keys_is_rejected() {
    for (body, found) in [
        ("{}", "an empty object"),
        ("[]", "a list"),
        (r#"["A\n"]"#, "a list"),
        (r#"[{"value": "A"}]"#, "a list"),
        ("null", "null"),
        ("1", "a number"),
        ("3", "a number"),
        ("true", "a boolean"),
        ("\"A,B\"", "a string"),
        (r#"{"message": "x"}"#, "an object with 1 key"),
        (
            r#"{"attacklist": {"message": "x"}}"#,
            "an object with 1 key under attacklist",
        ),
        (
            r#"{"attacklist": {"attacklist": {"ips": []}}}"#,
            "an object with 1 key under attacklist",
        ),
        (
            r#"{"message": "no permission", "IPS": ["192.0.2.1"]}"#,
            "an object with 2 keys",
        ),
        (r#"["ips", {"ips": ["192.0.2.1"]}]"#, "a list"),
        (
            r#"{"total": 2, "items": ["A", "B"]}"#,
            "an object with 2 keys",
        ),
        (
            r#"{"data": {"ips": ["192.0.2.1"]}, "next": "/page/2"}"#,
            "an object with 2 keys",
        ),
        (
            r#"{"_links": {"next": {"href": "A"}}, "_embedded": {}}"#,
            "an object with 2 keys",
        ),
    ] {
        let (outcome, listed) = read_all(body.as_bytes());
        assert!(
            matches!(outcome, Err(AttackListError::NoKnownKey { .. })),
            "{body}: {outcome:?}"
        );
        assert!(listed.entries.is_empty(), "{body}");
        check_refused(body, &format!("found {found}; check"));
    }
}

#[test]
fn a_truncated_body_is_never_a_list() {
    for body in [
        DOCUMENTED,
        UNDER_ATTACKLIST,
        BOTH_LEVELS,
        OBJECTS,
        API_KEYS_BY_NAME,
        UNUSABLE,
    ] {
        let whole = body.trim_end();
        for length in 0..whole.len() {
            let (outcome, _) = read_all(&whole.as_bytes()[..length]);
            assert_eq!(outcome, Err(AttackListError::Truncated), "{length}");
        }
        assert!(read_all(whole.as_bytes()).0.is_ok());
    }
}

#[test]
fn the_list_does_not_depend_on_the_size_of_reads() {
    let (_, expected) = read_all(OBJECTS.as_bytes());
    for piece in [1, 2, 3, 7, 64] {
        let mut listed = Listed::new(usize::MAX);
        let mut body = Pieces {
            rest: OBJECTS.as_bytes(),
            piece,
            failure: None,
        };
        read_attack_list(&mut body, &mut listed).unwrap();
        assert_eq!(listed.entries, expected.entries);
    }
}

#[test]
fn json_errors_have_a_position() {
    let table: &[(&[u8], usize, usize)] = &[
        (b"<html>not the API</html>", 1, 1),
        (b"{\"ips\": [\n\"192.0.2.1\",\n]}", 3, 1),
        (b"{'ips': []}", 1, 2),
        (b"{\"ips\": [\xff]}", 1, 10),
        (b"{\"ips\": [\"a\nb\"]}", 2, 0),
        (b"{\"ips\": [\"\\x\"]}", 1, 12),
        (b"{\"ips\" []}", 1, 8),
        (b"\x1f\x8b\x08\x00", 1, 1),
    ];
    for (body, line, column) in table {
        let (outcome, _) = read_all(body);
        match outcome {
            Err(AttackListError::NotJson {
                line: at_line,
                column: at_column,
                reason,
            }) => {
                assert_eq!((at_line, at_column), (*line, *column), "{body:?} {reason}");
                assert!(!reason.is_empty() && !reason.contains("line"), "{reason}");
            }
            other => panic!("{body:?}: {other:?}"),
        }
    }
}

#[test]
fn only_white_space_may_follow_the_json() {
    assert!(read_all(b"{\"ips\": []} \r\n\t").0.is_ok());
    for (body, column) in [("{\"ips\": []}x", 12), ("{\"ips\": []} {}", 13)] {
        assert_eq!(
            read_all(body.as_bytes()).0,
            Err(AttackListError::TrailingData { line: 1, column })
        );
    }
}

#[test]
fn an_empty_body_is_truncated() {
    for body in ["", " ", "\n\n"] {
        assert_eq!(read_all(body.as_bytes()).0, Err(AttackListError::Truncated));
    }
}

#[test]
fn a_full_sink_stops_the_reader() {
    let body = r#"{"ips": ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "usernames": ["bob"]}"#;
    let mut listed = Listed::new(1);
    assert_eq!(
        read_attack_list(&mut body.as_bytes(), &mut listed),
        Err(AttackListError::SinkFull)
    );
    assert_eq!(listed.entries, ["ip 192.0.2.1/32", "ip 192.0.2.2/32"]);
}

#[test]
fn read_errors_are_reported() {
    for length in [0, 1, 20, DOCUMENTED.trim_end().len()] {
        let mut body = Pieces {
            rest: &DOCUMENTED.as_bytes()[..length],
            piece: 5,
            failure: Some(io::ErrorKind::ConnectionReset),
        };
        assert_eq!(
            read_attack_list(&mut body, &mut Listed::new(usize::MAX)),
            Err(AttackListError::Read(io::ErrorKind::ConnectionReset))
        );
    }
}

#[test]
fn deep_nesting_does_not_grow_the_stack() {
    const DEPTH: usize = 200_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH));
        check(&format!("{{\"other\": {nested}, \"ips\": []}}"), &[], 0);
        check(
            &format!("{{\"ips\": [{nested}, \"192.0.2.1\"]}}"),
            &["ip 192.0.2.1/32"],
            1,
        );
        let (outcome, _) = read_all(format!("{{\"usernames\": [{nested}]}}").as_bytes());
        assert!(matches!(outcome, Err(AttackListError::NothingUsable(_))));
        let (outcome, _) = read_all(nested.as_bytes());
        assert!(matches!(outcome, Err(AttackListError::NoKnownKey { .. })));
        let (outcome, _) = read_all(open.repeat(DEPTH).as_bytes());
        assert_eq!(outcome, Err(AttackListError::Truncated));
    }
}

#[test]
fn invalid_text_makes_only_its_own_entry_unusable() {
    let body =
        b"{\"usernames\": [\"b\\ud83d\", \"c\\ude00\\ud83d\", \"d\xf0\x9f\", \"e\xeb\", \"bob\"]}";
    let (outcome, listed) = read_all(body);
    assert_eq!(outcome.unwrap().skipped.username, 4);
    assert_eq!(listed.entries, ["username bob"]);
    assert!(
        listed
            .skipped
            .iter()
            .all(|entry| entry.reason == Unusable::NotText)
    );
    // The replacement character itself is valid in a name.
    check(
        "{\"usernames\": [\"a\\u007f\", \"\u{fffd}\"]}",
        &["username a\u{7f}", "username \u{fffd}"],
        0,
    );
}

#[test]
fn long_values_are_read_completely() {
    let long = "x".repeat(1 << 20);
    check(
        &format!("{{\"usernames\": [\"{long}\"]}}"),
        &[&format!("username {long}")],
        0,
    );
}

#[test]
fn errors_never_quote_the_body() {
    for body in [
        "{\"usernames\": [\"hunter2\", hunter2]}",
        "{\"usernames\": [\"hunter2\"",
        "{\"usernames\": [\"hunter2\"]} hunter2",
        "{\"hunter2\": 1}",
        "hunter2",
    ] {
        let (outcome, _) = read_all(body.as_bytes());
        let error = outcome.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn changed_bytes_never_panic() {
    let mut next = random_below();
    let mut refused = 0;
    for _ in 0..5_000 {
        let mut body = UNUSABLE.as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(body.len());
            body[at] = u8::try_from(next(256)).unwrap();
        }
        refused += usize::from(read_all(&body).0.is_err());
    }
    assert!((1..5_000).contains(&refused), "{refused}");
}
