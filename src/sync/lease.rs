//! The lease: which VM of the process may fetch a list until when, and when the next fetch is due.
//!
//! Pure: bytes and times in, bytes and times out. Who claims a lease is decided in `election`.

use core::time::Duration;

use super::attempts::Attempts;
use crate::host::WriteCondition;
use crate::list::frame::{FrameHeader, Reader, Record, frame, unframe};

/// How long a lease lasts unless renewed.
pub const LEASE: Duration = Duration::from_secs(5);

/// How long it lasts for an owner that parses a response, which blocks it. A million entries take a second of a core's time;
/// on a core that others use too, the list must not be fetched and parsed by another VM meanwhile.
pub const PARSING: Duration = Duration::from_secs(30);

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
    /// The attempts to fetch the list.
    pub attempts: Attempts,
}

impl Lease {
    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let attempts = &self.attempts;
        let last = attempts.last.map_or(0, millis);
        for number in [
            self.owner.0,
            millis(self.expires),
            last,
            millis(attempts.not_before),
        ] {
            payload.extend_from_slice(&number.to_le_bytes());
        }
        payload.extend_from_slice(&attempts.failures.to_le_bytes());
        payload.push(u8::from(attempts.is_open));
        payload.push(u8::from(attempts.last.is_some()));
        frame(Record::Lease, FrameHeader::NO_LIST, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, payload) = unframe(Record::Lease, bytes)?;
        let mut reader = Reader(payload);
        let owner = VmId(reader.u64()?);
        let (expires, last, not_before) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let failures = reader.u32()?;
        let is_open = reader.u8()? == 1;
        let attempted = reader.u8()? == 1;
        Some(Self {
            owner,
            expires: Duration::from_millis(expires),
            attempts: Attempts {
                last: attempted.then(|| Duration::from_millis(last)),
                is_open,
                failures,
                not_before: Duration::from_millis(not_before),
            },
        })
    }

    /// The same lease, renewed at `now`.
    pub fn renewed(&self, now: Duration) -> Self {
        self.until(now.saturating_add(LEASE))
    }

    /// The same lease, which expires then.
    pub fn until(&self, expires: Duration) -> Self {
        Self {
            expires,
            ..self.clone()
        }
    }

    /// When the next attempt is due.
    pub fn due(&self, interval: Duration) -> Duration {
        self.attempts.due(interval, self.owner.0)
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
    fn a_lease_round_trips() {
        let lease = Lease {
            owner: VmId(7),
            expires: at(105),
            attempts: Attempts {
                last: Some(at(3)),
                is_open: false,
                failures: 9,
                not_before: at(4),
            },
        };
        assert_eq!(Lease::from_bytes(&lease.to_bytes()), Some(lease));
        assert_eq!(Lease::from_bytes(b""), None);
        let other = frame(Record::FirstVm, FrameHeader::NO_LIST, &[0; 64]);
        assert_eq!(Lease::from_bytes(&other), None);
    }
}
