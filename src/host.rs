//! The one port between the core and the world: what a proxy-wasm host can do, in plain bytes.
//!
//! Owns the trait and its errors. No policy, and no type of any SDK. `EnvoyHost` in `wasm-target/` is the real
//! one, `FakeHost` in `tests/support/` the one tests move by hand.

use core::fmt;
use core::time::Duration;

/// A hostcall that did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Shared data changed since it was read, or a key that was to be created exists.
    CasMismatch,
    /// The host refused the arguments. For an HTTP call: the cluster is unknown or not ready on this thread.
    BadArgument,
    /// The host failed inside. For an HTTP call: no healthy upstream host, or a circuit breaker is open.
    InternalFailure,
    /// Any other status, by its number in the proxy-wasm ABI.
    Status(u32),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::CasMismatch => f.write_str("the shared value changed meanwhile"),
            HostError::BadArgument => f.write_str("the host refused the arguments"),
            HostError::InternalFailure => f.write_str("the host failed"),
            HostError::Status(status) => write!(f, "the host answered with status {status}"),
        }
    }
}

impl std::error::Error for HostError {}

/// A value of shared data and its compare-and-set number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedValue {
    /// The bytes; empty where the key was emptied (the host can't delete keys).
    pub bytes: Vec<u8>,
    /// What a later write must name to replace just this value.
    pub cas: u32,
}

/// On what condition a value of shared data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteCondition {
    /// Whatever stands there.
    Always,
    /// Only if the key was never written.
    Absent,
    /// Only if the value is still the one read with this compare-and-set number.
    Unchanged(u32),
}

/// An HTTP call to a cluster of Envoy. It has no debug form: its headers hold keys.
#[derive(Clone)]
pub struct HttpCall<'a> {
    /// The Envoy cluster.
    pub cluster: &'a str,
    /// All request headers, with `:method`, `:path` and `:authority`.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The request body; empty for none.
    pub body: &'a [u8],
    /// How long the whole answer may take.
    pub timeout: Duration,
}

/// The host's number for an HTTP call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallToken(pub u32);

/// The host's number for a root context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub u32);

/// The host's number for a stream: one request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// A metric of the host, once defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricHandle(pub u32);

/// How a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only ever grows.
    Counter,
    /// Holds the last value recorded.
    Gauge,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For who debugs the filter.
    Debug,
    /// A change of state that is well.
    Info,
    /// Something an operator should look at.
    Warn,
    /// Something an operator must look at.
    Error,
}

/// The reply to a denied request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply<'a> {
    /// HTTP status.
    pub status: u32,
    /// Added headers.
    pub headers: &'a [(String, String)],
    /// Body; empty for none.
    pub body: &'a [u8],
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: &'a str,
    /// The gRPC status, for gRPC requests.
    pub grpc_status: Option<u32>,
}

/// What the core asks of a proxy-wasm host.
///
/// Time comes twice: monotonic for leases and intervals, since the wall clock may jump; wall clock for dates.
pub trait Host {
    /// Time on a clock that never jumps and that all workers of the process share.
    fn monotonic_now(&self) -> Duration;
    /// Wall clock, since the Unix epoch.
    fn unix_now(&self) -> Duration;
    /// A random number, fit for a hash key.
    fn random(&self) -> u64;
    /// An environment variable given to the VM.
    fn environment_variable(&self, name: &str) -> Option<String>;
    /// Writes a log line.
    fn log(&self, level: LogLevel, message: &str);
    /// Asks for a tick of the root context `root` every `period`. Nothing happens where it is gone.
    fn set_tick_period(&self, root: RootId, period: Duration);

    /// Reads shared data; `None` where the key was never written.
    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError>;
    /// Writes shared data; [`HostError::CasMismatch`] where `condition` does not hold.
    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError>;

    /// Starts an HTTP call. On an error no answer will come.
    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError>;
    /// Calls `visit` with each header of the answer now being delivered; none where the call failed.
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
    /// At most `limit` bytes of the body of the answer now being delivered, from `start`; empty at its end.
    fn call_body(&self, start: usize, limit: usize) -> Vec<u8>;

    /// Calls `visit` with Envoy's `source.address` of the current request, if it has one.
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8]));
    /// Calls `visit` with each header of the current request, in order, repeated ones too.
    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
    /// Calls `visit` with Envoy's `request.protocol` of the current request, such as `HTTP/1.1`.
    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8]));
    /// Calls `visit` with each header of the current request's response, once there is one.
    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
    /// Ends the current request with a reply of our own.
    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError>;
    /// Sets `wasm.portcullis.verdict` in the current request's filter state.
    fn set_filter_state(&self, value: &str) -> Result<(), HostError>;

    /// Defines a metric, or finds it by its name.
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError>;
    /// Adds to a counter.
    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError>;
    /// Sets a gauge.
    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError>;
}
