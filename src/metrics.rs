//! The metrics and their names. Envoy shows them as `wasmcustom.<name>`; `envoy/` turns `source=`, `kind=` and `result=` into
//! Prometheus labels. No name depends on traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::feed::ABS;
use crate::host::{MetricHandle, MetricStore, MetricType};
use crate::identifier::{IdentifierKind, PerKind};
use crate::judge::verdict::{DenyKind, DenyReason, ListOrigin};

mod metered_host;

pub use metered_host::MeteredHost;

/// The result of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchResult {
    /// A list was received and is active.
    Ok,
    /// The list has not changed.
    NotModified,
    /// Another status than 200 or 304.
    Status,
    /// No complete response in time.
    Timeout,
    /// No connection, or the response was interrupted.
    Reset,
    /// The response is larger than Envoy accepts.
    TooLarge,
    /// 401 or 403.
    Unauthorized,
    /// Not an attack list.
    Malformed,
    /// More than `attack_list_memory`.
    Memory,
    /// Rejected by `guard`, or it could not be published.
    Refused,
}

impl FetchResult {
    /// Every result.
    pub const ALL: [FetchResult; 10] = [
        FetchResult::Ok,
        FetchResult::NotModified,
        FetchResult::Status,
        FetchResult::Timeout,
        FetchResult::Reset,
        FetchResult::TooLarge,
        FetchResult::Unauthorized,
        FetchResult::Malformed,
        FetchResult::Memory,
        FetchResult::Refused,
    ];

    /// The name in metrics and log lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            FetchResult::Ok => "ok",
            FetchResult::NotModified => "not_modified",
            FetchResult::Status => "status",
            FetchResult::Timeout => "timeout",
            FetchResult::Reset => "reset",
            FetchResult::TooLarge => "too_large",
            FetchResult::Unauthorized => "unauthorized",
            FetchResult::Malformed => "malformed",
            FetchResult::Memory => "memory",
            FetchResult::Refused => "refused",
        }
    }
}

/// How the last fetch ended: the values of [`FeedMetric::LastResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LastResult {
    /// No fetch has ended yet.
    None = 0,
    /// A list was received.
    Ok = 1,
    /// The list has not changed.
    NotModified = 2,
    /// It failed; the log says why.
    Failed = 3,
}

impl LastResult {
    /// Every value.
    pub const ALL: [LastResult; 4] = [
        LastResult::None,
        LastResult::Ok,
        LastResult::NotModified,
        LastResult::Failed,
    ];

    /// The value of the gauge.
    pub const fn value(self) -> u64 {
        self as u64
    }

    /// The meaning of a gauge's value; `None` for a value that it never has.
    pub fn from_value(value: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.value() == value)
    }
}

impl From<FetchResult> for LastResult {
    fn from(result: FetchResult) -> Self {
        match result {
            FetchResult::Ok => LastResult::Ok,
            FetchResult::NotModified => LastResult::NotModified,
            _ => LastResult::Failed,
        }
    }
}

/// A metric of this filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Requests denied.
    Denied(DenyReason),
    /// Requests that shadow mode would have denied.
    WouldDeny(DenyReason),
    /// Requests, whatever their verdict. Counted only where a feed reports usage metrics.
    Requests,
    /// Requests of clients on the allow list.
    AllowListed,
    /// Traffic records that the receiver accepted.
    TrafficSent,
    /// Traffic records that did not fit the queue, or that lost their configuration.
    TrafficDropped,
    /// Traffic records that the receiver refused.
    TrafficFailed,
    /// When a call with traffic records was last accepted.
    TrafficLastSuccess,
    /// When a call with traffic records last failed.
    TrafficLastFailure,
    /// The status of that failed call; 0 without a response.
    TrafficLastFailureStatus,
    /// Of the feed with this name.
    Feed(Arc<str>, FeedMetric),
}

