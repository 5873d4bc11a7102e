//! The header of list requests that reports on this node (`fleet.report`).

use super::*;
use crate::fake_host::SentCall;

const HEADER: &str = "x-portcullis-node";
const MODULE: &str = concat!("module=", env!("CARGO_PKG_VERSION"));

/// A configuration whose list requests have the header.
fn reporting(mut config: Value) -> Value {
    config["fleet"] = json!({"report": true});
    config
}

/// The calls since the call of this number.
fn calls_since(process: &Process, first: usize) -> Vec<SentCall> {
    process.world().sent().split_off(first)
}

/// The header of the last request for the list of a feed.
fn last_report(process: &Process, cluster: &str) -> Option<String> {
    let sent = process.world().sent();
    let mut lists = sent.iter().filter(|call| call.is_get());
    let last = lists.rfind(|call| call.cluster == cluster).unwrap();
    last.header(HEADER).map(str::to_owned)
}

#[test]
fn each_list_request_has_the_totals_of_the_process() {
    let mut config = reporting(with_feeds(&[
        feed("lapi", json!({"usage_metrics": true})),
        feed("drop", json!({"mode": "shadow"})),
        feed("revoked", json!({})),
    ]));
    config["enable_abs"] = json!(true);
    config["traffic"] = json!({"format": "batch"});
    config["deny_list"] = json!({"api_keys": [secret("manual")]});
    config["allow_list"] = json!({"ips": ["203.0.113.77"]});
    let (process, servers) = first_versions();
    process.world().set_node_id(b"edge-1");
    process.configure(&config);
    process.advance(seconds(2));
    for worker in process.workers() {
        for feed in &FEEDS {
            process.request(worker, &(feed.client)(1));
        }
        let manual = Request::get("/").header("x-api-key", secret("manual"));
        assert!(process.denies(worker, &manual));
        assert!(!process.denies(worker, &from("203.0.113.77")));
    }
    process.advance(seconds(70));
    let generation = |feed: &Known| feed.metric(&process, "attack_list", "generation");
    let before = FEEDS.each_ref().map(generation);
    let since = process.world().sent().len();
    process.advance(seconds(60));
    for feed in &FEEDS {
        let calls = calls_since(&process, since);
        let of_feed = calls.iter().find(|call| call.cluster == feed.name);
        let report = of_feed.and_then(|call| call.header(HEADER)).unwrap();
        let (totals, lists) = report.split_once(";lists=").unwrap();
        assert_eq!(
            totals,
            format!(
                "v=1;node=edge-1;{MODULE};denied=manual.api_key:4,abs.ip:4,lapi.username:4,revoked.token_claims:4;\
                 would_deny=drop.ip:4;allow_listed=4"
            ),
            "{}",
            feed.name
        );
        // A list whose entries end has a new generation after each fetch.
        for (list, (feed, before)) in lists.split(',').zip(FEEDS.iter().zip(before)) {
            let known = [before, generation(feed)];
            let known = known.map(|generation| format!("{}:{generation}:1", feed.name));
            assert!(known.iter().any(|known| known == list), "{list}");
        }
        assert_eq!(lists.split(',').count(), FEEDS.len(), "{lists}");
    }
    // After an interrupted response comes a HEAD request for its size; usage metrics are sent every 15 minutes.
    servers.respond("drop", Response::reset());
    process.advance(seconds(1_000));
    let sent = process.world().sent();
    let has = |method: &str, cluster: &str| {
        let mut of_cluster = sent.iter().filter(|call| call.cluster == cluster);
        of_cluster.any(|call| call.header(":method") == Some(method))
    };
    assert!(has("POST", "lapi") && has("POST", "abs") && has("HEAD", "drop"));
    for call in sent {
        assert_eq!(call.header(HEADER).is_some(), call.is_get(), "{call:?}");
    }
}

