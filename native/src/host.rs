//! The core's port, [`portcullis::host`], for the length of one hook: a type for each situation, which implements what that
//! situation has.

use core::cell::Cell;
use core::time::Duration;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use portcullis::host::{
    CallResponse, CallToken, HostError, HttpCall, LocalReply, MetricHandle, MetricStore,
    MetricType, RootContext, RootId, Stream, System,
};

use crate::abi::{ConfigHandle, Header, Refused, StreamHandle, number};
use crate::inbox::Inbox;
use crate::metrics::MetricTable;
use crate::{list_files, node, ticks};

/// Where Envoy keeps the verdict for access logs: the key that the proxy-wasm module has.
const VERDICT_KEY: &str = "wasm.portcullis.verdict";

/// The start of this process's monotonic time.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// This process. It has no pointer of Envoy, so it serves every thread.
#[derive(Clone, Copy, Debug)]
pub struct ProcessHost;

impl System for ProcessHost {
    fn monotonic_now(&self) -> Duration {
        START.elapsed()
    }

    fn unix_now(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn random(&self) -> u64 {
        // Fails only where the system has no random numbers; the clock is then better than a constant.
        getrandom::u64().unwrap_or_else(|_| self.unix_now().as_nanos() as u64)
    }

    fn environment_variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8])) {
        if let Some(id) = node::id() {
            visit(id.as_bytes());
        }
    }
}

/// Passes `System` on to [`ProcessHost`].
macro_rules! system_of_process {
    ($host:ident) => {
        impl System for $host<'_> {
            fn monotonic_now(&self) -> Duration {
                ProcessHost.monotonic_now()
            }

            fn unix_now(&self) -> Duration {
                ProcessHost.unix_now()
            }

            fn random(&self) -> u64 {
                ProcessHost.random()
            }

            fn environment_variable(&self, name: &str) -> Option<String> {
                ProcessHost.environment_variable(name)
            }

            fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8])) {
                ProcessHost.visit_node_id(visit);
            }
        }
    };
}

system_of_process!(ConfigHost);
system_of_process!(StreamHost);

/// What has arrived of the response to a call.
#[derive(Clone, Copy)]
pub struct Arrived<'a> {
    /// The headers.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// The body, as far as it was kept.
    pub body: &'a [u8],
}

/// A hook of a configuration, on Envoy's main thread.
pub struct ConfigHost<'a> {
    /// Envoy's configuration.
    pub envoy: ConfigHandle<'a>,
    /// Its metrics.
    pub metrics: &'a MetricTable,
    /// For calls to files; `None` in a process that only validates its configuration: it makes no call.
    pub inbox: Option<&'a Inbox>,
    /// The response that the hook is about.
    pub response: Option<Arrived<'a>>,
}

impl RootContext for ConfigHost<'_> {
    fn set_tick_period(&self, root: RootId, period: Duration) {
        ticks::set_period(root, period);
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        let inbox = self.inbox.ok_or(HostError::BadArgument)?;
        if list_files::has(call.cluster) {
            let mut headers = call.headers.iter();
            let known = headers.find(|(name, _)| *name == "if-none-match");
            let known = known.map_or(&b""[..], |(_, value)| value);
            return Ok(token(inbox.add_file_call(call.cluster, known)));
        }
        let headers = call.headers.iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| Header::of(name.as_bytes(), value))
            .collect();
        // Envoy adds none to a stream, and sends a body without one in chunks, which not every server accepts.
        let length = call.body.len().to_string();
        if !call.body.is_empty() {
            headers.push(Header::of(b"content-length", length.as_bytes()));
        }
        let timeout = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
        let started = self
            .envoy
            .start_http_stream(call.cluster, &headers, call.body, timeout);
        match started {
            Ok(id) => {
                inbox.in_flight.begun(id);
                Ok(token(id))
            }
            Err(Refused(number::CALL_NO_CLUSTER)) => Err(HostError::BadArgument),
            Err(Refused(number::CALL_NOT_CREATED)) => Err(HostError::InternalFailure),
            Err(Refused(other)) => Err(HostError::Status(other)),
        }
    }
}

/// The core's token of a call. Envoy counts the calls of a configuration from 1; no two within four thousand million of
/// each other are open at once.
pub fn token(id: u64) -> CallToken {
    CallToken(id as u32)
}

impl CallResponse for ConfigHost<'_> {
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(response) = self.response {
            for (name, value) in response.headers {
                visit(name, value);
            }
        }
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        let body = self.response.map_or(&[][..], |response| response.body);
        let rest = body.get(start..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest).to_vec()
    }
}

impl MetricStore for ConfigHost<'_> {
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        self.metrics.define(Some(self.envoy), kind, name)
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        self.metrics.increment(&self.envoy, metric, by)
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.metrics.record(&self.envoy, metric, value)
    }

    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        self.metrics.value(metric)
    }
}

/// A hook of a stream, on its worker.
pub struct StreamHost<'a> {
    /// Envoy's stream.
    pub envoy: StreamHandle<'a>,
    /// The metrics of its configuration.
    pub metrics: &'a MetricTable,
    /// Whether this hook has ended the stream with a reply.
    pub replied: Cell<bool>,
}

impl Stream for StreamHost<'_> {
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        self.envoy.visit_attribute(number::SOURCE_ADDRESS, visit);
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.envoy.visit_headers(number::REQUEST_HEADERS, visit);
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        self.envoy.visit_attribute(number::REQUEST_PROTOCOL, visit);
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.envoy.visit_headers(number::RESPONSE_HEADERS, visit);
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        let headers = reply.headers.iter();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| Header::of(name.as_bytes(), value.as_bytes()))
            .collect();
        // Envoy's function takes no gRPC status, and sends 0 to gRPC clients, which means success. A header replaces it.
        let grpc_status = reply.grpc_status.map(|status| status.to_string());
        if let Some(status) = &grpc_status
            && self.is_grpc()
        {
            headers.push(Header::of(b"grpc-status", status.as_bytes()));
        }
        self.replied.set(true);
        self.envoy
            .send_response(reply.status, &headers, reply.body, reply.details);
        Ok(())
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        if self.envoy.set_filter_state(VERDICT_KEY, value.as_bytes()) {
            Ok(())
        } else {
            Err(HostError::InternalFailure)
        }
    }
}

impl StreamHost<'_> {
    /// Whether Envoy replies to this request as to a gRPC client: by its content type, `application/grpc` or with a suffix
    /// after `+`.
    fn is_grpc(&self) -> bool {
        let mut is_grpc = false;
        self.visit_request_headers(&mut |name, value| {
            if name == b"content-type" {
                let rest = value.strip_prefix(b"application/grpc");
                is_grpc = rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')));
            }
        });
        is_grpc
    }
}

impl MetricStore for StreamHost<'_> {
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        self.metrics.define(None, kind, name)
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        self.metrics.increment(&self.envoy, metric, by)
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.metrics.record(&self.envoy, metric, value)
    }

    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        self.metrics.value(metric)
    }
}
