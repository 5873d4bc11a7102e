//! `FakeHost`: a [`MemoryHost`] that a test can interrupt, and the process around it: an ABS, calls in flight, log lines.
//!
//! The rules of the host are those of `MemoryHost`. Added here:
//! - HTTP calls belong to a root context. When that is deleted they are cancelled, and no response ever comes.
//! - A call can be delayed, refused or held; a VM can be interrupted before any hostcall.
//! - Everything that leaves the filter is searched for secrets.
//!
//! Who ticks when, and which VMs there are, is decided in `lifecycle/process.rs`.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Once;

use base64::Engine;
use log::Level;
use portcullis::host::memory::{
    Headers, MemoryHost, MemoryProcess, MemoryRequest, MemoryResponse, SentReply,
};
use portcullis::host::{
    CallResponse, CallToken, HostError, HttpCall, LocalReply, MetricHandle, MetricStore,
    MetricType, RootContext, RootId, SharedData, SharedValue, Stream, System, WriteCondition,
};

use crate::secrets::holds_secret;

thread_local! {
    /// The log lines of this thread's world. A test has one world at a time.
    static LOG: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = (record.level(), record.args().to_string());
        LOG.with_borrow_mut(|lines| lines.push(line));
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger;

/// The number of a VM; no two VMs of a process have the same, dead ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VmId(pub u32);

/// What ABS, or Envoy in its stead, responses to a call.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Response {
    /// A failed call: no headers, no body.
    pub fn reset() -> Self {
        Self::default()
    }

    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let response = Self {
            headers: Vec::new(),
            body: body.into(),
        };
        response.header(":status", status.to_string())
    }

    /// Envoy's local reply to a call that took too long.
    pub fn timeout() -> Self {
        Self::new(504, "upstream request timeout").header("content-type", "text/plain")
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A call that a VM made.
#[derive(Clone, Debug)]
pub struct SentCall {
    /// Tells it from all others of the process, as the token does not.
    pub id: u64,
    pub vm: VmId,
    pub root: RootId,
    pub token: CallToken,
    pub at: Duration,
    pub cluster: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub timeout: Duration,
}

impl SentCall {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = values.next()?;
        Some(core::str::from_utf8(value).expect("headers of calls are text"))
    }

    pub fn is_get(&self) -> bool {
        self.header(":method") == Some("GET")
    }
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// It is responded after so long, or by Envoy's time-out if that comes first.
    After(Duration, Response),
    /// It is responded when the test says so, or never.
    Hold,
    /// The host refuses it.
    Refuse(HostError),
}

/// A call in flight.
#[derive(Clone, Debug)]
pub struct Pending {
    pub call: SentCall,
    /// `None`: when the test says so.
    pub responded: Option<(Duration, Response)>,
}

/// A request, as its HTTP context sees it.
#[derive(Clone, Debug)]
pub struct Request {
    pub source_address: String,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    pub fn get(path: &str) -> Self {
        let request = Self {
            source_address: "203.0.113.250:40000".to_owned(),
            headers: Vec::new(),
        };
        request
            .header(":method", "GET")
            .header(":path", path)
            .header(":authority", "api.example.com")
    }

    /// From an address, IPv6 without brackets.
    pub fn from(mut self, address: &str) -> Self {
        let bracketed = address.contains(':');
        self.source_address = match bracketed {
            true => format!("[{address}]:40000"),
            false => format!("{address}:40000"),
        };
        self
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", format!("{name}={value}"))
    }

    pub fn basic(self, user: &str) -> Self {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{user}:pw"));
        self.header("authorization", format!("Basic {credentials}"))
    }
}

pub type Reply = SentReply;

