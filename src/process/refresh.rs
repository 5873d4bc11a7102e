//! Keeps one list of the process up to date: when to fetch, the call, what its result changes. Judges nothing.
//!
//! Everything here happens on the main thread; only the body of a response is read elsewhere (`fetch_job`).

use core::time::Duration;
use std::sync::Arc;

use super::fetch_job::{FetchJob, Fetched, FetchedList};
use super::shared_list::SharedList;
use crate::config::Feed;
use crate::feed::call::Method;
use crate::feed::error::{FetchError, FetchFailure};
use crate::feed::pending_call::PendingCall;
use crate::feed::response::{ResponseHeaders, Validators};
use crate::host::{CallToken, RootHost, RootId};
use crate::identifier::{FingerprintKey, PerKind};
use crate::list::ExactList;
use crate::metrics::{FetchResult, MeteredHost};
use crate::sync::attempts::{Attempts, Outcome};
use crate::sync::list_call::{FailureLog, dispatch};
use crate::sync::report::{ListState, Report};
use crate::sync::{ListId, SyncSettings};

type Host<'a> = MeteredHost<'a, dyn RootHost + 'a>;

/// One list of the process.
#[derive(Debug)]
pub struct Refresh {
    id: ListId,
    shared: Arc<SharedList>,
    /// The name of the feed, and the kinds that are taken from its list.
    feed: (Arc<str>, PerKind<bool>),
    /// For the list's fingerprints.
    key: FingerprintKey,
    /// For the jitter of the interval.
    seed: u64,
    attempts: Attempts,
    /// The list changed at its source: the next fetch is due now.
    has_changed: bool,
    call: Option<PendingCall>,
    /// Whether the response has begun: its job ends the call, however long it takes.
    is_reading: bool,
    /// Whether the validators of the active list were sent with the call in flight.
    is_conditional: bool,
    /// The rules by which the response is read.
    rules: u64,
    /// The validators of the active list, and the rules by which it was accepted.
    known: Option<(u64, Validators)>,
    /// When the server last sent or confirmed the list, on the monotonic clock.
    last_success: Option<Duration>,
    generation: u64,
    failures: FailureLog,
    /// Whether gauges with the feed's name may have another list's state.
    must_report: bool,
    /// Replaced lists that requests may still read. Workers never free a list: that takes long.
    retired: Vec<Arc<ExactList>>,
}

impl Refresh {
    /// The list `id` of `feed`, which was not fetched yet. `seed`: a random number.
    pub fn new(id: ListId, feed: &Feed, key: FingerprintKey, seed: u64) -> Self {
        Self {
            id,
            shared: Arc::default(),
            feed: (feed.name.clone(), feed.kinds),
            key,
            seed,
            attempts: Attempts::default(),
            has_changed: false,
            call: None,
            is_reading: false,
            is_conditional: false,
            rules: 0,
            known: None,
            last_success: None,
            generation: 0,
            failures: FailureLog::default(),
            must_report: false,
            retired: Vec::new(),
        }
    }

    /// Its list.
    pub fn id(&self) -> ListId {
        self.id
    }

    /// The active list.
    pub fn shared(&self) -> &Arc<SharedList> {
        &self.shared
    }

    /// What is reported of the active list; `None` before the first.
    pub fn state(&self) -> Option<ListState> {
        let list = self.shared.list()?;
        Some(ListState {
            generation: self.generation,
            counts: *list.counts(),
            bytes: list.memory(),
        })
    }

    /// When the server last sent or confirmed the list, on the monotonic clock.
    pub fn last_success(&self) -> Option<Duration> {
        self.last_success
    }

    /// The failure of the last fetch.
    pub fn last_error(&self) -> Option<&FetchError> {
        self.failures.last_error()
    }

    /// When the next fetch is due, on the monotonic clock.
    pub fn due(&self, interval: Duration) -> Duration {
        if self.has_changed {
            return Duration::ZERO;
        }
        self.attempts.due(interval, self.seed)
    }

    /// The list changed at its source: it is fetched at the next tick that has no call in flight.
    pub fn source_changed(&mut self) {
        self.has_changed = true;
    }

    /// Whether it awaits the response with this token at this root context.
    pub fn awaits(&self, root: RootId, token: CallToken) -> bool {
        self.call
            .is_some_and(|call| call.root() == root && call.matches(token))
    }

    /// Abandons a call of a deleted root context: there will be no response.
    pub fn abandon_call(&mut self, deleted: RootId) {
        self.call = self.call.filter(|call| call.root() != deleted);
    }

    /// Whether short ticks are due: to get the first list, or to free a replaced one.
    pub fn is_busy(&self) -> bool {
        let waits = self.shared.read().is_none() && !self.failures.is_failing();
        waits || !self.retired.is_empty()
    }

