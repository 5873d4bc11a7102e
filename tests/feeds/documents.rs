//! Text lists and token lists by URL in a real Envoy, from the simulator.

use crate::harness::client::Request;
use crate::harness::envoy_files::merge;
use crate::harness::services::Abs;
use crate::harness::{Harness, eventually, play, run};
use crate::setups::{from, setup};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A simulator of its own, so that it has the lists before Envoy starts.
async fn lists() -> Abs {
    Abs::start("access", "secret", &[]).await
}

/// A request with a bearer token of these claims. Nothing checks its signature.
pub fn with_claims(harness: &Harness, claims: Value) -> Request {
    let [head, payload] =
        [json!({"alg": "ES256"}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    harness
        .get("/")
        .bearer(&format!("{head}.{payload}.c2lnbmF0dXJl"))
}

#[test]
fn a_text_list_denies_its_addresses_ranges_and_intervals() {
    run(async {
        let lists = lists().await;
        let drop = "\u{feff}; a list\r\n# comment\r\n\r\n203.0.113.7\r\n198.51.100.0/24 ; SBL1\r\n\
                    192.0.2.10-192.0.2.12 three\r\n2001:db8::/48\r\n10.0.0.0/8 # private\r\n";
        lists.store("/lists/drop", drop).await;
        let json_lines = "{\"cidr\":\"203.0.114.0/24\",\"sblid\":\"SBL2\",\"rir\":\"ripencc\"}\n\
                          {\"type\":\"metadata\",\"timestamp\":1,\"records\":1}\n";
        lists.store("/lists/json", json_lines).await;
        let protected = "/lists/own?header=authorization&value=Basic%20dXNlcjpwYXNz";
        lists.store(protected, "10.1.0.0/16\n203.0.113.7\n").await;

        let feed = |name: &str, more: Value| {
            let mut feed = json!({
                "name": name,
                "format": "text",
                "cluster": "lists",
                "path": format!("/lists/{name}")
            });
            merge(&mut feed, &more);
            feed
        };
        let basic = json!({"basic": {"user": "user", "password_env": "LIST_PASSWORD"}});
        let feeds = [
            feed("drop", json!({})),
            feed("json", json!({})),
            feed("own", json!({"headers": basic, "special_ranges": true})),
        ];
        let setup = setup(&feeds)
            .cluster("lists", lists.address)
            .variable("LIST_PASSWORD", "pass");
        play(setup, async |harness| {
            for name in ["drop", "json", "own"] {
                let metric = format!("fetch.source={name}.result=ok");
                harness.metric_reaches(&metric, 1).await;
            }
            for (name, listed, other) in [
                ("drop", "203.0.113.7", "203.0.113.8"),
                ("drop", "198.51.100.255", "198.51.101.0"),
                ("drop", "192.0.2.12", "192.0.2.13"),
                ("drop", "192.0.2.10", "192.0.2.9"),
                ("drop", "2001:db8::1", "2001:db8:1::1"),
                ("json", "203.0.114.1", "203.0.115.1"),
                ("own", "10.1.2.3", "10.2.2.3"),
            ] {
                let metric = format!("denied.source={name}.kind=ip");
                let before = harness.envoy.count(&metric).await;
                harness.becomes_denied(&from(harness, listed)).await;
                harness.assert_allowed(&from(harness, other)).await;
                assert!(
                    harness.envoy.count(&metric).await > before,
                    "{listed}: {metric}"
                );
            }
            // The private range is skipped, and the first feed of the configuration reports what both list.
            let skipped = harness.envoy.count("entries_skipped.source=drop").await;
            assert_eq!(skipped, 1);
            assert_eq!(lists.counter("documents_unauthorized").await, 0);
        })
        .await;
    });
}

#[test]
fn a_token_list_denies_the_tokens_with_its_claims() {
    run(async {
        let lists = lists().await;
        let revoked = json!(["token-1", {"jti": "token-2", "aud": "shop"}]);
        lists.store("/tokens/revoked", &revoked.to_string()).await;
        let feed = json!({
            "name": "revoked",
            "format": "tokens",
            "cluster": "lists",
            "path": "/tokens/revoked",
            "claims": ["jti", "aud"],
            "interval": "1s"
        });
        let setup = setup(&[feed]).cluster("lists", lists.address);
        play(setup, async |harness| {
            let first = with_claims(harness, json!({"jti": "token-1", "aud": "any"}));
            let second = with_claims(harness, json!({"jti": "token-2", "aud": "shop"}));
            harness.becomes_denied(&first).await;
            harness.assert_denied(&second).await;
            for claims in [
                json!({"jti": "token-2", "aud": "other"}),
                json!({"jti": "token-2"}),
                json!({"jti": "token-3", "aud": "shop"}),
                json!({"sub": "token-1"}),
            ] {
                harness.assert_allowed(&with_claims(harness, claims)).await;
            }
            harness.assert_allowed(&harness.get("/")).await;
            harness
                .assert_allowed(&harness.get("/").bearer("token-1"))
                .await;

            let metric = "denied.source=revoked.kind=token_claims";
            assert!(harness.envoy.count(metric).await > 0, "{metric}");

            // An unchanged list is confirmed, and stays.
            eventually("the list is confirmed", async || {
                (lists.counter("documents_not_modified").await > 0).then_some(())
            })
            .await;
            harness.assert_denied(&first).await;

            lists.store("/tokens/revoked", r#"["token-3"]"#).await;
            let third = with_claims(harness, json!({"jti": "token-3"}));
            harness.becomes_denied(&third).await;
            harness.becomes_allowed(&first).await;
            lists.store("/tokens/revoked", "[]").await;
            harness.becomes_allowed(&third).await;
        })
        .await;
    });
}
