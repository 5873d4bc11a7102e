use std::cell::Cell;
use std::rc::Rc;

use portcullis::list::frame::{FrameHeader, Record, frame, unframe};
use serde_json::{Value, json};

use super::abs::ips;
use super::process::{MAIN, Process};
use super::*;
use crate::fake_host::{Hostcall, Interrupt};

/// `n` consecutive addresses from `first`.
fn many(first: u32, n: u32) -> Value {
    let address = |i: u32| std::net::Ipv4Addr::from_bits(first + i).to_string();
    json!({"ips": (0..n).map(address).collect::<Vec<_>>()})
}

fn ip(a: u8, b: u8, c: u8, d: u8) -> u32 {
    std::net::Ipv4Addr::new(a, b, c, d).to_bits()
}

/// Waits for the next fetch and its publication.
fn next_list(process: &Process) {
    let before = gets(process);
    process.advance_until("the next fetch", seconds(70), |process| {
        gets(process) > before
    });
    process.advance(seconds(1));
}

#[test]
fn a_publisher_that_dies_during_publication_leaves_the_active_list_intact() {
    // The values: a shard of the filter, several buckets, two chunks of ranges, then the manifest.
    let mut old = many(ip(10, 1, 0, 0), 600);
    let mut new = many(ip(10, 2, 0, 0), 600);
    let ranges =
        |list: &mut Value, range: &str| list["ips"].as_array_mut().unwrap().push(json!(range));
    ranges(&mut old, "172.16.0.0/16");
    ranges(&mut new, "172.17.0.0/16");
    let mut deaths = 0;
    for writes_done in 0.. {
        let (process, abs) = started(2, &config(), old.clone());
        abs.list(new.clone());
        let in_slot = |key: &str| key.contains("/b/") || key.ends_with("/manifest");
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        process.interrupt(
            MAIN,
            move |hostcall| match hostcall {
                Hostcall::Write(key) if in_slot(key) => {
                    counted.set(counted.get() + 1);
                    counted.get() > writes_done
                }
                _ => false,
            },
            Interrupt::Die,
        );
        process.advance_until("the second fetch", seconds(70), |process| {
            gets(process) == 2
        });
        process.advance(millis(500));
        if process.is_alive(MAIN) {
            break;
        }
        deaths += 1;
        let (active, not) = (
            ["10.1.0.0", "10.1.2.87", "172.16.9.9"],
            ["10.2.0.0", "10.2.2.87", "172.17.9.9"],
        );
        assert_denies_only(&process, &active, &not);
        // A new VM finds the same.
        process.kill(1);
        assert_denies_only(&process, &active, &not);
        // The next fetch, by a worker, publishes the new list.
        process.advance(seconds(10));
        assert_denies_only(&process, &not, &active);
    }
    assert!(deaths >= 5, "{deaths} places to die at");
}

#[test]
fn a_worker_that_missed_a_list_judges_correctly() {
    let (process, abs) = started(2, &config(), many(ip(10, 1, 0, 0), 500));
    process.pause(1);
    abs.list(many(ip(10, 2, 0, 0), 500));
    next_list(&process);
    // One list behind, its slot is intact: it judges by its list.
    assert!(process.denies(1, &from("10.1.0.7")));
    abs.list(many(ip(10, 1, 0, 0), 300));
    next_list(&process);
    // Its slot was overwritten by the third list, which contains 10.1.0.7 but not 10.1.1.150.
    for (address, listed) in [
        ("10.1.0.7", true),
        ("10.1.1.150", false),
        ("10.2.0.7", false),
    ] {
        assert_eq!(process.denies(1, &from(address)), listed, "{address}");
    }
    process.resume(1);
    process.advance(seconds(1));
    assert_denies_only(&process, &["10.1.0.7"], &["10.1.1.150", "10.2.0.7"]);
}

#[test]
fn a_worker_whose_slot_is_being_overwritten_judges_by_the_active_list() {
    let (process, abs) = started(1, &config(), many(ip(10, 1, 0, 0), 500));
    process.pause(1);
    abs.list(many(ip(10, 1, 0, 100), 500));
    next_list(&process);
    // The third list overwrites the worker's slot. Requests arrive during its publication.
    abs.list(many(ip(10, 3, 0, 0), 500));
    let worker = process.clone();
    let seen = Rc::new(Cell::new(false));
    let saw = seen.clone();
    process.interrupt(
        MAIN,
        |hostcall| matches!(hostcall, Hostcall::Write(key) if key.ends_with("/a/bucket/3")),
        Interrupt::Run(Box::new(move || {
            let denied: Vec<_> = (0..=255u32)
                .filter(|d| worker.denies(1, &from(&format!("10.1.0.{d}"))))
                .collect();
            // The first list contains all, the second those from 100. A request is judged by the first list until one
            // finds its bucket overwritten; then the worker loads the second.
            assert!((100..=255).all(|d| denied.contains(&d)), "{denied:?}");
            assert!(!worker.denies(1, &from("10.3.0.1")));
            saw.set(true);
        })),
    );
    next_list(&process);
    assert!(seen.get());
    process.resume(1);
    process.advance(seconds(1));
    assert_denies_only(&process, &["10.3.0.1"], &["10.1.0.200"]);
}

