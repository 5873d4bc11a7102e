//! One Envoy process over a fake host: its main thread and its workers, each with a VM, and the order in which they run.
//!
//! Envoy's order of steps: a configuration is validated in a VM that is then deleted; each thread gets a new root context
//! beside the old one, and the old one is deleted; a worker's VM that trapped is created again at its next request, the
//! main thread's only with the next configuration. Threads never run at once, but the seed decides their order, and a test
//! can run one during a hostcall of another.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use portcullis::host::{RootId, StreamId};
use serde_json::Value;

use super::filter_vm::FilterVm;
use crate::fake_host::{
    FakeHost, Hostcall, Interrupt, Reply, Request, Response, SentCall, VmDied, VmId, World,
};
use crate::target::TargetVm;

/// The number of the main thread; workers count from 1.
pub const MAIN: usize = 0;

/// A plugin of the process; each has a configuration of its own. They share the VMs.
pub type Filter = usize;

#[derive(Clone)]
pub struct Process(Rc<Inner>);

struct Inner {
    world: World,
    threads: Vec<Thread>,
    /// The active configuration of each filter.
    filters: RefCell<Vec<Option<String>>>,
    workers_first: Cell<bool>,
    drains: Cell<bool>,
}

#[derive(Default)]
struct Thread {
    vm: RefCell<Option<Rc<ThreadVm>>>,
    paused: Cell<bool>,
}

struct ThreadVm {
    vm: RefCell<TargetVm>,
    host: Rc<FakeHost>,
    n_contexts: Cell<u32>,
    /// The root contexts, oldest first.
    roots: RefCell<Vec<(Filter, RootId)>>,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub denied: Option<Reply>,
    pub filter_state: Option<String>,
}

enum Event {
    Tick(usize, RootId),
    Response(u64),
}

impl Process {
    pub fn new(n_workers: usize) -> Self {
        Self::seeded(n_workers, 1)
    }

    pub fn seeded(n_workers: usize, seed: u64) -> Self {
        Self(Rc::new(Inner {
            world: World::new(seed),
            threads: (0..=n_workers).map(|_| Thread::default()).collect(),
            filters: RefCell::default(),
            workers_first: Cell::new(false),
            drains: Cell::new(false),
        }))
    }

    pub fn world(&self) -> &World {
        &self.0.world
    }

    pub fn workers(&self) -> core::ops::Range<usize> {
        1..self.0.threads.len()
    }

    pub fn threads(&self) -> core::ops::Range<usize> {
        0..self.0.threads.len()
    }

    /// After a change of configuration workers configure before the main thread; at start after it.
    pub fn configure_workers_first(&self) {
        self.0.workers_first.set(true);
    }

    /// Old root contexts stay active beside the new ones until [`Process::drop_old_roots`], as in a listener that drains.
    pub fn drain(&self) {
        self.0.drains.set(true);
    }

    /// Configures the first filter; returns the errors if the configuration is refused.
    pub fn try_configure(&self, config: &Value) -> Result<(), Vec<String>> {
        self.try_configure_filter(0, config)
    }

    pub fn configure(&self, config: &Value) {
        self.configure_filter(0, config);
    }

    pub fn configure_filter(&self, filter: Filter, config: &Value) {
        let outcome = self.try_configure_filter(filter, config);
        outcome.unwrap_or_else(|errors| panic!("configuration refused: {errors:#?}"));
    }

    pub fn try_configure_filter(&self, filter: Filter, config: &Value) -> Result<(), Vec<String>> {
        let json = config.to_string();
        self.try_out(&json)?;
        {
            let mut filters = self.0.filters.borrow_mut();
            let n = filters.len().max(filter + 1);
            filters.resize(n, None);
            filters[filter] = Some(json);
        }
        let mut order: Vec<_> = self.threads().collect();
        if self.0.workers_first.get() {
            order.rotate_left(1);
        }
        for thread in order {
            self.pass_a_little();
            self.start_filter(thread, filter);
        }
        if !self.0.drains.get() {
            self.drop_old_roots();
        }
        Ok(())
    }

    /// Envoy validates each configuration in a VM of its own, on the main thread, and deletes that VM.
    fn try_out(&self, json: &str) -> Result<(), Vec<String>> {
        let host = Rc::new(self.world().new_vm());
        let mut vm = TargetVm::new(host.clone());
        host.add_root(RootId(1));
        let n_lines = self.world().n_log_lines();
        let accepted = vm.configure(RootId(1), json.as_bytes());
        host.drop_vm();
        let errors = self.world().logs().into_iter().skip(n_lines);
        let errors = errors
            .filter_map(|(_, line)| Some(line.strip_prefix("configuration refused: ")?.into()));
        if accepted {
            Ok(())
        } else {
            Err(errors.collect())
        }
    }

    fn pass_a_little(&self) {
        let micros = 1 + self.world().random_below(2_000);
        self.world().pass(Duration::from_micros(micros));
    }

