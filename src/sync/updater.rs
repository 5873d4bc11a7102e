//! One VM's part in keeping a list up to date: claims the lease, fetches, publishes, reports the result.
//!
//! Wires `election` (who and when), `feed` (what a response means) and `publisher` (shared data) to the host. A failed or
//! refused fetch writes the lease and nothing else.

use core::time::Duration;
use std::sync::Arc;

use super::attempts::Outcome;
use super::election::{Candidacy, Election, FirstVm, Step};
use super::freshness::Freshness;
use super::keys::ListId;
use super::lease::{LEASE, PARSING, VmId};
use super::list_call::{self, FailureLog};
use super::node_report;
use super::publisher::{self, Published};
use super::replica::Replica;
use super::report::{ListState, Report};
use super::settings::SyncSettings;
use super::store::{self, Store};
use crate::config::Feed;
use crate::feed::body::CallBody;
use crate::feed::call::Method;
use crate::feed::error::{FetchError, FetchFailure};
use crate::feed::fetch::{self, FetchOutcome, Rules};
use crate::feed::pending_call::PendingCall;
use crate::feed::response::{ResponseHeaders, Validators};
use crate::host::{CallToken, HostError, RootId};
use crate::identifier::{FingerprintKey, PerKind};
use crate::list::{Blocklist, Manifest};
use crate::metrics::{FetchResult, MeteredHost};

/// A VM of the process.
#[derive(Clone, Copy, Debug)]
pub struct VmIdentity {
    /// Its random number.
    pub id: VmId,
    /// When it was created, on the monotonic clock.
    pub started: Duration,
    /// Whether it has served a request.
    pub served: bool,
}

/// One VM's part in updating one list.
#[derive(Debug)]
pub struct Updater {
    /// The name of the feed, and the kinds that are taken from its list.
    feed: (Arc<str>, PerKind<bool>),
    store: Store,
    election: Election,
    call: Option<PendingCall>,
    /// Whether the call in flight is a HEAD request for the size of the interrupted response.
    is_probing: bool,
    /// The freshness of the list, if the call in flight has its validators.
    confirming: Option<Freshness>,
    failures: FailureLog,
    /// Whether gauges with the feed's name may have another list's state.
    must_report: bool,
}

impl Updater {
    /// The part of `vm` in updating the list `id` of `feed`.
    pub fn new(id: ListId, vm: VmId, feed: &Feed) -> Self {
        Self {
            feed: (feed.name.clone(), feed.kinds),
            store: Store::new(id),
            election: Election::new(vm),
            call: None,
            is_probing: false,
            confirming: None,
            failures: FailureLog::default(),
            must_report: false,
        }
    }

    /// Whether it awaits the response with this token at this root context.
    pub fn awaits(&self, root: RootId, token: CallToken) -> bool {
        self.call
            .is_some_and(|call| call.root() == root && call.matches(token))
    }

    /// The root context that awaits a response.
    pub fn calling_root(&self) -> Option<RootId> {
        self.call.map(|call| call.root())
    }

    /// Abandons a call of a deleted root context: there will be no response.
    pub fn abandon_call(&mut self, is_live: impl Fn(RootId) -> bool) {
        self.call = self.call.filter(|call| is_live(call.root()));
    }

    /// Whether short ticks are needed: to claim the lease, or to get the first list.
    pub fn is_waiting(&self, replica: &Replica) -> bool {
        self.election.is_waiting() || (!replica.has_list() && !self.failures.is_failing())
    }

    /// Takes part in the election, and fetches if it is this VM's turn. Returns whether this VM owns the lease.
    pub fn tick(
        &mut self,
        host: MeteredHost<'_>,
        replica: &mut Replica,
        vm: VmIdentity,
        settings: &SyncSettings<'_>,
    ) -> bool {
        let now = host.monotonic_now();
        self.call = self.call.filter(|call| !call.is_overdue(now));
        let view = self.store.lease(&*host);
        let is_owner = view.is_owned_by(vm.id);
        let feed = settings.feed;
        let report = report_of(host, feed);
        if core::mem::take(&mut self.must_report) && is_owner {
            let list = self.store.manifest(&*host).as_ref().map(ListState::from);
            let freshness = self.store.freshness(&*host);
            let attempts = view.lease.as_ref().map(|lease| &lease.attempts);
            report.state(list.as_ref(), freshness.map(|it| it.last_success), attempts);
        }
        if replica.check_age(&*host, now, feed.max_age) && is_owner {
            report.log_age(replica.is_stale(), &feed.setting("max_age"));
        }
        let this = FirstVm {
            id: vm.id,
            started: vm.started,
        };
        let candidacy = Candidacy {
            served: vm.served,
            // Not asked while the lease is not free.
            first: view.is_free_for(vm.id, now) && self.store.claim_first_vm(&*host, this),
        };
        let is_calling = self.call.is_some();
        match self
            .election
            .on_tick(now, &view, candidacy, feed.interval, is_calling)
        {
            Step::Wait => {}
            Step::Write(lease, condition) => {
                self.store.write_lease(&*host, &lease, condition);
            }
            Step::Fetch(lease, condition) => {
                if self.store.write_lease(&*host, &lease, condition) {
                    self.fetch(host, replica, settings, Method::Get);
                }
            }
        }
        if is_owner {
            report.stale(replica.is_stale());
        }
        is_owner
    }

