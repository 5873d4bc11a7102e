//! A real Envoy enforces what `cscli` adds to and deletes from a real LAPI.

use crate::harness::client::Request;
use crate::harness::{Harness, eventually, play, run, stopwatch::Stopwatch};
use crate::setups::{KEY, crowdsec, from, lapi, next_fetch, with_lapi};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

fn user(harness: &Harness, name: &str) -> Request {
    let credentials = STANDARD.encode(format!("{name}:password"));
    let basic = format!("Basic {credentials}");
    harness.get("/").header("authorization", basic)
}

fn cookie(harness: &Harness, cookie: &str) -> Request {
    harness.get("/").header("cookie", cookie)
}

fn country(harness: &Harness, code: &str) -> Request {
    harness.get("/").header("cf-ipcountry", code)
}

#[test]
fn decisions_of_every_scope_deny_their_clients_until_they_are_deleted() {
    run(async {
        let lapi = lapi().await;
        // The scopes to ask for follow from these.
        let feed = crowdsec(json!({
            "session_cookie": "SESSION",
            "scope_headers": {"Country": "cf-ipcountry"}
        }));
        play(with_lapi(lapi.address, &[feed]), async |harness| {
            harness.secrets.plant_value(KEY);
            let bob = harness.secrets.plant("user");
            let session = harness.secrets.plant("session");
            let in_session = |name: &str| cookie(harness, &format!("{name}={session}"));
            // Scope, value, a listed client, another one.
            let decisions = [
                (
                    "Ip",
                    "203.0.113.7",
                    from(harness, "203.0.113.7"),
                    from(harness, "203.0.113.8"),
                ),
                (
                    "Ip",
                    "2001:db8::7",
                    from(harness, "2001:DB8:0::7"),
                    from(harness, "2001:db8::8"),
                ),
                (
                    "Range",
                    "198.51.100.0/24",
                    from(harness, "198.51.100.255"),
                    from(harness, "198.51.101.0"),
                ),
                (
                    "Range",
                    "2001:db8:1::/48",
                    from(harness, "2001:db8:1:ffff::1"),
                    from(harness, "2001:db8:2::1"),
                ),
                (
                    "username",
                    &bob,
                    user(harness, &bob),
                    user(harness, "alice"),
                ),
                (
                    "session",
                    &session,
                    in_session("SESSION"),
                    in_session("OTHER"),
                ),
                (
                    "Country",
                    "FR",
                    country(harness, "FR"),
                    country(harness, "DE"),
                ),
            ];
            for (_, _, listed, _) in &decisions {
                harness.assert_allowed(listed).await;
            }
            for (scope, value, ..) in &decisions {
                lapi.add(scope, value, "1h", "ban");
            }
            for (_, _, listed, other) in &decisions {
                harness.becomes_denied(listed).await;
                harness.assert_allowed(other).await;
            }
            harness.assert_allowed(&harness.get("/")).await;
            for kind in ["ip", "username", "cookie", "header"] {
                let metric = format!("denied.source=crowdsec.kind={kind}");
                assert!(harness.envoy.count(&metric).await > 0, "{metric}");
            }

            let bouncers = lapi.cscli(&["bouncers", "list", "--output", "json"]);
            let bouncers: Value = serde_json::from_str(&bouncers.unwrap()).unwrap();
            assert_eq!(bouncers[0]["type"], "portcullis", "{bouncers}");
            assert_eq!(
                bouncers[0]["version"],
                env!("CARGO_PKG_VERSION"),
                "{bouncers}"
            );

            for (index, (scope, value, listed, _)) in decisions.iter().enumerate() {
                lapi.delete(scope, value);
                harness.becomes_allowed(listed).await;
                for (_, _, still_listed, _) in &decisions[index + 1..] {
                    let reply = still_listed.send().await;
                    assert!(reply.is_denied(), "{still_listed}: {reply:?}");
                }
            }
        })
        .await;
    });
}

