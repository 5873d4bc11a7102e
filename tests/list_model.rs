//! The list's structures against plain collections of std: they contain all inserted values and no others.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

#[path = "support/published.rs"]
mod published;

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use portcullis::config::ManualEntries;
use portcullis::identifier::{
    ClientIdentifier, Fingerprint, FingerprintKey, IdentifierKind, fold_mapped,
};
use portcullis::list::frame::{Record, unframe};
use portcullis::list::{AddressRanges, Blocklist, Builder, Loader, Manifest, ManualList};
use proptest::collection::vec;
use proptest::prelude::*;

use published::Published;

/// An identifier other than an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Secret {
    Cookie(String, String),
    OauthToken(String),
    ApiKey(String),
    Username(String),
}

impl Secret {
    fn identifier(&self) -> ClientIdentifier<'_> {
        match self {
            Secret::Cookie(name, value) => ClientIdentifier::Cookie {
                name: name.as_bytes(),
                value: value.as_bytes(),
            },
            Secret::OauthToken(token) => ClientIdentifier::OauthToken(token.as_bytes()),
            Secret::ApiKey(value) => ClientIdentifier::ApiKey(value.as_bytes()),
            Secret::Username(name) => ClientIdentifier::Username(name.as_bytes()),
        }
    }

    fn fingerprint(&self, key: &FingerprintKey) -> Fingerprint {
        self.identifier().fingerprint(key)
    }

    fn kind(&self) -> IdentifierKind {
        match self {
            Secret::Cookie(..) => IdentifierKind::Cookie,
            Secret::OauthToken(_) => IdentifierKind::OauthToken,
            Secret::ApiKey(_) => IdentifierKind::ApiKey,
            Secret::Username(_) => IdentifierKind::Username,
        }
    }
}

/// Short texts of few letters, so that values repeat, share prefixes and occur under several kinds. All are in canonical
/// form; the tests of `identifier` cover equality.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![9 => "[ab]{1,4}", 1 => "[a-z0-9_~/\u{4e00}-\u{4eff}]{1,40}"]
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        (text(), text()).prop_map(|(name, value)| Secret::Cookie(name, value)),
        text().prop_map(Secret::OauthToken),
        text().prop_map(Secret::ApiKey),
        text().prop_map(Secret::Username),
    ]
}

/// Addresses that are close together or at both ends of the address space.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        Just(0u32),
        Just(u32::MAX),
        0x0a00_0000u32..0x0a00_0400,
        u32::MAX - 0x400..=u32::MAX,
        any::<u32>(),
    ];
    let v6 = prop_oneof![
        Just(0u128),
        Just(u128::MAX),
        (0x2001_0db8u128 << 96)..(0x2001_0db8u128 << 96) + 0x400,
        any::<u128>(),
    ];
    prop_oneof![
        v4.prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        // There are no IPv4-mapped addresses here: they are converted when they are read.
        v6.prop_map(|bits| fold_mapped(IpAddr::V6(Ipv6Addr::from_bits(bits)))),
    ]
}

fn range() -> impl Strategy<Value = IpNet> {
    (address(), 0u8..=32, any::<bool>()).prop_map(|(address, prefix, narrow)| match address {
        IpAddr::V4(v4) => {
            let prefix = if narrow { 32 - prefix % 10 } else { prefix };
            IpNet::V4(Ipv4Net::new(v4, prefix).unwrap().trunc())
        }
        IpAddr::V6(v6) => {
            let prefix = if narrow {
                128 - prefix % 10
            } else {
                prefix * 4
            };
            IpNet::V6(Ipv6Net::new(v6, prefix).unwrap().trunc())
        }
    })
}

fn key() -> impl Strategy<Value = FingerprintKey> {
    any::<[u64; 2]>().prop_map(FingerprintKey::from_words)
}

fn build(key: FingerprintKey, secrets: &[Secret], ranges: &[IpNet]) -> Blocklist {
    let mut builder = Builder::new(key, u64::MAX);
    for secret in secrets {
        builder.insert(secret.identifier(), None).unwrap();
    }
    for range in ranges {
        builder.insert(ClientIdentifier::Ip(*range), None).unwrap();
    }
    builder.finish().unwrap()
}

