use std::time::Duration;

use serde_json::json;

use super::registry::MOST_NODES;
use super::*;

/// A time of today, so that no difference is too small.
const START: u64 = 1_800_000_000;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(START.saturating_add(seconds))
}

fn poll(nodes: &Nodes, id: &str, accepted: &str, served: &str, seconds: u64) {
    poll_for(nodes, "portcullis", id, (accepted, served), seconds);
}

fn poll_for(nodes: &Nodes, filter: &str, id: &str, versions: (&str, &str), seconds: u64) {
    nodes.polled(&Poll {
        id,
        cluster: "edge",
        envoy: "1.40.0",
        filter,
        accepted: versions.0,
        served: versions.1,
        now: at(seconds),
    });
}

fn state(nodes: &Nodes, id: &str, seconds: u64) -> State {
    let nodes = nodes.list();
    let node = nodes.iter().find(|node| node.id == id);
    node.unwrap_or_else(|| panic!("no {id}")).state(at(seconds))
}

fn report(nodes: &Nodes, header: &str) {
    nodes.reported(header, at(0));
}

fn denied(nodes: &Nodes) -> Vec<(String, String, u64)> {
    let totals = nodes.totals().denied.into_iter();
    totals
        .map(|total| (total.feed, total.kind, total.count))
        .collect()
}

fn total(feed: &str, kind: &str, count: u64) -> (String, String, u64) {
    (feed.to_owned(), kind.to_owned(), count)
}

#[test]
fn a_node_that_takes_a_version_is_current() {
    let nodes = Nodes::default();
    poll(&nodes, "a", "", "v1", 0);
    assert_eq!(state(&nodes, "a", 0), State::Updating);
    poll(&nodes, "a", "v1", "v1", 5);
    assert_eq!(state(&nodes, "a", 5), State::Current);
    assert_eq!(nodes.list()[0].since(at(5)), None);
}

#[test]
fn a_node_that_keeps_its_version_is_behind() {
    let nodes = Nodes::default();
    poll(&nodes, "a", "v1", "v1", 0);
    for second in (5..=35).step_by(5) {
        poll(&nodes, "a", "v1", "v2", second);
        assert_eq!(state(&nodes, "a", second), State::Updating, "{second}");
    }
    poll(&nodes, "a", "v1", "v2", 36);
    assert_eq!(state(&nodes, "a", 36), State::Behind);
    assert_eq!(nodes.list()[0].since(at(36)), Some(at(5)));
    // One more change does not hide how long it is behind.
    poll(&nodes, "a", "v1", "v3", 40);
    assert_eq!(nodes.list()[0].since(at(40)), Some(at(5)));
    poll(&nodes, "a", "v3", "v3", 45);
    assert_eq!(state(&nodes, "a", 45), State::Current);
}

/// Between two polls of its own.
#[test]
fn a_node_is_compared_with_what_others_got() {
    let nodes = Nodes::default();
    poll(&nodes, "a", "v1", "v1", 0);
    poll(&nodes, "b", "v1", "v2", 1);
    assert_eq!(state(&nodes, "a", 1), State::Updating);
    assert_eq!(nodes.summary(at(1)).of(State::Updating), 2);
    assert_eq!(nodes.list()[0].filters[0].served, "v2");
}

#[test]
fn silence_is_three_times_the_usual_interval() {
    // Interval, and the second after the last poll at which the node is not silent yet.
    for (interval, allowed) in [(1, 30), (5, 30), (10, 30), (20, 60), (60, 180)] {
        let nodes = Nodes::default();
        let last = interval * 10;
        for second in (0..=last).step_by(usize::try_from(interval).unwrap()) {
            poll(&nodes, "a", "v1", "v1", second);
        }
        assert_eq!(
            state(&nodes, "a", last + allowed),
            State::Current,
            "{interval}"
        );
        assert_eq!(
            state(&nodes, "a", last + allowed + 1),
            State::Silent,
            "{interval}"
        );
        assert_eq!(
            nodes.list()[0].since(at(last + allowed + 1)),
            Some(at(last))
        );
    }
}

