use serde_json::json;

use super::*;
use crate::fake_host::SentCall;

const MONDAY: &str = "Mon, 23 Nov 2026 10:00:00 GMT";
const TUESDAY: &str = "Tue, 24 Nov 2026 10:00:00 GMT";

/// `if-none-match` and `if-modified-since` of a call.
fn sent(call: &SentCall) -> [Option<&str>; 2] {
    ["if-none-match", "if-modified-since"].map(|name| call.header(name))
}

/// The last call to a cluster.
fn last_call(process: &Process, cluster: &str) -> SentCall {
    let sent = process.world().sent().into_iter();
    let mut of_cluster = sent.filter(|call| call.cluster == cluster);
    of_cluster.next_back().expect("there is a call")
}

#[track_caller]
fn assert_next(process: &Process, cluster: &str, expected: [Option<&str>; 2]) {
    let before = calls_to(process, cluster);
    process.advance_until("the next call", seconds(70), |process| {
        calls_to(process, cluster) > before
    });
    assert_eq!(sent(&last_call(process, cluster)), expected, "{cluster}");
    process.advance(seconds(1));
}

#[test]
fn what_the_server_sent_with_an_accepted_list_is_sent_back() {
    let cases = [
        [Some("\"a\""), Some(MONDAY)],
        [Some("W/\"a b\""), None],
        [None, Some(TUESDAY)],
        // Not a date: the server's own words are sent back.
        [None, Some("yesterday")],
        [None, None],
    ];
    for feed in &FEEDS {
        for [etag, date] in cases {
            let (process, servers) = first_versions();
            let mut response = (feed.list)(1);
            // The server also responds 200 to a call with validators.
            for (name, value) in [("ETag", etag), ("Last-Modified", date)] {
                let name = name.to_lowercase();
                response = value
                    .into_iter()
                    .fold(response, |it, value| it.header(&name, value));
            }
            servers.respond(feed.name, response);
            process.configure(&four_feeds());
            process.advance(seconds(2));
            assert_eq!(sent(&last_call(&process, feed.name)), [None, None]);
            // ABS sends no dates: its list depends on the time of the call.
            let date = date.filter(|_| feed.name != "abs");
            assert_next(&process, feed.name, [etag, date]);
            assert_next(&process, feed.name, [etag, date]);
            for other in FEEDS.iter().filter(|other| other.name != feed.name) {
                assert_eq!(sent(&last_call(&process, other.name)), [None, None]);
            }
            assert_versions(&process, [1; 4]);
        }
    }
}

#[test]
fn a_feed_of_the_format_of_abs_sends_no_date_either() {
    let process = Process::new(2);
    let servers = Servers::of(process.world());
    let list = list_response(&ips(&["192.0.2.1"]));
    let list = list.header("etag", "\"a\"").header("last-modified", MONDAY);
    servers.respond("second", list);
    let mut config = only(&[feed("second", json!({"format": "abs"}))]);
    config["feeds"][0].as_object_mut().unwrap().remove("path");
    process.configure(&config);
    process.advance(seconds(2));
    assert_denies_only(&process, &["192.0.2.1"], &[]);
    assert_next(&process, "second", [Some("\"a\""), None]);
}

#[test]
fn a_response_that_is_not_accepted_changes_no_validator() {
    let known = [Some("\"a\""), Some(MONDAY)];
    let validated = |response: Response| {
        let response = response.header("etag", "\"b\"");
        response.header("last-modified", TUESDAY)
    };
    let faults = [
        Response::new(500, ""),
        Response::new(403, ""),
        Response::new(404, ""),
        Response::new(200, "<html>Sign in</html>"),
        // Refused by the guard: wider than /8, or too many unusable lines.
        text(&["0.0.0.0/1"]),
        text(&["not-an-address"; 200]),
        // A connection that breaks after the headers.
        Response::reset(),
    ];
    for fault in faults {
        let process = Process::new(2);
        let servers = Servers::of(process.world());
        let list = text(&["192.0.2.1"]);
        let list = list.header("etag", "\"a\"").header("last-modified", MONDAY);
        servers.respond("drop", list);
        process.configure(&only(&[feed("drop", json!({}))]));
        process.advance(seconds(2));
        let is_reset = fault.headers.is_empty();
        servers.respond("drop", if is_reset { fault } else { validated(fault) });
        assert_next(&process, "drop", known);
        assert_next(&process, "drop", known);
        servers.respond("drop", validated(text(&["192.0.2.2"])));
        // This call still has those of the first list; its response is accepted.
        process.advance(seconds(140));
        assert_eq!(
            sent(&last_call(&process, "drop")),
            [Some("\"b\""), Some(TUESDAY)]
        );
        assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
    }
}

#[test]
fn the_first_list_needs_no_validator_and_an_error_before_it_leaves_none() {
    let process = Process::new(2);
    let servers = Servers::of(process.world());
    let page = Response::new(200, "<html>Sign in</html>");
    let page = page
        .header("etag", "\"page\"")
        .header("last-modified", MONDAY);
    servers.respond("drop", page);
    process.configure(&only(&[feed("drop", json!({}))]));
    process.advance(seconds(30));
    let calls = process.world().sent();
    assert!(calls.len() >= 3);
    assert!(calls.iter().all(|call| sent(call) == [None, None]));
}

#[test]
fn other_rules_for_entries_need_the_whole_list() {
    let process = Process::new(2);
    let servers = Servers::of(process.world());
    let list = text(&["198.51.100.0/24"]);
    let list = list.header("etag", "\"a\"").header("last-modified", MONDAY);
    servers.respond("drop", list);
    let config = |widest: u8| only(&[feed("drop", json!({"guard": {"widest_ipv4": widest}}))]);
    process.configure(&config(8));
    process.advance(seconds(2));
    assert_next(&process, "drop", [Some("\"a\""), Some(MONDAY)]);
    process.configure(&config(32));
    assert_next(&process, "drop", [None, None]);
    assert!(FEEDS[2].fetches(&process, "refused") >= 1);
}

#[test]
fn a_list_that_is_damaged_in_shared_data_is_fetched_whole() {
    let process = Process::new(2);
    let servers = Servers::of(process.world());
    let list = text(&["192.0.2.1", "198.51.100.0/24"]);
    let list = list.header("etag", "\"a\"").header("last-modified", MONDAY);
    servers.respond("drop", list);
    process.configure(&only(&[feed("drop", json!({}))]));
    process.advance(seconds(2));
    let keys = process.world().keys();
    let bucket = keys.iter().find(|key| key.contains("/a/bucket/")).unwrap();
    process.world().overwrite(bucket, b"garbage");
    assert_next(&process, "drop", [None, None]);
    assert_denies_only(&process, &["192.0.2.1", "198.51.100.7"], &["192.0.2.2"]);
    assert_next(&process, "drop", [Some("\"a\""), Some(MONDAY)]);
}