/// A hostcall about to be made.
#[derive(Clone, Copy, Debug)]
pub enum Hostcall<'a> {
    Read(&'a str),
    Write(&'a str),
    Dispatch,
}

/// What happens to a VM in the midst of a callback.
pub enum Interrupt {
    /// It traps: nothing of the callback happens any more.
    Die,
    /// Other threads run.
    Run(Box<dyn FnOnce()>),
}

/// What a VM unwinds with when it dies.
pub struct VmDied;

struct ArmedInterrupt {
    vm: VmId,
    at: Box<dyn FnMut(Hostcall<'_>) -> bool>,
    interrupt: Interrupt,
}

/// How many times a VM has acted on the world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    pub writes: u64,
    pub reads: u64,
    pub calls: u64,
    pub metrics: u64,
    /// What was asked of the current request: headers, address, protocol.
    pub request_reads: u64,
}

type KeyTest = Box<dyn Fn(&str) -> bool>;
type Abs = Box<dyn FnMut(&SentCall) -> Reaction>;

struct State {
    refused_writes: Option<KeyTest>,
    abs: Abs,
    sent: Vec<SentCall>,
    pending: Vec<Pending>,
    slice: usize,
    effects: BTreeMap<VmId, Effects>,
    interrupts: Vec<ArmedInterrupt>,
    n_vms: u32,
    leaks: Vec<String>,
}

/// What a process shares.
#[derive(Clone)]
pub struct World {
    process: MemoryProcess,
    state: Rc<RefCell<State>>,
}

impl World {
    pub fn new(seed: u64) -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            log::set_logger(&LOGGER).expect("no other logger");
            log::set_max_level(log::LevelFilter::Debug);
        });
        LOG.take();
        let monotonic = Duration::from_secs(5_000);
        // 2026-11-23, 10:00:30.
        let unix = Duration::from_secs(1_795_428_030);
        Self {
            process: MemoryProcess::new(monotonic, unix, seed),
            state: Rc::new(RefCell::new(State {
                refused_writes: None,
                abs: Box::new(|_| Reaction::Hold),
                sent: Vec::new(),
                pending: Vec::new(),
                slice: usize::MAX,
                effects: BTreeMap::new(),
                interrupts: Vec::new(),
                n_vms: 0,
                leaks: Vec::new(),
            })),
        }
    }

    /// The host of a new VM.
    pub fn new_vm(&self) -> FakeHost {
        let mut state = self.state.borrow_mut();
        state.n_vms += 1;
        FakeHost {
            world: self.clone(),
            host: MemoryHost::new(&self.process),
            vm: VmId(state.n_vms),
            current_root: Cell::new(RootId(0)),
            timers: RefCell::default(),
            roots: RefCell::default(),
            in_request: Cell::new(false),
        }
    }

    pub fn now(&self) -> Duration {
        self.process.now()
    }

    /// Advances both clocks.
    pub fn pass(&self, time: Duration) {
        self.process.pass(time);
    }

    pub fn unix(&self) -> Duration {
        self.process.unix()
    }

    /// Lets the wall clock jump; the monotonic clock never does.
    pub fn set_unix(&self, unix: Duration) {
        self.process.set_unix(unix);
    }

    /// A number below `n`.
    pub fn random_below(&self, n: u64) -> u64 {
        self.process.random() % n
    }

    pub fn set_environment(&self, name: &str, value: &str) {
        self.process.set_environment(name, value);
    }

    /// Who responses calls from now on.
    pub fn set_abs(&self, abs: impl FnMut(&SentCall) -> Reaction + 'static) {
        self.state.borrow_mut().abs = Box::new(abs);
    }

    /// No more than so many bytes of a body are handed over at once.
    pub fn set_slice(&self, slice: usize) {
        self.state.borrow_mut().slice = slice;
    }

    /// Every call that was made, oldest first; refused ones are not among them.
    pub fn sent(&self) -> Vec<SentCall> {
        self.state.borrow().sent.clone()
    }

    pub fn pending(&self) -> Vec<Pending> {
        self.state.borrow().pending.clone()
    }

    /// Takes a call out of flight: it is responded now, or lost.
    pub fn take_pending(&self, id: u64) -> Option<Pending> {
        let mut state = self.state.borrow_mut();
        let position = state.pending.iter().position(|known| known.call.id == id)?;
        Some(state.pending.remove(position))
    }

    /// Cancels the calls of a root context, or of a whole VM.
    pub fn cancel(&self, vm: VmId, root: Option<RootId>) {
        let mut state = self.state.borrow_mut();
        state.pending.retain(|known| {
            known.call.vm != vm || root.is_some_and(|root| known.call.root != root)
        });
    }

    /// The value of a counter or a gauge; 0 if it was never changed.
    pub fn metric(&self, name: &str) -> u64 {
        self.process.metric(&format!("portcullis.{name}"))
    }

    /// The counters of fetches by result, without those that are 0.
    pub fn fetches(&self) -> BTreeMap<String, u64> {
        let metrics = self.process.metrics();
        let of_fetches = metrics.iter().filter_map(|(name, value)| {
            let result = name.strip_prefix("portcullis.fetch.result=")?;
            Some((result.to_owned(), *value))
        });
        of_fetches.filter(|(_, value)| *value > 0).collect()
    }

    pub fn effects(&self, vm: VmId) -> Effects {
        self.state
            .borrow()
            .effects
            .get(&vm)
            .copied()
            .unwrap_or_default()
    }

    pub fn logs(&self) -> Vec<(Level, String)> {
        LOG.with_borrow(Clone::clone)
    }

    pub fn forget_logs(&self) {
        self.look_for_leaks_in_logs();
        LOG.take();
    }

    fn look_for_leaks_in_logs(&self) {
        for (_, line) in self.logs() {
            self.look_for_leaks("a log line", line.as_bytes());
        }
    }

    pub fn keys(&self) -> Vec<String> {
        self.process.keys()
    }

    /// The value of the one key that ends like this.
    pub fn value(&self, key_end: &str) -> Option<Vec<u8>> {
        let keys = self.keys();
        let mut found = keys.iter().filter(|key| key.ends_with(key_end));
        let value = found.next().map(|key| self.value_of(key));
        assert!(found.next().is_none(), "several keys end in {key_end}");
        value
    }

    /// The value of a key; nothing if it was never written.
    pub fn value_of(&self, key: &str) -> Vec<u8> {
        let value = self.process.value(key);
        value.map_or(Vec::new(), |value| value.bytes)
    }

    /// Overwrites a value without the filter.
    pub fn overwrite(&self, key: &str, bytes: &[u8]) {
        let written = self.process.set_value(key, bytes, WriteCondition::Always);
        written.expect("unconditional");
    }

    /// Writes of these keys fail from now on.
    pub fn refuse_writes(&self, keys: impl Fn(&str) -> bool + 'static) {
        self.state.borrow_mut().refused_writes = Some(Box::new(keys));
    }

    pub fn allow_writes(&self) {
        self.state.borrow_mut().refused_writes = None;
    }

    /// Interrupts a VM once, right before the first hostcall for which `at` is true.
    pub fn interrupt(
        &self,
        vm: VmId,
        at: impl FnMut(Hostcall<'_>) -> bool + 'static,
        interrupt: Interrupt,
    ) {
        self.state.borrow_mut().interrupts.push(ArmedInterrupt {
            vm,
            at: Box::new(at),
            interrupt,
        });
    }

    /// How many interrupts were asked for and have not happened.
    pub fn interrupts_left(&self) -> usize {
        self.state.borrow().interrupts.len()
    }

    pub fn forget_interrupts(&self) {
        self.state.borrow_mut().interrupts.clear();
    }

    /// Where secrets got out.
    pub fn leaks(&self) -> Vec<String> {
        self.look_for_leaks_in_logs();
        self.state.borrow().leaks.clone()
    }

    /// Notes a leak if `bytes`, which leave the filter by `way`, hold a secret, plain or in base64.
    pub fn look_for_leaks(&self, way: &str, bytes: &[u8]) {
        if holds_secret(bytes) {
            let shown = String::from_utf8_lossy(bytes);
            let leak = format!("{way}: {shown}");
            self.state.borrow_mut().leaks.push(leak);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    period: Duration,
    due: Duration,
}

/// The host of one VM.
pub struct FakeHost {
    world: World,
    host: MemoryHost,
    vm: VmId,
    current_root: Cell<RootId>,
    timers: RefCell<BTreeMap<RootId, Timer>>,
    roots: RefCell<BTreeSet<RootId>>,
    in_request: Cell<bool>,
}

impl FakeHost {
    pub fn vm(&self) -> VmId {
        self.vm
    }

    pub fn add_root(&self, root: RootId) {
        self.roots.borrow_mut().insert(root);
        self.current_root.set(root);
    }

    /// Tears a root context down: it ticks no more, and its calls are cancelled.
    pub fn drop_root(&self, root: RootId) {
        self.roots.borrow_mut().remove(&root);
        self.timers.borrow_mut().remove(&root);
        self.world.cancel(self.vm, Some(root));
    }

    /// Tears all root contexts down.
    pub fn drop_vm(&self) {
        self.roots.borrow_mut().clear();
        self.timers.borrow_mut().clear();
        self.world.cancel(self.vm, None);
    }

    /// The tick that is due first.
    pub fn next_tick(&self) -> Option<(Duration, RootId)> {
        let timers = self.timers.borrow();
        let dues = timers.iter().map(|(root, timer)| (timer.due, *root));
        dues.min()
    }

    pub fn tick_period(&self, root: RootId) -> Option<Duration> {
        self.timers.borrow().get(&root).map(|timer| timer.period)
    }

    /// The host arms the timer again after each tick.
    pub fn rearm(&self, root: RootId) {
        if let Some(timer) = self.timers.borrow_mut().get_mut(&root) {
            timer.due = self.world.now() + timer.period + self.lateness();
        }
    }

    /// Timers are a little late, each time by another bit.
    fn lateness(&self) -> Duration {
        Duration::from_micros(self.world.random_below(2_000))
    }

    pub fn enter_root(&self, root: RootId) {
        self.current_root.set(root);
    }

    pub fn begin_request(&self, root: RootId, request: Request) {
        self.current_root.set(root);
        self.in_request.set(true);
        self.host.set_request(MemoryRequest {
            source_address: request.source_address.into_bytes(),
            protocol: b"HTTP/1.1".to_vec(),
            headers: byte_headers(request.headers),
            response_headers: vec![(b":status".to_vec(), b"200".to_vec())],
        });
    }

    /// The reply and the filter state that the request left.
    pub fn end_request(&self) -> (Option<Reply>, Option<String>) {
        self.in_request.set(false);
        (self.host.reply(), self.host.filter_state())
    }

    pub fn begin_response(&self, root: RootId, response: Response) {
        self.current_root.set(root);
        self.host.set_response(MemoryResponse {
            headers: byte_headers(response.headers),
            body: response.body,
        });
    }

    /// The body exists during the callback only.
    pub fn end_response(&self) {
        self.host.set_response(MemoryResponse::default());
    }

    fn note(&self, count: impl FnOnce(&mut Effects)) {
        let mut state = self.world.state.borrow_mut();
        count(state.effects.entry(self.vm).or_default());
    }

    fn before(&self, hostcall: Hostcall<'_>) {
        let found = {
            let mut state = self.world.state.borrow_mut();
            let vm = self.vm;
            let mut interrupts = state.interrupts.iter_mut();
            let position =
                interrupts.position(|pending| pending.vm == vm && (pending.at)(hostcall));
            position.map(|position| state.interrupts.remove(position).interrupt)
        };
        match found {
            None => {}
            Some(Interrupt::Run(run)) => run(),
            Some(Interrupt::Die) => std::panic::resume_unwind(Box::new(VmDied)),
        }
    }
}

fn byte_headers(headers: Vec<(String, Vec<u8>)>) -> Headers {
    let headers = headers.into_iter();
    headers
        .map(|(name, value)| (name.into_bytes(), value))
        .collect()
}

impl System for FakeHost {
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
        self.host.environment_variable(name)
    }
}

impl SharedData for FakeHost {
    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        self.before(Hostcall::Read(key));
        self.note(|effects| effects.reads += 1);
        self.host.shared_data(key)
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        self.before(Hostcall::Write(key));
        self.note(|effects| effects.writes += 1);
        let in_request = self.in_request.get();
        assert!(!in_request, "an HTTP context wrote shared data: {key}");
        self.world
            .look_for_leaks("a shared-data key", key.as_bytes());
        self.world.look_for_leaks(key, bytes);
        let state = self.world.state.borrow();
        if state.refused_writes.as_ref().is_some_and(|keys| keys(key)) {
            return Err(HostError::InternalFailure);
        }
        self.host.set_shared_data(key, bytes, condition)
    }
}

