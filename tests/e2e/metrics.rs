//! Names, numbers and labels of the metrics.

use crate::harness::{Setup, scenario};
use serde_json::json;
use std::time::UNIX_EPOCH;

fn unix_seconds() -> u64 {
    UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[test]
fn the_documented_metrics_are_there_and_count() {
    scenario(
        Setup::new().plugin(json!({
            "deny_list": {"ips": ["127.0.0.9"]},
            "allow_list": {"ips": ["127.0.0.10"]}
        })),
        async |harness| {
            let cookies = [
                harness.secrets.plant("cookie"),
                harness.secrets.plant("cookie"),
            ];
            let token = harness.secrets.plant("token");
            let key = harness.secrets.plant("api-key");
            let user = harness.secrets.plant("user");
            harness
                .abs
                .list(json!({
                    "ips": ["127.0.0.7", "127.0.0.17", "2001:db8::1"],
                    "cookies": {"a": cookies, "b": [cookies[0]]},
                    "oauth_tokens": [token],
                    "api_keys": [key],
                    "usernames": [user]
                }))
                .await;

            for (kind, entries) in [
                ("ip", 3),
                ("cookie", 3),
                ("oauth_token", 1),
                ("api_key", 1),
                ("username", 1),
            ] {
                harness
                    .metric_becomes(&format!("attack_list.entries.kind={kind}"), entries)
                    .await;
            }
            let listed = harness.get("/").bearer(&token);
            harness.becomes_denied(&listed).await;
            let name = "denied.source=abs.kind=oauth_token";
            harness.metric_reaches(name, 4).await;
            harness
                .assert_denied(&harness.get("/").from("127.0.0.9"))
                .await;
            harness
                .metric_becomes("denied.source=manual.kind=ip", 4)
                .await;
            harness
                .assert_allowed(&harness.get("/").from("127.0.0.10"))
                .await;
            harness.metric_becomes("allow_listed", 4).await;

            assert!(harness.envoy.count("attack_list.bytes").await > 0);
            assert!(harness.envoy.count("attack_list.generation").await > 0);
            assert_eq!(harness.envoy.metric("attack_list.stale").await, Some(0));
            let now = unix_seconds();
            harness
                .metric_reaches("attack_list.last_success_unix_seconds", now)
                .await;
            let last = harness
                .envoy
                .count("attack_list.last_success_unix_seconds")
                .await;
            assert!(last <= unix_seconds(), "{last} is in the future");
            // The response to each fetch of the same list is 304.
            harness.metric_becomes("fetch.last_result", 2).await;
            harness
                .metric_reaches("fetch.last_attempt_unix_seconds", now)
                .await;
            harness.abs.fault(json!({"status": 503})).await;
            harness.metric_becomes("fetch.last_result", 3).await;
        },
    );
}

#[test]
fn prometheus_shows_source_kind_and_result_as_labels() {
    scenario(Setup::new(), async |harness| {
        harness.block("127.0.0.7").await;
        harness.metric_reaches("denied.source=abs.kind=ip", 4).await;

        let text = harness.envoy.admin("/stats/prometheus").await;

        for (name, labels) in [
            (
                "portcullis_denied",
                &["source=\"abs\"", "kind=\"ip\""] as &[_],
            ),
            ("portcullis_fetch", &["result=\"ok\""]),
            ("portcullis_attack_list_entries", &["kind=\"ip\""]),
            ("portcullis_attack_list_bytes", &[]),
            ("portcullis_attack_list_generation", &[]),
            ("portcullis_fetch_last_result", &[]),
            ("portcullis_fetch_last_attempt_unix_seconds", &[]),
            ("portcullis_attack_list_last_success_unix_seconds", &[]),
        ] {
            let line = text.lines().find(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('{'))
                    && labels.iter().all(|label| line.contains(label))
            });
            let Some(line) = line else {
                panic!("no {name}{labels:?} in {text}");
            };
            let value: f64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
            assert!(value > 0.0, "{line}");
        }
    });
}
