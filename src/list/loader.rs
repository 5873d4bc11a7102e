//! Loads a list from its values in shared data, step by step: a list of a million entries takes several ticks.
//! The callers read the values.

use super::frame::{Reader, Record};
use super::manifest::{EXPIRING_CHUNK, Manifest, V4_CHUNK, V6_CHUNK};
use super::membership::{MembershipFilter, Shard};
use super::ranges::AddressRanges;

/// Loads a list's membership filter and ranges from their values, in order.
#[derive(Debug)]
pub struct Loader {
    manifest: Manifest,
    shards: Vec<Shard>,
    ranges: AddressRanges,
    n_range_chunks: u32,
}

/// The value that a [`Loader`] needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextValue {
    /// This shard of the membership filter.
    Shard(u32),
    /// This chunk of ranges.
    Ranges(u32),
    /// No value: the list is complete.
    Nothing,
}

impl Loader {
    /// A loader for the list of `manifest`.
    pub fn new(manifest: Manifest) -> Self {
        Self {
            manifest,
            shards: Vec::new(),
            ranges: AddressRanges::default(),
            n_range_chunks: 0,
        }
    }

    /// The manifest of the list.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The value to add next.
    pub fn needs(&self) -> NextValue {
        let n_shards = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        if n_shards < self.manifest.layout.shards {
            NextValue::Shard(n_shards)
        } else if self.n_range_chunks < self.manifest.layout.range_chunks {
            NextValue::Ranges(self.n_range_chunks)
        } else {
            NextValue::Nothing
        }
    }

    /// Adds the next value. `None` if it belongs to another list, since this one was replaced.
    pub fn add(&mut self, bytes: &[u8]) -> Option<()> {
        match self.needs() {
            NextValue::Shard(index) => {
                let payload = self.manifest.unframe(Record::Shard, index, bytes)?;
                self.shards.push(Shard::from_bytes(payload.to_vec())?);
            }
            NextValue::Ranges(index) => {
                let payload = self.manifest.unframe(Record::Ranges, index, bytes)?;
                self.add_ranges(payload)?;
                self.n_range_chunks = self.n_range_chunks.saturating_add(1);
            }
            NextValue::Nothing => {}
        }
        Some(())
    }

    fn add_ranges(&mut self, payload: &[u8]) -> Option<()> {
        let mut reader = Reader(payload);
        match reader.u8()? {
            V4_CHUNK => {
                while !reader.0.is_empty() {
                    self.ranges.push_v4(reader.u32()?, reader.u32()?);
                }
            }
            V6_CHUNK => {
                while !reader.0.is_empty() {
                    self.ranges.push_v6(reader.u128()?, reader.u128()?);
                }
            }
            EXPIRING_CHUNK => {
                while !reader.0.is_empty() {
                    let interval = (reader.u128()?, reader.u128()?, reader.u32()?);
                    self.ranges.push_stored_expiring(interval);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The complete list; `None` while values are missing.
    pub fn finish(mut self) -> Option<(Manifest, MembershipFilter, AddressRanges)> {
        if self.needs() != NextValue::Nothing {
            return None;
        }
        self.ranges.seal();
        let filter = MembershipFilter::from_shards(self.manifest.shard_bits, self.shards)?;
        Some((self.manifest, filter, self.ranges))
    }
}