/// A metric of one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedMetric {
    /// Fetches, by result.
    Fetch(FetchResult),
    /// How the last fetch ended: a [`LastResult`].
    LastResult,
    /// When the last fetch ended.
    LastAttempt,
    /// Entries of its lists that could not be used.
    EntriesSkipped,
    /// Entries of the active list.
    Entries(IdentifierKind),
    /// The size of the active list in shared data, in bytes.
    Bytes,
    /// The generation of the active list.
    Generation,
    /// When the server last sent or confirmed the list.
    LastSuccess,
    /// 1 while the list is older than its maximum age.
    Stale,
}

impl Metric {
    /// The metrics of every configuration, in a fixed order. [`Metric::Requests`] is only of those with a feed that reports it.
    pub fn common() -> Vec<Metric> {
        let mut all = vec![
            Metric::AllowListed,
            Metric::TrafficSent,
            Metric::TrafficDropped,
            Metric::TrafficFailed,
            Metric::TrafficLastSuccess,
            Metric::TrafficLastFailure,
            Metric::TrafficLastFailureStatus,
        ];
        // The manual list is never missing.
        for kind in IdentifierKind::WITH_LIST_KEY {
            let reason = DenyReason {
                origin: ListOrigin::Manual,
                kind: DenyKind::Listed(kind),
            };
            all.extend([Metric::Denied(reason.clone()), Metric::WouldDeny(reason)]);
        }
        all
    }

    /// The metrics of a feed whose list has identifiers of `kinds`, in a fixed order.
    pub fn of_feed(name: &Arc<str>, kinds: PerKind<bool>) -> Vec<Metric> {
        let mut all = Vec::new();
        for kind in DenyKind::of(kinds) {
            let reason = DenyReason {
                origin: ListOrigin::Feed(name.clone()),
                kind,
            };
            all.extend([Metric::Denied(reason.clone()), Metric::WouldDeny(reason)]);
        }
        let metrics = [
            FeedMetric::LastResult,
            FeedMetric::LastAttempt,
            FeedMetric::EntriesSkipped,
            FeedMetric::Bytes,
            FeedMetric::Generation,
            FeedMetric::LastSuccess,
            FeedMetric::Stale,
        ];
        let fetches = FetchResult::ALL.map(FeedMetric::Fetch);
        let entries = IdentifierKind::ALL
            .into_iter()
            .filter(|kind| *kinds.get(*kind));
        let entries = entries.map(FeedMetric::Entries);
        let metrics = metrics.into_iter().chain(fetches).chain(entries);
        all.extend(metrics.map(|metric| Metric::Feed(name.clone(), metric)));
        all
    }

    /// The name, without the host's prefix.
    pub fn name(&self) -> String {
        let of_reason = |metric: &str, reason: &DenyReason| {
            let (origin, kind) = (reason.origin.as_str(), reason.kind.as_str());
            ["portcullis.", metric, ".source=", origin, ".kind=", kind].concat()
        };
        match self {
            Metric::Denied(reason) => of_reason("denied", reason),
            Metric::WouldDeny(reason) => of_reason("would_deny", reason),
            Metric::Requests => "portcullis.requests".to_owned(),
            Metric::AllowListed => "portcullis.allow_listed".to_owned(),
            Metric::TrafficSent => "portcullis.traffic.sent".to_owned(),
            Metric::TrafficDropped => "portcullis.traffic.dropped".to_owned(),
            Metric::TrafficFailed => "portcullis.traffic.failed".to_owned(),
            Metric::TrafficLastSuccess => "portcullis.traffic.last_success_unix_seconds".to_owned(),
            Metric::TrafficLastFailure => "portcullis.traffic.last_failure_unix_seconds".to_owned(),
            Metric::TrafficLastFailureStatus => "portcullis.traffic.last_failure_status".to_owned(),
            Metric::Feed(name, metric) => metric.name(name),
        }
    }

