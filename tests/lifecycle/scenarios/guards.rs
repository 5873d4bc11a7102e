use serde_json::{Value, json};

use super::abs::{Abs, ips};
use super::process::Process;
use super::*;
use crate::fake_host::Response;
use crate::secrets::secret;

/// `n` consecutive addresses, the first of which is `10.<block>.0.0`.
fn block(block: u8, n: u32) -> Vec<String> {
    (0..n)
        .map(|i| format!("10.{block}.{}.{}", i / 256, i % 256))
        .collect()
}

/// Asserts that `list` is refused as `result` with `message` in the log while a small list is active, and that it is
/// accepted with the configuration `lax`.
#[track_caller]
fn assert_refused_until(strict: &Value, lax: &Value, list: Value, result: &str, message: &str) {
    let (process, abs) = started(2, strict, ips(&["192.0.2.1"]));
    abs.list(list);
    process.advance(seconds(70));
    assert!(
        process.world().fetches()[result] >= 1,
        "{:?}",
        process.world().fetches()
    );
    assert_denies_only(&process, &["192.0.2.1"], &["10.1.0.0", "172.16.0.1"]);
    assert_eq!(process.world().metric("attack_list.generation"), 1);
    assert_eq!(process.world().metric("attack_list.entries.kind=ip"), 1);
    let logs = process.world().logs();
    assert!(
        logs.iter().any(|(_, line)| line.contains(message)),
        "{logs:#?}"
    );
    process.configure(lax);
    process.advance(seconds(65));
    assert_denies_only(&process, &["10.1.0.0"], &["192.0.2.1"]);
}

#[test]
fn a_list_over_its_memory_is_refused_and_the_active_list_stays() {
    assert_refused_until(
        &config_with(json!({"attack_list_memory": "8KB"})),
        &config_with(json!({"attack_list_memory": "16KB"})),
        json!({"ips": block(1, 1_000)}),
        "memory",
        "attack_list_memory",
    );
}

#[test]
fn a_first_list_over_its_memory_leaves_no_active_list() {
    let process = Process::new(2);
    Abs::serving(process.world(), json!({"ips": block(1, 1_000)}));
    process.configure(&config_with(json!({"attack_list_memory": "8KB"})));
    process.advance(seconds(30));
    assert_denies_only(&process, &[], &["10.1.0.0"]);
    assert_eq!(process.world().value("/manifest"), None);
}

#[test]
fn the_size_of_a_list_is_a_metric_and_within_its_bound() {
    let (process, _abs) = started(1, &config(), json!({"ips": block(1, 50_000)}));
    let shown = process.world().metric("attack_list.bytes");
    let stored: usize = process
        .world()
        .keys()
        .iter()
        .filter(|key| key.contains("/a/"))
        .map(|key| process.world().value_of(key).len())
        .sum();
    assert_eq!(shown, stored as u64);
    assert!(shown < 50_000 * 10, "{shown}");
}

#[test]
fn a_range_wider_than_the_guard_refuses_the_list() {
    for (range, guard) in [
        ("172.0.0.0/7", json!({"widest_ipv4": 7})),
        ("0.0.0.0/0", json!({"widest_ipv4": 0})),
        ("::/0", json!({"widest_ipv6": 0})),
        ("2001::/31", json!({"widest_ipv6": 31})),
    ] {
        let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
        abs.list(json!({"ips": ["10.1.0.0", range]}));
        process.advance(seconds(70));
        assert!(process.world().fetches()["refused"] >= 1);
        assert_denies_only(
            &process,
            &["192.0.2.1"],
            &["10.1.0.0", "172.16.0.1", "2001::1"],
        );
        process.configure(&config_with(json!({"guard": guard})));
        process.advance(seconds(65));
        assert_denies_only(&process, &["10.1.0.0"], &[]);
    }
}

#[test]
fn a_list_with_more_unusable_entries_than_the_guard_is_refused() {
    let list = |usable: u32, unusable: u32| {
        let mut entries = block(1, usable);
        entries.extend((0..unusable).map(|i| format!("name-{i}")));
        json!({ "ips": entries })
    };
    assert_refused_until(
        &config(),
        &config_with(json!({"guard": {"max_skipped_percent": 11}})),
        list(90, 11),
        "malformed",
        "11 of the 101 entries of the attack list can't be used, more than guard.max_skipped_percent allows: \
         ips 11 of 101 (entry 91 of ips: not an address or a CIDR range)",
    );
    assert_refused_until(
        &config_with(json!({"guard": {"max_skipped_percent": 0}})),
        &config_with(json!({"guard": {"max_skipped_percent": 100}})),
        list(1_000, 1),
        "malformed",
        "guard.max_skipped_percent",
    );
    for (usable, unusable) in [(91, 10), (1, 99)] {
        let (process, _abs) = started(1, &config(), list(usable, unusable));
        assert_denies_only(&process, &["10.1.0.0"], &[]);
        let skipped = u64::from(unusable);
        assert_eq!(process.world().metric("entries_skipped"), skipped);
    }
}

