use core::hash::Hasher;

use serde_json::json;
use siphasher::sip::SipHasher13;

use super::abs::ips;
use super::process::Process;
use super::*;
use crate::fake_host::Response;
use log::Level;

/// Every VM of the old module is gone, and the new one's have come in their place. Shared data stays.
fn replace_the_module(process: &Process, config: &Value) {
    process.threads().for_each(|thread| process.kill(thread));
    process.configure(config);
}

/// The value as a version with the next format would have written it, checksum and all.
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
fn what_a_version_of_another_format_left_counts_for_nothing_and_the_list_is_fetched_at_once() {
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
        // Not a word of the other list is believed: it is as if none had come.
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
        let grave = world.logs();
        let grave = grave.iter().filter(|(level, _)| *level <= Level::Warn);
        assert_eq!(grave.count(), 0, "{:#?}", world.logs());
        process.advance(seconds(30));
        assert_eq!(gets(&process), 2, "once is enough");
    }
}

#[test]
fn a_version_of_the_same_format_takes_the_list_over_without_a_fetch_even_with_abs_down() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1", "198.51.100.0/24"]));
    abs.respond(Response::new(503, ""));
    for _ in 0..5 {
        replace_the_module(&process, &config());
        assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.9"]);
        process.advance(seconds(8));
    }
    assert_eq!(gets(&process), 1, "40 seconds of a minute's interval");
    process.advance(seconds(60));
    assert!(gets(&process) > 1);
    assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.9"]);
}
