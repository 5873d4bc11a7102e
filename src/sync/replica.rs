//! One VM's copy of a list: the only part of `sync` that the request path touches.
//!
//! Keeps the membership filter and the ranges; the exact fingerprints stay in shared data. Loads a new list in steps at
//! ticks, or immediately if a request needs it.

use core::mem;
use core::time::Duration;
use std::net::IpAddr;

use super::keys::ListId;
use super::store::{Store, read};
use crate::host::{Host, SharedData};
use crate::identifier::{Fingerprint, FingerprintKey, PerKind};
use crate::list::{
    ActiveList, AddressRanges, Loader, Manifest, Membership, MembershipFilter, NextValue,
};

/// The minimum number of values that a tick loads: about 300 KiB, well under a millisecond.
const VALUES_PER_TICK: usize = 4;

/// The maximum number of ticks for loading a list of any size: it is active within a second.
const TICKS_TO_LOAD: usize = 8;

#[derive(Debug)]
struct LoadedList {
    manifest: Manifest,
    /// The kinds of its entries.
    kinds: PerKind<bool>,
    filter: MembershipFilter,
    ranges: AddressRanges,
}

/// One VM's copy of a list.
#[derive(Debug)]
pub struct Replica {
    store: Store,
    list: Option<LoadedList>,
    loader: Option<Loader>,
    is_stale: bool,
    has_loaded: bool,
}

impl Replica {
    /// An empty copy of the list `id`.
    pub fn new(id: ListId) -> Self {
        Self {
            store: Store::new(id),
            list: None,
            loader: None,
            is_stale: false,
            has_loaded: false,
        }
    }

    /// Whether there is a list.
    pub fn has_list(&self) -> bool {
        self.list.is_some()
    }

    /// Whether the list was older than its maximum age at the last tick.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Whether a new list is being loaded, so that short ticks are due.
    pub fn is_loading(&self) -> bool {
        self.loader.is_some()
    }

    /// The generation of the list.
    pub fn generation(&self) -> Option<u64> {
        self.list.as_ref().map(|list| list.manifest.generation)
    }

    /// The list, for one request. The first request of a VM that has not ticked yet loads it immediately.
    pub fn active<'a>(&'a mut self, host: &'a dyn Host) -> Option<ReplicaList<'a>> {
        if !self.has_loaded {
            self.load(host, usize::MAX);
        }
        let key = self.list.as_ref()?.manifest.key;
        Some(ReplicaList {
            replica: self,
            host,
            key,
        })
    }

    /// Loads the next part of a new list.
    pub fn load_step(&mut self, data: &dyn SharedData) {
        self.load(data, VALUES_PER_TICK);
    }

    /// Compares the age of the list with `max_age`; `true` if [`Replica::is_stale`] changed.
    pub fn check_age(
        &mut self,
        data: &dyn SharedData,
        now: Duration,
        max_age: Option<Duration>,
    ) -> bool {
        if max_age.is_none() && !self.is_stale {
            return false;
        }
        let freshness = self.store.freshness(data);
        let is_stale = freshness.is_some_and(|freshness| freshness.is_stale(now, max_age));
        mem::replace(&mut self.is_stale, is_stale) != is_stale
    }

