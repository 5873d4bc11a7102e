use serde_json::{Value, json};

use super::abs::{Abs, ips, list_response};
use super::process::{MAIN, Process};
use super::*;
use crate::fake_host::{Effects, Response, VmId};
use crate::secrets::secret;

/// The size of the record that replaces the manifest of a dropped list.
const DROPPED: usize = 32;

#[test]
fn validation_of_a_configuration_has_no_effects() {
    let configs = [
        config(),
        config_with(
            json!({"enable_abs": true, "traffic": {"format": "batch"}, "before_first_list": "deny"}),
        ),
        json!({}),
        json!({"deny_list": {"ips": ["192.0.2.1"]}}),
    ];
    for config in configs {
        let process = Process::new(0);
        process.configure(&config);
        // The first VM is the one that validates.
        assert_eq!(
            process.world().effects(VmId(1)),
            Effects::default(),
            "{config}"
        );
        assert_eq!(process.world().keys(), Vec::<String>::new());
        process.advance(seconds(2));
        assert_eq!(process.world().effects(VmId(1)), Effects::default());
    }
}

#[test]
fn configuration_has_no_effects_before_the_first_tick() {
    let process = Process::new(4);
    Abs::serving(process.world(), ips(&[]));
    process.configure(&config());
    for thread in process.threads() {
        let effects = process.world().effects(process.vm(thread));
        assert_eq!(effects, Effects::default(), "thread {thread}");
    }
}

#[test]
fn an_invalid_configuration_is_refused_with_every_error_and_the_active_one_stays() {
    let (process, _abs) = started(2, &config(), ips(&["192.0.2.1"]));
    let bad = config_with(json!({
        "enable_abs_atack": true,
        "attack_list_memory": "lots",
        "deny_list": {"usernames": [7], "oauth_tokens": [secret("token"), ""]},
    }));
    let errors = process.try_configure(&bad).unwrap_err();
    assert!(errors.len() >= 3, "{errors:#?}");
    for error in &errors {
        process
            .world()
            .inspect("a configuration error", error.as_bytes());
        let logs = process.world().logs();
        assert!(
            logs.iter().any(|(_, line)| line.contains(error.as_str())),
            "{error}"
        );
    }
    process.advance(seconds(65));
    assert_eq!(gets(&process), 2);
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
}

#[test]
fn a_change_during_a_fetch_repeats_the_fetch_once() {
    for workers_first in [false, true] {
        for seed in 0..20 {
            let process = Process::seeded(4, seed);
            if workers_first {
                process.configure_workers_first();
            }
            let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
            abs.hold();
            process.configure(&config());
            process.advance_until("a call", seconds(2), |process| gets(process) == 1);
            abs.serve();
            process.configure(&config_with(json!({"deny_list": {"ips": ["192.0.2.5"]}})));
            assert_eq!(
                process.world().pending().len(),
                0,
                "the old call was cancelled"
            );
            process.advance(seconds(4));
            assert_eq!(gets(&process), 2, "seed {seed}");
            assert_denies_only(&process, &["192.0.2.1", "192.0.2.5"], &["192.0.2.2"]);
            process.advance(seconds(50));
            assert_eq!(gets(&process), 2, "seed {seed}");
        }
    }
}

#[test]
fn changes_of_the_configuration_cause_no_more_fetches() {
    for workers_first in [false, true] {
        let (process, _abs) = started(4, &config(), ips(&["192.0.2.1"]));
        if workers_first {
            process.configure_workers_first();
        }
        for i in 0..50 {
            process.configure(&config_with(
                json!({"deny_list": {"ips": [format!("10.0.0.{i}")]}}),
            ));
            process.advance(millis(700));
            assert_denies_only(
                &process,
                &["192.0.2.1", &format!("10.0.0.{i}")],
                &["192.0.2.2"],
            );
        }
        assert_eq!(gets(&process), 1, "37 seconds of a minute's interval");
        process.advance(seconds(35));
        assert_eq!(gets(&process), 2);
    }
}

#[test]
fn changes_while_every_call_is_lost_fetch_at_most_once_a_second() {
    let process = Process::new(4);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.hold();
    for i in 0..50 {
        process.configure(&config_with(
            json!({"deny_list": {"ips": [format!("10.0.0.{i}")]}}),
        ));
        process.advance(millis(300));
    }
    assert!((2..=16).contains(&gets(&process)), "{}", gets(&process));
    abs.serve();
    process.advance(seconds(4));
    assert_denies_only(&process, &["192.0.2.1"], &[]);
}

