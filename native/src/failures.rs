//! What follows from panics in requests: after three of a configuration on one worker within a minute, that configuration
//! judges no request any more, until Envoy gets a new one.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::time::Duration;

use portcullis::config::NativeFailure;
use portcullis::host::RootId;

/// The number of panics after which requests are not judged.
const MOST_PANICS: usize = 3;
/// The time in which they count.
const WINDOW: Duration = Duration::from_secs(60);

/// Whether requests pass that are not judged any more: `native_failure` of the bootstrap extension.
static PASSES: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The recent panics on this worker: of which configuration, and when.
    static RECENT: RefCell<Vec<(RootId, Duration)>> = const { RefCell::new(Vec::new()) };
}

/// Sets what happens to requests that are not judged any more.
pub fn set_policy(policy: NativeFailure) {
    PASSES.store(policy == NativeFailure::Allow, Relaxed);
}

/// What happens to requests that are not judged any more.
pub fn policy() -> NativeFailure {
    match PASSES.load(Relaxed) {
        true => NativeFailure::Allow,
        false => NativeFailure::Deny,
    }
}

/// Whether a configuration judges no request any more.
#[derive(Debug, Default)]
pub struct Failures(AtomicBool);

impl Failures {
    /// Whether it judges no request any more.
    pub fn has_failed(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// A request of the configuration `id` ended in a panic at `now`, on this worker.
    pub fn add(&self, id: RootId, now: Duration) {
        let n = RECENT.with_borrow_mut(|recent| {
            recent.retain(|(_, at)| now.saturating_sub(*at) < WINDOW);
            recent.push((id, now));
            recent.iter().filter(|(known, _)| *known == id).count()
        });
        if n >= MOST_PANICS && !self.0.swap(true, Relaxed) {
            let consequence = match policy() {
                NativeFailure::Deny => "every request gets a 503 (native_failure: deny)",
                NativeFailure::Allow => "every request passes unjudged (native_failure: allow)",
            };
            log::error!(
                "{MOST_PANICS} requests on one worker ended in a panic within {} s: from now on {consequence}, until Envoy \
                 gets another configuration of this filter; report the panics above, and use portcullis.wasm meanwhile",
                WINDOW.as_secs()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_panics_of_a_configuration_within_a_minute_are_a_failure() {
        let at = Duration::from_secs;
        let failures = Failures::default();
        failures.add(RootId(1), at(0));
        failures.add(RootId(1), at(30));
        failures.add(RootId(2), at(31));
        failures.add(RootId(1), at(61));
        assert!(
            !failures.has_failed(),
            "two within a minute, and one of another"
        );
        failures.add(RootId(1), at(62));
        assert!(failures.has_failed());
    }
}
