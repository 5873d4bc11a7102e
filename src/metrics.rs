//! The metrics and their names. Envoy shows them as `wasmcustom.<name>`; `envoy/` turns `source=`, `kind=` and `result=` into
//! Prometheus labels. No name depends on traffic.

use core::cell::OnceCell;
use core::ops::Deref;

use crate::host::{Host, HostError, MetricHandle, MetricStore, MetricType};
use crate::identifier::IdentifierKind;
use crate::judge::verdict::{DenyKind, DenyReason, ListOrigin};

/// The result of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// A list was received and is active.
    Ok,
    /// ABS's list has not changed.
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

/// How the last fetch ended: the values of [`Metric::LastResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LastResult {
    /// No fetch has ended yet.
    None = 0,
    /// A list was received.
    Ok = 1,
    /// ABS's list has not changed.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Requests denied.
    Denied(DenyReason),
    /// Requests that shadow mode would have denied.
    WouldDeny(DenyReason),
    /// Requests of clients on the allow list.
    AllowListed,
    /// Fetches, by result.
    Fetch(FetchResult),
    /// How the last fetch ended: a [`LastResult`].
    LastResult,
    /// When the last fetch ended.
    LastAttempt,
    /// Entries of ABS's lists that could not be used.
    EntriesSkipped,
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
    /// Entries of the active list.
    Entries(IdentifierKind),
    /// The size of the active list in shared data, in bytes.
    Bytes,
    /// The generation of the active list.
    Generation,
    /// When ABS last sent or confirmed the list.
    LastSuccess,
    /// 1 while the list is older than `attack_list_max_age`.
    Stale,
}

impl Metric {
    /// Every metric, in a fixed order.
    pub fn all() -> Vec<Metric> {
        let mut all = vec![
            Metric::AllowListed,
            Metric::LastResult,
            Metric::LastAttempt,
            Metric::EntriesSkipped,
            Metric::TrafficSent,
            Metric::TrafficDropped,
            Metric::TrafficFailed,
            Metric::TrafficLastSuccess,
            Metric::TrafficLastFailure,
            Metric::TrafficLastFailureStatus,
            Metric::Bytes,
            Metric::Generation,
            Metric::LastSuccess,
            Metric::Stale,
        ];
        for kind in DenyKind::ALL {
            for origin in [ListOrigin::Abs, ListOrigin::Manual] {
                // Only a feed's list can be missing.
                if (origin, kind) != (ListOrigin::Manual, DenyKind::NoList) {
                    let reason = DenyReason { origin, kind };
                    all.push(Metric::Denied(reason));
                    all.push(Metric::WouldDeny(reason));
                }
            }
        }
        for result in FetchResult::ALL {
            all.push(Metric::Fetch(result));
        }
        for kind in IdentifierKind::ALL {
            all.push(Metric::Entries(kind));
        }
        all
    }

    /// The name, without the host's prefix.
    pub fn name(self) -> String {
        let whole = |name| [name, "", "", ""];
        let parts = match self {
            Metric::Denied(DenyReason { origin, kind }) => {
                let (origin, kind) = (origin.as_str(), kind.as_str());
                ["portcullis.denied.source=", origin, ".kind=", kind]
            }
            Metric::WouldDeny(DenyReason { origin, kind }) => {
                let (origin, kind) = (origin.as_str(), kind.as_str());
                ["portcullis.would_deny.source=", origin, ".kind=", kind]
            }
            Metric::AllowListed => whole("portcullis.allow_listed"),
            Metric::Fetch(result) => ["portcullis.fetch.result=", result.as_str(), "", ""],
            Metric::LastResult => whole("portcullis.fetch.last_result"),
            Metric::LastAttempt => whole("portcullis.fetch.last_attempt_unix_seconds"),
            Metric::EntriesSkipped => whole("portcullis.entries_skipped"),
            Metric::TrafficSent => whole("portcullis.traffic.sent"),
            Metric::TrafficDropped => whole("portcullis.traffic.dropped"),
            Metric::TrafficFailed => whole("portcullis.traffic.failed"),
            Metric::TrafficLastSuccess => whole("portcullis.traffic.last_success_unix_seconds"),
            Metric::TrafficLastFailure => whole("portcullis.traffic.last_failure_unix_seconds"),
            Metric::TrafficLastFailureStatus => whole("portcullis.traffic.last_failure_status"),
            Metric::Entries(kind) => [
                "portcullis.attack_list.entries.kind=",
                kind.as_str(),
                "",
                "",
            ],
            Metric::Bytes => whole("portcullis.attack_list.bytes"),
            Metric::Generation => whole("portcullis.attack_list.generation"),
            Metric::LastSuccess => whole("portcullis.attack_list.last_success_unix_seconds"),
            Metric::Stale => whole("portcullis.attack_list.stale"),
        };
        parts.concat()
    }

