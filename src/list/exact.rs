//! A list in the memory that all threads of a process share: every look-up is exact. Knows no clock.

use core::time::Duration;
use std::net::IpAddr;

use super::active::ActiveList;
use super::builder::Blocklist;
use super::lifetimes::Lifetimes;
use super::membership::top_bits;
use super::partition::NEVER;
use super::prefilter::Prefilter;
use super::ranges::AddressRanges;
use crate::host::System;
use crate::identifier::{Fingerprint, FingerprintKey, PerKind};

/// The number of fingerprints between two entries of the index, approximately: they fit one or two cache lines.
const FINGERPRINTS_PER_START: usize = 8;

/// Bounds the index: 64 MiB, for 134 million fingerprints.
const MAX_INDEX_BITS: u8 = 24;

/// A list in memory.
#[derive(Debug)]
pub struct ExactList {
    key: FingerprintKey,
    digest: u64,
    counts: PerKind<u64>,
    kinds: PerKind<bool>,
    /// When it was received, on the monotonic clock; times to live count from there.
    received: Duration,
    lifetimes: Lifetimes,
    expires: bool,
    /// Sorted.
    fingerprints: Vec<u64>,
    /// Of each fingerprint, in seconds; empty if none ends by itself.
    times_to_live: Vec<u32>,
    /// Where the fingerprints with each value of the top `index_bits` bits start, and the end of the last.
    starts: Vec<u32>,
    index_bits: u8,
    /// So that most look-ups read one word only.
    prefilter: Prefilter,
    ranges: AddressRanges,
}

impl ExactList {
    /// The list of these entries, received at `received`. `key`: of its fingerprints.
    pub fn new(list: Blocklist, key: FingerprintKey, received: Duration) -> Self {
        let (digest, counts) = (list.digest(), *list.counts());
        let (lifetimes, expires) = (list.lifetimes(), list.expires());
        let with_times = list.has_times_to_live();
        let (partitions, ranges) = list.into_parts();
        let n = partitions
            .iter()
            .map(|partition| partition.fingerprints().len())
            .fold(0, usize::saturating_add);
        let mut fingerprints = Vec::with_capacity(n);
        let mut times_to_live = Vec::with_capacity(if with_times { n } else { 0 });
        for partition in partitions {
            partition.move_to(&mut fingerprints, &mut times_to_live, with_times);
        }
        let index_bits = index_bits_for(n);
        Self {
            key,
            digest,
            counts,
            kinds: counts.map(|count| count > 0),
            received,
            lifetimes,
            expires,
            starts: starts(&fingerprints, index_bits),
            index_bits,
            prefilter: Prefilter::new(&fingerprints),
            fingerprints,
            times_to_live,
            ranges,
        }
    }

    /// Entries by kind, ranges counted as addresses.
    pub fn counts(&self) -> &PerKind<u64> {
        &self.counts
    }

    /// The key of its fingerprints.
    pub fn key(&self) -> &FingerprintKey {
        &self.key
    }

    /// Whether any entry ends by itself.
    pub fn expires(&self) -> bool {
        self.expires
    }

    /// Whether both lists have the same entries, whatever their times to live.
    pub fn is_same_list(&self, other: &Self) -> bool {
        (self.key, self.digest, self.counts) == (other.key, other.digest, other.counts)
    }

    /// The number of entries that have certainly not ended at `now`, on the monotonic clock.
    pub fn n_entries_at(&self, now: Duration) -> u64 {
        if !self.expires {
            return self.counts.total();
        }
        let passed = now.saturating_sub(self.received);
        self.lifetimes.remaining(passed.as_secs())
    }

    /// Its memory, in bytes.
    pub fn memory(&self) -> u64 {
        let memory = [
            (self.fingerprints.capacity(), size_of::<u64>()),
            (self.times_to_live.capacity(), size_of::<u32>()),
            (self.starts.capacity(), size_of::<u32>()),
            (self.prefilter.memory(), 1),
            (self.ranges.stored_bytes(), 1),
        ];
        let memory = memory.map(|(n, size)| n.saturating_mul(size));
        let memory = memory.into_iter().fold(0, usize::saturating_add);
        u64::try_from(memory).unwrap_or(u64::MAX)
    }

    /// The index of a fingerprint.
    fn position(&self, fingerprint: u64) -> Option<usize> {
        if !self.prefilter.may_contain(fingerprint) {
            return None;
        }
        let index = top_bits(fingerprint, self.index_bits);
        let start = usize::try_from(*self.starts.get(index)?).ok()?;
        let end = usize::try_from(*self.starts.get(index.checked_add(1)?)?).ok()?;
        let found = self
            .fingerprints
            .get(start..end)?
            .binary_search(&fingerprint);
        start.checked_add(found.ok()?)
    }

    /// Whether an entry with this time to live has not ended. Reads the clock only for one that ends by itself.
    fn is_active(&self, time_to_live: u32, clock: &dyn System) -> bool {
        time_to_live == NEVER || {
            let time_to_live = Duration::from_secs(time_to_live.into());
            clock.monotonic_now() < self.received.saturating_add(time_to_live)
        }
    }
}

