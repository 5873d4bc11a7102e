//! A small filter in front of a large list in memory: a look-up reads one word, and most words stay in the processor's
//! caches. Knows no identifier.
//!
//! A Bloom filter whose bits of one entry are all in one word (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient
//! Bloom Filters", 2007). A look-up in the list itself reads memory that no cache holds, several times, and the processor
//! can't predict what follows.

/// So that about one in fifty fingerprints that are not in the list passes.
const BITS_PER_ENTRY: usize = 10;

/// Which fingerprints a list may contain.
#[derive(Debug, Default)]
pub(super) struct Prefilter {
    words: Vec<u64>,
}

impl Prefilter {
    /// The filter of these fingerprints.
    pub(super) fn new(fingerprints: &[u64]) -> Self {
        let n_bits = fingerprints.len().saturating_mul(BITS_PER_ENTRY);
        let mut words = vec![0; n_bits.div_ceil(64)];
        let n = words.len();
        for fingerprint in fingerprints {
            if let Some(word) = words.get_mut(index(*fingerprint, n)) {
                *word |= bits(*fingerprint);
            }
        }
        Self { words }
    }

    /// Whether the list may contain this fingerprint; `false` is certain.
    pub(super) fn may_contain(&self, fingerprint: u64) -> bool {
        let word = self.words.get(index(fingerprint, self.words.len()));
        let bits = bits(fingerprint);
        word.is_some_and(|word| word & bits == bits)
    }

    /// Its memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.words.capacity().saturating_mul(size_of::<u64>())
    }
}

/// One of `n` words, by the upper half of a fingerprint: sorted ones have theirs in order.
fn index(fingerprint: u64, n: usize) -> usize {
    let n = u64::try_from(n).unwrap_or(u64::MAX);
    usize::try_from((fingerprint >> 32).wrapping_mul(n) >> 32).unwrap_or(usize::MAX)
}

/// Four bits of a word, by the lower half of a fingerprint without its three bits of the kind.
fn bits(fingerprint: u64) -> u64 {
    [3, 9, 15, 21]
        .into_iter()
        .fold(0, |bits, at| bits | 1 << (fingerprint >> at & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier::{ClientIdentifier, FingerprintKey};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn fingerprint(n: u32) -> u64 {
        let name = n.to_string();
        let name = ClientIdentifier::Username(name.as_bytes());
        name.fingerprint(&FingerprintKey::from_words([1, 2])).0
    }

    #[test]
    fn all_entries_pass_and_few_others() {
        for n in [0, 1, 100, 10_000] {
            let fingerprints: Vec<u64> = (0..n).map(fingerprint).collect();
            let filter = Prefilter::new(&fingerprints);
            assert!(fingerprints.iter().all(|it| filter.may_contain(*it)));
            let passed = (n..n + 10_000).filter(|it| filter.may_contain(fingerprint(*it)));
            assert!(passed.count() < 300, "{n}");
        }
    }
}
