//! `FuzzHost`: a [`MemoryHost`] for one VM, with hostcall results from an input.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::sync::Once;

use portcullis::host::memory::{MemoryHost, MemoryProcess, MemoryRequest, MemoryResponse};
use portcullis::host::{
    CallResponse, CallToken, HostError, HttpCall, LocalReply, MetricHandle, MetricStore,
    MetricType, RootContext, RootId, SharedData, SharedValue, Stream, System, WriteCondition,
};
use portcullis::list::frame::{FrameHeader, Record, frame};

pub use portcullis::host::memory::Headers;

thread_local! {
    /// Secrets that the filter must not disclose.
    static SECRETS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Checks log lines for secrets.
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        check_disclosed(record.args().to_string().as_bytes());
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger;

fn check_disclosed(bytes: &[u8]) {
    SECRETS.with_borrow(|secrets| {
        for secret in secrets {
            let mut windows = bytes.windows(secret.len());
            let is_disclosed = windows.any(|window| window == secret.as_bytes());
            assert!(
                !is_disclosed,
                "a secret is disclosed: {}",
                bytes.escape_ascii()
            );
        }
    });
}

/// A value that replaces a shared value when it is read.
pub struct Forged {
    /// Selects the key.
    pub record: Record,
    pub generation: u64,
    pub payload: Vec<u8>,
    /// Whether the payload gets a valid frame.
    pub framed: bool,
}

pub struct FuzzHost {
    host: MemoryHost,
    slice: Cell<usize>,
    request: RefCell<MemoryRequest>,
    forged: RefCell<Vec<Forged>>,
    /// Each bit rejects one further write or call, from the lowest bit on.
    refusals: Cell<u64>,
}

impl Default for FuzzHost {
    fn default() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            // Another logger of the process may be installed; it checks less.
            if log::set_logger(&LOGGER).is_ok() {
                log::set_max_level(log::LevelFilter::Debug);
            }
        });
        SECRETS.take();
        let unix = Duration::from_secs(1_795_000_000);
        Self {
            host: MemoryHost::new(&MemoryProcess::new(Duration::ZERO, unix, 1)),
            slice: Cell::new(usize::MAX),
            request: RefCell::default(),
            forged: RefCell::default(),
            refusals: Cell::new(0),
        }
    }
}

impl FuzzHost {
    pub fn pass(&self, time: Duration) {
        self.host.process().pass(time);
    }

    pub fn set_node_id(&self, id: &[u8]) {
        self.host.process().set_node_id(id);
    }

    pub fn set_request(&self, headers: Headers) {
        let mut request = self.request.borrow_mut();
        request.headers = headers;
        self.host.set_request(request.clone());
    }

    pub fn set_address(&self, address: &[u8]) {
        let mut request = self.request.borrow_mut();
        request.source_address = address.to_vec();
        request.protocol = address.to_vec();
        self.host.set_request(request.clone());
    }

    pub fn set_response(&self, headers: Headers, body: Vec<u8>, slice: usize) {
        self.host.set_response(MemoryResponse { headers, body });
        self.slice.set(slice);
    }

    /// The calls that were made since this was last called.
    pub fn take_calls(&self) -> Vec<CallToken> {
        let calls = self.host.take_calls().into_iter();
        calls.map(|call| call.token).collect()
    }

    pub fn set_refusals(&self, refusals: u64) {
        self.refusals.set(refusals);
    }

    pub fn forge(&self, forged: Forged) {
        self.forged.borrow_mut().push(forged);
    }

    /// Checks all further output of the filter for this secret.
    pub fn keep_secret(&self, secret: &str) {
        SECRETS.with_borrow_mut(|secrets| secrets.push(secret.to_owned()));
    }

    fn forged_value(&self, key: &str) -> Option<Vec<u8>> {
        let (rest, last) = key.rsplit_once('/')?;
        let (record, index) = match (rest.rsplit('/').next()?, last) {
            (_, "manifest") => (Record::Manifest, 0),
            (_, "lease") => (Record::Lease, 0),
            (_, "eldest") => (Record::FirstVm, 0),
            (_, "freshness") => (Record::Freshness, 0),
            ("gate", number) => (Record::Shard, number.parse().ok()?),
            ("bucket", number) => (Record::Bucket, number.parse().ok()?),
            ("ranges", number) => (Record::Ranges, number.parse().ok()?),
            _ => return None,
        };
        let mut forged = self.forged.borrow_mut();
        let position = forged.iter().position(|forged| forged.record == record)?;
        let forged = forged.remove(position);
        let header = FrameHeader {
            generation: forged.generation,
            index,
        };
        Some(match forged.framed {
            true => frame(record, header, &forged.payload),
            false => forged.payload,
        })
    }

    fn is_refused(&self) -> bool {
        let refusals = self.refusals.get();
        self.refusals.set(refusals >> 1);
        refusals & 1 == 1
    }

    fn refusal(&self, error: HostError) -> Result<(), HostError> {
        match self.is_refused() {
            true => Err(error),
            false => Ok(()),
        }
    }
}

impl System for FuzzHost {
    fn monotonic_now(&self) -> Duration {
        self.host.monotonic_now()
    }

    fn unix_now(&self) -> Duration {
        self.host.unix_now()
    }

    fn random(&self) -> u64 {
        self.host.random()
    }

    fn environment_variable(&self, name: &str) -> Option<String> {
        name.len().is_multiple_of(2).then(|| "key".to_owned())
    }

    fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8])) {
        self.host.visit_node_id(visit);
    }
}

impl SharedData for FuzzHost {
    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        if let Some(bytes) = self.forged_value(key) {
            self.host
                .set_shared_data(key, &bytes, WriteCondition::Always)?;
        }
        self.host.shared_data(key)
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        check_disclosed(key.as_bytes());
        check_disclosed(bytes);
        self.refusal(HostError::InternalFailure)?;
        self.host.set_shared_data(key, bytes, condition)
    }
}

impl RootContext for FuzzHost {
    fn set_tick_period(&self, root: RootId, period: Duration) {
        self.host.set_tick_period(root, period);
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        for (name, value) in call.headers {
            if *name == "x-portcullis-node" {
                let is_sound = value.len() <= 2_048 && value.iter().all(u8::is_ascii_graphic);
                assert!(is_sound, "{}", value.escape_ascii());
                check_disclosed(value);
            }
        }
        self.refusal(HostError::BadArgument)?;
        self.host.dispatch_http_call(call)
    }
}

impl CallResponse for FuzzHost {
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.host.visit_call_headers(visit);
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        self.host
            .call_body(start, limit.min(self.slice.get().max(1)))
    }
}

impl Stream for FuzzHost {
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        visit(&self.request.borrow().source_address);
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.host.visit_request_headers(visit);
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        self.host.visit_request_protocol(visit);
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.host.visit_call_headers(visit);
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        assert!((200..600).contains(&reply.status));
        check_disclosed(reply.details.as_bytes());
        self.refusal(HostError::Status(7))
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        check_disclosed(value.as_bytes());
        Ok(())
    }
}

impl MetricStore for FuzzHost {
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        check_disclosed(name.as_bytes());
        self.refusal(HostError::InternalFailure)?;
        self.host.define_metric(kind, name)
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        self.host.increment_metric(metric, by)
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.host.record_metric(metric, value)
    }

    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        self.refusal(HostError::InternalFailure)?;
        self.host.metric_value(metric)
    }
}
