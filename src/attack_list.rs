//! ABS's attack list JSON, read as a stream into an [`EntrySink`]; the one file that knows its shape.
//!
//! No sample of ABS's answer to `GET /v4/abs/attacklist` is public, so every shape that its documentation hints at
//! is taken: the five keys at the top level or under `attacklist`, any of them missing or null, entries as strings
//! or as objects, API keys as a list or by name. What can't be used is skipped and counted. The body must be JSON
//! to its last byte, so that a part of a list is never taken for the whole.

use core::fmt;
use std::io::{self, Read};

use ipnet::IpNet;

use self::repair::Repaired;
use crate::byte_source::ByteSource;
use crate::identifier::{IdentifierKind, parse_range};
use crate::json::{self, BUFFER_BYTES, Events, Fault, JsonError, Scalar};

mod repair;

/// Takes the entries of an attack list, one by one, as they are read. Nothing is kept as a string on the way.
pub trait EntrySink {
    /// An address, or a range of them (a prefix shorter than the address; host bits are zero; IPv4-mapped IPv6
    /// is folded to IPv4). `false` ends the reading: the sink can take no more.
    fn ip(&mut self, range: IpNet) -> bool;
    /// A cookie's name and value (without enclosing double quotes).
    fn cookie(&mut self, name: &str, value: &str) -> bool;
    /// A bearer token.
    fn oauth_token(&mut self, token: &str) -> bool;
    /// An API key's value.
    fn api_key(&mut self, value: &str) -> bool;
    /// A user name.
    fn username(&mut self, name: &str) -> bool;
    /// An entry that can't be used.
    fn skipped(&mut self);
}

/// Why a body is not an attack list. Entries that went to the sink before the error must not be enforced.
///
/// No variant holds anything of the body's content but positions in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttackListError {
    /// The body is not JSON (an HTML page, for instance).
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, in bytes from 1.
        column: usize,
        /// What was expected there; one of a fixed set of texts.
        reason: &'static str,
    },
    /// The body ends inside its JSON value, or is empty.
    Truncated,
    /// Something follows the JSON value.
    TrailingData {
        /// Line of the first byte that does not belong, from 1.
        line: usize,
        /// Column of that byte, in bytes from 1.
        column: usize,
    },
    /// The body is JSON, but none of the five keys stands at the top level or under `attacklist`.
    NoKnownKey,
    /// The sink would take no more.
    SinkFull,
    /// The body could not be read.
    Read(io::ErrorKind),
}

impl fmt::Display for AttackListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttackListError::NotJson {
                line,
                column,
                reason,
            } => write!(
                f,
                "the attack list is not JSON: {reason} at line {line} column {column}; \
                 check that abs.cluster and abs.authority lead to ABS itself"
            ),
            AttackListError::Truncated => f.write_str(
                "the attack list ends before its JSON does; check for a proxy or a timeout that cuts it short",
            ),
            AttackListError::TrailingData { line, column } => write!(
                f,
                "the attack list goes on after its JSON at line {line} column {column}; \
                 one JSON object is expected"
            ),
            AttackListError::NoKnownKey => f.write_str(
                "the attack list holds none of the keys ips, cookies, oauth_tokens, api_keys and usernames, \
                 at the top level or under attacklist; check that ABS answered with its attack list",
            ),
            AttackListError::SinkFull => {
                f.write_str("the attack list has more entries than there is room for")
            }
            AttackListError::Read(io::ErrorKind::UnexpectedEof) => {
                f.write_str("the attack list could not be read: its compressed form ends early")
            }
            AttackListError::Read(io::ErrorKind::InvalidData) => {
                f.write_str("the attack list could not be read: its compressed form is damaged")
            }
            // In the module no other comes.
            AttackListError::Read(_) => f.write_str("the attack list could not be read"),
        }
    }
}

impl std::error::Error for AttackListError {}

impl From<JsonError> for AttackListError {
    fn from(error: JsonError) -> Self {
        let (line, column) = (error.line, error.column);
        match error.fault {
            Fault::Read(kind) => AttackListError::Read(kind),
            Fault::Truncated => AttackListError::Truncated,
            Fault::Trailing => AttackListError::TrailingData { line, column },
            Fault::Stopped => AttackListError::SinkFull,
            Fault::Syntax => AttackListError::NotJson {
                line,
                column,
                reason: error.reason,
            },
        }
    }
}

