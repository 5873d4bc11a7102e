//! Ticks: one thread for the process, which sleeps until the tick of a configuration is due and then has Envoy's main
//! thread run it.

use core::time::Duration;
use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use portcullis::host::RootId;

/// What is called when a tick is due; on the thread of this file.
pub type Due = Arc<dyn Fn() + Send + Sync>;

struct Ticking {
    due: Due,
    /// Zero: no ticks.
    period: Duration,
    next: Instant,
    /// The main thread has not run the last tick yet.
    is_pending: bool,
}

#[derive(Default)]
struct State {
    roots: HashMap<RootId, Ticking>,
    has_thread: bool,
}

static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);
static CHANGED: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a configuration; it ticks once it has a period. Starts the thread if there is none.
///
/// # Errors
///
/// The system starts no thread.
pub fn add(root: RootId, due: Due) -> std::io::Result<()> {
    let mut state = state();
    if !state.has_thread {
        let thread = std::thread::Builder::new().name("portcullis-ticks".to_owned());
        thread.spawn(run)?;
        state.has_thread = true;
    }
    let ticking = Ticking {
        due,
        period: Duration::ZERO,
        next: Instant::now(),
        is_pending: false,
    };
    state.roots.insert(root, ticking);
    Ok(())
}

/// Removes a configuration.
pub fn remove(root: RootId) {
    state().roots.remove(&root);
    CHANGED.notify_one();
}

/// Sets the period of a configuration; the next tick is one period from now. Zero stops its ticks.
pub fn set_period(root: RootId, period: Duration) {
    if let Some(ticking) = state().roots.get_mut(&root) {
        ticking.period = period;
        ticking.next = later(Instant::now(), period);
    }
    CHANGED.notify_one();
}

/// The main thread runs a tick of this configuration.
pub fn begun(root: RootId) {
    if let Some(ticking) = state().roots.get_mut(&root) {
        ticking.is_pending = false;
    }
    CHANGED.notify_one();
}

fn later(now: Instant, period: Duration) -> Instant {
    // A period that the clock can't express never ends in practice.
    now.checked_add(period).unwrap_or(now)
}

/// The thread. It ends with the last configuration.
fn run() {
    let mut state = state();
    loop {
        let now = Instant::now();
        let mut due: Vec<Due> = Vec::new();
        let mut next: Option<Instant> = None;
        for ticking in state.roots.values_mut() {
            if ticking.period.is_zero() || ticking.is_pending {
                continue;
            }
            if ticking.next <= now {
                ticking.is_pending = true;
                ticking.next = later(now, ticking.period);
                due.push(ticking.due.clone());
            } else {
                next = Some(next.map_or(ticking.next, |next| next.min(ticking.next)));
            }
        }
        if !due.is_empty() {
            drop(state);
            for due in due {
                due();
            }
            state = self::state();
            continue;
        }
        if state.roots.is_empty() {
            state.has_thread = false;
            return;
        }
        state = match next {
            Some(next) => {
                let waited = CHANGED.wait_timeout(state, next.saturating_duration_since(now));
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}