    /// Counter or gauge.
    pub const fn metric_type(&self) -> MetricType {
        match self {
            Metric::TrafficLastSuccess
            | Metric::TrafficLastFailure
            | Metric::TrafficLastFailureStatus => MetricType::Gauge,
            Metric::Feed(_, FeedMetric::Fetch(_) | FeedMetric::EntriesSkipped) => {
                MetricType::Counter
            }
            Metric::Feed(..) => MetricType::Gauge,
            _ => MetricType::Counter,
        }
    }
}

impl FeedMetric {
    /// The name for the feed `feed`. That of ABS has no label: its metrics are older than other feeds.
    fn name(self, feed: &str) -> String {
        let (group, metric) = match self {
            FeedMetric::Fetch(result) => ("fetch", ["result=", result.as_str()]),
            FeedMetric::LastResult => ("fetch", ["last_result", ""]),
            FeedMetric::LastAttempt => ("fetch", ["last_attempt_unix_seconds", ""]),
            FeedMetric::EntriesSkipped => ("entries_skipped", ["", ""]),
            FeedMetric::Entries(kind) => ("attack_list", ["entries.kind=", kind.as_str()]),
            FeedMetric::Bytes => ("attack_list", ["bytes", ""]),
            FeedMetric::Generation => ("attack_list", ["generation", ""]),
            FeedMetric::LastSuccess => ("attack_list", ["last_success_unix_seconds", ""]),
            FeedMetric::Stale => ("attack_list", ["stale", ""]),
        };
        let label = match feed {
            ABS => String::new(),
            _ => [".source=", feed].concat(),
        };
        let metric = metric.concat();
        let dot = if metric.is_empty() { "" } else { "." };
        ["portcullis.", group, &label, dot, &metric].concat()
    }
}

/// The metrics that are defined. The host returns a new number for each definition and never frees one, so each metric is
/// defined once.
#[derive(Debug, Default)]
pub struct Metrics {
    handles: BTreeMap<Metric, Option<MetricHandle>>,
}

impl Metrics {
    /// Defines those of `metrics` that are not defined yet.
    pub fn define(&mut self, store: &dyn MetricStore, metrics: impl IntoIterator<Item = Metric>) {
        for metric in metrics {
            self.handles.entry(metric).or_insert_with_key(|metric| {
                let defined = store.define_metric(metric.metric_type(), &metric.name());
                let defined = defined.inspect_err(|error| {
                    log::error!("metric {} can't be defined: {error}", metric.name());
                });
                defined.ok()
            });
        }
    }

    fn handle(&self, metric: &Metric) -> Option<MetricHandle> {
        self.handles.get(metric).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_are_those_of_the_contract() {
        let abs = Metric::of_feed(&ABS.into(), PerKind::WITH_LIST_KEY);
        let ips = PerKind {
            ip: true,
            ..PerKind::default()
        };
        let drop = Metric::of_feed(&"drop".into(), ips);
        assert!(drop.iter().all(|metric| !metric.name().contains("cookie")));
        let all = Metric::common().into_iter().chain(abs).chain(drop);
        let names: Vec<_> = all.map(|metric| metric.name()).collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        for name in [
            "portcullis.denied.source=abs.kind=ip",
            "portcullis.denied.source=abs.kind=no_list",
            "portcullis.would_deny.source=manual.kind=oauth_token",
            "portcullis.fetch.result=not_modified",
            "portcullis.fetch.last_result",
            "portcullis.denied.source=drop.kind=ip",
            "portcullis.fetch.source=drop.result=ok",
            "portcullis.fetch.source=drop.last_result",
            "portcullis.entries_skipped",
            "portcullis.entries_skipped.source=drop",
            "portcullis.attack_list.source=drop.entries.kind=ip",
            "portcullis.attack_list.source=drop.stale",
            "portcullis.fetch.last_attempt_unix_seconds",
            "portcullis.attack_list.entries.kind=api_key",
            "portcullis.attack_list.last_success_unix_seconds",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        assert!(
            !names
                .iter()
                .any(|name| name.contains("manual.kind=no_list"))
        );
    }
}
