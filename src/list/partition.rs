//! Fingerprints of a list that is being built, with or without times to live. Knows no identifier.

/// The time to live of an entry that does not end by itself.
pub(crate) const NEVER: u32 = u32::MAX;

/// A part of a list's fingerprints. Times to live take memory only if an entry has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Partition {
    fingerprints: Vec<u64>,
    /// In seconds; empty if all are [`NEVER`].
    times_to_live: Vec<u32>,
}

impl Partition {
    /// Adds a fingerprint. Returns the number of duplicates that were removed to make room.
    pub(super) fn push(&mut self, fingerprint: u64, time_to_live: u32) -> usize {
        let before = self.fingerprints.len();
        if before == self.fingerprints.capacity() {
            self.free_space();
        }
        let duplicates = before.saturating_sub(self.fingerprints.len());
        if time_to_live != NEVER && self.times_to_live.is_empty() {
            self.times_to_live
                .reserve_exact(self.fingerprints.capacity());
            self.times_to_live.resize(self.fingerprints.len(), NEVER);
        }
        if time_to_live != NEVER || self.has_times_to_live() {
            self.times_to_live.push(time_to_live);
        }
        self.fingerprints.push(fingerprint);
        duplicates
    }

    /// Sorts the fingerprints and removes duplicates; the longest time to live counts.
    pub(super) fn sort(&mut self) {
        if !self.has_times_to_live() {
            self.fingerprints.sort_unstable();
            self.fingerprints.dedup();
            return;
        }
        let times_to_live = self.times_to_live.drain(..);
        let mut entries: Vec<_> = self.fingerprints.drain(..).zip(times_to_live).collect();
        entries.sort_unstable();
        entries.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                kept.1 = later.1;
            }
            is_same
        });
        for (fingerprint, time_to_live) in entries {
            self.fingerprints.push(fingerprint);
            self.times_to_live.push(time_to_live);
        }
    }

    /// Appends the fingerprints and, if `with_times`, the times to live; releases its memory.
    pub(super) fn move_to(
        self,
        fingerprints: &mut Vec<u64>,
        times_to_live: &mut Vec<u32>,
        with_times: bool,
    ) {
        if with_times {
            let n = self.fingerprints.len();
            times_to_live.extend((0..n).map(|index| self.time_to_live(index)));
        }
        fingerprints.extend_from_slice(&self.fingerprints);
    }

    /// The fingerprints.
    pub(super) fn fingerprints(&self) -> &[u64] {
        &self.fingerprints
    }

    /// Whether any entry has a time to live.
    pub(super) fn has_times_to_live(&self) -> bool {
        !self.times_to_live.is_empty()
    }

    /// The time to live of the entry at `index`.
    pub(super) fn time_to_live(&self, index: usize) -> u32 {
        self.times_to_live.get(index).copied().unwrap_or(NEVER)
    }

    /// The number of fingerprints that it has memory for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.fingerprints.capacity()
    }

    /// Removes duplicates from a full partition, and grows it by half if there were few.
    fn free_space(&mut self) {
        let capacity = self.fingerprints.capacity();
        if capacity >= 64 {
            self.sort();
        }
        let crowded = capacity.saturating_sub(capacity / 4);
        if self.fingerprints.len() >= crowded {
            let more = (capacity / 2).max(16);
            self.fingerprints.reserve_exact(more);
            if self.has_times_to_live() {
                self.times_to_live.reserve_exact(more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_longest_time_to_live_of_duplicates_counts() {
        let mut partition = Partition::default();
        for (fingerprint, time_to_live) in [(7, NEVER), (9, 10), (7, 5), (9, 30), (9, 20), (8, 1)] {
            partition.push(fingerprint, time_to_live);
        }
        partition.sort();
        assert_eq!(partition.fingerprints(), [7, 8, 9]);
        let times: Vec<u32> = (0..3).map(|index| partition.time_to_live(index)).collect();
        assert_eq!(times, [NEVER, 1, 30]);
    }

    #[test]
    fn entries_without_times_to_live_take_no_memory_for_them() {
        let mut partition = Partition::default();
        for fingerprint in 0..1_000 {
            partition.push(fingerprint % 10, NEVER);
        }
        partition.sort();
        assert_eq!(partition.fingerprints().len(), 10);
        assert_eq!(partition.times_to_live.capacity(), 0);
        assert!(partition.fingerprints.capacity() < 200);
    }
}
