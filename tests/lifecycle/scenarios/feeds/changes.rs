use serde_json::json;

use super::*;

/// The size of the record that replaces the manifest of a dropped list.
const DROPPED: usize = 32;

/// The gauges of a feed's list; 0 for a feed that does not exist.
const GAUGES: [(&str, &str); 6] = [
    ("fetch", "last_result"),
    ("fetch", "last_attempt_unix_seconds"),
    ("attack_list", "bytes"),
    ("attack_list", "last_success_unix_seconds"),
    ("attack_list", "stale"),
    ("attack_list", "entries.kind=ip"),
];

fn gauge(process: &Process, feed: &str, (group, gauge): (&str, &str)) -> u64 {
    process
        .world()
        .metric(&format!("{group}.source={feed}.{gauge}"))
}

fn n_values(process: &Process) -> usize {
    let keys = process.world().keys();
    let sizes = keys.iter().map(|key| process.world().value_of(key).len());
    sizes.filter(|size| *size > DROPPED).count()
}

#[test]
fn a_removed_feed_drops_its_list_and_zeroes_its_gauges() {
    let names = ["lapi", "drop", "revoked"];
    for (index, removed) in names.into_iter().enumerate() {
        let (process, _servers) = started_with(&four_feeds());
        let n_before = n_values(&process);
        let others: Vec<_> = names.into_iter().filter(|name| *name != removed).collect();
        let feeds: Vec<_> = others.iter().map(|name| feed(name, json!({}))).collect();
        process.configure(&with_feeds(&feeds));
        process.advance(seconds(10));
        let mut expected = [1; 4];
        expected[index + 1] = 0;
        assert_versions(&process, expected);
        for metric in GAUGES {
            assert_eq!(gauge(&process, removed, metric), 0, "{removed} {metric:?}");
        }
        let entries = format!("entries.kind={}", FEEDS[index + 1].kind);
        let metric = ("attack_list", entries.as_str());
        assert_eq!(gauge(&process, removed, metric), 0);
        for other in FEEDS.iter().filter(|feed| feed.name != removed) {
            let entries = format!("entries.kind={}", other.kind);
            assert_eq!(other.metric(&process, "attack_list", &entries), 1);
            assert_eq!(other.metric(&process, "fetch", "last_result"), 1);
            assert_eq!(
                calls_to(&process, other.name),
                1,
                "no list is fetched again"
            );
        }
        assert!(n_values(&process) < n_before);
        let dropped = format!("the list {removed} is dropped");
        assert_eq!(lines_with(&process, &dropped).len(), 1);
        // Back again, it is fetched at once.
        process.configure(&four_feeds());
        process.advance(seconds(2));
        assert_versions(&process, [1; 4]);
        assert_eq!(calls_to(&process, removed), 2);
    }
}

#[test]
fn a_disabled_feed_is_a_removed_feed() {
    let (process, _servers) = started_with(&four_feeds());
    let mut config = four_feeds();
    config["feeds"][1]["enabled"] = json!(false);
    process.configure(&config);
    process.advance(seconds(10));
    assert_versions(&process, [1, 1, 0, 1]);
    assert_eq!(gauge(&process, "drop", GAUGES[5]), 0);
    assert_eq!(calls_to(&process, "drop"), 1);
}

