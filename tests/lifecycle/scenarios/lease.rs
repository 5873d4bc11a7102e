use std::cell::Cell;
use std::rc::Rc;

use serde_json::json;

use super::abs::{Abs, ips, list_response};
use super::process::{MAIN, Process};
use super::*;
use crate::fake_host::{Hostcall, Interrupt};

/// The duration of a lease without renewal.
const LEASE: Duration = portcullis::sync::lease::LEASE;

/// The same while its owner parses a response.
const PARSING: Duration = portcullis::sync::lease::PARSING;

/// The thread that fetched last.
fn last_fetcher(process: &Process) -> Option<usize> {
    process.thread_of(process.world().sent().last()?.vm)
}

fn serve_on_all_workers(process: &Process) {
    for worker in process.workers() {
        process.denies(worker, &from("192.0.2.9"));
    }
}

#[test]
fn another_vm_takes_over_within_three_ticks_of_the_expiry_of_a_dead_holders_lease() {
    for seed in 0..50 {
        let process = Process::seeded(4, seed);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        process.configure(&config_with(json!({"abs_attack_request_minutes": 0.1})));
        process.advance(seconds(3));
        assert_eq!(last_fetcher(&process), Some(MAIN));
        serve_on_all_workers(&process);
        process.kill(MAIN);
        let dead_since = process.world().now();
        process.advance_until("a fetch by a worker", seconds(20), |process| {
            last_fetcher(process).is_some_and(|thread| thread != MAIN)
        });
        // The last fetch was up to 3 s ago, so the next is due in at most 3.6 s.
        let waited = process.world().now() - dead_since;
        let three_ticks = millis(3 * 253);
        assert!(waited <= LEASE + three_ticks, "seed {seed}: {waited:?}");
        process.advance(seconds(2));
        assert_eq!(gets(&process), 2, "seed {seed}: a double fetch");
    }
}

#[test]
fn a_fetch_whose_holder_dies_is_repeated_once() {
    for seed in 0..20 {
        let process = Process::seeded(4, seed);
        let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
        abs.hold();
        process.configure(&config());
        process.advance_until("the first fetch", seconds(2), |process| gets(process) == 1);
        process.kill(MAIN);
        abs.serve();
        process.advance(LEASE + seconds(1));
        assert_eq!(gets(&process), 2, "seed {seed}");
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        process.advance(seconds(40));
        assert_eq!(gets(&process), 2, "seed {seed}");
    }
}

#[test]
fn a_list_that_arrives_after_the_lease_was_lost_is_not_published() {
    let process = Process::new(2);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.hold();
    process.configure(&config());
    process.advance_until("the first fetch", seconds(2), |process| gets(process) == 1);
    assert_eq!(last_fetcher(&process), Some(MAIN));
    process.pause(MAIN);
    abs.list(ips(&["192.0.2.2"]));
    process.advance(LEASE + seconds(2));
    assert_eq!(gets(&process), 2);
    assert_ne!(last_fetcher(&process), Some(MAIN));
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);

    let late = process.world().sent()[0].id;
    let published = process.world().value("/manifest");
    process.resume(MAIN);
    process.respond(late, list_response(&ips(&["192.0.2.1"])));
    process.advance(seconds(2));
    assert_eq!(process.world().value("/manifest"), published);
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
    assert_eq!(process.world().metric("attack_list.generation"), 1);
}

/// Whether a hostcall writes a value of a list's slot B.
fn writes_to_slot_b(hostcall: Hostcall<'_>) -> bool {
    matches!(hostcall, Hostcall::Write(key) if key.contains("/b/"))
}

/// A process that enforces a list of 192.0.2.1, and the call of its next fetch.
fn with_second_call() -> (Process, u64) {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
    abs.hold();
    process.advance_until("a call", seconds(70), |process| gets(process) == 2);
    abs.serve();
    let call = process.world().sent()[1].id;
    (process, call)
}

