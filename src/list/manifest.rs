//! The manifest of a published list, and the list's values in shared data.
//!
//! The manifest is written last, so it names only complete lists. The values are shards of the membership filter, buckets
//! of fingerprints and chunks of address ranges. `sync` decides their keys.

use core::time::Duration;

use super::builder::{Blocklist, MAX_BUCKET_BITS};
use super::frame::{FrameHeader, Reader, Record, frame, frame_of, unframe, unframe_of};
use super::lifetimes::Lifetimes;
use super::membership::{MAX_SHARD_BITS, top_bits};
use super::partition::NEVER;
use crate::identifier::{Fingerprint, FingerprintKey, IdentifierKind, PerKind};

/// Intervals in one value of ranges: at most 256 KiB of IPv6, so that no copy under the host's mutex is long.
const INTERVALS_PER_CHUNK: usize = 8_192;

/// The first byte of a chunk: what its intervals are.
pub(super) const V4_CHUNK: u8 = 4;
pub(super) const V6_CHUNK: u8 = 6;
pub(super) const EXPIRING_CHUNK: u8 = 0;

/// In the place of the time at which the list was received: no entry ends by itself.
const NOT_EXPIRING: u64 = u64::MAX;

/// The largest number of chunks. No `attack_list_memory` has room for so many.
const MAX_RANGE_CHUNKS: u32 = 1 << 15;

/// One of the two slots: one holds the active list while the other is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Slot {
    /// The first slot.
    A = 0,
    /// The second slot.
    B = 1,
}

impl Slot {
    /// The slot that is free while this one is active.
    pub fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// The number of values of each record that a slot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Shards of the membership filter.
    pub shards: u32,
    /// Buckets.
    pub buckets: u32,
    /// Chunks of ranges.
    pub range_chunks: u32,
}

impl Layout {
    /// Whether a list can have so many values. Clearing a slot writes each of them, so a forged large number would block
    /// the thread.
    fn is_possible(self) -> bool {
        self.shards <= 1 << MAX_SHARD_BITS
            && self.buckets <= 1 << MAX_BUCKET_BITS
            && self.range_chunks <= MAX_RANGE_CHUNKS
    }
}

/// Describes the active list and where its values are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The number of the list; each published list of the process has the next number.
    pub generation: u64,
    /// The slot of the list.
    pub slot: Slot,
    /// The key of its fingerprints.
    pub key: FingerprintKey,
    /// Equal for lists with the same entries, whatever their times to live.
    pub digest: u64,
    /// When the list was received, on the monotonic clock, if entries end by themselves.
    pub received: Option<Duration>,
    /// How long the entries last.
    pub(super) lifetimes: Lifetimes,
    /// Entries by kind.
    pub counts: PerKind<u64>,
    /// The size of the list in shared data, in bytes.
    pub stored_bytes: u64,
    /// The number of top bits that select a shard.
    pub shard_bits: u8,
    /// The number of top bits that select a bucket.
    pub bucket_bits: u8,
    /// The values in the slot.
    pub layout: Layout,
    /// The values that are still in the other slot.
    pub other_layout: Layout,
}

