//! The names of shared-data values. Only `sync` uses them.

use core::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use crate::config::Feed;
use crate::list::Slot;

/// The key of the fingerprint key: one for all lists of the process, so that an identifier is hashed once for all of them.
pub const FINGERPRINT_KEY: &str = "portcullis/v3/process/fingerprint_key";

/// Identifies a list: filters that fetch the same list share it, whatever else differs between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListId(u64);

impl ListId {
    /// From what determines the list: its server, its path, and what its entries mean.
    pub fn new(source: &impl Hash) -> Self {
        let mut hasher = SipHasher13::new();
        source.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The list of a feed: feeds of the same source share it.
    pub fn of(feed: &Feed) -> Self {
        Self::new(&feed.source())
    }
}

/// The keys of one list. Their number is bounded, since the host can't delete a key. Some names are older than those in the
/// code; VMs of two versions share the data during an upgrade, so they don't change.
///
/// | key | value |
/// |---|---|
/// | `lease` | who may fetch until when, and the state of the last attempt |
/// | `eldest` | which VM was configured first |
/// | `manifest` | the active list and its slot; written last |
/// | `freshness` | when the list was last received or confirmed, and its ETag |
/// | `{a,b}/gate/N`, `{a,b}/bucket/N`, `{a,b}/ranges/N` | the lists |
///
/// All start with `portcullis/v3/<hash of the list's identity>/`: the host may give all plugins one key space, and filters
/// with different lists must not share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// The keys of a list.
    pub fn new(list: ListId) -> Self {
        Self {
            prefix: format!("portcullis/v3/{:016x}/", list.0),
        }
    }

    /// Key of the [`super::lease::Lease`].
    pub fn lease(&self) -> String {
        self.key("lease")
    }

    /// Key of the [`super::election::FirstVm`].
    pub fn first_vm(&self) -> String {
        self.key("eldest")
    }

    /// Key of the manifest.
    pub fn manifest(&self) -> String {
        self.key("manifest")
    }

    /// Key of the [`super::freshness::Freshness`].
    pub fn freshness(&self) -> String {
        self.key("freshness")
    }

    /// Key of a shard of the membership filter.
    pub fn shard(&self, slot: Slot, index: u32) -> String {
        self.numbered(slot, "gate", index)
    }

    /// Key of a bucket.
    pub fn bucket(&self, slot: Slot, index: u32) -> String {
        self.numbered(slot, "bucket", index)
    }

    /// Key of a chunk of ranges.
    pub fn ranges(&self, slot: Slot, index: u32) -> String {
        self.numbered(slot, "ranges", index)
    }

    fn key(&self, name: &str) -> String {
        [self.prefix.as_str(), name].concat()
    }

    fn numbered(&self, slot: Slot, name: &str, index: u32) -> String {
        let slot = match slot {
            Slot::A => "a",
            Slot::B => "b",
        };
        format!("{}{slot}/{name}/{index}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::frame::{FrameHeader, Record, frame};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn versions_with_different_formats_share_no_key() {
        // They may run side by side while an old configuration drains, and would overwrite each other's lease and list.
        let format = frame(Record::Lease, FrameHeader::NO_LIST, &[])[4];
        let prefix = format!("portcullis/v{format}/");
        assert!(Keys::new(ListId(1)).lease().starts_with(&prefix));
        assert!(FINGERPRINT_KEY.starts_with(&prefix));
    }
}