#[test]
fn the_main_thread_fetches_whatever_the_order_of_configuration() {
    let (process, _abs) = started(
        4,
        &config_with(json!({"abs_attack_request_minutes": 0.2})),
        ips(&[]),
    );
    process.configure_workers_first();
    for i in 0..10 {
        process.configure(&config_with(json!({
            "abs_attack_request_minutes": 0.2,
            "deny_list": {"ips": [format!("10.0.0.{i}")]},
        })));
        process.advance(seconds(14));
    }
    let sent = process.world().sent();
    assert!(sent.len() >= 10);
    assert!(
        sent.iter()
            .all(|call| process.thread_of(call.vm) == Some(MAIN))
    );
}

#[test]
fn disabled_fetching_blocks_nothing_fetches_nothing_and_drops_the_list() {
    for workers_first in [false, true] {
        let list =
            json!({"ips": ["192.0.2.1", "198.51.100.0/24"], "usernames": [secret("mallory")]});
        let (process, abs) = started(4, &config(), list.clone());
        if workers_first {
            process.configure_workers_first();
        }
        // A second list, so that both slots are in use.
        abs.list(json!({"ips": ["192.0.2.1", "198.51.100.0/24"]}));
        process.advance(seconds(65));
        process.configure(&config_with(json!({"enable_abs_attack": false})));
        assert_denies_only(&process, &[], &["192.0.2.1", "198.51.100.7"]);
        process.advance(seconds(10));
        let world = process.world();
        for key in world.keys() {
            let end = &key[key.match_indices('/').nth(2).unwrap().0..];
            let left = world.value(end).unwrap();
            // The id of the oldest VM and the fingerprint key are not part of the list. A record that the list was dropped
            // replaces the manifest.
            let most = match end {
                "/eldest" | "/fingerprint_key" => 48,
                "/manifest" => DROPPED,
                _ => 0,
            };
            assert!(left.len() <= most, "{key} holds {} bytes", left.len());
        }
        for gauge in [
            "attack_list.entries.kind=ip",
            "attack_list.bytes",
            "attack_list.stale",
        ] {
            assert_eq!(world.metric(gauge), 0, "{gauge}");
        }
        process.advance(seconds(200));
        assert_eq!(gets(&process), 2);
        assert_denies_only(&process, &[], &["192.0.2.1", "198.51.100.7"]);

        abs.list(ips(&["192.0.2.2"]));
        process.configure(&config());
        process.advance(seconds(1));
        assert_eq!(gets(&process), 3, "turned on again it fetches at once");
        assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1", "198.51.100.7"]);
    }
}

#[test]
fn a_worker_that_paused_while_fetching_was_disabled_enforces_no_part_of_the_old_list() {
    let old = ips(&["192.0.2.1", "198.51.100.0/24"]);
    let (process, abs) = started(2, &config(), old);
    process.pause(1);
    process.configure(&config_with(json!({"enable_abs_attack": false})));
    process.advance(seconds(10));
    abs.hold();
    process.configure(&config());
    for worker in process.workers() {
        for address in ["192.0.2.1", "198.51.100.7"] {
            assert!(
                !process.denies(worker, &from(address)),
                "{worker} {address}"
            );
        }
    }
    abs.list(ips(&["192.0.2.2"]));
    process.resume(1);
    process.advance(seconds(10));
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1", "198.51.100.7"]);
    assert_eq!(process.world().metric("attack_list.generation"), 2);
}

#[test]
fn fetching_disabled_and_enabled_within_seconds_keeps_the_list_and_fetches_rarely() {
    let (process, _abs) = started(4, &config(), ips(&["192.0.2.1"]));
    for i in 0..20 {
        process.configure(&config_with(json!({"enable_abs_attack": false})));
        process.advance(millis(100 * i));
        assert_denies_only(&process, &[], &["192.0.2.1"]);
        process.configure(&config());
        process.advance(seconds(3));
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    }
    assert!(gets(&process) <= 21, "{}", gets(&process));
}

#[test]
fn ticks_end_when_fetching_is_disabled() {
    let (process, _abs) = started(2, &config(), ips(&["192.0.2.1"]));
    for _ in 0..5 {
        process.configure(&config_with(json!({"enable_abs_attack": false})));
        process.advance(seconds(20));
    }
    for thread in process.threads() {
        assert_eq!(
            process.tick_period(thread),
            None,
            "thread {thread} ticks for nothing"
        );
    }
}

