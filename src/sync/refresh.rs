//! Who fetches the attack list, and when: the lease, the interval, backoff, staleness, and the shared-data keys.
//!
//! A pure state machine: [`Refresh::on_tick`] and [`Refresh::on_attempt_ended`] take what was read and the time, and say
//! what to write and whether to fetch. Only this file names shared-data keys. It makes no hostcall.
//!
//! Every root context of a process ticks: one on each worker, and one on Envoy's main thread, which serves no request.
//! One of them holds the lease and fetches; it should be the main thread's, and there is no asking which that is. So:
//! - The VM that was configured first is the eldest, and claims first. At start that is the main thread's.
//! - A holder that has served a request is a worker: it lets the lease go after its fetch, and all that serve leave it
//!   alone for a while.

use core::hash::Hasher;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use crate::host::{CallToken, RootId, WriteCondition};
use crate::list::Slot;
use crate::list::frame::{self, FrameHeader, Reader, Record};

/// How often a root context ticks. A new list is seen at the next tick, so this bounds how long a worker enforces the
/// old one.
pub const TICK: Duration = Duration::from_millis(250);

/// How often while there is something to wait for: the first list, a lease to claim, a gate to load.
pub const SHORT_TICK: Duration = Duration::from_millis(50);

/// How often a root context ticks once a newer one of the same VM does its work. It goes on in case that one goes away.
pub const SPARE_TICK: Duration = Duration::from_secs(5);

/// How long a lease lasts unless renewed. Longer than a parse of a million entries holds the holder up.
pub const LEASE: Duration = Duration::from_secs(5);

/// A lease with less than this left is renewed.
const RENEW_BELOW: Duration = Duration::from_millis(2_500);

/// The first wait after a failed fetch; each further failure doubles it, up to the interval.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);

/// The longest that a server's Retry-After is honoured.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// How long past its timeout an answer is waited for. The host promises one, but not if the caller was torn down.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// How many ticks, short ones but for the first, a VM that serves leaves to others once a lease was let go.
const PATIENCE_OF_WORKERS: u32 = 12;

/// A lease that lapsed this long ago was let go on purpose, by a configuration that fetches no more: what it knew of
/// the last attempt is too old to go by.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The keys of one source's shared data. Their number is bounded, since the host can't delete one:
///
/// | key | holds |
/// |---|---|
/// | `lease` | who may fetch until when, and what is known of the last attempt |
/// | `eldest` | which VM was configured first |
/// | `manifest` | which list is in force, and in which slot; written last |
/// | `freshness` | when the list was last given or confirmed, and its ETag |
/// | `{a,b}/gate/N`, `{a,b}/bucket/N`, `{a,b}/ranges/N` | the lists |
///
/// All start with `portcullis/v2/<hash of the source>/`: the host may give all plugins one key space, and filters with
/// different sources must not share a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// The keys of a source.
    pub fn new(source: ListId) -> Self {
        Self {
            prefix: format!("portcullis/v2/{:016x}/", source.0),
        }
    }

    /// Key of the [`Lease`].
    pub fn lease(&self) -> String {
        self.key("lease")
    }

    /// Key of the [`FirstVm`].
    pub fn eldest(&self) -> String {
        self.key("eldest")
    }

    /// Key of the manifest.
    pub fn manifest(&self) -> String {
        self.key("manifest")
    }

    /// Key of the [`Freshness`].
    pub fn freshness(&self) -> String {
        self.key("freshness")
    }

    /// Key of a gate shard.
    pub fn shard(&self, slot: Slot, index: u32) -> String {
        self.numbered(slot, "gate", index)
    }

    /// Key of a bucket.
    pub fn bucket(&self, slot: Slot, index: u32) -> String {
        self.numbered(slot, "bucket", index)
    }

    /// Key of a chunk of ranges.
    pub fn ranges(&self, slot: Slot, index: u32) -> String {
        self.numbered(slot, "ranges", index)
    }

    fn key(&self, name: &str) -> String {
        [self.prefix.as_str(), name].concat()
    }

    fn numbered(&self, slot: Slot, name: &str, index: u32) -> String {
        let slot = match slot {
            Slot::A => "a",
            Slot::B => "b",
        };
        format!("{}{slot}/{name}/{index}", self.prefix)
    }
}

/// A hash of what makes two filters fetch the same list: they share it, whatever else differs between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListId(u64);

