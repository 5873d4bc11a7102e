use std::cell::Cell;
use std::net::IpAddr;

use super::*;
use crate::host::memory::{MemoryHost, MemoryRequest};
use crate::identifier::{ClientIdentifier, Fingerprint, FingerprintKey, IdentifierKind};
use crate::request::RequestBuffers;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);
const COOKIE: ClientIdentifier<'_> = ClientIdentifier::Cookie {
    name: b"S",
    value: b"listed",
};
const USER: ClientIdentifier<'_> = ClientIdentifier::Username(b"mallory");

/// A list that may contain everything, contains these identifiers, and counts the exact look-ups.
struct FakeList<'a> {
    listed: &'a [ClientIdentifier<'a>],
    lookups: &'a Cell<u32>,
    is_stale: bool,
}

impl ActiveList for FakeList<'_> {
    const LOOKS_UP_TOGETHER: bool = true;

    fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn kinds(&self) -> PerKind<bool> {
        let mut kinds = PerKind::default();
        for listed in self.listed {
            *kinds.get_mut(listed.kind()) = true;
        }
        kinds
    }

    fn contains_address(&self, _: IpAddr) -> bool {
        false
    }

    fn key(&self) -> &FingerprintKey {
        &KEY
    }

    fn may_contain(&self, _: Fingerprint) -> bool {
        true
    }

    fn contains(&mut self, fingerprint: Fingerprint) -> bool {
        self.lookups.set(self.lookups.get() + 1);
        let mut listed = self.listed.iter();
        listed.any(|listed| listed.fingerprint(&KEY) == fingerprint)
    }
}

