use serde_json::json;

use super::abs::{Abs, ips};
use super::process::{MAIN, Process};
use super::*;
use crate::fake_host::Response;

/// The time of each fetch since the start of the process.
fn times(process: &Process) -> Vec<Duration> {
    let sent = process.world().sent();
    let gets = sent.iter().filter(|call| call.is_get());
    gets.map(|call| call.at).collect()
}

fn gaps(process: &Process) -> Vec<Duration> {
    let times = times(process);
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The jitter is at most a tenth, and a tick must follow.
fn assert_about(gap: Duration, wait: Duration) {
    let latest = wait + wait / 10 + millis(300);
    assert!(
        gap >= wait && gap <= latest,
        "{gap:?} is not about {wait:?}"
    );
}

#[test]
fn only_the_main_thread_fetches_once_per_interval() {
    for n_workers in [1, 4, 16] {
        let process = Process::seeded(n_workers, n_workers as u64);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        process.configure(&config_with(json!({"abs_attack_request_minutes": 0.2})));
        for _ in 0..(20 * 13) {
            process.advance(seconds(1));
            for worker in process.workers() {
                process.denies(worker, &from("192.0.2.9"));
            }
        }
        let gaps = gaps(&process);
        assert!((19..=21).contains(&gaps.len()), "{} fetches", gaps.len());
        for gap in gaps {
            assert_about(gap, seconds(12));
        }
        for call in process.world().sent() {
            assert_eq!(
                process.thread_of(call.vm),
                Some(MAIN),
                "{n_workers} workers"
            );
        }
        assert_eq!(process.world().fetches()["ok"], gets(&process) as u64);
    }
}

#[test]
fn idle_workers_leave_fetching_to_the_main_thread() {
    for seed in 0..20 {
        let process = Process::seeded(8, seed);
        Abs::serving(process.world(), ips(&["192.0.2.1"]));
        process.configure(&config());
        process.advance(seconds(10 * 66));
        let sent = process.world().sent();
        assert!((10..=11).contains(&sent.len()), "{} fetches", sent.len());
        assert!(
            sent.iter()
                .all(|call| process.thread_of(call.vm) == Some(MAIN)),
            "seed {seed}"
        );
    }
}

#[test]
fn the_first_list_is_fetched_at_the_first_ticks_and_active_soon() {
    let process = Process::new(4);
    Abs::serving(process.world(), ips(&["192.0.2.1"]));
    process.configure(&config());
    process.advance(millis(500));
    assert_eq!(gets(&process), 1);
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
}

#[test]
fn a_new_list_is_active_on_every_worker_within_a_second() {
    let (process, abs) = started(4, &config(), ips(&["192.0.2.1"]));
    abs.list(ips(&["192.0.2.2"]));
    process.advance_until("a second fetch", seconds(70), |process| gets(process) == 2);
    process.advance(seconds(1));
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
}

#[test]
fn the_backoff_grows_with_failures_and_a_success_resets_it() {
    let process = Process::new(2);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.respond(Response::new(500, "oops"));
    process.configure(&config_with(json!({"abs_attack_request_minutes": 0.5})));
    process.advance(seconds(200));
    let waits = [1, 2, 4, 8, 16, 30, 30, 30];
    for (gap, wait) in gaps(&process).into_iter().zip(waits) {
        assert_about(gap, seconds(wait));
    }
    assert!(gaps(&process).len() >= waits.len());

    abs.serve();
    process.advance_until("success", seconds(40), |process| {
        process.world().fetches().contains_key("ok")
    });
    assert_denies_only(&process, &[], &["192.0.2.9"]);
    abs.respond(Response::new(500, "oops"));
    let n_before = gets(&process);
    process.advance(seconds(33 + 8));
    let gaps = gaps(&process);
    let after = &gaps[n_before - 1..];
    for (gap, wait) in after.iter().zip([30, 1, 2, 4]) {
        assert_about(*gap, seconds(wait));
    }
    assert!(after.len() >= 3, "{after:?}");
}

#[test]
fn the_backoff_starts_at_the_end_of_the_failed_call() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.latency(seconds(10));
    process.configure(&config());
    process.advance(seconds(40));
    // Each takes the 5 s of its timeout.
    let gaps = gaps(&process);
    assert!(gaps.len() >= 4, "{gaps:?}");
    for (gap, wait) in gaps.into_iter().zip([1, 2, 4, 8]) {
        assert_about(gap - seconds(5), seconds(wait));
    }
}

#[test]
fn retry_after_is_honoured_up_to_an_hour() {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.respond(Response::new(503, "later").header("retry-after", "20"));
    process.configure(&config());
    process.advance(seconds(45));
    let first = gaps(&process);
    assert_eq!(first.len(), 2, "{first:?}");
    for gap in first {
        assert_about(gap, seconds(20));
    }

    abs.respond(Response::new(503, "later").header("retry-after", "999999"));
    process.advance_until("one more", seconds(30), |process| gets(process) == 4);
    abs.respond(Response::new(503, "later"));
    process.advance(seconds(3_580));
    assert_eq!(gets(&process), 4);
    process.advance(seconds(40));
    assert!(gets(&process) > 4);
}

#[test]
fn retry_after_can_be_a_date_in_each_http_form_or_a_fraction() {
    const CONFIGURED: u64 = 784_111_777 - 20;
    for value in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "20.5",
    ] {
        let process = Process::new(1);
        process.world().set_unix(seconds(CONFIGURED));
        let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
        abs.respond(Response::new(503, "later").header("retry-after", value));
        process.configure(&config());
        process.advance(seconds(17));
        assert_eq!(gets(&process), 1, "{value:?}");
        process.advance(seconds(8));
        assert!(gets(&process) > 1, "{value:?}");
    }
}

