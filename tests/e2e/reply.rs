//! The reply to a denied client, and its access log entry.

use crate::harness::{Setup, scenario};
use serde_json::json;

#[test]
fn a_denied_client_gets_the_documented_reply_and_the_access_log_has_the_reason() {
    scenario(
        Setup::new().plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}})),
        async |harness| {
            let value = harness.secrets.plant("cookie");
            harness
                .abs
                .list(json!({"cookies": {"session": [value]}}))
                .await;

            let denied = harness
                .get("/denied-by-abs")
                .header("cookie", format!("session={value}"));
            let reply = harness.becomes_denied(&denied).await;
            assert_eq!(reply.status, 403);
            assert_eq!(reply.body, "Error: Unauthorized");
            let manual = harness.get("/denied-by-hand").from("127.0.0.9");
            harness.assert_denied(&manual).await;
            harness.assert_allowed(&harness.get("/allowed")).await;

            // The first requests may have been before the list.
            let last = harness
                .get("/denied-by-abs-again")
                .header("cookie", format!("session={value}"));
            harness.assert_denied(&last).await;
            for (path, status, details, verdict) in [
                (
                    "/denied-by-abs-again",
                    403,
                    json!("portcullis_denied_abs_cookie"),
                    json!("denied abs cookie"),
                ),
                (
                    "/denied-by-hand",
                    403,
                    json!("portcullis_denied_manual_ip"),
                    json!("denied manual ip"),
                ),
                ("/allowed", 200, json!("via_upstream"), json!(null)),
            ] {
                let entry = harness.envoy.access_log_entry(path).await;
                assert_eq!(entry["status"], status, "{entry}");
                assert_eq!(entry["details"], details, "{entry}");
                assert_eq!(entry["verdict"], verdict, "{entry}");
            }
        },
    );
}

#[test]
fn each_kind_has_its_own_response_code_details() {
    scenario(Setup::new(), async |harness| {
        let token = harness.secrets.plant("token");
        let key = harness.secrets.plant("api-key");
        let user = harness.secrets.plant("user");
        harness
            .envoy
            .reconfigure(json!({"apis": [{"username": [{"header": "x-user"}]}]}))
            .await;
        harness
            .abs
            .list(json!({
                "ips": ["127.0.0.7"],
                "oauth_tokens": [token],
                "api_keys": [key],
                "usernames": [user]
            }))
            .await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.7"))
            .await;

        let mut replies = Vec::new();
        for (kind, request) in [
            ("ip", harness.get("/ip").from("127.0.0.7")),
            ("oauth_token", harness.get("/oauth_token").bearer(&token)),
            ("api_key", harness.get("/api_key").header("x-api-key", &key)),
            ("username", harness.get("/username").header("x-user", &user)),
        ] {
            harness.assert_denied(&request).await;
            replies.push(request.send().await);
            let entry = harness.envoy.access_log_entry(&format!("/{kind}")).await;
            assert_eq!(
                entry["details"],
                format!("portcullis_denied_abs_{kind}"),
                "{entry}"
            );
            assert_eq!(entry["verdict"], format!("denied abs {kind}"), "{entry}");
        }
        // The reply does not reveal the kind or the filter.
        for reply in &mut replies {
            reply.headers.remove("date").unwrap();
            let sent = format!("{:?} {}", reply.headers, reply.body).to_lowercase();
            assert!(!sent.contains("portcullis"), "{sent}");
        }
        for pair in replies.windows(2) {
            assert_eq!(pair[0].headers, pair[1].headers);
            assert_eq!(
                (pair[0].status, &pair[0].body),
                (pair[1].status, &pair[1].body)
            );
        }
    });
}

#[test]
fn the_reply_can_be_configured() {
    scenario(
        Setup::new().plugin(json!({"deny_response": {
            "status": 429,
            "body": "{\"error\":\"blocked\"}",
            "headers": {"content-type": "application/json", "x-blocked": "yes"}
        }})),
        async |harness| {
            harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;

            let reply = harness
                .becomes(&harness.get("/").from("127.0.0.7"), "a 429", |reply| {
                    reply.status == 429
                })
                .await;

            assert_eq!(reply.body, "{\"error\":\"blocked\"}");
            assert_eq!(reply.header("content-type"), "application/json");
            assert_eq!(reply.header("x-blocked"), "yes");
            assert!(!reply.is_from_api());
        },
    );
}