impl Manifest {
    /// The manifest of `list`, which was received at `now`. `stored_bytes` is 0 until the list is written.
    pub fn new(
        list: &Blocklist,
        key: FingerprintKey,
        previous: Option<&Manifest>,
        now: Duration,
    ) -> Self {
        let chunks = |n: usize| u32::try_from(n.div_ceil(INTERVALS_PER_CHUNK)).unwrap_or(u32::MAX);
        let ranges = list.ranges();
        Self {
            generation: previous.map_or(1, |previous| previous.generation.saturating_add(1)),
            slot: previous.map_or(Slot::A, |previous| previous.slot.other()),
            key,
            digest: list.digest(),
            received: list.expires().then_some(now),
            lifetimes: list.lifetimes(),
            counts: *list.counts(),
            stored_bytes: 0,
            shard_bits: list.shard_bits(),
            bucket_bits: list.bucket_bits(),
            layout: Layout {
                shards: 1u32.checked_shl(list.shard_bits().into()).unwrap_or(0),
                buckets: 1u32.checked_shl(list.bucket_bits().into()).unwrap_or(0),
                range_chunks: [
                    ranges.v4().len(),
                    ranges.v6().len(),
                    ranges.expiring().len(),
                ]
                .map(chunks)
                .into_iter()
                .fold(0, u32::saturating_add),
            },
            other_layout: previous.map_or(Layout::default(), |previous| previous.layout),
        }
    }

    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = vec![self.slot as u8, self.shard_bits, self.bucket_bits];
        let [first, second] = self.key.to_words();
        let received = self.received.map_or(NOT_EXPIRING, |received| {
            u64::try_from(received.as_millis()).unwrap_or(NOT_EXPIRING)
        });
        let mut numbers = vec![first, second, self.digest, received, self.stored_bytes];
        numbers.extend(IdentifierKind::ALL.map(|kind| *self.counts.get(kind)));
        for number in numbers {
            payload.extend_from_slice(&number.to_le_bytes());
        }
        for layout in [self.layout, self.other_layout] {
            for number in [layout.shards, layout.buckets, layout.range_chunks] {
                payload.extend_from_slice(&number.to_le_bytes());
            }
        }
        for number in self.lifetimes.to_numbers() {
            payload.extend_from_slice(&number.to_le_bytes());
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
        let digest = reader.u64()?;
        let received = Some(reader.u64()?).filter(|received| *received != NOT_EXPIRING);
        let stored_bytes = reader.u64()?;
        let mut counts = PerKind::default();
        for kind in IdentifierKind::ALL {
            *counts.get_mut(kind) = reader.u64()?;
        }
        let mut layout = || {
            Some(Layout {
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
            received: received.map(Duration::from_millis),
            counts,
            stored_bytes,
            shard_bits,
            bucket_bits,
            layout: layout()?,
            other_layout: layout()?,
            lifetimes: Lifetimes::read(&mut reader)?,
        };
        let sound = 1u32.checked_shl(shard_bits.into()) == Some(manifest.layout.shards)
            && 1u32.checked_shl(bucket_bits.into()) == Some(manifest.layout.buckets)
            && manifest.layout.is_possible()
            && manifest.other_layout.is_possible()
            && reader.0.is_empty();
        sound.then_some(manifest)
    }

    /// The value that replaces a manifest when its list is dropped on purpose: workers stop enforcing it. A manifest that
    /// is lost has no such effect.
    pub fn dropped(generation: u64) -> Vec<u8> {
        let header = FrameHeader {
            generation,
            index: 0,
        };
        frame(Record::Manifest, header, &[])
    }

    /// The generation of the dropped list, if `bytes` are from [`Manifest::dropped`].
    pub fn dropped_generation(bytes: &[u8]) -> Option<u64> {
        let (header, payload) = unframe(Record::Manifest, bytes)?;
        payload.is_empty().then_some(header.generation)
    }

    /// The number of entries of all kinds.
    pub fn n_entries(&self) -> u64 {
        self.counts.total()
    }

    /// The number of entries that have certainly not ended at `now`, on the monotonic clock: it may be less than that of those
    /// which last.
    pub fn n_entries_at(&self, now: Duration) -> u64 {
        match self.received {
            Some(received) => self
                .lifetimes
                .remaining(now.saturating_sub(received).as_secs()),
            None => self.n_entries(),
        }
    }

    /// Whether both lists have the same entries, whatever their times to live.
    pub fn is_same_list(&self, other: &Manifest) -> bool {
        (self.key, self.digest, self.counts) == (other.key, other.digest, other.counts)
    }

    /// The index of the bucket for a fingerprint.
    pub fn bucket_index(&self, fingerprint: Fingerprint) -> u32 {
        u32::try_from(top_bits(fingerprint.0, self.bucket_bits)).unwrap_or(u32::MAX)
    }

    fn header(&self, index: u32) -> FrameHeader {
        FrameHeader {
            generation: self.generation,
            index,
        }
    }

    /// The key of the checksums of the list's values. It depends on the entries: values of two concurrent publishers, or of
    /// an older list whose manifest was lost, are not mistaken for values of this list.
    fn identity(&self) -> [u64; 2] {
        let [first, second] = self.key.to_words();
        [first ^ self.digest, second]
    }

    fn frame(&self, record: Record, index: u32, payload: &[u8]) -> Vec<u8> {
        frame_of(self.identity(), record, self.header(index), payload)
    }

    /// The payload of a value; `None` if it is not this value of this list.
    pub(super) fn unframe<'a>(
        &self,
        record: Record,
        index: u32,
        bytes: &'a [u8],
    ) -> Option<&'a [u8]> {
        let (header, payload) = unframe_of(self.identity(), record, bytes)?;
        (header == self.header(index)).then_some(payload)
    }

