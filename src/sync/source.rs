//! One source of an attack list, as one VM sees it: the list in force, kept up to date from shared data, and this VM's
//! part in fetching the next.
//!
//! Wires `refresh` (when), `fetch` (what an answer means) and `blocklist` (bytes) to the host's shared data. A list
//! that comes is written to the free slot, then the manifest is flipped; a VM takes it up tick by tick. A failed or
//! refused fetch writes nothing but the lease.

use core::mem::discriminant;
use core::time::Duration;

use crate::config::{Abs, Config, WhenStale};
use crate::feed::fetch::{self, Answer, Failure, Method, Reason, ResponseHeaders, Rules};
use crate::host::{CallToken, Host, HostError, HttpCall, LogLevel, RootId, WriteCondition};
use crate::identifier::{Fingerprint, FingerprintKey, IdentifierKind};
use crate::list::frame::Record;
use crate::list::{
    AddressRanges, Blocklist, Layout, Loader, Manifest, MembershipFilter, NextValue, Slot,
};
use crate::metrics::{FetchResult, LastResult, Metric, Metrics};
use crate::sync::refresh::{
    Candidacy, FirstVm, Freshness, Keys, Lease, LeaseView, ListId, Outcome, Plan, Refresh,
    SHORT_TICK, Schedule, TICK, VmId,
};

/// How many values of a new list a tick takes up at least: about 300 KiB, well under a millisecond.
const VALUES_PER_TICK: usize = 4;

/// In how many ticks at most a list is taken up, however large, so that it is in force within a second.
const TICKS_TO_TAKE_UP: usize = 8;

/// The list this VM enforces: its gate and ranges; the buckets stay in shared data.
#[derive(Debug)]
pub struct ActiveList {
    manifest: Manifest,
    gate: MembershipFilter,
    ranges: AddressRanges,
}

impl ActiveList {
    /// Whether the list names any identifier of this kind.
    pub fn holds(&self, kind: IdentifierKind) -> bool {
        *self.manifest.counts.get(kind) > 0
    }

    /// The key that fingerprints are to be made with.
    pub fn key(&self) -> &FingerprintKey {
        &self.manifest.key
    }

    /// The address ranges.
    pub fn ranges(&self) -> &AddressRanges {
        &self.ranges
    }

    /// False: surely not listed. True: ask [`Source::confirm`].
    pub fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        self.gate.may_contain(fingerprint)
    }
}

/// What a bucket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// The identifier is listed.
    Listed,
    /// It is not.
    NotListed,
    /// The list was replaced meanwhile, and the new one is now in force here: judge again.
    Replaced,
}

/// The VM that a source lives in.
#[derive(Clone, Copy, Debug)]
pub struct VmIdentity {
    /// Its random number.
    pub owner: VmId,
    /// When it was first configured, on the monotonic clock.
    pub born: Duration,
    /// Whether it has served a request.
    pub served: bool,
}

/// What a source works by: the newest configuration that names it.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Its `abs`.
    pub abs: &'a Abs,
    /// A hash of the rules that decide which entries are taken.
    pub rules: u64,
}

/// One source in one VM.
#[derive(Debug)]
pub struct Source {
    id: ListId,
    keys: Keys,
    refresh: Refresh,
    list: Option<ActiveList>,
    loader: Option<Loader>,
    freshness: Option<Freshness>,
    stale: bool,
    synced: bool,
    /// The call in flight only asks how long the answer that broke off would have been.
    probing: bool,
    /// The call in flight carries an ETag.
    conditional: bool,
    /// The last failure that was logged; cleared by success. One line for each change of state.
    failing: Option<Reason>,
}

impl Source {
    /// A source of which this VM knows nothing yet.
    pub fn new(id: ListId, owner: VmId) -> Self {
        Self {
            id,
            keys: Keys::new(id),
            refresh: Refresh::new(owner),
            list: None,
            loader: None,
            freshness: None,
            stale: false,
            synced: false,
            probing: false,
            conditional: false,
            failing: None,
        }
    }

    /// Which source this is.
    pub fn id(&self) -> ListId {
        self.id
    }

    /// The list to enforce; `None` while none has come, or while a stale one is dropped.
    pub fn list(&self, config: &Config) -> Option<&ActiveList> {
        let dropped = self.stale && config.when_stale == WhenStale::Drop;
        self.list.as_ref().filter(|_| !dropped)
    }