#[test]
fn a_list_of_many_values_is_loaded_over_several_ticks_and_then_enforced_completely() {
    let process = Process::new(2);
    // 6 gate shards at about 65,000 entries each.
    let abs = super::abs::Abs::serving(process.world(), many(ip(10, 0, 0, 0), 300_000));
    process.configure(&config());
    process.advance(seconds(2));
    assert_denies_only(&process, &["10.0.0.0", "10.4.147.223"], &["10.4.147.224"]);
    abs.list(many(ip(10, 2, 0, 0), 300_000));
    next_list(&process);
    assert_denies_only(&process, &["10.4.147.224"], &["10.0.0.0"]);
    assert_eq!(
        process.world().metric("attack_list.entries.kind=ip"),
        300_000
    );
}

#[test]
fn a_list_equal_to_the_active_one_is_not_published_again() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1", "192.0.2.2"]));
    let manifest = process.world().value("/manifest");
    abs.list(ips(&["192.0.2.2", "192.0.2.1", "192.0.2.1"]));
    next_list(&process);
    assert_eq!(process.world().value("/manifest"), manifest);
    assert_eq!(process.world().metric("attack_list.generation"), 1);
    assert_eq!(process.world().fetches()["ok"], 2);
    abs.list(ips(&["192.0.2.2"]));
    next_list(&process);
    assert_eq!(process.world().metric("attack_list.generation"), 2);
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
}

#[test]
fn shared_data_does_not_grow_with_the_number_of_lists() {
    let config = config_with(json!({"abs_attack_request_minutes": 0.02}));
    let (process, abs) = started(2, &config, many(ip(10, 1, 0, 0), 2_000));
    abs.list(many(ip(10, 2, 0, 0), 2_000));
    process.advance(seconds(5));
    let keys = process.world().keys();
    for i in 0..50 {
        abs.list(many(ip(10, i, 0, 0), 100 * u32::from(i % 20)));
        process.advance(millis(1_500));
    }
    let later = process.world().keys();
    assert!(process.world().metric("attack_list.generation") > 30);
    assert_eq!(keys, later);
}

#[test]
fn shared_data_does_not_grow_with_the_number_of_vms_and_configurations() {
    let config = config_with(json!({"abs_attack_request_minutes": 0.02}));
    let (process, abs) = started(3, &config, many(ip(10, 1, 0, 0), 2_000));
    abs.list(many(ip(10, 2, 0, 0), 2_000));
    process.advance(seconds(5));
    let stored = |process: &Process| -> usize {
        let world = process.world();
        let keys = world.keys();
        let sizes = keys.iter().map(|key| key.len() + world.value_of(key).len());
        sizes.sum()
    };
    let (keys, bytes) = (process.world().keys(), stored(&process));
    for i in 0..60u8 {
        // The VM of each thread crashes in turn; the main thread gets a new one with the next configuration.
        process.kill(usize::from(i) % 4);
        if i % 4 == 0 {
            process.configure(&config_with(json!({
                "abs_attack_request_minutes": 0.02,
                "deny_list": {"ips": [format!("192.0.2.{i}")]},
            })));
        }
        abs.list(many(ip(10, i, 0, 0), 2_000));
        // The lease of a crashed holder lasts five seconds.
        process.advance(seconds(3));
        for worker in process.workers() {
            process.denies(worker, &from("10.9.0.1"));
        }
    }
    assert_eq!(process.world().keys(), keys);
    // Lists of equal size differ by a few bytes in the filter.
    let later = stored(&process);
    assert!(later <= bytes + bytes / 50, "{bytes} bytes, later {later}");
    assert!(
        process.world().metric("attack_list.generation") > 30,
        "{}",
        process.world().metric("attack_list.generation")
    );
}

/// Damages of a value: by another plugin, another version or a fault.
fn damages(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = value.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let mut other_version = value.to_vec();
    other_version[4] = other_version[4].wrapping_add(1);
    vec![
        ("emptied", Vec::new()),
        ("a byte", vec![0]),
        ("garbage", b"garbage ".repeat(40)),
        ("cut", value[..value.len() - 1].to_vec()),
        ("only the header", value[..32.min(value.len())].to_vec()),
        ("a flipped bit", flipped),
        ("another version", other_version),
    ]
}

