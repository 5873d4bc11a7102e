//! Where the threads that serve requests leave records for the main thread, which sends them. Bounded; makes no call.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::traffic::record::{PendingRecord, Record};
use crate::traffic::settings::Destination;

/// The records for one destination: of streams that have not ended, and those that wait for the main thread.
#[derive(Debug)]
pub struct Inbox {
    destination: Destination,
    records: Mutex<Vec<Record>>,
    /// The memory of both, in bytes.
    memory: AtomicUsize,
}

/// The request's part of a record until its stream ends. Its memory is released with it.
#[derive(Debug)]
pub struct OpenRecord {
    inbox: Arc<Inbox>,
    record: Option<PendingRecord>,
    memory: usize,
}

impl Inbox {
    /// An empty one.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            records: Mutex::default(),
            memory: AtomicUsize::new(0),
        }
    }

    /// Where the records go.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Keeps a record until its stream ends; `None` if all records together would take more than `limit` bytes.
    pub fn open(self: &Arc<Self>, record: PendingRecord, limit: u64) -> Option<OpenRecord> {
        let memory = record.memory();
        let total = self
            .memory
            .fetch_add(memory, Relaxed)
            .saturating_add(memory);
        let open = OpenRecord {
            inbox: self.clone(),
            record: Some(record),
            memory,
        };
        u64::try_from(total)
            .is_ok_and(|total| total <= limit)
            .then_some(open)
    }

    fn add(&self, record: Record) {
        self.memory.fetch_add(record.memory(), Relaxed);
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record);
    }

    /// Takes all records that wait.
    pub fn take(&self) -> Vec<Record> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = core::mem::take(&mut *records);
        drop(records);
        for record in &taken {
            self.memory.fetch_sub(record.memory(), Relaxed);
        }
        taken
    }
}

impl OpenRecord {
    /// Leaves the record, which `complete` completes, for the main thread.
    pub fn complete(mut self, complete: impl FnOnce(PendingRecord) -> Record) {
        if let Some(record) = self.record.take() {
            self.inbox.add(complete(record));
        }
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        self.inbox.memory.fetch_sub(self.memory, Relaxed);
    }
}