    /// Whether any list has come.
    pub fn has_list(&self) -> bool {
        self.list.is_some()
    }

    /// The root context that waits for an answer.
    pub fn calling_root(&self) -> Option<RootId> {
        self.refresh.call().map(|call| call.root)
    }

    /// No answer will come to a call of a root context that is gone.
    pub fn give_up_call(&mut self, lives: impl Fn(RootId) -> bool) {
        self.refresh.give_up_call(lives);
    }

    /// How soon the next tick should come.
    pub fn tick_period(&self) -> Duration {
        let waiting = self.loader.is_some()
            || self.refresh.is_waiting_for_lease()
            || (self.list.is_none() && self.failing.is_none());
        if waiting { SHORT_TICK } else { TICK }
    }

    /// Takes up what is new in shared data, and fetches if it is this VM's turn. `root` is the one that ticks.
    pub fn tick(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        root: RootId,
        vm: VmIdentity,
        orders: &Orders<'_>,
    ) {
        let now = host.monotonic_now();
        self.load_step(host, VALUES_PER_TICK);
        let view = self.read_lease(host);
        self.note_age(host, now, self.refresh.holds(&view), orders.config);
        let standing = Candidacy {
            served: vm.served,
            eldest: self.is_eldest(host, now, &view, vm),
        };
        let schedule = Schedule {
            interval: orders.config.refresh_interval,
            timeout: orders.abs.timeout,
        };
        let plan = self.refresh.on_tick(now, &view, standing, &schedule);
        match plan {
            Plan::Wait => {}
            Plan::Write(lease, condition) => {
                self.write_lease(host, &lease, condition);
            }
            Plan::Fetch(lease, condition) => {
                if self.write_lease(host, &lease, condition) {
                    self.fetch(host, metrics, root, orders, Method::Get);
                }
            }
        }
        if self.refresh.holds(&view) {
            metrics.set(host, Metric::Stale, u64::from(self.stale));
        }
    }

    /// Takes up the whole list in force at once: for the first request of a VM that has not ticked yet.
    pub fn load_now(&mut self, host: &dyn Host) {
        if !self.synced {
            self.load_step(host, usize::MAX);
        }
    }

    /// Asks the bucket whether the identifier that the gate let through is listed.
    pub fn confirm(&mut self, host: &dyn Host, fingerprint: Fingerprint) -> Membership {
        let Some(list) = &self.list else {
            return Membership::NotListed;
        };
        let manifest = &list.manifest;
        let key = self
            .keys
            .bucket(manifest.slot, manifest.bucket_index(fingerprint));
        let bucket = read(host, &key);
        match bucket.and_then(|bytes| manifest.bucket_contains(&bytes, fingerprint)) {
            Some(true) => Membership::Listed,
            Some(false) => Membership::NotListed,
            None => {
                // The slot was written anew: this VM has missed a whole list since its last tick.
                let generation = manifest.generation;
                self.loader = None;
                self.load_step(host, usize::MAX);
                let now_in_force = self.list.as_ref().map(|list| list.manifest.generation);
                if now_in_force == Some(generation) {
                    Membership::NotListed
                } else {
                    Membership::Replaced
                }
            }
        }
    }