#[test]
fn a_decision_ends_by_itself_between_two_fetches() {
    run(async {
        let lapi = lapi().await;
        lapi.add("Ip", "203.0.113.1", "1h", "ban");
        play(with_lapi(lapi.address, &[]), async |harness| {
            harness.secrets.plant_value(KEY);
            let bob = harness.secrets.plant("user");
            const LEFT: Duration = Duration::from_secs(20);
            let (short, watch) = (format!("{}s", LEFT.as_secs()), Stopwatch::start());
            lapi.add("Ip", "203.0.113.7", &short, "ban");
            lapi.add("Range", "198.51.100.0/24", &short, "ban");
            lapi.add("username", &bob, &short, "ban");
            let after_last = Stopwatch::start();
            let feed = crowdsec(json!({
                "scopes": ["ip", "range", "username"],
                "interval": "1h"
            }));
            harness.envoy.reconfigure(json!({"feeds": [feed]})).await;

            let ending = [
                from(harness, "203.0.113.7"),
                from(harness, "198.51.100.7"),
                user(harness, &bob),
            ];
            let other = from(harness, "203.0.113.1");
            harness.becomes_denied(&other).await;
            for request in &ending {
                harness.assert_denied(request).await;
            }
            harness.becomes_allowed(&ending[0]).await;
            let (least, tolerance) = (watch.elapsed() + watch.late(), Duration::from_secs(3));
            assert!(least + tolerance > LEFT, "ended after {least:?}");
            for request in &ending[1..] {
                harness.becomes_allowed(request).await;
            }
            let most = after_last.elapsed();
            assert!(most < LEFT + 2 * tolerance, "ended after {most:?}");
            harness.assert_denied(&other).await;
            harness
                .metric_becomes("fetch.source=crowdsec.result=ok", 1)
                .await;
        })
        .await;
    });
}

#[test]
fn types_origins_and_scenarios_select_decisions() {
    run(async {
        let lapi = lapi().await;
        lapi.add("Ip", "203.0.113.1", "1h", "ban");
        lapi.add("Ip", "203.0.113.2", "1h", "captcha");
        // The longer decision of an origin that is not selected must not hide the shorter one.
        lapi.import("duration,scope,value\n4h,Ip,203.0.113.1\n4h,Ip,203.0.113.3\n");
        play(
            with_lapi(lapi.address, &[crowdsec(json!({}))]),
            async |harness| {
                let [first, captcha, imported] =
                    ["203.0.113.1", "203.0.113.2", "203.0.113.3"].map(|it| from(harness, it));
                harness.becomes_denied(&first).await;
                harness.assert_denied(&imported).await;
                harness.assert_allowed(&captcha).await;

                let feed = crowdsec(json!({"types": ["ban", "captcha"]}));
                harness.envoy.reconfigure(json!({"feeds": [feed]})).await;
                harness.becomes_denied(&captcha).await;

                let feed = crowdsec(json!({"origins": ["cscli"]}));
                harness.envoy.reconfigure(json!({"feeds": [feed]})).await;
                harness.becomes_allowed(&imported).await;
                harness.becomes_denied(&first).await;

                // The scenarios are `manual 'ban' from 'tests'` and `manual-import`.
                let feed = crowdsec(json!({"scenarios_not_containing": ["from"]}));
                harness.envoy.reconfigure(json!({"feeds": [feed]})).await;
                harness.becomes_denied(&imported).await;
                let feed = crowdsec(json!({
                    "types": ["ban", "captcha"],
                    "scenarios_containing": ["captcha"]
                }));
                harness.envoy.reconfigure(json!({"feeds": [feed]})).await;
                harness.becomes_denied(&captcha).await;
                harness.becomes_allowed(&imported).await;
            },
        )
        .await;
    });
}

#[test]
fn shadow_mode_counts_and_the_allow_list_wins() {
    run(async {
        let lapi = lapi().await;
        lapi.add("Ip", "203.0.113.7", "1h", "ban");
        let feed = crowdsec(json!({"mode": "shadow"}));
        let setup = with_lapi(lapi.address, &[feed]);
        play(setup, async |harness| {
            let listed = from(harness, "203.0.113.7");
            eventually("a request would be denied", async || {
                assert!(listed.send().await.is_allowed());
                let metric = "would_deny.source=crowdsec.kind=ip";
                (harness.envoy.count(metric).await > 0).then_some(())
            })
            .await;

            let feed = crowdsec(json!({}));
            harness.envoy.reconfigure(json!({"feeds": [feed]})).await;
            harness.becomes_denied(&listed).await;
            let allowed = json!({"feeds": [feed], "allow_list": {"ips": ["203.0.113.0/24"]}});
            harness.envoy.reconfigure(allowed).await;
            harness.becomes_allowed(&listed).await;
            next_fetch(harness, "crowdsec", "ok").await;
            harness.assert_allowed(&listed).await;
        })
        .await;
    });
}