#[test]
fn the_firewall_disabled_and_enabled_keeps_the_list_and_fetching() {
    let (process, _abs) = started(2, &config(), ips(&["192.0.2.1"]));
    process.configure(&config_with(json!({
        "enable_firewall": false,
        "deny_list": {"ips": ["192.0.2.5"]},
    })));
    assert_denies_only(&process, &[], &["192.0.2.1", "192.0.2.5"]);
    process.advance(seconds(65));
    assert_eq!(gets(&process), 2);
    assert_denies_only(&process, &[], &["192.0.2.1", "192.0.2.5"]);
    process.configure(&config());
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.5"]);
    assert_eq!(gets(&process), 2);
}

#[test]
fn a_new_source_is_fetched_at_once_and_only_its_list_is_enforced() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
    abs.list(ips(&["192.0.2.2"]));
    process.configure(&config_with(
        json!({"abs": {"cluster": "other-abs", "timeout": "5s"}}),
    ));
    process.advance(seconds(1));
    let sent = process.world().sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].cluster, "other-abs");
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
    // The old source's list is dropped.
    process.advance(seconds(10));
    let keys = process.world().keys().into_iter();
    let manifests: Vec<_> = keys.filter(|key| key.ends_with("/manifest")).collect();
    assert_eq!(manifests.len(), 2);
    let full = manifests
        .iter()
        .filter(|key| process.world().value_of(key).len() > DROPPED);
    assert_eq!(full.count(), 1);
}

#[test]
fn two_filters_with_different_sources_share_no_list() {
    let process = Process::new(2);
    process.world().set_abs(|call| {
        let listed = if call.cluster == "one" {
            "192.0.2.1"
        } else {
            "192.0.2.2"
        };
        crate::fake_host::Reaction::After(millis(20), list_response(&ips(&[listed])))
    });
    let of = |cluster: &str| config_with(json!({"abs": {"cluster": cluster}}));
    process.configure_filter(0, &of("one"));
    process.configure_filter(1, &of("two"));
    process.advance(seconds(2));
    assert_eq!(gets(&process), 2);
    for worker in process.workers() {
        for (filter, listed, not) in [(0, "192.0.2.1", "192.0.2.2"), (1, "192.0.2.2", "192.0.2.1")]
        {
            let denied = |address| {
                process
                    .request_to(worker, filter, &from(address))
                    .denied
                    .is_some()
            };
            assert!(denied(listed), "filter {filter}");
            assert!(!denied(not), "filter {filter}");
        }
    }
}

#[test]
fn two_filters_with_the_same_source_fetch_it_once_and_survive_each_other() {
    let process = Process::new(2);
    Abs::serving(process.world(), ips(&["192.0.2.1"]));
    process.configure_filter(0, &config());
    process.configure_filter(
        1,
        &config_with(json!({"deny_list": {"ips": ["192.0.2.5"]}})),
    );
    process.advance(seconds(10 * 66));
    assert!((10..=11).contains(&gets(&process)), "{}", gets(&process));
    let denied = |filter, address| {
        process
            .request_to(1, filter, &from(address))
            .denied
            .is_some()
    };
    assert!(denied(0, "192.0.2.1") && denied(1, "192.0.2.1"));
    assert!(!denied(0, "192.0.2.5") && denied(1, "192.0.2.5"));

    process.remove_filter(1);
    let before = gets(&process);
    process.advance(seconds(10 * 66));
    let later = gets(&process) - before;
    assert!((9..=11).contains(&later), "{later}");
    assert!(process.denies(1, &from("192.0.2.1")));
}

#[test]
fn a_draining_configuration_does_not_double_the_fetches() {
    let process = Process::new(3);
    process.drain();
    Abs::serving(process.world(), ips(&["192.0.2.1"]));
    process.configure(&config());
    process.advance(seconds(2));
    process.configure(&config_with(json!({"deny_list": {"ips": ["192.0.2.5"]}})));
    process.advance(seconds(10 * 66));
    assert!((10..=12).contains(&gets(&process)), "{}", gets(&process));
    process.drop_old_roots();
    let before = gets(&process);
    process.advance(seconds(5 * 66));
    assert!((5..=6).contains(&(gets(&process) - before)));
    assert_denies_only(&process, &["192.0.2.1", "192.0.2.5"], &["192.0.2.2"]);
}