impl ListId {
    /// From the parts of the source: cluster, authority, window, keys.
    pub fn new(parts: &[&str]) -> Self {
        let mut hasher = SipHasher13::new();
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part.as_bytes());
        }
        Self(hasher.finish())
    }
}

/// A random number that tells this VM from the others of the process. It outlives a change of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmId(pub u64);

impl VmId {
    /// The owner of a released lease.
    pub const NONE: VmId = VmId(0);
}

/// Who may fetch until when, and what is known of the last attempt. Times are the monotonic clock's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub owner: VmId,
    /// Until when, unless renewed.
    pub expires: Duration,
    /// When the last attempt began, or ended if it failed: ABS gets its pause after an attempt that took long, too.
    pub last_attempt: Option<Duration>,
    /// Whether that attempt has not ended yet.
    pub attempt_open: bool,
    /// How many attempts in a row have failed.
    pub failures: u32,
    /// ABS asked for no attempt before.
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
        frame::frame(Record::Lease, NO_LIST, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, payload) = frame::unframe(Record::Lease, bytes)?;
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

    /// When the next attempt is due.
    fn due(&self, interval: Duration) -> Duration {
        let Some(last_attempt) = self.last_attempt else {
            return Duration::ZERO;
        };
        let wait = if self.attempt_open {
            // It was cut off: by a new configuration, or by the end of its VM.
            FIRST_BACKOFF
        } else {
            backoff(self.failures, interval)
        };
        let jittered = wait.saturating_add(self.jitter(wait));
        last_attempt.saturating_add(jittered).max(self.not_before)
    }

    /// Up to a tenth of `wait`, the same at each tick, another after each attempt: a fleet that starts as one does not
    /// ask as one for ever.
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

/// How long to wait after `failures` failed attempts in a row.
fn backoff(failures: u32, interval: Duration) -> Duration {
    match failures.checked_sub(1) {
        None => interval,
        Some(doublings) => FIRST_BACKOFF
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(interval),
    }
}

/// Which VM of the process was configured first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstVm {
    /// Which VM.
    pub owner: VmId,
    /// When it was configured, on the monotonic clock.
    pub born: Duration,
}

impl FirstVm {
    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.owner.0.to_le_bytes().to_vec();
        // Microseconds: VMs of one process may be configured within a millisecond.
        let born = u64::try_from(self.born.as_micros()).unwrap_or(u64::MAX);
        payload.extend_from_slice(&born.to_le_bytes());
        frame::frame(Record::FirstVm, NO_LIST, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (_, payload) = frame::unframe(Record::FirstVm, bytes)?;
        let mut reader = Reader(payload);
        Some(Self {
            owner: VmId(reader.u64()?),
            born: Duration::from_micros(reader.u64()?),
        })
    }
}

/// When ABS last gave or confirmed the list in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Of which list.
    pub generation: u64,
    /// When, on the monotonic clock.
    pub last_success: Duration,
    /// By which rules its entries were taken; an ETag says nothing of a list taken by others.
    pub rules: u64,
    /// The list's ETag, if ABS gave one.
    pub etag: Vec<u8>,
}

impl Freshness {
    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = millis(self.last_success).to_le_bytes().to_vec();
        payload.extend_from_slice(&self.rules.to_le_bytes());
        payload.extend_from_slice(&self.etag);
        let header = FrameHeader {
            generation: self.generation,
            index: 0,
        };
        frame::frame(Record::Freshness, header, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, payload) = frame::unframe(Record::Freshness, bytes)?;
        let mut reader = Reader(payload);
        Some(Self {
            generation: header.generation,
            last_success: Duration::from_millis(reader.u64()?),
            rules: reader.u64()?,
            etag: reader.0.to_vec(),
        })
    }

    /// Whether the list is older than it may be.
    pub fn is_stale(&self, now: Duration, max_age: Option<Duration>) -> bool {
        max_age.is_some_and(|max_age| now.saturating_sub(self.last_success) > max_age)
    }
}

const NO_LIST: FrameHeader = FrameHeader {
    generation: 0,
    index: 0,
};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The host's number for it.
    pub token: CallToken,
    /// The root context that made it. It gets the answer, unless it is torn down before.
    pub root: RootId,
    /// After that no answer will come.
    pub deadline: Duration,
}