#[test]
fn silence_after_one_poll_is_a_minute() {
    let nodes = Nodes::default();
    poll(&nodes, "a", "v1", "v1", 0);
    assert_eq!(state(&nodes, "a", 60), State::Current);
    assert_eq!(state(&nodes, "a", 61), State::Silent);
}

#[test]
fn a_longer_interval_becomes_the_usual_one() {
    let nodes = Nodes::default();
    let mut now = 0;
    for interval in [vec![5; 10], vec![300; 20]].concat() {
        now += interval;
        poll(&nodes, "a", "v1", "v1", now);
    }
    assert_eq!(state(&nodes, "a", now + 600), State::Current);
}

#[test]
fn a_clock_that_jumps_back_makes_nobody_silent() {
    let nodes = Nodes::default();
    for second in [1_000, 1_005, 1_010, 0, 5] {
        poll(&nodes, "a", "v1", "v1", second);
    }
    assert_eq!(state(&nodes, "a", 0), State::Current);
    assert_eq!(nodes.list()[0].last_seen, at(5));
}

#[test]
fn the_worst_filter_decides() {
    let nodes = Nodes::default();
    for second in (0..=60).step_by(5) {
        poll_for(&nodes, "good", "a", ("v1", "v1"), second);
        poll_for(&nodes, "bad", "a", ("v1", "v2"), second);
    }
    assert_eq!(state(&nodes, "a", 60), State::Behind);
    // The node's configuration has one filter less.
    for second in (65..=125).step_by(5) {
        poll_for(&nodes, "good", "a", ("v1", "v1"), second);
    }
    assert_eq!(state(&nodes, "a", 125), State::Current);
    assert_eq!(nodes.list()[0].filters.len(), 1);
}

#[test]
fn a_node_that_only_reports_is_unknown() {
    let nodes = Nodes::default();
    report(&nodes, "v=1;node=edge%7E1;module=0.2.0");
    assert_eq!(state(&nodes, "edge~1", 0), State::Unknown);
    poll(&nodes, "edge~1", "v1", "v1", 1);
    assert_eq!(state(&nodes, "edge~1", 1), State::Current);
    assert_eq!(nodes.list().len(), 1);
    assert_eq!(nodes.list()[0].module, "0.2.0");
}

#[test]
fn a_long_id_is_one_node() {
    let nodes = Nodes::default();
    let id = "~".repeat(1_000);
    report(&nodes, &format!("v=1;node={}", "%7E".repeat(42)));
    poll(&nodes, &id, "v1", "v1", 1);
    assert_eq!(nodes.list().len(), 1);
    assert_eq!(nodes.list()[0].id, "~".repeat(128));
}

#[test]
fn what_a_node_reports_is_shown() {
    let nodes = Nodes::default();
    nodes.know_feeds(["drop"]);
    poll(&nodes, "a", "v1", "v2", 0);
    report(
        &nodes,
        "v=1;node=a;module=0.2.0;denied=abs.ip:12,manual.api_key:1;would_deny=drop.no_list:3,new.ip:4;allow_listed=5;\
         lists=abs:7:1200,drop:2:0;later=x",
    );
    assert_eq!(
        nodes.list()[0].to_json(at(40)),
        json!({
            "id": "a",
            "cluster": "edge",
            "envoy": "1.40.0",
            "module": "0.2.0",
            "state": "behind",
            "since_unix_seconds": START,
            "last_seen_unix_seconds": START,
            "last_report_unix_seconds": START,
            "filters": [{
                "filter": "portcullis",
                "accepted": "v1",
                "served": "v2",
                "behind_since_unix_seconds": START,
            }],
            "lists": [
                {"feed": "abs", "generation": 7, "entries": 1200},
                {"feed": "drop", "generation": 2, "entries": 0},
            ],
            "denied": {"abs": {"ip": 12}, "manual": {"api_key": 1}},
            "would_deny": {"drop": {"no_list": 3}, "other": {"ip": 4}},
            "allow_listed": 5,
            "restarts": 0,
        })
    );
}

