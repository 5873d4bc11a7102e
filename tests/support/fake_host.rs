//! `FakeHost`: a proxy-wasm host that tests move by hand, with Envoy's true rules.
//!
//! Owns what a process shares (shared data, clocks, calls in flight, metrics, logs) and what one VM sees of it. Who
//! ticks when, and which VMs there are, is `lifecycle/process.rs`'s part.
//!
//! The rules are those of proxy-wasm-cpp-host and Envoy:
//! - Shared data: a compare-and-set number is ignored where the key is absent; 0 is unconditional; anything else must
//!   match. Numbers come from one counter of the process, which skips 0. Reading copies. No key can be deleted.
//! - HTTP calls belong to a root context. When that is torn down they are cancelled, and no answer ever comes. Tokens
//!   count in each VM on their own, so two VMs have calls of the same token.
//! - A failed call is answered without headers and without a body.
//! - Each definition of a metric gives a new number; the values belong to the name.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::Engine;
use portcullis::host::{
    CallToken, Host, HostError, HttpCall, LocalReply, LogLevel, MetricHandle, MetricType, RootId,
    SharedValue, WriteCondition,
};

use crate::secrets::holds_secret;
use crate::seeded::Random;

/// The number of a VM; no two VMs of a process have the same, dead ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VmId(pub u32);

/// What ABS, or Envoy in its stead, answers to a call.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A failed call: no headers, no body.
    pub fn reset() -> Self {
        Self::default()
    }

    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let answer = Self {
            headers: Vec::new(),
            body: body.into(),
        };
        answer.header(":status", status.to_string())
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
    /// It is answered after so long, or by Envoy's time-out if that comes first.
    After(Duration, Answer),
    /// It is answered when the test says so, or never.
    Hold,
    /// The host refuses it.
    Refuse(HostError),
}

/// A call in flight.
#[derive(Clone, Debug)]
pub struct Pending {
    pub call: SentCall,
    /// `None`: when the test says so.
    pub answered: Option<(Duration, Answer)>,
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

/// A local reply that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u32,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub details: String,
    pub grpc_status: Option<u32>,
}

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

struct Ambush {
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
    /// What was asked of the request in hand: headers, address, protocol.
    pub questions: u64,
}

type KeyTest = Box<dyn Fn(&str) -> bool>;
type Abs = Box<dyn FnMut(&SentCall) -> Reaction>;

struct State {
    monotonic: Duration,
    unix: Duration,
    random: Random,
    environment: BTreeMap<String, String>,
    data: BTreeMap<String, (Vec<u8>, u32)>,
    last_cas: u32,
    refused_writes: Option<KeyTest>,
    abs: Abs,
    sent: Vec<SentCall>,
    pending: Vec<Pending>,
    slice: usize,
    definitions: Vec<String>,
    metrics: BTreeMap<String, u64>,
    logs: Vec<(LogLevel, String)>,
    effects: BTreeMap<VmId, Effects>,
    ambushes: Vec<Ambush>,
    n_vms: u32,
    leaks: Vec<String>,
}

/// What a process shares.
#[derive(Clone)]
pub struct World(Rc<RefCell<State>>);