impl RootContext for FakeHost {
    fn set_tick_period(&self, root: RootId, period: Duration) {
        if !self.roots.borrow().contains(&root) {
            return;
        }
        let mut timers = self.timers.borrow_mut();
        if period == Duration::ZERO {
            timers.remove(&root);
        } else {
            // The real host counts whole milliseconds.
            let period = Duration::from_millis(u64::try_from(period.as_millis()).unwrap());
            let due = self.world.now() + period + self.lateness();
            timers.insert(root, Timer { period, due });
        }
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        self.before(Hostcall::Dispatch);
        self.note(|effects| effects.calls += 1);
        let token = self.host.dispatch_http_call(call)?;
        let headers = call.headers.iter();
        let sent = SentCall {
            id: self.world.state.borrow().sent.len() as u64,
            vm: self.vm,
            root: self.current_root.get(),
            token,
            at: self.world.now(),
            cluster: call.cluster.to_owned(),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
            body: call.body.to_vec(),
            timeout: call.timeout,
        };
        let held: Abs = Box::new(|_| Reaction::Hold);
        let mut abs = core::mem::replace(&mut self.world.state.borrow_mut().abs, held);
        let reaction = abs(&sent);
        let mut state = self.world.state.borrow_mut();
        state.abs = abs;
        let responded = match reaction {
            Reaction::Refuse(error) => return Err(error),
            Reaction::Hold => None,
            Reaction::After(wait, response) => {
                let in_time = wait <= sent.timeout || sent.timeout == Duration::ZERO;
                Some(match in_time {
                    true => (sent.at + wait, response),
                    false => (sent.at + sent.timeout, Response::timeout()),
                })
            }
        };
        state.sent.push(sent.clone());
        state.pending.push(Pending {
            call: sent,
            responded,
        });
        Ok(token)
    }
}

