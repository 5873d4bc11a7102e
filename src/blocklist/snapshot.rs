//! Snapshot bytes: the list's structures to the values of shared data, and back without trusting them.
//!
//! Every value is one frame: magic, format version, what it is, generation, index, length, checksum, payload. Bytes
//! that are cut, changed, of another format, another record or another generation read as absent.

use core::hash::Hasher;
use siphasher::sip::SipHasher13;

use super::builder::{Blocklist, MAX_BUCKET_BITS};
use super::gate::{Gate, MAX_SHARD_BITS, Shard, top_bits};
use super::ranges::AddressRanges;
use crate::identifier::{Fingerprint, FingerprintKey, IdentifierKind, PerKind};

const MAGIC: [u8; 4] = *b"PRTC";
const FORMAT: u8 = 2;
const HEADER: usize = 32;

/// Intervals in one value of ranges: at most 256 KiB of IPv6, so that no copy under the host's mutex is long.
const INTERVALS_PER_CHUNK: usize = 8_192;

/// More chunks than the ranges of the largest `attack_list_memory` take.
const MAX_RANGE_CHUNKS: u32 = 1 << 15;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Record {
    /// A [`Manifest`].
    Manifest = 1,
    /// A shard of the gate.
    Shard = 2,
    /// A bucket of fingerprints.
    Bucket = 3,
    /// A chunk of address ranges.
    Ranges = 4,
    /// Who may fetch, and when.
    Lease = 5,
    /// How old the list is.
    Freshness = 6,
    /// Which VM was there first.
    Eldest = 7,
}

/// A frame's header, once it was found to be sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Of the list that the record belongs to; 0 for records of no list.
    pub generation: u64,
    /// Which shard, bucket or chunk.
    pub index: u32,
}

/// Puts `payload` into a frame.
pub fn frame(record: Record, header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    frame_of([0; 2], record, header, payload)
}

fn frame_of(list: [u64; 2], record: Record, header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER.saturating_add(payload.len()));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, record as u8, 0, 0]);
    bytes.extend_from_slice(&header.generation.to_le_bytes());
    bytes.extend_from_slice(&header.index.to_le_bytes());
    // A payload that does not fit 32 bits is never made; were it, the frame would read as absent.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    let sum = checksum(list, &bytes, payload);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Takes a frame apart; `None` unless it is whole, unchanged, of this format and holds this record.
pub fn unframe(record: Record, bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
    unframe_of([0; 2], record, bytes)
}

fn unframe_of(list: [u64; 2], record: Record, bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let (header, payload) = bytes.split_at_checked(HEADER)?;
    let (checked, sum) = header.split_at_checked(24)?;
    let mut reader = Reader(checked);
    if reader.take(4)? != MAGIC || reader.take(4)? != [FORMAT, record as u8, 0, 0] {
        return None;
    }
    let (generation, index, length) = (reader.u64()?, reader.u32()?, reader.u32()?);
    let whole = usize::try_from(length) == Ok(payload.len());
    let unchanged = sum == checksum(list, checked, payload).to_le_bytes();
    (whole && unchanged).then_some((FrameHeader { generation, index }, payload))
}

/// `list`: of which list the value is; zeros for records of no list.
fn checksum(list: [u64; 2], header: &[u8], payload: &[u8]) -> u64 {
    let [first, second] = list;
    let mut hasher = SipHasher13::new_with_keys(first, second);
    hasher.write(header);
    hasher.write(payload);
    hasher.finish()
}

/// Reads little-endian numbers from the front of bytes; `None` past their end.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        Some(u128::from_le_bytes(self.take(16)?.try_into().ok()?))
    }
}

/// Which of the two slots a list stands in: one is in force while the other is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// The first.
    A = 0,
    /// The second.
    B = 1,
}

impl Slot {
    /// The one that is free while this one is in force.
    pub fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// How many values of each sort a slot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Gate shards.
    pub shards: u32,
    /// Buckets.
    pub buckets: u32,
    /// Chunks of ranges.
    pub range_chunks: u32,
}

impl Extent {
    /// Whether a list can have so many values. Emptying a slot goes through all of them, so a number that somebody made
    /// up would hold the VM up without end.
    fn is_possible(self) -> bool {
        self.shards <= 1 << MAX_SHARD_BITS
            && self.buckets <= 1 << MAX_BUCKET_BITS
            && self.range_chunks <= MAX_RANGE_CHUNKS
    }
}