#[test]
fn entries_in_the_allow_list_and_never_block_are_not_counted_as_skipped() {
    let config = config_with(json!({
        "allow_list": {"ips": ["192.0.2.1"], "usernames": [secret("alice")]},
        "guard": {"never_block": ["198.51.100.0/24"]},
    }));
    let list = json!({
        "ips": ["192.0.2.1", "198.51.100.7", "198.51.100.0/28", "192.0.2.2"],
        "usernames": [secret("alice")],
    });
    let (process, _abs) = started(1, &config, list);
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1", "198.51.100.7"]);
    assert_eq!(process.world().metric("entries_skipped"), 0);
    assert_eq!(process.world().metric("attack_list.entries.kind=ip"), 4);
}

#[test]
fn a_range_as_wide_as_the_guard_is_accepted() {
    let (process, _abs) = started(1, &config(), ips(&["10.0.0.0/8", "2001:db8::/32"]));
    assert_denies_only(
        &process,
        &["10.255.0.1", "2001:db8:ffff::1"],
        &["11.0.0.0", "2001:db9::"],
    );
}

#[test]
fn a_list_that_changes_more_than_the_guard_is_refused() {
    let strict = config_with(json!({"guard": {"max_change_percent": 50}}));
    let (process, abs) = started(2, &strict, json!({"ips": block(2, 2_000)}));
    for (n, result) in [(3_001, "refused"), (999, "refused"), (3_000, "ok")] {
        let before = process.world().fetches().get(result).copied().unwrap_or(0);
        abs.list(json!({"ips": block(1, n)}));
        process.advance(seconds(130));
        assert!(process.world().fetches()[result] > before, "{n} entries");
        let accepted = result == "ok";
        for worker in process.workers() {
            assert_eq!(
                process.denies(worker, &from("10.1.0.0")),
                accepted,
                "{n} entries"
            );
            assert_eq!(
                process.denies(worker, &from("10.2.0.0")),
                !accepted,
                "{n} entries"
            );
        }
    }
}

#[test]
fn small_lists_can_change_completely() {
    let strict = config_with(json!({"guard": {"max_change_percent": 1}}));
    let (process, abs) = started(1, &strict, json!({"ips": block(2, 1)}));
    abs.list(json!({"ips": block(1, 1_000)}));
    process.advance(seconds(65));
    assert_denies_only(&process, &["10.1.0.0"], &["10.2.0.0"]);
}

#[test]
fn never_block_applies_to_the_active_list() {
    let (process, _abs) = started(
        2,
        &config(),
        ips(&["192.0.2.1", "198.51.100.0/24", "2001:db8::/48"]),
    );
    assert_denies_only(&process, &["192.0.2.1", "198.51.100.7", "2001:db8::7"], &[]);
    process.configure(&config_with(json!({
        "guard": {"never_block": ["192.0.2.0/24", "198.51.100.0/28", "2001:db8::/64"]},
        "deny_list": {"ips": ["192.0.2.5"]},
    })));
    let (denied, passed) = (
        ["198.51.100.16", "2001:db8:0:1::7", "192.0.2.5"],
        ["192.0.2.1", "198.51.100.7", "2001:db8::7"],
    );
    assert_denies_only(&process, &denied, &passed);
    process.advance(seconds(65));
    assert_eq!(gets(&process), 2);
    assert_denies_only(&process, &denied, &passed);
}

#[test]
fn the_unspecified_address_is_never_listed() {
    let (process, _abs) = started(1, &config(), ips(&["0.0.0.0", "::", "192.0.2.1"]));
    assert_denies_only(&process, &["192.0.2.1"], &["0.0.0.0", "::"]);
    assert_eq!(process.world().metric("entries_skipped"), 2);
}

#[test]
fn a_worker_above_max_denied_percent_only_counts_until_the_share_falls() {
    let config = config_with(json!({
        "guard": {"max_denied_percent": 50},
        "deny_list": {"ips": ["192.0.2.5"]},
    }));
    let (process, _abs) = started(2, &config, ips(&["192.0.2.1"]));
    let send = |worker, address, n| {
        (0..n)
            .filter(|_| process.denies(worker, &from(address)))
            .count()
    };
    assert_eq!(send(1, "192.0.2.1", 60), 60);
    assert_eq!(send(1, "192.0.2.9", 50), 0);
    process.advance(seconds(1));
    assert_eq!(send(1, "192.0.2.1", 1), 0, "60 of 110 are too many");
    let outcome = process.request(1, &from("192.0.2.1"));
    assert_eq!(outcome.filter_state.as_deref(), Some("would_deny abs ip"));
    // The manual list is still enforced, and so is the list on the other worker.
    assert_eq!(send(1, "192.0.2.5", 1), 1);
    assert_eq!(send(2, "192.0.2.1", 1), 1);
    assert!(process.world().metric("would_deny.source=abs.kind=ip") >= 2);
    // With clean traffic the share falls within about a minute.
    for _ in 0..9 {
        send(1, "192.0.2.9", 20);
        process.advance(seconds(10));
    }
    assert_eq!(send(1, "192.0.2.1", 1), 1);
    let n_lines = |part: &str| {
        let logs = process.world().logs();
        logs.iter().filter(|(_, line)| line.contains(part)).count()
    };
    assert_eq!(n_lines("only counts"), 1);
    assert_eq!(n_lines("enforces it again"), 1);
}