    /// An answer came, `body_size` bytes long.
    pub fn on_answer(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        token: CallToken,
        root: RootId,
        body_size: usize,
        orders: &Orders<'_>,
    ) {
        if !self.refresh.takes_answer(token) {
            return;
        }
        if self.probing {
            self.probing = false;
            let size = ResponseHeaders::read(host).and_then(|headers| headers.too_large());
            let failure = Failure::new(size.map_or(Reason::BrokeOff, Reason::TooLarge));
            return self.end_in_vain(host, metrics, failure);
        }
        let in_force = self.read_manifest(host);
        let key = in_force
            .as_ref()
            .map_or_else(|| new_key(host), |manifest| manifest.key);
        let rules = Rules {
            config: orders.config,
            key,
            n_entries_before: in_force.as_ref().map(Manifest::n_entries),
        };
        match fetch::read_answer(host, body_size, self.conditional, &rules) {
            Answer::List {
                list,
                etag,
                skipped,
            } => {
                metrics.add(host, Metric::EntriesSkipped, skipped);
                if !self.renew_lease(host) {
                    return log_too_late(host);
                }
                match self.publish(host, &list, key, in_force) {
                    Ok((manifest, is_new)) => {
                        self.write_freshness(host, manifest.generation, etag, orders.rules);
                        self.end_well(host, metrics, FetchResult::Ok);
                        self.show(host, metrics, &manifest);
                        if is_new {
                            log_list(host, &manifest, skipped);
                        }
                    }
                    Err(HostError::CasMismatch) => log_too_late(host),
                    Err(error) => {
                        host.log(LogLevel::Error, &format!("writing shared data: {error}"));
                        self.end_in_vain(host, metrics, Failure::new(Reason::NotPublished));
                    }
                }
            }
            Answer::NotModified => {
                if let Some(manifest) = in_force {
                    let etag = self.freshness.take().map_or(Vec::new(), |known| known.etag);
                    self.write_freshness(host, manifest.generation, etag, orders.rules);
                    self.show(host, metrics, &manifest);
                }
                self.end_well(host, metrics, FetchResult::NotModified);
            }
            Answer::Failed(failure) if failure.reason == Reason::BrokeOff => {
                // Too large an answer looks just like one that broke off. A HEAD request tells them apart.
                self.probing = true;
                self.fetch(host, metrics, root, orders, Method::Head);
            }
            Answer::Failed(failure) => self.end_in_vain(host, metrics, failure),
        }
    }

    /// No configuration of this VM names the source any more. The holder empties shared data, so that the list is gone
    /// when fetching is turned off, and not in force again, old, when it is turned on.
    pub fn retire(&mut self, host: &dyn Host, metrics: &Metrics) {
        let view = self.read_lease(host);
        if !self.refresh.holds(&view) {
            return;
        }
        if let Some(manifest) = self.read_manifest(host) {
            let dropped = Manifest::dropped(manifest.generation);
            write(host, &self.keys.manifest(), &dropped).unwrap_or_default();
            self.clear(host, manifest.slot, Layout::default(), manifest.layout);
            let other = manifest.slot.other();
            self.clear(host, other, Layout::default(), manifest.other_layout);
        }
        write(host, &self.keys.freshness(), &[]).unwrap_or_default();
        write(host, &self.keys.lease(), &[]).unwrap_or_default();
        for kind in IdentifierKind::ALL {
            metrics.set(host, Metric::Entries(kind), 0);
        }
        metrics.set(host, Metric::Bytes, 0);
        metrics.set(host, Metric::Stale, 0);
        // Alerts on its age would otherwise fire for a list that nobody wants any more.
        metrics.set(host, Metric::LastSuccess, 0);
        metrics.set(host, Metric::LastResult, LastResult::None.value());
        metrics.set(host, Metric::LastAttempt, 0);
        host.log(
            LogLevel::Info,
            "the attack list is dropped: no configuration asks for it any more",
        );
    }

    fn fetch(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        root: RootId,
        orders: &Orders<'_>,
        method: Method,
    ) {
        let etag = match method {
            Method::Get => self.usable_etag(host, orders),
            Method::Head => Vec::new(),
        };
        self.conditional = !etag.is_empty();
        self.probing = method == Method::Head;
        let path = fetch::request_path(host.unix_now(), orders.abs.attack_window);
        let call = HttpCall {
            cluster: &orders.abs.cluster,
            headers: &fetch::request_headers(orders.abs, method, &path, &etag),
            body: &[],
            timeout: orders.abs.timeout,
        };
        match host.dispatch_http_call(&call) {
            Ok(token) => {
                let now = host.monotonic_now();
                self.refresh
                    .on_call_started(now, token, root, orders.abs.timeout);
            }
            Err(error) => {
                let reason = match method {
                    Method::Get => Reason::NotSent(error),
                    Method::Head => Reason::BrokeOff,
                };
                self.probing = false;
                self.end_in_vain(host, metrics, Failure::new(reason));
            }
        }
    }