/// What is in force, and where it stands: the value that is written last when a list is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Counts the lists of this process; one that is published gets the next.
    pub generation: u64,
    /// Where the list stands.
    pub slot: Slot,
    /// The key of its fingerprints.
    pub key: FingerprintKey,
    /// Equal for equal lists.
    pub digest: u64,
    /// Entries by kind.
    pub counts: PerKind<u64>,
    /// What the list takes in shared data, in bytes.
    pub stored_bytes: u64,
    /// How many top bits choose a gate shard.
    pub shard_bits: u8,
    /// How many top bits choose a bucket.
    pub bucket_bits: u8,
    /// What stands in the slot.
    pub extent: Extent,
    /// What still stands in the other slot.
    pub other_extent: Extent,
}

impl Manifest {
    /// The manifest of `list`, without what only its publication determines: `stored_bytes`.
    pub fn new(list: &Blocklist, key: FingerprintKey, previous: Option<&Manifest>) -> Self {
        let chunks = |n: usize| u32::try_from(n.div_ceil(INTERVALS_PER_CHUNK)).unwrap_or(u32::MAX);
        let ranges = list.ranges();
        Self {
            generation: previous.map_or(1, |previous| previous.generation.saturating_add(1)),
            slot: previous.map_or(Slot::A, |previous| previous.slot.other()),
            key,
            digest: list.digest(),
            counts: *list.counts(),
            stored_bytes: 0,
            shard_bits: list.shard_bits(),
            bucket_bits: list.bucket_bits(),
            extent: Extent {
                shards: 1u32.checked_shl(list.shard_bits().into()).unwrap_or(0),
                buckets: 1u32.checked_shl(list.bucket_bits().into()).unwrap_or(0),
                range_chunks: chunks(ranges.v4().len()).saturating_add(chunks(ranges.v6().len())),
            },
            other_extent: previous.map_or(Extent::default(), |previous| previous.extent),
        }
    }

    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = vec![self.slot as u8, self.shard_bits, self.bucket_bits];
        let [first, second] = self.key.to_words();
        let mut numbers = vec![first, second, self.digest, self.stored_bytes];
        numbers.extend(IdentifierKind::ALL.map(|kind| *self.counts.get(kind)));
        for number in numbers {
            payload.extend_from_slice(&number.to_le_bytes());
        }
        for extent in [self.extent, self.other_extent] {
            for number in [extent.shards, extent.buckets, extent.range_chunks] {
                payload.extend_from_slice(&number.to_le_bytes());
            }
        }
        let header = FrameHeader {
            generation: self.generation,
            index: 0,
        };
        frame(Record::Manifest, header, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, payload) = unframe(Record::Manifest, bytes)?;
        let mut reader = Reader(payload);
        let slot = match reader.u8()? {
            0 => Slot::A,
            1 => Slot::B,
            _ => return None,
        };
        let (shard_bits, bucket_bits) = (reader.u8()?, reader.u8()?);
        if shard_bits > MAX_SHARD_BITS || bucket_bits > MAX_BUCKET_BITS {
            return None;
        }
        let key = FingerprintKey::from_words([reader.u64()?, reader.u64()?]);
        let (digest, stored_bytes) = (reader.u64()?, reader.u64()?);
        let mut counts = PerKind::default();
        for kind in IdentifierKind::ALL {
            *counts.get_mut(kind) = reader.u64()?;
        }
        let mut extent = || {
            Some(Extent {
                shards: reader.u32()?,
                buckets: reader.u32()?,
                range_chunks: reader.u32()?,
            })
        };
        let manifest = Self {
            generation: header.generation,
            slot,
            key,
            digest,
            counts,
            stored_bytes,
            shard_bits,
            bucket_bits,
            extent: extent()?,
            other_extent: extent()?,
        };
        let sound = 1u32.checked_shl(shard_bits.into()) == Some(manifest.extent.shards)
            && 1u32.checked_shl(bucket_bits.into()) == Some(manifest.extent.buckets)
            && manifest.extent.is_possible()
            && manifest.other_extent.is_possible()
            && reader.0.is_empty();
        sound.then_some(manifest)
    }

    /// The value that takes a manifest's place when its list is dropped on purpose: who still enforces that list is to
    /// stop. A manifest that was lost says no such thing.
    pub fn dropped(generation: u64) -> Vec<u8> {
        let header = FrameHeader {
            generation,
            index: 0,
        };
        frame(Record::Manifest, header, &[])
    }

    /// The generation of the list that was dropped, if `bytes` are of [`Manifest::dropped`].
    pub fn dropped_generation(bytes: &[u8]) -> Option<u64> {
        let (header, payload) = unframe(Record::Manifest, bytes)?;
        payload.is_empty().then_some(header.generation)
    }

    /// All entries, of every kind.
    pub fn n_entries(&self) -> u64 {
        let by_kind = IdentifierKind::ALL.map(|kind| *self.counts.get(kind));
        by_kind.into_iter().fold(0, u64::saturating_add)
    }

    /// Whether another manifest is of a list with the same entries.
    pub fn is_same_list(&self, other: &Manifest) -> bool {
        (self.key, self.digest, self.counts) == (other.key, other.digest, other.counts)
    }

    /// Which bucket a fingerprint would stand in.
    pub fn bucket_index(&self, fingerprint: Fingerprint) -> u32 {
        u32::try_from(top_bits(fingerprint.0, self.bucket_bits)).unwrap_or(u32::MAX)
    }

    fn header(&self, index: u32) -> FrameHeader {
        FrameHeader {
            generation: self.generation,
            index,
        }
    }

    /// What the checksums of the list's values are keyed with: its entries, so that the values of two publishers that
    /// were at it at once are never taken for one list, nor those of a list from before the manifest was lost.
    fn identity(&self) -> [u64; 2] {
        let [first, second] = self.key.to_words();
        [first ^ self.digest, second]
    }

    fn frame(&self, record: Record, index: u32, payload: &[u8]) -> Vec<u8> {
        frame_of(self.identity(), record, self.header(index), payload)
    }

    /// The payload of a value; `None` where it is not that value of this list.
    fn unframe<'a>(&self, record: Record, index: u32, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (header, payload) = unframe_of(self.identity(), record, bytes)?;
        (header == self.header(index)).then_some(payload)
    }

    /// Whether `bytes` are value number `index` of this list, whole and unchanged.
    pub fn is_value(&self, record: Record, index: u32, bytes: &[u8]) -> bool {
        self.unframe(record, index, bytes).is_some()
    }

    /// The value of gate shard `index` of `list`; `None` where it can't be built.
    pub fn shard_to_bytes(&self, list: &Blocklist, index: u32) -> Option<Vec<u8>> {
        let shard = list.shard(usize::try_from(index).ok()?)?;
        Some(self.frame(Record::Shard, index, shard.as_bytes()))
    }

    /// The value of bucket `index` of `list`. `entries` is room to work in.
    pub fn bucket_to_bytes(&self, list: &Blocklist, index: u32, entries: &mut Vec<u64>) -> Vec<u8> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        list.entries_with_prefix(self.bucket_bits, at, entries);
        let payload: Vec<u8> = entries.iter().flat_map(|e| e.to_le_bytes()).collect();
        self.frame(Record::Bucket, index, &payload)
    }

    /// The values of the ranges of `list`, in order.
    pub fn ranges_to_bytes(&self, list: &Blocklist) -> Vec<Vec<u8>> {
        let v4 = list.ranges().v4().chunks(INTERVALS_PER_CHUNK).map(|chunk| {
            let mut payload = vec![4];
            for (first, last) in chunk {
                payload.extend_from_slice(&first.to_le_bytes());
                payload.extend_from_slice(&last.to_le_bytes());
            }
            payload
        });
        let v6 = list.ranges().v6().chunks(INTERVALS_PER_CHUNK).map(|chunk| {
            let mut payload = vec![6];
            for (first, last) in chunk {
                payload.extend_from_slice(&first.to_le_bytes());
                payload.extend_from_slice(&last.to_le_bytes());
            }
            payload
        });
        v4.chain(v6)
            .zip(0u32..)
            .map(|(payload, index)| self.frame(Record::Ranges, index, &payload))
            .collect()
    }

    /// Whether a bucket's value holds the fingerprint; `None` where the value is not of this list.
    pub fn bucket_contains(&self, bytes: &[u8], fingerprint: Fingerprint) -> Option<bool> {
        let payload = self.unframe(Record::Bucket, self.bucket_index(fingerprint), bytes)?;
        let (entries, rest) = payload.as_chunks::<8>();
        let found = entries
            .binary_search_by(|entry| u64::from_le_bytes(*entry).cmp(&fingerprint.0))
            .is_ok();
        rest.is_empty().then_some(found)
    }
}

