//! One VM's part in keeping a list up to date: claims the lease, fetches, publishes, reports the result.
//!
//! Wires `election` (who and when), `feed` (what a response means) and `publisher` (shared data) to the host. A failed or
//! refused fetch writes the lease and nothing else.

use core::mem::discriminant;
use core::time::Duration;
use std::rc::Rc;

use super::election::{Candidacy, Election, FirstVm, Outcome, Step};
use super::freshness::Freshness;
use super::keys::ListId;
use super::lease::VmId;
use super::node_report;
use super::publisher::{self, Published};
use super::replica::Replica;
use super::report::Report;
use super::settings::SyncSettings;
use super::store::{self, Store};
use crate::config::Feed;
use crate::feed::call::{self, Method};
use crate::feed::error::{FetchError, FetchFailure};
use crate::feed::fetch::{self, FetchOutcome, Rules};
use crate::feed::pending_call::PendingCall;
use crate::feed::response::{ResponseHeaders, Validators};
use crate::host::{CallToken, HostError, HttpCall, RootId};
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
    feed: (Rc<str>, PerKind<bool>),
    store: Store,
    election: Election,
    call: Option<PendingCall>,
    /// Whether the call in flight is a HEAD request for the size of the interrupted response.
    is_probing: bool,
    /// The freshness of the list, if the call in flight has its validators.
    confirming: Option<Freshness>,
    /// The last logged failure, so that only changes of state are logged; cleared by success.
    failing: Option<FetchError>,
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
            failing: None,
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
        self.election.is_waiting() || (!replica.has_list() && self.failing.is_none())
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
        let report = Report::new(host, &feed.name, feed.kinds);
        if core::mem::take(&mut self.must_report) && is_owner {
            report.state(&self.store);
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

    /// Handles a response; its body has `body_size` bytes.
    pub fn on_response(
        &mut self,
        host: MeteredHost<'_>,
        replica: &Replica,
        token: CallToken,
        body_size: usize,
        settings: &SyncSettings<'_>,
    ) {
        if self.call.take_if(|call| call.matches(token)).is_none() {
            return;
        }
        if core::mem::take(&mut self.is_probing) {
            let size = ResponseHeaders::read(&*host).and_then(|headers| headers.too_large());
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
        match fetch::read_response(&*host, body_size, confirming.is_some(), &rules) {
            FetchOutcome::List {
                list,
                validators,
                skipped,
                left_out,
            } => {
                let report = Report::new(host, &settings.feed.name, settings.feed.kinds);
                report.skipped(skipped);
                match self.publish(host, replica, &list, key, active) {
                    Ok(Published { manifest, is_new }) => {
                        self.write_freshness(host, &manifest, validators, settings.rules);
                        self.succeed(host, FetchResult::Ok);
                        report.list(&manifest);
                        if is_new {
                            report.new_list(&manifest, skipped, left_out);
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
                    Report::new(host, &settings.feed.name, settings.feed.kinds).list(&manifest);
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
            Report::new(host, &self.feed.0, self.feed.1).no_list();
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
            Report::new(host, &self.feed.0, self.feed.1).clear();
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
        let feed = settings.feed;
        let path = call::path(feed, host.unix_now());
        let mut headers = call::headers(feed, method, &path, known);
        let reported = settings.reported.filter(|_| method == Method::Get);
        let report = reported.map(|config| node_report::text(host, config));
        headers.extend(
            report
                .iter()
                .map(|text| (node_report::HEADER, text.as_bytes())),
        );
        let call = HttpCall {
            cluster: &feed.cluster,
            headers: &headers,
            body: &[],
            timeout: feed.timeout,
        };
        match host.dispatch_http_call(&call) {
            Ok(token) => {
                let now = host.monotonic_now();
                self.call = Some(PendingCall::new(token, settings.root, now, feed.timeout));
            }
            Err(error) => {
                let error = match method {
                    Method::Get => FetchError::NotSent(error),
                    Method::Head => FetchError::Interrupted,
                };
                self.is_probing = false;
                self.fail(host, replica, FetchFailure::new(error), feed);
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
        let view = self.store.lease(&*host);
        let lease = view.lease.as_ref().filter(|_| view.is_owned_by(vm));
        let lease = lease.ok_or(HostError::CasMismatch)?;
        let renewed = lease.renewed(host.monotonic_now());
        if !self.store.write_lease(&*host, &renewed, view.condition()) {
            return Err(HostError::CasMismatch);
        }
        let generation = replica.generation();
        publisher::publish(&*host, &self.store, vm, list, key, active, generation)
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
        let report = Report::new(host, &self.feed.0, self.feed.1);
        report.attempt(result);
        report.success();
        if self.failing.take().is_some() {
            log::info!("fetching the {} works again", report.list_name());
        }
        self.end_attempt(host, Outcome::Success);
    }

    fn fail(
        &mut self,
        host: MeteredHost<'_>,
        replica: &Replica,
        failure: FetchFailure,
        feed: &Feed,
    ) {
        let FetchFailure {
            result,
            error,
            retry_after,
        } = failure;
        let report = Report::new(host, &feed.name, feed.kinds);
        report.attempt(result);
        let failing = self.failing.as_ref();
        if failing.is_none_or(|known| discriminant(known) != discriminant(&error)) {
            let kept = match replica.has_list() {
                true => "the active list stays",
                false => "there is no list yet",
            };
            let (list, result) = (report.list_name(), result.as_str());
            let explained = error.explained(feed);
            log::error!("fetching the {list} failed ({result}): {explained}; {kept}");
        }
        self.failing = Some(error);
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