    /// Loads `most` values of a new list or an eighth of it, whichever is more.
    fn load(&mut self, data: &dyn SharedData, most: usize) {
        self.has_loaded = true;
        let value = read(data, &self.store.keys().manifest()).unwrap_or_default();
        let Some(manifest) = Manifest::from_bytes(&value) else {
            // A missing or damaged manifest keeps the list active. A dropped one does not: its last configuration was
            // deleted, and a new one uses the list again.
            if Manifest::dropped_generation(&value).is_some() {
                self.list = None;
            }
            self.loader = None;
            return;
        };
        let active = self.list.as_ref().map(|list| &list.manifest);
        if active == Some(&manifest) {
            self.loader = None;
            return;
        }
        let mut loader = match self.loader.take() {
            Some(loader) if *loader.manifest() == manifest => loader,
            _ => Loader::new(manifest),
        };
        let (slot, layout) = (loader.manifest().slot, loader.manifest().layout);
        let n_values = layout.shards.saturating_add(layout.range_chunks);
        let share = usize::try_from(n_values).unwrap_or(usize::MAX);
        let share = share.div_ceil(TICKS_TO_LOAD);
        for _ in 0..most.max(share) {
            let key = match loader.needs() {
                NextValue::Shard(index) => self.store.keys().shard(slot, index),
                NextValue::Ranges(index) => self.store.keys().ranges(slot, index),
                NextValue::Nothing => break,
            };
            let added = read(data, &key).and_then(|bytes| loader.add(&bytes));
            if added.is_none() {
                // The list was replaced while it was loaded; the next tick reads the new manifest.
                return;
            }
        }
        if loader.needs() != NextValue::Nothing {
            self.loader = Some(loader);
        } else if let Some((manifest, filter, ranges)) = loader.finish() {
            self.list = Some(LoadedList {
                kinds: manifest.counts.map(|count| count > 0),
                manifest,
                filter,
                ranges,
            });
        }
    }

    /// What the list says about the fingerprint; `None` if its bucket was overwritten.
    fn look_up(&self, data: &dyn SharedData, fingerprint: Fingerprint) -> Option<Membership> {
        let manifest = &self.list.as_ref()?.manifest;
        let index = manifest.bucket_index(fingerprint);
        let bucket = read(data, &self.store.keys().bucket(manifest.slot, index))?;
        manifest.look_up(&bucket, fingerprint)
    }
}

/// The list of a [`Replica`] during one request.
pub struct ReplicaList<'a> {
    replica: &'a mut Replica,
    host: &'a dyn Host,
    key: FingerprintKey,
}

impl ReplicaList<'_> {
    /// Reads the clock only for an identifier that is listed for a time.
    fn is_listed(&self, membership: Membership) -> bool {
        match membership {
            Membership::Absent => false,
            Membership::Listed => true,
            Membership::Until(end) => self.host.monotonic_now() < end,
        }
    }
}

impl ActiveList for ReplicaList<'_> {
    const LOOKS_UP_TOGETHER: bool = false;

    fn is_stale(&self) -> bool {
        self.replica.is_stale
    }

    fn kinds(&self) -> PerKind<bool> {
        let list = self.replica.list.as_ref();
        list.map_or(PerKind::default(), |list| list.kinds)
    }

    fn contains_address(&self, address: IpAddr) -> bool {
        let Some(list) = &self.replica.list else {
            return false;
        };
        let until = || {
            let time_to_live = list.ranges.time_to_live(address)?;
            Some(list.manifest.until(time_to_live))
        };
        list.ranges.contains(address) || until().is_some_and(|until| self.is_listed(until))
    }

    fn key(&self) -> &FingerprintKey {
        &self.key
    }

    fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        let list = self.replica.list.as_ref();
        list.is_some_and(|list| list.filter.may_contain(fingerprint))
    }

    /// If the bucket was overwritten, this VM has missed a complete list since its last tick: it loads the new list, which
    /// decides. If the list was dropped and fetched again meanwhile, its fingerprints have another key, and the new list
    /// applies from the next request on.
    fn contains(&mut self, fingerprint: Fingerprint) -> bool {
        if let Some(membership) = self.replica.look_up(self.host, fingerprint) {
            return self.is_listed(membership);
        }
        let generation = self.replica.generation();
        self.replica.loader = None;
        self.replica.load(self.host, usize::MAX);
        let key = self.replica.list.as_ref().map(|list| list.manifest.key);
        if self.replica.generation() == generation || key != Some(self.key) {
            return false;
        }
        let membership = self.replica.look_up(self.host, fingerprint);
        membership.is_some_and(|membership| self.is_listed(membership))
    }
}