#[test]
fn a_past_or_invalid_retry_after_is_ignored() {
    for value in ["Fri, 31 Dec 1999 23:59:59 GMT", "-5", "", "soon"] {
        let process = Process::new(1);
        let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
        abs.respond(Response::new(503, "later").header("retry-after", value));
        process.configure(&config());
        process.advance(seconds(5));
        assert_eq!(gets(&process), 3, "{value:?}");
    }
}

#[test]
fn a_shorter_interval_applies_at_once() {
    let (process, _abs) = started(
        2,
        &config_with(json!({"abs_attack_request_minutes": 60})),
        ips(&[]),
    );
    process.advance(seconds(30));
    assert_eq!(gets(&process), 1);
    process.configure(&config_with(json!({"abs_attack_request_minutes": 0.2})));
    process.advance(seconds(3));
    assert_eq!(gets(&process), 2);
    process.advance(seconds(14));
    assert_eq!(gets(&process), 3);
}

#[test]
fn a_longer_interval_applies_at_once() {
    let (process, _abs) = started(
        2,
        &config_with(json!({"abs_attack_request_minutes": 0.2})),
        ips(&[]),
    );
    process.configure(&config_with(json!({"abs_attack_request_minutes": 10})));
    process.advance(seconds(590));
    assert_eq!(gets(&process), 1);
    process.advance(seconds(80));
    assert_eq!(gets(&process), 2);
}

#[test]
fn a_jump_of_the_wall_clock_has_no_effect_on_fetches() {
    let day = seconds(86_400);
    for forward in [true, false] {
        let config = config_with(json!({"attack_list_max_age": "3m", "when_stale": "drop"}));
        let (process, _abs) = started(3, &config, ips(&["192.0.2.1"]));
        process.advance(seconds(30));
        let now = process.world().unix();
        process
            .world()
            .set_unix(if forward { now + day } else { now - day });
        process.advance(seconds(25));
        assert_eq!(gets(&process), 1, "no fetch before its time");
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        process.advance(seconds(70));
        for gap in gaps(&process) {
            assert_about(gap, seconds(60));
        }
        assert!(gets(&process) >= 2);
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        assert_eq!(process.world().metric("attack_list.stale"), 0);
        let path = process
            .world()
            .sent()
            .last()
            .unwrap()
            .header(":path")
            .unwrap()
            .to_owned();
        let date = if forward { "2026-11-24" } else { "2026-11-22" };
        assert!(path.contains(&format!("later_date={date}T")), "{path}");
    }
}

#[test]
fn the_requested_window_ends_after_now_and_has_the_configured_length() {
    let (process, _abs) = started(1, &config(), ips(&[]));
    let sent = process.world().sent();
    let path = sent[0].header(":path").unwrap();
    // It is 10:00:30.
    assert_eq!(
        path,
        "/v4/abs/attacklist?earlier_date=2026-10-24T10:00&later_date=2026-11-23T10:01&status=active"
    );
}

#[test]
fn the_fetches_of_a_fleet_that_starts_at_once_spread_out() {
    const FLEET: u64 = 100;
    const LISTS: usize = 4;
    let interval = seconds(30);
    let mut times_of_all = vec![Vec::new(); LISTS];
    for seed in 0..FLEET {
        let process = Process::seeded(1, 1_000 + seed);
        let abs = Abs::serving(process.world(), ips(&[])).with_etags();
        abs.list(ips(&["192.0.2.1"]));
        let start = process.world().now();
        process.configure(&config_with(json!({"abs_attack_request_minutes": 0.5})));
        process.advance_until("the fetches", interval * 6, |process| {
            gets(process) == LISTS
        });
        for (n, call) in process.world().sent().iter().enumerate() {
            times_of_all[n].push(call.at - start);
            let asked = call.header("if-none-match");
            assert_eq!(asked, (n > 0).then_some("\"v2\""), "fetch {n}");
        }
    }
    // Without jitter, the whole fleet would fetch within one tick: at most a hundredth of this interval.
    let most_at_once = |times: &[Duration]| {
        let window = interval / 100;
        let within = |from: Duration| {
            let met = times
                .iter()
                .filter(|at| (from..from + window).contains(*at));
            met.count()
        };
        times.iter().map(|from| within(*from)).max().unwrap()
    };
    let peaks: Vec<_> = times_of_all.iter().map(|t| most_at_once(t)).collect();
    assert_eq!(peaks[0], 100, "each fetches at its start: {peaks:?}");
    assert!(peaks[1..].iter().all(|peak| *peak <= 35), "{peaks:?}");
    assert!(peaks[LISTS - 1] <= 20, "{peaks:?}");
}

#[test]
fn the_time_of_the_last_success_stays_while_fetches_fail_or_are_disabled() {
    let failures = [
        Response::new(401, ""),
        Response::new(500, ""),
        Response::timeout(),
        Response::new(200, "<html>"),
        Response::new(200, ips(&["0.0.0.0/0"]).to_string()),
    ];
    for failure in failures {
        let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
        let shown = || {
            let name = "attack_list.last_success_unix_seconds";
            process.world().metric(name)
        };
        let succeeded = shown();
        let began = process.world().unix().as_secs();
        assert!((began - 2..=began).contains(&succeeded), "{succeeded}");
        abs.respond(failure);
        process.advance(seconds(200));
        assert!(gets(&process) > 3);
        assert_eq!(shown(), succeeded);
        // No VM runs: the age that the alert uses still grows.
        process.threads().for_each(|thread| process.pause(thread));
        process.advance(seconds(200));
        assert_eq!(shown(), succeeded);
        process.threads().for_each(|thread| process.resume(thread));
        abs.serve();
        process.advance(seconds(70));
        assert!(shown() > succeeded + 400);
    }
}