    /// The ETag of the list in force, if it was taken by the rules of today.
    fn usable_etag(&mut self, host: &dyn Host, orders: &Orders<'_>) -> Vec<u8> {
        let freshness =
            read(host, &self.keys.freshness()).and_then(|bytes| Freshness::from_bytes(&bytes));
        self.freshness = freshness;
        let manifest = self.read_manifest(host);
        match (&self.freshness, manifest) {
            (Some(freshness), Some(manifest))
                if freshness.generation == manifest.generation
                    && freshness.rules == orders.rules
                    && self.is_whole(host, &manifest) =>
            {
                freshness.etag.clone()
            }
            _ => Vec::new(),
        }
    }

    /// Writes the list to the free slot and flips the manifest. A list equal to the one in force is not written again.
    /// [`HostError::CasMismatch`]: it took so long that another VM has the lease.
    fn publish(
        &self,
        host: &dyn Host,
        list: &Blocklist,
        key: FingerprintKey,
        in_force: Option<Manifest>,
    ) -> Result<(Manifest, bool), HostError> {
        let mut manifest = Manifest::new(list, key, in_force.as_ref());
        match &in_force {
            Some(in_force) if in_force.is_same_list(&manifest) && self.is_whole(host, in_force) => {
                return Ok((in_force.clone(), false));
            }
            Some(_) => {}
            None => {
                // The manifest was lost or dropped; generations go on all the same.
                let dropped = read(host, &self.keys.manifest())
                    .and_then(|bytes| Manifest::dropped_generation(&bytes));
                let known = self.list.as_ref().map(|list| list.manifest.generation);
                let newest = dropped.max(known).unwrap_or(0);
                manifest.generation = manifest.generation.max(newest.saturating_add(1));
            }
        }
        let slot = manifest.slot;
        let mut stored = 0usize;
        for index in 0..manifest.layout.shards {
            let bytes = manifest
                .shard_to_bytes(list, index)
                .ok_or(HostError::InternalFailure)?;
            stored = stored.saturating_add(bytes.len());
            write(host, &self.keys.shard(slot, index), &bytes)?;
        }
        let mut room = Vec::new();
        for index in 0..manifest.layout.buckets {
            let bytes = manifest.bucket_to_bytes(list, index, &mut room);
            stored = stored.saturating_add(bytes.len());
            write(host, &self.keys.bucket(slot, index), &bytes)?;
        }
        for (bytes, index) in manifest.ranges_to_bytes(list).iter().zip(0u32..) {
            stored = stored.saturating_add(bytes.len());
            write(host, &self.keys.ranges(slot, index), bytes)?;
        }
        if !self.refresh.holds(&self.read_lease(host)) {
            return Err(HostError::CasMismatch);
        }
        if let Some(previous) = &in_force {
            self.clear(host, slot, manifest.layout, previous.other_layout);
        }
        manifest.stored_bytes = u64::try_from(stored).unwrap_or(u64::MAX);
        write(host, &self.keys.manifest(), &manifest.to_bytes())?;
        Ok((manifest, true))
    }

    /// Whether each value of the list in force stands in shared data as it was written. A list that was damaged must not
    /// stay so for as long as ABS's list stays the same.
    fn is_whole(&self, host: &dyn Host, manifest: &Manifest) -> bool {
        let (keys, slot, layout) = (&self.keys, manifest.slot, manifest.layout);
        let stands = |key: String, record, index| {
            read(host, &key).is_some_and(|bytes| manifest.is_value(record, index, &bytes))
        };
        (0..layout.shards).all(|index| stands(keys.shard(slot, index), Record::Shard, index))
            && (0..layout.buckets)
                .all(|index| stands(keys.bucket(slot, index), Record::Bucket, index))
            && (0..layout.range_chunks)
                .all(|index| stands(keys.ranges(slot, index), Record::Ranges, index))
    }

    /// Empties the values of a slot that are past `kept`. The host can't delete keys, but an empty value takes little.
    fn clear(&self, host: &dyn Host, slot: Slot, kept: Layout, held: Layout) {
        let keys = (kept.shards..held.shards)
            .map(|index| self.keys.shard(slot, index))
            .chain((kept.buckets..held.buckets).map(|index| self.keys.bucket(slot, index)))
            .chain(
                (kept.range_chunks..held.range_chunks).map(|index| self.keys.ranges(slot, index)),
            );
        for key in keys {
            write(host, &key, &[]).unwrap_or_default();
        }
    }

