//! A list as a VM loads it from shared data.

use std::time::Duration;

use portcullis::identifier::{Fingerprint, FingerprintKey};
use portcullis::list::{AddressRanges, Blocklist, MembershipFilter};
use portcullis::list::{Loader, Manifest, Membership, NextValue};

/// The part of a list that a VM loads, and the buckets that stay in shared data.
pub struct Published {
    pub manifest: Manifest,
    pub filter: MembershipFilter,
    pub ranges: AddressRanges,
    pub buckets: Vec<Vec<u8>>,
}

impl Published {
    /// Writes a list to bytes and loads it from them.
    pub fn new(list: &Blocklist, key: FingerprintKey) -> Self {
        let manifest = Manifest::new(list, key, None, Duration::ZERO);
        let manifest = Manifest::from_bytes(&manifest.to_bytes()).expect("it was just written");
        let ranges = manifest.ranges_to_bytes(list);
        let mut loader = Loader::new(manifest.clone());
        loop {
            let bytes = match loader.needs() {
                NextValue::Shard(index) => {
                    manifest.shard_to_bytes(list, index).expect("it is built")
                }
                NextValue::Ranges(index) => ranges[index as usize].clone(),
                NextValue::Nothing => break,
            };
            loader.add(&bytes).expect("it was just written");
        }
        let (manifest, filter, ranges) = loader.finish().expect("nothing is needed");
        let mut scratch = Vec::new();
        let buckets = (0..manifest.layout.buckets)
            .map(|index| manifest.bucket_to_bytes(list, index, &mut scratch))
            .collect();
        Self {
            manifest,
            filter,
            ranges,
            buckets,
        }
    }

    /// Whether the list contains the identifier: the membership filter first, then one bucket.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.filter.may_contain(fingerprint) && self.bucket_contains(fingerprint)
    }

    fn bucket_contains(&self, fingerprint: Fingerprint) -> bool {
        let bucket = &self.buckets[self.manifest.bucket_index(fingerprint) as usize];
        let membership = self.manifest.look_up(bucket, fingerprint);
        membership.expect("the bucket belongs to this list") != Membership::Absent
    }
}
