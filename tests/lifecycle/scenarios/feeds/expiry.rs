use core::time::Duration;

use serde_json::json;

use super::*;

const LAPI: &Known = &FEEDS[1];

/// A scope, a value and a duration; a decision without a duration does not end.
type Decision<'a> = (&'a str, &'a str, Option<&'a str>);

/// A process with one feed of LAPI, which is fetched once a minute, and the time at which its first list was received.
fn started_with_decisions(list: &[Decision<'_>]) -> (Process, Servers, Duration) {
    let process = Process::new(4);
    let servers = Servers::of(process.world());
    servers.respond("lapi", decisions(list));
    process.configure(&only(&[feed("lapi", json!({}))]));
    let received = next_list(&process);
    (process, servers, received)
}

/// Waits until the next list is active on every worker; returns the time at which it was received.
fn next_list(process: &Process) -> Duration {
    let before = LAPI.fetches(process, "ok");
    process.advance_until("the next list", seconds(70), |process| {
        LAPI.fetches(process, "ok") > before
    });
    let received = process.world().now();
    process.advance(seconds(2));
    received
}

/// Waits until this time.
fn wait_until(process: &Process, time: Duration) {
    let now = process.world().now();
    process.advance(time.checked_sub(now).expect("the time is in the future"));
}

#[track_caller]
fn assert_user(process: &Process, name: &str, is_denied: bool) {
    for worker in process.workers() {
        let request = Request::get("/").basic(name);
        assert_eq!(
            process.denies(worker, &request),
            is_denied,
            "worker {worker}"
        );
    }
}

fn n_new_lists(process: &Process) -> usize {
    let lines = lines_with(process, "is active");
    assert!(lines.iter().all(|line| line.starts_with("list lapi ")));
    lines.len()
}

#[test]
fn entries_end_by_themselves_between_two_fetches_on_every_worker() {
    let (early, late) = (user(1), user(2));
    let (process, servers, received) = started_with_decisions(&[
        ("Ip", "192.0.2.1", Some("20s")),
        ("Ip", "2001:db8::1", Some("20s")),
        ("Range", "198.51.100.0/24", Some("20s")),
        ("Range", "2001:db8:1::/48", Some("20s")),
        ("username", &early, Some("20s")),
        ("Ip", "192.0.2.2", Some("40s")),
        ("Range", "203.0.113.0/25", Some("39.5s")),
        ("username", &late, Some("40s")),
    ]);
    servers.respond("lapi", Response::new(500, ""));
    let of_20 = ["192.0.2.1", "2001:db8::1", "198.51.100.7", "2001:db8:1::7"];
    let of_40 = ["192.0.2.2", "203.0.113.7"];
    wait_until(&process, received + seconds(19));
    assert_denies_only(&process, &[&of_20[..], &of_40].concat(), &["192.0.2.3"]);
    assert_user(&process, &early, true);
    wait_until(&process, received + seconds(21));
    assert_denies_only(&process, &of_40, &of_20);
    assert_user(&process, &early, false);
    assert_user(&process, &late, true);
    wait_until(&process, received + seconds(39));
    assert_denies_only(&process, &of_40, &[]);
    wait_until(&process, received + seconds(41));
    assert_denies_only(&process, &[], &of_40);
    assert_user(&process, &late, false);
    assert_eq!(gets(&process), 1);
    // A new VM reads the same list, and starts no time to live again.
    process.kill(2);
    assert_denies_only(&process, &[], &[&of_20[..], &of_40].concat());
}

#[test]
fn of_overlapping_ranges_and_repeated_entries_the_longest_counts() {
    let (process, _servers, received) = started_with_decisions(&[
        ("Range", "198.51.100.0/24", Some("30s")),
        ("Range", "198.51.100.64/26", Some("50s")),
        ("Range", "198.51.100.0/28", Some("10s")),
        ("Ip", "198.51.100.5", Some("40s")),
        ("Range", "203.0.113.0/24", None),
        ("Range", "203.0.113.0/25", Some("10s")),
        ("Ip", "192.0.2.1", Some("40s")),
        ("Ip", "192.0.2.1", Some("10s")),
        ("Ip", "192.0.2.2", Some("10s")),
        ("Ip", "192.0.2.2", Some("40s")),
    ]);
    let ends = [
        ("198.51.100.1", 30),
        ("198.51.100.5", 40),
        ("198.51.100.63", 30),
        ("198.51.100.64", 50),
        ("198.51.100.127", 50),
        ("198.51.100.128", 30),
        ("203.0.113.1", u64::MAX),
        ("192.0.2.1", 40),
        ("192.0.2.2", 40),
    ];
    for time in [9, 11, 29, 31, 39, 41, 49, 51] {
        wait_until(&process, received + seconds(time));
        for (address, end) in ends {
            match time < end {
                true => assert_denies_only(&process, &[address], &[]),
                false => assert_denies_only(&process, &[], &[address]),
            }
        }
    }
    assert_eq!(gets(&process), 1);
}

#[test]
fn the_next_list_extends_and_shortens_the_time_to_live() {
    let name = user(1);
    let list = |duration: Option<&'static str>| {
        [
            ("Ip", "192.0.2.1", duration),
            ("Range", "198.51.100.0/24", duration),
        ]
    };
    let with_user = |duration| {
        let mut all = list(duration).to_vec();
        all.push(("username", name.as_str(), duration));
        all
    };
    let listed = ["192.0.2.1", "198.51.100.7"];
    let (process, servers, first) = started_with_decisions(&with_user(Some("70s")));
    servers.respond("lapi", decisions(&with_user(Some("68s"))));
    let second = next_list(&process);
    servers.respond("lapi", Response::new(500, ""));
    wait_until(&process, second + seconds(67));
    assert!(second + seconds(67) > first + seconds(70) + seconds(30));
    assert_denies_only(&process, &listed, &[]);
    assert_user(&process, &name, true);
    wait_until(&process, second + seconds(69));
    assert_denies_only(&process, &[], &listed);
    assert_user(&process, &name, false);

    // A shorter one, while the earlier list would still deny.
    servers.respond("lapi", decisions(&with_user(Some("4h"))));
    next_list(&process);
    servers.respond("lapi", decisions(&with_user(Some("30s"))));
    let shorter = next_list(&process);
    wait_until(&process, shorter + seconds(29));
    assert_denies_only(&process, &listed, &[]);
    wait_until(&process, shorter + seconds(31));
    assert_denies_only(&process, &[], &listed);
    assert_user(&process, &name, false);
}