/// What the configuration says of refreshing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Between two fetches.
    pub interval: Duration,
    /// Of one fetch.
    pub timeout: Duration,
}

/// What a tick found in shared data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The lease and its compare-and-set number. Bytes that are no lease are `None` with a number.
    pub lease: Option<Lease>,
    /// `None` where the key was never written.
    pub cas: Option<u32>,
}

impl LeaseView {
    fn condition(&self) -> WriteCondition {
        self.cas
            .map_or(WriteCondition::Absent, WriteCondition::Unchanged)
    }
}

/// What is to be done after a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Wait,
    /// Write this lease; where the condition does not hold, another VM was quicker, and that is well.
    Write(Lease, WriteCondition),
    /// Write this lease, and if the condition held, fetch.
    Fetch(Lease, WriteCondition),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a list, or with word that there is none newer.
    Success,
    /// In vain; ABS may have said when to come back.
    Failure {
        /// ABS's Retry-After.
        retry_after: Option<Duration>,
    },
}

/// One VM's part in refreshing one source.
#[derive(Clone, Debug)]
pub struct Refresh {
    owner: VmId,
    call: Option<Call>,
    /// Ticks of this VM, in a row, that found the lease free.
    free_ticks: u32,
    /// This VM has ended an attempt since it got the lease.
    has_fetched: bool,
}

impl Refresh {
    /// A VM that knows nothing yet.
    pub fn new(owner: VmId) -> Self {
        Self {
            owner,
            call: None,
            free_ticks: 0,
            has_fetched: false,
        }
    }

    /// The call in flight.
    pub fn call(&self) -> Option<Call> {
        self.call
    }

    /// Whether this VM waits for its turn to claim the lease, so that short ticks are due.
    pub fn is_waiting_for_lease(&self) -> bool {
        self.free_ticks > 0
    }

    /// What to do now. `served`: this VM has served a request. `eldest`: it was configured first.
    pub fn on_tick(
        &mut self,
        now: Duration,
        view: &LeaseView,
        vm: Candidacy,
        schedule: &Schedule,
    ) -> Plan {
        self.call = self.call.filter(|call| now <= call.deadline);
        match &view.lease {
            Some(lease) if lease.owner == self.owner => {
                self.free_ticks = 0;
                self.as_holder(now, lease, view.condition(), vm, schedule)
            }
            Some(lease) if now < lease.expires => {
                // Another VM fetches. A call of ours that is still in flight lost its lease; its answer is not used.
                self.free_ticks = 0;
                self.has_fetched = false;
                Plan::Wait
            }
            free => {
                self.free_ticks = self.free_ticks.saturating_add(1);
                let let_go = free.as_ref().is_some_and(|lease| lease.owner == VmId::NONE);
                if self.free_ticks < vm.patience(let_go) {
                    return Plan::Wait;
                }
                self.has_fetched = false;
                Plan::Write(self.claim(now, free.as_ref()), view.condition())
            }
        }
    }

    fn as_holder(
        &self,
        now: Duration,
        lease: &Lease,
        condition: WriteCondition,
        vm: Candidacy,
        schedule: &Schedule,
    ) -> Plan {
        let renewed = Lease {
            expires: now.saturating_add(LEASE),
            ..lease.clone()
        };
        if self.call.is_none() && self.has_fetched && vm.served {
            if lease.expires <= now {
                // Let go, and nobody else wanted it in time.
                return Plan::Write(renewed, condition);
            }
            return Plan::Write(
                Lease {
                    owner: VmId::NONE,
                    expires: Duration::ZERO,
                    ..lease.clone()
                },
                condition,
            );
        }
        if self.call.is_none() && lease.due(schedule.interval) <= now {
            let opened = Lease {
                last_attempt: Some(now),
                attempt_open: true,
                not_before: Duration::ZERO,
                ..renewed
            };
            return Plan::Fetch(opened, condition);
        }
        if lease.expires.saturating_sub(now) < RENEW_BELOW {
            return Plan::Write(renewed, condition);
        }
        Plan::Wait
    }