    /// Takes up what is needed of a new list, `most` values or an eighth of it, whichever is more.
    fn load_step(&mut self, host: &dyn Host, most: usize) {
        self.synced = true;
        let value = read(host, &self.keys.manifest()).unwrap_or_default();
        let Some(manifest) = Manifest::from_bytes(&value) else {
            // Nothing published yet, or lost: what is in force stays so. Unless it was dropped by the last configuration
            // that asked for it, and this VM did not notice between that one and the next.
            if Manifest::dropped_generation(&value).is_some() {
                self.list = None;
            }
            self.loader = None;
            return;
        };
        if self
            .list
            .as_ref()
            .is_some_and(|list| list.manifest == manifest)
        {
            self.loader = None;
            return;
        }
        let mut loader = match self.loader.take() {
            Some(loader) if *loader.manifest() == manifest => loader,
            _ => Loader::new(manifest),
        };
        let layout = loader.manifest().layout;
        let n_values = layout.shards.saturating_add(layout.range_chunks);
        let share = usize::try_from(n_values).unwrap_or(usize::MAX);
        let share = share.div_ceil(TICKS_TO_TAKE_UP);
        for _ in 0..most.max(share) {
            let slot = loader.manifest().slot;
            let key = match loader.needs() {
                NextValue::Shard(index) => self.keys.shard(slot, index),
                NextValue::Ranges(index) => self.keys.ranges(slot, index),
                NextValue::Nothing => break,
            };
            let added = read(host, &key).and_then(|bytes| loader.add(&bytes));
            if added.is_none() {
                // Replaced while it was taken up; the next tick sees the new manifest.
                return;
            }
        }
        if loader.needs() != NextValue::Nothing {
            self.loader = Some(loader);
        } else if let Some((manifest, gate, ranges)) = loader.finish() {
            self.list = Some(ActiveList {
                manifest,
                gate,
                ranges,
            });
        }
    }

    /// Notes whether the list is too old. Of all VMs the one that fetches says so.
    fn note_age(&mut self, host: &dyn Host, now: Duration, says_so: bool, config: &Config) {
        let max_age = config.attack_list_max_age;
        if max_age.is_none() && !self.stale {
            return;
        }
        let freshness =
            read(host, &self.keys.freshness()).and_then(|bytes| Freshness::from_bytes(&bytes));
        let stale = freshness.is_some_and(|freshness| freshness.is_stale(now, max_age));
        let changed = core::mem::replace(&mut self.stale, stale) != stale;
        if changed && says_so {
            let (level, text) = if stale {
                (
                    LogLevel::Warn,
                    "the attack list is stale: no fetch has succeeded within attack_list_max_age",
                )
            } else {
                (LogLevel::Info, "the attack list is fresh again")
            };
            host.log(level, text);
        }
    }

    /// Whether this VM was configured before all others that have said so. Only asked while the lease is free.
    fn is_eldest(&self, host: &dyn Host, now: Duration, view: &LeaseView, vm: VmIdentity) -> bool {
        let held = view
            .lease
            .as_ref()
            .is_some_and(|lease| lease.owner == vm.owner || now < lease.expires);
        if held {
            return false;
        }
        let key = self.keys.eldest();
        let Ok(value) = host.shared_data(&key) else {
            return false;
        };
        let (known, condition) = match &value {
            Some(value) => (
                FirstVm::from_bytes(&value.bytes),
                WriteCondition::Unchanged(value.cas),
            ),
            None => (None, WriteCondition::Absent),
        };
        let me = FirstVm {
            owner: vm.owner,
            born: vm.born,
        };
        match known {
            Some(known) if known.owner == me.owner => true,
            Some(known) if known.born <= me.born => false,
            _ => host
                .set_shared_data(&key, &me.to_bytes(), condition)
                .is_ok(),
        }
    }

    fn read_manifest(&self, host: &dyn Host) -> Option<Manifest> {
        Manifest::from_bytes(&read(host, &self.keys.manifest())?)
    }

    fn read_lease(&self, host: &dyn Host) -> LeaseView {
        let value = host.shared_data(&self.keys.lease()).ok().flatten();
        LeaseView {
            lease: value
                .as_ref()
                .and_then(|value| Lease::from_bytes(&value.bytes)),
            cas: value.map(|value| value.cas),
        }
    }

    fn write_lease(&self, host: &dyn Host, lease: &Lease, condition: WriteCondition) -> bool {
        host.set_shared_data(&self.keys.lease(), &lease.to_bytes(), condition)
            .is_ok()
    }

