//! The process that all VMs share: shared data, clocks and metrics ([`MemoryProcess`]), an ABS, calls in flight, log
//! lines, armed interrupts, and everything that left the filter.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Once;

use log::Level;
use portcullis::host::memory::{MemoryHost, MemoryProcess};
use portcullis::host::{RootId, WriteCondition};

use super::FakeHost;
use super::messages::{Pending, Reaction, SentCall};
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
        // Wasmtime logs too.
        if !record.target().starts_with("portcullis") {
            return;
        }
        let line = (record.level(), record.args().to_string());
        LOG.with_borrow_mut(|lines| lines.push(line));
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger;

/// The number of the log level DEBUG in the proxy-wasm ABI.
const DEBUG: u32 = 1;

/// The number of a VM; no two VMs of a process have the same, dead ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VmId(pub u32);
/// A hostcall about to be made.
#[derive(Clone, Copy, Debug)]
pub enum Hostcall<'a> {
    /// A read of this shared-data key.
    Read(&'a str),
    /// A write of this shared-data key.
    Write(&'a str),
    /// An HTTP call.
    Dispatch,
}

/// What happens to a VM during a callback.
pub enum Interrupt {
    /// It traps: the rest of the callback does not happen.
    Die,
    /// Other threads run.
    Run(Box<dyn FnOnce()>),
}

/// The payload of the panic that unwinds a VM that traps.
pub struct VmDied;

pub(super) struct ArmedInterrupt {
    pub(super) vm: VmId,
    pub(super) at: Box<dyn FnMut(Hostcall<'_>) -> bool>,
    pub(super) interrupt: Interrupt,
}

/// The number of hostcalls of a VM, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Writes of shared data.
    pub writes: u64,
    /// Reads of shared data.
    pub reads: u64,
    /// HTTP calls.
    pub calls: u64,
    /// Definitions, changes and reads of metrics.
    pub metrics: u64,
    /// Reads of the current request: headers, address, protocol.
    pub request_reads: u64,
}

/// Selects shared-data keys.
type KeyTest = Box<dyn Fn(&str) -> bool>;
pub(super) type OnCall = Box<dyn FnMut(&SentCall) -> Reaction>;

pub(super) struct State {
    pub(super) refused_writes: Option<KeyTest>,
    pub(super) abs: OnCall,
    pub(super) sent: Vec<SentCall>,
    pub(super) pending: Vec<Pending>,
    pub(super) slice: usize,
    pub(super) effects: BTreeMap<VmId, Effects>,
    pub(super) interrupts: Vec<ArmedInterrupt>,
    n_vms: u32,
    leaks: Vec<String>,
    environment: Vec<Vec<u8>>,
    log_level: u32,
    inspected: BTreeMap<&'static str, u64>,
}

/// What the VMs of a process share. A clone is the same process.
#[derive(Clone)]
pub struct World {
    process: MemoryProcess,
    pub(super) state: Rc<RefCell<State>>,
}

impl World {
    /// A process whose random numbers follow from `seed`.
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
                environment: Vec::new(),
                log_level: DEBUG,
                inspected: BTreeMap::new(),
            })),
        }
    }

    /// The host of a new VM.
    pub fn new_vm(&self) -> FakeHost {
        let mut state = self.state.borrow_mut();
        state.n_vms += 1;
        let id = VmId(state.n_vms);
        FakeHost::new(self.clone(), MemoryHost::new(&self.process), id)
    }

    /// The monotonic clock.
    pub fn now(&self) -> Duration {
        self.process.now()
    }

    /// Advances both clocks.
    pub fn pass(&self, time: Duration) {
        self.process.pass(time);
    }

    /// The wall clock.
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

    /// Sets an environment variable of the VMs that are created from now on.
    pub fn set_environment(&self, name: &str, value: &str) {
        self.process.set_environment(name, value);
        let line = format!("{name}={value}").into_bytes();
        self.state.borrow_mut().environment.push(line);
    }

    /// Sets the node id of the process.
    pub fn set_node_id(&self, id: &[u8]) {
        self.process.set_node_id(id);
    }

    /// Selects what happens to each call from now on.
    pub fn set_abs(&self, abs: impl FnMut(&SentCall) -> Reaction + 'static) {
        self.state.borrow_mut().abs = Box::new(abs);
    }

    /// Bounds the bytes of a body that one hostcall returns.
    pub fn set_slice(&self, slice: usize) {
        self.state.borrow_mut().slice = slice;
    }

    /// Every call that was made, oldest first, without refused ones.
    pub fn sent(&self) -> Vec<SentCall> {
        self.state.borrow().sent.clone()
    }

    /// The calls in flight.
    pub fn pending(&self) -> Vec<Pending> {
        self.state.borrow().pending.clone()
    }

    /// When the next responses to calls in flight are due: call, VM, time.
    pub fn due_responses(&self) -> Vec<(u64, VmId, Duration)> {
        let state = self.state.borrow();
        let due = state.pending.iter().filter_map(|pending| {
            let (due, _) = pending.due.as_ref()?;
            Some((pending.call.id, pending.call.vm, *due))
        });
        due.collect()
    }

    /// The number of fetches of the list.
    pub fn n_fetches(&self) -> usize {
        let state = self.state.borrow();
        state.sent.iter().filter(|call| call.is_get()).count()
    }

    /// Removes a call from those in flight.
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

    /// The hostcalls that a VM made.
    pub fn effects(&self, vm: VmId) -> Effects {
        self.state
            .borrow()
            .effects
            .get(&vm)
            .copied()
            .unwrap_or_default()
    }

    /// The number of log lines.
    pub fn n_log_lines(&self) -> usize {
        LOG.with_borrow(Vec::len)
    }

    /// The log lines, oldest first.
    pub fn logs(&self) -> Vec<(Level, String)> {
        LOG.with_borrow(Clone::clone)
    }

    /// Deletes the log lines, after a search for secrets.
    pub fn forget_logs(&self) {
        self.look_for_leaks_in_logs();
        LOG.take();
    }

    fn look_for_leaks_in_logs(&self) {
        for (_, line) in self.logs() {
            self.inspect("a log line", line.as_bytes());
        }
    }

    /// All keys of shared data.
    pub fn keys(&self) -> Vec<String> {
        self.process.keys()
    }

    /// The value of the only key with this end.
    pub fn value(&self, key_end: &str) -> Option<Vec<u8>> {
        let keys = self.keys();
        let mut found = keys.iter().filter(|key| key.ends_with(key_end));
        let value = found.next().map(|key| self.value_of(key));
        assert!(found.next().is_none(), "several keys end in {key_end}");
        value
    }

    /// The value of a key; empty if it was never written.
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

    /// Ends [`World::refuse_writes`].
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

    /// The number of armed interrupts.
    pub fn interrupts_left(&self) -> usize {
        self.state.borrow().interrupts.len()
    }

    /// Disarms all interrupts.
    pub fn forget_interrupts(&self) {
        self.state.borrow_mut().interrupts.clear();
    }

    /// Every leaked secret, with the channel through which it left.
    pub fn leaks(&self) -> Vec<String> {
        self.look_for_leaks_in_logs();
        self.state.borrow().leaks.clone()
    }

    /// Searches bytes that leave the filter through `channel` for secrets.
    pub fn inspect(&self, channel: &'static str, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        *state.inspected.entry(channel).or_default() += 1;
        if holds_secret(bytes) {
            let shown = String::from_utf8_lossy(bytes);
            state.leaks.push(format!("{channel}: {shown}"));
        }
    }
}

