//! What is served is what the filter reads: the same entries, with the same ends.

use std::io::Read as _;
use std::sync::Arc;

use flate2::read::GzDecoder;
use portcullis::config::{Config, Feed};

use super::decisions::read_delta;
use super::entries::{Entries, Parts};
use super::form::Form;
use super::relayed::List;
use super::upstream::{read_list, seconds};
use crate::clients::feed::unix_now;

const NOW: u32 = 1_700_000_000;

fn feed(json: &str) -> Feed {
    let config = format!(r#"{{"feeds": [{json}]}}"#);
    let config = Config::parse(config.as_bytes(), &|_| None).unwrap();
    config.feeds.into_iter().next().unwrap()
}

fn abs() -> Feed {
    feed(r#"{"name": "a", "format": "abs", "cluster": "c"}"#)
}

fn crowdsec() -> Feed {
    feed(
        r#"{"name": "c", "format": "crowdsec", "cluster": "c", "session_cookie": "SID",
            "scope_headers": {"Country": "cf-ipcountry"}}"#,
    )
}

fn read(feed: &Feed, body: &str, now: u32) -> Entries {
    let (mut entries, _) = read_list(feed, &mut body.as_bytes(), now).unwrap();
    entries.sort();
    entries
}

fn served(feed: &Feed, entries: &Entries, now: u32) -> String {
    let body = Form::of(feed).render(entries, now).unwrap();
    let mut text = String::new();
    let mut unzipped = GzDecoder::new(&*body.gzip);
    unzipped.read_to_string(&mut text).unwrap();
    assert_eq!(u64::try_from(text.len()).unwrap(), body.plain_bytes);
    text
}

fn pairs(entries: &Entries) -> Vec<(Vec<u8>, u32)> {
    let pairs = entries.iter().map(|(key, end)| (key.to_vec(), end));
    pairs.collect()
}

/// Reads a body, serves it, reads what is served and compares.
fn check(feed: &Feed, body: &str, expected: &str) {
    let entries = read(feed, body, NOW);
    let text = served(feed, &entries, NOW);
    assert_eq!(text, expected);
    assert_eq!(pairs(&read(feed, &text, NOW)), pairs(&entries));
}

#[test]
fn an_attack_list_is_read_back_to_the_same_entries() {
    check(
        &abs(),
        r#"{"attacklist": {
            "usernames": ["two words", "bob", 1001, "bob"],
            "ips": ["203.0.113.0/24", "192.0.2.10", "192.0.2.9", "::ffff:192.0.2.8", "2001:db8::/32"],
            "cookies": {"T": ["z"], "S": ["\" v \"", "\"\"x\"\"", "a", "\u00e9\"\\"]},
            "oauth_tokens": ["T1", "Bearer Bearer T2", "bearer T3"],
            "api_keys": {"x-api-key": ["k"], "y": ["j"]}}}"#,
        concat!(
            r#"{"ips":["192.0.2.8","192.0.2.9","192.0.2.10","203.0.113.0/24","2001:db8::/32"],"#,
            r#""cookies":{"S":["\" v \"","\"\"x\"\"","a","é\"\\"],"T":["z"]},"#,
            r#""oauth_tokens":["Bearer Bearer T2","T1","T3"],"api_keys":["j","k"],"usernames":["1001","bob","two words"]}"#
        ),
    );
    check(
        &abs(),
        r#"{"usernames": ["bob"]}"#,
        r#"{"ips":[],"usernames":["bob"]}"#,
    );
    check(
        &abs(),
        r#"{"cookies": {"S": ["v"]}}"#,
        r#"{"ips":[],"cookies":{"S":["v"]}}"#,
    );
    check(&abs(), r#"{"ips": null}"#, r#"{"ips":[]}"#);
}

#[test]
fn a_list_of_addresses_is_read_back_without_special_ranges() {
    let text = feed(r#"{"name": "t", "format": "text", "cluster": "c", "path": "/t"}"#);
    check(
        &text,
        "# c\n192.0.2.10-192.0.2.11\n10.0.0.0/8\n198.51.100.7 ; x\n2001:470::1\n198.51.100.7\n",
        "# portcullis\n192.0.2.10/31\n198.51.100.7\n2001:470::1\n",
    );
    check(&text, "# empty\n", "# portcullis\n");
}

#[test]
fn tokens_are_read_back_with_the_claims_they_have() {
    check(
        &feed(
            r#"{"name": "r", "format": "tokens", "cluster": "c", "path": "/r", "claims": ["jti", "aud"]}"#,
        ),
        r#"["b", {"jti": "a", "aud": "shop"}, {"aud": "shop"}, 7, {"jti": "b"}]"#,
        r#"[{"aud":"shop"},"7",{"jti":"a","aud":"shop"},"b"]"#,
    );
}

#[test]
fn decisions_are_read_back_with_their_ends() {
    check(
        &crowdsec(),
        r#"{"new": [
            {"duration": "1h0m0s", "scope": "Range", "type": "ban", "value": "203.0.113.0/24"},
            {"duration": "10s", "scope": "Ip", "type": "ban", "value": "192.0.2.1"},
            {"duration": "20.4s", "scope": "Ip", "type": "BAN", "value": "192.0.2.1"},
            {"scope": "country", "type": "ban", "value": "XX", "duration": "5m0s"},
            {"scope": "session", "type": "ban", "value": " \" s \"", "duration": "5m0s"},
            {"scope": "username", "type": "ban", "value": "bob"},
            {"duration": "10s", "scope": "Ip", "type": "captcha", "value": "192.0.2.7"}],
            "deleted": null}"#,
        concat!(
            r#"{"new":[{"duration":"20s","scope":"ip","type":"ban","value":"192.0.2.1"},"#,
            r#"{"duration":"3600s","scope":"ip","type":"ban","value":"203.0.113.0/24"},"#,
            r#"{"duration":"300s","scope":"session","type":"ban","value":"\" s \""},"#,
            r#"{"scope":"username","type":"ban","value":"bob"},"#,
            r#"{"duration":"300s","scope":"Country","type":"ban","value":"XX"}],"deleted":null}"#
        ),
    );
    check(
        &crowdsec(),
        r#"{"new": null}"#,
        r#"{"new":[],"deleted":null}"#,
    );
}

