//! The membership filter of a list. Every VM keeps one, so that clean requests need no hostcall.
//!
//! A binary fuse filter (Graf and Lemire, "Binary Fuse Filters", 2022) returns "not listed" or "maybe"; the latter for
//! about one clean identifier in 256. It takes about 1.2 bytes per entry. Entries are distributed over shards by the top
//! bits of their fingerprint: building needs little memory, and loading can be spread over ticks. Reads shards without
//! trusting them; the exact entries are in the buckets.

use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter, FilterRef};

use crate::identifier::Fingerprint;

/// The number of entries in a shard, approximately.
const ENTRIES_PER_SHARD: usize = 65_536;

/// Bounds the number of shards, and so the set of shared-data keys.
pub(crate) const MAX_SHARD_BITS: u8 = 10;

/// The membership filter of one list.
#[derive(Clone, Debug, Default)]
pub struct MembershipFilter {
    shard_bits: u8,
    shards: Vec<Shard>,
}

/// The filter of the fingerprints with the same top bits: a descriptor, then 8-bit cells.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    bytes: Vec<u8>,
}

const DESCRIPTOR: usize = BinaryFuse8::DESCRIPTOR_LEN;

impl Shard {
    /// Builds a shard from distinct fingerprints. `None` if construction fails, which is practically impossible without
    /// duplicates.
    pub(crate) fn build(fingerprints: &[u64]) -> Option<Self> {
        if fingerprints.is_empty() {
            return Some(Self { bytes: Vec::new() });
        }
        let filter = BinaryFuse8::try_from(fingerprints).ok()?;
        let mut bytes = vec![0; DESCRIPTOR];
        filter.dma_copy_descriptor_to(&mut bytes);
        bytes.extend_from_slice(filter.dma_fingerprints());
        Some(Self { bytes })
    }

    /// Reads a shard; `None` if a look-up could read out of bounds.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self { bytes });
        }
        let (descriptor, cells) = bytes.split_at_checked(DESCRIPTOR)?;
        let word = |at: usize| -> Option<u32> {
            let end = at.checked_add(4)?;
            Some(u32::from_le_bytes(
                descriptor.get(at..end)?.try_into().ok()?,
            ))
        };
        // The descriptor: seed (8 bytes), segment length, its mask, total length of the start segments. A look-up reads
        // one cell in each of three consecutive segments, the first of which starts below that length.
        let (segment, mask, starts) = (word(8)?, word(12)?, word(16)?);
        let cells_needed = u64::from(starts).checked_add(u64::from(segment).checked_mul(2)?)?;
        let is_valid = segment.is_power_of_two()
            && Some(mask) == segment.checked_sub(1)
            && starts != 0
            && starts.checked_rem(segment) == Some(0)
            && u64::try_from(cells.len()) == Ok(cells_needed);
        is_valid.then_some(Self { bytes })
    }

    /// The bytes, for shared data.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn may_contain(&self, fingerprint: u64) -> bool {
        match self.bytes.split_at_checked(DESCRIPTOR) {
            Some((descriptor, cells)) => {
                BinaryFuse8Ref::from_dma(descriptor, cells).contains(&fingerprint)
            }
            None => false,
        }
    }
}

impl MembershipFilter {
    /// The number of top bits that select the shard, for a list of `n_entries`.
    pub(crate) fn shard_bits_for(n_entries: usize) -> u8 {
        bits_for(n_entries.div_ceil(ENTRIES_PER_SHARD), MAX_SHARD_BITS)
    }

    /// A filter of `1 << shard_bits` shards, in order; `None` if there are more or fewer.
    pub(crate) fn from_shards(shard_bits: u8, shards: Vec<Shard>) -> Option<Self> {
        let expected = 1usize.checked_shl(u32::from(shard_bits))?;
        (shards.len() == expected).then_some(Self { shard_bits, shards })
    }

    /// False: not listed. True: the bucket decides.
    pub fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        self.shards
            .get(top_bits(fingerprint.0, self.shard_bits))
            .is_some_and(|shard| shard.may_contain(fingerprint.0))
    }

    /// The memory of the filter, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.bytes.capacity())
            .fold(0, usize::saturating_add)
    }
}

/// The smallest number of bits with at least `n` values, at most `most`.
pub(crate) fn bits_for(n: usize, most: u8) -> u8 {
    let bits = n.max(1).next_power_of_two().trailing_zeros();
    u8::try_from(bits).unwrap_or(most).min(most)
}

/// The value of the top `bits` of a fingerprint.
pub(crate) fn top_bits(fingerprint: u64, bits: u8) -> usize {
    let shift = 64u32.saturating_sub(u32::from(bits));
    let index = fingerprint.checked_shr(shift).unwrap_or(0);
    usize::try_from(index).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn spread(n: u64) -> Vec<u64> {
        (0..n)
            .map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17))
            .collect()
    }

    #[test]
    fn every_entry_is_found_at_every_size() {
        for n in [0, 1, 2, 3, 4, 5, 10, 100, 1000, 70_000] {
            let entries = spread(n);
            let shard = Shard::build(&entries).unwrap();
            let shard = Shard::from_bytes(shard.as_bytes().to_vec()).unwrap();
            assert!(entries.iter().all(|e| shard.may_contain(*e)), "{n}");
        }
    }

    #[test]
    fn false_positives_are_rare() {
        let shard = Shard::build(&spread(10_000)).unwrap();
        let unlisted = (1..=100_000u64).map(|i| i.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let maybe = unlisted.filter(|s| shard.may_contain(*s)).count();
        assert!(maybe < 1_000, "{maybe} of 100000");
    }

    #[test]
    fn shards_with_out_of_bounds_look_ups_are_rejected() {
        let good = Shard::build(&spread(1_000)).unwrap().bytes;
        for at in 8..DESCRIPTOR {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Some(shard) = Shard::from_bytes(bad) {
                    for probe in spread(2_000) {
                        shard.may_contain(probe);
                    }
                }
            }
        }
        for length in 1..good.len() {
            assert!(Shard::from_bytes(good[..length].to_vec()).is_none());
        }
    }

    #[test]
    fn an_empty_filter_contains_nothing() {
        assert!(!MembershipFilter::default().may_contain(Fingerprint(0)));
        let shard = Shard::build(&[]).unwrap();
        assert!(spread(1_000).iter().all(|e| !shard.may_contain(*e)));
    }

    #[test]
    fn top_bits_are_the_most_significant() {
        assert_eq!(top_bits(u64::MAX, 0), 0);
        assert_eq!(top_bits(u64::MAX, 4), 15);
        assert_eq!(top_bits(1 << 63, 1), 1);
        assert_eq!(bits_for(0, 10), 0);
        assert_eq!(bits_for(9, 10), 4);
        assert_eq!(bits_for(usize::MAX / 4, 10), 10);
    }
}
