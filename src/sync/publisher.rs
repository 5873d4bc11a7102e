//! Publishes a list to shared data: its values into the free slot, then the manifest.
//!
//! Until the manifest is written every worker enforces the active list; a failure on the way changes nothing.

use super::lease::VmId;
use super::store::{Store, read, write};
use crate::host::{Host, HostError, SharedData};
use crate::identifier::FingerprintKey;
use crate::list::frame::Record;
use crate::list::{Blocklist, Layout, Manifest, Slot};

/// The result of a publication.
#[derive(Debug)]
pub struct Published {
    /// The manifest of the list that is active now.
    pub manifest: Manifest,
    /// False: the list has the same entries as the one before, whatever their times to live.
    pub is_new: bool,
}

/// Publishes `list`, unless it equals the active one. `active`: the manifest of the active list; `known_generation`: of the
/// list that this VM enforces.
///
/// A list whose entries end by themselves is written each time: the times to live have changed.
///
/// # Errors
///
/// [`HostError::CasMismatch`] if another VM has claimed the lease meanwhile. Otherwise the host failed.
pub fn publish(
    host: &dyn Host,
    store: &Store,
    vm: VmId,
    list: &Blocklist,
    key: FingerprintKey,
    active: Option<Manifest>,
    known_generation: Option<u64>,
) -> Result<Published, HostError> {
    let mut manifest = Manifest::new(list, key, active.as_ref(), host.monotonic_now());
    let is_known = active
        .as_ref()
        .is_some_and(|active| active.is_same_list(&manifest));
    let is_lasting = |manifest: &Manifest| manifest.received.is_none();
    match &active {
        Some(active)
            if is_known
                && is_lasting(active)
                && is_lasting(&manifest)
                && is_complete(host, store, active) =>
        {
            return Ok(Published {
                manifest: active.clone(),
                is_new: false,
            });
        }
        Some(_) => {}
        None => {
            // The manifest was lost or dropped; generations continue.
            let dropped = read(host, &store.keys().manifest())
                .and_then(|bytes| Manifest::dropped_generation(&bytes));
            let newest = dropped.max(known_generation).unwrap_or(0);
            manifest.generation = manifest.generation.max(newest.saturating_add(1));
        }
    }
    manifest.stored_bytes = write_values(host, store, list, &manifest)?;
    if !store.lease(host).is_owned_by(vm) {
        return Err(HostError::CasMismatch);
    }
    if let Some(previous) = &active {
        clear(
            host,
            store,
            manifest.slot,
            manifest.layout,
            previous.other_layout,
        );
    }
    write(host, &store.keys().manifest(), &manifest.to_bytes())?;
    Ok(Published {
        manifest,
        is_new: !is_known,
    })
}

/// Writes all values of a list; returns their size in bytes.
fn write_values(
    data: &dyn SharedData,
    store: &Store,
    list: &Blocklist,
    manifest: &Manifest,
) -> Result<u64, HostError> {
    let (keys, slot, layout) = (store.keys(), manifest.slot, manifest.layout);
    let mut stored = 0usize;
    let mut write_value = |key: String, bytes: &[u8]| {
        stored = stored.saturating_add(bytes.len());
        write(data, &key, bytes)
    };
    for index in 0..layout.shards {
        let shard = manifest.shard_to_bytes(list, index);
        let shard = shard.ok_or(HostError::InternalFailure)?;
        write_value(keys.shard(slot, index), &shard)?;
    }
    let mut scratch = Vec::new();
    for index in 0..layout.buckets {
        let bucket = manifest.bucket_to_bytes(list, index, &mut scratch);
        write_value(keys.bucket(slot, index), &bucket)?;
    }
    for (chunk, index) in manifest.ranges_to_bytes(list).iter().zip(0u32..) {
        write_value(keys.ranges(slot, index), chunk)?;
    }
    Ok(u64::try_from(stored).unwrap_or(u64::MAX))
}

/// Whether shared data has all values of the active list unchanged. A damaged list must be written again even if the
/// server's list has not changed.
pub fn is_complete(data: &dyn SharedData, store: &Store, manifest: &Manifest) -> bool {
    let (keys, slot, layout) = (store.keys(), manifest.slot, manifest.layout);
    let is_value = |key: String, record, index| {
        read(data, &key).is_some_and(|bytes| manifest.is_value(record, index, &bytes))
    };
    (0..layout.shards).all(|index| is_value(keys.shard(slot, index), Record::Shard, index))
        && (0..layout.buckets)
            .all(|index| is_value(keys.bucket(slot, index), Record::Bucket, index))
        && (0..layout.range_chunks)
            .all(|index| is_value(keys.ranges(slot, index), Record::Ranges, index))
}

/// Drops the list on purpose: workers stop enforcing it, and its values are cleared.
pub fn drop_list(data: &dyn SharedData, store: &Store) {
    let keys = store.keys();
    if let Some(manifest) = store.manifest(data) {
        let dropped = Manifest::dropped(manifest.generation);
        write(data, &keys.manifest(), &dropped).unwrap_or_default();
        clear(
            data,
            store,
            manifest.slot,
            Layout::default(),
            manifest.layout,
        );
        let other = manifest.slot.other();
        clear(data, store, other, Layout::default(), manifest.other_layout);
    }
    write(data, &keys.freshness(), &[]).unwrap_or_default();
    write(data, &keys.lease(), &[]).unwrap_or_default();
}

/// Clears the values of a slot that are in `held` and not in `kept`. The host can't delete keys, but an empty value takes
/// little memory.
fn clear(data: &dyn SharedData, store: &Store, slot: Slot, kept: Layout, held: Layout) {
    let keys = store.keys();
    let shards = (kept.shards..held.shards).map(|index| keys.shard(slot, index));
    let buckets = (kept.buckets..held.buckets).map(|index| keys.bucket(slot, index));
    let chunks = (kept.range_chunks..held.range_chunks).map(|index| keys.ranges(slot, index));
    for key in shards.chain(buckets).chain(chunks) {
        write(data, &key, &[]).unwrap_or_default();
    }
}
