//! A circuit breaker: opens while a feed's list denies more than `guard.max_denied_percent` of the last minute's requests.
//! While it is open, such denials are only counted.
//!
//! Ticks advance its time, so that counting a request needs no clock.

use core::cell::Cell;
use core::time::Duration;

const SLOT: Duration = Duration::from_secs(10);
const N_SLOTS: usize = 6;

/// With fewer requests in a minute the breaker stays closed.
const LEAST_REQUESTS: u64 = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    requests: u64,
    denied: u64,
}

/// Counts of the last minute, in slots of ten seconds.
#[derive(Clone, Debug, Default)]
pub struct DenyBreaker {
    slots: [Slot; N_SLOTS],
    current: Cell<Slot>,
    slot_began: Duration,
    open: bool,
}

impl DenyBreaker {
    /// Counts a request; `denied`: a feed's list denies it, or would.
    pub fn count(&self, denied: bool) {
        let Slot {
            requests,
            denied: n_denied,
        } = self.current.get();
        self.current.set(Slot {
            requests: requests.saturating_add(1),
            denied: n_denied.saturating_add(u64::from(denied)),
        });
    }

    /// Whether denials are only counted.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Advances time; `true` if the breaker opened or closed.
    pub fn tick(&mut self, now: Duration, max_percent: f64) -> bool {
        if now.saturating_sub(self.slot_began) >= SLOT {
            self.slots.rotate_right(1);
            if let Some(newest) = self.slots.first_mut() {
                *newest = self.current.take();
            }
            self.slot_began = now;
        }
        let Slot {
            mut requests,
            mut denied,
        } = self.current.get();
        for slot in &self.slots {
            requests = requests.saturating_add(slot.requests);
            denied = denied.saturating_add(slot.denied);
        }
        let exceeded =
            requests >= LEAST_REQUESTS && denied as f64 * 100.0 > requests as f64 * max_percent;
        core::mem::replace(&mut self.open, exceeded) != exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn count(breaker: &mut DenyBreaker, passed: u32, denied: u32) {
        (0..passed).for_each(|_| breaker.count(false));
        (0..denied).for_each(|_| breaker.count(true));
    }

    #[test]
    fn it_closes_within_a_minute_after_the_share_has_fallen() {
        let mut breaker = DenyBreaker::default();
        let at = Duration::from_secs;
        count(&mut breaker, 60, 50);
        breaker.tick(at(1), 40.0);
        assert!(breaker.is_open());
        breaker.tick(at(2), 40.0);
        assert!(breaker.is_open());
        for second in (10..=50).step_by(10) {
            count(&mut breaker, 10, 1);
            breaker.tick(at(second), 40.0);
        }
        count(&mut breaker, 100, 0);
        breaker.tick(at(60), 40.0);
        let mut second = 60;
        while breaker.is_open() && second < 200 {
            second += 10;
            count(&mut breaker, 100, 0);
            breaker.tick(at(second), 40.0);
        }
        assert!(second <= 80, "{second}");
    }

    #[test]
    fn it_opens_above_its_bound_and_not_for_few_requests() {
        let mut breaker = DenyBreaker::default();
        count(&mut breaker, 0, 99);
        breaker.tick(Duration::from_secs(1), 1.0);
        assert!(!breaker.is_open());
        let mut breaker = DenyBreaker::default();
        count(&mut breaker, 60, 40);
        breaker.tick(Duration::from_secs(1), 40.0);
        assert!(!breaker.is_open());
        breaker.count(true);
        breaker.tick(Duration::from_secs(1), 40.0);
        assert!(breaker.is_open());
    }
}