#[test]
fn the_same_entries_with_other_times_to_live_are_not_logged_as_a_new_list() {
    let (process, servers, _) = started_with_decisions(&[
        ("Ip", "192.0.2.1", Some("4h")),
        ("Range", "198.51.100.0/24", Some("4h")),
    ]);
    for duration in ["3h59m", "3h58m", "8h"] {
        servers.respond(
            "lapi",
            decisions(&[
                ("Range", "198.51.100.0/24", Some(duration)),
                ("Ip", "192.0.2.1", Some(duration)),
            ]),
        );
        next_list(&process);
        assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.2"]);
    }
    assert_eq!(n_new_lists(&process), 1);
    // It was written each time: the times to live have changed.
    assert_eq!(LAPI.metric(&process, "attack_list", "generation"), 4);
    servers.respond("lapi", decisions(&[("Ip", "192.0.2.2", Some("4h"))]));
    next_list(&process);
    assert_eq!(n_new_lists(&process), 2);
}

#[test]
fn an_entry_without_a_duration_does_not_end() {
    let (lasting, ending) = (user(1), user(2));
    let (process, servers, _) = started_with_decisions(&[
        ("Ip", "192.0.2.1", None),
        ("Range", "198.51.100.0/24", Some("")),
        ("username", &lasting, None),
        ("Ip", "192.0.2.2", Some("10m")),
        ("Range", "203.0.113.0/25", Some("10m")),
        ("username", &ending, Some("10m")),
    ]);
    servers.respond("lapi", Response::new(500, ""));
    process.advance(seconds(1_200));
    assert_denies_only(
        &process,
        &["192.0.2.1", "198.51.100.7"],
        &["192.0.2.2", "203.0.113.7"],
    );
    assert_user(&process, &lasting, true);
    assert_user(&process, &ending, false);
}