    /// Holds on to the lease for as long as a publication takes; `false` where another VM has it.
    fn renew_lease(&self, host: &dyn Host) -> bool {
        let view = self.read_lease(host);
        let renewed = self.refresh.renewed(host.monotonic_now(), &view);
        renewed.is_some_and(|(lease, condition)| self.write_lease(host, &lease, condition))
    }

    fn write_freshness(&mut self, host: &dyn Host, generation: u64, etag: Vec<u8>, rules: u64) {
        let freshness = Freshness {
            generation,
            last_success: host.monotonic_now(),
            rules,
            etag,
        };
        let written = write(host, &self.keys.freshness(), &freshness.to_bytes());
        if let Err(error) = written {
            host.log(LogLevel::Error, &format!("writing shared data: {error}"));
        }
        self.freshness = Some(freshness);
    }

    fn end_well(&mut self, host: &dyn Host, metrics: &Metrics, result: FetchResult) {
        show_ended(host, metrics, result);
        metrics.set(host, Metric::LastSuccess, host.unix_now().as_secs());
        if self.failing.take().is_some() {
            host.log(LogLevel::Info, "fetching the attack list works again");
        }
        self.end(host, Outcome::Success);
    }

    fn end_in_vain(&mut self, host: &dyn Host, metrics: &Metrics, failure: Failure) {
        show_ended(host, metrics, failure.result);
        let known = self
            .failing
            .as_ref()
            .is_some_and(|known| discriminant(known) == discriminant(&failure.reason));
        if !known {
            let kept = if self.has_list() {
                "the list in force stays"
            } else {
                "there is no list yet"
            };
            host.log(
                LogLevel::Error,
                &format!(
                    "fetching the attack list failed ({}): {}; {kept}",
                    failure.result.as_str(),
                    failure.reason
                ),
            );
        }
        self.failing = Some(failure.reason);
        self.end(
            host,
            Outcome::Failure {
                retry_after: failure.retry_after,
            },
        );
    }

    fn end(&mut self, host: &dyn Host, ending: Outcome) {
        let view = self.read_lease(host);
        let now = host.monotonic_now();
        if let Some((lease, condition)) = self.refresh.on_attempt_ended(now, &view, ending) {
            self.write_lease(host, &lease, condition);
        }
    }

    fn show(&self, host: &dyn Host, metrics: &Metrics, manifest: &Manifest) {
        for kind in IdentifierKind::ALL {
            metrics.set(host, Metric::Entries(kind), *manifest.counts.get(kind));
        }
        metrics.set(host, Metric::Bytes, manifest.stored_bytes);
        metrics.set(host, Metric::Generation, manifest.generation);
    }
}

/// Shows that a fetch has ended, and how.
fn show_ended(host: &dyn Host, metrics: &Metrics, result: FetchResult) {
    metrics.add(host, Metric::Fetch(result), 1);
    metrics.set(host, Metric::LastResult, LastResult::from(result).value());
    metrics.set(host, Metric::LastAttempt, host.unix_now().as_secs());
}

fn log_too_late(host: &dyn Host) {
    host.log(
        LogLevel::Warn,
        "an attack list came too late: another worker has taken over; it is not used",
    );
}

fn log_list(host: &dyn Host, manifest: &Manifest, skipped: u64) {
    let counts = IdentifierKind::ALL
        .map(|kind| format!("{} {}", kind.as_str(), manifest.counts.get(kind)))
        .join(", ");
    host.log(
        LogLevel::Info,
        &format!(
            "attack list {} is in force: {counts}; {} bytes, {skipped} entries skipped",
            manifest.generation, manifest.stored_bytes
        ),
    );
}

fn new_key(host: &dyn Host) -> FingerprintKey {
    FingerprintKey::from_words([host.random(), host.random()])
}

/// A value that is there and not empty.
fn read(host: &dyn Host, key: &str) -> Option<Vec<u8>> {
    let value = host.shared_data(key).ok().flatten()?;
    (!value.bytes.is_empty()).then_some(value.bytes)
}

fn write(host: &dyn Host, key: &str, bytes: &[u8]) -> Result<(), HostError> {
    host.set_shared_data(key, bytes, WriteCondition::Always)
}
