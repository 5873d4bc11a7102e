//! One relayed feed, as requests and its thread share it: the list that is served, and its status.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::entries::Entries;
use super::form::{Body, Form};
use super::status::FeedStatus;
use super::upstream::seconds;
use super::usage::Collected;
use crate::clients::feed::unix_now;

/// Durations in a body are at most this old.
const FRESH_SECONDS: u32 = 60;

/// One relayed feed.
#[derive(Debug)]
pub struct Relayed {
    /// The form of its list.
    pub form: Form,
    /// The usage metrics of nodes, if this feed reports them.
    pub usage: Option<Collected>,
    list: RwLock<Option<Arc<List>>>,
    status: Mutex<FeedStatus>,
}

/// A list that is served.
#[derive(Debug)]
pub struct List {
    /// The entity tag.
    pub etag: String,
    body: Mutex<Rendered>,
    /// For lists with durations, which are written again.
    entries: Option<Arc<Entries>>,
}

#[derive(Debug)]
struct Rendered {
    body: Body,
    /// In seconds since 1970.
    at: u32,
}

impl Relayed {
    /// A feed without a list.
    pub fn new(form: Form, status: FeedStatus, usage: Option<Collected>) -> Self {
        Self {
            form,
            usage,
            list: RwLock::default(),
            status: Mutex::new(status),
        }
    }

    /// The list; `None` if there never was one.
    pub fn list(&self) -> Option<Arc<List>> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.clone()
    }

    /// Replaces the list.
    pub fn publish(&self, list: List) {
        let mut served = self.list.write().unwrap_or_else(PoisonError::into_inner);
        *served = Some(Arc::new(list));
    }

    /// The status.
    pub fn status(&self) -> MutexGuard<'_, FeedStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago the upstream gave this list or confirmed it.
    pub fn age(&self) -> u64 {
        let last_success = self.status().last_success.unwrap_or(0);
        unix_now().as_secs().saturating_sub(last_success)
    }

    /// The time until the next fetch.
    pub fn next_fetch_in(&self) -> Duration {
        let next = self.status().next_fetch.unwrap_or(0);
        Duration::from_secs(next).saturating_sub(unix_now())
    }
}

impl List {
    /// A list that was rendered at `at`. `entries`: for lists with durations.
    pub fn new(etag: String, body: Body, at: u32, entries: Option<Arc<Entries>>) -> Self {
        Self {
            etag,
            body: Mutex::new(Rendered { body, at }),
            entries,
        }
    }

    /// The list, with durations that are at most a minute old. Blocks while they are written.
    pub fn fresh(&self, form: &Form) -> io::Result<Body> {
        let mut rendered = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let now = seconds(unix_now());
        if let Some(entries) = &self.entries
            && now.abs_diff(rendered.at) > FRESH_SECONDS
        {
            rendered.body = form.render(entries, now)?;
            rendered.at = now;
        }
        Ok(rendered.body.clone())
    }
}

/// Ends the threads of a relay.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits; true if the relay stops.
    pub fn wait(&self, timeout: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(stopped, timeout, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Stops the relay.
    pub fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}
