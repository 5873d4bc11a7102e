//! Builds a list from a stream of entries: fingerprints only, no strings, memory bounded.
//! Writes nothing to shared data.

use core::hash::Hasher;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use super::lifetimes::Lifetimes;
use super::membership::{MembershipFilter, Shard, bits_for, top_bits};
use super::partition::{NEVER, Partition};
use super::ranges::AddressRanges;
use crate::identifier::{ClientIdentifier, Fingerprint, FingerprintKey, IdentifierKind, PerKind};

/// Entries are partitioned by the top bits of their fingerprint, so that no large array is sorted.
const PARTITION_BITS: u8 = 8;
const N_PARTITIONS: usize = 1 << PARTITION_BITS;

/// A bucket has about 1 KiB: the host copies the value while it holds its mutex.
const ENTRIES_PER_BUCKET: usize = 128;
/// Bounds the number of buckets, and so the set of shared-data keys: 16.7 million entries in buckets of 128.
pub(crate) const MAX_BUCKET_BITS: u8 = 17;

/// The size of an entry in shared data: 8 bytes in its bucket, the rest in the membership filter and the frames.
const STORED_BYTES_PER_ENTRY: u64 = 10;

/// What each entry of a list takes in addition if any of them has a time to live.
const STORED_BYTES_PER_TIME_TO_LIVE: u64 = 4;

/// The list is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTooLarge {
    /// The bound, in bytes.
    pub limit: u64,
}

/// A list that is being built.
#[derive(Debug)]
pub struct Builder {
    key: FingerprintKey,
    limit: u64,
    partitions: Vec<Partition>,
    n_entries: u64,
    has_times_to_live: bool,
    ranges: AddressRanges,
}

impl Builder {
    /// An empty list, for at most `limit` bytes in shared data.
    pub fn new(key: FingerprintKey, limit: u64) -> Self {
        Self {
            key,
            limit,
            partitions: vec![Partition::default(); N_PARTITIONS],
            n_entries: 0,
            has_times_to_live: false,
            ranges: AddressRanges::default(),
        }
    }

    /// Adds an identifier that ends by itself after `time_to_live`, if it has one. Of several the longest counts.
    ///
    /// # Errors
    ///
    /// The list is larger than it may be.
    pub fn insert(
        &mut self,
        identifier: ClientIdentifier<'_>,
        time_to_live: Option<Duration>,
    ) -> Result<(), ListTooLarge> {
        let time_to_live = time_to_live.map_or(NEVER, whole_seconds);
        match identifier {
            ClientIdentifier::Ip(range) if range.prefix_len() < range.max_prefix_len() => {
                self.ranges.push_expiring(range, time_to_live);
            }
            identifier => {
                self.insert_fingerprint(identifier.fingerprint(&self.key), time_to_live);
            }
        }
        self.check_occasionally()
    }

    fn insert_fingerprint(&mut self, fingerprint: Fingerprint, time_to_live: u32) {
        let index = top_bits(fingerprint.0, PARTITION_BITS);
        let Some(partition) = self.partitions.get_mut(index) else {
            return;
        };
        self.has_times_to_live |= time_to_live != NEVER;
        let duplicates = partition.push(fingerprint.0, time_to_live);
        let duplicates = u64::try_from(duplicates).unwrap_or(0);
        self.n_entries = self.n_entries.saturating_sub(duplicates).saturating_add(1);
    }

    /// The finished list.
    ///
    /// # Errors
    ///
    /// The list is larger than it may be.
    pub fn finish(mut self) -> Result<Blocklist, ListTooLarge> {
        self.check()?;
        let mut counts = PerKind::<u64>::default();
        let mut digest = SipHasher13::new_with_keys(self.n_entries, 0);
        for fingerprint in self.partitions.iter().flat_map(Partition::fingerprints) {
            digest.write_u64(*fingerprint);
            if let Some(kind) = Fingerprint(*fingerprint).kind() {
                let count = counts.get_mut(kind);
                *count = count.saturating_add(1);
            }
        }
        for (first, last) in self.ranges.v4() {
            digest.write_u32(*first);
            digest.write_u32(*last);
        }
        for (first, last) in self.ranges.v6() {
            digest.write_u128(*first);
            digest.write_u128(*last);
        }
        for (first, last, _) in self.ranges.expiring() {
            digest.write_u128(*first);
            digest.write_u128(*last);
        }
        let n_ranges = u64::try_from(self.ranges.len()).unwrap_or(u64::MAX);
        let ips = counts.get_mut(IdentifierKind::Ip);
        *ips = ips.saturating_add(n_ranges);
        let n_entries = usize::try_from(self.n_entries).unwrap_or(usize::MAX);
        Ok(Blocklist {
            partitions: self.partitions,
            ranges: self.ranges,
            counts,
            digest: digest.finish(),
            shard_bits: MembershipFilter::shard_bits_for(n_entries),
            bucket_bits: bits_for(n_entries.div_ceil(ENTRIES_PER_BUCKET), MAX_BUCKET_BITS),
        })
    }

