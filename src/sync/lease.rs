//! The lease: which VM of the process may fetch a list until when, and when the next fetch is due.
//!
//! Pure: bytes and times in, bytes and times out. Who claims a lease is decided in `election`.

use core::hash::Hasher;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use crate::feed::backoff::{FIRST_WAIT, backoff};
use crate::host::WriteCondition;
use crate::list::frame::{FrameHeader, Reader, Record, frame, unframe};

/// How long a lease lasts unless renewed. Parsing a million entries blocks the owner for less time than this.
pub const LEASE: Duration = Duration::from_secs(5);

/// A random number that identifies a VM of the process. It survives changes of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmId(pub u64);

impl VmId {
    /// The owner of a released lease.
    pub const NONE: VmId = VmId(0);
}

/// Who may fetch until when, and the state of the last attempt. Times are of the monotonic clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its owner.
    pub owner: VmId,
    /// When it expires unless renewed.
    pub expires: Duration,
    /// When the last attempt began, or ended if it failed: the pause counts from the end of a slow failure.
    pub last_attempt: Option<Duration>,
    /// Whether that attempt is still running.
    pub attempt_open: bool,
    /// The number of failed attempts in a row.
    pub failures: u32,
    /// No attempt before this time (the server's Retry-After).
    pub not_before: Duration,
}

impl Lease {
    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let attempt = self.last_attempt.map_or(0, millis);
        for number in [
            self.owner.0,
            millis(self.expires),
            attempt,
            millis(self.not_before),
        ] {
            payload.extend_from_slice(&number.to_le_bytes());
        }
        payload.extend_from_slice(&self.failures.to_le_bytes());
        payload.push(u8::from(self.attempt_open));
        payload.push(u8::from(self.last_attempt.is_some()));
        frame(Record::Lease, FrameHeader::NO_LIST, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, payload) = unframe(Record::Lease, bytes)?;
        let mut reader = Reader(payload);
        let owner = VmId(reader.u64()?);
        let (expires, attempt, not_before) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let failures = reader.u32()?;
        let attempt_open = reader.u8()? == 1;
        let attempted = reader.u8()? == 1;
        Some(Self {
            owner,
            expires: Duration::from_millis(expires),
            last_attempt: attempted.then(|| Duration::from_millis(attempt)),
            attempt_open,
            failures,
            not_before: Duration::from_millis(not_before),
        })
    }

    /// The same lease, renewed at `now`.
    pub fn renewed(&self, now: Duration) -> Self {
        Self {
            expires: now.saturating_add(LEASE),
            ..self.clone()
        }
    }

    /// When the next attempt is due.
    pub fn due(&self, interval: Duration) -> Duration {
        let Some(last_attempt) = self.last_attempt else {
            return Duration::ZERO;
        };
        let wait = if self.attempt_open {
            // Interrupted by a new configuration or by the end of its VM.
            FIRST_WAIT
        } else if self.failures > 0 {
            backoff(self.failures, interval)
        } else {
            interval
        };
        let jittered = wait.saturating_add(self.jitter(wait));
        last_attempt.saturating_add(jittered).max(self.not_before)
    }

    /// Jitter of up to a tenth of `wait`, constant between two attempts: proxies that start together do
    /// not fetch together forever.
    fn jitter(&self, wait: Duration) -> Duration {
        let mut hasher = SipHasher13::new();
        hasher.write_u64(self.owner.0);
        hasher.write_u64(self.last_attempt.map_or(0, millis));
        let share = u32::try_from(hasher.finish() % 1_000).unwrap_or(0);
        wait.checked_div(10_000)
            .unwrap_or_default()
            .saturating_mul(share)
    }
}

/// The value of the lease's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The lease; `None` for bytes that are no lease.
    pub lease: Option<Lease>,
    /// The compare-and-set number; `None` if the key was never written.
    pub cas: Option<u32>,
}

impl LeaseView {
    /// The condition for a write that replaces exactly this value.
    pub fn condition(&self) -> WriteCondition {
        self.cas
            .map_or(WriteCondition::Absent, WriteCondition::Unchanged)
    }

    /// Whether `vm` owns the lease. A VM that lost it must not publish.
    pub fn is_owned_by(&self, vm: VmId) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.owner == vm)
    }

    /// Whether `vm`, which does not own the lease, may claim it at `now`: there is none, or it has expired.
    pub fn is_free_for(&self, vm: VmId, now: Duration) -> bool {
        let lease = self.lease.as_ref();
        lease.is_none_or(|lease| lease.owner != vm && lease.expires <= now)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_interrupted_attempt_is_repeated_after_a_second() {
        let interrupted = Lease {
            owner: VmId(7),
            expires: Duration::ZERO,
            last_attempt: Some(at(100)),
            attempt_open: true,
            failures: 0,
            not_before: Duration::ZERO,
        };
        let due = interrupted.due(at(600));
        assert!(due >= at(101) && due < at(102), "{due:?}");
    }

    #[test]
    fn a_lease_round_trips() {
        let lease = Lease {
            owner: VmId(7),
            expires: at(105),
            last_attempt: Some(at(3)),
            attempt_open: false,
            failures: 9,
            not_before: at(4),
        };
        assert_eq!(Lease::from_bytes(&lease.to_bytes()), Some(lease));
        assert_eq!(Lease::from_bytes(b""), None);
        let other = frame(Record::FirstVm, FrameHeader::NO_LIST, &[0; 64]);
        assert_eq!(Lease::from_bytes(&other), None);
    }
}
