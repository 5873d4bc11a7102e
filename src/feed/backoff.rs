//! The wait between failed attempts, for every server that is called.
//!
//! Pure. The callers count failures and remember the time of the last one.

use core::time::Duration;

/// The wait after the first failure; each further one doubles it.
pub const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest Retry-After that is honoured.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait after `failures` failed attempts in a row, at most `longest`.
pub fn backoff(failures: u32, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1);
    FIRST_WAIT
        .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
        .min(longest)
}

/// The part of a server's Retry-After that is honoured.
pub fn honoured(retry_after: Duration) -> Duration {
    retry_after.min(LONGEST_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn waits_double_up_to_the_longest() {
        let longest = Duration::from_secs(20);
        let waits: Vec<_> = (1..8).map(|n| backoff(n, longest).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 20, 20]);
        assert_eq!(backoff(u32::MAX, longest), longest);
    }

    #[test]
    fn retry_after_is_honoured_for_an_hour() {
        assert_eq!(honoured(Duration::from_secs(100)).as_secs(), 100);
        assert_eq!(honoured(Duration::MAX).as_secs(), 3_600);
    }
}