impl CallResponse for FakeHost {
    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.host.visit_call_headers(visit);
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        let slice = self.world.state.borrow().slice;
        self.host.call_body(start, limit.min(slice))
    }
}

impl Stream for FakeHost {
    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        self.note(|effects| effects.request_reads += 1);
        self.host.visit_source_address(visit);
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.note(|effects| effects.request_reads += 1);
        self.host.visit_request_headers(visit);
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        self.note(|effects| effects.request_reads += 1);
        self.host.visit_request_protocol(visit);
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        match self.host.reply() {
            Some(reply) => visit(b":status", reply.status.to_string().as_bytes()),
            None => self.host.visit_response_headers(visit),
        }
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        self.world.look_for_leaks("a reply's body", reply.body);
        let rest = format!("{:?} {}", reply.headers, reply.details);
        self.world.look_for_leaks("a reply", rest.as_bytes());
        self.host.send_local_reply(reply)
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        self.world.look_for_leaks("filter state", value.as_bytes());
        self.host.set_filter_state(value)
    }
}

impl MetricStore for FakeHost {
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        self.note(|effects| effects.metrics += 1);
        self.world
            .look_for_leaks("a metric's name", name.as_bytes());
        self.host.define_metric(kind, name)
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        self.note(|effects| effects.metrics += 1);
        self.host.increment_metric(metric, by)
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.note(|effects| effects.metrics += 1);
        self.host.record_metric(metric, value)
    }
}
