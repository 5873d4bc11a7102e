use serde_json::json;

use super::*;

/// Two text feeds with one address each of their own, and one address in both.
const BOTH: &str = "192.0.2.1";
const FIRST: &str = "192.0.2.2";
const SECOND: &str = "192.0.2.3";
const CLEAN: &str = "198.18.0.1";

/// A process with the feeds `first` and `second`, with these keys, and other keys of the configuration.
fn two_feeds(first: Value, second: Value, others: Value) -> (Process, Servers) {
    let mut config = only(&[feed("first", first), feed("second", second)]);
    let Value::Object(others) = others else {
        panic!("the keys are an object");
    };
    config.as_object_mut().unwrap().extend(others);
    let process = Process::new(4);
    let servers = Servers::of(process.world());
    servers.respond("first", text(&[BOTH, FIRST]));
    servers.respond("second", text(&[BOTH, SECOND]));
    process.configure(&config);
    process.advance(seconds(2));
    (process, servers)
}

#[track_caller]
fn assert_states(process: &Process, expected: &[(&Request, Option<&str>)]) {
    for worker in process.workers() {
        for (request, expected) in expected {
            let found = state(process, worker, request);
            assert_eq!(found.as_deref(), *expected, "worker {worker}: {request:?}");
        }
    }
}

#[test]
fn a_client_on_several_feeds_is_reported_by_the_first_of_the_configuration() {
    let names = ["lapi", "drop", "other"];
    for rotation in 0..names.len() {
        let mut names = names;
        names.rotate_left(rotation);
        for with_abs in [true, false] {
            let (process, servers) = first_versions();
            servers.respond("abs", list_response(&ips(&[BOTH])));
            servers.respond("lapi", decisions(&[("Ip", BOTH, Some("4h"))]));
            for name in ["drop", "other"] {
                servers.respond(name, text(&["192.0.2.0/24"]));
            }
            let mut config = with_feeds(&names.map(|name| feed(name, json!({}))));
            config["enable_abs_attack"] = json!(with_abs);
            process.configure(&config);
            process.advance(seconds(2));
            // ABS's list is always the first, and has no label of `feeds`.
            let first = if with_abs { "abs" } else { names[0] };
            let reported = format!("denied {first} ip");
            assert_states(&process, &[(&from(BOTH), Some(&reported))]);
            for name in ["abs", "lapi", "drop", "other"] {
                let counted = process
                    .world()
                    .metric(&format!("denied.source={name}.kind=ip"));
                assert_eq!(counted, if name == first { 4 } else { 0 }, "{name}");
            }
            let outcome = process.request(1, &from(BOTH));
            let details = outcome.denied.unwrap().details;
            assert_eq!(details, format!("portcullis_denied_{first}_ip"));
        }
    }
}

#[test]
fn the_first_feed_decides_before_the_order_of_kinds() {
    let (process, servers) = first_versions();
    // The address, an earlier kind, is on the second feed only.
    servers.respond("lapi", decisions(&[("username", &user(1), None)]));
    servers.respond("drop", text(&[BOTH]));
    process.configure(&only(&[feed("lapi", json!({})), feed("drop", json!({}))]));
    process.advance(seconds(2));
    let request = from(BOTH).basic(&user(1));
    assert_states(
        &process,
        &[
            (&request, Some("denied lapi username")),
            (&from(BOTH), Some("denied drop ip")),
        ],
    );
}

#[test]
fn a_shadow_feed_only_counts_and_hides_no_later_feed() {
    let shadow = || json!({"mode": "shadow"});
    let (process, _servers) = two_feeds(shadow(), json!({}), json!({}));
    let table = [
        (&from(FIRST), Some("would_deny first ip")),
        (&from(BOTH), Some("denied second ip")),
        (&from(SECOND), Some("denied second ip")),
        (&from(CLEAN), None),
    ];
    assert_states(&process, &table);
    for worker in process.workers() {
        assert!(!process.denies(worker, &from(FIRST)));
        assert!(process.denies(worker, &from(BOTH)));
    }
    let metric = |name: &str| process.world().metric(name);
    assert_eq!(metric("would_deny.source=first.kind=ip"), 8);
    assert_eq!(metric("denied.source=first.kind=ip"), 0);
    assert_eq!(metric("denied.source=second.kind=ip"), 12);

    // A later feed in shadow mode, and both.
    let (process, _servers) = two_feeds(json!({}), shadow(), json!({}));
    assert_states(
        &process,
        &[
            (&from(BOTH), Some("denied first ip")),
            (&from(SECOND), Some("would_deny second ip")),
        ],
    );
    let (process, _servers) = two_feeds(shadow(), shadow(), json!({}));
    assert_states(&process, &[(&from(BOTH), Some("would_deny first ip"))]);
}

#[test]
fn the_manual_lists_have_precedence_over_every_feed() {
    let mut config = four_feeds();
    let lists = json!({
        "allow_list": {"ips": ["192.0.2.1", "198.51.100.1"], "usernames": [user(1)]},
        "deny_list": {"ips": [SECOND]},
    });
    for (key, list) in lists.as_object().unwrap() {
        config[key] = list.clone();
    }
    let (process, _servers) = started_with(&config);
    let token = (FEEDS[3].client)(1);
    for listed in FEEDS.iter().map(|feed| (feed.client)(1)) {
        // With an allowed user name every one of them passes.
        assert_states(&process, &[(&listed.basic(&user(1)), None)]);
    }
    assert_states(
        &process,
        &[
            (&token, Some("denied revoked token_claims")),
            (&token.clone().from(BOTH), None),
            (&token.clone().from(SECOND), Some("denied manual ip")),
            (&(FEEDS[1].client)(1), None),
        ],
    );
    assert_eq!(process.world().metric("allow_listed"), 4 * 6);
}