#[test]
fn a_forged_header_changes_nothing() {
    let nodes = Nodes::default();
    report(&nodes, "v=1;node=a;module=0.2.0;denied=abs.ip:12");
    let before = nodes.list()[0].to_json(at(0));
    let many_lists = vec!["abs:1:1"; 33].join(",");
    let many_counters = vec!["abs.ip:1"; 129].join(",");
    let many_counters = format!("denied={many_counters};would_deny={many_counters}");
    let padding = "x".repeat(2_048);
    let long = "a".repeat(129);
    for forged in [
        "",
        "node=a",
        "v=2;node=a",
        "v=1",
        "v=1;node=",
        "v=1;module=0.2.0",
        "v=1;node=a;node=b",
        "v=1;node=a;module",
        "v=1;node=a;module=a b",
        "v=1;node=a;module=\u{e9}",
        "v=1;node=a;module=a\nb",
        "v=1;node=%4",
        "v=1;node=%+4",
        "v=1;node=%zz",
        &format!("v=1;node={long}"),
        "v=1;node=a;denied=",
        "v=1;node=a;denied=abs.ip:-1",
        "v=1;node=a;denied=abs.ip:+1",
        "v=1;node=a;denied=abs.ip:",
        "v=1;node=a;denied=abs.ip:18446744073709551616",
        "v=1;node=a;denied=abs:1",
        "v=1;node=a;denied=.ip:1",
        "v=1;node=a;denied=a\"}.ip:1",
        "v=1;node=a;denied=<script>.ip:1",
        &format!("v=1;node=a;denied={}.ip:1", "f".repeat(65)),
        "v=1;node=a;allow_listed=1.5",
        "v=1;node=a;lists=abs:1",
        "v=1;node=a;lists=abs:1:2:3",
        &format!("v=1;node=a;lists={many_lists}"),
        &format!("v=1;node=a;{many_counters}"),
        &format!("v=1;node=a;later={padding}"),
    ] {
        let events = nodes.events();
        nodes.reported(forged, at(9));
        let invalid = events.invalid_reports + 1;
        let expected = Events {
            invalid_reports: invalid,
            ..events
        };
        assert_eq!(nodes.events(), expected, "{forged}");
        assert_eq!(nodes.list()[0].to_json(at(0)), before, "{forged}");
        assert_eq!(nodes.list().len(), 1, "{forged}");
    }
    assert_eq!(nodes.events().reports, 1);
}

#[test]
fn text_of_a_node_is_bounded_and_has_no_control_character() {
    let nodes = Nodes::default();
    report(&nodes, "v=1;node=%1B[31ma%0D%0A%E2%80%AE%FF");
    poll(
        &nodes,
        &"\u{1b}é".repeat(1_000),
        &"v".repeat(1_000),
        "v1",
        0,
    );
    nodes.polled(&Poll {
        id: "b",
        cluster: &"c".repeat(1_000),
        envoy: &"e".repeat(1_000),
        filter: "portcullis",
        accepted: "\0",
        served: "v1",
        now: at(0),
    });
    let list = nodes.list();
    let ids: Vec<_> = list.iter().map(|node| node.id.as_str()).collect();
    let long = "\u{fffd}é".repeat(25) + "\u{fffd}";
    let expected = ["b", "\u{fffd}[31ma\u{fffd}\u{fffd}\u{fffd}\u{fffd}", &long];
    assert_eq!(ids, expected);
    assert_eq!(list[0].cluster, "c".repeat(128));
    assert_eq!(list[0].envoy, "e".repeat(32));
    assert_eq!(list[0].filters[0].accepted, "\u{fffd}");
    assert_eq!(list[2].filters[0].accepted, "v".repeat(32));
}

#[test]
fn counters_of_nodes_are_added_up() {
    let nodes = Nodes::default();
    report(&nodes, "v=1;node=a;denied=abs.ip:10;allow_listed=1");
    report(
        &nodes,
        "v=1;node=b;denied=abs.ip:5,manual.ip:1;allow_listed=2",
    );
    report(&nodes, "v=1;node=a;denied=abs.ip:12;allow_listed=1");
    assert_eq!(
        denied(&nodes),
        [total("abs", "ip", 17), total("manual", "ip", 1)]
    );
    assert_eq!(nodes.totals().allow_listed, 3);
}