#[test]
fn a_list_that_loses_its_durations_lasts_and_one_that_gets_them_ends() {
    // Apart, since a list of both is not taken for the same one.
    let entries = [
        ("Ip", "192.0.2.1", "192.0.2.1"),
        ("Range", "198.51.100.0/24", "198.51.100.7"),
    ];
    for (scope, value, client) in entries {
        for [before, after] in [[Some("90s"), None], [None, Some("90s")]] {
            let (process, servers, _) = started_with_decisions(&[("Ip", "192.0.2.9", None)]);
            servers.respond("lapi", decisions(&[(scope, value, before)]));
            next_list(&process);
            assert_denies_only(&process, &[client], &["192.0.2.9"]);
            servers.respond("lapi", decisions(&[(scope, value, after)]));
            next_list(&process);
            servers.respond("lapi", Response::new(500, ""));
            process.advance(seconds(300));
            match after {
                None => assert_denies_only(&process, &[client], &[]),
                Some(_) => assert_denies_only(&process, &[], &[client]),
            }
        }
    }
}

#[test]
fn an_ended_entry_hides_no_entry_of_another_kind_or_feed() {
    let name = user(1);
    let (process, servers) = first_versions();
    servers.respond(
        "lapi",
        decisions(&[
            ("Ip", "192.0.2.1", Some("10s")),
            ("Range", "192.0.2.0/24", Some("10s")),
            ("username", &name, Some("1h")),
        ]),
    );
    servers.respond("drop", text(&["192.0.2.1"]));
    process.configure(&only(&[feed("lapi", json!({})), feed("drop", json!({}))]));
    process.advance(seconds(5));
    let client = from("192.0.2.1");
    let known = client.clone().basic(&name);
    for worker in process.workers() {
        let expected = Some("denied lapi ip".to_owned());
        assert_eq!(state(&process, worker, &client), expected);
        assert_eq!(state(&process, worker, &known), expected);
    }
    process.advance(seconds(10));
    for worker in process.workers() {
        let of = |request| state(&process, worker, request);
        assert_eq!(of(&client).as_deref(), Some("denied drop ip"));
        assert_eq!(of(&known).as_deref(), Some("denied lapi username"));
        assert_eq!(of(&from("192.0.2.2")), None);
    }
}

#[test]
fn the_loss_guard_of_crowdsec_counts_only_entries_that_have_not_ended() {
    // (lasting entries, entries of 20 seconds, entries of the next list, whether it is accepted)
    let table = [
        (0, 2_000, 3, true),
        (2_000, 0, 1_000, true),
        (2_000, 0, 999, false),
        (2_000, 0, 3, false),
        (1_500, 3_000, 750, true),
        (1_500, 3_000, 749, false),
        // The guard applies to lists with more than 1,000 entries.
        (1_000, 0, 3, true),
        (1_000, 5_000, 3, true),
        (2_000, 0, 9_000, true),
    ];
    for (lasting, ending, next, is_accepted) in table {
        let what = format!("{lasting} and {ending}, then {next}");
        let address = |block: u8, n: u32| format!("11.{block}.{}.{}", n / 256, n % 256);
        let entries = |block: u8, n: u32, duration: &'static str| {
            let of_block = (0..n).map(move |n| address(block, n));
            of_block.map(move |address| (address, duration))
        };
        let response = |entries: &[(String, &str)]| {
            let list = entries.iter();
            let list = list.map(|(address, duration)| ("Ip", address.as_str(), Some(*duration)));
            decisions(&list.collect::<Vec<_>>())
        };
        let process = Process::new(2);
        let servers = Servers::of(process.world());
        let first = entries(1, lasting, "4h").chain(entries(2, ending, "20s"));
        servers.respond("lapi", response(&first.collect::<Vec<_>>()));
        process.configure(&only(&[feed("lapi", json!({}))]));
        next_list(&process);
        if ending > 0 {
            assert_denies_only(&process, &["11.2.0.0"], &[]);
        }
        let second: Vec<_> = entries(3, next, "4h").collect();
        servers.respond("lapi", response(&second));
        process.advance(seconds(70));
        let refused = LAPI.fetches(&process, "refused");
        let kept = if lasting > 0 { &["11.1.0.0"][..] } else { &[] };
        assert_eq!(refused == 0, is_accepted, "{what}");
        match is_accepted {
            true => assert_denies_only(&process, &["11.3.0.0"], kept),
            false => {
                assert_denies_only(&process, kept, &["11.3.0.0", "11.2.0.0"]);
                let lines = lines_with(&process, "(refused)");
                assert!(
                    lines.len() == 1
                        && lines[0].contains(&format!("from {lasting} to {next}"))
                        && lines[0].contains("the active list stays"),
                    "{what}: {lines:#?}"
                );
            }
        }
    }
}