    /// Finding duplicates takes time, so they are removed only when the list exceeds its limit by an eighth.
    fn check_occasionally(&mut self) -> Result<(), ListTooLarge> {
        if self.stored_bytes() > self.limit.saturating_add(self.limit / 8) {
            self.check()?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), ListTooLarge> {
        self.ranges.seal();
        self.drop_duplicates();
        if self.stored_bytes() > self.limit {
            return Err(ListTooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn drop_duplicates(&mut self) {
        let mut n_entries = 0usize;
        for partition in &mut self.partitions {
            partition.sort();
            n_entries = n_entries.saturating_add(partition.fingerprints().len());
        }
        self.n_entries = u64::try_from(n_entries).unwrap_or(u64::MAX);
    }

    fn stored_bytes(&self) -> u64 {
        let ranges = u64::try_from(self.ranges.stored_bytes()).unwrap_or(u64::MAX);
        let per_entry = match self.has_times_to_live {
            true => STORED_BYTES_PER_ENTRY.saturating_add(STORED_BYTES_PER_TIME_TO_LIVE),
            false => STORED_BYTES_PER_ENTRY,
        };
        self.n_entries
            .saturating_mul(per_entry)
            .saturating_add(ranges)
    }
}

/// A fraction of a second counts as a second.
fn whole_seconds(time_to_live: Duration) -> u32 {
    let seconds = time_to_live.as_secs();
    let seconds = seconds.saturating_add(u64::from(time_to_live.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(NEVER)
}

/// A finished list, ready to be published.
#[derive(Debug)]
pub struct Blocklist {
    /// Sorted, without duplicates, also across partitions.
    partitions: Vec<Partition>,
    ranges: AddressRanges,
    counts: PerKind<u64>,
    digest: u64,
    shard_bits: u8,
    bucket_bits: u8,
}

impl Blocklist {
    /// Entries by kind, ranges counted as addresses, without duplicates.
    pub fn counts(&self) -> &PerKind<u64> {
        &self.counts
    }

    /// The number of entries, including ranges.
    pub fn n_entries(&self) -> u64 {
        self.counts.total()
    }

    /// Equal for lists with the same entries under the same key.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// The address ranges.
    pub fn ranges(&self) -> &AddressRanges {
        &self.ranges
    }

    /// Its fingerprints, sorted also across partitions, and its ranges.
    pub(super) fn into_parts(self) -> (Vec<Partition>, AddressRanges) {
        (self.partitions, self.ranges)
    }

    pub(crate) fn shard_bits(&self) -> u8 {
        self.shard_bits
    }

    pub(crate) fn bucket_bits(&self) -> u8 {
        self.bucket_bits
    }

    /// Builds shard `index` of the membership filter.
    pub(crate) fn shard(&self, index: usize) -> Option<Shard> {
        let mut entries = Vec::new();
        self.entries_with_prefix(self.shard_bits, index, &mut entries);
        let fingerprints: Vec<u64> = entries
            .into_iter()
            .map(|(fingerprint, _)| fingerprint)
            .collect();
        Shard::build(&fingerprints)
    }

    /// How long the entries last.
    pub(super) fn lifetimes(&self) -> Lifetimes {
        let mut lifetimes = Lifetimes::default();
        for partition in &self.partitions {
            for index in 0..partition.fingerprints().len() {
                lifetimes.add(partition.time_to_live(index));
            }
        }
        let expiring = self.ranges.expiring().iter().map(|(_, _, time)| *time);
        let v4 = self.ranges.v4().iter().map(|_| NEVER);
        let v6 = self.ranges.v6().iter().map(|_| NEVER);
        expiring
            .chain(v4)
            .chain(v6)
            .for_each(|time| lifetimes.add(time));
        lifetimes
    }

    /// Whether any entry ends by itself.
    pub fn expires(&self) -> bool {
        !self.ranges.expiring().is_empty() || self.has_times_to_live()
    }

    /// Whether any fingerprint ends by itself.
    pub(super) fn has_times_to_live(&self) -> bool {
        self.partitions.iter().any(Partition::has_times_to_live)
    }

    /// Replaces `entries` with those whose top `bits` equal `index`, in order: fingerprints and times to live in seconds.
    pub(crate) fn entries_with_prefix(
        &self,
        bits: u8,
        index: usize,
        entries: &mut Vec<(u64, u32)>,
    ) {
        entries.clear();
        let fewer = PARTITION_BITS.saturating_sub(bits);
        let more = bits.saturating_sub(PARTITION_BITS);
        // A prefix that is not longer covers whole partitions.
        let n = 1usize.checked_shl(u32::from(fewer)).unwrap_or(0);
        let first = index
            .checked_shr(u32::from(more))
            .unwrap_or(0)
            .saturating_mul(n);
        for partition in self.partitions.iter().skip(first).take(n) {
            let fingerprints = partition.fingerprints();
            let start = fingerprints.partition_point(|e| top_bits(*e, bits) < index);
            let of_index = fingerprints.iter().enumerate().skip(start);
            let of_index = of_index.take_while(|(_, e)| top_bits(**e, bits) == index);
            entries.extend(of_index.map(|(at, e)| (*e, partition.time_to_live(at))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const KEY: FingerprintKey = FingerprintKey::from_words([1, 2]);

    fn names(range: core::ops::Range<u32>, limit: u64) -> Result<Blocklist, ListTooLarge> {
        let mut builder = Builder::new(KEY, limit);
        for i in range {
            builder.insert(ClientIdentifier::Username(i.to_string().as_bytes()), None)?;
        }
        builder.finish()
    }

    #[test]
    fn prefixes_partition_the_entries_in_order() {
        let list = names(0..50_000, u64::MAX).unwrap();
        for bits in [0, 1, 7, 8, 9, 12] {
            let (mut all, mut some) = (Vec::new(), Vec::new());
            for index in 0..1usize << bits {
                list.entries_with_prefix(bits, index, &mut some);
                assert!(some.iter().all(|(e, _)| top_bits(*e, bits) == index));
                all.extend_from_slice(&some);
            }
            assert_eq!(all.len(), 50_000, "{bits} bits");
            assert!(all.is_sorted());
        }
    }

    #[test]
    fn duplicates_count_once_and_use_no_memory() {
        let mut builder = Builder::new(KEY, 1_000);
        for i in 0..100_000u32 {
            builder
                .insert(
                    ClientIdentifier::Username((i % 50).to_string().as_bytes()),
                    None,
                )
                .unwrap();
        }
        let kept: usize = builder.partitions.iter().map(Partition::capacity).sum();
        assert!(kept < 10_000, "{kept}");
        let list = builder.finish().unwrap();
        assert_eq!(list.counts().username, 50);
    }

    #[test]
    fn lists_over_the_limit_are_rejected() {
        assert!(names(0..100, 1_000).is_ok());
        assert_eq!(
            names(0..101, 1_000).unwrap_err(),
            ListTooLarge { limit: 1_000 }
        );
        assert_eq!(
            names(0..10_000, 1_000).unwrap_err(),
            ListTooLarge { limit: 1_000 }
        );
        let mut builder = Builder::new(KEY, 16);
        builder
            .insert(ClientIdentifier::Ip("10.0.0.0/8".parse().unwrap()), None)
            .unwrap();
        builder
            .insert(ClientIdentifier::Ip("12.0.0.0/8".parse().unwrap()), None)
            .unwrap();
        builder
            .insert(ClientIdentifier::Ip("10.0.0.0/9".parse().unwrap()), None)
            .unwrap();
        builder
            .insert(ClientIdentifier::Ip("14.0.0.0/8".parse().unwrap()), None)
            .unwrap_err();
    }

    #[test]
    fn times_to_live_count_for_the_limit() {
        let list = |n: u32| {
            let mut builder = Builder::new(KEY, 1_400);
            for i in 0..n {
                let name = i.to_string();
                let identifier = ClientIdentifier::Username(name.as_bytes());
                builder.insert(identifier, Some(Duration::from_secs(60)))?;
            }
            builder.finish()
        };
        assert!(list(100).is_ok());
        assert_eq!(list(101).unwrap_err(), ListTooLarge { limit: 1_400 });
    }

    #[test]
    fn the_digest_depends_on_the_entries_and_not_on_their_order() {
        let mut forward = Builder::new(KEY, u64::MAX);
        let mut backward = Builder::new(KEY, u64::MAX);
        for i in 0..1_000u32 {
            forward
                .insert(ClientIdentifier::ApiKey(&i.to_le_bytes()), None)
                .unwrap();
            backward
                .insert(ClientIdentifier::ApiKey(&(999 - i).to_le_bytes()), None)
                .unwrap();
        }
        let (forward, backward) = (forward.finish().unwrap(), backward.finish().unwrap());
        assert_eq!(forward.digest(), backward.digest());
        assert_ne!(
            forward.digest(),
            names(0..1_000, u64::MAX).unwrap().digest()
        );
    }

    #[test]
    fn entries_are_counted_by_kind_and_ranges_as_addresses() {
        let mut builder = Builder::new(KEY, u64::MAX);
        builder
            .insert(ClientIdentifier::Ip("192.0.2.1/32".parse().unwrap()), None)
            .unwrap();
        builder
            .insert(ClientIdentifier::Ip("192.0.2.1/32".parse().unwrap()), None)
            .unwrap();
        builder
            .insert(
                ClientIdentifier::Ip("198.51.100.0/24".parse().unwrap()),
                None,
            )
            .unwrap();
        let cookie = ClientIdentifier::Cookie {
            name: b"S",
            value: b"1",
        };
        builder.insert(cookie, None).unwrap();
        let list = builder.finish().unwrap();
        assert_eq!((list.counts().ip, list.counts().cookie), (2, 1));
    }
}
