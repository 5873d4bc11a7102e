use core::hash::Hasher;

use log::Level;
use serde_json::json;
use siphasher::sip::SipHasher13;

use super::abs::ips;
use super::process::Process;
use super::*;
use crate::fake_host::Response;
use crate::target::POINTER_WIDTH;

/// Replaces every VM by one of the new module. Shared data stays.
fn replace_the_module(process: &Process, config: &Value) {
    process.threads().for_each(|thread| process.kill(thread));
    process.configure(config);
}

/// The value as a version with the next format would write it, with a valid checksum.
fn of_next_format(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    value[4] += 1;
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(&value[..24]);
    hasher.write(&value[32..]);
    value[24..32].copy_from_slice(&hasher.finish().to_le_bytes());
    value
}

#[test]
fn shared_data_of_another_format_is_ignored_and_the_list_is_fetched_at_once() {
    for (policy, denied) in [("allow", false), ("deny", true)] {
        let list = json!({"ips": ["192.0.2.1", "198.51.100.0/24"], "usernames": ["mallory"]});
        let config = config_with(json!({"before_first_list": policy}));
        let (process, _abs) = started(2, &config, list);
        let world = process.world();
        for key in world.keys() {
            let value = world.value_of(&key);
            assert!(value.len() >= 32, "{key}");
            world.overwrite(&key, &of_next_format(&value));
        }
        world.forget_logs();
        replace_the_module(&process, &config);
        for worker in process.workers() {
            for address in ["192.0.2.1", "198.51.100.7", "192.0.2.9"] {
                let state = process.request(worker, &from(address)).filter_state;
                let expected = denied.then_some("denied abs no_list");
                assert_eq!(state.as_deref(), expected, "{address}");
            }
        }
        process.advance(seconds(2));
        assert_eq!(gets(&process), 2);
        assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.9"]);
        let logs = world.logs();
        let warnings = logs.iter().filter(|(level, _)| *level <= Level::Warn);
        assert_eq!(warnings.count(), 0, "{logs:#?}");
        process.advance(seconds(30));
        assert_eq!(gets(&process), 2);
    }
}

#[test]
fn shared_data_of_the_same_format_is_used_without_a_fetch_even_if_abs_is_down() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1", "198.51.100.0/24"]));
    abs.respond(Response::new(503, ""));
    for _ in 0..5 {
        replace_the_module(&process, &config());
        assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.9"]);
        process.advance(seconds(8));
    }
    assert_eq!(gets(&process), 1, "40 seconds of an interval of a minute");
    process.advance(seconds(60));
    assert!(gets(&process) > 1);
    assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.9"]);
}

/// Shared data as an earlier release wrote it, in format 2.
fn write_fixture(process: &Process) {
    let text = include_str!("../../fixtures/shared_data/v2.txt");
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let width = format!("id {POINTER_WIDTH} ");
    let id = lines().find_map(|line| line.strip_prefix(&width)).unwrap();
    for line in lines().filter(|line| !line.starts_with("id ")) {
        let (key, hex) = line.split_once(' ').unwrap();
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        process.world().overwrite(&key.replace("{id}", id), &bytes);
    }
}

#[test]
fn a_list_of_format_2_is_not_read_and_is_fetched_again() {
    // Another seed than the fixture's, so that no VM has the id of the earlier release's.
    let process = Process::seeded(2, 77);
    // The clocks of the fixture.
    process.world().pass(seconds(2));
    write_fixture(&process);
    let _abs = Abs::serving(process.world(), ips(&["203.0.113.7"]));
    let of_format_2 = old_values(&process);
    assert!(of_format_2.len() > 5);
    process.configure(&config());
    let listed = [
        from("192.0.2.1"),
        from("198.51.100.200"),
        from("2001:db8::7"),
        from("192.0.2.9").cookie("SID", "listed-cookie"),
        from("192.0.2.9").bearer("listed-token"),
        from("192.0.2.9").header("x-api-key", "listed-key"),
        from("192.0.2.9").basic("mallory"),
    ];
    for worker in process.workers() {
        for request in &listed {
            assert!(!process.denies(worker, request), "{request:?}");
        }
    }
    process.advance(seconds(2));
    assert_eq!(gets(&process), 1, "the lease of format 2 does not count");
    assert_denies_only(&process, &["203.0.113.7"], &["192.0.2.1"]);
    assert_eq!(old_values(&process), of_format_2, "no VM writes its keys");
}

/// The keys and values of format 2.
fn old_values(process: &Process) -> Vec<(String, Vec<u8>)> {
    let world = process.world();
    let keys = world.keys().into_iter();
    let keys = keys.filter(|key| key.starts_with("portcullis/v2/"));
    keys.map(|key| (key.clone(), world.value_of(&key)))
        .collect()
}
