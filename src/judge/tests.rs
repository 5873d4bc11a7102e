use std::cell::Cell;
use std::net::IpAddr;

use super::*;
use crate::host::memory::{MemoryHost, MemoryRequest};
use crate::identifier::{ClientIdentifier, Fingerprint, FingerprintKey};
use crate::request::RequestBuffers;
use verdict::{DenyKind, DenyReason, ListOrigin};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);
const COOKIE: ClientIdentifier<'_> = ClientIdentifier::Cookie {
    name: b"S",
    value: b"listed",
};
const USER: ClientIdentifier<'_> = ClientIdentifier::Username(b"mallory");

/// A list with these identifiers; its filter excludes none. Counts exact look-ups.
struct FakeList<'a> {
    listed: &'a [ClientIdentifier<'a>],
    lookups: &'a Cell<u32>,
    is_stale: bool,
}

impl ActiveList for FakeList<'_> {
    fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn holds(&self, kind: IdentifierKind) -> bool {
        self.listed.iter().any(|listed| listed.kind() == kind)
    }

    fn contains_address(&self, _: IpAddr) -> bool {
        false
    }

    fn candidate(&self, identifier: ClientIdentifier<'_>) -> Option<Fingerprint> {
        Some(identifier.fingerprint(&KEY))
    }

    fn contains(&mut self, candidate: Fingerprint) -> bool {
        self.lookups.set(self.lookups.get() + 1);
        let mut listed = self.listed.iter();
        listed.any(|listed| listed.fingerprint(&KEY) == candidate)
    }
}

/// The verdict on a request from 192.0.2.1 with the cookie and the user above.
fn verdict_of(json: &str, list: Option<FakeList<'_>>) -> Verdict {
    let config = Config::parse(json.as_bytes(), &|_| None).unwrap();
    let policy = Policy::new(&config, KEY);
    let host = MemoryHost::default();
    host.set_request(MemoryRequest {
        source_address: b"192.0.2.1:4000".to_vec(),
        headers: vec![
            (b":authority".to_vec(), b"api.example.com".to_vec()),
            (b":path".to_vec(), b"/shop/cart".to_vec()),
            (b"cookie".to_vec(), b"S=listed".to_vec()),
            // mallory:x
            (b"authorization".to_vec(), b"Basic bWFsbG9yeTp4".to_vec()),
        ],
        ..MemoryRequest::default()
    });
    let mut buffers = RequestBuffers::default();
    let mut request = LazyRequest::new(&host, &[], &mut buffers);
    judge(&config, &policy, list, &mut request)
}

fn listing<'a>(listed: &'a [ClientIdentifier<'a>], lookups: &'a Cell<u32>) -> Option<FakeList<'a>> {
    Some(FakeList {
        listed,
        lookups,
        is_stale: false,
    })
}

fn reason(origin: ListOrigin, kind: DenyKind) -> DenyReason {
    DenyReason { origin, kind }
}

#[test]
fn judging_follows_the_documented_order() {
    use IdentifierKind::{Cookie, Ip};
    let allow = r#""allow_list": {"ips": ["192.0.2.1"]}"#;
    let deny = r#""deny_list": {"ips": ["192.0.2.1"]}"#;
    let off = r#""enable_firewall": false"#;
    let api = |keys: &str| format!(r#""apis": [{{"api_id": "shop", "url": "/shop", {keys}}}]"#);
    let quiet = api(r#""enable_blocking": false"#);
    let shadow = api(r#""mode": "shadow""#);
    let both = api(r#""enable_blocking": false, "mode": "shadow""#);
    let manual = reason(ListOrigin::Manual, DenyKind::Listed(Ip));
    let feed = reason(ListOrigin::Abs, DenyKind::Listed(Cookie));
    let none: &[&str] = &[];
    // Keys of the configuration, whether the feed's list has the cookie, the verdict.
    let table = [
        (none, false, Verdict::Allow),
        (&[off, allow, deny], true, Verdict::Allow),
        (&[allow, deny], true, Verdict::AllowListed),
        (&[allow, deny, &shadow], true, Verdict::AllowListed),
        (&[deny], true, Verdict::Deny(manual)),
        (&[deny, &quiet], true, Verdict::Deny(manual)),
        (&[deny, &both], false, Verdict::WouldDeny(manual)),
        (&[&quiet], true, Verdict::Allow),
        (none, true, Verdict::Deny(feed)),
        (&[&shadow], true, Verdict::WouldDeny(feed)),
    ];
    for (keys, is_listed, expected) in table {
        let json = format!("{{{}}}", keys.join(", "));
        let listed: &[_] = if is_listed { &[COOKIE] } else { &[] };
        let lookups = Cell::new(0);
        let verdict = verdict_of(&json, listing(listed, &lookups));
        assert_eq!(verdict, expected, "{json} {is_listed}");
        let decides = matches!(expected, Verdict::Deny(it) | Verdict::WouldDeny(it) if it == feed);
        assert_eq!(lookups.get() > 0, decides, "exact look-ups: {json}");
    }
}

#[test]
fn the_first_of_several_kinds_counts() {
    let lookups = Cell::new(0);
    let verdict = verdict_of("{}", listing(&[USER, COOKIE], &lookups));
    let expected = reason(ListOrigin::Abs, DenyKind::Listed(IdentifierKind::Cookie));
    assert_eq!(verdict, Verdict::Deny(expected));
    assert_eq!(lookups.get(), 1);
    let deny = r#"{"deny_list": {"usernames": ["mallory"], "cookies": {"S": ["listed"]}}}"#;
    let expected = reason(ListOrigin::Manual, DenyKind::Listed(IdentifierKind::Cookie));
    assert_eq!(verdict_of(deny, None), Verdict::Deny(expected));
}

#[test]
fn before_first_list_and_when_stale_apply() {
    let lookups = Cell::new(0);
    let no_list = reason(ListOrigin::Abs, DenyKind::NoList);
    let fetches = r#""enable_abs_attack": true, "abs": {"cluster": "abs"}"#;
    let deny = format!(r#"{{{fetches}, "before_first_list": "deny"}}"#);
    assert_eq!(verdict_of(&deny, None), Verdict::Deny(no_list));
    assert_eq!(verdict_of(&format!("{{{fetches}}}"), None), Verdict::Allow);
    let without_feed = r#"{"before_first_list": "deny"}"#;
    assert_eq!(verdict_of(without_feed, None), Verdict::Allow);
    let stale = || {
        listing(&[COOKIE], &lookups).map(|list| FakeList {
            is_stale: true,
            ..list
        })
    };
    let listed = reason(ListOrigin::Abs, DenyKind::Listed(IdentifierKind::Cookie));
    assert_eq!(verdict_of("{}", stale()), Verdict::Deny(listed));
    // A stale list is not missing.
    let drop =
        r#"{"when_stale": "drop", "attack_list_max_age": "1h", "before_first_list": "deny"}"#;
    assert_eq!(verdict_of(drop, stale()), Verdict::Allow);
}

#[test]
fn only_entries_of_a_feed_count_for_the_breaker() {
    let listed = DenyKind::Listed(IdentifierKind::Ip);
    for (origin, kind, expected) in [
        (ListOrigin::Abs, listed, true),
        (ListOrigin::Abs, DenyKind::NoList, false),
        (ListOrigin::Manual, listed, false),
    ] {
        let reason = reason(origin, kind);
        assert_eq!(Verdict::Deny(reason).is_of_feed_entry(), expected);
        assert_eq!(Verdict::WouldDeny(reason).is_of_feed_entry(), expected);
    }
}
