use std::collections::BTreeMap;
use std::io::Write;

use log::Level;
use portcullis::host::HostError;
use serde_json::json;

use super::abs::{Abs, ips, list_response};
use super::process::{MAIN, Process};
use super::*;
use crate::fake_host::{Hostcall, Interrupt, Response};
use crate::secrets::secret;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Lets one fetch fail by `failure` while a list with 192.0.2.1 is active; the next list contains 192.0.2.2. Asserts that
/// the failure is counted as `result`, that the active list stays, that exactly one error with `message` is logged, and
/// that the next list becomes active.
#[track_caller]
fn assert_failure(name: &str, failure: impl Fn(&Abs), result: &str, message: &str) {
    for slice in [usize::MAX, 3] {
        let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
        process.world().set_slice(slice);
        process.world().forget_logs();
        failure(&abs);
        process.advance_until(name, seconds(80), |process| {
            process.world().fetches().values().sum::<u64>() == 2
        });
        let expected = BTreeMap::from([("ok".to_owned(), 1), (result.to_owned(), 1)]);
        assert_eq!(process.world().fetches(), expected, "{name}");
        abs.list(ips(&["192.0.2.2"]));
        abs.latency(millis(20));
        process.advance(millis(500));
        assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
        let errors: Vec<_> = process
            .world()
            .logs()
            .into_iter()
            .filter(|(level, _)| *level <= Level::Warn)
            .collect();
        let [(Level::Error, line)] = errors.as_slice() else {
            panic!("{name}: {errors:?}");
        };
        assert!(line.contains(message), "{name}: {line}");
        assert!(line.contains("the active list stays"), "{name}: {line}");
        process.advance(seconds(3));
        assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
        let logs = process.world().logs();
        assert!(
            logs.iter()
                .any(|(_, line)| line == "fetching the attack list works again"),
            "{name}: {logs:?}"
        );
    }
}

#[track_caller]
fn assert_failing_response(name: &str, response: Response, result: &str, message: &str) {
    assert_failure(name, |abs| abs.respond(response.clone()), result, message);
}

#[test]
fn refused_credentials_and_other_statuses_have_different_results() {
    for status in [401, 403] {
        let response = Response::new(status, "go away");
        assert_failing_response("keys", response, "unauthorized", "abs.access_key");
    }
    for status in [400, 404, 500, 502, 302, 204, 206] {
        let response = Response::new(status, ips(&["192.0.2.3"]).to_string());
        assert_failing_response("status", response, "status", &status.to_string());
    }
}

#[test]
fn local_replies_of_envoy_are_failures() {
    let no_host = Response::new(503, "no healthy upstream").header("content-type", "text/plain");
    assert_failing_response("no host", no_host, "status", "503");
    assert_failing_response("timeout", Response::timeout(), "timeout", "abs.timeout");
}

#[test]
fn a_call_over_its_timeout_is_counted_as_timeout() {
    assert_failure(
        "slow",
        |abs| abs.latency(seconds(6)),
        "timeout",
        "abs.timeout",
    );
}