impl World {
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            monotonic: Duration::from_secs(5_000),
            // 2026-11-23, 10:00:30.
            unix: Duration::from_secs(1_795_428_030),
            random: Random::new(seed),
            environment: BTreeMap::new(),
            data: BTreeMap::new(),
            last_cas: 0,
            refused_writes: None,
            abs: Box::new(|_| Reaction::Hold),
            sent: Vec::new(),
            pending: Vec::new(),
            slice: usize::MAX,
            definitions: Vec::new(),
            metrics: BTreeMap::new(),
            logs: Vec::new(),
            effects: BTreeMap::new(),
            ambushes: Vec::new(),
            n_vms: 0,
            leaks: Vec::new(),
        })))
    }

    /// The host side of a new VM.
    pub fn new_vm(&self) -> FakeHost {
        let mut state = self.0.borrow_mut();
        state.n_vms += 1;
        FakeHost {
            world: self.clone(),
            vm: VmId(state.n_vms),
            current_root: Cell::new(RootId(0)),
            timers: RefCell::default(),
            roots: RefCell::default(),
            n_calls: Cell::new(0),
            request: RefCell::default(),
            reply: RefCell::default(),
            filter_state: RefCell::default(),
            answer: RefCell::default(),
        }
    }

    pub fn now(&self) -> Duration {
        self.0.borrow().monotonic
    }

    /// Moves both clocks on.
    pub fn pass(&self, time: Duration) {
        let mut state = self.0.borrow_mut();
        state.monotonic += time;
        state.unix += time;
    }

    pub fn unix(&self) -> Duration {
        self.0.borrow().unix
    }

    /// Makes the wall clock jump; the monotonic one never does.
    pub fn set_unix(&self, unix: Duration) {
        self.0.borrow_mut().unix = unix;
    }

    /// A number below `n`.
    pub fn random_below(&self, n: u64) -> u64 {
        self.0.borrow_mut().random.below(n)
    }

    pub fn set_environment(&self, name: &str, value: &str) {
        let mut state = self.0.borrow_mut();
        state.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Who answers calls from now on.
    pub fn set_abs(&self, abs: impl FnMut(&SentCall) -> Reaction + 'static) {
        self.0.borrow_mut().abs = Box::new(abs);
    }

    /// No more than so many bytes of a body are handed over at once.
    pub fn set_slice(&self, slice: usize) {
        self.0.borrow_mut().slice = slice;
    }

    /// Every call that was made, oldest first; refused ones are not among them.
    pub fn sent(&self) -> Vec<SentCall> {
        self.0.borrow().sent.clone()
    }

    pub fn pending(&self) -> Vec<Pending> {
        self.0.borrow().pending.clone()
    }

    /// Takes a call out of flight: it is answered now, or lost.
    pub fn take_pending(&self, id: u64) -> Option<Pending> {
        let mut state = self.0.borrow_mut();
        let position = state.pending.iter().position(|known| known.call.id == id)?;
        Some(state.pending.remove(position))
    }

    /// Cancels the calls of a root context, or of a whole VM.
    pub fn cancel(&self, vm: VmId, root: Option<RootId>) {
        let mut state = self.0.borrow_mut();
        state.pending.retain(|known| {
            known.call.vm != vm || root.is_some_and(|root| known.call.root != root)
        });
    }

    /// The value of a counter or a gauge; 0 where it was never touched.
    pub fn metric(&self, name: &str) -> u64 {
        let name = format!("portcullis.{name}");
        self.0.borrow().metrics.get(&name).copied().unwrap_or(0)
    }

    /// The counters of fetches by result, without those that are 0.
    pub fn fetches(&self) -> BTreeMap<String, u64> {
        let state = self.0.borrow();
        let of_fetches = state.metrics.iter().filter_map(|(name, value)| {
            let result = name.strip_prefix("portcullis.fetch.result=")?;
            Some((result.to_owned(), *value))
        });
        of_fetches.filter(|(_, value)| *value > 0).collect()
    }

    pub fn effects(&self, vm: VmId) -> Effects {
        self.0
            .borrow()
            .effects
            .get(&vm)
            .copied()
            .unwrap_or_default()
    }

    pub fn logs(&self) -> Vec<(LogLevel, String)> {
        self.0.borrow().logs.clone()
    }

    pub fn forget_logs(&self) {
        self.0.borrow_mut().logs.clear();
    }

    pub fn keys(&self) -> Vec<String> {
        self.0.borrow().data.keys().cloned().collect()
    }

    /// The value of the one key that ends like this.
    pub fn value(&self, key_end: &str) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        let mut found = state.data.iter().filter(|(key, _)| key.ends_with(key_end));
        let value = found.next().map(|(_, (bytes, _))| bytes.clone());
        assert!(found.next().is_none(), "several keys end in {key_end}");
        value
    }

    /// The value of a key; nothing where it was never written.
    pub fn value_of(&self, key: &str) -> Vec<u8> {
        let state = self.0.borrow();
        state
            .data
            .get(key)
            .map_or(Vec::new(), |(bytes, _)| bytes.clone())
    }

    /// Overwrites a value behind everybody's back.
    pub fn overwrite(&self, key: &str, bytes: &[u8]) {
        self.0
            .borrow_mut()
            .set(key, bytes, 0)
            .expect("unconditional");
    }

    /// Writes of these keys fail from now on.
    pub fn refuse_writes(&self, keys: impl Fn(&str) -> bool + 'static) {
        self.0.borrow_mut().refused_writes = Some(Box::new(keys));
    }

    pub fn allow_writes(&self) {
        self.0.borrow_mut().refused_writes = None;
    }

    /// Interrupts a VM once, right before the first hostcall for which `at` is true.
    pub fn interrupt(
        &self,
        vm: VmId,
        at: impl FnMut(Hostcall<'_>) -> bool + 'static,
        interrupt: Interrupt,
    ) {
        self.0.borrow_mut().ambushes.push(Ambush {
            vm,
            at: Box::new(at),
            interrupt,
        });
    }

    /// How many interrupts were asked for and have not happened.
    pub fn interrupts_left(&self) -> usize {
        self.0.borrow().ambushes.len()
    }

    pub fn forget_interrupts(&self) {
        self.0.borrow_mut().ambushes.clear();
    }

    /// Where secrets got out.
    pub fn leaks(&self) -> Vec<String> {
        self.0.borrow().leaks.clone()
    }

    /// Notes a leak if `bytes`, which leave the filter by `way`, hold a secret, plain or in base64.
    pub fn look_for_leaks(&self, way: &str, bytes: &[u8]) {
        self.0.borrow_mut().look_for_leaks(way, bytes);
    }
}

