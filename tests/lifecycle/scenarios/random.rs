use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value, json};

use super::abs::{ips, list_response};
use super::process::Process;
use super::*;
use crate::fake_host::{Hostcall, Interrupt, Reaction, Response, VmId};
use crate::seeded::Random;

/// An address that only the list number `version` contains.
fn own_address(version: u64) -> String {
    format!("10.9.{}.{}", version / 256, version % 256)
}

fn list(version: u64) -> Value {
    let mut addresses = vec![own_address(version), "10.8.0.0".to_owned()];
    // Some entries stay, some change, and the number of values in a slot changes too.
    addresses.extend((0..(version % 7) * 60).map(|i| format!("10.7.{}.{}", i / 256, i % 256)));
    if version.is_multiple_of(3) {
        addresses.push("172.16.0.0/16".to_owned());
    }
    json!({ "ips": addresses })
}

/// The version that a worker enforces, `None` without a list: its verdicts must be exactly those of one version. The
/// outer `None`: the VM died of one of the requests.
fn active_version(process: &Process, worker: usize, newest: u64) -> Option<Option<u64>> {
    let vm = process.vm(worker);
    let ask_all = || -> Vec<(u64, String, bool)> {
        let of_version = |version: u64| {
            let n = version % 7 * 60;
            [
                own_address(version),
                format!("10.7.{}.{}", n / 256, n % 256),
            ]
            .map(|address| (version, address))
        };
        let of_all = ["10.8.0.0", "10.8.0.1", "172.16.9.9", "10.7.0.0"];
        let of_all = of_all.map(|address| (0, address.to_owned()));
        let asked = (1..=newest).flat_map(of_version).chain(of_all);
        asked
            .map(|(version, address)| {
                let denied = process.denies(worker, &from(&address));
                (version, address, denied)
            })
            .collect()
    };
    // A request can find its list replaced and load the new one: in the second pass all are judged by the same list.
    ask_all();
    let verdicts = ask_all();
    if !process.is_alive(worker) || process.vm(worker) != vm {
        return None;
    }
    let own = |(version, address, denied): &(u64, String, bool)| {
        (*denied && *address == own_address(*version)).then_some(*version)
    };
    let versions: Vec<_> = verdicts.iter().filter_map(own).collect();
    assert!(versions.len() <= 1, "two lists at once: {versions:?}");
    let active = versions.first().copied();
    let entries = active.map_or(Value::Null, list);
    let entries: BTreeSet<_> = entries["ips"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let listed = |address: &str| {
        let in_range = address.starts_with("172.16.") && entries.contains("172.16.0.0/16");
        in_range || entries.contains(address)
    };
    for (_, address, denied) in &verdicts {
        assert_eq!(*denied, listed(address), "{address} by list {active:?}");
    }
    Some(active)
}

/// The list that ABS sent last, and all that it sent.
#[derive(Default)]
struct Given {
    version: u64,
    responses: Vec<u64>,
}

fn random_response(random: &mut Random, version: u64) -> Reaction {
    let list = list_response(&list(version));
    let response = match random.below(12) {
        0 => return Reaction::Hold,
        1 => Response::reset(),
        2 => Response::new(500, "oops"),
        3 => Response::timeout(),
        4 => Response::new(200, "<html>"),
        5 => {
            let half = list.body.len() / 2;
            Response::new(200, &list.body[..half])
        }
        _ => list,
    };
    Reaction::After(millis(random.below(7_000)), response)
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let n_workers = 1 + random.below(4) as usize;
    let process = Process::seeded(n_workers, seed);
    if random.below(2) == 0 {
        process.configure_workers_first();
    }
    let given = Rc::new(RefCell::new(Given::default()));
    let gave = given.clone();
    let mut for_abs = Random::new(seed ^ 0xabcd);
    process.world().set_abs(move |call| {
        let mut given = gave.borrow_mut();
        if for_abs.below(3) > 0 {
            given.version += 1;
        }
        let reaction = random_response(&mut for_abs, given.version.max(1));
        given.version = given.version.max(1);
        if call.is_get() {
            let version = given.version;
            given.responses.push(version);
        }
        reaction
    });
    let config = |i: u64, on: bool| {
        config_with(json!({
            "enable_abs_attack": on,
            "abs_attack_request_minutes": 0.1,
            "deny_list": {"ips": [format!("10.6.0.{}", i % 256)]},
        }))
    };
    process.configure(&config(0, true));
    let mut on = true;
    // The version that each VM enforced last since fetching was enabled.
    let mut enforced: BTreeMap<VmId, u64> = BTreeMap::new();
    for round in 0..60 {
        let thread = random.below(n_workers as u64 + 1) as usize;
        match random.below(14) {
            0 => process.kill(thread),
            1 => process.pause(thread),
            2 | 3 => process.threads().for_each(|thread| process.resume(thread)),
            4 => process.configure(&config(round, on)),
            5 if random.below(3) == 0 => {
                on = !on;
                process.configure(&config(round, on));
                enforced.clear();
            }
            6 if process.is_alive(thread) => {
                // The VM dies at one of its next hostcalls.
                let mut calls = random.below(60);
                let at = move |_: Hostcall<'_>| {
                    calls = calls.saturating_sub(1);
                    calls == 0
                };
                // A VM that dies in a request is created again at the next.
                process.interrupt(thread, at, Interrupt::Die);
            }
            7 => {
                let pending = process.world().pending();
                if !pending.is_empty() {
                    let chosen = random.below(pending.len() as u64) as usize;
                    let id = pending[chosen].call.id;
                    process.respond(id, list_response(&list(given.borrow().version.max(1))));
                }
            }
            8 => {
                let now = process.world().unix();
                let day = seconds(86_400);
                let jump = if random.below(2) == 0 {
                    now + day
                } else {
                    now - day
                };
                process.world().set_unix(jump);
            }
            _ => process.advance(millis(random.below(8_000))),
        }
        process.advance(millis(random.below(400)));
        let newest = given.borrow().version.max(1);
        for worker in process.workers() {
            // The request can create a dead VM again, or kill one with an armed interrupt.
            process.denies(worker, &from("192.0.2.200"));
            if !process.is_alive(worker) {
                continue;
            }
            let vm = process.vm(worker);
            let Some(version) = active_version(&process, worker, newest) else {
                continue;
            };
            match version {
                Some(version) => {
                    assert!(on, "seed {seed}: a list is enforced though fetching is off");
                    let before = enforced.insert(vm, version).unwrap_or(0);
                    assert!(
                        before <= version,
                        "seed {seed}: back from {before} to {version}"
                    );
                }
                None => assert!(
                    !on || !enforced.contains_key(&vm),
                    "seed {seed}: no active list in round {round}"
                ),
            }
        }
        check_calls(&process, seed);
    }
    // Without faults the newest list becomes active everywhere.
    process.world().forget_interrupts();
    process.threads().for_each(|thread| process.resume(thread));
    let last = given.borrow().version + 1;
    process
        .world()
        .set_abs(move |_| Reaction::After(millis(20), list_response(&list(last))));
    process.configure(&config(0, true));
    process.advance(seconds(60));
    for worker in process.workers() {
        assert_eq!(
            active_version(&process, worker, last),
            Some(Some(last)),
            "seed {seed}, worker {worker}; {:#?}",
            process.world().logs()
        );
    }
}