/// Puts a list's gate and ranges together from their values, in order.
#[derive(Debug)]
pub struct Assembly {
    manifest: Manifest,
    shards: Vec<Shard>,
    ranges: AddressRanges,
    n_range_chunks: u32,
}

/// Which value an [`Assembly`] needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// This gate shard.
    Shard(u32),
    /// This chunk of ranges.
    Ranges(u32),
    /// None: it is complete.
    Nothing,
}

impl Assembly {
    /// Begins with nothing but the manifest.
    pub fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            shards: Vec::new(),
            ranges: AddressRanges::default(),
            n_range_chunks: 0,
        }
    }

    /// The manifest it began with.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What is to be added next.
    pub fn needs(&self) -> Needed {
        let n_shards = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        if n_shards < self.manifest.extent.shards {
            Needed::Shard(n_shards)
        } else if self.n_range_chunks < self.manifest.extent.range_chunks {
            Needed::Ranges(self.n_range_chunks)
        } else {
            Needed::Nothing
        }
    }

    /// Adds the value that is needed next. `None`: it is not of this list, which was replaced meanwhile.
    pub fn add(&mut self, bytes: &[u8]) -> Option<()> {
        match self.needs() {
            Needed::Shard(index) => {
                let payload = self.manifest.unframe(Record::Shard, index, bytes)?;
                self.shards.push(Shard::from_bytes(payload.to_vec())?);
            }
            Needed::Ranges(index) => {
                let payload = self.manifest.unframe(Record::Ranges, index, bytes)?;
                self.add_ranges(payload)?;
                self.n_range_chunks = self.n_range_chunks.saturating_add(1);
            }
            Needed::Nothing => {}
        }
        Some(())
    }

    fn add_ranges(&mut self, payload: &[u8]) -> Option<()> {
        let mut reader = Reader(payload);
        match reader.u8()? {
            4 => {
                while !reader.0.is_empty() {
                    self.ranges.push_v4(reader.u32()?, reader.u32()?);
                }
            }
            6 => {
                while !reader.0.is_empty() {
                    self.ranges.push_v6(reader.u128()?, reader.u128()?);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The finished parts; `None` while something is needed.
    pub fn finish(mut self) -> Option<(Manifest, Gate, AddressRanges)> {
        if self.needs() != Needed::Nothing {
            return None;
        }
        self.ranges.seal();
        let gate = Gate::from_shards(self.manifest.shard_bits, self.shards)?;
        Some((self.manifest, gate, self.ranges))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Builder;
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);

    fn list(n: u32) -> Blocklist {
        let mut builder = Builder::new(KEY, u64::MAX);
        for i in 0..n {
            builder
                .insert(KEY.username(i.to_string().as_bytes()))
                .unwrap();
        }
        builder.insert_ip("10.0.0.0/8".parse().unwrap()).unwrap();
        builder.insert_ip("2001:db8::/32".parse().unwrap()).unwrap();
        builder.finish().unwrap()
    }

    #[test]
    fn a_list_comes_back_whole() {
        for n in [0, 1, 127, 128, 129, 3_000, 140_000] {
            let list = list(n);
            let manifest = Manifest::new(&list, KEY, None);
            let manifest = Manifest::from_bytes(&manifest.to_bytes()).unwrap();
            assert_eq!(manifest.counts.username, u64::from(n));
            let mut assembly = Assembly::new(manifest.clone());
            let ranges = manifest.ranges_to_bytes(&list);
            loop {
                let bytes = match assembly.needs() {
                    Needed::Shard(index) => manifest.shard_to_bytes(&list, index).unwrap(),
                    Needed::Ranges(index) => ranges[index as usize].clone(),
                    Needed::Nothing => break,
                };
                assembly.add(&bytes).unwrap();
            }
            let (manifest, gate, ranges) = assembly.finish().unwrap();
            assert!(ranges.contains("10.1.2.3".parse().unwrap()));
            assert!(ranges.contains("2001:db8::1".parse().unwrap()));
            let mut room = Vec::new();
            for i in (0..n).step_by(37) {
                let print = KEY.username(i.to_string().as_bytes());
                assert!(gate.may_contain(print));
                let index = manifest.bucket_index(print);
                let bucket = manifest.bucket_to_bytes(&list, index, &mut room);
                assert_eq!(manifest.bucket_contains(&bucket, print), Some(true));
                let stranger = Fingerprint(print.0 ^ 8);
                assert_eq!(manifest.bucket_contains(&bucket, stranger), Some(false));
            }
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_reads_as_absent() {
        let list = list(20);
        let manifest = Manifest::new(&list, KEY, None);
        let print = KEY.username(7u32.to_string().as_bytes());
        let bucket = manifest.bucket_to_bytes(&list, 0, &mut Vec::new());
        let values = [manifest.to_bytes(), bucket];
        for value in &values {
            let absent = |bytes: &[u8]| {
                Manifest::from_bytes(bytes).is_none()
                    && manifest.bucket_contains(bytes, print).is_none()
            };
            for at in 0..value.len() {
                for bit in 0..8 {
                    let mut changed = value.clone();
                    changed[at] ^= 1 << bit;
                    assert!(absent(&changed), "bit {bit} of byte {at}");
                }
                assert!(absent(&value[..at]), "cut at {at}");
            }
            let mut longer = value.clone();
            longer.push(0);
            assert!(absent(&longer));
        }
    }

    #[test]
    fn a_value_of_another_list_reads_as_absent() {
        let list = list(20);
        let first = Manifest::new(&list, KEY, None);
        let second = Manifest::new(&list, KEY, Some(&first));
        assert_eq!((second.generation, second.slot), (2, Slot::B));
        let print = KEY.username(7u32.to_string().as_bytes());
        let bucket = second.bucket_to_bytes(&list, 0, &mut Vec::new());
        assert_eq!(first.bucket_contains(&bucket, print), None);
        let shard = second.shard_to_bytes(&list, 0).unwrap();
        assert_eq!(Assembly::new(first).add(&shard), None);
    }

    #[test]
    fn a_value_of_another_list_of_the_same_generation_reads_as_absent() {
        let (list, other) = (list(20), list(21));
        let manifest = Manifest::new(&list, KEY, None);
        let other_entries = Manifest::new(&other, KEY, None);
        let other_key = Manifest::new(&list, FingerprintKey::from_words([1, 3]), None);
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
        let sound = Manifest::new(&list(20), KEY, None);
        let read = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = sound.clone();
            change(&mut manifest);
            Manifest::from_bytes(&manifest.to_bytes())
        };
        assert!(read(&|_| {}).is_some());
        assert!(read(&|manifest| manifest.other_extent.buckets = 1 << MAX_BUCKET_BITS).is_some());
        assert_eq!(
            read(&|manifest| manifest.extent.range_chunks = u32::MAX),
            None
        );
        assert_eq!(
            read(&|manifest| manifest.other_extent.shards = u32::MAX),
            None
        );
        assert_eq!(
            read(&|manifest| manifest.other_extent.buckets = u32::MAX),
            None
        );
        assert_eq!(
            read(&|manifest| manifest.other_extent.range_chunks = u32::MAX),
            None
        );
        // The largest list that a configuration allows is one of ranges alone, each in a chunk with others.
        let most = (1u64 << 30) / (8 * INTERVALS_PER_CHUNK as u64);
        assert!(most + 1 < u64::from(MAX_RANGE_CHUNKS));
    }

    #[test]
    fn a_newer_format_reads_as_absent() {
        let payload = b"anything";
        let header = FrameHeader {
            generation: 1,
            index: 0,
        };
        let mut bytes = frame(Record::Bucket, header, payload);
        assert!(unframe(Record::Bucket, &bytes).is_some());
        assert!(unframe(Record::Shard, &bytes).is_none());
        bytes[4] = FORMAT + 1;
        let sum = checksum([0; 2], &bytes[..24], payload);
        bytes[24..32].copy_from_slice(&sum.to_le_bytes());
        assert!(unframe(Record::Bucket, &bytes).is_none());
    }
}
