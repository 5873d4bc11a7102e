//! What leaves the module through any channel contains no secret; credentials go only to their servers.

use serde_json::{Value, json};

use crate::fake_host::{Request, Response, SentCall, World};
use crate::scenarios::abs::{Abs, list_response};
use crate::scenarios::feeds::{Servers, decisions, feed, text, tokens};
use crate::scenarios::process::Process;
use crate::scenarios::verdicts::jwt;
use crate::scenarios::{millis, seconds};
use crate::secrets::{holds_secret, secret};
use crate::support::{attacks, clean, config, listed, started};

/// Secrets in every part of the configuration that can hold one, except for the credentials.
fn config_with_secrets(abs: Value) -> Value {
    let mut config = config();
    config["enable_abs"] = json!(true);
    config["abs"] = abs;
    config["traffic"] = json!({"format": "batch"});
    config["allow_list"] = json!({"usernames": [secret("friend")]});
    config["deny_list"] =
        json!({"api_keys": [secret("manual")], "cookies": {"c": [secret("manual-cookie")]}});
    config
}

/// Asserts that something left through each channel, and no secret.
fn assert_no_leak(world: &World) {
    for channel in [
        "a shared-data key",
        "a shared-data value",
        "a log line",
        "a metric's name",
        "filter state",
        "a reply's body",
        "a reply's headers",
        "a reply's details",
    ] {
        assert!(world.inspected(channel) > 0, "{channel}");
    }
    assert_eq!(world.leaks(), Vec::<String>::new());
    for key in world.keys() {
        assert!(!holds_secret(key.as_bytes()) && !holds_secret(&world.value_of(&key)));
    }
}

#[test]
fn it_leaks_no_secret() {
    let by_environment = json!({"cluster": "abs"});
    let in_configuration =
        json!({"cluster": "abs", "access_key": secret("a"), "secret_key": secret("b")});
    let requests: Vec<_> = attacks()
        .into_iter()
        .chain([
            clean().header("x-api-key", secret("manual")),
            clean().header("cookie", format!("c={}", secret("manual-cookie"))),
            clean().header("authorization", format!("Bearer {}", secret("unlisted"))),
        ])
        .collect();
    let no_json = secret("no-json");
    let bodies = [
        listed().to_string(),
        format!("{{\"ips\": [\"{}", secret("cut")),
        format!("{{\"usernames\": [\"{no_json}\"], {no_json}"),
        format!("<html>{}</html>", secret("page")),
        format!("{{\"{}\": 1}}", secret("unknown-key")),
        format!("{{\"ips\": [\"{}\", \"0.0.0.0/0\"]}}", secret("no-address")),
    ];
    for abs in [by_environment, in_configuration] {
        let process = Process::new(2);
        let world = process.world();
        world.set_environment("ABS_ACCESS_KEY", &secret("access-key"));
        world.set_environment("ABS_SECRET_KEY", &secret("secret-key"));
        let server = Abs::serving(world, listed());
        server.respond_to_others(Response::new(200, ""));
        process.configure(&config_with_secrets(abs));
        for body in &bodies {
            server.respond(Response::new(200, body.as_str()));
            process.advance(millis(20_000));
            for worker in process.workers() {
                for request in &requests {
                    process.denies(worker, request);
                }
            }
            let failure = Response::new(401, body.as_str()).header("etag", secret("etag"));
            server.respond(failure);
            process.advance(millis(20_000));
        }
        // The errors of refused configurations are logged too.
        for json in [
            json!({"abs": {"cluster": "abs", "access_key": format!("{}:", secret("colon"))}}),
            json!({"deny_list": {"ips": [secret("bad-ip")], "api_keys": [{"k": secret("bad-key")}]}}),
            json!({"enable_abs": true, "abs": {"secret_key": {"x": secret("wrong-type")}}}),
        ] {
            process.try_configure(&json).unwrap_err();
        }
        assert!(world.metric("denied.source=abs.kind=oauth_token") > 0);
        assert!(world.metric("denied.source=manual.kind=api_key") > 0);
        assert!(world.metric("traffic.sent") > 0);
        assert_no_leak(world);
    }
}

/// The search of the other tests finds a secret that leaves the module.
#[test]
fn a_leaked_secret_is_found() {
    let mut config = config();
    config["deny_response"] = json!({"body": secret("body")});
    let (process, _abs) = started(&config, listed());
    assert_eq!(process.world().leaks().len(), 0);
    assert!(process.denies(1, &attacks()[0]));
    let leaks = process.world().take_leaks();
    assert_eq!(leaks, [format!("a reply's body: {}", secret("body"))]);
}

