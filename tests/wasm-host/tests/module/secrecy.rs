//! What leaves the module through any channel contains no secret; credentials go only to ABS.

use serde_json::{Value, json};

use crate::fake_host::{Response, World};
use crate::scenarios::abs::Abs;
use crate::scenarios::millis;
use crate::scenarios::process::Process;
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