#[test]
fn a_restarted_envoy_counts_from_zero() {
    let nodes = Nodes::default();
    report(
        &nodes,
        "v=1;node=a;denied=abs.ip:10,abs.cookie:4;allow_listed=100",
    );
    report(&nodes, "v=1;node=a;denied=abs.ip:2;allow_listed=3");
    assert_eq!(
        denied(&nodes),
        [total("abs", "cookie", 4), total("abs", "ip", 12)]
    );
    assert_eq!(nodes.totals().allow_listed, 103);
    assert_eq!(nodes.list()[0].restarts, 1);
    let counters: Vec<_> = nodes.list()[0]
        .counters(false)
        .map(|(_, _, count)| count)
        .collect();
    assert_eq!(counters, [2]);
}

#[test]
fn what_a_node_counted_before_its_first_report_was_not_observed() {
    let nodes = Nodes::default();
    let observed = || -> Vec<u64> {
        let observed = nodes.observed().into_iter();
        observed.map(|total| total.count).collect()
    };
    report(&nodes, "v=1;node=a;denied=abs.ip:100");
    assert_eq!(observed(), [0]);
    report(&nodes, "v=1;node=a;denied=abs.ip:103,manual.cookie:2");
    assert_eq!(observed(), [3, 2]);
    // A restart.
    report(&nodes, "v=1;node=a;denied=abs.ip:4");
    assert_eq!(observed(), [7, 2]);
    report(&nodes, "v=1;node=b;denied=abs.ip:50;would_deny=abs.ip:5");
    assert_eq!(observed(), [7, 2]);
}

#[test]
fn reports_in_another_order_are_no_restart() {
    let nodes = Nodes::default();
    for count in [1_000, 999, 1_001] {
        report(
            &nodes,
            &format!("v=1;node=a;denied=abs.ip:{count};allow_listed={count}"),
        );
    }
    assert_eq!(denied(&nodes), [total("abs", "ip", 1_001)]);
    assert_eq!(nodes.totals().allow_listed, 1_001);
    assert_eq!(nodes.list()[0].restarts, 0);
}

/// Two filters with different feeds.
#[test]
fn a_report_without_a_counter_keeps_it() {
    let nodes = Nodes::default();
    nodes.know_feeds(["drop"]);
    for _ in 0..3 {
        report(&nodes, "v=1;node=a;denied=abs.ip:10,x.ip:7");
        report(&nodes, "v=1;node=a;denied=drop.ip:5,y.ip:1");
    }
    let expected = [
        total("abs", "ip", 10),
        total("drop", "ip", 5),
        total("other", "ip", 7),
    ];
    assert_eq!(denied(&nodes), expected);
    assert_eq!(nodes.list()[0].restarts, 0);
}

#[test]
fn a_forged_report_moves_no_sum() {
    let nodes = Nodes::default();
    let count = |header: &str, seconds: u64| {
        let before = nodes.events();
        nodes.reported(header, at(seconds));
        nodes.events().implausible_reports == before.implausible_reports
    };
    let most = u64::MAX;
    // A first report: more than a year of requests, in one counter or in two of one name.
    assert!(!count(&format!("v=1;node=a;denied=abs.ip:{most}"), 0));
    assert!(!count(&format!("v=1;node=a;allow_listed={most}"), 0));
    let half = 20_000_000_000_000_u64;
    assert!(!count(
        &format!("v=1;node=a;denied=abs.ip:{half},abs.ip:{half}"),
        0
    ));
    assert!(denied(&nodes).iter().all(|(_, _, count)| *count == 0));
    // One that counted for long is.
    assert!(count(
        "v=1;node=a;denied=abs.ip:5000000000;allow_listed=7",
        0
    ));
    // A million in a second is not.
    assert!(count("v=1;node=a;denied=abs.ip:5060000000", 60));
    assert!(!count("v=1;node=a;denied=abs.ip:5120000001", 120));
    assert!(!count("v=1;node=a;allow_listed=120000008", 120));
    // The last report that counted is that of second 60.
    assert!(count("v=1;node=a;denied=abs.ip:5120000001", 121));
    // A restart is no way around it.
    assert!(count("v=1;node=a;denied=abs.ip:1", 122));
    assert!(!count("v=1;node=a;denied=abs.ip:5000000000", 123));
    // Another filter of the Envoy counted for long.
    assert!(count("v=1;node=a;denied=manual.ip:5000000000", 124));
    assert_eq!(
        denied(&nodes),
        [
            total("abs", "ip", 5_120_000_002),
            total("manual", "ip", 5_000_000_000)
        ]
    );
    assert_eq!(nodes.totals().allow_listed, 7);
}