#[test]
fn a_renamed_feed_keeps_its_list_under_the_new_name() {
    let named = |name: &str| {
        let mut feed = feed("drop", json!({}));
        feed["name"] = json!(name);
        with_feeds(&[feed])
    };
    for drains in [false, true] {
        let (process, servers) = started_with(&named("drop"));
        if drains {
            process.drain();
        }
        servers.respond("drop", Response::new(500, ""));
        let before = GAUGES.map(|metric| gauge(&process, "drop", metric));
        assert!(before[0] > 0 && before[3] > 0 && before[5] > 0);
        process.configure(&named("renamed"));
        let client = (FEEDS[2].client)(1);
        let check = || {
            for worker in process.workers() {
                let state = state(&process, worker, &client);
                assert_eq!(state.as_deref(), Some("denied renamed ip"));
            }
        };
        check();
        process.advance(seconds(10));
        check();
        // The list is not fetched again, and its gauges have the new name.
        assert_eq!(calls_to(&process, "drop"), 1);
        for (metric, before) in GAUGES.into_iter().zip(before) {
            assert_eq!(gauge(&process, "drop", metric), 0, "{metric:?}");
            let after = gauge(&process, "renamed", metric);
            // Times of the monotonic clock are rounded to a second once more.
            assert!(after.abs_diff(before) <= 1, "{metric:?}: {before}, {after}");
        }
        servers.respond("drop", (FEEDS[2].list)(2));
        process.advance(seconds(60));
        let state = state(&process, 1, &(FEEDS[2].client)(2));
        assert_eq!(state.as_deref(), Some("denied renamed ip"));
        let ok = |name| gauge(&process, name, ("fetch", "result=ok"));
        assert_eq!((ok("drop"), ok("renamed")), (1, 1));
        assert_eq!(lines_with(&process, "list renamed 2 is active").len(), 1);
    }
}

#[test]
fn feeds_in_another_order_keep_their_lists() {
    let (process, servers) = started_with(&four_feeds());
    servers.respond("abs", list_response(&ips(&["198.51.100.1"])));
    process.configure(&with_feeds(
        &["revoked", "drop", "lapi"].map(|name| feed(name, json!({}))),
    ));
    process.advance(seconds(10));
    assert_versions(&process, [1; 4]);
    assert_eq!(process.world().sent().len(), 4);
}

#[test]
fn two_filters_with_the_same_source_fetch_it_once_under_names_of_their_own() {
    let (process, _servers) = first_versions();
    let named = |name: &str, mode: &str| {
        let mut feed = feed("drop", json!({"mode": mode}));
        feed["name"] = json!(name);
        only(&[feed])
    };
    process.configure_filter(0, &named("one", "enforce"));
    process.configure_filter(1, &named("two", "shadow"));
    process.advance(seconds(600));
    let n = calls_to(&process, "drop");
    assert!((10..=11).contains(&n), "{n}");
    let client = (FEEDS[2].client)(1);
    for worker in process.workers() {
        for (filter, expected) in [(0, "denied one ip"), (1, "would_deny two ip")] {
            let outcome = process.request_to(worker, filter, &client);
            assert_eq!(outcome.filter_state.as_deref(), Some(expected));
        }
    }
    // Only the other filter is left: it keeps the list, and fetches it on.
    process.remove_filter(1);
    process.advance(seconds(600));
    let later = calls_to(&process, "drop") - n;
    assert!((9..=11).contains(&later), "{later}");
    assert!(process.denies(1, &client));
}

#[test]
fn a_change_of_the_source_drops_the_old_list() {
    let (process, servers) = started_with(&four_feeds());
    servers.respond("mirror", text(&["198.51.100.2"]));
    let mut config = four_feeds();
    config["feeds"][1]["cluster"] = json!("mirror");
    process.configure(&config);
    process.advance(seconds(10));
    assert_versions(&process, [1, 1, 2, 1]);
    assert_eq!(calls_to(&process, "mirror"), 1);
    assert_eq!(gauge(&process, "drop", GAUGES[5]), 1, "of the new list");
}

#[test]
fn new_credentials_and_limits_keep_the_list() {
    let (process, _servers) = started_with(&four_feeds());
    let mut config = four_feeds();
    config["feeds"][1]["headers"] = json!({"x-api-key": secret("new-key")});
    config["feeds"][1]["mode"] = json!("shadow");
    config["feeds"][1]["max_age"] = json!("1h");
    process.configure(&config);
    process.advance(seconds(10));
    assert_eq!(calls_to(&process, "drop"), 1);
    let client = (FEEDS[2].client)(1);
    let expected = Some("would_deny drop ip".to_owned());
    assert_eq!(state(&process, 1, &client), expected);
    process.advance(seconds(60));
    let sent = process.world().sent();
    let last = sent.iter().rfind(|call| call.cluster == "drop").unwrap();
    assert_eq!(last.header("x-api-key"), Some(secret("new-key").as_str()));
}