impl State {
    fn set(&mut self, key: &str, bytes: &[u8], cas: u32) -> Result<(), HostError> {
        if let Some((_, known)) = self.data.get(key)
            && cas != 0
            && cas != *known
        {
            return Err(HostError::CasMismatch);
        }
        self.last_cas = match self.last_cas.wrapping_add(1) {
            0 => 1,
            next => next,
        };
        let value = (bytes.to_vec(), self.last_cas);
        self.data.insert(key.to_owned(), value);
        Ok(())
    }

    fn look_for_leaks(&mut self, way: &str, bytes: &[u8]) {
        if holds_secret(bytes) {
            let shown = String::from_utf8_lossy(bytes);
            self.leaks.push(format!("{way}: {shown}"));
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    period: Duration,
    due: Duration,
}

/// What one VM sees of its host.
pub struct FakeHost {
    world: World,
    vm: VmId,
    current_root: Cell<RootId>,
    timers: RefCell<BTreeMap<RootId, Timer>>,
    roots: RefCell<BTreeSet<RootId>>,
    n_calls: Cell<u32>,
    request: RefCell<Option<Request>>,
    reply: RefCell<Option<Reply>>,
    filter_state: RefCell<Option<String>>,
    answer: RefCell<Option<Answer>>,
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
        self.request.replace(Some(request));
        self.reply.take();
        self.filter_state.take();
    }

    /// The reply and the filter state that the request left.
    pub fn end_request(&self) -> (Option<Reply>, Option<String>) {
        self.request.take();
        (self.reply.take(), self.filter_state.take())
    }

    pub fn begin_answer(&self, root: RootId, answer: Answer) {
        self.current_root.set(root);
        self.answer.replace(Some(answer));
    }

    /// The body is there during the callback only.
    pub fn end_answer(&self) {
        self.answer.take();
    }

    fn note(&self, count: impl FnOnce(&mut Effects)) {
        let mut state = self.world.0.borrow_mut();
        count(state.effects.entry(self.vm).or_default());
    }

    fn before(&self, hostcall: Hostcall<'_>) {
        let found = {
            let mut state = self.world.0.borrow_mut();
            let vm = self.vm;
            let mut ambushes = state.ambushes.iter_mut();
            let position = ambushes.position(|ambush| ambush.vm == vm && (ambush.at)(hostcall));
            position.map(|position| state.ambushes.remove(position).interrupt)
        };
        match found {
            None => {}
            Some(Interrupt::Run(run)) => run(),
            Some(Interrupt::Die) => std::panic::resume_unwind(Box::new(VmDied)),
        }
    }
}

impl Host for FakeHost {
    fn monotonic_now(&self) -> Duration {
        self.world.now()
    }

    fn unix_now(&self) -> Duration {
        self.world.unix()
    }

    fn random(&self) -> u64 {
        self.world.0.borrow_mut().random.number()
    }

    fn environment_variable(&self, name: &str) -> Option<String> {
        self.world.0.borrow().environment.get(name).cloned()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let mut state = self.world.0.borrow_mut();
        state.look_for_leaks("a log line", message.as_bytes());
        state.logs.push((level, message.to_owned()));
    }

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

    fn shared_data(&self, key: &str) -> Result<Option<SharedValue>, HostError> {
        self.before(Hostcall::Read(key));
        self.note(|effects| effects.reads += 1);
        let state = self.world.0.borrow();
        Ok(state.data.get(key).map(|(bytes, cas)| SharedValue {
            bytes: bytes.clone(),
            cas: *cas,
        }))
    }

    fn set_shared_data(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        self.before(Hostcall::Write(key));
        self.note(|effects| effects.writes += 1);
        assert!(
            self.request.borrow().is_none(),
            "an HTTP context wrote shared data: {key}"
        );
        let mut state = self.world.0.borrow_mut();
        state.look_for_leaks("a shared-data key", key.as_bytes());
        state.look_for_leaks(key, bytes);
        if state.refused_writes.as_ref().is_some_and(|keys| keys(key)) {
            return Err(HostError::InternalFailure);
        }
        // As `EnvoyHost` puts it: a number that never matches creates and never overwrites.
        let cas = match condition {
            WriteCondition::Always => 0,
            WriteCondition::Absent => u32::MAX,
            WriteCondition::Unchanged(cas) => cas,
        };
        state.set(key, bytes, cas)
    }

