//! Which decisions are entries, and which bodies are lists.

use core::time::Duration;
use std::io;

use super::*;
use crate::codec::json::ErrorKind;
use crate::feed::entries::Skipped;
use crate::feed::scalar::Shape;
use crate::identifier::ClientIdentifier;
use crate::identifier::IdentifierKind::{Cookie, Header, Ip, Username};
use crate::identifier::listed::Unusable;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// As the local API of CrowdSec 1.4 writes it.
const STREAM: &str = include_str!("../../../tests/fixtures/feeds/crowdsec_stream.json");

/// Keeps what it receives, and is full after `room` entries.
#[derive(Default)]
struct Listed {
    entries: Vec<String>,
    skipped: Vec<Skipped>,
    ignored: usize,
    room: Option<usize>,
}

fn shown(entry: ClientIdentifier<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match entry {
        ClientIdentifier::Ip(range) => format!("ip {range}"),
        ClientIdentifier::Cookie { name, value } => {
            format!("cookie {} {}", text(name), text(value))
        }
        ClientIdentifier::Username(name) => format!("username {}", text(name)),
        ClientIdentifier::Header { name, value } => format!("header {name} {}", text(value)),
        _ => panic!("no scope is of this kind"),
    }
}

impl EntrySink for Listed {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool {
        let time = time_to_live.map_or(String::new(), |time| format!(" for {time:?}"));
        self.entries.push(shown(entry) + &time);
        self.room.is_none_or(|room| self.entries.len() <= room)
    }

    fn skipped(&mut self, entry: Skipped) {
        self.skipped.push(entry);
    }

    fn ignored(&mut self) {
        self.ignored += 1;
    }
}

/// Every option in use.
fn read_into(mut body: &[u8], listed: &mut Listed) -> Result<DecisionCounts, DecisionsError> {
    let header = |scope: &str, header: &str| (scope.to_owned(), header.to_owned());
    let options = DecisionOptions {
        types: &["ban".to_owned(), "throttle".to_owned()],
        session_cookie: Some("SID"),
        scope_headers: &[header("Country", "cf-ipcountry"), header("AS", "cf-asn")],
    };
    read_decisions(&mut body, &options, listed)
}

fn read_all(body: &str) -> (Result<DecisionCounts, DecisionsError>, Listed) {
    let mut listed = Listed::default();
    let outcome = read_into(body.as_bytes(), &mut listed);
    (outcome, listed)
}