#[test]
fn a_lease_near_its_expiry_is_renewed_before_publication() {
    let (process, call) = with_second_call();
    // The main thread pauses until its lease has half a second left, then publishes for a second.
    process.pause(MAIN);
    process.advance(LEASE - millis(700));
    let others = process.clone();
    process.interrupt(
        MAIN,
        writes_to_slot_b,
        Interrupt::Run(Box::new(move || others.advance(seconds(1)))),
    );
    process.respond(call, list_response(&ips(&["192.0.2.2"])));
    assert_eq!(process.world().interrupts_left(), 0);
    process.resume(MAIN);
    process.advance(seconds(2));
    assert_eq!(gets(&process), 2, "nobody else took over");
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
}

#[test]
fn a_list_that_takes_long_to_parse_is_not_fetched_by_another_vm() {
    let (process, call) = with_second_call();
    process.pause(MAIN);
    let others = process.clone();
    // The lease is written before the response is parsed, and read afterwards.
    let is_held = Cell::new(false);
    process.interrupt(
        MAIN,
        move |hostcall| match hostcall {
            Hostcall::Write(key) if key.ends_with("/lease") => {
                is_held.set(true);
                false
            }
            Hostcall::Read(key) => is_held.get() && key.ends_with("/lease"),
            Hostcall::Write(_) | Hostcall::Dispatch => false,
        },
        Interrupt::Run(Box::new(move || others.advance(LEASE * 5))),
    );
    process.respond(call, list_response(&ips(&["192.0.2.2"])));
    assert_eq!(process.world().interrupts_left(), 0);
    process.resume(MAIN);
    process.advance(seconds(2));
    assert_eq!(gets(&process), 2, "another VM fetched");
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
}

#[test]
fn a_publisher_that_pauses_while_another_publishes_does_not_activate_its_list() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
    abs.hold();
    process.advance_until("a call", seconds(70), |process| gets(process) == 2);
    let late = process.world().sent()[1].id;
    let two = ips(&["192.0.2.2", "192.0.2.3"]);
    abs.list(two.clone());
    process.pause(MAIN);
    let others = process.clone();
    process.interrupt(
        MAIN,
        writes_to_slot_b,
        Interrupt::Run(Box::new(move || others.advance(LEASE + seconds(2)))),
    );
    process.respond(late, list_response(&ips(&["192.0.2.4", "192.0.2.5"])));
    assert_eq!(process.world().interrupts_left(), 0);
    process.resume(MAIN);
    process.advance(seconds(1));
    assert_eq!(gets(&process), 3);
    // It overwrote values of the active list. They read as absent: no client is blocked for them, and the next fetch
    // repairs the list although it is the same.
    assert_denies_only(&process, &[], &["192.0.2.1", "192.0.2.4", "192.0.2.5"]);
    process.advance(seconds(65));
    assert_denies_only(
        &process,
        &["192.0.2.2", "192.0.2.3"],
        &["192.0.2.1", "192.0.2.4"],
    );
    let logs = process.world().logs();
    assert!(
        logs.iter()
            .any(|(_, line)| line.contains("arrived too late")),
        "{logs:#?}"
    );
}

#[test]
fn one_of_two_concurrent_claims_of_an_absent_lease_wins() {
    for at_write in [true, false] {
        let process = Process::new(2);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        process.configure(&config());
        process.pause(MAIN);
        process.tick(2);
        process.tick(1);
        process.tick(2);
        // Each claims at its next tick. Between worker 1's read and write, worker 2 does both.
        let other = process.clone();
        process.interrupt(
            1,
            move |hostcall| match hostcall {
                Hostcall::Write(key) => at_write && key.ends_with("/lease"),
                Hostcall::Read(key) => !at_write && key.ends_with("/lease"),
                Hostcall::Dispatch => false,
            },
            Interrupt::Run(Box::new(move || other.tick(2))),
        );
        process.tick(1);
        assert_eq!(process.world().interrupts_left(), 0);
        process.advance(seconds(3));
        assert_eq!(gets(&process), 1);
        assert_eq!(last_fetcher(&process), Some(2));
    }
}