#[test]
fn a_draining_configuration_keeps_its_list_beside_one_without_fetching() {
    let process = Process::new(2);
    process.drain();
    Abs::serving(process.world(), ips(&["192.0.2.1"]));
    process.configure(&config());
    process.advance(seconds(2));
    process.configure(&config_with(json!({"enable_abs_attack": false})));
    assert_denies_only(&process, &[], &["192.0.2.1"]);
    process.advance(seconds(120));
    let manifest = process.world().value("/manifest").unwrap();
    assert!(
        !manifest.is_empty(),
        "the draining filter still enforces it"
    );
    process.drop_old_roots();
    process.advance(seconds(60));
    assert_eq!(process.world().value("/manifest").unwrap().len(), DROPPED);
    assert_denies_only(&process, &[], &["192.0.2.1"]);
}

#[test]
fn a_response_to_a_draining_configuration_is_accepted() {
    let process = Process::new(2);
    process.drain();
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.latency(seconds(3));
    process.configure(&config_with(
        json!({"abs": {"cluster": "abs", "timeout": "30s"}}),
    ));
    process.advance(seconds(1));
    assert_eq!(gets(&process), 1);
    process.configure(&config_with(json!({
        "abs": {"cluster": "abs", "timeout": "30s"},
        "deny_list": {"ips": ["192.0.2.5"]},
    })));
    process.advance(seconds(4));
    assert_eq!(gets(&process), 1);
    assert_denies_only(&process, &["192.0.2.1", "192.0.2.5"], &["192.0.2.2"]);
}

#[test]
fn new_credentials_keep_the_list() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
    abs.respond(Response::new(401, "who are you?"));
    let mut with_new_key = config();
    with_new_key["abs"]["secret_key"] = json!(secret("another-key"));
    process.configure(&with_new_key);
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    process.advance(seconds(70));
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    let key = process.world().sent()[1]
        .header("x-abs-sk")
        .unwrap()
        .to_owned();
    assert_eq!(Value::from(key), with_new_key["abs"]["secret_key"]);
}

#[test]
fn an_empty_configuration_blocks_nothing_and_uses_no_shared_data_and_no_calls() {
    let process = Process::new(1);
    process.configure(&json!({}));
    process.advance(seconds(20));
    assert!(!process.denies(1, &from("192.0.2.1")));
    let effects = process.world().effects(process.vm(1));
    assert_eq!((effects.writes, effects.reads, effects.calls), (0, 0, 0));
    assert_eq!(process.tick_period(1), None);
}

#[test]
fn a_thread_that_paused_for_long_keeps_its_configurations() {
    for pause in [1, 5, 60, 600] {
        let process = Process::new(1);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        for filter in 0..12 {
            let mut own = config();
            own["deny_list"] = json!({"ips": [format!("192.0.2.{}", 100 + filter)]});
            process.configure_filter(filter, &own);
        }
        let assert_each_judges_by_its_own = || {
            for filter in 0..12 {
                for listed in 0..12 {
                    let request = from(&format!("192.0.2.{}", 100 + listed));
                    let denied = process.request_to(1, filter, &request).denied.is_some();
                    assert_eq!(
                        denied,
                        filter == listed,
                        "{filter} {listed}, {pause} s of pause"
                    );
                }
            }
        };
        // Right after its configuration, and when ticks are rare.
        for before in [millis(0), seconds(14)] {
            process.advance(before);
            process.pause(1);
            process.advance(seconds(pause));
            process.resume(1);
            process.advance(seconds(2));
            assert_each_judges_by_its_own();
        }
    }
}

#[test]
fn many_filters_of_one_vm_keep_their_calls() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.latency(seconds(2));
    for filter in 0..12 {
        process.configure_filter(
            filter,
            &config_with(json!({
                "enable_abs": true,
                "traffic": {"format": "batch"},
                "deny_list": {"ips": [format!("192.0.2.{}", 100 + filter)]},
            })),
        );
    }
    process.advance(seconds(5));
    assert_eq!(gets(&process), 1);
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    process.advance(seconds(10));
    let records = process.world().sent().into_iter();
    let records = records.filter(|call| call.header(":method") == Some("POST"));
    assert_eq!(records.count(), 1, "the two records are sent once");
    assert_eq!(process.world().metric("traffic.sent"), 2);
}