#[test]
fn a_node_can_not_invent_names() {
    let nodes = Nodes::default();
    for forged in 0..2_000 {
        report(
            &nodes,
            &format!("v=1;node=a;denied=feed_{forged}.kind_{forged}:1"),
        );
    }
    assert_eq!(denied(&nodes), [total("other", "other", 1)]);
}

#[test]
fn silent_nodes_are_forgotten_after_a_day() {
    let nodes = Nodes::default();
    poll(&nodes, "a", "v1", "v1", 0);
    poll(&nodes, "established", "v1", "v1", 0);
    poll(&nodes, "established", "v1", "v1", 100);
    report(&nodes, "v=1;node=b;denied=abs.ip:1");
    let day = 24 * 60 * 60;
    assert_eq!(nodes.summary(at(day - 1)).of(State::Silent), 2);
    assert_eq!(nodes.summary(at(day - 1)).of(State::Unknown), 1);
    let left = nodes.summary(at(day));
    assert_eq!((left.of(State::Silent), left.of(State::Unknown)), (1, 0));
    assert_eq!(nodes.list()[0].id, "established");
    poll(&nodes, "c", "v1", "v1", day + 100);
    assert_eq!(nodes.list().len(), 1);
    // Counters never fall.
    assert_eq!(denied(&nodes), [total("abs", "ip", 1)]);
    assert_eq!(nodes.events().evicted, 0);
}

#[test]
fn made_up_ids_replace_no_node_that_polls() {
    let nodes = Nodes::default();
    for second in [0, 100] {
        poll(&nodes, "established", "v1", "v1", second);
        poll(&nodes, "established 2", "v1", "v1", second);
    }
    poll(&nodes, "new", "v1", "v1", 101);
    let most = u64::try_from(MOST_NODES).unwrap();
    // By headers: they replace each other.
    for forged in 0..most + 100 {
        nodes.reported(&format!("v=1;node=f{forged}"), at(102 + forged));
    }
    assert_eq!(nodes.list().len(), MOST_NODES);
    assert_eq!(nodes.events().evicted, 103);
    for id in ["established", "established 2", "new"] {
        assert!(nodes.list().iter().any(|node| node.id == id), "{id}");
    }
    // By polls: they replace the headers, the polls before them, and nobody who has polled for a minute.
    for forged in 0..most + 100 {
        poll(&nodes, &format!("g{forged}"), "v1", "v1", 102 + forged);
    }
    let list = nodes.list();
    assert_eq!(list.len(), MOST_NODES);
    let has = |id: &str| list.iter().any(|node| node.id == id);
    assert!(has("established") && has("established 2"));
    assert!(!has("new") && !has("f100") && !has("g0"));
    // A header of another node finds no room.
    report(&nodes, "v=1;node=late");
    assert!(!nodes.list().iter().any(|node| node.id == "late"));
}

#[test]
fn the_first_nodes_are_those_in_the_worst_state() {
    let nodes = Nodes::default();
    for (id, accepted) in [("d", "v1"), ("b", "v2"), ("a", "v2"), ("c", "v1")] {
        poll(&nodes, id, accepted, "v2", 0);
        poll(&nodes, id, accepted, "v2", 40);
    }
    let first = |most: usize| -> Vec<String> {
        let worst = |state| state != State::Behind;
        let nodes = nodes.first_by(at(41), most, worst).into_iter();
        nodes.map(|node| node.id).collect()
    };
    assert_eq!(first(10), ["c", "d", "a", "b"]);
    assert_eq!(first(3), ["c", "d", "a"]);
    assert_eq!(first(0), [""; 0]);
}

#[test]
fn a_node_without_an_id_is_not_recorded() {
    let nodes = Nodes::default();
    poll(&nodes, "", "v1", "v1", 0);
    assert_eq!(nodes.list().len(), 0);
}