/// Equal lists of two processes have no fingerprint in common: each process has a key of its own.
#[test]
fn the_list_in_shared_data_is_keyed_fingerprints() {
    let fingerprints = |seed| {
        let process = Process::seeded(1, seed);
        let _abs = Abs::serving(process.world(), listed());
        process.configure(&config());
        process.advance(millis(3_000));
        assert!(process.denies(1, &attacks()[3]));
        let keys = process.world().keys().into_iter();
        let buckets = keys.filter(|key| key.contains("/bucket/"));
        let words = buckets.flat_map(|key| {
            let value = process.world().value_of(&key);
            // After a frame's header of 32 bytes.
            let words = value.get(32..).unwrap_or_default().as_chunks::<8>().0;
            words.to_vec()
        });
        words.collect::<Vec<[u8; 8]>>()
    };
    let (one, other) = (fingerprints(3), fingerprints(4));
    // The range is elsewhere.
    assert_eq!(one.len(), 5);
    assert_eq!(other.len(), 5);
    assert!(one.iter().all(|print| !other.contains(print)));
}

/// The credentials go only to ABS, and only in their headers.
#[test]
fn credentials_are_only_in_their_headers() {
    let mut config = config();
    config["enable_abs"] = json!(true);
    config["traffic"] = json!({"format": "batch", "flush_interval": "1s"});
    let (process, _abs) = started(&config, listed());
    for _ in 0..200 {
        process.advance(millis(50));
        process.denies(1, &clean());
    }
    let sent = process.world().sent();
    assert!(sent.iter().any(|call| call.is_get()));
    assert!(sent.iter().any(|call| !call.is_get()));
    for call in &sent {
        assert_eq!(call.cluster, "abs");
        assert_eq!(call.header("x-abs-ak"), Some(secret("access-key").as_str()));
        assert_eq!(call.header("x-abs-sk"), Some(secret("secret-key").as_str()));
        let mut others = call
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with("x-abs-"));
        assert!(others.all(|(_, value)| !holds_secret(value)));
        assert!(!holds_secret(&call.body));
    }
}

/// Feeds of every format, each with credentials and with entries that are secrets.
fn secret_feeds() -> Value {
    let of_lapi = json!({
        "interval": "6s",
        "session_cookie": "SESSION",
        "scope_headers": {"Country": "x-country"},
        "usage_metrics": true,
    });
    let of_tokens = json!({"interval": "6s", "claims": ["jti", "sub"]});
    let mut second =
        json!({"name": "second", "format": "abs", "cluster": "second", "interval": "6s"});
    second["headers"] =
        json!({"x-abs-ak": secret("second-key"), "x-abs-sk": {"env": "TOKENS_KEY"}});
    json!({"fleet": {"report": true}, "feeds": [
        feed("lapi", of_lapi),
        feed("drop", json!({})),
        feed("revoked", of_tokens),
        second,
    ]})
}

/// The servers of [`secret_feeds`].
fn secret_servers(world: &World) -> Servers {
    let servers = Servers::of(world);
    servers.respond(
        "lapi",
        decisions(&[
            ("username", &secret("user"), Some("4h")),
            ("session", &secret("session"), Some("4h")),
            ("Country", &secret("country"), None),
        ]),
    );
    servers.respond("drop", text(&["192.0.2.7", "198.51.100.0/24"]));
    servers.respond("revoked", tokens(&[&secret("jti")]));
    servers.respond("second", list_response(&listed()));
    servers
}

/// A listed client of each feed of [`secret_feeds`] and of each kind of entry.
fn clients_of_feeds() -> Vec<Request> {
    vec![
        clean().basic(&secret("user")),
        clean().cookie("SESSION", &secret("session")),
        clean().header("x-country", secret("country")),
        clean().bearer(&jwt(
            &json!({"jti": secret("jti"), "sub": secret("subject")}),
        )),
        Request::get("/").from("192.0.2.7"),
        clean().header("x-api-key", secret("api-key")),
    ]
}

