//! The feeds of accepted configurations.

use core::time::Duration;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::feed::Crowdsec;
use crate::identifier::PerKind;

fn parse(json: &str, environment: &[(&str, &str)]) -> Config {
    let environment = |name: &str| {
        let mut variables = environment.iter();
        let (_, value) = variables.find(|(known, _)| *known == name)?;
        Some((*value).to_owned())
    };
    Config::parse(json.as_bytes(), &environment).unwrap()
}

#[test]
fn a_feed_has_the_defaults_of_its_format() {
    let config = parse(
        r#"{"feeds": [
            {"name": "crowdsec", "format": "crowdsec", "cluster": "lapi"},
            {"name": "drop", "format": "text", "cluster": "lists", "path": "/drop.txt"},
            {"name": "revoked", "format": "tokens", "cluster": "auth", "path": "/revoked"},
            {"name": "partner", "format": "abs", "cluster": "abs2"},
            {"name": "off", "format": "text", "cluster": "lists", "path": "/off.txt", "enabled": false}]}"#,
        &[],
    );
    let names: Vec<&str> = config.feeds.iter().map(|feed| &*feed.name).collect();
    assert_eq!(names, ["crowdsec", "drop", "revoked", "partner"]);
    let intervals: Vec<u64> = config
        .feeds
        .iter()
        .map(|feed| feed.interval.as_secs())
        .collect();
    assert_eq!(intervals, [60, 3_600, 3_600, 600]);
    let kinds: Vec<_> = config.feeds.iter().map(|feed| feed.kinds).collect();
    let none = PerKind::default();
    let expected = [
        PerKind {
            ip: true,
            username: true,
            ..none
        },
        PerKind { ip: true, ..none },
        PerKind {
            token_claims: true,
            ..none
        },
        PerKind::WITH_LIST_KEY,
    ];
    assert_eq!(kinds, expected);
    let [crowdsec, drop, revoked, _] = &*config.feeds else {
        panic!("four feeds");
    };
    assert_eq!(crowdsec.path, "/v1/decisions/stream");
    assert_eq!((&*crowdsec.cluster, &*crowdsec.authority), ("lapi", "lapi"));
    let scopes = ["ip", "range", "username"].map(str::to_owned).to_vec();
    let expected = FeedFormat::Crowdsec(Crowdsec {
        scopes,
        types: vec!["ban".to_owned()],
        ..Crowdsec::default()
    });
    assert_eq!(crowdsec.format, expected);
    // A list of CrowdSec may grow, and may not lose more than half of its entries.
    let guards =
        [crowdsec, drop].map(|feed| (feed.guard.max_change_percent, feed.guard.max_loss_percent));
    assert_eq!(guards, [(None, Some(50.0)), (None, None)]);
    assert_eq!(
        revoked.format,
        FeedFormat::Tokens {
            claims: vec!["jti".to_owned()]
        }
    );
}

#[test]
fn all_keys_of_feeds_are_read() {
    let config = parse(
        r#"{"feeds": [{"name": "crowdsec", "format": "crowdsec", "cluster": "lapi", "authority": "lapi.example.com:8080",
            "path": "/v1/decisions/stream", "headers": {"X-Api-Key": {"env": "KEY"}, "x-tenant": "a", "basic": {"user": "u", "password_env": "PASSWORD"}},
            "interval": "10s", "timeout": "5s", "memory": "16MB", "max_age": "1h", "when_stale": "drop", "before_first_list": "deny",
            "mode": "shadow", "kinds": ["ip", "header"], "guard": {"max_change_percent": null, "never_block": ["192.0.2.1"]},
            "origins": ["CAPI"], "scenarios_containing": ["http"], "scenarios_not_containing": ["ssh"], "types": ["ban", "captcha"],
            "session_cookie": "sid", "scope_headers": {"Country": "CF-IPCountry", "AS": "x-asn"}, "usage_metrics": true}],
            "apis": [{"api_id": "shop", "url": "/shop", "feeds": ["abs"]}]}"#,
        &[("KEY", " k-1\n"), ("PASSWORD", "p")],
    );
    let [feed] = &*config.feeds else {
        panic!("one feed");
    };
    let headers: Vec<_> = feed
        .headers
        .iter()
        .map(|(name, value)| (&**name, value.reveal()))
        .collect();
    assert_eq!(
        headers,
        [
            ("x-api-key", "k-1"),
            ("x-tenant", "a"),
            ("authorization", "Basic dTpw")
        ]
    );
    assert_eq!(
        (feed.interval, feed.timeout),
        (Duration::from_secs(10), Duration::from_secs(5))
    );
    assert_eq!(
        (feed.memory, feed.max_age),
        (16 << 20, Some(Duration::from_secs(3_600)))
    );
    assert_eq!(
        (feed.when_stale, feed.before_first_list),
        (WhenStale::Drop, BeforeFirstList::Deny)
    );
    assert_eq!(feed.mode, Mode::Shadow);
    assert_eq!(
        feed.kinds,
        PerKind {
            ip: true,
            header: true,
            ..PerKind::default()
        }
    );
    // The operator decided on changes.
    assert_eq!(
        (feed.guard.max_change_percent, feed.guard.max_loss_percent),
        (None, None)
    );
    let FeedFormat::Crowdsec(options) = &feed.format else {
        panic!("CrowdSec");
    };
    assert_eq!(
        options.scopes,
        ["ip", "range", "username", "session", "Country", "AS"]
    );
    assert_eq!(options.types, ["ban", "captcha"]);
    assert!(options.usage_metrics);
    // Requests are read for it only where it counts.
    let read: Vec<_> = config
        .apis
        .iter()
        .map(|api| api.scope_headers.join(" "))
        .collect();
    assert_eq!(read, ["", "cf-ipcountry x-asn"]);
}

#[test]
fn a_missing_key_in_the_environment_is_a_warning() {
    let json = r#"{"feeds": [{"name": "crowdsec", "format": "crowdsec", "cluster": "lapi", "headers": {"x-api-key": {"env": "KEY"}}}]}"#;
    let config = parse(json, &[]);
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("feeds[0].headers.x-api-key.env: "),
        "{warnings:?}"
    );
    assert!(
        parse(
            &json.replace("\"name\"", "\"enabled\": false, \"name\""),
            &[]
        )
        .warnings
        .is_empty()
    );
}