    /// Handles a response.
    pub fn on_response(
        &mut self,
        host: MeteredHost<'_>,
        replica: &Replica,
        token: CallToken,
        settings: &SyncSettings<'_>,
    ) {
        if self.call.take_if(|call| call.matches(token)).is_none() {
            return;
        }
        let headers = ResponseHeaders::read(&*host, host.unix_now());
        if core::mem::take(&mut self.is_probing) {
            let size = headers.and_then(|headers| headers.too_large());
            let error = size.map_or(FetchError::Interrupted, FetchError::TooLarge);
            return self.fail(host, replica, FetchFailure::new(error), settings.feed);
        }
        let active = self.store.manifest(&*host);
        let key = active
            .as_ref()
            .map_or_else(|| store::fingerprint_key(&*host), |manifest| manifest.key);
        let rules = Rules {
            feed: settings.feed,
            ipv6_prefix: settings.ipv6_prefix,
            key,
            n_entries_before: active
                .as_ref()
                .map(|active| active.n_entries_at(host.monotonic_now())),
        };
        let confirming = self.confirming.take();
        // If another VM has it, `publish` notices that.
        self.hold_lease(host, PARSING);
        let body = CallBody::new(&*host);
        match fetch::read_response(headers, body, confirming.is_some(), &rules) {
            FetchOutcome::List {
                list,
                validators,
                skipped,
                left_out,
            } => {
                let report = report_of(host, settings.feed);
                report.skipped(skipped);
                match self.publish(host, replica, &list, key, active) {
                    Ok(Published { manifest, is_new }) => {
                        self.write_freshness(host, &manifest, validators, settings.rules);
                        self.succeed(host, FetchResult::Ok);
                        let state = ListState::from(&manifest);
                        report.list(&state);
                        if is_new {
                            report.new_list(&state, skipped, left_out);
                        }
                    }
                    Err(HostError::CasMismatch) => log::warn!(
                        "a new {} arrived too late and is not used: another worker has the lease",
                        report.list_name()
                    ),
                    Err(error) => {
                        log::error!("writing shared data failed: {error}");
                        let failure = FetchFailure::new(FetchError::NotPublished);
                        self.fail(host, replica, failure, settings.feed);
                    }
                }
            }
            FetchOutcome::NotModified => {
                if let Some(manifest) = active {
                    let validators = confirming.map(|known| known.validators).unwrap_or_default();
                    self.write_freshness(host, &manifest, validators, settings.rules);
                    report_of(host, settings.feed).list(&ListState::from(&manifest));
                }
                self.succeed(host, FetchResult::NotModified);
            }
            FetchOutcome::Failed(failure) if failure.error == FetchError::Interrupted => {
                // The host reports a response that is too large as interrupted. A HEAD request returns its size.
                self.fetch(host, replica, settings, Method::Head);
            }
            FetchOutcome::Failed(failure) => self.fail(host, replica, failure, settings.feed),
        }
    }

    /// No configuration of this VM uses the list any more. The owner of the lease clears shared data, so that
    /// no VM enforces the list while fetching is off, or an outdated list when it is turned on again. Whether it did: gauges
    /// were cleared, which may have the name of another list by now.
    pub fn retire(&mut self, host: MeteredHost<'_>) -> bool {
        let is_owner = self.is_owner(host);
        if is_owner {
            publisher::drop_list(&*host, &self.store);
            Report::new(host.of_root().system(), &self.feed.0, self.feed.1).no_list();
        }
        is_owner
    }

    /// The list is now that of `feed`. Whether gauges were cleared, as in [`Updater::retire`].
    pub fn rename(&mut self, host: MeteredHost<'_>, feed: &Feed) -> bool {
        if (&self.feed.0, self.feed.1) == (&feed.name, feed.kinds) {
            return false;
        }
        let is_owner = self.is_owner(host);
        if is_owner {
            Report::new(host.of_root().system(), &self.feed.0, self.feed.1).clear();
        }
        self.feed = (feed.name.clone(), feed.kinds);
        is_owner
    }

    /// Sets the gauges at the next tick.
    pub fn report_again(&mut self) {
        self.must_report = true;
    }

