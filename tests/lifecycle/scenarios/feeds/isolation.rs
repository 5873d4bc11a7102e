use serde_json::json;

use super::*;

const FAILURES: [&str; 8] = [
    "status",
    "timeout",
    "reset",
    "too_large",
    "unauthorized",
    "malformed",
    "memory",
    "refused",
];

fn n_failures(process: &Process, feed: &Known) -> u64 {
    let results = FAILURES.iter();
    results.map(|result| feed.fetches(process, result)).sum()
}

/// Asserts that all feeds except for the one at `victim` have fetched `version` without a failure.
#[track_caller]
fn assert_others_are_well(process: &Process, victim: usize) {
    for (index, feed) in FEEDS.iter().enumerate() {
        if index == victim {
            continue;
        }
        assert_eq!(n_failures(process, feed), 0, "{}", feed.name);
        assert_eq!(
            feed.metric(process, "fetch", "last_result"),
            1,
            "{}",
            feed.name
        );
        assert_eq!(feed.metric(process, "attack_list", "stale"), 0);
    }
}

/// `version`, except that the feed at `victim` has `other`.
fn versions(version: u8, victim: usize, other: u8) -> [u8; 4] {
    let mut versions = [version; 4];
    versions[victim] = other;
    versions
}

#[test]
fn each_feed_has_a_list_a_lease_and_metrics_of_its_own() {
    let (process, _servers) = started_with(&four_feeds());
    assert_versions(&process, [1; 4]);
    for name in ["lease", "manifest", "freshness"] {
        let keys = process.world().keys();
        let of_lists = keys.iter().filter(|key| key.ends_with(&format!("/{name}")));
        assert_eq!(of_lists.count(), 4, "{name}: {keys:#?}");
    }
    for feed in &FEEDS {
        let metric = |group, metric: &str| feed.metric(&process, group, metric);
        assert_eq!(feed.fetches(&process, "ok"), 1, "{}", feed.name);
        assert_eq!(metric("attack_list", "generation"), 1);
        let entries = format!("entries.kind={}", feed.kind);
        assert_eq!(metric("attack_list", &entries), 1, "{}", feed.name);
        let denied = format!("denied.source={}.kind={}", feed.name, feed.kind);
        assert_eq!(process.world().metric(&denied), 4, "{denied}");
    }
}

#[test]
fn each_list_is_fetched_once_per_interval_by_the_process() {
    let (process, _servers) = started_with(&four_feeds());
    process.advance(seconds(600));
    for feed in &FEEDS {
        // The jitter is up to a tenth.
        let n = calls_to(&process, feed.name);
        assert!((10..=11).contains(&n), "{}: {n}", feed.name);
    }
    assert_eq!(process.world().sent().len(), gets(&process));
}

#[test]
fn each_list_has_an_interval_of_its_own() {
    let intervals = [("lapi", "10s", 60), ("drop", "5m", 2), ("revoked", "2m", 5)];
    let feeds = intervals.map(|(name, interval, _)| feed(name, json!({"interval": interval})));
    let (process, _servers) = started_with(&only(&feeds));
    process.advance(seconds(590));
    for (name, _, expected) in intervals {
        let n = calls_to(&process, name);
        let least = expected - expected / 10;
        assert!((least..=expected).contains(&n), "{name}: {n}");
    }
    assert_eq!(calls_to(&process, "abs"), 0);
}

#[test]
fn a_failure_of_one_feed_changes_nothing_for_the_others() {
    let faults = [
        ("status", Response::new(500, "")),
        ("reset", Response::reset()),
        ("unauthorized", Response::new(403, "")),
        ("malformed", Response::new(200, "<html>Sign in</html>")),
        ("malformed", Response::new(200, "{\"new\": [")),
    ];
    for (victim, failing) in FEEDS.iter().enumerate() {
        for (result, fault) in &faults {
            let (process, servers) = started_with(&four_feeds());
            for feed in &FEEDS {
                servers.respond(feed.name, (feed.list)(2));
            }
            servers.respond(failing.name, fault.clone());
            process.advance(seconds(70));
            assert_versions(&process, versions(2, victim, 1));
            assert_others_are_well(&process, victim);
            assert!(
                failing.fetches(&process, result) >= 1,
                "{} {result}",
                failing.name
            );
            assert_eq!(failing.metric(&process, "fetch", "last_result"), 3);
            for other in FEEDS.iter().filter(|feed| feed.name != failing.name) {
                assert_eq!(calls_to(&process, other.name), 2, "{}", other.name);
            }
            servers.respond(failing.name, (failing.list)(2));
            process.advance(seconds(65));
            assert_versions(&process, [2; 4]);
        }
    }
}

