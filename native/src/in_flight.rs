//! The calls of a configuration that are in flight, and their end when a worker destroys the configuration.
//!
//! Envoy destroys a configuration on the thread of its last stream, and resets its calls there. But calls are the main
//! thread's, so that crashes Envoy. Therefore the worker first has the main thread reset them, in a hook of another
//! configuration, and waits for it. What a call is for is not known here.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::abi::ConfigPointer;

/// How long a worker waits for the main thread at most, which waits for its workers when Envoy ends.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How often the worker looks at the clock.
const POLL: Duration = Duration::from_millis(50);

/// How far the end of a configuration's calls is.
#[derive(Default)]
enum End {
    #[default]
    No,
    /// A worker waits for the main thread.
    Asked(ConfigPointer),
    /// The main thread resets the calls.
    Begun,
    Done,
}

#[derive(Default)]
struct State {
    calls: BTreeSet<u64>,
    /// The hooks of the configuration that run on the main thread.
    n_hooks: u32,
    end: End,
}

/// The calls of one configuration.
#[derive(Default)]
pub struct InFlight {
    state: Mutex<State>,
    changed: Condvar,
}

/// The configurations whose calls are to be reset.
static ENDING: Mutex<Vec<Arc<InFlight>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lives as long as a hook of the configuration runs on the main thread.
pub struct Hook(Arc<InFlight>);

impl Drop for Hook {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.n_hooks = state.n_hooks.saturating_sub(1);
        drop(state);
        self.0.changed.notify_all();
    }
}

impl InFlight {
    /// A hook of the configuration begins on the main thread.
    pub fn hook(self: &Arc<Self>) -> Hook {
        let mut state = lock(&self.state);
        state.n_hooks = state.n_hooks.saturating_add(1);
        drop(state);
        Hook(self.clone())
    }

    /// A call has begun.
    pub fn begun(&self, call: u64) {
        lock(&self.state).calls.insert(call);
    }

    /// A call has ended.
    pub fn ended(&self, call: u64) {
        lock(&self.state).calls.remove(&call);
    }

    /// A worker destroys the configuration: returns when it has no call, and no hook of it runs. `wake` has the main thread
    /// run [`reset_ending`]. If there is no other configuration for that, the calls end by themselves.
    pub fn end(self: &Arc<Self>, config: ConfigPointer, wake: impl FnOnce()) {
        let mut state = lock(&self.state);
        if state.calls.is_empty() && state.n_hooks == 0 {
            return;
        }
        state.end = End::Asked(config);
        drop(state);
        lock(&ENDING).push(self.clone());
        wake();
        let until = Instant::now().checked_add(LONGEST_WAIT);
        let mut state = lock(&self.state);
        loop {
            let is_late = until.is_none_or(|until| Instant::now() >= until);
            let may_end = match state.end {
                End::Asked(_) => state.calls.is_empty() || is_late,
                End::Begun => false,
                End::No | End::Done => true,
            };
            if may_end && state.n_hooks == 0 {
                // From here on, the main thread does not use the pointer.
                state.end = End::Done;
                return;
            }
            let waited = self.changed.wait_timeout(state, POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Resets the calls of the configurations that workers destroy. On the main thread.
pub fn reset_ending() {
    let ending = core::mem::take(&mut *lock(&ENDING));
    for in_flight in ending {
        let mut state = lock(&in_flight.state);
        let End::Asked(config) = core::mem::replace(&mut state.end, End::Begun) else {
            state.end = End::Done;
            continue;
        };
        let calls = core::mem::take(&mut state.calls);
        // Each reset runs a hook of the configuration.
        drop(state);
        for call in calls {
            config.reset_http_stream(call);
        }
        lock(&in_flight.state).end = End::Done;
        in_flight.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::abi::fake::{self, FakeConfig};

    #[test]
    #[allow(unsafe_code, reason = "a pointer that lives")]
    fn without_another_configuration_a_worker_waits_until_the_calls_have_ended() {
        fake::load();
        let envoy = Box::<FakeConfig>::default();
        let handle = unsafe { crate::abi::ConfigHandle::new(envoy.pointer()) };
        let pointer = handle.unwrap().pointer();
        let in_flight = Arc::<InFlight>::default();
        in_flight.begun(1);
        let (sender, has_ended) = mpsc::channel();
        let ending = in_flight.clone();
        let worker = std::thread::spawn(move || {
            ending.end(pointer, || ());
            sender.send(lock(&ending.state).calls.is_empty()).unwrap();
        });
        if let Ok(is_empty) = has_ended.recv_timeout(Duration::from_millis(100)) {
            // Only if another test's main thread has reset it.
            assert!(is_empty, "the worker did not wait");
        } else {
            let hook = in_flight.hook();
            in_flight.ended(1);
            drop(hook);
            assert!(has_ended.recv().unwrap());
        }
        worker.join().unwrap();
    }
}