/// Asserts that no VM has two calls in flight, and that fetches are at least a second apart.
fn check_calls(process: &Process, seed: u64) {
    let sent = process.world().sent();
    let gets: Vec<_> = sent.iter().filter(|call| call.is_get()).collect();
    for pair in gets.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(
            gap >= millis(990),
            "seed {seed}: fetched again after {gap:?}"
        );
    }
    let now = process.world().now();
    let mut waiting: Vec<_> = process
        .world()
        .pending()
        .into_iter()
        .filter(|pending| now < pending.call.at + pending.call.timeout)
        .map(|pending| pending.call.vm)
        .collect();
    let n_calls = waiting.len();
    waiting.sort_unstable();
    waiting.dedup();
    assert_eq!(waiting.len(), n_calls, "seed {seed}: two calls of one VM");
}

#[test]
fn every_worker_enforces_one_list_and_never_an_older_one_in_random_histories() {
    let seeds: u64 = std::env::var("LIFECYCLE_SEEDS").map_or(150, |n| n.parse().unwrap());
    for seed in 0..seeds {
        run(seed);
    }
}

#[test]
fn a_list_reaches_workers_that_paused() {
    let (process, _abs) = started(4, &config(), ips(&["192.0.2.1"]));
    for worker in process.workers() {
        process.pause(worker);
    }
    process.advance(seconds(100));
    for worker in process.workers() {
        process.resume(worker);
    }
    process.advance(seconds(1));
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
}