/// The first and last addresses of ranges, and their neighbours.
fn edges(ranges: &[IpNet]) -> Vec<IpAddr> {
    let around = |address: IpAddr| match address {
        IpAddr::V4(v4) => [-1i64, 0, 1]
            .map(|step| {
                v4.to_bits()
                    .wrapping_add_signed(i32::try_from(step).unwrap())
            })
            .map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        IpAddr::V6(v6) => [-1i128, 0, 1]
            .map(|step| v6.to_bits().wrapping_add_signed(step))
            .map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    };
    let ends = ranges
        .iter()
        .flat_map(|range| [range.network(), range.broadcast()]);
    ends.flat_map(around)
        .filter(|address| fold_mapped(*address) == *address)
        .collect()
}

proptest! {
    // Failures print a minimal input, to be added as a test of its own; there is no file of seeds.
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_published_list_contains_exactly_its_entries(
        key in key(),
        listed in vec(secret(), 0..400),
        ranges in vec(range(), 0..60),
        unlisted in vec(secret(), 0..400),
        clients in vec(address(), 0..100),
    ) {
        let list = Published::new(&build(key, &listed, &ranges), key);
        let model: HashSet<&Secret> = listed.iter().collect();
        for secret in listed.iter().chain(&unlisted) {
            prop_assert_eq!(list.contains(secret.fingerprint(&key)), model.contains(secret));
        }
        for address in edges(&ranges).into_iter().chain(clients) {
            let is_listed = list.ranges.contains(address) || list.contains(key.ip(address));
            prop_assert_eq!(is_listed, ranges.iter().any(|range| range.contains(&address)), "{}", address);
        }
        for kind in IdentifierKind::ALL {
            if kind != IdentifierKind::Ip {
                let n = model.iter().filter(|secret| secret.kind() == kind).count();
                prop_assert_eq!(*list.manifest.counts.get(kind), n as u64);
            }
        }
    }

    #[test]
    fn lists_are_equal_if_and_only_if_their_entries_are(
        key in key(),
        one in vec(secret(), 0..6),
        other in vec(secret(), 0..6),
        shuffled in any::<bool>(),
        range in proptest::option::of(range()),
    ) {
        let other = if shuffled { one.iter().rev().chain(&one).cloned().collect() } else { other };
        let set = |secrets: &[Secret]| secrets.iter().cloned().collect::<BTreeSet<_>>();
        let manifest = |secrets: &[Secret], ranges: &[IpNet]| {
            Manifest::new(&build(key, secrets, ranges), key, None, Duration::ZERO)
        };
        let (first, second) = (manifest(&one, &[]), manifest(&other, &[]));
        prop_assert_eq!(first.is_same_list(&second), set(&one) == set(&other));
        if let Some(range) = range {
            prop_assert!(!first.is_same_list(&manifest(&one, &[range])));
        }
    }

    #[test]
    fn ranges_contain_what_a_linear_search_finds(
        texts in vec(range(), 0..60),
        clients in vec(address(), 0..100),
        probes in vec(range(), 0..60),
    ) {
        let mut ranges = AddressRanges::default();
        for range in &texts {
            ranges.push(*range);
        }
        ranges.seal();
        for address in edges(&texts).into_iter().chain(clients) {
            let expected = texts.iter().any(|range| range.contains(&address));
            prop_assert_eq!(ranges.contains(address), expected, "{}", address);
        }
        // A model of `covers`: aggregated networks either contain the probe or don't cover it.
        let merged = IpNet::aggregate(&texts);
        for probe in probes {
            let expected = merged.iter().any(|net| net.contains(&probe));
            prop_assert_eq!(ranges.covers(probe), expected, "{}", probe);
        }
    }

    #[test]
    fn duplicates_use_no_memory(
        listed in vec(secret(), 1..300),
        // Ranges that do not merge.
        numbers in vec((0u8..100, any::<bool>()), 0..40),
        repeats in 1usize..6,
    ) {
        let key = FingerprintKey::from_words([1, 2]);
        let apart = numbers.iter().map(|(i, v4)| match v4 {
            true => format!("10.{}.0.0/20", i * 2).parse().unwrap(),
            false => format!("2001:db8:{:x}::/48", i * 2).parse().unwrap(),
        });
        let ranges: Vec<IpNet> = apart.collect();
        let list = build(key, &listed, &ranges);
        let n_entries = listed.iter().collect::<HashSet<_>>().len();
        let bytes = (n_entries * 10 + list.ranges().stored_bytes()) as u64;
        let fits = |limit: u64| {
            let mut builder = Builder::new(key, limit);
            for _ in 0..repeats {
                for secret in &listed {
                    builder.insert(secret.identifier(), None)?;
                }
                for range in &ranges {
                    builder.insert(ClientIdentifier::Ip(*range), None)?;
                }
            }
            builder.finish()
        };
        prop_assert!(fits(bytes).is_ok());
        prop_assert!(fits(bytes - 1).is_err());
        prop_assert_eq!(fits(bytes).unwrap().digest(), list.digest());
    }

    #[test]
    fn changed_values_read_as_absent(
        listed in vec(secret(), 1..50),
        ranges in vec(range(), 1..20),
        changes in vec((any::<prop::sample::Index>(), 1u8..), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        junk in vec(any::<u8>(), 0..100),
    ) {
        let key = FingerprintKey::from_words([1, 2]);
        let list = build(key, &listed, &ranges);
        let manifest = Manifest::new(&list, key, None, Duration::ZERO);
        let values = [
            (Record::Shard, manifest.shard_to_bytes(&list, 0).unwrap()),
            (Record::Bucket, manifest.bucket_to_bytes(&list, 0, &mut Vec::new())),
            (Record::Manifest, manifest.to_bytes()),
        ];
        for (record, value) in values {
            let mut damaged = value.clone();
            for (at, change) in &changes {
                let at = at.index(damaged.len());
                damaged[at] ^= change;
            }
            if let Some(cut) = cut {
                damaged.truncate(cut.index(damaged.len()));
            }
            if damaged == value {
                continue;
            }
            for bytes in [&damaged, &junk] {
                prop_assert!(unframe(Record::Manifest, bytes).is_none());
                prop_assert!(Manifest::from_bytes(bytes).is_none());
                prop_assert!(!manifest.is_value(record, 0, bytes));
                prop_assert!(manifest.look_up(bytes, listed[0].fingerprint(&key)).is_none());
                let mut loader = Loader::new(manifest.clone());
                prop_assert!(loader.add(bytes).is_none());
            }
        }
    }

    #[test]
    fn a_manual_list_contains_exactly_its_entries(
        key in key(),
        typed in vec(secret(), 0..60),
        ips in vec(range(), 0..30),
        unlisted in vec(secret(), 0..60),
        clients in vec(address(), 0..60),
    ) {
        let mut entries = ManualEntries { ips: ips.clone(), ..ManualEntries::default() };
        for secret in &typed {
            match secret.clone() {
                Secret::Cookie(name, value) => entries.cookies.push((name, value)),
                Secret::OauthToken(token) => entries.oauth_tokens.push(token),
                Secret::ApiKey(value) => entries.api_keys.push(value),
                Secret::Username(name) => entries.usernames.push(name),
            }
        }
        let list = ManualList::new(key, entries.identifiers());
        let model: HashSet<&Secret> = typed.iter().collect();
        for secret in typed.iter().chain(&unlisted) {
            prop_assert_eq!(list.contains(secret.identifier()), model.contains(secret));
        }
        for kind in IdentifierKind::ALL {
            let expected = match kind {
                IdentifierKind::Ip => !ips.is_empty(),
                _ => typed.iter().any(|secret| secret.kind() == kind),
            };
            prop_assert_eq!(list.holds(kind), expected);
        }
        for address in edges(&ips).into_iter().chain(clients) {
            prop_assert_eq!(list.contains_address(address), ips.iter().any(|range| range.contains(&address)));
        }
    }
}

#[test]
fn lists_contain_each_entry_at_sizes_around_a_change_of_layout() {
    let key = FingerprintKey::from_words([7, 8]);
    // The number of buckets grows at each power of two of 128 entries, the number of filter shards at each of 65,536.
    for n in [
        0, 1, 2, 127, 128, 129, 255, 256, 257, 65_535, 65_536, 65_537, 131_073,
    ] {
        let names: Vec<_> = (0..n).map(|i| Secret::Username(i.to_string())).collect();
        let list = Published::new(&build(key, &names, &[]), key);
        // A sample of each bucket for the large ones.
        for name in names.iter().step_by(if n > 300 { 23 } else { 1 }) {
            assert!(list.contains(name.fingerprint(&key)), "{n} entries");
        }
        for i in n..n + 2_000 {
            let unlisted = Secret::Username(i.to_string());
            assert!(!list.contains(unlisted.fingerprint(&key)), "{n} entries");
        }
    }
}