/// The list of one feed: its entries, or `None` before the first list.
type Entries<'a> = Option<&'a [ClientIdentifier<'a>]>;

/// The verdict on a request from 192.0.2.1 with the cookie and the user above, and the number of exact look-ups. `keys`:
/// those of the configuration; `lists`: of its feeds, in order.
fn judged(keys: &[&str], lists: &[Entries<'_>], is_stale: bool) -> (Verdict, u32) {
    let json = format!("{{{}}}", keys.join(", "));
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
    let lookups = Cell::new(0);
    let feeds = config.all_feeds();
    assert_eq!(feeds.len(), lists.len(), "{json}");
    let policies: Vec<FeedPolicy> = feeds.iter().map(FeedPolicy::new).collect();
    let feeds = feeds.iter().zip(&policies).zip(lists);
    let mut feeds: Vec<_> = feeds
        .map(|((feed, policy), listed)| FeedList {
            feed,
            policy,
            list: listed.map(|listed| FakeList {
                listed,
                lookups: &lookups,
                is_stale,
            }),
        })
        .collect();
    let mut buffers = RequestBuffers::default();
    let mut request = LazyRequest::new(&host, &[], &mut buffers);
    let verdict = judge(&config, &policy, &mut feeds, &Route::NONE, &mut request);
    (verdict, lookups.get())
}

const ABS: &str = r#""enable_abs_attack": true, "abs": {"cluster": "abs"}"#;

fn of_feed(name: &str, kind: DenyKind) -> DenyReason {
    DenyReason {
        origin: ListOrigin::Feed(name.into()),
        kind,
    }
}

fn manual(kind: IdentifierKind) -> DenyReason {
    DenyReason {
        origin: ListOrigin::Manual,
        kind: DenyKind::Listed(kind),
    }
}

#[test]
fn the_order_is_that_of_the_contract() {
    use IdentifierKind::{Cookie, Ip};
    let allow = r#""allow_list": {"ips": ["192.0.2.1"]}"#;
    let deny = r#""deny_list": {"ips": ["192.0.2.1"]}"#;
    let off = r#""enable_firewall": false"#;
    let api = |keys: &str| format!(r#""apis": [{{"api_id": "shop", "url": "/shop", {keys}}}]"#);
    let quiet = api(r#""enable_blocking": false"#);
    let shadow = api(r#""mode": "shadow""#);
    let both = api(r#""enable_blocking": false, "mode": "shadow""#);
    let none_of_abs = api(r#""feeds": []"#);
    let of_abs = api(r#""feeds": ["abs"]"#);
    let feed = of_feed("abs", DenyKind::Listed(Cookie));
    let none: &[&str] = &[];
    // Keys of the configuration, whether ABS's list has the cookie, the verdict.
    let table = [
        (none, false, Verdict::Allow),
        (&[off, allow, deny], true, Verdict::Allow),
        (&[allow, deny], true, Verdict::AllowListed),
        (&[allow, deny, &shadow], true, Verdict::AllowListed),
        (&[deny], true, Verdict::Deny(manual(Ip))),
        (&[deny, &quiet], true, Verdict::Deny(manual(Ip))),
        (&[deny, &both], false, Verdict::WouldDeny(manual(Ip))),
        (&[&quiet], true, Verdict::Allow),
        (&[&none_of_abs], true, Verdict::Allow),
        (&[&of_abs], true, Verdict::Deny(feed.clone())),
        (none, true, Verdict::Deny(feed.clone())),
        (&[&shadow], true, Verdict::WouldDeny(feed.clone())),
    ];
    for (keys, is_listed, expected) in table {
        let listed: &[_] = if is_listed { &[COOKIE] } else { &[] };
        let keys = [&[ABS], keys].concat();
        let (verdict, lookups) = judged(&keys, &[Some(listed)], false);
        assert_eq!(verdict, expected, "{keys:?} {is_listed}");
        let decides = match &expected {
            Verdict::Deny(reason) | Verdict::WouldDeny(reason) => *reason == feed,
            Verdict::Allow | Verdict::AllowListed => false,
        };
        assert_eq!(lookups > 0, decides, "exact look-ups: {keys:?}");
    }
}

#[test]
fn of_several_kinds_the_first_counts() {
    let (verdict, lookups) = judged(&[ABS], &[Some(&[USER, COOKIE])], false);
    let expected = of_feed("abs", DenyKind::Listed(IdentifierKind::Cookie));
    assert_eq!(verdict, Verdict::Deny(expected));
    assert_eq!(lookups, 1);
    let deny = r#""deny_list": {"usernames": ["mallory"], "cookies": {"S": ["listed"]}}"#;
    let (verdict, _) = judged(&[deny], &[], false);
    assert_eq!(verdict, Verdict::Deny(manual(IdentifierKind::Cookie)));
}

#[test]
fn a_missing_or_a_stale_list_is_judged_by_its_rule() {
    let deny = r#""before_first_list": "deny""#;
    let no_list = Verdict::Deny(of_feed("abs", DenyKind::NoList));
    assert_eq!(judged(&[ABS, deny], &[None], false).0, no_list);
    assert_eq!(judged(&[deny], &[], false).0, Verdict::Allow);
    assert_eq!(judged(&[ABS], &[None], false).0, Verdict::Allow);
    let listed = of_feed("abs", DenyKind::Listed(IdentifierKind::Cookie));
    let list: &[Entries<'_>] = &[Some(&[COOKIE])];
    assert_eq!(judged(&[ABS], list, true).0, Verdict::Deny(listed.clone()));
    let drop = r#""when_stale": "drop", "attack_list_max_age": "1h""#;
    assert_eq!(judged(&[ABS, drop], list, false).0, Verdict::Deny(listed));
    // A stale list is not a missing one.
    assert_eq!(judged(&[ABS, drop, deny], list, true).0, Verdict::Allow);
}

#[test]
fn of_several_feeds_the_first_that_denies_is_reported() {
    let feed = |name: &str, keys: &str| {
        format!(
            r#"{{"name": "{name}", "format": "text", "cluster": "lists", "path": "/{name}"{keys}}}"#
        )
    };
    let shadow = r#", "mode": "shadow""#;
    let needed = r#", "before_first_list": "deny""#;
    let cookie = |name| of_feed(name, DenyKind::Listed(IdentifierKind::Cookie));
    let user = |name| of_feed(name, DenyKind::Listed(IdentifierKind::Username));
    let (yes, no): (Entries<'_>, Entries<'_>) = (Some(&[COOKIE]), Some(&[]));
    let of_user: Entries<'_> = Some(&[USER]);
    // Keys of the feeds one and two, their lists, the verdict.
    let table = [
        ("", "", [no, no], Verdict::Allow),
        ("", "", [yes, yes], Verdict::Deny(cookie("one"))),
        ("", "", [of_user, yes], Verdict::Deny(user("one"))),
        ("", "", [no, yes], Verdict::Deny(cookie("two"))),
        (shadow, "", [yes, no], Verdict::WouldDeny(cookie("one"))),
        (shadow, "", [yes, yes], Verdict::Deny(cookie("two"))),
        (
            shadow,
            shadow,
            [yes, yes],
            Verdict::WouldDeny(cookie("one")),
        ),
        (
            needed,
            "",
            [None, yes],
            Verdict::Deny(of_feed("one", DenyKind::NoList)),
        ),
        (
            "",
            needed,
            [no, None],
            Verdict::Deny(of_feed("two", DenyKind::NoList)),
        ),
        ("", needed, [yes, None], Verdict::Deny(cookie("one"))),
    ];
    for (one, two, lists, expected) in table {
        let feeds = format!(r#""feeds": [{}, {}]"#, feed("one", one), feed("two", two));
        assert_eq!(judged(&[&feeds], &lists, false).0, expected, "{feeds}");
        // An allow list has precedence over every feed.
        let allow = r#""allow_list": {"cookies": {"S": ["listed"]}}"#;
        let verdict = judged(&[&feeds, allow], &lists, false).0;
        assert_eq!(verdict, Verdict::AllowListed, "{feeds}");
    }
}

#[test]
fn only_entries_of_a_feed_count_for_its_breaker() {
    let listed = DenyKind::Listed(IdentifierKind::Ip);
    for (reason, expected) in [
        (of_feed("abs", listed), true),
        (of_feed("abs", DenyKind::NoList), false),
        (of_feed("drop", listed), false),
        (manual(IdentifierKind::Ip), false),
    ] {
        assert_eq!(Verdict::Deny(reason.clone()).is_entry_of("abs"), expected);
        assert_eq!(Verdict::WouldDeny(reason).is_entry_of("abs"), expected);
    }
}