    /// Whether `bytes` are value `index` of this list, complete and unchanged.
    pub fn is_value(&self, record: Record, index: u32, bytes: &[u8]) -> bool {
        self.unframe(record, index, bytes).is_some()
    }

    /// The value of shard `index` of `list`; `None` if it can't be built.
    pub fn shard_to_bytes(&self, list: &Blocklist, index: u32) -> Option<Vec<u8>> {
        let shard = list.shard(usize::try_from(index).ok()?)?;
        Some(self.frame(Record::Shard, index, shard.as_bytes()))
    }

    /// The value of bucket `index` of `list`. `entries` is scratch space.
    pub fn bucket_to_bytes(
        &self,
        list: &Blocklist,
        index: u32,
        entries: &mut Vec<(u64, u32)>,
    ) -> Vec<u8> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        list.entries_with_prefix(self.bucket_bits, at, entries);
        let mut payload = Vec::new();
        for (fingerprint, time_to_live) in entries {
            payload.extend_from_slice(&fingerprint.to_le_bytes());
            if self.received.is_some() {
                payload.extend_from_slice(&time_to_live.to_le_bytes());
            }
        }
        self.frame(Record::Bucket, index, &payload)
    }

    /// The values of the ranges of `list`, in order.
    pub fn ranges_to_bytes(&self, list: &Blocklist) -> Vec<Vec<u8>> {
        let ranges = list.ranges();
        let v4 = chunks(V4_CHUNK, ranges.v4(), |(first, last), payload| {
            payload.extend_from_slice(&first.to_le_bytes());
            payload.extend_from_slice(&last.to_le_bytes());
        });
        let v6 = chunks(V6_CHUNK, ranges.v6(), |(first, last), payload| {
            payload.extend_from_slice(&first.to_le_bytes());
            payload.extend_from_slice(&last.to_le_bytes());
        });
        let expiring = ranges.expiring();
        let expiring = chunks(EXPIRING_CHUNK, expiring, |(first, last, ttl), payload| {
            payload.extend_from_slice(&first.to_le_bytes());
            payload.extend_from_slice(&last.to_le_bytes());
            payload.extend_from_slice(&ttl.to_le_bytes());
        });
        v4.chain(v6)
            .chain(expiring)
            .zip(0u32..)
            .map(|(payload, index)| self.frame(Record::Ranges, index, &payload))
            .collect()
    }

    /// What the bucket of the fingerprint says about it; `None` if the value is not of this list.
    pub fn look_up(&self, bytes: &[u8], fingerprint: Fingerprint) -> Option<Membership> {
        let payload = self.unframe(Record::Bucket, self.bucket_index(fingerprint), bytes)?;
        if self.received.is_none() {
            let (entries, rest) = payload.as_chunks::<8>();
            let found = entries.binary_search_by_key(&fingerprint.0, |it| u64::from_le_bytes(*it));
            let membership = found.map_or(Membership::Absent, |_| Membership::Listed);
            return rest.is_empty().then_some(membership);
        }
        let (entries, rest) = payload.as_chunks::<12>();
        let read = |entry: &[u8; 12]| {
            let mut reader = Reader(entry);
            (reader.u64().unwrap_or(0), reader.u32().unwrap_or(0))
        };
        let found = entries.binary_search_by_key(&fingerprint.0, |entry| read(entry).0);
        let entry = found.ok().and_then(|index| entries.get(index));
        let membership = entry.map_or(Membership::Absent, |entry| self.until(read(entry).1));
        rest.is_empty().then_some(membership)
    }

    /// The membership of an entry with this time to live.
    pub fn until(&self, time_to_live: u32) -> Membership {
        match self.received {
            Some(received) if time_to_live != NEVER => {
                let time_to_live = Duration::from_secs(time_to_live.into());
                Membership::Until(received.saturating_add(time_to_live))
            }
            _ => Membership::Listed,
        }
    }
}

/// What a list says about an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It is not on the list.
    Absent,
    /// It is on the list.
    Listed,
    /// It is on the list until this time on the monotonic clock.
    Until(Duration),
}

/// Payloads of at most [`INTERVALS_PER_CHUNK`] intervals.
fn chunks<T>(
    tag: u8,
    intervals: &[T],
    write: impl Fn(&T, &mut Vec<u8>),
) -> impl Iterator<Item = Vec<u8>> {
    intervals.chunks(INTERVALS_PER_CHUNK).map(move |chunk| {
        let mut payload = vec![tag];
        for interval in chunk {
            write(interval, &mut payload);
        }
        payload
    })
}

#[cfg(test)]
mod tests;
