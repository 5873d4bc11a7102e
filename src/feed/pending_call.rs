//! A call in flight to any server. Makes no call.

use core::time::Duration;

use crate::host::{CallToken, RootId};

/// The wait for a response beyond the call's timeout. The host always delivers one, except if the calling root context was
/// deleted.
const RESPONSE_GRACE: Duration = Duration::from_secs(2);

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingCall {
    token: CallToken,
    root: RootId,
    deadline: Duration,
}

impl PendingCall {
    /// A call that the root context `root` made at `now`, on the monotonic clock.
    pub fn new(token: CallToken, root: RootId, now: Duration, timeout: Duration) -> Self {
        Self {
            token,
            root,
            deadline: now.saturating_add(timeout).saturating_add(RESPONSE_GRACE),
        }
    }

    /// The root context that made the call and receives the response.
    pub fn root(&self) -> RootId {
        self.root
    }

    /// Whether a response with this token is the response to this call.
    pub fn matches(&self, token: CallToken) -> bool {
        self.token == token
    }

    /// Marks the call as overdue: there will be no response.
    pub fn abandon(&mut self) {
        self.deadline = Duration::ZERO;
    }

    /// Whether the response is overdue.
    pub fn is_overdue(&self, now: Duration) -> bool {
        now > self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_call_is_overdue_after_its_timeout_or_when_it_is_abandoned() {
        let second = Duration::from_secs(1);
        let mut call = PendingCall::new(CallToken(7), RootId(1), 10 * second, 30 * second);
        assert!(call.matches(CallToken(7)) && !call.matches(CallToken(8)));
        assert!(!call.is_overdue(40 * second));
        assert!(call.is_overdue(43 * second));
        call.abandon();
        assert!(call.is_overdue(11 * second));
    }
}