/// So that there are [`FINGERPRINTS_PER_START`].
fn index_bits_for(n_fingerprints: usize) -> u8 {
    let n_starts = n_fingerprints / FINGERPRINTS_PER_START;
    let bits = n_starts.checked_ilog2().unwrap_or(0);
    u8::try_from(bits).map_or(MAX_INDEX_BITS, |bits| bits.min(MAX_INDEX_BITS))
}

fn starts(fingerprints: &[u64], index_bits: u8) -> Vec<u32> {
    let n = 1usize.checked_shl(index_bits.into()).unwrap_or(0);
    let mut starts = Vec::with_capacity(n.saturating_add(1));
    for (position, fingerprint) in (0u32..).zip(fingerprints) {
        let index = top_bits(*fingerprint, index_bits);
        while starts.len() <= index {
            starts.push(position);
        }
    }
    starts.resize(
        n.saturating_add(1),
        u32::try_from(fingerprints.len()).unwrap_or(u32::MAX),
    );
    starts
}

/// An [`ExactList`] during one request.
#[derive(Clone, Copy)]
pub struct ExactView<'a> {
    list: &'a ExactList,
    is_stale: bool,
    clock: &'a dyn System,
}

impl<'a> ExactView<'a> {
    /// `list` during a request. `clock`: for entries that end by themselves.
    pub fn new(list: &'a ExactList, is_stale: bool, clock: &'a dyn System) -> Self {
        Self {
            list,
            is_stale,
            clock,
        }
    }
}

impl ActiveList for ExactView<'_> {
    const LOOKS_UP_TOGETHER: bool = true;

    fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn kinds(&self) -> PerKind<bool> {
        self.list.kinds
    }

    fn contains_address(&self, address: IpAddr) -> bool {
        let ranges = &self.list.ranges;
        ranges.contains(address)
            || ranges
                .time_to_live(address)
                .is_some_and(|time| self.list.is_active(time, self.clock))
    }

    fn key(&self) -> &FingerprintKey {
        &self.list.key
    }

    fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        self.list.position(fingerprint.0).is_some()
    }

    fn contains(&mut self, fingerprint: Fingerprint) -> bool {
        self.list.position(fingerprint.0).is_some_and(|position| {
            let time_to_live = self.list.times_to_live.get(position);
            let time_to_live = time_to_live.copied().unwrap_or(NEVER);
            self.list.is_active(time_to_live, self.clock)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::{MemoryHost, MemoryProcess};
    use crate::identifier::ClientIdentifier;
    use crate::list::Builder;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);

    fn list(n: u32, time_to_live: impl Fn(u32) -> Option<Duration>) -> ExactList {
        let mut builder = Builder::new(KEY, u64::MAX);
        for i in 0..n {
            let name = i.to_string();
            let name = ClientIdentifier::Username(name.as_bytes());
            builder.insert(name, time_to_live(i)).unwrap();
        }
        ExactList::new(builder.finish().unwrap(), KEY, Duration::from_secs(5))
    }

    fn contains(list: &ExactList, clock: &MemoryHost, name: u32) -> (bool, bool) {
        let name = name.to_string();
        let fingerprint = ClientIdentifier::Username(name.as_bytes()).fingerprint(&KEY);
        let mut view = ExactView::new(list, false, clock);
        (view.may_contain(fingerprint), view.contains(fingerprint))
    }

    #[test]
    fn a_list_of_any_size_contains_its_entries_only() {
        let clock = MemoryHost::default();
        for n in [0, 1, 2, 7, 8, 9, 255, 256, 5_000] {
            let list = list(n, |_| None);
            for name in 0..n {
                assert_eq!(contains(&list, &clock, name), (true, true), "{name} of {n}");
            }
            for name in n..n + 2_000 {
                assert_eq!(
                    contains(&list, &clock, name),
                    (false, false),
                    "{name} of {n}"
                );
            }
            assert_eq!(list.counts().total(), u64::from(n));
        }
    }

    #[test]
    fn an_entry_ends_after_its_time_to_live() {
        let list = list(100, |i| (i % 2 == 0).then(|| Duration::from_secs(30)));
        let at = |seconds| {
            let now = Duration::from_secs(seconds);
            MemoryHost::new(&MemoryProcess::new(now, Duration::ZERO, 1))
        };
        for (seconds, expected) in [(34, true), (35, false)] {
            let clock = at(seconds);
            assert_eq!(contains(&list, &clock, 8), (true, expected), "{seconds}");
            assert_eq!(contains(&list, &clock, 9), (true, true), "{seconds}");
        }
        assert_eq!(list.n_entries_at(Duration::from_secs(60)), 50);
    }

    #[test]
    fn an_entry_takes_ten_bytes_at_most() {
        let list = list(100_000, |_| None);
        assert!(list.memory() <= 1_000_000, "{}", list.memory());
    }
}
