//! The share of requests over the last minute that ABS's list denies, for `guard.max_denied_percent`.
//!
//! Pure: ticks move its time, so that counting a request needs no clock.

use core::time::Duration;

const SLOT: Duration = Duration::from_secs(10);
const N_SLOTS: usize = 6;

/// With fewer requests in a minute a share says nothing.
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
    current: Slot,
    slot_began: Duration,
    exceeded: bool,
}

impl DenyBreaker {
    /// Counts a request; `denied`: ABS's list denies it, or would.
    pub fn count(&mut self, denied: bool) {
        self.current.requests = self.current.requests.saturating_add(1);
        self.current.denied = self.current.denied.saturating_add(u64::from(denied));
    }

    /// Whether the share is over its bound, so that ABS's list is only counted and not enforced.
    pub fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    /// Moves time on; `true` where [`DenyBreaker::is_exceeded`] changed.
    pub fn tick(&mut self, now: Duration, max_percent: f64) -> bool {
        if now.saturating_sub(self.slot_began) >= SLOT {
            self.slots.rotate_right(1);
            if let Some(newest) = self.slots.first_mut() {
                *newest = core::mem::take(&mut self.current);
            }
            self.slot_began = now;
        }
        let (mut requests, mut denied) = (self.current.requests, self.current.denied);
        for slot in &self.slots {
            requests = requests.saturating_add(slot.requests);
            denied = denied.saturating_add(slot.denied);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "percentages of counts need no exactness"
        )]
        let exceeded =
            requests >= LEAST_REQUESTS && denied as f64 * 100.0 > requests as f64 * max_percent;
        core::mem::replace(&mut self.exceeded, exceeded) != exceeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn count(share: &mut DenyBreaker, passed: u32, denied: u32) {
        (0..passed).for_each(|_| share.count(false));
        (0..denied).for_each(|_| share.count(true));
    }

    #[test]
    fn it_goes_over_its_bound_and_comes_back_within_a_minute() {
        let mut share = DenyBreaker::default();
        let at = Duration::from_secs;
        count(&mut share, 60, 50);
        assert!(share.tick(at(1), 40.0));
        assert!(share.is_exceeded());
        assert!(!share.tick(at(2), 40.0));
        for second in (10..=50).step_by(10) {
            count(&mut share, 10, 1);
            share.tick(at(second), 40.0);
        }
        count(&mut share, 100, 0);
        share.tick(at(60), 40.0);
        let mut second = 60;
        while share.is_exceeded() && second < 200 {
            second += 10;
            count(&mut share, 100, 0);
            share.tick(at(second), 40.0);
        }
        assert!(second <= 80, "{second}");
    }

    #[test]
    fn few_requests_say_nothing_and_the_bound_itself_is_allowed() {
        let mut share = DenyBreaker::default();
        count(&mut share, 0, 99);
        assert!(!share.tick(Duration::from_secs(1), 1.0));
        let mut share = DenyBreaker::default();
        count(&mut share, 60, 40);
        assert!(!share.tick(Duration::from_secs(1), 40.0));
        share.count(true);
        assert!(share.tick(Duration::from_secs(1), 40.0));
    }
}
