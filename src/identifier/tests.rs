use super::*;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);

#[test]
fn addresses_are_read_in_every_spelling() {
    let table: &[(&str, Option<&str>)] = &[
        ("192.0.2.1", Some("192.0.2.1")),
        ("::ffff:192.0.2.1", Some("192.0.2.1")),
        ("::FFFF:c000:0201", Some("192.0.2.1")),
        ("2001:DB8:0::1", Some("2001:db8::1")),
        ("[2001:db8::1]", Some("2001:db8::1")),
        ("fe80::1%eth0", Some("fe80::1")),
        ("fe80::1%", None),
        ("[192.0.2.1]", None),
        ("[2001:db8::1", None),
        ("192.0.2.01", None),
        ("192.0.2", None),
        ("192.0.2.1 ", None),
        ("", None),
        ("localhost", None),
    ];
    for (text, expected) in table {
        assert_eq!(
            parse_address(text),
            expected.map(|text| text.parse().unwrap()),
            "{text:?}"
        );
    }
}

#[test]
fn ports_are_removed_from_source_addresses() {
    let table: &[(&[u8], Option<&str>)] = &[
        (b"192.0.2.1:443", Some("192.0.2.1")),
        (b"[2001:db8::1]:443", Some("2001:db8::1")),
        (b"[::ffff:192.0.2.1]:443", Some("192.0.2.1")),
        (b"[fe80::1%eth0]:443", Some("fe80::1")),
        (b"2001:db8::1", Some("2001:db8::1")),
        (b"/run/envoy.sock", None),
        (b"@abstract:1", None),
        (b"", None),
        (b":", None),
        (b"\xff\xfe:80", None),
        (b"192.0.2.1", None),
    ];
    for (text, expected) in table {
        assert_eq!(
            parse_source_address(text),
            expected.map(|text| text.parse().unwrap()),
            "{text:?}"
        );
    }
}

#[test]
fn kinds_and_names_have_distinct_fingerprints() {
    let prints = [
        KEY.oauth_token(b"x"),
        KEY.api_key(b"x"),
        KEY.username(b"x"),
        KEY.cookie(b"", b"x"),
        KEY.cookie(b"x", b""),
        KEY.cookie(b"a", b"bc"),
        KEY.cookie(b"ab", b"c"),
        KEY.header("x", b"x"),
        KEY.header("a", b"bc"),
        KEY.header("ab", b"c"),
        KEY.header("a", b"bC"),
        KEY.token_claims(&[("x", b"x")]),
        KEY.token_claims(&[("a", b"bc")]),
        KEY.token_claims(&[("ab", b"c")]),
        KEY.token_claims(&[("a", b" bc")]),
        KEY.token_claims(&[("a", b"b"), ("c", b"d")]),
        KEY.token_claims(&[("a", b"d"), ("c", b"b")]),
        KEY.token_claims(&[("a", b"b")]),
        KEY.token_claims(&[("a", b"")]),
        KEY.token_claims(&[]),
    ];
    let distinct: std::collections::HashSet<_> = prints.iter().collect();
    assert_eq!(distinct.len(), prints.len());
}

#[test]
fn every_kind_has_its_own_bits_names_and_value() {
    let mut values = PerKind::<usize>::default();
    for (index, kind) in IdentifierKind::ALL.into_iter().enumerate() {
        assert_eq!(Fingerprint::new(u64::MAX, kind).kind(), Some(kind));
        assert_eq!(Fingerprint::new(0, kind).kind(), Some(kind));
        *values.get_mut(kind) = index;
        let mut one = PerKind::default();
        assert!(!one.any());
        *one.get_mut(kind) = true;
        assert!(one.any(), "{kind:?}");
        let same_name = |other: &IdentifierKind| {
            other.as_str() == kind.as_str() || other.list_key() == kind.list_key()
        };
        let n_same = IdentifierKind::ALL.iter().filter(|it| same_name(it));
        assert_eq!(n_same.count(), 1, "{kind:?}");
    }
    let read = IdentifierKind::ALL.map(|kind| *values.get(kind));
    assert_eq!(read, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(Fingerprint(7).kind(), None);
    assert_eq!(IdentifierKind::ALL[..5], IdentifierKind::WITH_LIST_KEY);
}

#[test]
fn the_order_of_claims_and_space_around_header_values_do_not_count() {
    let claims: [(&str, &[u8]); 3] = [("aud", b"shop"), ("iss", b"7"), ("jti", b"x")];
    let print = KEY.token_claims(&claims);
    for order in [[0, 2, 1], [2, 1, 0], [1, 2, 0]] {
        let reordered = order.map(|index: usize| claims[index]);
        assert_eq!(KEY.token_claims(&reordered), print);
    }
    let header = |value: &[u8]| KEY.header("cf-ipcountry", value);
    assert_eq!(header(b" XX\t"), header(b"XX"));
    assert_ne!(header(b"xx"), header(b"XX"));
    assert_ne!(header(b"\"XX\""), header(b"XX"));
}

#[test]
fn mapped_addresses_equal_ipv4() {
    let v4: IpAddr = "192.0.2.1".parse().unwrap();
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(KEY.ip(v4), KEY.ip(mapped));
}

#[test]
fn fingerprints_depend_on_the_key_which_is_redacted() {
    let other = FingerprintKey::from_words([1, 3]);
    assert_ne!(KEY.username(b"bob"), other.username(b"bob"));
    assert_eq!(KEY.username(b"bob").kind(), Some(IdentifierKind::Username));
    assert_eq!(format!("{KEY:?}"), "FingerprintKey(redacted)");
}

#[test]
fn ranges_are_read_in_canonical_form() {
    let table: &[(&str, Option<&str>)] = &[
        ("192.0.2.1", Some("192.0.2.1/32")),
        ("192.0.2.129/25", Some("192.0.2.128/25")),
        ("192.0.2.1/32", Some("192.0.2.1/32")),
        ("192.0.2.1/0", Some("0.0.0.0/0")),
        ("::ffff:192.0.2.1", Some("192.0.2.1/32")),
        ("::ffff:192.0.2.1/128", Some("192.0.2.1/32")),
        ("::ffff:192.0.2.129/120", Some("192.0.2.0/24")),
        ("::FFFF:c000:0201/96", Some("0.0.0.0/0")),
        ("::ffff:192.0.2.1/95", Some("::fffe:0:0/95")),
        ("2001:DB8::1/32", Some("2001:db8::/32")),
        ("[2001:db8::1]/64", Some("2001:db8::/64")),
        ("fe80::1%eth0/64", Some("fe80::/64")),
        ("::/0", Some("::/0")),
        ("192.0.2.1/33", None),
        ("::ffff:192.0.2.1/129", None),
        ("2001:db8::/129", None),
        ("192.0.2.0/", None),
        ("192.0.2.0/08", None),
        ("192.0.2.0/00", None),
        ("192.0.2.0/+8", None),
        ("192.0.2.0/-8", None),
        ("192.0.2.0/ 8", None),
        ("192.0.2.0/8/8", None),
        ("192.0.2.0/255.255.255.0", None),
        ("192.0.2.0/256", None),
        ("192.0.2/24", None),
        ("/24", None),
        ("", None),
        ("192.0.2.1-192.0.2.9", None),
    ];
    for (text, expected) in table {
        let range = parse_range(text).map(|range| range.trunc().to_string());
        assert_eq!(range.as_deref(), *expected, "{text:?}");
    }
    let as_written = parse_range("192.0.2.129/25").unwrap();
    assert_eq!(as_written.to_string(), "192.0.2.129/25");
}