#[test]
fn damaged_shared_data_causes_no_panic_and_the_next_fetches_repair_it() {
    let list = json!({
        "ips": (0..600).map(|i| format!("10.1.{}.{}", i / 256, i % 256)).chain(["172.16.0.0/16".into()]).collect::<Vec<_>>(),
        "usernames": [secret("mallory")],
    });
    let config = config_with(json!({"abs_attack_request_minutes": 0.2}));
    for etags in [false, true] {
        let keys = started(2, &config, list.clone()).0.world().keys();
        assert!(keys.len() > 8, "{keys:?}");
        for key in &keys {
            for damage in 0..7 {
                let (process, abs) = started(2, &config, list.clone());
                let abs = if etags { abs.with_etags() } else { abs };
                process.advance(seconds(14));
                let key_end = &key[key.match_indices('/').nth(2).unwrap().0..];
                let value = process.world().value(key_end).unwrap();
                let (name, bytes) = damages(&value).swap_remove(damage);
                process.world().overwrite(key, &bytes);
                // A listed client can pass if its bucket is lost; an unlisted client is never blocked.
                for worker in process.workers() {
                    assert!(!process.denies(worker, &from("192.0.2.1")));
                    process.denies(worker, &from("10.1.0.1"));
                    assert!(process.denies(worker, &from("172.16.3.4")));
                }
                process.advance(seconds(32));
                assert_denies_only(
                    &process,
                    &[
                        "10.1.0.0",
                        "10.1.0.200",
                        "10.1.1.1",
                        "10.1.2.87",
                        "172.16.3.4",
                    ],
                    &["10.1.2.88"],
                );
                // New VMs load the complete list.
                process.kill(1);
                process.kill(2);
                assert_denies_only(
                    &process,
                    &[
                        "10.1.0.0",
                        "10.1.0.200",
                        "10.1.1.1",
                        "10.1.2.87",
                        "172.16.3.4",
                    ],
                    &["10.1.2.88"],
                );
                assert!(
                    process.denies(1, &Request::get("/").basic(&secret("mallory"))),
                    "{key} {name}"
                );
                drop(abs);
            }
        }
    }
}

/// The value with each of its numbers at a bound in turn and a valid checksum, as another plugin that knows the format
/// could write it.
fn forgeries(record: Record, value: &[u8]) -> Vec<Vec<u8>> {
    let (header, payload) = unframe(record, value).unwrap();
    let mut forged = Vec::new();
    for at in 0..payload.len() {
        for (size, byte) in [(4, 0xff), (8, 0x00)] {
            let mut payload = payload.to_vec();
            let end = payload.len().min(at + size);
            payload[at..end].fill(byte);
            forged.push(frame(record, header, &payload));
        }
    }
    for generation in [0, u64::MAX] {
        let header = FrameHeader {
            generation,
            ..header
        };
        forged.push(frame(record, header, payload));
    }
    forged
}

#[test]
fn forged_shared_data_causes_no_endless_callback_and_denies_no_clean_client() {
    let list = |last: &str| ips(&["192.0.2.1", "198.51.100.0/24", last]);
    for (name, record) in [
        ("manifest", Record::Manifest),
        ("lease", Record::Lease),
        ("freshness", Record::Freshness),
        ("eldest", Record::FirstVm),
    ] {
        let value = started(1, &config(), list("192.0.2.2")).0;
        let value = value.world().value(&format!("/{name}")).unwrap();
        for (number, forged) in forgeries(record, &value).into_iter().enumerate() {
            let (process, abs) = started(1, &config(), list("192.0.2.2"));
            let mut keys = process.world().keys();
            keys.retain(|key| key.ends_with(&format!("/{name}")));
            process.world().overwrite(&keys[0], &forged);
            for thread in process.threads() {
                let n = Cell::new(0);
                let few = move |_: Hostcall<'_>| {
                    n.set(n.get() + 1);
                    assert!(
                        n.get() < 500_000,
                        "{name} {number} makes too many hostcalls"
                    );
                    false
                };
                process.interrupt(thread, few, Interrupt::Die);
            }
            // A new list is published beside it, then fetching is disabled.
            abs.list(list("192.0.2.3"));
            process.advance(seconds(75));
            for worker in process.workers() {
                assert!(
                    !process.denies(worker, &from("192.0.2.9")),
                    "{name} {number}"
                );
            }
            process.configure(&json!({}));
            process.advance(seconds(5));
            for worker in process.workers() {
                assert!(
                    !process.denies(worker, &from("192.0.2.1")),
                    "{name} {number}"
                );
            }
        }
    }
}

#[test]
fn a_list_that_cannot_be_written_is_counted_and_the_active_list_stays() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
    process
        .world()
        .refuse_writes(|key| key.contains("/bucket/"));
    abs.list(ips(&["192.0.2.2"]));
    next_list(&process);
    assert_eq!(process.world().fetches()["refused"], 1);
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    process.world().allow_writes();
    process.advance(seconds(3));
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
}

#[test]
fn without_writable_shared_data_nothing_is_fetched() {
    let process = Process::new(2);
    super::abs::Abs::serving(process.world(), ips(&["192.0.2.1"]));
    process.world().refuse_writes(|_| true);
    process.configure(&config());
    process.advance(seconds(20));
    assert_eq!(gets(&process), 0);
    process.world().allow_writes();
    process.advance(seconds(2));
    assert_eq!(gets(&process), 1);
    assert_denies_only(&process, &["192.0.2.1"], &[]);
}
