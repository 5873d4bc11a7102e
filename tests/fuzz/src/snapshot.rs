//! Hostile values in shared data: single records, the values of a list, and a VM that reads them.
//!
//! The first byte selects one of the three. Checksums are correct, since no fuzzer finds one.

use core::time::Duration;

use portcullis::host::{RootId, StreamId};
use portcullis::identifier::Fingerprint;
use portcullis::list::frame::{FrameHeader, Record, frame, unframe};
use portcullis::list::{Loader, Manifest, NextValue};
use portcullis::sync::election::FirstVm;
use portcullis::sync::freshness::Freshness;
use portcullis::sync::lease::Lease;
use portcullis::vm::Vm;

use super::host::{Forged, FuzzHost};
use super::input::Input;

const RECORDS: [Record; 7] = [
    Record::Manifest,
    Record::Shard,
    Record::Bucket,
    Record::Ranges,
    Record::Lease,
    Record::Freshness,
    Record::FirstVm,
];

pub fn snapshot(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() {
        0 => raw(input.0),
        1 => records(input),
        2 => load(input),
        _ => vm(input),
    }
}

/// Only frames are read as frames.
fn raw(bytes: &[u8]) {
    for record in RECORDS {
        if let Some((header, payload)) = unframe(record, bytes) {
            assert_eq!(frame(record, header, payload), bytes);
        }
    }
    one(bytes);
}

fn records(mut input: Input<'_>) {
    let header = FrameHeader {
        generation: input.word(),
        index: 0,
    };
    for record in RECORDS {
        one(&frame(record, header, input.0));
    }
}

/// Reads one value as every record, and writes it again.
fn one(bytes: &[u8]) {
    if let Some(manifest) = Manifest::from_bytes(bytes) {
        assert_eq!(manifest.to_bytes(), bytes);
        let _ = manifest.n_entries();
        let _ = Loader::new(manifest).needs();
    }
    if let Some(lease) = Lease::from_bytes(bytes) {
        assert_eq!(Lease::from_bytes(&lease.to_bytes()), Some(lease));
    }
    if let Some(first) = FirstVm::from_bytes(bytes) {
        assert_eq!(FirstVm::from_bytes(&first.to_bytes()), Some(first));
    }
    if let Some(freshness) = Freshness::from_bytes(bytes) {
        let _ = freshness.is_stale(Duration::MAX, Some(Duration::ZERO));
        assert_eq!(freshness.to_bytes(), bytes);
    }
}

/// Loads a list: the manifest, shards, ranges and a bucket are from the input.
fn load(mut input: Input<'_>) {
    let generation = input.word();
    let header = |index| FrameHeader { generation, index };
    let bytes = frame(Record::Manifest, header(0), input.piece());
    let Some(manifest) = Manifest::from_bytes(&bytes) else {
        return;
    };
    let fingerprint = Fingerprint(input.word());
    let bucket = header(manifest.bucket_index(fingerprint));
    let bucket = frame(Record::Bucket, bucket, input.piece());
    let _ = manifest.look_up(&bucket, fingerprint);

    let mut loader = Loader::new(manifest);
    // The list may need many values: first those of the input, then empty ones.
    for _ in 0..2_000 {
        let added = match loader.needs() {
            NextValue::Shard(index) => {
                loader.add(&frame(Record::Shard, header(index), input.piece()))
            }
            NextValue::Ranges(index) => {
                loader.add(&frame(Record::Ranges, header(index), input.piece()))
            }
            NextValue::Nothing => break,
        };
        if added.is_none() {
            return;
        }
    }
    let Some((_, filter, ranges)) = loader.finish() else {
        return;
    };
    for bits in 0..64 {
        let _ = filter.may_contain(Fingerprint(fingerprint.0.rotate_left(bits)));
    }
    let _ = filter.memory_bytes();
    for address in [
        "0.0.0.0",
        "10.1.2.3",
        "255.255.255.255",
        "::",
        "2001:db8::1",
    ] {
        let address = address.parse().expect("an address");
        if ranges.contains(address) {
            assert!(!ranges.is_empty());
        }
    }
    let sorted = |pairs: &[(u32, u32)]| pairs.windows(2).all(|pair| pair[0].1 < pair[1].0);
    assert!(sorted(ranges.v4()));
}

/// A VM ticks and judges with shared data from the input.
fn vm(mut input: Input<'_>) {
    let host = FuzzHost::default();
    host.set_node_id(input.0);
    let mut vm = Vm::new(&host);
    let json =
        br#"{"enable_abs_attack": true, "abs": {"cluster": "abs"}, "before_first_list": "deny",
        "attack_list_max_age": "1h", "when_stale": "drop", "fleet": {"report": true}}"#;
    let root = RootId(1);
    vm.configure(&host, root, json).expect("valid");
    host.set_address(b"10.1.2.3:4000");
    host.set_request(vec![
        (b":path".to_vec(), b"/?api_key=1".to_vec()),
        (b"cookie".to_vec(), b"sid=1".to_vec()),
        (b"authorization".to_vec(), b"Bearer 1".to_vec()),
    ]);
    let generation = u64::from(input.byte());
    for stream in 0..24 {
        if input.is_empty() {
            break;
        }
        let choice = input.byte();
        host.forge(Forged {
            record: RECORDS[usize::from(choice) % RECORDS.len()],
            generation: match choice & 0x40 {
                0 => generation,
                _ => generation.wrapping_add(1),
            },
            payload: input.piece().to_vec(),
            framed: choice < 0x80,
        });
        vm.tick(&host, root);
        let _ = vm.request(&host, root, StreamId(stream));
        host.pass(Duration::from_millis(u64::from(input.byte()) * 50));
        vm.tick(&host, root);
        let _ = vm.request(&host, root, StreamId(stream));
    }
}
