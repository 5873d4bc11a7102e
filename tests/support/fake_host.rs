//! `FakeHost`: a [`MemoryHost`] that a test can interrupt. The core's `Vm` and the built module run on it.
//!
//! The rules of the host are those of `MemoryHost`. Added here:
//! - HTTP calls belong to a root context. When that is deleted they are cancelled, and no response ever comes.
//! - A call can be delayed, refused or held; a VM can be interrupted before any hostcall.
//! - Everything that leaves the filter is searched for secrets.
//!
//! `lifecycle/process.rs` decides which VMs there are and who ticks when.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use portcullis::host::memory::{Headers, MemoryHost, MemoryRequest, MemoryResponse};
use portcullis::host::{
    CallResponse, CallToken, HostError, HttpCall, LocalReply, MetricHandle, MetricStore,
    MetricType, RootContext, RootId, SharedData, SharedValue, Stream, System, WriteCondition,
};

#[path = "fake_host/messages.rs"]
mod messages;
#[path = "fake_host/world.rs"]
mod world;

pub use messages::{Pending, Reaction, Reply, Request, Response, SentCall};
pub use world::{Effects, Hostcall, Interrupt, VmDied, VmId, World};

use world::OnCall;

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
    fn new(world: World, host: MemoryHost, vm: VmId) -> Self {
        Self {
            world,
            host,
            vm,
            current_root: Cell::new(RootId(0)),
            timers: RefCell::default(),
            roots: RefCell::default(),
            in_request: Cell::new(false),
        }
    }

    /// The number of this VM.
    pub fn vm(&self) -> VmId {
        self.vm
    }

    /// Creates a root context.
    pub fn add_root(&self, root: RootId) {
        self.roots.borrow_mut().insert(root);
        self.current_root.set(root);
    }

    /// Deletes a root context: its ticks end, and its calls are cancelled.
    pub fn drop_root(&self, root: RootId) {
        self.roots.borrow_mut().remove(&root);
        self.timers.borrow_mut().remove(&root);
        self.world.cancel(self.vm, Some(root));
    }

    /// Deletes all root contexts.
    pub fn drop_vm(&self) {
        self.roots.borrow_mut().clear();
        self.timers.borrow_mut().clear();
        self.world.cancel(self.vm, None);
    }

    /// The earliest tick.
    pub fn next_tick(&self) -> Option<(Duration, RootId)> {
        let timers = self.timers.borrow();
        let dues = timers.iter().map(|(root, timer)| (timer.due, *root));
        dues.min()
    }

    /// The tick period of a root context; `None`: it does not tick.
    pub fn tick_period(&self, root: RootId) -> Option<Duration> {
        self.timers.borrow().get(&root).map(|timer| timer.period)
    }

    /// The host arms the timer again after each tick.
    pub fn rearm(&self, root: RootId) {
        if let Some(timer) = self.timers.borrow_mut().get_mut(&root) {
            timer.due = self.world.now() + timer.period + self.lateness();
        }
    }

    /// Timers are late by a small, varying amount.
    fn lateness(&self) -> Duration {
        Duration::from_micros(self.world.random_below(2_000))
    }

    /// Selects the root context that hostcalls count for.
    pub fn enter_root(&self, root: RootId) {
        self.current_root.set(root);
    }

    /// Starts a request of a root context.
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

    /// Ends the request; returns its reply and its filter state.
    pub fn end_request(&self) -> (Option<Reply>, Option<String>) {
        self.in_request.set(false);
        let outcome = (self.host.reply(), self.host.filter_state());
        self.host.set_request(MemoryRequest::default());
        outcome
    }

    /// Delivers the response to a call of a root context.
    pub fn begin_response(&self, root: RootId, response: Response) {
        self.current_root.set(root);
        self.host.set_response(MemoryResponse {
            headers: byte_headers(response.headers),
            body: response.body,
        });
    }

    /// Ends the delivery: a response exists only during the callback.
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

/// The parts that only the built module uses.
#[allow(
    dead_code,
    reason = "the tests of the core pass the host to each callback"
)]
impl FakeHost {
    /// The process of this VM.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Whether the root context exists.
    pub fn has_root(&self, root: RootId) -> bool {
        self.roots.borrow().contains(&root)
    }

    /// The number of headers of the current request; no hostcall.
    pub fn n_request_headers(&self) -> u32 {
        let mut n_headers = 0;
        self.host.visit_request_headers(&mut |_, _| n_headers += 1);
        n_headers
    }

    /// The number of headers of the current response to a call; no hostcall.
    pub fn n_call_headers(&self) -> u32 {
        let mut n_headers = 0;
        self.host.visit_call_headers(&mut |_, _| n_headers += 1);
        n_headers
    }

    /// Whether a request is being judged.
    pub fn is_in_request(&self) -> bool {
        self.in_request.get()
    }

    /// Marks hostcalls as made by an HTTP context or not: a hostile host nests callbacks.
    pub fn set_in_request(&self, in_request: bool) {
        self.in_request.set(in_request);
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

    fn visit_node_id(&self, visit: &mut dyn FnMut(&[u8])) {
        self.host.visit_node_id(visit);
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
        self.world.inspect("a shared-data key", key.as_bytes());
        self.world.inspect("a shared-data value", bytes);
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
        // The world keeps the calls.
        self.host.take_calls();
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
        let held: OnCall = Box::new(|_| Reaction::Hold);
        let mut abs = core::mem::replace(&mut self.world.state.borrow_mut().abs, held);
        let reaction = abs(&sent);
        let mut state = self.world.state.borrow_mut();
        state.abs = abs;
        let due = match reaction {
            Reaction::Refuse(error) => return Err(error),
            Reaction::Hold => None,
            Reaction::After(delay, response) => {
                let in_time = delay <= sent.timeout || sent.timeout == Duration::ZERO;
                Some(match in_time {
                    true => (sent.at + delay, response),
                    false => (sent.at + sent.timeout, Response::timeout()),
                })
            }
        };
        state.sent.push(sent.clone());
        state.pending.push(Pending { call: sent, due });
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
        let headers = format!("{:?}", reply.headers);
        self.world.inspect("a reply's body", reply.body);
        self.world.inspect("a reply's headers", headers.as_bytes());
        self.world
            .inspect("a reply's details", reply.details.as_bytes());
        self.host.send_local_reply(reply)
    }

    fn set_filter_state(&self, value: &str) -> Result<(), HostError> {
        self.world.inspect("filter state", value.as_bytes());
        self.host.set_filter_state(value)
    }
}

impl MetricStore for FakeHost {
    fn define_metric(&self, kind: MetricType, name: &str) -> Result<MetricHandle, HostError> {
        self.note(|effects| effects.metrics += 1);
        self.world.inspect("a metric's name", name.as_bytes());
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

    fn metric_value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        self.note(|effects| effects.metrics += 1);
        self.host.metric_value(metric)
    }
}
