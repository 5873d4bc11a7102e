//! What other threads, and calls to files, leave for the main thread: it runs a hook of the configuration for it.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis::process::Fetched;

use crate::abi::Scheduler;
use crate::in_flight::InFlight;

/// Why the hook `config_scheduled` runs.
pub const TICK: u64 = 0;
/// A list was read.
pub const FETCHED: u64 = 1;
/// A call to a file was made.
pub const FILE_CALL: u64 = 2;

/// A worker destroys another configuration, whose calls the main thread resets.
pub const RESET: u64 = 3;

/// The first number of calls to files. Envoy counts its calls from 1, and a configuration makes few.
const FIRST_FILE_CALL: u32 = 1 << 31;

/// A call to a file.
pub struct FileCall {
    /// Its number.
    pub id: u64,
    /// The cluster name that stands for the file.
    pub cluster: String,
    /// The value of `if-none-match`.
    pub known: Vec<u8>,
}

/// The inbox of one configuration. It may outlive the configuration.
pub struct Inbox {
    /// `None` once the configuration is destroyed.
    scheduler: Mutex<Option<Scheduler>>,
    /// What became of lists, by the number of their call; `None` after a panic.
    fetched: Mutex<Vec<(u64, Option<Fetched>)>>,
    file_calls: Mutex<Vec<FileCall>>,
    n_file_calls: AtomicU32,
    /// Its calls to servers.
    pub in_flight: Arc<InFlight>,
}

/// The inboxes of all configurations.
static OPEN: Mutex<Vec<Arc<Inbox>>> = Mutex::new(Vec::new());

impl Inbox {
    /// An empty one. `scheduler`: `None` for a process that only validates its configuration.
    pub fn new(scheduler: Option<Scheduler>) -> Self {
        Self {
            scheduler: Mutex::new(scheduler),
            fetched: Mutex::default(),
            file_calls: Mutex::default(),
            n_file_calls: AtomicU32::new(0),
            in_flight: Arc::default(),
        }
    }

    /// The configuration exists: others can have the main thread run its hook.
    pub fn open(self: &Arc<Self>) {
        lock(&OPEN).push(self.clone());
    }

    /// Has a hook of each other configuration run for this reason.
    pub fn notify_others(&self, event: u64) {
        let mut others = lock(&OPEN).clone();
        others.retain(|other| !core::ptr::eq(&**other, self));
        for other in &others {
            other.notify(event);
        }
    }

    /// Has the hook run for this reason.
    pub fn notify(&self, event: u64) {
        if let Some(scheduler) = &*lock(&self.scheduler) {
            scheduler.commit(event);
        }
    }

    /// A list was read, or reading it ended in a panic.
    pub fn add_fetched(&self, call: u64, fetched: Option<Fetched>) {
        lock(&self.fetched).push((call, fetched));
        self.notify(FETCHED);
    }

    /// The lists that were read.
    pub fn take_fetched(&self) -> Vec<(u64, Option<Fetched>)> {
        core::mem::take(&mut *lock(&self.fetched))
    }

    /// A call to the file of this cluster; returns its number.
    pub fn add_file_call(&self, cluster: &str, known: &[u8]) -> u64 {
        let n = self.n_file_calls.fetch_add(1, Relaxed) % FIRST_FILE_CALL;
        let id = u64::from(FIRST_FILE_CALL | n);
        lock(&self.file_calls).push(FileCall {
            id,
            cluster: cluster.to_owned(),
            known: known.to_vec(),
        });
        self.notify(FILE_CALL);
        id
    }

    /// The calls to files.
    pub fn take_file_calls(&self) -> Vec<FileCall> {
        core::mem::take(&mut *lock(&self.file_calls))
    }

    /// The configuration is destroyed: from here on, no thread reaches Envoy for it.
    pub fn close(&self) {
        lock(&OPEN).retain(|open| !core::ptr::eq(&**open, self));
        drop(lock(&self.scheduler).take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
