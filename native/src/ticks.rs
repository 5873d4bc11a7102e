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

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// Adds a configuration that ticks often; returns the number of its ticks.
    fn ticking(root: RootId, begins: bool) -> Arc<AtomicUsize> {
        let ticks = Arc::<AtomicUsize>::default();
        let counted = ticks.clone();
        let due = Arc::new(move || {
            counted.fetch_add(1, SeqCst);
            if begins {
                begun(root);
            }
        });
        add(root, due).unwrap();
        set_period(root, Duration::from_millis(1));
        ticks
    }

    fn await_ticks(ticks: &AtomicUsize, n: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while ticks.load(SeqCst) < n {
            assert!(Instant::now() < until, "no tick");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_tick_that_the_main_thread_has_not_run_is_not_due_again() {
        let (slow, clock) = (RootId(1_000_001), RootId(1_000_002));
        let slow_ticks = ticking(slow, false);
        let clock_ticks = ticking(clock, true);
        await_ticks(&slow_ticks, 1);
        await_ticks(&clock_ticks, 20);
        assert_eq!(slow_ticks.load(SeqCst), 1);
        begun(slow);
        await_ticks(&slow_ticks, 2);
        remove(slow);
        remove(clock);
    }

    #[test]
    fn a_period_of_zero_and_a_removal_end_the_ticks() {
        let (stopped, removed, clock) = (RootId(1_000_003), RootId(1_000_004), RootId(1_000_005));
        let ticks = [ticking(stopped, true), ticking(removed, true)];
        for ticks in &ticks {
            await_ticks(ticks, 2);
        }
        set_period(stopped, Duration::ZERO);
        remove(removed);
        // A tick that was due already may still be under way.
        let clock_ticks = ticking(clock, true);
        await_ticks(&clock_ticks, 2);
        let before = ticks.each_ref().map(|ticks| ticks.load(SeqCst));
        await_ticks(&clock_ticks, 20);
        assert_eq!(ticks.each_ref().map(|ticks| ticks.load(SeqCst)), before);
        set_period(stopped, Duration::from_millis(1));
        await_ticks(&ticks[0], before[0] + 1);
        remove(stopped);
        remove(clock);
    }
}
