//! The filter itself, run in this process against a host made up of one request and one answer of ABS.
//!
//! Owns no rule: what it tells is what [`Vm`] did. Time is moved by hand; nothing is sent anywhere.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::config::ConfigError;
use portcullis::host::{
    CallToken, Host, HostError, HttpCall, LocalReply, LogLevel, MetricHandle, MetricType, RootId,
    SharedValue, StreamId, WriteCondition,
};
use portcullis::metrics::{FetchResult, Metric};
use portcullis::sync::refresh::SHORT_TICK;
use portcullis::vm::Vm;

const ROOT: RootId = RootId(1);

/// A filter that has not fetched and published a list within this many ticks never will.
const MOST_TICKS: u32 = 1_000;

/// The list is taken up by the first ticks after it was published.
const TICKS_TO_TAKE_UP: u32 = 20;

/// What the filter did with a request.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What stands in `%FILTER_STATE(wasm.portcullis.verdict:PLAIN)%`, if anything.
    pub verdict: Option<String>,
    /// The reply: status and `%RESPONSE_CODE_DETAILS%`.
    pub reply: Option<(u32, String)>,
    /// Whether the allow list let it pass.
    pub allow_listed: bool,
    /// What the filter logged at warning or error, when it took the list.
    pub complaints: Vec<String>,
    /// Whether a list is in force.
    pub has_list: bool,
}

/// One request.
#[derive(Debug, Default)]
pub struct Request {
    /// Envoy's `source.address`.
    pub source_address: Option<String>,
    /// All headers, pseudo-headers too, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Runs the filter: configures it, lets it fetch `list` where it does fetch, and gives it the request.
pub fn rehearse(
    configuration: &[u8],
    list: Option<&[u8]>,
    request: &Request,
) -> Result<Outcome, Vec<ConfigError>> {
    let host = StageHost::new(list.unwrap_or_default(), request);
    let mut vm = Vm::new(&host);
    vm.configure(&host, ROOT, configuration)?;
    // What is to be said of the configuration itself, check_config says.
    host.complaints.take();
    if let Some(list) = list {
        let mut ticks_left = MOST_TICKS;
        while ticks_left > 0 {
            host.clock.set(host.clock.get() + SHORT_TICK);
            vm.tick(&host, ROOT);
            ticks_left -= 1;
            if let Some(token) = host.call.take() {
                vm.on_call_response(&host, ROOT, token, list.len());
                ticks_left = ticks_left.min(TICKS_TO_TAKE_UP);
            }
        }
    }
    vm.request(&host, ROOT, StreamId(1));
    Ok(Outcome {
        verdict: host.filter_state.take(),
        reply: host.reply.take(),
        allow_listed: host.counted(Metric::AllowListed),
        complaints: host.complaints.take(),
        has_list: host.counted(Metric::Fetch(FetchResult::Ok)),
    })
}

/// A host with one request, one answer and one thread.
struct StageHost<'a> {
    list: &'a [u8],
    request: &'a Request,
    clock: Cell<Duration>,
    random: Cell<u64>,
    shared: RefCell<HashMap<String, SharedValue>>,
    call: Cell<Option<CallToken>>,
    metrics: RefCell<Vec<(String, u64)>>,
    filter_state: RefCell<Option<String>>,
    reply: RefCell<Option<(u32, String)>>,
    complaints: RefCell<Vec<String>>,
}

impl<'a> StageHost<'a> {
    fn new(list: &'a [u8], request: &'a Request) -> Self {
        Self {
            list,
            request,
            // Past every interval that the filter measures from the start of the clock.
            clock: Cell::new(Duration::from_secs(1_000_000)),
            random: Cell::new(1),
            shared: RefCell::default(),
            call: Cell::default(),
            metrics: RefCell::default(),
            filter_state: RefCell::default(),
            reply: RefCell::default(),
            complaints: RefCell::default(),
        }
    }

    fn counted(&self, metric: Metric) -> bool {
        let name = metric.name();
        let metrics = self.metrics.borrow();
        metrics
            .iter()
            .any(|(known, value)| *known == name && *value > 0)
    }

    fn change_metric(
        &self,
        metric: MetricHandle,
        change: impl Fn(u64) -> u64,
    ) -> Result<(), HostError> {
        let mut metrics = self.metrics.borrow_mut();
        let place = usize::try_from(metric.0)
            .ok()
            .and_then(|index| metrics.get_mut(index));
        let (_, value) = place.ok_or(HostError::BadArgument)?;
        *value = change(*value);
        Ok(())
    }
}

impl Host for StageHost<'_> {
    fn monotonic_now(&self) -> Duration {
        self.clock.get()
    }

    fn unix_now(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn random(&self) -> u64 {
        // Nobody aims at this process's fingerprints; what is asked twice must be answered alike.
        self.random.set(
            self.random
                .get()
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(1),
        );
        self.random.get()
    }

    fn environment_variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn log(&self, level: LogLevel, message: &str) {
        if level >= LogLevel::Warn {
            self.complaints.borrow_mut().push(message.to_owned());
        }
    }

    fn set_tick_period(&self, _root: RootId, _period: Duration) {}

    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        Ok(self.shared.borrow().get(key).cloned())
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        let mut shared = self.shared.borrow_mut();
        let known = shared.get(key).map(|value| value.cas);
        let holds = match condition {
            WriteCondition::Always => true,
            WriteCondition::Absent => known.is_none(),
            WriteCondition::Unchanged(cas) => known == Some(cas),
        };
        if !holds {
            return Err(HostError::CasMismatch);
        }
        let value = SharedValue {
            bytes: bytes.to_vec(),
            cas: known.unwrap_or(0).wrapping_add(1),
        };
        shared.insert(key.to_owned(), value);
        Ok(())
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        // ABS is asked for its list and told of no traffic.
        if !call.headers.contains(&(":method", b"GET")) {
            return Err(HostError::InternalFailure);
        }
        let token = CallToken(1);
        self.call.set(Some(token));
        Ok(token)
    }

    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        visit(b":status", b"200");
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        self.list.iter().skip(start).take(limit).copied().collect()
    }

    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        if let Some(address) = &self.request.source_address {
            visit(address.as_bytes());
        }
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.request.headers {
            visit(name.as_bytes(), value.as_bytes());
        }
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        visit(b"HTTP/1.1");
    }

    fn visit_response_headers(&self, _visit: &mut dyn FnMut(&[u8], &[u8])) {}

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        *self.reply.borrow_mut() = Some((reply.status, reply.details.to_owned()));
        Ok(())
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        *self.filter_state.borrow_mut() = Some(value.to_owned());
        Ok(())
    }

    fn define_metric(&self, _kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        let mut metrics = self.metrics.borrow_mut();
        let index = u32::try_from(metrics.len()).map_err(|_| HostError::InternalFailure)?;
        metrics.push((name.to_owned(), 0));
        Ok(MetricHandle(index))
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        self.change_metric(metric, |value| value.saturating_add(by))
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.change_metric(metric, |_| value)
    }
}