#[test]
fn a_call_without_a_response_delays_no_other_feed() {
    for (victim, held) in FEEDS.iter().enumerate() {
        let (process, servers) = first_versions();
        servers.hold(held.name);
        process.configure(&four_feeds());
        process.advance(seconds(2));
        assert_versions(&process, versions(1, victim, 0));
        for feed in &FEEDS {
            if feed.name != held.name {
                servers.respond(feed.name, (feed.list)(2));
            }
        }
        process.advance(seconds(70));
        assert_versions(&process, versions(2, victim, 0));
        assert_others_are_well(&process, victim);
    }
}

#[test]
fn an_unchanged_list_of_one_feed_changes_nothing_for_the_others() {
    for (victim, feed) in FEEDS.iter().enumerate() {
        let (process, servers) = first_versions();
        servers.respond(feed.name, (feed.list)(1).header("etag", "\"1\""));
        process.configure(&four_feeds());
        process.advance(seconds(2));
        for other in FEEDS.iter().filter(|other| other.name != feed.name) {
            servers.respond(other.name, (other.list)(2));
        }
        process.advance(seconds(70));
        assert_versions(&process, versions(2, victim, 1));
        for known in &FEEDS {
            let expected = u64::from(known.name == feed.name);
            let confirmed = known.fetches(&process, "not_modified");
            assert_eq!(confirmed, expected, "{}", known.name);
        }
        assert_eq!(feed.metric(&process, "fetch", "last_result"), 2);
        assert_eq!(feed.metric(&process, "attack_list", "generation"), 1);
        assert_others_are_well(&process, victim);
    }
}

#[test]
fn only_the_stale_list_is_dropped() {
    let limits = json!({"max_age": "100s", "when_stale": "drop"});
    let feeds = ["lapi", "drop", "revoked"].map(|name| feed(name, limits.clone()));
    let mut config = with_feeds(&feeds);
    config["attack_list_max_age"] = json!("100s");
    config["when_stale"] = json!("drop");
    for (victim, failing) in FEEDS.iter().enumerate() {
        let (process, servers) = started_with(&config);
        servers.respond(failing.name, Response::new(500, ""));
        process.advance(seconds(90));
        assert_versions(&process, [1; 4]);
        process.advance(seconds(15));
        assert_versions(&process, versions(1, victim, 0));
        assert_eq!(failing.metric(&process, "attack_list", "stale"), 1);
        assert_others_are_well(&process, victim);
        assert_eq!(lines_with(&process, "is stale").len(), 1);
        servers.respond(failing.name, (failing.list)(1));
        process.advance(seconds(65));
        assert_versions(&process, [1; 4]);
    }
}

#[test]
fn before_first_list_applies_to_the_feed_that_has_no_list() {
    for (index, name) in ["lapi", "drop", "revoked"].into_iter().enumerate() {
        let mut feeds = ["lapi", "drop", "revoked"].map(|name| feed(name, json!({})));
        feeds[index]["before_first_list"] = json!("deny");
        let mut config = with_feeds(&feeds);
        config["apis"] = json!([{"url": "/open", "feeds": ["abs"]}, {}]);
        let (process, servers) = first_versions();
        servers.respond(name, Response::new(500, ""));
        process.configure(&config);
        process.advance(seconds(10));
        let clean = from("198.18.0.1");
        for worker in process.workers() {
            let outcome = process.request(worker, &clean);
            let details = outcome.denied.map(|reply| reply.details);
            let expected = format!("portcullis_denied_{name}_no_list");
            assert_eq!(details.as_ref(), Some(&expected));
            // An entry of an earlier feed is the reason; an API without the feed is not affected.
            let listed = (FEEDS[0].client)(1);
            let by_abs = Some("denied abs ip".to_owned());
            assert_eq!(state(&process, worker, &listed), by_abs);
            let open = Request::get("/open").from("198.18.0.1");
            assert_eq!(state(&process, worker, &open), None);
        }
        servers.respond(name, (FEEDS[index + 1].list)(1));
        process.advance(seconds(65));
        assert_versions(&process, [1; 4]);
        // A failure of another feed does not bring the rule back, and neither does one without the rule.
        for other in FEEDS.iter().filter(|feed| feed.name != name) {
            servers.respond(other.name, Response::new(500, ""));
        }
        process.advance(seconds(65));
        assert_versions(&process, [1; 4]);
    }
}

#[test]
fn a_feed_without_the_rule_denies_nothing_before_its_first_list() {
    let (process, servers) = first_versions();
    servers.respond("drop", Response::new(500, ""));
    process.configure(&four_feeds());
    process.advance(seconds(10));
    assert_versions(&process, [1, 1, 0, 1]);
}
