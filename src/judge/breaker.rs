//! A circuit breaker: opens while a feed's list denies more than `guard.max_denied_percent` of the last minute's requests.
//! While it is open, such denials are only counted.
//!
//! Ticks advance its time, so that counting a request needs no clock.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

const SLOT_SECONDS: u64 = 10;
const N_SLOTS: usize = 7;

/// With fewer requests in a minute the breaker stays closed.
const LEAST_REQUESTS: u64 = 100;

#[derive(Debug, Default)]
struct Slot {
    requests: AtomicU64,
    denied: AtomicU64,
}

/// Counts of the last minute, in slots of ten seconds. All threads that share it count; one advances its time.
#[derive(Debug, Default)]
pub struct DenyBreaker {
    slots: [Slot; N_SLOTS],
    current: AtomicUsize,
    /// When the current slot began, in seconds.
    slot_began: AtomicU64,
    is_open: AtomicBool,
}

impl DenyBreaker {
    /// Counts a request; `denied`: a feed's list denies it, or would.
    pub fn count(&self, denied: bool) {
        if let Some(slot) = self.slots.get(self.current.load(Relaxed)) {
            slot.requests.fetch_add(1, Relaxed);
            slot.denied.fetch_add(u64::from(denied), Relaxed);
        }
    }

    /// Whether denials are only counted.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Relaxed)
    }

    /// Advances time; `true` if the breaker opened or closed.
    pub fn tick(&self, now: Duration, max_percent: f64) -> bool {
        let (mut requests, mut denied): (u64, u64) = (0, 0);
        for slot in &self.slots {
            requests = requests.saturating_add(slot.requests.load(Relaxed));
            denied = denied.saturating_add(slot.denied.load(Relaxed));
        }
        let now = now.as_secs();
        if now.saturating_sub(self.slot_began.load(Relaxed)) >= SLOT_SECONDS {
            let next = self.current.load(Relaxed).wrapping_add(1);
            let next = if next < N_SLOTS { next } else { 0 };
            if let Some(oldest) = self.slots.get(next) {
                oldest.requests.store(0, Relaxed);
                oldest.denied.store(0, Relaxed);
            }
            self.current.store(next, Relaxed);
            self.slot_began.store(now, Relaxed);
        }
        let exceeded =
            requests >= LEAST_REQUESTS && denied as f64 * 100.0 > requests as f64 * max_percent;
        self.is_open.swap(exceeded, Relaxed) != exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn count(breaker: &DenyBreaker, passed: u32, denied: u32) {
        (0..passed).for_each(|_| breaker.count(false));
        (0..denied).for_each(|_| breaker.count(true));
    }

    #[test]
    fn it_closes_within_a_minute_after_the_share_has_fallen() {
        let breaker = DenyBreaker::default();
        let at = Duration::from_secs;
        count(&breaker, 60, 50);
        breaker.tick(at(1), 40.0);
        assert!(breaker.is_open());
        breaker.tick(at(2), 40.0);
        assert!(breaker.is_open());
        for second in (10..=50).step_by(10) {
            count(&breaker, 10, 1);
            breaker.tick(at(second), 40.0);
        }
        count(&breaker, 100, 0);
        breaker.tick(at(60), 40.0);
        let mut second = 60;
        while breaker.is_open() && second < 200 {
            second += 10;
            count(&breaker, 100, 0);
            breaker.tick(at(second), 40.0);
        }
        assert!(second <= 80, "{second}");
    }

    #[test]
    fn it_opens_above_its_bound_and_not_for_few_requests() {
        let breaker = DenyBreaker::default();
        count(&breaker, 0, 99);
        breaker.tick(Duration::from_secs(1), 1.0);
        assert!(!breaker.is_open());
        let breaker = DenyBreaker::default();
        count(&breaker, 60, 40);
        breaker.tick(Duration::from_secs(1), 40.0);
        assert!(!breaker.is_open());
        breaker.count(true);
        breaker.tick(Duration::from_secs(1), 40.0);
        assert!(breaker.is_open());
    }
}
