use super::*;
use crate::identifier::ClientIdentifier;
use crate::list::builder::Builder;
use crate::list::loader::{Loader, NextValue};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOW: Duration = Duration::from_millis(1_500);
const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);

#[test]
fn entries_of_every_kind_are_counted() {
    let mut builder = Builder::new(KEY, u64::MAX);
    let claims: [(&str, &[u8]); 2] = [("jti", b"1"), ("aud", b"2")];
    let header = |value| ClientIdentifier::Header {
        name: "cf-ipcountry",
        value,
    };
    let entries = [
        ClientIdentifier::TokenClaims(&claims),
        ClientIdentifier::TokenClaims(&claims[..1]),
        ClientIdentifier::TokenClaims(&claims[..1]),
        header(b"XX"),
        ClientIdentifier::ApiKey(b"k"),
    ];
    for entry in entries {
        builder.insert(entry, None).unwrap();
    }
    let list = builder.finish().unwrap();
    let manifest = Manifest::from_bytes(&Manifest::new(&list, KEY, None, NOW).to_bytes()).unwrap();
    let counts = PerKind {
        token_claims: 2,
        header: 1,
        api_key: 1,
        ..PerKind::default()
    };
    assert_eq!(manifest.counts, counts);
    assert_eq!(manifest.n_entries(), 4);
}

fn list(n: u32) -> Blocklist {
    let mut builder = Builder::new(KEY, u64::MAX);
    for i in 0..n {
        builder
            .insert(ClientIdentifier::Username(i.to_string().as_bytes()), None)
            .unwrap();
    }
    builder
        .insert(ClientIdentifier::Ip("10.0.0.0/8".parse().unwrap()), None)
        .unwrap();
    builder
        .insert(ClientIdentifier::Ip("2001:db8::/32".parse().unwrap()), None)
        .unwrap();
    builder.finish().unwrap()
}

#[test]
fn a_list_is_loaded_completely() {
    for n in [0, 1, 127, 128, 129, 3_000, 140_000] {
        let list = list(n);
        let manifest = Manifest::new(&list, KEY, None, NOW);
        let manifest = Manifest::from_bytes(&manifest.to_bytes()).unwrap();
        assert_eq!(manifest.counts.username, u64::from(n));
        let mut loader = Loader::new(manifest.clone());
        let ranges = manifest.ranges_to_bytes(&list);
        loop {
            let bytes = match loader.needs() {
                NextValue::Shard(index) => manifest.shard_to_bytes(&list, index).unwrap(),
                NextValue::Ranges(index) => ranges[index as usize].clone(),
                NextValue::Nothing => break,
            };
            loader.add(&bytes).unwrap();
        }
        let (manifest, filter, ranges) = loader.finish().unwrap();
        assert!(ranges.contains("10.1.2.3".parse().unwrap()));
        assert!(ranges.contains("2001:db8::1".parse().unwrap()));
        let mut scratch = Vec::new();
        for i in (0..n).step_by(37) {
            let fingerprint = KEY.username(i.to_string().as_bytes());
            assert!(filter.may_contain(fingerprint));
            let index = manifest.bucket_index(fingerprint);
            let bucket = manifest.bucket_to_bytes(&list, index, &mut scratch);
            assert_eq!(
                manifest.look_up(&bucket, fingerprint),
                Some(Membership::Listed)
            );
            let unlisted = Fingerprint(fingerprint.0 ^ 8);
            assert_eq!(
                manifest.look_up(&bucket, unlisted),
                Some(Membership::Absent)
            );
        }
    }
}

#[test]
fn changed_and_truncated_values_read_as_absent() {
    let list = list(20);
    let manifest = Manifest::new(&list, KEY, None, NOW);
    let fingerprint = KEY.username(7u32.to_string().as_bytes());
    let bucket = manifest.bucket_to_bytes(&list, 0, &mut Vec::new());
    let values = [manifest.to_bytes(), bucket];
    for value in &values {
        let absent = |bytes: &[u8]| {
            Manifest::from_bytes(bytes).is_none() && manifest.look_up(bytes, fingerprint).is_none()
        };
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut changed = value.clone();
                changed[at] ^= 1 << bit;
                assert!(absent(&changed), "bit {bit} of byte {at}");
            }
            assert!(absent(&value[..at]), "truncated at {at}");
        }
        let mut longer = value.clone();
        longer.push(0);
        assert!(absent(&longer));
    }
}

#[test]
fn a_value_of_another_list_reads_as_absent() {
    let list = list(20);
    let first = Manifest::new(&list, KEY, None, NOW);
    let second = Manifest::new(&list, KEY, Some(&first), NOW);
    assert_eq!((second.generation, second.slot), (2, Slot::B));
    let fingerprint = KEY.username(7u32.to_string().as_bytes());
    let bucket = second.bucket_to_bytes(&list, 0, &mut Vec::new());
    assert_eq!(first.look_up(&bucket, fingerprint), None);
    let shard = second.shard_to_bytes(&list, 0).unwrap();
    assert_eq!(Loader::new(first).add(&shard), None);
}