/// Reads a whole attack list and hands its entries to `sink`, in the order of the body.
///
/// ```json
/// {"ips": ["192.0.2.1", "198.51.100.0/24", {"ip": "2001:db8::1", "access_time": []}],
///  "cookies": {"PHPSESSIONID": ["Cookie1", {"cookie": "Cookie2"}]},
///  "oauth_tokens": ["Token1", {"access_token": "Token2"}],
///  "api_keys": ["key1", {"api_key": "key2"}],
///  "usernames": ["bob", {"username": "alice"}]}
/// ```
///
/// The same may stand under `attacklist`; if both do, both count, as do repeated keys. `api_keys` may also map names
/// to lists of values. Unknown keys are ignored. An entry that can't be used goes to [`EntrySink::skipped`]: an
/// address that does not parse, an empty string, a wrong type, a null. A key that has the wrong type as a whole
/// counts as one skipped entry; a null one as none. Bytes that are no UTF-8, and `\u` escapes that are half a
/// character, make the entry match nobody, but not the body unreadable.
///
/// However deeply the body nests, the stack does not grow. Memory is bounded by the longest string of the body.
///
/// # Errors
///
/// See [`AttackListError`]. Only with `Ok` is the list whole.
pub fn read_attack_list<R: Read>(
    mut body: R,
    sink: &mut dyn EntrySink,
) -> Result<(), AttackListError> {
    // Behind `dyn`, so that the parser is in the module once, whatever the bodies are.
    read(&mut body, sink)
}

fn read(body: &mut dyn ByteSource, sink: &mut dyn EntrySink) -> Result<(), AttackListError> {
    let mut reading = Reading {
        sink,
        place: Place::Top,
        open: Vec::new(),
        name: String::new(),
        known_key: false,
    };
    json::read(&mut Repaired::new(body), BUFFER_BYTES, &mut reading)?;
    match reading.known_key {
        true => Ok(()),
        false => Err(AttackListError::NoKnownKey),
    }
}

/// Where in the list a JSON value stands.
#[derive(Clone, Copy)]
enum Place {
    /// The whole body.
    Top,
    /// Under `attacklist`.
    Nested,
    /// Under one of the five keys.
    Key(IdentifierKind),
    /// Under a name, in a map from names to lists.
    Name(IdentifierKind),
    /// In a list of entries.
    Entry(IdentifierKind),
    /// Under the singular name, in an entry that is an object.
    Value(IdentifierKind),
    /// In a list of cookies: they stand under their names, and a list has none.
    Nameless,
}

/// A list or an object that has not ended.
struct Open {
    place: Place,
    is_object: bool,
    /// Something in it was of use, or of a list of cookies, there was something in it.
    found: bool,
}

struct Reading<'s> {
    sink: &'s mut dyn EntrySink,
    /// Where the next value stands.
    place: Place,
    open: Vec<Open>,
    /// The name over the values now being read, of a map from names to lists.
    name: String,
    /// One of the five keys was seen.
    known_key: bool,
}

impl Reading<'_> {
    /// `false`: the sink would take no more.
    fn take(&mut self, kind: IdentifierKind, value: &str) -> bool {
        let taken = match kind {
            IdentifierKind::Ip => parse_range(value).map(|range| self.sink.ip(range.trunc())),
            IdentifierKind::Cookie => {
                let value = unquote(value);
                (!value.is_empty() && !self.name.is_empty())
                    .then(|| self.sink.cookie(&self.name, value))
            }
            _ if value.is_empty() => None,
            IdentifierKind::OauthToken => Some(self.sink.oauth_token(value)),
            IdentifierKind::ApiKey => Some(self.sink.api_key(value)),
            IdentifierKind::Username => Some(self.sink.username(value)),
        };
        taken.unwrap_or_else(|| {
            self.sink.skipped();
            true
        })
    }

    /// A value that has the wrong type for its place.
    fn wrong_type(&mut self, place: Place) {
        match place {
            Place::Top | Place::Nested => (),
            Place::Key(_) | Place::Name(_) | Place::Entry(_) | Place::Value(_) => {
                self.sink.skipped();
            }
            Place::Nameless => self.note_found(),
        }
    }

    fn note_found(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.found = true;
        }
    }

    fn begin(&mut self, is_object: bool) {
        self.open.push(Open {
            place: self.place,
            is_object,
            found: false,
        });
    }
}