    /// Counter or gauge.
    pub fn metric_type(self) -> MetricType {
        match self {
            Metric::LastResult
            | Metric::LastAttempt
            | Metric::Entries(_)
            | Metric::Bytes
            | Metric::Generation
            | Metric::LastSuccess
            | Metric::Stale
            | Metric::TrafficLastSuccess
            | Metric::TrafficLastFailure
            | Metric::TrafficLastFailureStatus => MetricType::Gauge,
            _ => MetricType::Counter,
        }
    }
}

/// A VM's metrics. The host returns a new number for each definition and never frees one, so each VM defines its metrics
/// once, at its first tick: a VM may be created only to validate a configuration.
#[derive(Debug, Default)]
pub struct Metrics {
    handles: OnceCell<Vec<(Metric, MetricHandle)>>,
}

impl Metrics {
    /// Defines all metrics, unless that was done before.
    pub fn define(&self, store: &dyn MetricStore) {
        self.handles(store);
    }

    fn handles(&self, store: &dyn MetricStore) -> &[(Metric, MetricHandle)] {
        self.handles.get_or_init(|| {
            let define = |metric: Metric| {
                let defined = store.define_metric(metric.metric_type(), &metric.name());
                match defined {
                    Ok(handle) => Some((metric, handle)),
                    Err(error) => {
                        log::error!("metric {} can't be defined: {error}", metric.name());
                        None
                    }
                }
            };
            Metric::all().into_iter().filter_map(define).collect()
        })
    }
}

/// A host together with this VM's metrics.
#[derive(Clone, Copy)]
pub struct MeteredHost<'a> {
    host: &'a dyn Host,
    metrics: &'a Metrics,
}

impl<'a> MeteredHost<'a> {
    /// `host` with `metrics`.
    pub fn new(host: &'a dyn Host, metrics: &'a Metrics) -> Self {
        Self { host, metrics }
    }

    /// Adds to a counter.
    pub fn add(self, metric: Metric, by: u64) {
        // The host refuses to add 0.
        if by != 0 {
            self.change(metric, |handle| self.host.increment_metric(handle, by));
        }
    }

    /// Sets a gauge.
    pub fn set(self, metric: Metric, value: u64) {
        self.change(metric, |handle| self.host.record_metric(handle, value));
    }

    fn change(self, metric: Metric, act: impl FnOnce(MetricHandle) -> Result<(), HostError>) {
        let mut handles = self.metrics.handles(self.host).iter();
        if let Some((_, handle)) = handles.find(|(known, _)| *known == metric)
            && let Err(error) = act(*handle)
        {
            log::debug!("metric {} was not changed: {error}", metric.name());
        }
    }
}

impl<'a> Deref for MeteredHost<'a> {
    type Target = dyn Host + 'a;

    fn deref(&self) -> &Self::Target {
        self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_are_those_of_the_contract() {
        let names: Vec<_> = Metric::all().into_iter().map(Metric::name).collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        for name in [
            "portcullis.denied.source=abs.kind=ip",
            "portcullis.denied.source=abs.kind=no_list",
            "portcullis.would_deny.source=manual.kind=oauth_token",
            "portcullis.fetch.result=not_modified",
            "portcullis.fetch.last_result",
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