    /// Creates a root context of the filter on a thread, and a VM if the thread has none.
    fn start_filter(&self, thread: usize, filter: Filter) {
        let slot = &self.0.threads[thread].vm;
        let known = slot.borrow().clone();
        let vm = known.unwrap_or_else(|| {
            let host = Rc::new(self.world().new_vm());
            let vm = Rc::new(ThreadVm {
                vm: RefCell::new(TargetVm::new(host.clone())),
                host,
                n_contexts: Cell::new(0),
                roots: RefCell::default(),
            });
            slot.replace(Some(vm.clone()));
            vm
        });
        let json = self.0.filters.borrow()[filter].clone();
        let json = json.expect("only filters that are configured are started");
        vm.n_contexts.set(vm.n_contexts.get() + 1);
        let root = RootId(vm.n_contexts.get());
        vm.host.add_root(root);
        vm.roots.borrow_mut().push((filter, root));
        let accepted = self.enter(thread, |vm| vm.configure(root, json.as_bytes()));
        assert_eq!(
            accepted,
            Some(true),
            "every VM accepts a valid configuration"
        );
    }

    /// Deletes every root context except for the newest of each filter.
    pub fn drop_old_roots(&self) {
        let filters = self.0.filters.borrow();
        for thread in &self.0.threads {
            let Some(vm) = thread.vm.borrow().clone() else {
                continue;
            };
            let all = vm.roots.borrow().clone();
            let newest = |filter| all.iter().rfind(|(known, _)| *known == filter).copied();
            for entry @ (filter, root) in &all {
                let stays = filters[*filter].is_some() && newest(*filter) == Some(*entry);
                if !stays {
                    vm.host.drop_root(*root);
                    vm.roots.borrow_mut().retain(|known| known != entry);
                }
            }
        }
    }

    /// Removes a filter; the VMs stay if there is another one.
    pub fn remove_filter(&self, filter: Filter) {
        self.0.filters.borrow_mut()[filter] = None;
        self.drop_old_roots();
    }

    /// A thread pauses: it runs no ticks and gets no responses.
    pub fn pause(&self, thread: usize) {
        self.0.threads[thread].paused.set(true);
    }

    pub fn resume(&self, thread: usize) {
        self.0.threads[thread].paused.set(false);
    }

    /// The VM of a thread traps.
    pub fn kill(&self, thread: usize) {
        if let Some(vm) = self.0.threads[thread].vm.take() {
            vm.host.drop_vm();
        }
    }

    pub fn is_alive(&self, thread: usize) -> bool {
        self.0.threads[thread].vm.borrow().is_some()
    }

    /// The VM of a thread.
    pub fn vm(&self, thread: usize) -> VmId {
        self.living(thread).expect("the VM lives").host.vm()
    }

    /// The thread on which a VM runs; `None` if the VM is dead.
    pub fn thread_of(&self, vm: VmId) -> Option<usize> {
        self.threads().find(|thread| {
            self.living(*thread)
                .is_some_and(|known| known.host.vm() == vm)
        })
    }

    fn living(&self, thread: usize) -> Option<Rc<ThreadVm>> {
        self.0.threads[thread].vm.borrow().clone()
    }

