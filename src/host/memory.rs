//! `MemoryHost`: a host in memory, with the rules of proxy-wasm-cpp-host and Envoy. For tests, fuzzers and `explain`.
//!
//! - Shared data: a compare-and-set number is ignored if the key is absent; 0 is unconditional; any other number must
//!   match. The process has one counter of numbers, which skips 0. A read copies. No key can be deleted.
//! - Tokens of HTTP calls count in each VM separately, so two VMs have calls with the same token.
//! - A failed call has neither headers nor a body.
//! - Each definition of a metric returns a new number; the value belongs to the name. Adding 0 is refused.
//!
//! Time advances only by [`MemoryProcess::pass`]. No thread, no I/O.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;

use super::{
    CallResponse, CallToken, HostError, HttpCall, LocalReply, MetricHandle, MetricStore,
    MetricType, RootContext, RootId, SharedData, SharedValue, Stream, System, WriteCondition,
};

mod process;

pub use process::MemoryProcess;

/// Headers of a request or a response, in order.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The current request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryRequest {
    /// Envoy's `source.address`; empty for none.
    pub source_address: Vec<u8>,
    /// Envoy's `request.protocol`.
    pub protocol: Vec<u8>,
    /// All headers, pseudo-headers too; names in lower case.
    pub headers: Headers,
    /// The headers of its response.
    pub response_headers: Headers,
}

/// The response to a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryResponse {
    /// Its headers, `:status` too; none if the call failed.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
}

/// A call that a VM made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeCall {
    /// Its number.
    pub token: CallToken,
    /// The Envoy cluster.
    pub cluster: String,
    /// All request headers.
    pub headers: Headers,
    /// The request body.
    pub body: Vec<u8>,
    /// The time limit.
    pub timeout: Duration,
}

/// A local reply that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentReply {
    /// HTTP status.
    pub status: u32,
    /// Additional headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: String,
    /// The gRPC status.
    pub grpc_status: Option<u32>,
}

/// The host of one VM.
#[derive(Debug, Default)]
pub struct MemoryHost {
    process: MemoryProcess,
    tick_periods: RefCell<BTreeMap<RootId, Duration>>,
    n_calls: Cell<u32>,
    calls: RefCell<Vec<MadeCall>>,
    response: RefCell<MemoryResponse>,
    request: RefCell<MemoryRequest>,
    reply: RefCell<Option<SentReply>>,
    filter_state: RefCell<Option<String>>,
}

impl MemoryHost {
    /// The host of a new VM of `process`.
    pub fn new(process: &MemoryProcess) -> Self {
        Self {
            process: process.clone(),
            ..Self::default()
        }
    }

    /// The process of this VM.
    pub fn process(&self) -> &MemoryProcess {
        &self.process
    }

    /// The tick period of a root context; `None` if it never set one or stopped its ticks.
    pub fn tick_period(&self, root: RootId) -> Option<Duration> {
        self.tick_periods.borrow().get(&root).copied()
    }

    /// The calls that were made since this was last called.
    pub fn take_calls(&self) -> Vec<MadeCall> {
        self.calls.take()
    }

    /// Sets the response that the next callback delivers.
    pub fn set_response(&self, response: MemoryResponse) {
        self.response.replace(response);
    }

    /// Starts a request: its reply and its filter state are empty.
    pub fn set_request(&self, request: MemoryRequest) {
        self.request.replace(request);
        self.reply.take();
        self.filter_state.take();
    }

    /// The local reply to the current request.
    pub fn reply(&self) -> Option<SentReply> {
        self.reply.borrow().clone()
    }

    /// The filter state of the current request.
    pub fn filter_state(&self) -> Option<String> {
        self.filter_state.borrow().clone()
    }
}

fn visit_all(headers: &Headers, visit: &mut dyn FnMut(&[u8], &[u8])) {
    for (name, value) in headers {
        visit(name, value);
    }
}

impl System for MemoryHost {
    fn monotonic_now(&self) -> Duration {
        self.process.now()
    }

    fn unix_now(&self) -> Duration {
        self.process.unix()
    }

    fn random(&self) -> u64 {
        self.process.random()
    }

    fn environment_variable(&self, name: &str) -> Option<String> {
        self.process.environment(name)
    }

    fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8])) {
        if let Some(id) = self.process.node_id() {
            visit(&id);
        }
    }
}

impl SharedData for MemoryHost {
    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        Ok(self.process.value(key))
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        self.process.set_value(key, bytes, condition)
    }
}

impl RootContext for MemoryHost {
    fn set_tick_period(&self, root: RootId, period: Duration) {
        let mut periods = self.tick_periods.borrow_mut();
        if period == Duration::ZERO {
            periods.remove(&root);
        } else {
            periods.insert(root, period);
        }
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        for required in [":method", ":path", ":authority"] {
            if !call.headers.iter().any(|(name, _)| *name == required) {
                return Err(HostError::BadArgument);
            }
        }
        let token = CallToken(self.n_calls.get().wrapping_add(1));
        self.n_calls.set(token.0);
        let headers = call.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        self.calls.borrow_mut().push(MadeCall {
            token,
            cluster: call.cluster.to_owned(),
            headers: headers.collect(),
            body: call.body.to_vec(),
            timeout: call.timeout,
        });
        Ok(token)
    }
}

impl CallResponse for MemoryHost {
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit_all(&self.response.borrow().headers, visit);
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        let response = self.response.borrow();
        let rest = response.body.get(start..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest).to_vec()
    }
}

impl Stream for MemoryHost {
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        let request = self.request.borrow();
        if !request.source_address.is_empty() {
            visit(&request.source_address);
        }
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit_all(&self.request.borrow().headers, visit);
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        visit(&self.request.borrow().protocol);
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit_all(&self.request.borrow().response_headers, visit);
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        self.reply.replace(Some(SentReply {
            status: reply.status,
            headers: reply.headers.to_vec(),
            body: reply.body.to_vec(),
            details: reply.details.to_owned(),
            grpc_status: reply.grpc_status,
        }));
        Ok(())
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        self.filter_state.replace(Some(value.to_owned()));
        Ok(())
    }
}

impl MetricStore for MemoryHost {
    fn define_metric(&self, _kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        let number = u32::try_from(self.process.define_metric(name));
        number
            .map(MetricHandle)
            .map_err(|_| HostError::InternalFailure)
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        if by == 0 {
            return Err(HostError::BadArgument);
        }
        self.process
            .change_metric(metric, |value| value.saturating_add(by));
        Ok(())
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.process.change_metric(metric, |_| value);
        Ok(())
    }

    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        let value = self.process.metric_value(metric);
        value.ok_or(HostError::BadArgument)
    }
}