impl Events for Reading<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        match (self.place, value) {
            (Place::Entry(kind) | Place::Value(kind), Scalar::Text(text)) => {
                return self.take(kind, text);
            }
            (Place::Key(_) | Place::Name(_), Scalar::Null) => (),
            (place, _) => self.wrong_type(place),
        }
        true
    }

    fn begin_list(&mut self) -> bool {
        let inside = match self.place {
            // An empty one may be how ABS writes no cookies.
            Place::Key(IdentifierKind::Cookie) => Place::Nameless,
            Place::Key(kind) | Place::Name(kind) => Place::Entry(kind),
            place => {
                self.wrong_type(place);
                return false;
            }
        };
        self.begin(false);
        self.place = inside;
        true
    }

    fn begin_object(&mut self) -> bool {
        if let Place::Nameless = self.place {
            self.note_found();
            return false;
        }
        self.begin(true);
        true
    }

    fn key(&mut self, name: &str) -> bool {
        let Some(open) = self.open.last_mut() else {
            return false;
        };
        let place = match open.place {
            Place::Top if name == "attacklist" => Some(Place::Nested),
            Place::Top | Place::Nested => {
                let kind = kind_of_key(name);
                self.known_key |= kind.is_some();
                kind.map(Place::Key)
            }
            Place::Key(kind @ (IdentifierKind::Cookie | IdentifierKind::ApiKey)) => {
                self.name.clear();
                self.name.push_str(name);
                Some(Place::Name(kind))
            }
            Place::Entry(kind) => singular_names(kind)
                .contains(&name)
                .then_some(Place::Value(kind)),
            Place::Key(_) | Place::Name(_) | Place::Value(_) | Place::Nameless => None,
        };
        open.found |= place.is_some();
        self.place = place.unwrap_or(self.place);
        place.is_some()
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        self.place = open.place;
        let is_of_no_use = match open.place {
            // May be empty.
            Place::Key(IdentifierKind::Cookie) if !open.is_object => open.found,
            Place::Key(IdentifierKind::Cookie | IdentifierKind::ApiKey) => false,
            _ => open.is_object && !open.found,
        };
        if is_of_no_use {
            self.wrong_type(open.place);
        }
    }
}

fn unquote(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}

/// The five keys of the list.
fn kind_of_key(key: &str) -> Option<IdentifierKind> {
    match key {
        "ips" => Some(IdentifierKind::Ip),
        "cookies" => Some(IdentifierKind::Cookie),
        "oauth_tokens" => Some(IdentifierKind::OauthToken),
        "api_keys" => Some(IdentifierKind::ApiKey),
        "usernames" => Some(IdentifierKind::Username),
        _ => None,
    }
}