    fn is_owner(&self, host: MeteredHost<'_>) -> bool {
        let lease = self.store.lease(&*host);
        lease.is_owned_by(self.election.vm())
    }

    fn fetch(
        &mut self,
        host: MeteredHost<'_>,
        replica: &Replica,
        settings: &SyncSettings<'_>,
        method: Method,
    ) {
        self.is_probing = method == Method::Head;
        self.confirming = match method {
            Method::Get => self.confirmable(host, settings),
            Method::Head => None,
        };
        let known = self.confirming.as_ref().map(|known| &known.validators);
        let reported = settings.reported.filter(|_| method == Method::Get);
        let report = reported.map(|config| {
            let list_of = |feed: &Feed| {
                let store = Store::new(ListId::of(feed));
                store.manifest(&*host).as_ref().map(ListState::from)
            };
            node_report::text(host.of_root().system(), config, list_of)
        });
        match list_call::dispatch(&*host.of_root(), settings, method, known, report.as_deref()) {
            Ok(call) => self.call = Some(call),
            Err(error) => {
                let error = match method {
                    Method::Get => FetchError::NotSent(error),
                    Method::Head => FetchError::Interrupted,
                };
                self.is_probing = false;
                self.fail(host, replica, FetchFailure::new(error), settings.feed);
            }
        }
    }

    /// The freshness of the active list, if its validators may be sent: the list was accepted by the current rules, and shared
    /// data has all of its values.
    fn confirmable(&self, host: MeteredHost<'_>, settings: &SyncSettings<'_>) -> Option<Freshness> {
        let freshness = self.store.freshness(&*host)?;
        let manifest = self.store.manifest(&*host)?;
        let is_valid = !freshness.validators.is_empty()
            && freshness.generation == manifest.generation
            && freshness.rules == settings.rules
            && publisher::is_complete(&*host, &self.store, &manifest);
        is_valid.then_some(freshness)
    }

    fn publish(
        &self,
        host: MeteredHost<'_>,
        replica: &Replica,
        list: &Blocklist,
        key: FingerprintKey,
        active: Option<Manifest>,
    ) -> Result<Published, HostError> {
        let vm = self.election.vm();
        // The lease must not expire while the list is written.
        if !self.hold_lease(host, LEASE) {
            return Err(HostError::CasMismatch);
        }
        let generation = replica.generation();
        publisher::publish(&*host, &self.store, vm, list, key, active, generation)
    }

    /// Keeps the lease for so long. `false` if another VM has it.
    fn hold_lease(&self, host: MeteredHost<'_>, time: Duration) -> bool {
        let view = self.store.lease(&*host);
        let lease = view.lease.as_ref();
        let lease = lease.filter(|_| view.is_owned_by(self.election.vm()));
        lease.is_some_and(|lease| {
            let lease = lease.until(host.monotonic_now().saturating_add(time));
            self.store.write_lease(&*host, &lease, view.condition())
        })
    }

    fn write_freshness(
        &self,
        host: MeteredHost<'_>,
        manifest: &Manifest,
        validators: Validators,
        rules: u64,
    ) {
        let freshness = Freshness {
            generation: manifest.generation,
            last_success: host.monotonic_now(),
            rules,
            validators,
        };
        if let Err(error) = self.store.write_freshness(&*host, &freshness) {
            log::error!("writing shared data failed: {error}");
        }
    }

    fn succeed(&mut self, host: MeteredHost<'_>, result: FetchResult) {
        let report = Report::new(host.of_root().system(), &self.feed.0, self.feed.1);
        self.failures.succeeded(report, result);
        self.end_attempt(host, Outcome::Success);
    }

    fn fail(
        &mut self,
        host: MeteredHost<'_>,
        replica: &Replica,
        failure: FetchFailure,
        feed: &Feed,
    ) {
        let retry_after = failure.retry_after;
        let report = report_of(host, feed);
        let has_list = replica.has_list();
        self.failures.failed(report, feed, failure, has_list);
        self.end_attempt(host, Outcome::Failure { retry_after });
    }

    fn end_attempt(&mut self, host: MeteredHost<'_>, outcome: Outcome) {
        let view = self.store.lease(&*host);
        let now = host.monotonic_now();
        if let Some((lease, condition)) = self.election.on_attempt_ended(now, &view, outcome) {
            self.store.write_lease(&*host, &lease, condition);
        }
    }
}

fn report_of<'a>(host: MeteredHost<'a>, feed: &'a Feed) -> Report<'a> {
    Report::new(host.of_root().system(), &feed.name, feed.kinds)
}

impl From<&Manifest> for ListState {
    fn from(manifest: &Manifest) -> Self {
        Self {
            generation: manifest.generation,
            counts: manifest.counts,
            bytes: manifest.stored_bytes,
        }
    }
}