    /// Fetches if that is due. `node_report` returns the header that reports on this node.
    pub fn tick(
        &mut self,
        host: Host<'_>,
        settings: &SyncSettings<'_>,
        node_report: &dyn Fn() -> Option<String>,
    ) {
        let now = host.monotonic_now();
        self.retired.retain(|list| Arc::strong_count(list) > 1);
        self.call = self
            .call
            .filter(|call| self.is_reading || !call.is_overdue(now));
        let feed = settings.feed;
        let report = report_of(host, feed);
        if core::mem::take(&mut self.must_report) {
            report.state(
                self.state().as_ref(),
                self.last_success,
                Some(&self.attempts),
            );
        }
        let is_stale = match (feed.max_age, self.last_success) {
            (Some(max_age), Some(last_success)) => now.saturating_sub(last_success) > max_age,
            _ => false,
        };
        if self.shared.set_stale(is_stale) {
            report.log_age(is_stale, &feed.setting("max_age"));
        }
        if self.call.is_none() && self.due(feed.interval) <= now {
            self.attempts = self.attempts.begun(now);
            self.has_changed = false;
            self.fetch(host, settings, node_report().as_deref());
        }
        report.stale(is_stale);
    }

    fn fetch(&mut self, host: Host<'_>, settings: &SyncSettings<'_>, node_report: Option<&str>) {
        let known = self.known.as_ref();
        let known = known.filter(|(rules, validators)| {
            *rules == settings.rules && !validators.is_empty() && self.shared.read().is_some()
        });
        let validators = known.map(|(_, validators)| validators);
        self.is_conditional = validators.is_some();
        match dispatch(&*host, settings, Method::Get, validators, node_report) {
            Ok(call) => {
                self.call = Some(call);
                self.is_reading = false;
            }
            Err(error) => {
                let failure = FetchFailure::new(FetchError::NotSent(error));
                self.fail(host, settings.feed, failure);
            }
        }
    }

    /// The headers of the response arrived, or the call failed: the job that reads the response.
    pub fn begin_response(&mut self, host: &dyn RootHost, settings: &SyncSettings<'_>) -> FetchJob {
        self.is_reading = true;
        self.rules = settings.rules;
        let now = host.monotonic_now();
        let active = self.shared.list();
        FetchJob {
            feed: settings.feed.clone(),
            ipv6_prefix: settings.ipv6_prefix,
            key: self.key,
            n_entries_before: active.map(|list| list.n_entries_at(now)),
            headers: ResponseHeaders::read(host, host.unix_now()),
            conditional: self.is_conditional,
            received: now,
        }
    }

    /// The job's result.
    pub fn finish(&mut self, host: Host<'_>, settings: &SyncSettings<'_>, fetched: Fetched) {
        self.call = None;
        self.is_reading = false;
        match fetched.0 {
            FetchedList::List {
                list,
                validators,
                skipped,
                left_out,
            } => {
                let report = report_of(host, settings.feed);
                report.skipped(skipped);
                let is_new = self.activate(list);
                // Not those of the newest configuration, which may have come meanwhile.
                self.known = Some((self.rules, validators));
                self.succeed(host, settings.feed, FetchResult::Ok);
                if let Some(state) = self.state() {
                    report.list(&state);
                    if is_new {
                        report.new_list(&state, skipped, left_out);
                    }
                }
            }
            FetchedList::NotModified => self.succeed(host, settings.feed, FetchResult::NotModified),
            FetchedList::Failed(failure) => self.fail(host, settings.feed, failure),
        }
    }

    /// Replaces the active list. Whether the entries are new: times to live may be, with the same entries.
    fn activate(&mut self, list: Arc<ExactList>) -> bool {
        let active = self.shared.list();
        let is_known = active.is_some_and(|active| active.is_same_list(&list));
        if is_known && !list.expires() {
            return false;
        }
        self.generation = self.generation.saturating_add(1);
        self.retired.extend(self.shared.replace(Some(list)));
        !is_known
    }

    fn succeed(&mut self, host: Host<'_>, feed: &Feed, result: FetchResult) {
        let now = host.monotonic_now();
        self.last_success = Some(now);
        self.attempts = self.attempts.ended(now, Outcome::Success);
        self.failures.succeeded(report_of(host, feed), result);
    }

    fn fail(&mut self, host: Host<'_>, feed: &Feed, failure: FetchFailure) {
        let outcome = Outcome::Failure {
            retry_after: failure.retry_after,
        };
        self.attempts = self.attempts.ended(host.monotonic_now(), outcome);
        let has_list = self.shared.read().is_some();
        let report = report_of(host, feed);
        self.failures.failed(report, feed, failure, has_list);
    }

    /// The list is now that of `feed`. Whether gauges were cleared, which may have the name of another list by now.
    pub fn rename(&mut self, host: Host<'_>, feed: &Feed) -> bool {
        if (&self.feed.0, self.feed.1) == (&feed.name, feed.kinds) {
            return false;
        }
        Report::new(host.system(), &self.feed.0, self.feed.1).clear();
        self.feed = (feed.name.clone(), feed.kinds);
        true
    }

    /// No configuration uses the list any more.
    pub fn retire(&mut self, host: Host<'_>) {
        Report::new(host.system(), &self.feed.0, self.feed.1).no_list();
    }

    /// Sets the gauges at the next tick.
    pub fn report_again(&mut self) {
        self.must_report = true;
    }
}

fn report_of<'a>(host: Host<'a>, feed: &'a Feed) -> Report<'a> {
    Report::new(host.system(), &feed.name, feed.kinds)
}
