//! The feeds of `docs/feeds.md`, all in one Envoy, against servers of their formats.

use crate::documents::with_claims;
use crate::harness::process::repository;
use crate::harness::services::Abs;
use crate::harness::{eventually, play, run};
use crate::setups::{KEY, KEY_VARIABLE, from, lapi, setup};
use serde_json::{Value, json};

const AUTHORIZATION: &str = "Bearer planted-authorization";
const KEYS: [&str; 2] = ["planted-access", "planted-secret"];

/// The feeds of the JSON blocks, in their order.
fn documented() -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join("docs/feeds.md")).unwrap();
    let blocks = text.split("```json\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let values = blocks.map(|block| serde_json::from_str::<Value>(block).unwrap());
    let feeds = values.filter_map(|mut value| Some(value.get_mut("feeds")?.take()));
    feeds
        .flat_map(|feeds| feeds.as_array().unwrap().clone())
        .collect()
}

#[test]
fn every_documented_feed_denies_what_its_server_lists() {
    run(async {
        let lapi = lapi().await;
        lapi.add("Ip", "203.0.113.1", "1h", "ban");
        let lists = Abs::start(KEYS[0], KEYS[1], &[]).await;
        lists.list(json!({"ips": ["203.0.113.4"]})).await;
        let protected = "?header=authorization&value=Bearer%20planted-authorization";
        for (path, body) in [
            ("/lists/drop", "{\"cidr\":\"203.0.113.2/32\"}\n"),
            ("/lists/drop_v6", "{\"cidr\":\"2001:db8:3::/48\"}\n"),
            (
                &format!("/tokens/revoked{protected}"),
                r#"["token-1", {"jti": "token-2", "aud": "shop"}]"#,
            ),
        ] {
            lists.store(path, body).await;
        }

        let mut feeds = documented();
        for feed in &mut feeds {
            // The simulator has paths of its own.
            let folder = match feed["format"].as_str().unwrap() {
                "text" => "lists",
                "tokens" => "tokens",
                _ => continue,
            };
            feed["path"] = format!("/{folder}/{}", feed["name"].as_str().unwrap()).into();
        }
        let setup = setup(&feeds)
            .cluster("lapi", lapi.address)
            .cluster("spamhaus", lists.address)
            .cluster("revocations", lists.address)
            .cluster("abs-europe", lists.address)
            .variable(KEY_VARIABLE, KEY)
            .variable("REVOCATIONS_AUTHORIZATION", AUTHORIZATION)
            .variable("EUROPE_ACCESS_KEY", KEYS[0])
            .variable("EUROPE_SECRET_KEY", KEYS[1]);
        play(setup, async |harness| {
            for secret in [KEY, AUTHORIZATION, KEYS[0], KEYS[1]] {
                harness.secrets.plant_value(secret);
            }
            let claims = json!({"jti": "token-2", "aud": ["shop", "other"]});
            let listed = [
                ("crowdsec", "ip", from(harness, "203.0.113.1")),
                ("drop", "ip", from(harness, "203.0.113.2")),
                ("drop_v6", "ip", from(harness, "2001:db8:3::7")),
                ("revoked", "token_claims", with_claims(harness, claims)),
                ("europe", "ip", from(harness, "203.0.113.4")),
            ];
            let names: Vec<_> = feeds.iter().map(|feed| feed["name"].as_str()).collect();
            let tried: Vec<_> = listed.iter().map(|(name, ..)| Some(*name)).collect();
            assert_eq!(names, tried);
            for (name, kind, request) in &listed {
                harness.becomes_denied(request).await;
                let metric = format!("denied.source={name}.kind={kind}");
                assert!(harness.envoy.count(&metric).await > 0, "{metric}");
                let details = format!("portcullis_denied_{name}_{kind}");
                let verdict = format!("denied {name} {kind}");
                eventually("the access log names the feed", async || {
                    let entries = harness.envoy.access_log();
                    let is_it = |entry: &Value| {
                        entry["details"] == *details && entry["verdict"] == *verdict
                    };
                    entries.iter().any(is_it).then_some(())
                })
                .await;
            }
            harness.assert_allowed(&from(harness, "203.0.113.9")).await;
            let other = json!({"jti": "token-2", "aud": "other"});
            harness.assert_allowed(&with_claims(harness, other)).await;
        })
        .await;
    });
}