    fn dispatch_http_call(&self, call: &HttpCall<'_>) -> Result<CallToken, HostError> {
        self.before(Hostcall::Dispatch);
        self.note(|effects| effects.calls += 1);
        for needed in [":method", ":path", ":authority"] {
            if !call.headers.iter().any(|(name, _)| *name == needed) {
                return Err(HostError::BadArgument);
            }
        }
        let token = CallToken(self.n_calls.get() + 1);
        let headers = call.headers.iter();
        let sent = SentCall {
            id: self.world.0.borrow().sent.len() as u64,
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
        let mut abs = core::mem::replace(
            &mut self.world.0.borrow_mut().abs,
            Box::new(|_| Reaction::Hold),
        );
        let reaction = abs(&sent);
        let mut state = self.world.0.borrow_mut();
        state.abs = abs;
        let answered = match reaction {
            Reaction::Refuse(error) => return Err(error),
            Reaction::Hold => None,
            Reaction::After(wait, answer) => {
                let in_time = wait <= sent.timeout || sent.timeout == Duration::ZERO;
                Some(match in_time {
                    true => (sent.at + wait, answer),
                    false => (sent.at + sent.timeout, Answer::timeout()),
                })
            }
        };
        self.n_calls.set(token.0);
        state.sent.push(sent.clone());
        state.pending.push(Pending {
            call: sent,
            answered,
        });
        Ok(token)
    }

    fn visit_call_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if let Some(answer) = &*self.answer.borrow() {
            for (name, value) in &answer.headers {
                visit(name.as_bytes(), value);
            }
        }
    }

    fn call_body(&self, start: usize, limit: usize) -> Vec<u8> {
        let limit = limit.min(self.world.0.borrow().slice);
        let answer = self.answer.borrow();
        let body = answer.as_ref().map_or(&[][..], |answer| &answer.body);
        let rest = body.get(start..).unwrap_or_default();
        rest[..limit.min(rest.len())].to_vec()
    }

    fn visit_source_address(&self, visit: &mut dyn FnMut(&[u8])) {
        self.note(|effects| effects.questions += 1);
        if let Some(request) = &*self.request.borrow() {
            visit(request.source_address.as_bytes());
        }
    }

    fn visit_request_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.note(|effects| effects.questions += 1);
        if let Some(request) = &*self.request.borrow() {
            for (name, value) in &request.headers {
                visit(name.as_bytes(), value);
            }
        }
    }

    fn visit_request_protocol(&self, visit: &mut dyn FnMut(&[u8])) {
        self.note(|effects| effects.questions += 1);
        if self.request.borrow().is_some() {
            visit(b"HTTP/1.1");
        }
    }

    fn visit_response_headers(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        if self.request.borrow().is_some() {
            let status = self
                .reply
                .borrow()
                .as_ref()
                .map_or(200, |reply| reply.status);
            visit(b":status", status.to_string().as_bytes());
        }
    }

    fn send_local_reply(&self, reply: &LocalReply<'_>) -> Result<(), HostError> {
        self.world.look_for_leaks("a reply's body", reply.body);
        let rest = format!("{:?} {}", reply.headers, reply.details);
        self.world.look_for_leaks("a reply", rest.as_bytes());
        self.reply.replace(Some(Reply {
            status: reply.status,
            headers: reply.headers.to_vec(),
            body: reply.body.to_vec(),
            details: reply.details.to_owned(),
            grpc_status: reply.grpc_status,
        }));
        Ok(())
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        self.world.look_for_leaks("filter state", value.as_bytes());
        self.filter_state.replace(Some(value.to_owned()));
        Ok(())
    }

    fn define_metric(&self, _kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        self.note(|effects| effects.metrics += 1);
        let mut state = self.world.0.borrow_mut();
        state.look_for_leaks("a metric's name", name.as_bytes());
        state.definitions.push(name.to_owned());
        let handle = u32::try_from(state.definitions.len() - 1).unwrap();
        Ok(MetricHandle(handle))
    }

    fn increment_metric(&self, metric: MetricHandle, by: u64) -> Result<(), HostError> {
        self.note(|effects| effects.metrics += 1);
        if by == 0 {
            return Err(HostError::BadArgument);
        }
        let mut state = self.world.0.borrow_mut();
        let name = state.definitions[metric.0 as usize].clone();
        *state.metrics.entry(name).or_default() += by;
        Ok(())
    }

    fn record_metric(&self, metric: MetricHandle, value: u64) -> Result<(), HostError> {
        self.note(|effects| effects.metrics += 1);
        let mut state = self.world.0.borrow_mut();
        let name = state.definitions[metric.0 as usize].clone();
        state.metrics.insert(name, value);
        Ok(())
    }
}