#[test]
fn a_value_of_another_list_of_the_same_generation_reads_as_absent() {
    let (list, other) = (list(20), list(21));
    let manifest = Manifest::new(&list, KEY, None, NOW);
    let other_entries = Manifest::new(&other, KEY, None, NOW);
    let other_key = Manifest::new(&list, FingerprintKey::from_words([1, 3]), None, NOW);
    let bytes = manifest.shard_to_bytes(&list, 0).unwrap();
    assert!(manifest.is_value(Record::Shard, 0, &bytes));
    assert!(!manifest.is_value(Record::Bucket, 0, &bytes));
    assert!(!manifest.is_value(Record::Shard, 1, &bytes));
    for another in [other_entries, other_key] {
        assert_eq!(another.generation, manifest.generation);
        assert!(!another.is_value(Record::Shard, 0, &bytes));
    }
}

#[test]
fn a_manifest_with_more_values_than_any_list_has_reads_as_absent() {
    let valid = Manifest::new(&list(20), KEY, None, NOW);
    let read = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = valid.clone();
        change(&mut manifest);
        Manifest::from_bytes(&manifest.to_bytes())
    };
    assert!(read(&|_| {}).is_some());
    assert!(read(&|manifest| manifest.other_layout.buckets = 1 << MAX_BUCKET_BITS).is_some());
    assert_eq!(
        read(&|manifest| manifest.layout.range_chunks = u32::MAX),
        None
    );
    assert_eq!(
        read(&|manifest| manifest.other_layout.shards = u32::MAX),
        None
    );
    assert_eq!(
        read(&|manifest| manifest.other_layout.buckets = u32::MAX),
        None
    );
    assert_eq!(
        read(&|manifest| manifest.other_layout.range_chunks = u32::MAX),
        None
    );
    // The configuration allows no list with more chunks than one of IPv4 ranges only.
    let most = (1u64 << 30) / (8 * INTERVALS_PER_CHUNK as u64);
    assert!(most + 1 < u64::from(MAX_RANGE_CHUNKS));
}

#[test]
fn entries_end_by_themselves_after_their_time_to_live() {
    let user = |name: &'static str| ClientIdentifier::Username(name.as_bytes());
    let range = |text: &str| ClientIdentifier::Ip(text.parse().unwrap());
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let mut builder = Builder::new(KEY, u64::MAX);
    for (entry, time_to_live) in [
        (user("for a minute"), seconds(60)),
        (user("for an hour"), seconds(60)),
        (user("for an hour"), seconds(3_600)),
        (user("for ever"), None),
        (user("for a moment"), Some(Duration::from_millis(1))),
        (range("10.0.0.0/8"), seconds(60)),
        (range("10.1.0.0/16"), seconds(90)),
        (range("2001:db8::/32"), seconds(30)),
        (range("192.0.2.0/24"), None),
    ] {
        builder.insert(entry, time_to_live).unwrap();
    }
    let list = builder.finish().unwrap();
    let manifest = Manifest::new(&list, KEY, None, NOW);
    let manifest = Manifest::from_bytes(&manifest.to_bytes()).unwrap();
    let until = |seconds| Membership::Until(NOW + Duration::from_secs(seconds));
    for (name, expected) in [
        ("for a minute", until(60)),
        ("for an hour", until(3_600)),
        ("for ever", Membership::Listed),
        ("for a moment", until(1)),
        ("never", Membership::Absent),
    ] {
        let fingerprint = user(name).fingerprint(&KEY);
        let bucket =
            manifest.bucket_to_bytes(&list, manifest.bucket_index(fingerprint), &mut Vec::new());
        assert_eq!(
            manifest.look_up(&bucket, fingerprint),
            Some(expected),
            "{name}"
        );
    }
    let mut loader = Loader::new(manifest.clone());
    for index in 0..manifest.layout.shards {
        loader
            .add(&manifest.shard_to_bytes(&list, index).unwrap())
            .unwrap();
    }
    for chunk in manifest.ranges_to_bytes(&list) {
        loader.add(&chunk).unwrap();
    }
    let (_, _, ranges) = loader.finish().unwrap();
    for (address, permanent, time_to_live) in [
        ("10.0.0.1", false, Some(60)),
        ("10.1.2.3", false, Some(90)),
        ("10.2.0.0", false, Some(60)),
        ("11.0.0.0", false, None),
        ("2001:db8::1", false, Some(30)),
        ("192.0.2.1", true, None),
    ] {
        let address = address.parse().unwrap();
        assert_eq!(ranges.contains(address), permanent, "{address}");
        assert_eq!(ranges.time_to_live(address), time_to_live, "{address}");
    }
}

#[test]
fn lists_that_differ_in_times_to_live_only_have_the_same_entries() {
    let list = |time_to_live| {
        let mut builder = Builder::new(KEY, u64::MAX);
        builder
            .insert(ClientIdentifier::Username(b"mallory"), time_to_live)
            .unwrap();
        Manifest::new(&builder.finish().unwrap(), KEY, None, NOW)
    };
    let for_a_minute = list(Some(Duration::from_secs(60)));
    assert!(for_a_minute.is_same_list(&list(Some(Duration::from_secs(90)))));
    assert!(for_a_minute.received.is_some() && list(None).received.is_none());
}
