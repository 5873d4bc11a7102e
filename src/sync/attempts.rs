//! The attempts to fetch a list: when the next one is due. Knows no clock and makes no call.

use core::hash::Hasher;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use crate::feed::backoff::{FIRST_WAIT, backoff, honoured};

/// The state of the last attempt. Times are of the monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// When the last attempt began, or ended if it failed: the pause counts from the end of a slow failure.
    pub last: Option<Duration>,
    /// Whether that attempt is still running.
    pub is_open: bool,
    /// The number of failed attempts in a row.
    pub failures: u32,
    /// No attempt before this time (the server's Retry-After).
    pub not_before: Duration,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a list, or with the confirmation of the active one.
    Success,
    /// With an error.
    Failure {
        /// The server's Retry-After.
        retry_after: Option<Duration>,
    },
}

impl Attempts {
    /// An attempt begins at `now`.
    pub fn begun(&self, now: Duration) -> Self {
        Self {
            last: Some(now),
            is_open: true,
            failures: self.failures,
            not_before: Duration::ZERO,
        }
    }

    /// The attempt ended at `now`.
    pub fn ended(&self, now: Duration, outcome: Outcome) -> Self {
        let (last, failures, not_before) = match outcome {
            Outcome::Success => (self.last, 0, Duration::ZERO),
            Outcome::Failure { retry_after } => (
                Some(now),
                self.failures.saturating_add(1),
                retry_after.map_or(Duration::ZERO, |wait| now.saturating_add(honoured(wait))),
            ),
        };
        Self {
            last,
            is_open: false,
            failures,
            not_before,
        }
    }

    /// When the next attempt is due. `seed`: a random number, for the jitter.
    pub fn due(&self, interval: Duration, seed: u64) -> Duration {
        let Some(last) = self.last else {
            return Duration::ZERO;
        };
        let wait = if self.is_open {
            // Interrupted by a new configuration or by the end of its VM.
            FIRST_WAIT
        } else if self.failures > 0 {
            backoff(self.failures, interval)
        } else {
            interval
        };
        let jittered = wait.saturating_add(jitter(wait, last, seed));
        last.saturating_add(jittered).max(self.not_before)
    }
}

/// Jitter of up to a tenth of `wait`, constant between two attempts: proxies that start together do not fetch together
/// forever.
fn jitter(wait: Duration, last: Duration, seed: u64) -> Duration {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(seed);
    hasher.write_u64(u64::try_from(last.as_millis()).unwrap_or(u64::MAX));
    let share = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
    wait.checked_div(10_000)
        .unwrap_or_default()
        .saturating_mul(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_interrupted_attempt_is_repeated_after_a_second() {
        let at = Duration::from_secs;
        let interrupted = Attempts::default().begun(at(100));
        let due = interrupted.due(at(600), 7);
        assert!(due >= at(101) && due < at(102), "{due:?}");
    }
}
