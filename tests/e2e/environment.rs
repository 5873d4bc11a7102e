//! Keys in Envoy's environment, as Secrets and shells write them.

use crate::harness::{Setup, scenario};
use serde_json::json;

#[test]
fn white_space_around_a_key_is_ignored_with_a_warning() {
    let setup = Setup::new().keys_as(|key| format!(" {key}\r\n"));
    scenario(setup, async |harness| {
        harness
            .assert_allowed(&harness.get("/").from("127.0.0.7"))
            .await;
        harness.block("127.0.0.7").await;
        for variable in ["ABS_ACCESS_KEY", "ABS_SECRET_KEY"] {
            harness
                .envoy
                .logs(&format!(
                    "around the value of the environment variable {variable} is ignored; remove it"
                ))
                .await;
        }
    });
}

#[test]
fn a_key_that_can_not_be_sent_affects_only_the_fetches() {
    let setup = Setup::new()
        .keys_as(|key| format!("{key}:"))
        .plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}}));
    scenario(setup, async |harness| {
        harness
            .assert_allowed(&harness.get("/").from("127.0.0.7"))
            .await;
        harness
            .assert_denied(&harness.get("/").from("127.0.0.9"))
            .await;
        harness
            .envoy
            .logs("the environment variable ABS_ACCESS_KEY is ignored: found the character \":\"")
            .await;
        harness.metric_becomes("fetch.last_result", 3).await;
        assert!(harness.envoy.count("fetch.result=unauthorized").await > 0);
    });
}