/// The parts that only the built module uses.
#[allow(
    dead_code,
    reason = "the tests of the core log through `log` and read the environment by name"
)]
impl World {
    /// Replaces the environment of the VMs that are created from now on: lines as in `environ`, any bytes.
    pub fn set_raw_environment(&self, lines: Vec<Vec<u8>>) {
        self.state.borrow_mut().environment = lines;
    }

    /// The environment: lines as in `environ`.
    pub fn raw_environment(&self) -> Vec<Vec<u8>> {
        self.state.borrow().environment.clone()
    }

    /// Writes a log line.
    pub fn log(&self, level: Level, line: String) {
        LOG.with_borrow_mut(|lines| lines.push((level, line)));
    }

    /// The least severe level that the host logs, by its number in the proxy-wasm ABI.
    pub fn log_level(&self) -> u32 {
        self.state.borrow().log_level
    }

    /// Sets [`World::log_level`].
    pub fn set_log_level(&self, level: u32) {
        self.state.borrow_mut().log_level = level;
    }

    /// Deletes the leaks; returns them.
    pub fn take_leaks(&self) -> Vec<String> {
        core::mem::take(&mut self.state.borrow_mut().leaks)
    }

    /// How many times something left through `channel`.
    pub fn inspected(&self, channel: &str) -> u64 {
        let state = self.state.borrow();
        state.inspected.get(channel).copied().unwrap_or(0)
    }

    /// Removes all calls from those in flight and forgets what was sent.
    pub fn take_calls(&self) -> Vec<SentCall> {
        let mut state = self.state.borrow_mut();
        state.sent.clear();
        let pending = core::mem::take(&mut state.pending);
        pending.into_iter().map(|pending| pending.call).collect()
    }
}
