//! What leaves the module, on any way, contains no secret; credentials go only to ABS.

use portcullis_wasm_host::secrets::{holds_secret, secret};
use portcullis_wasm_host::vm::{Answer, Request, Vm};
use serde_json::json;

use crate::support::{Envoy, MODULE, ROOT, attacks, clean, config, list, listed};

#[test]
fn it_leaks_no_secret() {
    let mut config = config();
    config["enable_abs"] = json!(true);
    config["abs"] = json!({"cluster": "abs"});
    config["traffic"] = json!({"format": "batch"});
    config["allow_list"] = json!({"usernames": [secret("friend")]});
    config["deny_list"] =
        json!({"api_keys": [secret("manual")], "cookies": {"c": [secret("manual-cookie")]}});
    let mut envoy = Envoy::start(&MODULE, 2, &config, 2);
    // Keys by environment variable, without others in the configuration and with them.
    envoy.process.state().environment = vec![
        format!("ABS_ACCESS_KEY={}", secret("access-key")).into_bytes(),
        format!("ABS_SECRET_KEY={}", secret("secret-key")).into_bytes(),
    ];
    let both = json!({"cluster": "abs", "access_key": secret("a"), "secret_key": secret("b")});
    for abs in [json!({"cluster": "abs"}), both] {
        config["abs"] = abs;
        let mut vm = Vm::new(&MODULE, &envoy.process);
        vm.create_root(ROOT).unwrap();
        assert!(vm.configure(ROOT, config.to_string().as_bytes()).unwrap());
        envoy.vms.push(vm);
    }
    let requests: Vec<Request> = attacks()
        .into_iter()
        .map(|(_, request)| request)
        .chain([
            clean().header("x-api-key", secret("manual")),
            clean().header("cookie", format!("c={}", secret("manual-cookie"))),
            clean().header("authorization", format!("Bearer {}", secret("unlisted"))),
        ])
        .collect();
    let bodies = [
        listed().to_string(),
        format!("{{\"ips\": [\"{}", secret("cut")),
        format!(
            "{{\"usernames\": [\"{}\"], {}",
            secret("no-json"),
            secret("no-json")
        ),
        format!("<html>{}</html>", secret("page")),
        format!("{{\"{}\": 1}}", secret("unknown-key")),
        format!("{{\"ips\": [\"{}\", \"0.0.0.0/0\"]}}", secret("no-address")),
    ];
    for body in &bodies {
        let answer = Answer::new(200, body.as_str());
        envoy.run(20_000, &answer);
        for request in &requests {
            envoy.outcomes(request);
        }
        let mut failure = Answer::new(401, body.as_str());
        failure
            .headers
            .push(("etag".to_owned(), secret("etag").into()));
        envoy.run(20_000, &failure);
    }
    // Refused configurations are reported too.
    let refused = [
        json!({"abs": {"cluster": "abs", "access_key": format!("{}:", secret("colon"))}}),
        json!({"deny_list": {"ips": [secret("bad-ip")], "api_keys": [{"k": secret("bad-key")}]}}),
        json!({"enable_abs": true, "abs": {"secret_key": {"x": secret("wrong-type")}}}),
    ];
    for json in refused {
        let taken = envoy.vms[1].configure(ROOT, json.to_string().as_bytes());
        assert!(!taken.unwrap(), "{json}");
    }

    // It was asked, answered and denied, and it said something by each way.
    assert!(envoy.process.metric("denied.source=abs.kind=oauth_token") > 0);
    assert!(envoy.process.metric("denied.source=manual.kind=api_key") > 0);
    assert!(envoy.process.metric("traffic.sent") > 0);
    let state = envoy.process.state();
    for way in [
        "a shared-data key",
        "a shared-data value",
        "a log line",
        "a metric's name",
        "filter state",
        "a reply's body",
        "a reply's headers",
        "a reply's details",
    ] {
        assert!(state.said.get(way).copied().unwrap_or(0) > 0, "{way}");
    }
    assert_eq!(state.leaks, Vec::<String>::new());
    for (key, (value, _)) in &state.data {
        assert!(!holds_secret(key) && !holds_secret(value));
    }
}

/// The search of the other tests sees a secret that leaves the module.
#[test]
fn a_leaked_secret_is_found() {
    let mut config = config();
    config["deny_response"] = json!({"body": secret("body")});
    let mut envoy = Envoy::start(&MODULE, 8, &config, 1);
    envoy.run(2_000, &list(&listed()));
    assert_eq!(envoy.process.state().leaks.len(), 0);
    assert!(envoy.outcomes(&attacks()[0].1)[0].stopped);
    let leaks = envoy.process.state().leaks.clone();
    assert_eq!(leaks, [format!("a reply's body: {}", secret("body"))]);
}

/// Equal lists of two processes have no fingerprint in common: each process has a key of its own.
#[test]
fn the_list_in_shared_data_is_keyed_fingerprints() {
    let fingerprints = |seed| {
        let mut envoy = Envoy::start(&MODULE, seed, &config(), 1);
        envoy.run(2_000, &list(&listed()));
        envoy.assert_denied(&attacks()[3].1, "oauth_token");
        let state = envoy.process.state();
        let buckets = state
            .data
            .iter()
            .filter(|(key, _)| String::from_utf8_lossy(key).contains("/bucket/"));
        let words = buckets.flat_map(|(_, (value, _))| {
            // Behind a frame's header of 32 bytes.
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

/// The credentials go to ABS, and nowhere else: not in a path, and not in a body.
#[test]
fn credentials_are_only_in_their_headers() {
    let mut config = config();
    config["enable_abs"] = json!(true);
    config["traffic"] = json!({"format": "batch", "flush_interval": "1s"});
    let mut envoy = Envoy::start(&MODULE, 5, &config, 1);
    for _ in 0..200 {
        envoy.run(50, &list(&listed()));
        envoy.vms[1].request(ROOT, clean()).unwrap();
    }
    let (gets, others): (Vec<_>, Vec<_>) = envoy.calls.iter().partition(|call| call.is_get());
    assert!(!gets.is_empty() && !others.is_empty());
    for call in &envoy.calls {
        assert_eq!(call.cluster, "abs");
        assert_eq!(call.header("x-abs-ak"), Some(secret("access-key")));
        assert_eq!(call.header("x-abs-sk"), Some(secret("secret-key")));
        let others = call
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with("x-abs-"));
        assert!(others.into_iter().all(|(_, value)| !holds_secret(value)));
        assert!(!holds_secret(&call.body));
    }
}