#[test]
fn decisions_that_have_ended_are_not_served_and_others_end_sooner() {
    let body = r#"{"new": [
        {"duration": "10s", "scope": "Ip", "type": "ban", "value": "192.0.2.1"},
        {"duration": "70s", "scope": "Ip", "type": "ban", "value": "192.0.2.2"}]}"#;
    let entries = read(&crowdsec(), body, NOW);
    assert_eq!(
        served(&crowdsec(), &entries, NOW + 60),
        r#"{"new":[{"duration":"10s","scope":"ip","type":"ban","value":"192.0.2.2"}],"deleted":null}"#
    );
}

#[test]
fn durations_are_written_again_after_a_minute() {
    let now = seconds(unix_now());
    let body = r#"{"new": [
        {"duration": "10s", "scope": "Ip", "type": "ban", "value": "192.0.2.1"},
        {"duration": "1h", "scope": "Ip", "type": "ban", "value": "192.0.2.2"}]}"#;
    let form = Form::of(&crowdsec());
    for (age, n_expected) in [(30, 2), (90, 1)] {
        let entries = read(&crowdsec(), body, now - age);
        let rendered = form.render(&entries, now - age).unwrap();
        let list = List::new(String::new(), rendered, now - age, Some(Arc::new(entries)));
        let fresh = list.fresh(&form).unwrap();
        let mut unzipped = GzDecoder::new(&*fresh.gzip);
        let (read, _) = read_list(&crowdsec(), &mut unzipped, now).unwrap();
        assert_eq!(read.iter().count(), n_expected, "{age}");
    }
}

#[test]
fn the_tag_depends_on_the_entries_and_on_nothing_else() {
    let tag = |body| Form::Abs.etag(&read(&abs(), body, NOW), NOW);
    let one = tag(r#"{"ips": ["192.0.2.1", "192.0.2.2"]}"#);
    assert_eq!(
        one,
        tag(r#"{"ips": ["192.0.2.2", "192.0.2.1", "192.0.2.2"]}"#)
    );
    assert_ne!(one, tag(r#"{"ips": ["192.0.2.1"]}"#));
    assert_ne!(one, tag(r#"{"usernames": ["192.0.2.1", "192.0.2.2"]}"#));
}

#[test]
fn a_delta_names_what_is_deleted_as_the_filter_reads_it() {
    let body = r#"{"new": [{"duration": "1m", "scope": "Ip", "type": "ban", "value": "192.0.2.1"}],
        "deleted": [
            {"duration": "-5s", "id": 1, "scope": "Ip", "type": "ban", "value": "::ffff:192.0.2.2"},
            {"duration": "-5s", "scope": "Country", "type": "ban", "value": "XX"},
            {"duration": "-5s", "scope": "Ip", "type": "captcha", "value": "192.0.2.3"},
            {"duration": "-5s", "scope": "Ip", "type": "ban", "value": "nonsense"},
            {"scope": 5}]}"#;
    let delta = read_delta(&crowdsec(), body.as_bytes(), NOW).unwrap();
    let shown = |entries: &Entries| -> Vec<String> {
        let parts = entries
            .iter()
            .map(|(key, _)| format!("{:?}", Parts::of(key).unwrap().1));
        parts.collect()
    };
    assert_eq!(shown(&delta.new), ["Ip(192.0.2.1/32)"]);
    assert_eq!(
        shown(&delta.deleted),
        ["Ip(192.0.2.2/32)", r#"Named("cf-ipcountry", "XX")"#]
    );
    for deleted in ["null", "[]"] {
        let body = format!(r#"{{"new": [], "deleted": {deleted}}}"#);
        assert!(read_delta(&crowdsec(), body.as_bytes(), NOW).is_ok());
    }
    for body in [
        r#"{"new": [], "deleted": 5}"#,
        r#"{"new": [], "deleted": [5]}"#,
        r#"{"deleted": []}"#,
        r#"{"new": [], "deleted": ["#,
    ] {
        assert!(
            read_delta(&crowdsec(), body.as_bytes(), NOW).is_err(),
            "{body}"
        );
    }
}