#[test]
fn a_body_that_is_not_an_attack_list_is_refused() {
    let whole = json!({"ips": ["192.0.2.3"], "usernames": [secret("eve")]}).to_string();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", b"".to_vec()),
        ("white space", b" \n".to_vec()),
        ("HTML", b"<html>login</html>".to_vec()),
        ("half", whole.as_bytes()[..whole.len() / 2].to_vec()),
        (
            "all but the last byte",
            whole.as_bytes()[..whole.len() - 1].to_vec(),
        ),
        ("twice", [whole.as_bytes(), whole.as_bytes()].concat()),
        (
            "no known key",
            br#"{"message":"no entries","total":0}"#.to_vec(),
        ),
        ("a list", br#"["192.0.2.3"]"#.to_vec()),
        ("null", b"null".to_vec()),
        ("a text", br#""ips""#.to_vec()),
        ("bytes", vec![0xff; 100]),
        ("deep", b"[".repeat(100_000)),
    ];
    for (name, body) in cases {
        assert_failing_response(name, Response::new(200, body), "malformed", "attack list");
    }
}

#[test]
fn a_list_without_usable_entries_or_in_another_shape_is_refused() {
    let cases = [
        (
            r#"{"ips":{"A":{}}}"#,
            "found an object with 1 key under ips",
        ),
        (r#"["192.0.2.3\n"]"#, "found a list; check"),
        (
            r#"{"ips":["A\n"]}"#,
            "ips 1 of 1 (entry 1 of ips: not an address",
        ),
        (r#"[{"value":"192.0.2.3"}]"#, "found a list; check"),
        (
            r#"{"ips":[{"value":"192.0.2.3"}]}"#,
            "of an unsupported type",
        ),
        (r#""192.0.2.3,192.0.2.4""#, "found a string"),
        (
            r#"{"ips":"192.0.2.3,192.0.2.4"}"#,
            "found a string under ips",
        ),
        ("3", "found a number"),
        (r#"{"ips":3}"#, "found a number under ips"),
        ("true", "found a boolean"),
        (r#"{"message":"x"}"#, "found an object with 1 key"),
        (
            r#"{"total":1,"items":["192.0.2.3"]}"#,
            "found an object with 2 keys",
        ),
        (
            r#"{"attacklist":{"total":1,"items":["192.0.2.3"]},"next":"/2"}"#,
            "found an object with 2 keys under attacklist",
        ),
        (
            r#"{"ips":["192.0.2.3"],"usernames":[{"value":"bob"}]}"#,
            "none of its usernames can be used",
        ),
        (
            r#"{"ips":["192.0.2.3"],"cookies":["a"]}"#,
            "found a list under cookies; expected an object",
        ),
    ];
    for (body, message) in cases {
        assert_failing_response(body, Response::new(200, body), "malformed", message);
    }
}

#[test]
fn a_valid_empty_list_unblocks() {
    for body in [
        r#"{"ips":[]}"#,
        r#"{"attacklist":{}}"#,
        r#"{"attacklist":null}"#,
        r#"{"ips":null,"cookies":{},"usernames":[]}"#,
    ] {
        let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
        abs.respond(Response::new(200, body));
        process.advance(seconds(70));
        assert_denies_only(&process, &[], &["192.0.2.1"]);
        assert_eq!(process.world().fetches()["ok"], 2, "{body}");
        assert_eq!(process.world().metric("attack_list.entries.kind=ip"), 0);
    }
}

#[test]
fn all_forms_of_entries_are_accepted() {
    let body = "\u{feff}{\"ips\":[\"192.0.2.1\\n\",\"192.0.2.1\",\" 192.0.2.1/32\"],\
                \"oauth_tokens\":[\"Bearer t-1\",\"t-1\"],\"usernames\":[1001,\"1001 \"]}";
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), ips(&[]));
    abs.respond(Response::new(200, body));
    process.configure(&config());
    process.advance(seconds(2));
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    assert!(process.denies(1, &from("192.0.2.3").bearer("t-1")));
    assert!(process.denies(1, &from("192.0.2.3").basic("1001")));
    for (kind, entries) in [("ip", 1), ("oauth_token", 1), ("username", 1)] {
        let metric = format!("attack_list.entries.kind={kind}");
        assert_eq!(process.world().metric(&metric), entries, "{kind}");
    }
    assert_eq!(process.world().metric("entries_skipped"), 0);
}

#[test]
fn a_body_shorter_or_longer_than_content_length_is_refused() {
    let body = ips(&["192.0.2.3"]).to_string();
    for length in [body.len() + 1, body.len() - 1, 0] {
        let response =
            Response::new(200, body.clone()).header("content-length", length.to_string());
        assert_failing_response(
            "length",
            response,
            "malformed",
            "the response was truncated",
        );
    }
}

#[test]
fn an_invalid_content_length_is_ignored() {
    let (process, abs) = started(1, &config(), ips(&["192.0.2.1"]));
    let body = ips(&["192.0.2.3"]).to_string();
    abs.respond(Response::new(200, body).header("content-length", "many"));
    process.advance(seconds(70));
    assert_denies_only(&process, &["192.0.2.3"], &["192.0.2.1"]);
}

#[test]
fn a_gzip_body_is_read_in_slices_of_any_size() {
    for slice in [1, 7, 64 * 1024] {
        for encoding in ["gzip", "GZIP", "x-gzip"] {
            let (process, abs) = started(1, &config(), ips(&["192.0.2.1"]));
            process.world().set_slice(slice);
            let body = gzip(
                ips(&["192.0.2.3", "198.51.100.0/24"])
                    .to_string()
                    .as_bytes(),
            );
            let length = body.len().to_string();
            let response = Response::new(200, body)
                .header("content-encoding", encoding)
                .header("content-length", length);
            abs.respond(response);
            process.advance(seconds(70));
            assert_denies_only(&process, &["192.0.2.3", "198.51.100.7"], &["192.0.2.1"]);
        }
    }
}

#[test]
fn a_broken_gzip_body_is_refused() {
    let whole = gzip(ips(&["192.0.2.3"]).to_string().as_bytes());
    let mut flipped = whole.clone();
    flipped[20] ^= 0xff;
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    let cases = [
        ("cut", whole[..whole.len() - 9].to_vec()),
        (
            "without its trailer's end",
            whole[..whole.len() - 1].to_vec(),
        ),
        ("flipped", flipped),
        ("wrong checksum", wrong_sum),
        ("not gzip", ips(&["192.0.2.3"]).to_string().into_bytes()),
        ("empty", Vec::new()),
    ];
    for (name, body) in cases {
        let response = Response::new(200, body).header("content-encoding", "gzip");
        assert_failing_response(name, response, "malformed", "attack list");
    }
}

#[test]
fn an_unrequested_content_encoding_is_refused() {
    let body = ips(&["192.0.2.3"]).to_string();
    for encoding in ["br", "deflate", "gzip, br", "gzip, gzip", "zstd", "utf-16"] {
        let response = Response::new(200, body.clone()).header("content-encoding", encoding);
        assert_failing_response(encoding, response, "malformed", "content-encoding");
    }
}

#[test]
fn equivalent_encoding_names_are_accepted() {
    let plain = ips(&["192.0.2.3"]).to_string().into_bytes();
    let zipped = gzip(&plain);
    let take = |response: Response, name: &str| {
        let (process, abs) = started(1, &config(), ips(&["192.0.2.1"]));
        abs.respond(response);
        process.advance(seconds(70));
        assert_eq!(process.world().fetches()["ok"], 2, "{name}");
        assert_denies_only(&process, &["192.0.2.3"], &["192.0.2.1"]);
    };
    for encoding in [
        "",
        "identity",
        "Identity",
        "UTF-8",
        "utf-8",
        "none",
        ",",
        "identity,",
        " , none",
    ] {
        let response = Response::new(200, plain.clone()).header("content-encoding", encoding);
        take(response, encoding);
    }
    for encoding in [
        ", gzip",
        "gzip, ",
        "gzip",
        "GZip",
        "identity, gzip",
        "X-GZIP,,",
    ] {
        let response = Response::new(200, zipped.clone()).header("content-encoding", encoding);
        take(response, encoding);
    }
    let twice = Response::new(200, zipped)
        .header("content-encoding", "gzip")
        .header("content-encoding", "identity");
    take(twice, "two headers");
}

#[test]
fn a_reset_and_a_response_over_the_buffer_limit_have_different_results() {
    let lost = |abs: &Abs| {
        abs.respond(Response::reset());
        abs.respond_to_others(Response::reset());
    };
    assert_failure("reset", lost, "reset", "no connection");
    let small = |abs: &Abs| {
        abs.respond(Response::reset());
        abs.respond_to_others(Response::new(200, "").header("content-length", "33554432"));
    };
    assert_failure("as much as Envoy takes", small, "reset", "no connection");
    let unknown = |abs: &Abs| {
        abs.respond(Response::reset());
        abs.respond_to_others(Response::new(405, "").header("content-length", "999999999"));
    };
    assert_failure(
        "HEAD not allowed",
        unknown,
        "reset",
        "http.async_response_buffer_limit",
    );
    let large = |abs: &Abs| {
        abs.respond(Response::reset());
        abs.respond_to_others(Response::new(200, "").header("content-length", "33554433"));
    };
    assert_failure(
        "too large",
        large,
        "too_large",
        "http.async_response_buffer_limit",
    );
}

#[test]
fn the_size_is_requested_by_one_head_request_for_each_failure() {
    let (process, abs) = started(1, &config(), ips(&["192.0.2.1"]));
    abs.respond(Response::reset());
    abs.respond_to_others(Response::new(200, "").header("content-length", "40000000"));
    process.advance_until("too large", seconds(80), |process| {
        process.world().fetches().contains_key("too_large")
    });
    let sent = process.world().sent();
    let [_, get, head] = sent.as_slice() else {
        panic!("{sent:#?}");
    };
    assert_eq!(head.header(":method"), Some("HEAD"));
    for name in [":path", ":authority", "x-abs-ak", "x-abs-sk"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
        assert!(head.header(name).is_some(), "{name}");
    }
}

#[test]
fn calls_that_envoy_refuses_are_repeated() {
    let unknown = |abs: &Abs| abs.refuse(HostError::BadArgument);
    assert_failure("unknown cluster", unknown, "reset", "abs.cluster");
    let no_host = |abs: &Abs| abs.refuse(HostError::InternalFailure);
    assert_failure("no host", no_host, "reset", "no healthy host");
    let other = |abs: &Abs| abs.refuse(HostError::Status(12));
    assert_failure("other", other, "reset", "status 12");
}

#[test]
fn a_cluster_that_is_not_ready_at_start_does_not_delay_the_first_list_by_an_interval() {
    let process = Process::new(2);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.refuse(HostError::BadArgument);
    process.configure(&config());
    process.advance(millis(1_500));
    abs.serve();
    process.advance(seconds(3));
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
}

#[test]
fn a_lasting_failure_is_logged_once_and_a_different_one_again() {
    let (process, abs) = started(1, &config(), ips(&["192.0.2.1"]));
    process.world().forget_logs();
    abs.respond(Response::new(500, ""));
    process.advance(seconds(100));
    let failures = |process: &Process| {
        let logs = process.world().logs();
        let failures = logs.iter().filter(|(_, line)| line.contains("failed"));
        failures.count()
    };
    assert!(process.world().fetches()["status"] >= 4);
    assert_eq!(failures(&process), 1);
    abs.respond(Response::timeout());
    abs.respond(Response::new(200, "<html>"));
    process.advance(seconds(70));
    assert_eq!(failures(&process), 2);
}

#[test]
fn a_call_without_a_response_is_abandoned_after_its_timeout() {
    let (process, abs) = started(2, &config(), ips(&["192.0.2.1"]));
    abs.hold();
    process.advance_until("a call", seconds(70), |process| gets(process) == 2);
    abs.list(ips(&["192.0.2.2"]));
    process.advance(seconds(12));
    assert_eq!(gets(&process), 3);
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
}

#[test]
fn a_response_is_accepted_once_and_only_by_the_vm_that_made_the_call() {
    let process = Process::new(2);
    let abs = Abs::serving(process.world(), ips(&["192.0.2.1"]));
    abs.hold();
    process.configure(&config());
    process.advance(seconds(1));
    let call = process.world().sent()[0].clone();
    process.respond(call.id, list_response(&ips(&["192.0.2.1"])));
    process.advance(seconds(1));
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    assert_eq!(process.world().fetches()["ok"], 1);
}

#[test]
fn a_304_is_accepted_only_for_a_conditional_request() {
    let response = Response::new(304, "");
    assert_failing_response("304 without an ETag", response, "status", "304");

    let (process, abs) = started(1, &config(), ips(&[]));
    let abs = abs.with_etags();
    abs.list(ips(&["192.0.2.1"]));
    process.advance(seconds(70));
    let metrics = [
        "attack_list.entries.kind=ip",
        "attack_list.generation",
        "attack_list.bytes",
    ];
    let shown = metrics.map(|name| process.world().metric(name));
    let last_success = process
        .world()
        .metric("attack_list.last_success_unix_seconds");
    process.advance(seconds(65));
    assert_eq!(process.world().fetches()["not_modified"], 1);
    let sent = process.world().sent();
    assert_eq!(sent[1].header("if-none-match"), None);
    assert_eq!(sent[2].header("if-none-match"), Some("\"v2\""));
    assert_eq!(metrics.map(|name| process.world().metric(name)), shown);
    assert!(
        process
            .world()
            .metric("attack_list.last_success_unix_seconds")
            > last_success
    );
    assert_denies_only(&process, &["192.0.2.1"], &["192.0.2.2"]);
    // The ETag survives the response that confirmed it.
    process.advance(seconds(65));
    assert_eq!(process.world().fetches()["not_modified"], 2);
}

#[test]
fn the_next_fetch_of_any_vm_sends_the_etag() {
    let (process, abs) = started(2, &config(), ips(&[]));
    let abs = abs.with_etags();
    abs.list(ips(&["192.0.2.1"]));
    process.advance(seconds(70));
    process.kill(MAIN);
    process.advance(seconds(70));
    let sent = process.world().sent();
    let last = sent.last().unwrap();
    assert_ne!(last.vm, sent[0].vm);
    assert_eq!(last.header("if-none-match"), Some("\"v2\""));
}

#[test]
fn no_etag_is_sent_after_a_change_of_the_guards_or_the_memory_bound() {
    let changes = [
        json!({"guard": {"widest_ipv4": 16}}),
        json!({"guard": {"max_skipped_percent": 50}}),
        json!({"attack_list_memory": "1MB"}),
    ];
    for change in changes {
        let (process, abs) = started(1, &config(), ips(&[]));
        let abs = abs.with_etags();
        abs.list(ips(&["192.0.2.1"]));
        process.advance(seconds(70));
        process.configure(&config_with(change.clone()));
        process.advance(seconds(65));
        let sent = process.world().sent();
        assert_eq!(sent.len(), 3);
        assert_eq!(sent[2].header("if-none-match"), None, "{change}");
        assert_eq!(process.world().fetches()["ok"], 3, "{change}");
    }
}

#[test]
fn an_etag_of_an_inactive_list_is_not_sent() {
    let (process, abs) = started(2, &config(), ips(&[]));
    let abs = abs.with_etags();
    abs.list(ips(&["192.0.2.1"]));
    process.advance(seconds(70));
    // The next list is activated by a holder that dies before it stores the list's ETag.
    abs.list(ips(&["192.0.2.2"]));
    process.interrupt(
        MAIN,
        |hostcall| matches!(hostcall, Hostcall::Write(key) if key.ends_with("/freshness")),
        Interrupt::Die,
    );
    process.advance(seconds(75));
    assert!(!process.is_alive(MAIN));
    assert_denies_only(&process, &["192.0.2.2"], &["192.0.2.1"]);
    let sent = process.world().sent();
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[2].header("if-none-match"), Some("\"v2\""));
    assert_eq!(sent[3].header("if-none-match"), None);
}

#[test]
fn an_empty_or_too_long_etag_is_not_sent() {
    for etag in ["", &format!("\"{}\"", "x".repeat(300))] {
        let process = Process::new(1);
        let abs = Abs::serving(process.world(), ips(&[]));
        abs.respond(list_response(&ips(&["192.0.2.1"])).header("etag", etag));
        process.configure(&config());
        process.advance(seconds(70));
        let sent = process.world().sent();
        assert_eq!(sent[1].header("if-none-match"), None, "{etag}");
        assert_denies_only(&process, &["192.0.2.1"], &[]);
    }
}

#[test]
fn unusable_entries_are_counted_and_the_others_are_enforced() {
    let list = json!({
        "ips": ["192.0.2.1", "not an address", 7, null, "", "10.0.0.0/33", {"ip": "192.0.2.2"}],
        "usernames": [{"name": "mallory"}, "bob\n"],
        "surprise": {"deep": [1, 2, 3]},
    });
    let (process, _abs) = started(1, &config(), list);
    assert_denies_only(&process, &["192.0.2.1", "192.0.2.2"], &["192.0.2.3"]);
    assert_eq!(process.world().metric("entries_skipped"), 6);
    assert_eq!(
        process.world().metric("attack_list.entries.kind=username"),
        1
    );
    assert!(process.denies(1, &from("192.0.2.3").basic("bob")));
}

#[test]
fn credentials_come_from_the_configuration_or_the_environment() {
    let without_keys = config_with(json!({"abs": {"cluster": "abs"}}));
    let (process, _abs) = started(1, &without_keys, ips(&[]));
    let call = process.world().sent()[0].clone();
    assert_eq!(
        (call.header("x-abs-ak"), call.header("x-abs-sk")),
        (None, None)
    );
    assert_eq!(call.cluster, "abs");
    assert_eq!(call.header(":authority"), Some("abs"));

    let process = Process::new(1);
    Abs::serving(process.world(), ips(&[]));
    let (access, key) = (secret("from-environment"), secret("access-key"));
    process.world().set_environment("ABS_ACCESS_KEY", &access);
    process.configure(&without_keys);
    process.advance(seconds(1));
    assert_eq!(
        process.world().sent()[0].header("x-abs-ak"),
        Some(access.as_str())
    );
    process.configure(&config());
    process.advance(seconds(65));
    assert_eq!(
        process.world().sent()[1].header("x-abs-ak"),
        Some(key.as_str())
    );
}