    fn claim(&self, now: Duration, lapsed: Option<&Lease>) -> Lease {
        let known = lapsed.filter(|lease| {
            // A lease that was let go bears no expiry; its last attempt tells how old it is.
            let last_sign = lease.expires.max(lease.last_attempt.unwrap_or_default());
            now.saturating_sub(last_sign) < FORGOTTEN || lease.expires == Duration::ZERO
        });
        Lease {
            owner: self.owner,
            expires: now.saturating_add(LEASE),
            last_attempt: known.and_then(|lease| lease.last_attempt),
            attempt_open: known.is_some_and(|lease| lease.attempt_open),
            failures: known.map_or(0, |lease| lease.failures),
            not_before: known.map_or(Duration::ZERO, |lease| lease.not_before),
        }
    }

    /// The call is lost if the root context that made it is gone.
    pub fn give_up_call(&mut self, lives: impl Fn(RootId) -> bool) {
        self.call = self.call.filter(|call| lives(call.root));
    }

    /// A call was made.
    pub fn on_call_started(
        &mut self,
        now: Duration,
        token: CallToken,
        root: RootId,
        timeout: Duration,
    ) {
        self.call = Some(Call {
            token,
            root,
            deadline: now.saturating_add(timeout).saturating_add(ANSWER_GRACE),
        });
    }

    /// The lease to write before a list is published, so that it does not run out on the way. `None`: see
    /// [`Refresh::holds`].
    pub fn renewed(&self, now: Duration, view: &LeaseView) -> Option<(Lease, WriteCondition)> {
        let lease = view.lease.clone().filter(|_| self.holds(view))?;
        let expires = now.saturating_add(LEASE);
        Some((Lease { expires, ..lease }, view.condition()))
    }

    /// An answer came. `false`: it is not the one waited for.
    pub fn takes_answer(&mut self, token: CallToken) -> bool {
        let ours = self.call.is_some_and(|call| call.token == token);
        if ours {
            self.call = None;
        }
        ours
    }

    /// Whether what was read is a lease of this VM's, so that it may publish. A holder that was so slow that another VM
    /// took over must not.
    pub fn holds(&self, view: &LeaseView) -> bool {
        view.lease
            .as_ref()
            .is_some_and(|lease| lease.owner == self.owner)
    }

    /// The attempt ended: the lease to write, if it is still this VM's.
    pub fn on_attempt_ended(
        &mut self,
        now: Duration,
        view: &LeaseView,
        ending: Outcome,
    ) -> Option<(Lease, WriteCondition)> {
        self.call = None;
        self.has_fetched = true;
        let lease = view
            .lease
            .as_ref()
            .filter(|lease| lease.owner == self.owner)?;
        let (last_attempt, failures, not_before) = match ending {
            Outcome::Success => (lease.last_attempt, 0, Duration::ZERO),
            Outcome::Failure { retry_after } => (
                Some(now),
                lease.failures.saturating_add(1),
                retry_after.map_or(Duration::ZERO, |wait| {
                    now.saturating_add(wait.min(LONGEST_RETRY_AFTER))
                }),
            ),
        };
        let ended = Lease {
            expires: now.saturating_add(LEASE),
            last_attempt,
            attempt_open: false,
            failures,
            not_before,
            ..lease.clone()
        };
        Some((ended, view.condition()))
    }
}

/// How fit a VM is to hold the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// It has served a request, so it is a worker's.
    pub served: bool,
    /// It was configured before all others.
    pub eldest: bool,
}

