//! One call for a list: its request, and what its result changes for operators. Decides neither when nor what is enforced.

use core::mem::discriminant;

use super::node_report;
use super::report::Report;
use super::settings::SyncSettings;
use crate::config::Feed;
use crate::feed::call::{self, Method};
use crate::feed::error::{FetchError, FetchFailure};
use crate::feed::pending_call::PendingCall;
use crate::feed::response::Validators;
use crate::host::{HostError, HttpCall, RootHost};
use crate::metrics::FetchResult;

/// Starts a call for a list. `known`: the validators of the active list. `node_report`: the header that reports on this node.
///
/// # Errors
///
/// The call was not made.
pub fn dispatch(
    host: &dyn RootHost,
    settings: &SyncSettings<'_>,
    method: Method,
    known: Option<&Validators>,
    node_report: Option<&str>,
) -> Result<PendingCall, HostError> {
    let feed = settings.feed;
    let path = call::path(feed, host.unix_now());
    let mut headers = call::headers(feed, method, &path, known);
    let report = node_report.map(|text| (node_report::HEADER, text.as_bytes()));
    headers.extend(report);
    let token = host.dispatch_http_call(&HttpCall {
        cluster: &feed.cluster,
        headers: &headers,
        body: &[],
        timeout: feed.timeout,
    })?;
    let now = host.monotonic_now();
    Ok(PendingCall::new(token, settings.root, now, feed.timeout))
}

/// The last logged failure, so that only changes of state are logged.
#[derive(Debug, Default)]
pub struct FailureLog {
    failing: Option<FetchError>,
}

impl FailureLog {
    /// Whether the last fetch failed.
    pub fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// The failure of the last fetch.
    pub fn last_error(&self) -> Option<&FetchError> {
        self.failing.as_ref()
    }

    /// A fetch succeeded.
    pub fn succeeded(&mut self, report: Report<'_>, result: FetchResult) {
        report.attempt(result);
        report.success();
        if self.failing.take().is_some() {
            log::info!("fetching the {} works again", report.list_name());
        }
    }

    /// A fetch of `feed` failed.
    pub fn failed(
        &mut self,
        report: Report<'_>,
        feed: &Feed,
        failure: FetchFailure,
        has_list: bool,
    ) {
        let FetchFailure { result, error, .. } = failure;
        report.attempt(result);
        let failing = self.failing.as_ref();
        if failing.is_none_or(|known| discriminant(known) != discriminant(&error)) {
            let kept = match has_list {
                true => "the active list stays",
                false => "there is no list yet",
            };
            let (list, result) = (report.list_name(), result.as_str());
            let explained = error.explained(feed);
            log::error!("fetching the {list} failed ({result}): {explained}; {kept}");
        }
        self.failing = Some(error);
    }
}
