//! The port between the core and its host, in plain bytes: one small trait for each thing that a host offers.
//!
//! Owns the traits and their errors. No policy, and no type of any SDK. An adapter implements the traits it can:
//! `EnvoyHost` in `wasm-target/` all of them, [`memory::MemoryHost`] all of them for tests and `explain`.

use core::fmt;
use core::time::Duration;

pub mod memory;

/// A failed hostcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Shared data changed since it was read, or a key that was to be created exists.
    CasMismatch,
    /// The host refused the arguments. For an HTTP call: the cluster is unknown or not ready on this thread.
    BadArgument,
    /// The host failed. For an HTTP call: no healthy upstream host, or a circuit breaker is open.
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
            HostError::Status(status) => write!(f, "the host returned status {status}"),
        }
    }
}

impl core::error::Error for HostError {}

/// A value of shared data and its compare-and-set number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedValue {
    /// The bytes; empty if the key was cleared (the host can't delete keys).
    pub bytes: Vec<u8>,
    /// The number that a later write names to replace exactly this value.
    pub cas: u32,
}

/// The condition for a write of shared data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteCondition {
    /// None: the current value is replaced.
    Always,
    /// The key was never written.
    Absent,
    /// The value still has this compare-and-set number.
    Unchanged(u32),
}

/// An HTTP call to a cluster of Envoy. It has no debug form: its headers contain keys.
#[derive(Clone)]
pub struct HttpCall<'a> {
    /// The Envoy cluster.
    pub cluster: &'a str,
    /// All request headers, with `:method`, `:path` and `:authority`.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The request body; empty for none.
    pub body: &'a [u8],
    /// The time limit for the complete response.
    pub timeout: Duration,
}

/// The host's number for an HTTP call in flight. Numbers are unique in one VM only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallToken(pub u32);

/// The host's number for a root context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub u32);

/// The host's number for a stream: one request and its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// The host's number for a defined metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricHandle(pub u32);

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only increases.
    Counter,
    /// Has the last recorded value.
    Gauge,
}

/// The reply to a denied request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply<'a> {
    /// HTTP status.
    pub status: u32,
    /// Additional headers.
    pub headers: &'a [(String, String)],
    /// Body; empty for none.
    pub body: &'a [u8],
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: &'a str,
    /// The gRPC status, for gRPC requests.
    pub grpc_status: Option<u32>,
}

/// Clocks, random numbers, the environment and the name of this process.
///
/// Monotonic time is for leases and intervals, since the wall clock may jump; the wall clock is for dates.
pub trait System {
    /// Time on a clock that never jumps and that all workers of the process share.
    fn monotonic_now(&self) -> Duration;
    /// Wall clock, since the Unix epoch.
    fn unix_now(&self) -> Duration;
    /// A random number, suitable for a hash key.
    fn random(&self) -> u64;
    /// An environment variable of the VM.
    fn environment_variable(&self, name: &str) -> Option<String>;
    /// Calls `visit` with the node id of this process (Envoy's `xds.node.id`), if it has one.
    fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8]));
}

/// Key-value data that all workers of the process share.
pub trait SharedData {
    /// Reads a value; `None` if the key was never written.
    ///
    /// # Errors
    ///
    /// The host failed.
    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError>;
    /// Writes a value.
    ///
    /// # Errors
    ///
    /// [`HostError::CasMismatch`] if `condition` does not hold.
    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError>;
}

/// What a root context can do.
pub trait RootContext {
    /// Sets the period of the ticks of `root`; zero stops them. Has no effect if the root context is deleted.
    fn set_tick_period(&self, root: RootId, period: Duration);
    /// Starts an HTTP call.
    ///
    /// # Errors
    ///
    /// The call was not made; there will be no response.
    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError>;
}

/// The response to an HTTP call, during the callback that delivers it.
pub trait CallResponse {
    /// Calls `visit` with each header; there is none if the call failed.
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
    /// At most `limit` bytes of the body, from `start`; empty at its end.
    fn call_body(&self, start: usize, limit: usize) -> Vec<u8>;
}

/// The current request, and its response.
pub trait Stream {
    /// Calls `visit` with Envoy's `source.address`, if the request has one.
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8]));
    /// Calls `visit` with each header of the request, in order, repeated ones too.
    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
    /// Calls `visit` with Envoy's `request.protocol`, such as `HTTP/1.1`.
    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8]));
    /// Calls `visit` with each header of the response, once there is one.
    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8]));
    /// Ends the request with a local reply.
    ///
    /// # Errors
    ///
    /// The host did not send it.
    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError>;
    /// Sets `wasm.portcullis.verdict` in the request's filter state.
    ///
    /// # Errors
    ///
    /// The host did not set it.
    fn set_filter_state(&self, value: &str) -> Result<(), HostError>;
}

/// The host's metrics.
pub trait MetricStore {
    /// Defines a metric, or finds it by its name.
    ///
    /// # Errors
    ///
    /// The host has no such metric.
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError>;
    /// Adds to a counter.
    ///
    /// # Errors
    ///
    /// The host refused it.
    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError>;
    /// Sets a gauge.
    ///
    /// # Errors
    ///
    /// The host refused it.
    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError>;
    /// The value of a counter or a gauge, of all VMs of the process together.
    ///
    /// # Errors
    ///
    /// The host has no such metric.
    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError>;
}

/// What a host offers while it handles a request, on any thread.
pub trait RequestHost: System + Stream + MetricStore {}

impl<T: System + Stream + MetricStore> RequestHost for T {}

/// What a host offers to a root context: at its ticks, and when the response to one of its calls arrives.
pub trait RootHost: System + RootContext + CallResponse + MetricStore {}

impl<T: System + RootContext + CallResponse + MetricStore> RootHost for T {}

/// A host that offers everything, as proxy-wasm does.
pub trait Host: RequestHost + RootHost + SharedData {}

impl<T: RequestHost + RootHost + SharedData> Host for T {}