#[test]
fn one_of_several_concurrent_claims_of_an_expired_lease_wins() {
    let (process, _abs) = started(3, &config(), ips(&["192.0.2.1"]));
    process.kill(MAIN);
    for worker in process.workers() {
        process.pause(worker);
    }
    process.advance(seconds(80));
    for _ in 0..2 {
        process.workers().for_each(|worker| process.tick(worker));
    }
    let others = process.clone();
    process.interrupt(
        1,
        |hostcall| matches!(hostcall, Hostcall::Write(key) if key.ends_with("/lease")),
        Interrupt::Run(Box::new(move || {
            others.tick(2);
            others.tick(3);
        })),
    );
    process.tick(1);
    assert_eq!(process.world().interrupts_left(), 0);
    for worker in process.workers() {
        process.resume(worker);
    }
    process.advance(seconds(3));
    assert_eq!(gets(&process), 2);
}

#[test]
fn a_worker_releases_the_lease_after_its_fetch_to_the_main_thread() {
    for seed in 0..30 {
        let process = Process::seeded(4, seed);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        process.configure(&config_with(json!({"abs_attack_request_minutes": 0.2})));
        // The main thread is busy at start, as with a large configuration.
        process.pause(MAIN);
        process.advance(seconds(2));
        assert_eq!(gets(&process), 1);
        assert_ne!(last_fetcher(&process), Some(MAIN));
        process.resume(MAIN);
        for _ in 0..40 {
            process.advance(seconds(1));
            serve_on_all_workers(&process);
        }
        assert_eq!(last_fetcher(&process), Some(MAIN), "seed {seed}");
        let n_before = gets(&process);
        process.advance(seconds(60));
        let sent = process.world().sent();
        let later = &sent[n_before..];
        assert!(later.len() >= 4);
        for call in later {
            assert_eq!(process.thread_of(call.vm), Some(MAIN), "seed {seed}");
        }
    }
}

#[test]
fn a_new_vm_of_the_main_thread_gets_the_lease_from_serving_workers() {
    for seed in 0..30 {
        let process = Process::seeded(8, seed);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        let config = config_with(json!({"abs_attack_request_minutes": 0.2}));
        process.configure(&config);
        process.advance(seconds(2));
        serve_on_all_workers(&process);
        process.kill(MAIN);
        process.advance(seconds(15));
        serve_on_all_workers(&process);
        assert_ne!(last_fetcher(&process), Some(MAIN));
        // Only a change of the configuration creates a VM of the main thread.
        process.configure(&config);
        for _ in 0..40 {
            process.advance(seconds(1));
            serve_on_all_workers(&process);
        }
        assert_eq!(last_fetcher(&process), Some(MAIN), "seed {seed}");
    }
}

#[test]
fn a_released_lease_without_other_claims_returns_to_its_holder() {
    let process = Process::new(1);
    Abs::serving(process.world(), ips(&["192.0.2.1"]));
    process.configure(&config_with(json!({"abs_attack_request_minutes": 0.2})));
    process.kill(MAIN);
    for _ in 0..40 {
        process.advance(seconds(1));
        serve_on_all_workers(&process);
    }
    assert!((3..=4).contains(&gets(&process)), "{}", gets(&process));
}

#[test]
fn a_new_vm_of_a_worker_loads_the_list_at_its_first_request() {
    let (process, _abs) = started(2, &config(), ips(&["192.0.2.1", "198.51.100.0/24"]));
    process.kill(1);
    assert!(process.denies(1, &from("192.0.2.1")));
    process.kill(1);
    assert!(process.denies(1, &from("198.51.100.7")));
    assert!(!process.denies(1, &from("192.0.2.2")));
    process.advance(seconds(3));
    assert_eq!(gets(&process), 1);
}

#[test]
fn a_holder_can_die_at_any_hostcall() {
    // At every hostcall of the first ten ticks and of the publication.
    let mut places = 0;
    for place in 0..400 {
        let process = Process::seeded(2, place);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        process.configure(&config());
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        process.interrupt(
            MAIN,
            move |_| {
                counted.set(counted.get() + 1);
                counted.get() > place
            },
            Interrupt::Die,
        );
        process.advance(seconds(1));
        if process.is_alive(MAIN) {
            break;
        }
        places += 1;
        // It may have kept the lease for the time of parsing.
        process.advance(PARSING + seconds(3));
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        let asked = gets(&process);
        assert!(asked <= 2, "place {place}: {asked} fetches");
    }
    assert!(places > 20, "{places} places");
}