#[test]
fn it_is_absent_by_default() {
    let mut off = four_feeds();
    off["fleet"] = json!({"report": false});
    for config in [four_feeds(), off] {
        let (process, _servers) = started_with(&config);
        process.world().set_node_id(b"edge-1");
        process.advance(seconds(130));
        let sent = process.world().sent();
        assert!(sent.len() >= 2 * FEEDS.len());
        assert!(sent.iter().all(|call| call.header(HEADER).is_none()));
    }
}

#[test]
fn the_newest_configuration_decides_and_keeps_the_lists() {
    let (process, servers) = started_with(&four_feeds());
    for feed in &FEEDS {
        servers.respond(feed.name, (feed.list)(1).header("etag", "\"1\""));
    }
    process.advance(seconds(70));
    let keys = process.world().keys();
    let since = process.world().sent().len();
    process.configure(&reporting(four_feeds()));
    process.advance(seconds(2));
    assert_eq!(calls_since(&process, since).len(), 0, "no list is new");
    process.advance(seconds(70));
    for feed in &FEEDS {
        let calls = calls_since(&process, since);
        let call = calls.iter().find(|call| call.cluster == feed.name);
        let call = call.unwrap();
        assert_eq!(call.header("if-none-match"), Some("\"1\""));
        let report = call.header(HEADER).unwrap();
        assert!(report.starts_with(&format!("v=1;{MODULE};")), "{report}");
    }
    assert_eq!(process.world().keys(), keys);
    assert_versions(&process, [1; 4]);
    process.configure(&four_feeds());
    process.advance(seconds(70));
    for feed in &FEEDS {
        assert_eq!(last_report(&process, feed.name), None, "{}", feed.name);
    }
}

#[test]
fn each_filter_reports_its_own_lists_to_its_own_servers() {
    let (process, _servers) = first_versions();
    process.configure_filter(0, &only(&[feed("drop", json!({}))]));
    process.configure_filter(1, &reporting(only(&[feed("revoked", json!({}))])));
    process.advance(seconds(2));
    let outcome = process.request_to(1, 0, &(FEEDS[2].client)(1));
    assert_eq!(outcome.filter_state.as_deref(), Some("denied drop ip"));
    process.advance(seconds(70));
    assert_eq!(last_report(&process, "drop"), None);
    let report = last_report(&process, "revoked").unwrap();
    assert_eq!(
        report,
        format!("v=1;{MODULE};allow_listed=0;lists=revoked:1:1")
    );
    // The newest filter that has a list decides.
    process.configure_filter(1, &reporting(only(&[feed("drop", json!({}))])));
    process.advance(seconds(70));
    let report = last_report(&process, "drop").unwrap();
    assert!(report.ends_with(";denied=drop.ip:1;allow_listed=0;lists=drop:1:1"));
}

#[test]
fn a_hostile_node_id_is_bounded_and_escaped() {
    let (process, _servers) = started_with(&reporting(four_feeds()));
    let sent = last_report(&process, "drop").unwrap();
    assert!(!sent.contains("node="), "{sent}");
    let long = vec![b'n'; 1 << 20];
    let ids: [(&[u8], String); 5] = [
        (&long, "n".repeat(128)),
        (b"a\"b'c", "a%22b%27c".to_owned()),
        (b"a\r\nx-evil: 1", "a%0D%0Ax-evil%3A%201".to_owned()),
        (b"\xFF\xFE\x00;lists=a", "%FF%FE%00%3Blists%3Da".to_owned()),
        (b"", String::new()),
    ];
    for (id, expected) in ids {
        process.world().set_node_id(id);
        process.advance(seconds(70));
        for feed in &FEEDS {
            let report = last_report(&process, feed.name).unwrap();
            let mut fields = report.split(';').filter_map(|field| field.split_once('='));
            let node = fields.find(|(name, _)| *name == "node");
            let expected = Some(("node", expected.as_str())).filter(|(_, id)| !id.is_empty());
            assert_eq!(node, expected);
            assert!(report.len() <= 2_048 && report.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
    assert_versions(&process, [1; 4]);
}
