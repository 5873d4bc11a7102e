//! The core's port, [`portcullis::host`], implemented by the hostcalls of proxy-wasm ABI 0.2.1. No other file makes a
//! hostcall.
//!
//! The bindings are declared here because those of the SDK panic on an unexpected status and on header values that are
//! not UTF-8. A panic in the VM is an outage.

#[cfg(feature = "trap")]
use core::cell::Cell;
use core::time::Duration;

use portcullis::host::{
    CallResponse, CallToken, HostError, HttpCall, LocalReply, MetricHandle, MetricStore,
    MetricType, RootContext, RootId, SharedData, SharedValue, Stream, System, WriteCondition,
};
use proxy_wasm::types::{LogLevel, MapType, Status};

use crate::header_map::{encode_pairs, visit_pairs};
use crate::memory::{owned_bytes, visit_bytes};

pub use proxy_wasm::types::BufferType;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        limit: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, metric: *mut u32) -> u32;
    fn proxy_increment_metric(metric: u32, by: i64) -> u32;
    fn proxy_record_metric(metric: u32, value: u64) -> u32;
    fn proxy_get_metric(metric: u32, value: *mut u64) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// WASI's number for the monotonic clock.
const MONOTONIC: u32 = 1;

/// A compare-and-set number that no value has: the host ignores the number of a write where the key is absent, and
/// rejects a number that does not match anywhere else.
const NEVER_MATCHES: u32 = u32::MAX;

#[cfg(feature = "trap")]
thread_local! {
    /// Called with key and bytes before each write of shared data.
    pub static BEFORE_WRITE: Cell<fn(&str, &[u8])> = const { Cell::new(|_, _| {}) };
}

fn check(status: u32) -> Result<(), HostError> {
    const OK: u32 = Status::Ok as u32;
    const BAD_ARGUMENT: u32 = Status::BadArgument as u32;
    const CAS_MISMATCH: u32 = Status::CasMismatch as u32;
    const INTERNAL_FAILURE: u32 = Status::InternalFailure as u32;
    match status {
        OK => Ok(()),
        BAD_ARGUMENT => Err(HostError::BadArgument),
        CAS_MISMATCH => Err(HostError::CasMismatch),
        INTERNAL_FAILURE => Err(HostError::InternalFailure),
        other => Err(HostError::Status(other)),
    }
}

/// Passes a property to `visit`. Zero bytes separate the elements of its path.
fn visit_property(path: &[u8], visit: &mut dyn FnMut(&[u8])) {
    // SAFETY: the host reads the path and writes through the pointers during the call only.
    visit_bytes(
        |data, size| check(unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) }),
        visit,
    );
}

fn visit_map(map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) {
    // SAFETY: the host writes through the pointers during the call only.
    visit_bytes(
        |data, size| check(unsafe { proxy_get_header_map_pairs(map as u32, data, size) }),
        |bytes| visit_pairs(bytes, visit),
    );
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Writes a line to the host's log.
pub fn write_log(level: LogLevel, message: &str) {
    // SAFETY: the host reads the message during the call only.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// The number of the least severe level that the host logs; `None` if the host does not report it.
pub fn log_level() -> Option<u32> {
    let mut level = 0;
    // SAFETY: the host writes the level during the call only.
    check(unsafe { proxy_get_log_level(&mut level) }).ok()?;
    Some(level)
}

/// Envoy, or any host of the proxy-wasm ABI 0.2.1.
#[derive(Clone, Copy, Debug)]
pub struct EnvoyHost;

impl EnvoyHost {
    /// At most `limit` bytes of a buffer of the host, from `start`.
    pub fn buffer(&self, buffer: BufferType, start: usize, limit: usize) -> Vec<u8> {
        if limit == 0 {
            return Vec::new();
        }
        // SAFETY: the host writes through the pointers during the call only.
        let bytes = owned_bytes(|data, size| {
            check(unsafe { proxy_get_buffer_bytes(buffer as u32, start, limit, data, size) })
        });
        bytes.ok().flatten().unwrap_or_default()
    }
}

impl System for EnvoyHost {
    fn monotonic_now(&self) -> Duration {
        let mut time = 0;
        // SAFETY: the host writes the time during the call only.
        unsafe { clock_time_get(MONOTONIC, 0, &mut time) };
        Duration::from_nanos(time)
    }

    fn unix_now(&self) -> Duration {
        let mut time = 0;
        // SAFETY: the host writes the time during the call only.
        unsafe { proxy_get_current_time_nanoseconds(&mut time) };
        Duration::from_nanos(time)
    }

    fn random(&self) -> u64 {
        // Envoy's random_get does not fail. The clock differs between VMs, too.
        getrandom::u64().unwrap_or_else(|_| self.unix_now().as_nanos() as u64)
    }

    fn environment_variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8])) {
        visit_property(b"xds\0node\0id", visit);
    }
}