#[test]
fn an_api_takes_only_its_feeds_into_account() {
    let apis = json!({"apis": [
        {"url": "/first", "feeds": ["first"]},
        {"url": "/second", "feeds": ["second"]},
        {"url": "/none", "feeds": []},
        {"url": "/watched", "feeds": ["second"], "mode": "shadow"},
        {},
    ]});
    let (process, _servers) = two_feeds(json!({}), json!({}), apis);
    let at = |path: &str, address: &str| Request::get(path).from(address);
    for (path, address, expected) in [
        ("/first", BOTH, Some("denied first ip")),
        ("/first", FIRST, Some("denied first ip")),
        ("/first", SECOND, None),
        ("/second", BOTH, Some("denied second ip")),
        ("/second", FIRST, None),
        ("/second", SECOND, Some("denied second ip")),
        ("/none", BOTH, None),
        ("/watched", BOTH, Some("would_deny second ip")),
        ("/watched", FIRST, None),
        ("/", BOTH, Some("denied first ip")),
        ("/", SECOND, Some("denied second ip")),
    ] {
        assert_states(&process, &[(&at(path, address), expected)]);
    }
}

#[test]
fn never_block_protects_from_its_own_feed_only() {
    let guard = json!({"guard": {"never_block": ["192.0.2.0/24"]}});
    let (process, _servers) = two_feeds(guard, json!({}), json!({}));
    assert_states(
        &process,
        &[
            (&from(FIRST), None),
            (&from(BOTH), Some("denied second ip")),
        ],
    );
}

#[test]
fn a_feed_over_max_denied_percent_opens_no_other_breaker() {
    let bounded = || json!({"guard": {"max_denied_percent": 50}});
    let (process, _servers) = two_feeds(bounded(), bounded(), json!({}));
    let send = |address: &str, n: usize| {
        for _ in 0..n {
            process.request(1, &from(address));
        }
    };
    send(FIRST, 60);
    send(SECOND, 30);
    send(CLEAN, 20);
    process.advance(seconds(1));
    let states = |worker| {
        let of = |address| state(&process, worker, &from(address));
        [FIRST, SECOND, BOTH].map(of)
    };
    let some = |text: &str| Some(text.to_owned());
    // 60 of 110 are too many for the first feed, 30 are not for the second.
    let expected = [
        some("would_deny first ip"),
        some("denied second ip"),
        some("denied second ip"),
    ];
    assert_eq!(states(1), expected);
    let lines = lines_with(&process, "only counts");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0]
            .contains("the list first denies more than guard.max_denied_percent of the feed first"),
        "{lines:#?}"
    );
    // Each worker counts for itself.
    let expected = [
        some("denied first ip"),
        some("denied second ip"),
        some("denied first ip"),
    ];
    assert_eq!(states(2), expected);
    for _ in 0..9 {
        send(CLEAN, 20);
        process.advance(seconds(10));
    }
    assert_eq!(states(1)[0], some("denied first ip"));
}

#[test]
fn a_clean_request_makes_no_hostcall_for_shared_data_with_four_lists() {
    let (process, servers) = first_versions();
    // Ranges and times to live are looked up without a hostcall, too.
    servers.respond(
        "lapi",
        decisions(&[
            ("Ip", BOTH, Some("4h")),
            ("Range", "10.1.0.0/16", Some("4h")),
            ("username", &user(1), Some("4h")),
        ]),
    );
    servers.respond("drop", text(&["11.2.0.0/16", SECOND]));
    process.configure(&four_feeds());
    process.advance(seconds(4));
    let vm = process.vm(1);
    let before = process.world().effects(vm);
    let mut asked = 0;
    for i in 0..=255u32 {
        for j in 0..4 {
            let claims = json!({"jti": format!("clean-{i}-{j}"), "sub": format!("user-{i}-{j}")});
            let request = from(&format!("198.18.{j}.{i}")).bearer(&jwt(&claims));
            assert_eq!(state(&process, 1, &request), None);
            asked += 1;
        }
    }
    let after = process.world().effects(vm);
    assert_eq!(
        (after.writes, after.calls, after.metrics),
        (before.writes, before.calls, before.metrics)
    );
    // Each filter has about one false positive in 256, and up to four filters are asked about six identifiers.
    let reads = after.reads - before.reads;
    assert!(reads * 20 < asked, "{reads} reads for {asked} requests");
    // A listed client is looked up in its list only.
    for feed in &FEEDS {
        let before = process.world().effects(vm).reads;
        let is_range = feed.name == "drop";
        let request = match is_range {
            true => from("11.2.3.4"),
            false => (feed.client)(1),
        };
        assert!(process.denies(1, &request), "{}", feed.name);
        let reads = process.world().effects(vm).reads - before;
        assert_eq!(reads, u64::from(!is_range), "{}", feed.name);
    }
}
