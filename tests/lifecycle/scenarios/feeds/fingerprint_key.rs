use std::cell::Cell;
use std::rc::Rc;

use portcullis::identifier::FingerprintKey;
use portcullis::list::Manifest;
use serde_json::json;

use super::super::process::MAIN;
use super::*;
use crate::fake_host::{Hostcall, Interrupt};

/// The fingerprint keys of all active lists.
fn keys_of_lists(process: &Process) -> Vec<FingerprintKey> {
    let keys = process.world().keys().into_iter();
    let manifests = keys.filter(|key| key.ends_with("/manifest"));
    let manifests = manifests.map(|key| process.world().value_of(&key));
    manifests
        .filter_map(|bytes| Some(Manifest::from_bytes(&bytes)?.key))
        .collect()
}

/// Asserts that there are `n` lists, all with the same key.
#[track_caller]
fn assert_one_key(process: &Process, n: usize) {
    let keys = keys_of_lists(process);
    assert_eq!(keys.len(), n);
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{n} lists");
}

fn is_key(key: &str) -> bool {
    key.ends_with("/fingerprint_key")
}

/// The name of the value of the fingerprint key in shared data.
fn name_of_key(process: &Process) -> String {
    let keys = process.world().keys();
    let [name] = &keys.iter().filter(|key| is_key(key)).collect::<Vec<_>>()[..] else {
        panic!("one fingerprint key: {keys:#?}");
    };
    (*name).clone()
}

#[test]
fn all_lists_of_a_process_have_one_key() {
    let (process, servers) = started_with(&four_feeds());
    assert_one_key(&process, 4);
    let first = keys_of_lists(&process)[0];
    for feed in &FEEDS {
        servers.respond(feed.name, (feed.list)(2));
    }
    process.advance(seconds(70));
    // VMs that are created later have no other one.
    for thread in process.threads() {
        process.kill(thread);
    }
    process.configure(&four_feeds());
    for feed in &FEEDS {
        servers.respond(feed.name, (feed.list)(3));
    }
    process.advance(seconds(75));
    assert_versions(&process, [3; 4]);
    assert_one_key(&process, 4);
    assert!(keys_of_lists(&process)[0] == first);
}

/// A process whose main thread awaits the list of one feed, and a worker that of another.
fn two_publishers() -> (Process, Servers, [u64; 2]) {
    let (process, servers) = first_versions();
    servers.hold("lapi");
    servers.hold("drop");
    process.configure_filter(0, &only(&[feed("lapi", json!({}))]));
    process.advance_until("the first call", seconds(2), |process| {
        calls_to(process, "lapi") == 1
    });
    process.pause(MAIN);
    process.configure_filter(1, &only(&[feed("drop", json!({}))]));
    process.advance_until("the second call", seconds(3), |process| {
        calls_to(process, "drop") == 1
    });
    process.resume(MAIN);
    let sent = process.world().sent();
    assert_eq!(process.thread_of(sent[0].vm), Some(MAIN));
    assert_ne!(process.thread_of(sent[1].vm), Some(MAIN));
    assert!(process.world().keys().iter().all(|key| !is_key(key)));
    (process, servers, [sent[0].id, sent[1].id])
}

#[test]
fn two_vms_that_publish_the_first_lists_at_once_agree_on_the_key() {
    for interrupted_at_write in [false, true] {
        let (process, _servers, [by_main, by_worker]) = two_publishers();
        let other = process.clone();
        let ran = Rc::new(Cell::new(false));
        let runs = ran.clone();
        process.interrupt(
            MAIN,
            move |hostcall| match hostcall {
                Hostcall::Read(key) => !interrupted_at_write && is_key(key),
                Hostcall::Write(key) => interrupted_at_write && is_key(key),
                Hostcall::Dispatch => false,
            },
            Interrupt::Run(Box::new(move || {
                other.respond(by_worker, (FEEDS[2].list)(1));
                runs.set(true);
            })),
        );
        process.respond(by_main, (FEEDS[1].list)(1));
        assert!(ran.get());
        assert_one_key(&process, 2);
        process.advance(seconds(1));
        for worker in process.workers() {
            for (filter, feed) in [(0, &FEEDS[1]), (1, &FEEDS[2])] {
                for (version, is_denied) in [(1, true), (2, false)] {
                    let outcome = process.request_to(worker, filter, &(feed.client)(version));
                    assert_eq!(outcome.denied.is_some(), is_denied, "{}", feed.name);
                }
            }
        }
    }
}

#[test]
fn a_vm_that_dies_at_the_key_leaves_the_next_one_to_make_it() {
    let (process, servers, [by_main, by_worker]) = two_publishers();
    let at_write = |hostcall: Hostcall<'_>| matches!(hostcall, Hostcall::Write(key) if is_key(key));
    process.interrupt(MAIN, at_write, Interrupt::Die);
    process.respond(by_main, (FEEDS[1].list)(1));
    assert!(!process.is_alive(MAIN));
    process.respond(by_worker, (FEEDS[2].list)(1));
    servers.respond("lapi", (FEEDS[1].list)(1));
    process.advance(seconds(10));
    assert_one_key(&process, 2);
}

#[test]
fn a_damaged_key_harms_no_list() {
    for damage in [&b""[..], b"garbage", &[0; 64]] {
        let (process, servers) = started_with(&with_feeds(
            &["lapi", "drop"].map(|name| feed(name, json!({}))),
        ));
        let name = name_of_key(&process);
        process.world().overwrite(&name, damage);
        assert_versions(&process, [1, 1, 1, 0]);
        // The lists that follow keep the key of those before them; the list of a new feed has a new key.
        process.configure(&four_feeds());
        for feed in &FEEDS[..3] {
            servers.respond(feed.name, (feed.list)(2));
        }
        process.advance(seconds(75));
        assert_versions(&process, [2, 2, 2, 1]);
        let keys = keys_of_lists(&process);
        assert_eq!(keys.len(), 4);
        let n_equal = |key: &FingerprintKey| keys.iter().filter(|it| *it == key).count();
        let mut n_equal: Vec<_> = keys.iter().map(n_equal).collect();
        n_equal.sort_unstable();
        assert_eq!(n_equal, [1, 3, 3, 3]);
        // A client on lists with different keys is found on each of them.
        let both = (FEEDS[3].client)(1).basic(&user(2));
        let expected = Some("denied revoked token_claims".to_owned());
        let token = (FEEDS[3].client)(1);
        for worker in process.workers() {
            assert_eq!(state(&process, worker, &token), expected);
            let first = state(&process, worker, &both);
            assert_eq!(first.as_deref(), Some("denied lapi username"));
        }
    }
}

#[test]
fn a_damaged_key_before_the_first_list_is_replaced() {
    for damage in [&b""[..], b"garbage", &[0; 64]] {
        // Names of values are the same in all processes.
        let name = name_of_key(&started_with(&four_feeds()).0);
        let (process, _servers) = first_versions();
        process.world().overwrite(&name, damage);
        process.configure(&four_feeds());
        process.advance(seconds(2));
        assert_versions(&process, [1; 4]);
        assert_one_key(&process, 4);
    }
}

#[test]
fn a_key_that_cannot_be_written_delays_no_list() {
    let (process, _servers) = first_versions();
    process.world().refuse_writes(is_key);
    process.configure(&four_feeds());
    process.advance(seconds(2));
    assert_versions(&process, [1; 4]);
}