/// One decision after one that is usable.
#[track_caller]
fn check(decision: &str, entry: &str) {
    let body = format!(r#"{{"new": [{GOOD}, {decision}], "deleted": []}}"#);
    let (outcome, listed) = read_all(&body);
    let counts = outcome.unwrap_or_else(|error| panic!("{decision}: {error}"));
    assert_eq!(listed.entries, ["ip 192.0.2.99/32", entry], "{decision}");
    assert_eq!(counts.entries.n_skipped(), 0, "{decision}");
}

#[track_caller]
fn check_skipped(decision: &str, kind: crate::identifier::IdentifierKind, reason: Unusable) {
    let body = format!(r#"{{"new": [{GOOD}, {decision}], "deleted": []}}"#);
    let (outcome, listed) = read_all(&body);
    let counts = outcome.unwrap_or_else(|error| panic!("{decision}: {error}"));
    assert_eq!(listed.entries, ["ip 192.0.2.99/32"], "{decision}");
    let found: Vec<_> = listed
        .skipped
        .iter()
        .map(|entry| (entry.kind, entry.reason))
        .collect();
    assert_eq!(found, [(kind, reason)], "{decision}");
    assert_eq!(counts.entries.n_skipped(), 1, "{decision}");
}

#[track_caller]
fn check_refused(body: &str, words: &str) -> DecisionsError {
    let error = read_all(body).0.unwrap_err();
    let message = error.to_string();
    assert!(message.contains(words), "{body}: {message}");
    assert!(!message.contains("SECRET"), "{body}: {message}");
    error
}

const GOOD: &str = r#"{"scope": "Ip", "type": "ban", "value": "192.0.2.99"}"#;

#[test]
fn the_stream_of_the_local_api_is_read() {
    let (outcome, listed) = read_all(STREAM);
    assert_eq!(
        listed.entries,
        [
            "ip 192.0.2.1/32 for 14279s",
            "ip 2001:db8::1/128 for 598.838253176s",
            "ip 198.51.100.0/24 for 240s",
            "username bob for 3599s",
            "cookie SID abc for 3599s",
            "header cf-ipcountry XX for 3599s",
            "header cf-asn 64496 for 3599s",
        ]
    );
    let counts = outcome.unwrap();
    assert_eq!(counts.entries.usable.ip, 3);
    assert_eq!(counts.entries.usable.username, 1);
    assert_eq!(counts.entries.usable.cookie, 1);
    assert_eq!(counts.entries.n_skipped(), 0);
    assert_eq!(counts.entries.usable.header, 2);
    assert_eq!(
        (counts.unknown_scope, counts.other_type, counts.expired),
        (1, 2, 1)
    );
    // These four, and the two that are deleted.
    assert_eq!(listed.ignored, 6);
}

#[test]
fn scopes_types_and_values_are_read_in_every_common_form() {
    let table = [
        (
            r#"{"scope": "ip", "type": "BAN", "value": " 192.0.2.1 "}"#,
            "ip 192.0.2.1/32",
        ),
        (
            r#"{"scope": "IP", "type": "throttle", "value": "192.0.2.1"}"#,
            "ip 192.0.2.1/32",
        ),
        (
            r#"{"scope": "Range", "type": "ban", "value": "192.0.2.9/24"}"#,
            "ip 192.0.2.0/24",
        ),
        (
            r#"{"scope": "range", "type": "ban", "value": "2001:db8::/32"}"#,
            "ip 2001:db8::/32",
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": "::ffff:192.0.2.1"}"#,
            "ip 192.0.2.1/32",
        ),
        (
            r#"{"scope": "Username", "type": "ban", "value": "Zo\u00eb"}"#,
            "username Zo\u{eb}",
        ),
        (
            r#"{"scope": "session", "type": "ban", "value": "\"v\""}"#,
            "cookie SID v",
        ),
        (
            r#"{"scope": "as", "type": "ban", "value": 64496}"#,
            "header cf-asn 64496",
        ),
        (
            r#"{"scope": "country", "type": "ban", "value": "xx"}"#,
            "header cf-ipcountry xx",
        ),
        (
            r#"{"value": "192.0.2.1", "duration": "1h", "x": [{"value": "y"}], "type": "ban", "scope": "Ip"}"#,
            "ip 192.0.2.1/32 for 3600s",
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": "192.0.2.1", "duration": null, "simulated": false}"#,
            "ip 192.0.2.1/32",
        ),
    ];
    for (decision, entry) in table {
        check(decision, entry);
    }
}

#[test]
fn unusable_decisions_are_skipped_and_counted() {
    use Unusable::{Character, Empty, NotAnAddress, UnspecifiedAddress, WrongType};
    let table = [
        ("null", Ip, WrongType),
        (r#""192.0.2.1""#, Ip, WrongType),
        (r#"["192.0.2.1"]"#, Ip, WrongType),
        ("{}", Ip, WrongType),
        (r#"{"value": "192.0.2.1", "type": "ban"}"#, Ip, WrongType),
        (r#"{"value": "192.0.2.1", "scope": "Ip"}"#, Ip, WrongType),
        (r#"{"scope": "Ip", "type": "ban"}"#, Ip, NotAnAddress),
        (
            r#"{"scope": "Ip", "type": "ban", "value": ["192.0.2.1"]}"#,
            Ip,
            WrongType,
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": {"value": "192.0.2.1"}}"#,
            Ip,
            WrongType,
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": true}"#,
            Ip,
            WrongType,
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": "bob"}"#,
            Ip,
            NotAnAddress,
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": "0.0.0.0"}"#,
            Ip,
            UnspecifiedAddress,
        ),
        (
            r#"{"scope": "username", "type": "ban", "value": " "}"#,
            Username,
            Empty,
        ),
        (
            r#"{"scope": "session", "type": "ban", "value": "a;b"}"#,
            Cookie,
            Character,
        ),
        (
            r#"{"scope": "Country", "type": "ban", "value": ""}"#,
            Header,
            Empty,
        ),
        (
            r#"{"scope": "Country", "type": "ban", "value": "a\nb"}"#,
            Header,
            Character,
        ),
        (
            r#"{"scope": "AS", "type": "ban", "value": null}"#,
            Header,
            Empty,
        ),
        (
            r#"{"scope": "AS", "type": "ban", "value": {}}"#,
            Header,
            WrongType,
        ),
        (
            r#"{"scope": "username", "type": "ban", "value": "bob", "duration": "soon"}"#,
            Username,
            Unusable::Duration,
        ),
        (
            r#"{"scope": "Ip", "type": "ban", "value": "192.0.2.1", "duration": 60}"#,
            Ip,
            Unusable::Duration,
        ),
    ];
    for (decision, kind, reason) in table {
        check_skipped(decision, kind, reason);
    }
}

#[test]
fn null_and_empty_lists_are_empty() {
    for body in [
        r#"{"new": null, "deleted": null}"#,
        r#"{"new": [], "deleted": []}"#,
        r#"{"deleted": [{"scope": "Ip", "type": "ban", "value": "192.0.2.1"}], "new": []}"#,
        r#"{"deleted": [null, 1, []], "new": []}"#,
        r#"{"deleted": {"a": []}, "new": []}"#,
        r#"{"new": null}"#,
    ] {
        let (outcome, listed) = read_all(body);
        assert_eq!(outcome, Ok(DecisionCounts::default()), "{body}");
        assert!(
            listed.entries.is_empty() && listed.skipped.is_empty(),
            "{body}"
        );
    }
}

#[test]
fn what_no_option_names_is_counted_and_not_fatal() {
    let body = r#"{"new": [
        {"scope": "username", "type": "ban", "value": "bob"},
        {"scope": "session", "type": "ban", "value": "abc"},
        {"scope": "Country", "type": "ban", "value": "XX"},
        {"scope": "Ip", "type": "captcha", "value": "192.0.2.1"},
        {"scope": "Ip", "type": "ban", "value": "192.0.2.1", "simulated": true}], "deleted": []}"#;
    let options = DecisionOptions {
        types: &[DEFAULT_TYPE.to_owned()],
        session_cookie: None,
        scope_headers: &[],
    };
    let mut listed = Listed::default();
    let counts = read_decisions(&mut body.as_bytes(), &options, &mut listed).unwrap();
    assert_eq!(listed.entries, ["username bob"]);
    assert_eq!((counts.unknown_scope, counts.other_type), (2, 2));
    // A mapping to a header is stronger than the scope's own meaning.
    let options = DecisionOptions {
        scope_headers: &[("username".to_owned(), "x-user".to_owned())],
        ..options
    };
    let mut listed = Listed::default();
    read_decisions(&mut body.as_bytes(), &options, &mut listed).unwrap();
    assert_eq!(listed.entries, ["header x-user bob"]);
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let table = [
        (
            "<html>SECRET</html>",
            "not JSON: expected value at line 1 column 1; check",
        ),
        ("", "empty or end before"),
        (
            r#"{"new": [{"value": "SECRET"#,
            "end before their JSON does",
        ),
        (
            r#"{"new": []} x"#,
            "go on after their JSON at line 1 column 13",
        ),
        (r#"{"new": [1,]}"#, "not JSON"),
        ("null", "found null"),
        ("[]", "found a list"),
        (r#"[{"scope": "Ip", "value": "SECRET"}]"#, "found a list"),
        (r#""SECRET""#, "found a string"),
        ("{}", "found an empty object"),
        (r#"{"message": "SECRET"}"#, "found an object with 1 key"),
        (r#"{"deleted": null}"#, "found an object with 1 key"),
        (
            r#"{"data": {"new": []}, "x": 1}"#,
            "found an object with 2 keys",
        ),
        (
            r#"{"new": {"SECRET": 1}, "deleted": []}"#,
            "a list under new, found an object",
        ),
        (r#"{"new": "SECRET"}"#, "a list under new, found a string"),
        (
            r#"{"new": false, "deleted": [1]}"#,
            "a list under new, found a boolean",
        ),
        (
            r#"{"new": ["SECRET", {}]}"#,
            "none of the decisions can be used: ips 2 of 2 (entry 1 of ips: of an unsupported type)",
        ),
    ];
    for (body, words) in table {
        check_refused(body, words);
    }
    let error = check_refused(r#"{"new": {}}"#, "");
    assert_eq!(error, DecisionsError::WrongShape(Shape::SomeObject));
}

#[test]
fn a_body_cut_at_any_byte_is_never_a_list() {
    let text = STREAM.trim_end();
    for cut in 0..text.len() {
        let outcome = read_into(&text.as_bytes()[..cut], &mut Listed::default());
        let Err(DecisionsError::Json(error)) = outcome else {
            panic!("cut at {cut}: {outcome:?}");
        };
        assert_eq!(error.kind, ErrorKind::Truncated, "{cut}");
    }
}

#[test]
fn a_full_sink_ends_the_list() {
    for room in 0..7 {
        let mut listed = Listed {
            room: Some(room),
            ..Listed::default()
        };
        let outcome = read_into(STREAM.as_bytes(), &mut listed);
        assert_eq!(outcome, Err(DecisionsError::SinkFull), "{room}");
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
    let options = DecisionOptions {
        types: &[],
        session_cookie: None,
        scope_headers: &[],
    };
    for (kind, words) in [
        (io::ErrorKind::UnexpectedEof, "ends early"),
        (io::ErrorKind::InvalidData, "damaged"),
        (io::ErrorKind::FileTooLarge, "could not be read"),
    ] {
        let outcome = read_decisions(&mut Broken(kind), &options, &mut Listed::default());
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn deep_nesting_does_not_grow_the_stack() {
    for open in ["[", r#"{"new":"#, r#"{"a":"#] {
        check_refused(&open.repeat(200_000), "");
    }
    let ignored = format!(
        r#"{{"a": {}{}, "new": []}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(read_all(&ignored).0.is_ok());
}
