//! A list that all threads share: one thread replaces it, every request reads it. Decides nothing.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::list::ExactList;

/// The active list of a feed. Reading it takes no lock.
#[derive(Debug, Default)]
pub struct SharedList {
    list: ArcSwapOption<ExactList>,
    is_stale: AtomicBool,
}

impl SharedList {
    /// The active list, for the length of a request.
    pub fn read(&self) -> Guard<Option<Arc<ExactList>>> {
        self.list.load()
    }

    /// The active list.
    pub fn list(&self) -> Option<Arc<ExactList>> {
        self.list.load_full()
    }

    /// Replaces the active list; returns the previous one, which requests may still read.
    pub fn replace(&self, list: Option<Arc<ExactList>>) -> Option<Arc<ExactList>> {
        self.list.swap(list)
    }

    /// Whether the list is older than its maximum age.
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Relaxed)
    }

    /// Sets whether the list is older than its maximum age; `true` if that changed.
    pub fn set_stale(&self, is_stale: bool) -> bool {
        self.is_stale.swap(is_stale, Relaxed) != is_stale
    }
}
