use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ME: VmId = VmId(7);
const INTERVAL: Duration = Duration::from_secs(600);
const FIRST: Candidacy = Candidacy {
    served: false,
    first: true,
};
const WORKER: Candidacy = Candidacy {
    served: true,
    first: false,
};
const ABSENT: LeaseView = LeaseView {
    lease: None,
    cas: None,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lease(expires: u64) -> Lease {
    Lease {
        owner: ME,
        expires: at(expires),
        attempts: Attempts::default(),
    }
}

fn view(lease: Lease) -> LeaseView {
    LeaseView {
        lease: Some(lease),
        cas: Some(5),
    }
}

/// A tick without a call in flight.
fn tick(election: &mut Election, seconds: u64, view: &LeaseView, candidacy: Candidacy) -> Step {
    election.on_tick(at(seconds), view, candidacy, INTERVAL, false)
}

#[test]
fn an_absent_lease_is_created_only_if_it_is_still_absent() {
    let mut election = Election::new(ME);
    assert_eq!(tick(&mut election, 1, &ABSENT, FIRST), Step::Wait);
    let step = tick(&mut election, 1, &ABSENT, FIRST);
    let Step::Write(lease, WriteCondition::Absent) = step else {
        panic!("{step:?}");
    };
    assert_eq!(lease.owner, ME);
}

#[test]
fn an_invalid_lease_is_replaced_only_if_unchanged() {
    let mut election = Election::new(ME);
    let garbage = LeaseView {
        lease: None,
        cas: Some(3),
    };
    tick(&mut election, 1, &garbage, FIRST);
    let step = tick(&mut election, 1, &garbage, FIRST);
    assert!(
        matches!(step, Step::Write(_, WriteCondition::Unchanged(3))),
        "{step:?}"
    );
}

#[test]
fn a_worker_claims_an_expired_lease_within_three_ticks() {
    let mut election = Election::new(VmId(8));
    let expired = view(lease(10));
    let steps = [9, 10, 11, 12].map(|second| tick(&mut election, second, &expired, WORKER));
    assert_eq!(steps[..3], [Step::Wait, Step::Wait, Step::Wait]);
    assert!(
        matches!(steps[3], Step::Write(_, WriteCondition::Unchanged(5))),
        "{steps:?}"
    );
}

#[test]
fn the_owner_fetches_immediately_and_then_once_per_interval() {
    let mut election = Election::new(ME);
    let step = tick(&mut election, 100, &view(lease(105)), FIRST);
    let Step::Fetch(opened, _) = step else {
        panic!("{step:?}");
    };
    assert!(opened.attempts.is_open);
    let while_calling = election.on_tick(at(100), &view(opened.clone()), FIRST, INTERVAL, true);
    assert_eq!(while_calling, Step::Wait);
    let (ended, _) = election
        .on_attempt_ended(at(101), &view(opened), Outcome::Success)
        .unwrap();
    assert!(!ended.attempts.is_open);
    let fetched = (101..900).find(|second| {
        let owned = ended.renewed(at(*second));
        matches!(
            tick(&mut election, *second, &view(owned), FIRST),
            Step::Fetch(..)
        )
    });
    let fetched = fetched.unwrap();
    assert!((700..=760).contains(&fetched), "{fetched}");
}

#[test]
fn retry_after_is_honoured_and_bounded() {
    let mut election = Election::new(ME);
    let opened = Lease {
        attempts: Attempts::default().begun(at(100)),
        ..lease(105)
    };
    let end = |election: &mut Election, seconds| {
        let outcome = Outcome::Failure {
            retry_after: Some(at(seconds)),
        };
        let ended = election.on_attempt_ended(at(100), &view(opened.clone()), outcome);
        ended.unwrap().0.due(INTERVAL)
    };
    assert_eq!(end(&mut election, 50), at(150));
    assert_eq!(end(&mut election, u64::MAX), at(3_700));
    assert!(end(&mut election, 0) >= at(101));
}

#[test]
fn a_worker_releases_the_lease_after_its_fetch() {
    let mut election = Election::new(ME);
    let open = Lease {
        attempts: Attempts::default().begun(at(100)),
        ..lease(105)
    };
    let (ended, _) = election
        .on_attempt_ended(at(100), &view(open), Outcome::Success)
        .unwrap();
    let step = tick(&mut election, 101, &view(ended), WORKER);
    let Step::Write(released, _) = step else {
        panic!("{step:?}");
    };
    assert_eq!(released.owner, VmId::NONE);
    assert_eq!(released.expires, Duration::ZERO);
    assert_eq!(released.attempts.last, Some(at(100)));
    // The next owner knows the last attempt from the lease.
    let claimed = Election::new(VmId(8)).claim(at(102), Some(&released));
    assert_eq!(claimed.attempts.last, Some(at(100)));
}

#[test]
fn an_abandoned_lease_does_not_delay_the_first_fetch() {
    let old = Lease {
        attempts: Attempts {
            last: Some(at(100)),
            failures: 3,
            ..Attempts::default()
        },
        ..lease(110)
    };
    let claimed = Election::new(VmId(8)).claim(at(400), Some(&old));
    assert_eq!(claimed.due(INTERVAL), Duration::ZERO);
    let recent = Election::new(VmId(8)).claim(at(112), Some(&old));
    assert_eq!(recent.attempts.last, Some(at(100)));
}

#[test]
fn a_vm_that_lost_the_lease_publishes_nothing() {
    let mut election = Election::new(VmId(8));
    assert!(!view(lease(105)).is_owned_by(election.vm()));
    assert!(!ABSENT.is_owned_by(election.vm()));
    assert!(
        election
            .on_attempt_ended(at(1), &view(lease(5)), Outcome::Success)
            .is_none()
    );
}

#[test]
fn the_first_vm_round_trips() {
    let first = FirstVm {
        id: ME,
        started: Duration::from_micros(12_345),
    };
    assert_eq!(FirstVm::from_bytes(&first.to_bytes()), Some(first));
    assert_eq!(FirstVm::from_bytes(&lease(1).to_bytes()), None);
    assert_eq!(FirstVm::from_bytes(b""), None);
}