#[test]
fn feeds_leak_no_secret() {
    let process = Process::new(2);
    let world = process.world();
    let servers = secret_servers(world);
    process.configure(&secret_feeds());
    process.advance(seconds(3));
    let ask = || {
        for worker in process.workers() {
            for request in clients_of_feeds() {
                assert!(process.denies(worker, &request), "{request:?}");
            }
            let unlisted = jwt(&json!({"jti": secret("other"), "sub": secret("subject")}));
            assert!(!process.denies(worker, &clean().bearer(&unlisted)));
        }
    };
    ask();
    let unusable = secret("no-address");
    let broken = secret("broken");
    let bodies: [Vec<u8>; 12] = [
        format!("<html>{}</html>", secret("page")).into(),
        broken.clone().into(),
        format!("[\"{broken}").into(),
        format!("[[\"{broken}\"]]").into(),
        format!("{{\"new\": [{{\"value\": \"{broken}").into(),
        format!("{{\"new\": \"{broken}\"}}").into(),
        format!("{{\"{}\": 1}}", secret("unknown-key")).into(),
        format!("{{\"ips\": [\"{broken}\"], \"usernames\": \"{broken}\"}}").into(),
        decisions(&[("Ip", &unusable, Some(&secret("duration")))]).body,
        decisions(&[("Ip", "0.0.0.0/0", None), (&secret("scope"), &broken, None)]).body,
        text(&[unusable.as_str(); 200]).body,
        text(&["0.0.0.0/1", &unusable]).body,
    ];
    let clusters = ["lapi", "drop", "revoked", "second"];
    for body in bodies {
        for cluster in clusters {
            let response = Response::new(200, body.clone()).header("etag", secret("etag"));
            servers.respond(cluster, response);
        }
        process.advance(seconds(70));
        for cluster in clusters {
            let failure = Response::new(403, body.clone());
            servers.respond(cluster, failure.header("last-modified", secret("date")));
        }
        process.advance(seconds(70));
        ask();
    }
    // The log names where a redirect leads, but no query.
    for cluster in clusters {
        let location = format!(
            "https://lists.example.com/list?signature={}",
            secret("signed")
        );
        servers.respond(cluster, Response::new(302, "").header("location", location));
    }
    process.advance(seconds(70));
    for feed in clusters {
        for result in ["malformed", "unauthorized", "status"] {
            let metric = format!("fetch.source={feed}.result={result}");
            assert!(world.metric(&metric) > 0, "{metric}");
        }
    }
    let logs = world.logs();
    let of_redirects = logs
        .iter()
        .filter(|(_, line)| line.contains("redirects to \"https://lists.example.com/list\""));
    assert_eq!(of_redirects.count(), clusters.len());
    // The errors of refused configurations are logged too, and so are the warnings of accepted ones.
    for headers in [
        json!(secret("no-object")),
        json!({"x-key": [secret("list")]}),
        json!({"x-key": format!("{0}\n{0}", secret("line-end"))}),
        json!({"x-key": {"env": 7, "value": secret("value")}}),
        json!({"basic": {"user": format!("{}:", secret("colon")), "password_env": "LIST_PASSWORD"}}),
        json!({"basic": {"user": "a", "password": secret("typed"), "password_env": "LIST_PASSWORD"}}),
        json!({"basic": secret("text"), "authorization": secret("second")}),
        json!({"content-length": secret("length")}),
    ] {
        let config = json!({"feeds": [feed("drop", json!({"headers": headers}))]});
        // A header may be called `basic`.
        let is_accepted = process.try_configure(&config).is_ok();
        assert_eq!(is_accepted, headers["basic"].is_string(), "{headers}");
    }
    world.set_environment(
        "UNUSABLE",
        &format!("{}\n{}", secret("two"), secret("lines")),
    );
    let unusable = json!({"headers": {"x-key": {"env": "UNUSABLE"}}});
    process.configure(&json!({"feeds": [feed("drop", unusable)]}));
    assert_no_leak(world);
}

/// The credentials of a feed go only to its server, and only in their headers.
#[test]
fn credentials_of_feeds_are_only_in_their_headers() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    let process = Process::new(1);
    let _servers = secret_servers(process.world());
    process.configure(&secret_feeds());
    // Usage metrics are sent every 15 minutes.
    for _ in 0..20 {
        process.advance(seconds(60));
        for request in clients_of_feeds() {
            assert!(process.denies(1, &request));
        }
    }
    let basic = format!("{}:{}", secret("list-user"), secret("LIST_PASSWORD"));
    let expected = [
        ("lapi", "x-api-key", secret("lapi-key")),
        (
            "drop",
            "authorization",
            format!("Basic {}", STANDARD.encode(basic)),
        ),
        ("revoked", "authorization", secret("TOKENS_KEY")),
        ("second", "x-abs-ak", secret("second-key")),
        ("second", "x-abs-sk", secret("TOKENS_KEY")),
    ];
    let sent = process.world().sent();
    let is_usage = |call: &SentCall| call.cluster == "lapi" && !call.is_get();
    assert!(sent.iter().any(is_usage));
    for (cluster, name, value) in &expected {
        let mut of_cluster = sent.iter().filter(|call| call.cluster == *cluster);
        assert!(of_cluster.clone().count() >= 2, "{cluster}");
        assert!(
            of_cluster.all(|call| call.header(name) == Some(value)),
            "{cluster}"
        );
    }
    for call in &sent {
        let is_credential = |name: &str| {
            let mut of_cluster = expected.iter().filter(|known| known.0 == call.cluster);
            of_cluster.any(|known| known.1 == name)
        };
        let mut others = call.headers.iter().filter(|(name, _)| !is_credential(name));
        assert!(
            others.all(|(_, value)| !holds_secret(value)),
            "{}",
            call.cluster
        );
        assert!(!holds_secret(&call.body));
    }
}