/// Under what an entry that is an object carries its value.
const fn singular_names(kind: IdentifierKind) -> &'static [&'static str] {
    match kind {
        IdentifierKind::Ip => &["ip"],
        IdentifierKind::Cookie => &["cookie"],
        IdentifierKind::OauthToken => &["access_token", "oauth_token", "token"],
        IdentifierKind::ApiKey => &["api_key"],
        IdentifierKind::Username => &["username"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const DOCUMENTED: &str = include_str!("../tests/fixtures/attack_list/documented.json");
    const UNDER_ATTACKLIST: &str =
        include_str!("../tests/fixtures/attack_list/under_attacklist.json");
    const BOTH_LEVELS: &str = include_str!("../tests/fixtures/attack_list/both_levels.json");
    const OBJECTS: &str = include_str!("../tests/fixtures/attack_list/objects.json");
    const API_KEYS_BY_NAME: &str =
        include_str!("../tests/fixtures/attack_list/api_keys_by_name.json");
    const UNUSABLE: &str = include_str!("../tests/fixtures/attack_list/unusable.json");

    /// Writes down what it gets, and is full after `room` entries.
    struct Listed {
        entries: Vec<String>,
        skipped: usize,
        room: usize,
    }

    impl Listed {
        fn new(room: usize) -> Self {
            Listed {
                entries: Vec::new(),
                skipped: 0,
                room,
            }
        }

        fn note(&mut self, entry: String) -> bool {
            self.entries.push(entry);
            self.entries.len() <= self.room
        }
    }

    impl EntrySink for Listed {
        fn ip(&mut self, range: IpNet) -> bool {
            self.note(format!("ip {range}"))
        }
        fn cookie(&mut self, name: &str, value: &str) -> bool {
            self.note(format!("cookie {name} {value}"))
        }
        fn oauth_token(&mut self, token: &str) -> bool {
            self.note(format!("token {token}"))
        }
        fn api_key(&mut self, value: &str) -> bool {
            self.note(format!("api_key {value}"))
        }
        fn username(&mut self, name: &str) -> bool {
            self.note(format!("username {name}"))
        }
        fn skipped(&mut self) {
            self.skipped += 1;
        }
    }

    /// A body that comes in pieces of `piece` bytes, then ends with `failure`, if any.
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

    fn read_all(body: &[u8]) -> (Result<(), AttackListError>, Listed) {
        let mut listed = Listed::new(usize::MAX);
        let outcome = read_attack_list(body, &mut listed);
        (outcome, listed)
    }

    #[track_caller]
    fn check(body: &str, entries: &[&str], skipped: usize) {
        let (outcome, listed) = read_all(body.as_bytes());
        assert_eq!(outcome, Ok(()), "{body}");
        assert_eq!(listed.entries, entries, "{body}");
        assert_eq!(listed.skipped, skipped, "{body}");
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
    fn api_keys_may_stand_under_names() {
        check(
            API_KEYS_BY_NAME,
            &["api_key key1", "api_key key2", "api_key key3"],
            0,
        );
    }

    #[test]
    fn unusable_entries_are_skipped_and_counted() {
        // 11 addresses, 4 cookies of a name, 1 without a name, 1 name without a list, and 4 keys of a wrong type.
        check(
            UNUSABLE,
            &["ip 192.0.2.1/32", "cookie PHPSESSIONID good"],
            21,
        );
    }

    #[test]
    fn every_wrong_type_of_a_key_counts_once_and_null_not_at_all() {
        for key in ["ips", "cookies", "oauth_tokens", "api_keys", "usernames"] {
            check(&format!("{{\"{key}\": null}}"), &[], 0);
            check(&format!("{{\"{key}\": []}}"), &[], 0);
            for wrong in ["1", "-1", "1.5", "true", "\"x\""] {
                check(&format!("{{\"{key}\": {wrong}}}"), &[], 1);
            }
        }
        check(r#"{"cookies": ["a", "b"]}"#, &[], 1);
        check(r#"{"ips": {"a": ["192.0.2.1"]}}"#, &[], 1);
        check(r#"{"cookies": {}, "api_keys": {}}"#, &[], 0);
        check(r#"{"cookies": {"a": {"b": []}}}"#, &[], 1);
    }

    #[test]
    fn a_body_without_the_five_keys_is_refused() {
        for body in [
            "{}",
            "[]",
            "null",
            "1",
            "\"ips\"",
            r#"{"attacklist": {}}"#,
            r#"{"attacklist": null}"#,
            r#"{"attacklist": ["ips"]}"#,
            r#"{"attacklist": {"attacklist": {"ips": []}}}"#,
            r#"{"message": "no permission", "IPS": ["192.0.2.1"]}"#,
            r#"["ips", {"ips": ["192.0.2.1"]}]"#,
        ] {
            let (outcome, listed) = read_all(body.as_bytes());
            assert_eq!(outcome, Err(AttackListError::NoKnownKey), "{body}");
            assert!(listed.entries.is_empty(), "{body}");
        }
    }

    #[test]
    fn a_body_cut_at_any_byte_is_never_a_list() {
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
            assert_eq!(read_all(whole.as_bytes()).0, Ok(()));
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_list() {
        let (_, expected) = read_all(OBJECTS.as_bytes());
        for piece in [1, 2, 3, 7, 64] {
            let mut listed = Listed::new(usize::MAX);
            let body = Pieces {
                rest: OBJECTS.as_bytes(),
                piece,
                failure: None,
            };
            assert_eq!(read_attack_list(body, &mut listed), Ok(()));
            assert_eq!(listed.entries, expected.entries);
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
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
    fn nothing_but_white_space_may_follow() {
        assert_eq!(read_all(b"{\"ips\": []} \r\n\t").0, Ok(()));
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
    fn a_full_sink_ends_the_reading() {
        let body = r#"{"ips": ["192.0.2.1", "192.0.2.2", "192.0.2.3"], "usernames": ["bob"]}"#;
        let mut listed = Listed::new(1);
        assert_eq!(
            read_attack_list(body.as_bytes(), &mut listed),
            Err(AttackListError::SinkFull)
        );
        assert_eq!(listed.entries, ["ip 192.0.2.1/32", "ip 192.0.2.2/32"]);
    }

    #[test]
    fn a_body_that_fails_says_how() {
        for length in [0, 1, 20, DOCUMENTED.trim_end().len()] {
            let body = Pieces {
                rest: &DOCUMENTED.as_bytes()[..length],
                piece: 5,
                failure: Some(io::ErrorKind::ConnectionReset),
            };
            assert_eq!(
                read_attack_list(body, &mut Listed::new(usize::MAX)),
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
            check(&format!("{{\"ips\": [{nested}]}}"), &[], 1);
            check(&format!("{{\"usernames\": {nested}}}"), &[], 1);
            let (outcome, _) = read_all(nested.as_bytes());
            assert_eq!(outcome, Err(AttackListError::NoKnownKey));
            let (outcome, _) = read_all(open.repeat(DEPTH).as_bytes());
            assert_eq!(outcome, Err(AttackListError::Truncated));
        }
    }

    #[test]
    fn halves_of_characters_harm_only_their_entry() {
        let body = b"{\"usernames\": [\"b\\ud83d\", \"c\\ude00\\ud83d\", \"d\xf0\x9f\", \"e\xeb\", \"bob\"]}";
        let (outcome, listed) = read_all(body);
        assert_eq!(outcome, Ok(()));
        assert_eq!(
            listed.entries,
            [
                "username b\u{fffd}",
                "username c\u{fffd}\u{fffd}",
                "username d\x7f\x7f",
                "username e\x7f",
                "username bob",
            ]
        );
    }

    #[test]
    fn long_values_are_read_whole() {
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
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 33).unwrap() % below
        };
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
}
