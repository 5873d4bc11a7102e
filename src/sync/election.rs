//! Which VM owns the lease, and what it does at each tick.
//!
//! A pure state machine: [`Election::on_tick`] and [`Election::on_attempt_ended`] take the lease and the time, and return
//! the lease to write and whether to fetch.
//!
//! Every root context of a process ticks: one on each worker, and one on Envoy's main thread, which serves no request.
//! The main thread's should own the lease, but no hostcall identifies it. Therefore:
//! - The VM that was configured first claims first. At start that is the main thread's.
//! - An owner that has served a request is a worker's: it releases the lease after its fetch, and workers wait before
//!   claiming a released lease.

use core::time::Duration;

use super::attempts::{Attempts, Outcome};
use super::lease::{LEASE, Lease, LeaseView, VmId};
use crate::host::WriteCondition;
use crate::list::frame::{FrameHeader, Reader, Record, frame, unframe};

/// A lease with less time left is renewed.
const RENEW_BELOW: Duration = Duration::from_millis(2_500);

/// Ticks a worker waits before claiming a released lease, so that the main thread can claim it first.
const WORKER_PATIENCE: u32 = 12;

/// The last attempt of a lease that expired this long ago is ignored: the configuration of that time was replaced.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// The VM of the process that was configured first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstVm {
    /// The VM.
    pub id: VmId,
    /// When it was configured, on the monotonic clock.
    pub started: Duration,
}

impl FirstVm {
    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.id.0.to_le_bytes().to_vec();
        // Microseconds: VMs of one process may be configured within a millisecond.
        let started = u64::try_from(self.started.as_micros()).unwrap_or(u64::MAX);
        payload.extend_from_slice(&started.to_le_bytes());
        frame(Record::FirstVm, FrameHeader::NO_LIST, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, payload) = unframe(Record::FirstVm, bytes)?;
        let mut reader = Reader(payload);
        Some(Self {
            id: VmId(reader.u64()?),
            started: Duration::from_micros(reader.u64()?),
        })
    }
}

/// How suitable a VM is as the owner of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// It has served a request, so it is a worker's.
    pub served: bool,
    /// It was configured before all others.
    pub first: bool,
}

impl Candidacy {
    /// The number of ticks that must find the lease free before this VM claims it. For an expired lease at most three, so
    /// that a dead owner is replaced soon. For a released one workers wait longer, so that the main thread claims it: its VM
    /// may be younger than theirs.
    fn patience(self, released: bool) -> u32 {
        match (self.first, self.served) {
            (_, true) if released => WORKER_PATIENCE,
            // Not immediately: at a worker's first tick the main thread's VM, which is older, may not have ticked.
            (true, false) => 2,
            _ => 3,
        }
    }
}

/// What to do after a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Write this lease. If the condition does not hold, another VM was faster.
    Write(Lease, WriteCondition),
    /// Write this lease, and if the condition held, fetch.
    Fetch(Lease, WriteCondition),
}

/// One VM's part in the election of a list's owner.
#[derive(Clone, Debug)]
pub struct Election {
    id: VmId,
    /// The number of consecutive ticks of this VM that found the lease free.
    free_ticks: u32,
    /// Whether this VM has ended an attempt since it claimed the lease.
    has_fetched: bool,
}

impl Election {
    /// The initial state.
    pub fn new(id: VmId) -> Self {
        Self {
            id,
            free_ticks: 0,
            has_fetched: false,
        }
    }

    /// The VM.
    pub fn vm(&self) -> VmId {
        self.id
    }

    /// Whether this VM waits for its turn to claim the lease, and needs short ticks.
    pub fn is_waiting(&self) -> bool {
        self.free_ticks > 0
    }

    /// What to do now. `is_calling`: a fetch is in flight.
    pub fn on_tick(
        &mut self,
        now: Duration,
        view: &LeaseView,
        candidacy: Candidacy,
        interval: Duration,
        is_calling: bool,
    ) -> Step {
        match &view.lease {
            Some(lease) if lease.owner == self.id => {
                self.free_ticks = 0;
                if is_calling {
                    return self.renew(now, lease, view.condition());
                }
                self.as_owner(now, lease, view.condition(), candidacy, interval)
            }
            Some(lease) if now < lease.expires => {
                // Another VM fetches. The response to a call of this VM that is still in flight will be ignored.
                self.free_ticks = 0;
                self.has_fetched = false;
                Step::Wait
            }
            free => {
                self.free_ticks = self.free_ticks.saturating_add(1);
                let released = free.as_ref().is_some_and(|lease| lease.owner == VmId::NONE);
                if self.free_ticks < candidacy.patience(released) {
                    return Step::Wait;
                }
                self.has_fetched = false;
                Step::Write(self.claim(now, free.as_ref()), view.condition())
            }
        }
    }

    fn as_owner(
        &self,
        now: Duration,
        lease: &Lease,
        condition: WriteCondition,
        candidacy: Candidacy,
        interval: Duration,
    ) -> Step {
        if self.has_fetched && candidacy.served {
            if lease.expires <= now {
                // This VM released the lease, and no other VM claimed it in time.
                return Step::Write(lease.renewed(now), condition);
            }
            let released = Lease {
                owner: VmId::NONE,
                expires: Duration::ZERO,
                ..lease.clone()
            };
            return Step::Write(released, condition);
        }
        if lease.due(interval) <= now {
            let opened = Lease {
                attempts: lease.attempts.begun(now),
                ..lease.renewed(now)
            };
            return Step::Fetch(opened, condition);
        }
        self.renew(now, lease, condition)
    }

    fn renew(&self, now: Duration, lease: &Lease, condition: WriteCondition) -> Step {
        if lease.expires.saturating_sub(now) < RENEW_BELOW {
            Step::Write(lease.renewed(now), condition)
        } else {
            Step::Wait
        }
    }

    fn claim(&self, now: Duration, previous: Option<&Lease>) -> Lease {
        let known = previous.filter(|lease| {
            // A released lease has no expiry: its last attempt counts, however old.
            let last_sign = lease.expires.max(lease.attempts.last.unwrap_or_default());
            now.saturating_sub(last_sign) < ABANDONED_AFTER || lease.expires == Duration::ZERO
        });
        Lease {
            owner: self.id,
            expires: now.saturating_add(LEASE),
            attempts: known.map_or_else(Attempts::default, |lease| lease.attempts.clone()),
        }
    }

    /// The attempt ended: the lease to write, if this VM still owns it.
    pub fn on_attempt_ended(
        &mut self,
        now: Duration,
        view: &LeaseView,
        outcome: Outcome,
    ) -> Option<(Lease, WriteCondition)> {
        self.has_fetched = true;
        let lease = view.lease.as_ref().filter(|lease| lease.owner == self.id)?;
        let ended = Lease {
            attempts: lease.attempts.ended(now, outcome),
            ..lease.renewed(now)
        };
        Some((ended, view.condition()))
    }
}

#[cfg(test)]
mod tests;