impl RootContext for EnvoyHost {
    fn set_tick_period(&self, root: RootId, period: Duration) {
        // The period is set for the effective context. Each callback starts with its own context, so it is not reset here.
        // SAFETY: numbers only.
        unsafe {
            if check(proxy_set_effective_context(root.0)).is_ok() {
                proxy_set_tick_period_milliseconds(millis(period));
            }
        }
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        let headers = call.headers.iter();
        let headers = encode_pairs(headers.map(|(name, value)| (name.as_bytes(), *value)));
        let trailers = encode_pairs(core::iter::empty());
        let mut token = 0;
        // SAFETY: the host reads the bytes and writes the token during the call only.
        check(unsafe {
            proxy_http_call(
                call.cluster.as_ptr(),
                call.cluster.len(),
                headers.as_ptr(),
                headers.len(),
                call.body.as_ptr(),
                call.body.len(),
                trailers.as_ptr(),
                trailers.len(),
                millis(call.timeout),
                &mut token,
            )
        })?;
        Ok(CallToken(token))
    }
}

impl SharedData for EnvoyHost {
    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        const NOT_FOUND: HostError = HostError::Status(Status::NotFound as u32);
        let mut cas = 0;
        // SAFETY: the host reads the key and writes through the pointers during the call only.
        let bytes = owned_bytes(|data, size| {
            check(unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut cas) })
        });
        match bytes {
            Ok(bytes) => Ok(Some(SharedValue {
                bytes: bytes.unwrap_or_default(),
                cas,
            })),
            Err(NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        #[cfg(feature = "trap")]
        BEFORE_WRITE.get()(key, bytes);
        let cas = match condition {
            WriteCondition::Always => 0,
            WriteCondition::Absent => NEVER_MATCHES,
            WriteCondition::Unchanged(cas) => cas,
        };
        // SAFETY: the host reads the key and the bytes during the call only.
        check(unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), bytes.as_ptr(), bytes.len(), cas)
        })
    }
}

impl CallResponse for EnvoyHost {
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit_map(MapType::HttpCallResponseHeaders, visit);
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        self.buffer(BufferType::HttpCallResponseBody, start, limit)
    }
}

impl Stream for EnvoyHost {
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        visit_property(b"source\0address", visit);
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        visit_property(b"request\0protocol", visit);
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit_map(MapType::HttpRequestHeaders, visit);
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit_map(MapType::HttpResponseHeaders, visit);
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        let headers = reply.headers.iter();
        let headers =
            encode_pairs(headers.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let grpc_status = reply
            .grpc_status
            .and_then(|status| i32::try_from(status).ok());
        // SAFETY: the host reads the bytes during the call only.
        check(unsafe {
            proxy_send_local_response(
                reply.status,
                reply.details.as_ptr(),
                reply.details.len(),
                reply.body.as_ptr(),
                reply.body.len(),
                headers.as_ptr(),
                headers.len(),
                grpc_status.unwrap_or(-1),
            )
        })
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        // One path element: the host would join several with zero bytes.
        const PATH: &[u8] = b"portcullis.verdict";
        // SAFETY: the host reads the bytes during the call only.
        check(unsafe { proxy_set_property(PATH.as_ptr(), PATH.len(), value.as_ptr(), value.len()) })
    }
}

impl MetricStore for EnvoyHost {
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        let kind = match kind {
            MetricType::Counter => 0,
            MetricType::Gauge => 1,
        };
        let mut metric = 0;
        // SAFETY: the host reads the name and writes the number during the call only.
        check(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut metric) })?;
        Ok(MetricHandle(metric))
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        let by = i64::try_from(by).unwrap_or(i64::MAX);
        // SAFETY: numbers only.
        check(unsafe { proxy_increment_metric(metric.0, by) })
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        // SAFETY: numbers only.
        check(unsafe { proxy_record_metric(metric.0, value) })
    }

    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        let mut value = 0;
        // SAFETY: the host writes the value during the call only.
        check(unsafe { proxy_get_metric(metric.0, &mut value) })?;
        Ok(value)
    }
}