    /// Interrupts the VM of `thread` right before the first hostcall for which `at` is true.
    pub fn interrupt(
        &self,
        thread: usize,
        at: impl FnMut(Hostcall<'_>) -> bool + 'static,
        interrupt: Interrupt,
    ) {
        self.world().interrupt(self.vm(thread), at, interrupt);
    }

    /// The tick period of the newest root context of the first filter; `None`: it does not tick.
    pub fn tick_period(&self, thread: usize) -> Option<Duration> {
        let vm = self.living(thread)?;
        let root = self.newest_root(&vm, 0)?;
        vm.host.tick_period(root)
    }

    fn newest_root(&self, vm: &ThreadVm, filter: Filter) -> Option<RootId> {
        let roots = vm.roots.borrow();
        let newest = roots.iter().rfind(|(known, _)| *known == filter);
        newest.map(|(_, root)| *root)
    }

    /// Calls into the VM of a thread; `None` if it traps or is dead. A panic of the filter fails the test.
    pub fn enter<T>(&self, thread: usize, act: impl FnOnce(&mut TargetVm) -> T) -> Option<T> {
        let vm = self.living(thread)?;
        let entered = catch_unwind(AssertUnwindSafe(|| act(&mut vm.vm.borrow_mut())));
        match entered {
            Ok(value) => Some(value),
            Err(cause) if cause.is::<VmDied>() => {
                self.kill(thread);
                None
            }
            Err(cause) => resume_unwind(cause),
        }
    }

    /// Ticks the newest root context of the first filter now, due or not.
    pub fn tick(&self, thread: usize) {
        let vm = self.living(thread).expect("the VM lives");
        let root = self.newest_root(&vm, 0).expect("it has a root context");
        self.tick_root(thread, root);
    }

    fn tick_root(&self, thread: usize, root: RootId) {
        let Some(vm) = self.living(thread) else {
            return;
        };
        vm.host.enter_root(root);
        self.enter(thread, |vm| vm.tick(root));
        vm.host.rearm(root);
    }

    /// Delivers the response to a call in flight, now. Has no effect if the call was cancelled.
    pub fn respond(&self, call: u64, response: Response) {
        let Some(pending) = self.world().take_pending(call) else {
            return;
        };
        self.deliver(pending.call, response);
    }

    fn deliver(&self, call: SentCall, response: Response) {
        let Some(thread) = self.thread_of(call.vm) else {
            return;
        };
        let Some(vm) = self.living(thread) else {
            return;
        };
        let size = response.body.len();
        vm.host.begin_response(call.root, response);
        self.enter(thread, |vm| {
            vm.on_call_response(call.root, call.token, size)
        });
        vm.host.end_response();
    }

    /// Lets time pass; ticks and responses come when they are due.
    pub fn advance(&self, time: Duration) {
        let end = self.world().now() + time;
        while self.step(end) {}
        let now = self.world().now();
        self.world().pass(end.saturating_sub(now));
    }

    /// Lets time pass until `done`; fails after `limit`.
    pub fn advance_until(&self, what: &str, limit: Duration, done: impl Fn(&Process) -> bool) {
        let end = self.world().now() + limit;
        while !done(self) {
            let logs = || self.world().logs();
            assert!(
                self.step(end),
                "{what}: not within {limit:?}; log: {:#?}",
                logs()
            );
        }
    }

    /// Runs the next event that is due by `end`; `false` if there is none.
    pub fn step(&self, end: Duration) -> bool {
        let Some((due, event)) = self.next_event().filter(|(due, _)| *due <= end) else {
            return false;
        };
        let now = self.world().now();
        self.world().pass(due.saturating_sub(now));
        match event {
            Event::Tick(thread, root) => self.tick_root(thread, root),
            Event::Response(id) => {
                let pending = self.world().take_pending(id).expect("it is in flight");
                let (_, response) = pending.due.expect("it is due");
                self.deliver(pending.call, response);
            }
        }
        true
    }

    fn next_event(&self) -> Option<(Duration, Event)> {
        let runs = |thread: usize| !self.0.threads[thread].paused.get();
        let ticks = self
            .threads()
            .filter(|thread| runs(*thread))
            .filter_map(|thread| {
                let (due, root) = self.living(thread)?.host.next_tick()?;
                Some((due, Event::Tick(thread, root)))
            });
        let responses = self.world().due_responses().into_iter();
        let responses = responses.filter_map(|(call, vm, due)| {
            let thread = self.thread_of(vm)?;
            runs(thread).then_some((due, Event::Response(call)))
        });
        ticks.chain(responses).min_by_key(|(due, _)| *due)
    }

    /// A worker judges a request for the first filter. A VM that trapped is created again, as with FAIL_RELOAD.
    pub fn request(&self, worker: usize, request: &Request) -> Outcome {
        self.request_to(worker, 0, request)
    }

    pub fn request_to(&self, worker: usize, filter: Filter, request: &Request) -> Outcome {
        assert_ne!(worker, MAIN, "the main thread serves no request");
        if !self.is_alive(worker) {
            let n_filters = self.0.filters.borrow().len();
            for filter in 0..n_filters {
                if self.0.filters.borrow()[filter].is_some() {
                    self.start_filter(worker, filter);
                }
            }
        }
        let vm = self.living(worker).expect("it was just made");
        let root = self
            .newest_root(&vm, filter)
            .expect("the filter is configured");
        vm.host.begin_request(root, request.clone());
        // A stream's number comes from the same counter as a root context's.
        vm.n_contexts.set(vm.n_contexts.get() + 1);
        let stream = StreamId(vm.n_contexts.get());
        let stopped = self.enter(worker, |vm| vm.request(root, stream));
        self.enter(worker, |vm| vm.stream_ended(stream));
        let (denied, filter_state) = vm.host.end_request();
        assert_eq!(
            stopped == Some(true),
            denied.is_some(),
            "a request stops with a reply"
        );
        Outcome {
            denied,
            filter_state,
        }
    }

    /// Whether a worker denies a request to the first filter.
    pub fn denies(&self, worker: usize, request: &Request) -> bool {
        self.request(worker, request).denied.is_some()
    }
}

impl Drop for Inner {
    /// In every test no secret leaves the filter, and none is in the debug form of a VM.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for thread in &self.threads {
            if let Some(vm) = thread.vm.take() {
                let shown = vm.vm.borrow().debug_form();
                self.world.inspect("a VM's debug form", shown.as_bytes());
            }
        }
        let leaks = self.world.leaks();
        assert!(leaks.is_empty(), "secrets got out: {leaks:#?}");
    }
}