#[test]
fn before_first_list_decides_until_there_is_a_list() {
    for (policy, denied) in [("allow", false), ("deny", true)] {
        let process = Process::new(2);
        let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
        abs.respond(Response::new(500, ""));
        process.configure(&config_with(json!({
            "before_first_list": policy,
            "allow_list": {"ips": ["192.0.2.8"], "usernames": [secret("alice")]},
            "deny_list": {"ips": ["192.0.2.5"]},
            "apis": [{"url": "/open", "enable_blocking": false}, {"url": "/watched", "mode": "shadow"}, {}],
        })));
        for time in [0, 30] {
            process.advance(seconds(time));
            for worker in process.workers() {
                let outcome = process.request(worker, &from("192.0.2.9"));
                assert_eq!(outcome.denied.is_some(), denied);
                if let Some(reply) = outcome.denied {
                    assert_eq!(reply.details, "portcullis_denied_abs_no_list");
                    assert_eq!(outcome.filter_state.as_deref(), Some("denied abs no_list"));
                }
                assert!(!process.denies(worker, &from("192.0.2.8")));
                assert!(!process.denies(worker, &from("192.0.2.9").basic(&secret("alice"))));
                assert!(!process.denies(worker, &Request::get("/open/x").from("192.0.2.9")));
                assert!(!process.denies(worker, &Request::get("/watched").from("192.0.2.9")));
                assert!(process.denies(worker, &from("192.0.2.5")));
            }
        }
        abs.serve();
        process.advance(seconds(62));
        assert_denies_only(&process, &["192.0.2.1", "192.0.2.5"], &["192.0.2.9"]);
    }
}

#[test]
fn an_empty_list_is_a_list() {
    let (process, _abs) = started(
        2,
        &config_with(json!({"before_first_list": "deny"})),
        ips(&[]),
    );
    assert_denies_only(&process, &[], &["192.0.2.1"]);
}

#[test]
fn when_stale_decides_about_a_stale_list_until_it_is_fresh() {
    for (policy, kept) in [("keep", true), ("drop", false)] {
        let config = config_with(json!({"attack_list_max_age": "100s", "when_stale": policy}));
        let (process, abs) = started(2, &config, ips(&["192.0.2.1"]));
        abs.respond(Response::new(500, ""));
        process.advance(seconds(90));
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        assert_eq!(process.world().metric("attack_list.stale"), 0);
        process.advance(seconds(15));
        assert_eq!(process.world().metric("attack_list.stale"), 1);
        for worker in process.workers() {
            assert_eq!(process.denies(worker, &from("192.0.2.1")), kept, "{policy}");
        }
        abs.serve();
        process.advance(seconds(62));
        assert_eq!(process.world().metric("attack_list.stale"), 0);
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    }
}

#[test]
fn a_confirmed_list_does_not_become_stale() {
    let config = config_with(json!({"attack_list_max_age": "100s", "when_stale": "drop"}));
    let (process, abs) = started(2, &config, ips(&[]));
    let abs = abs.with_etags();
    abs.list(ips(&["192.0.2.1"]));
    process.advance(seconds(400));
    assert!(process.world().fetches()["not_modified"] >= 4);
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
}

#[test]
fn a_dropped_stale_list_is_not_a_missing_first_list() {
    let config = config_with(json!({
        "attack_list_max_age": "100s", "when_stale": "drop", "before_first_list": "deny",
    }));
    let (process, abs) = started(2, &config, ips(&["192.0.2.1"]));
    abs.respond(Response::new(500, ""));
    process.advance(seconds(110));
    assert_denies_only(&process, &[], &["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_longer_max_age_makes_a_stale_list_fresh() {
    for max_age in [json!("24h"), json!(null)] {
        let strict = config_with(json!({"attack_list_max_age": "100s", "when_stale": "drop"}));
        let (process, abs) = started(2, &strict, ips(&["192.0.2.1"]));
        abs.respond(Response::new(500, ""));
        process.advance(seconds(110));
        assert_denies_only(&process, &[], &["192.0.2.1"]);
        process.configure(&config_with(
            json!({"attack_list_max_age": max_age, "when_stale": "drop"}),
        ));
        process.advance(seconds(1));
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        assert_eq!(process.world().metric("attack_list.stale"), 0);
    }
}