impl Candidacy {
    /// How many ticks must find the lease free before this VM claims it. At most three, so that a dead holder is
    /// followed by another within three ticks after its lease's expiry. A lease that was let go is meant for the
    /// main thread, whose VM may be younger than a worker's: VMs that serve leave it alone for longer than that takes.
    fn patience(self, let_go: bool) -> u32 {
        match (self.eldest, self.served) {
            (_, true) if let_go => PATIENCE_OF_WORKERS,
            // Not at once even so: at a worker's first tick the main thread's VM, which is older, may not have ticked.
            (true, false) => 2,
            _ => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ME: VmId = VmId(7);
    const ROOT: RootId = RootId(1);
    const SCHEDULE: Schedule = Schedule {
        interval: Duration::from_secs(600),
        timeout: Duration::from_secs(30),
    };
    const ELDEST: Candidacy = Candidacy {
        served: false,
        eldest: true,
    };
    const WORKER: Candidacy = Candidacy {
        served: true,
        eldest: false,
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lease(expires: u64) -> Lease {
        Lease {
            owner: ME,
            expires: at(expires),
            last_attempt: None,
            attempt_open: false,
            failures: 0,
            not_before: Duration::ZERO,
        }
    }

    fn view(lease: Lease) -> LeaseView {
        LeaseView {
            lease: Some(lease),
            cas: Some(5),
        }
    }

    const ABSENT: LeaseView = LeaseView {
        lease: None,
        cas: None,
    };

    #[test]
    fn an_absent_lease_is_created_and_never_overwritten() {
        let mut refresh = Refresh::new(ME);
        assert_eq!(
            refresh.on_tick(at(1), &ABSENT, ELDEST, &SCHEDULE),
            Plan::Wait
        );
        let plan = refresh.on_tick(at(1), &ABSENT, ELDEST, &SCHEDULE);
        let Plan::Write(lease, WriteCondition::Absent) = plan else {
            panic!("{plan:?}");
        };
        assert_eq!(lease.owner, ME);
    }

    #[test]
    fn bytes_that_are_no_lease_are_replaced_as_they_were_read() {
        let mut refresh = Refresh::new(ME);
        let garbage = LeaseView {
            lease: None,
            cas: Some(3),
        };
        refresh.on_tick(at(1), &garbage, ELDEST, &SCHEDULE);
        let plan = refresh.on_tick(at(1), &garbage, ELDEST, &SCHEDULE);
        assert!(
            matches!(plan, Plan::Write(_, WriteCondition::Unchanged(3))),
            "{plan:?}"
        );
    }

    #[test]
    fn a_worker_claims_at_the_third_tick_after_expiry_at_the_latest() {
        let mut refresh = Refresh::new(VmId(8));
        let expired = view(lease(10));
        let mut plans = Vec::new();
        for second in [9, 10, 11, 12] {
            plans.push(refresh.on_tick(at(second), &expired, WORKER, &SCHEDULE));
        }
        assert_eq!(plans[..3], [Plan::Wait, Plan::Wait, Plan::Wait]);
        assert!(
            matches!(plans[3], Plan::Write(_, WriteCondition::Unchanged(5))),
            "{plans:?}"
        );
    }

    #[test]
    fn the_holder_fetches_at_once_and_then_an_interval_later() {
        let mut refresh = Refresh::new(ME);
        let plan = refresh.on_tick(at(100), &view(lease(105)), ELDEST, &SCHEDULE);
        let Plan::Fetch(opened, _) = plan else {
            panic!("{plan:?}");
        };
        assert!(opened.attempt_open);
        refresh.on_call_started(at(100), CallToken(1), ROOT, SCHEDULE.timeout);
        assert!(refresh.takes_answer(CallToken(1)));
        let (ended, _) = refresh
            .on_attempt_ended(at(101), &view(opened), Outcome::Success)
            .unwrap();
        assert!(!ended.attempt_open);
        let mut fetched = None;
        for second in 101..900 {
            let held = Lease {
                expires: at(second + 5),
                ..ended.clone()
            };
            if let Plan::Fetch(..) = refresh.on_tick(at(second), &view(held), ELDEST, &SCHEDULE) {
                fetched = Some(second);
                break;
            }
        }
        let fetched = fetched.unwrap();
        assert!((700..=760).contains(&fetched), "{fetched}");
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_the_interval() {
        let waits: Vec<_> = (0..8).map(|n| backoff(n, at(20)).as_secs()).collect();
        assert_eq!(waits, [20, 1, 2, 4, 8, 16, 20, 20]);
        assert_eq!(backoff(u32::MAX, at(20)), at(20));
    }

    #[test]
    fn retry_after_is_honoured_and_bounded() {
        let mut refresh = Refresh::new(ME);
        let opened = Lease {
            last_attempt: Some(at(100)),
            attempt_open: true,
            ..lease(105)
        };
        let end = |refresh: &mut Refresh, seconds| {
            let ending = Outcome::Failure {
                retry_after: Some(at(seconds)),
            };
            let ended = refresh.on_attempt_ended(at(100), &view(opened.clone()), ending);
            ended.unwrap().0.due(at(600))
        };
        assert_eq!(end(&mut refresh, 50), at(150));
        assert_eq!(end(&mut refresh, u64::MAX), at(3_700));
        assert!(end(&mut refresh, 0) >= at(101));
    }

    #[test]
    fn an_attempt_that_was_cut_off_is_made_again_soon_but_not_at_once() {
        let cut_off = Lease {
            last_attempt: Some(at(100)),
            attempt_open: true,
            ..lease(0)
        };
        let due = cut_off.due(at(600));
        assert!(due >= at(101) && due < at(102), "{due:?}");
    }

    #[test]
    fn a_worker_lets_the_lease_go_after_its_fetch() {
        let mut refresh = Refresh::new(ME);
        let open = Lease {
            last_attempt: Some(at(100)),
            attempt_open: true,
            ..lease(105)
        };
        let (ended, _) = refresh
            .on_attempt_ended(at(100), &view(open), Outcome::Success)
            .unwrap();
        let plan = refresh.on_tick(at(101), &view(ended), WORKER, &SCHEDULE);
        let Plan::Write(released, _) = plan else {
            panic!("{plan:?}");
        };
        assert_eq!(released.expires, Duration::ZERO);
        assert_eq!(released.last_attempt, Some(at(100)));
        // Its successor goes by what the lease says of the last attempt.
        let claimed = Refresh::new(VmId(8)).claim(at(102), Some(&released));
        assert_eq!(claimed.last_attempt, Some(at(100)));
    }

    #[test]
    fn a_lease_long_forgotten_does_not_delay_the_first_fetch() {
        let old = Lease {
            last_attempt: Some(at(100)),
            failures: 3,
            ..lease(110)
        };
        let claimed = Refresh::new(VmId(8)).claim(at(400), Some(&old));
        assert_eq!(claimed.due(at(600)), Duration::ZERO);
        let recent = Refresh::new(VmId(8)).claim(at(112), Some(&old));
        assert_eq!(recent.last_attempt, Some(at(100)));
    }

    #[test]
    fn versions_with_different_formats_share_no_key() {
        // They may run side by side while an old configuration drains, and would overwrite each other's lease and list.
        let format = frame::frame(Record::Lease, NO_LIST, &[])[4];
        let prefix = format!("portcullis/v{format}/");
        assert!(Keys::new(ListId(1)).lease().starts_with(&prefix));
    }

    #[test]
    fn a_call_whose_maker_is_gone_is_given_up() {
        let mut refresh = Refresh::new(ME);
        refresh.on_call_started(at(100), CallToken(1), ROOT, SCHEDULE.timeout);
        refresh.give_up_call(|root| root == ROOT);
        assert!(refresh.call().is_some());
        refresh.give_up_call(|root| root != ROOT);
        assert!(refresh.call().is_none());
        assert!(!refresh.takes_answer(CallToken(1)));

        refresh.on_call_started(at(100), CallToken(2), ROOT, SCHEDULE.timeout);
        refresh.on_tick(at(133), &view(lease(135)), ELDEST, &SCHEDULE);
        assert!(refresh.call().is_none());
    }

    #[test]
    fn who_lost_the_lease_publishes_nothing() {
        let mut refresh = Refresh::new(VmId(8));
        assert!(!refresh.holds(&view(lease(105))));
        assert!(!refresh.holds(&ABSENT));
        assert!(
            refresh
                .on_attempt_ended(at(1), &view(lease(5)), Outcome::Success)
                .is_none()
        );
    }

    #[test]
    fn records_come_back_whole_and_nothing_else_does() {
        let lease = Lease {
            last_attempt: Some(at(3)),
            failures: 9,
            not_before: at(4),
            ..lease(105)
        };
        assert_eq!(Lease::from_bytes(&lease.to_bytes()), Some(lease.clone()));
        let eldest = FirstVm {
            owner: ME,
            born: Duration::from_micros(12_345),
        };
        assert_eq!(FirstVm::from_bytes(&eldest.to_bytes()), Some(eldest));
        let freshness = Freshness {
            generation: 4,
            last_success: at(9),
            rules: 3,
            etag: b"\"x\"".to_vec(),
        };
        assert_eq!(
            Freshness::from_bytes(&freshness.to_bytes()),
            Some(freshness.clone())
        );
        assert_eq!(Lease::from_bytes(&eldest.to_bytes()), None);
        assert_eq!(FirstVm::from_bytes(&freshness.to_bytes()), None);
        assert_eq!(Freshness::from_bytes(&lease.to_bytes()), None);
        assert_eq!(Lease::from_bytes(b""), None);
        assert!(freshness.is_stale(at(20), Some(at(10))));
        assert!(!freshness.is_stale(at(19), Some(at(10))));
        assert!(!freshness.is_stale(at(2000), None));
    }
}
