//! One VM's part in reporting usage metrics to CrowdSec's local API (LAPI): when, the call, its response.
//!
//! The numbers are the process's metrics, and only the owner of the list's lease reports, so that there is one report for all
//! workers. A new owner begins at its first tick: what the old one had not reported is lost. Workers own the lease for one
//! fetch at a time (see `election`), so nothing is reported while the main thread's VM is dead.

use core::time::Duration;

use super::settings::SyncSettings;
use super::updater::VmIdentity;
use crate::config::Feed;
use crate::feed::call;
use crate::feed::crowdsec::usage::{Usage, request_path};
use crate::feed::error::FetchError;
use crate::feed::pending_call::PendingCall;
use crate::feed::response::ResponseHeaders;
use crate::host::{CallToken, HttpCall, RootHost, RootId};
use crate::metrics::{MeteredHost, Metric};

/// The time between two reports. LAPI asks for at least this much.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// One VM's reports about one list.
#[derive(Debug, Default)]
pub struct UsageReporter {
    /// The counts up to the last report that LAPI accepted, or up to the first tick as owner; `None` if another VM reports.
    reported: Option<Counts>,
    /// When the next report is due.
    due: Duration,
    /// The call in flight, and the counts up to it.
    call: Option<(PendingCall, Counts)>,
    /// The last report failed, and the log says so.
    is_failing: bool,
    /// LAPI has no usage metrics.
    is_unsupported: bool,
}

/// The values of the metrics at a time.
#[derive(Clone, Copy, Debug)]
struct Counts {
    at: Duration,
    processed: u64,
    dropped: u64,
}

impl Counts {
    fn read(host: MeteredHost<'_, dyn RootHost + '_>, feed: &Feed, at: Duration) -> Option<Self> {
        let mut dropped: u64 = 0;
        for metric in Metric::of_feed(&feed.name, feed.kinds) {
            if let Metric::Denied(_) = &metric {
                dropped = dropped.saturating_add(host.value(&metric)?);
            }
        }
        Some(Self {
            at,
            processed: host.value(&Metric::Requests)?,
            dropped,
        })
    }
}

impl UsageReporter {
    /// Whether it awaits the response with this token at this root context.
    pub fn awaits(&self, root: RootId, token: CallToken) -> bool {
        self.call
            .is_some_and(|(call, _)| call.root() == root && call.matches(token))
    }

    /// Abandons a call of a deleted root context; the next report has its numbers, too.
    pub fn abandon_call(&mut self, deleted: RootId) {
        self.call.take_if(|(call, _)| call.root() == deleted);
    }

    /// Reports if that is due. `is_owner`: whether this VM owns the list's lease.
    pub fn tick(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        is_owner: bool,
        vm: VmIdentity,
        settings: &SyncSettings<'_>,
    ) {
        let feed = settings.feed;
        let Some(options) = feed.reporting().filter(|_| !self.is_unsupported) else {
            return;
        };
        if !is_owner {
            (self.reported, self.call) = (None, None);
            return;
        }
        let now = host.monotonic_now();
        // The root context of the call was deleted. The next report has these numbers, too.
        self.call.take_if(|(call, _)| call.is_overdue(now));
        if self.call.is_some() || (self.reported.is_some() && now < self.due) {
            return;
        }
        let Some(counts) = Counts::read(host, feed, now) else {
            return;
        };
        self.due = now.saturating_add(INTERVAL);
        let Some(reported) = self.reported else {
            self.reported = Some(counts);
            return;
        };
        let unix_now = host.unix_now();
        let usage = Usage {
            processed: counts.processed.saturating_sub(reported.processed),
            dropped: counts.dropped.saturating_sub(reported.dropped),
            window: now.saturating_sub(reported.at),
            unix_now,
            unix_start: unix_now.saturating_sub(now.saturating_sub(vm.started)),
        };
        let sent = host.dispatch_http_call(&HttpCall {
            cluster: &feed.cluster,
            headers: &call::headers_with_json(feed, &request_path(&feed.path)),
            body: usage.to_json(&options.origins).as_bytes(),
            timeout: feed.timeout,
        });
        match sent {
            Ok(token) => {
                let call = PendingCall::new(token, settings.root, now, feed.timeout);
                self.call = Some((call, counts));
            }
            Err(error) => self.fail(feed, &FetchError::NotSent(error)),
        }
    }

    /// Handles the response that it awaits.
    pub fn on_response(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        settings: &SyncSettings<'_>,
    ) {
        let Some((_, counts)) = self.call.take() else {
            return;
        };
        let feed = settings.feed;
        match ResponseHeaders::read(&*host, host.unix_now()).map(|headers| headers.status) {
            Some(200..=299) => {
                self.reported = Some(counts);
                if core::mem::take(&mut self.is_failing) {
                    log::info!(
                        "sending usage metrics of the feed {} works again",
                        feed.name
                    );
                }
            }
            Some(404) => {
                self.is_unsupported = true;
                log::info!(
                    "the server of the feed {} has no usage metrics (status 404), so none are sent to it; update CrowdSec, \
                     or turn off usage_metrics",
                    feed.name
                );
            }
            Some(status) => self.fail(feed, &FetchError::Status(status)),
            None => self.fail(feed, &FetchError::Interrupted),
        }
    }

    /// The next report has the counts of the failed one, too.
    fn fail(&mut self, feed: &Feed, error: &FetchError) {
        if !core::mem::replace(&mut self.is_failing, true) {
            let (name, reason) = (&feed.name, error.explained(feed));
            log::warn!(
                "sending usage metrics of the feed {name} failed: {reason}; the next report has these numbers, too"
            );
        }
    }
}
