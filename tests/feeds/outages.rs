//! A real LAPI that is restarted, away when Envoy starts, or refuses the key.

use crate::harness::{play, run};
use crate::setups::{
    KEY, KEY_VARIABLE, crowdsec, failures, from, lapi, next_fetch, setup, with_lapi,
};
use serde_json::json;

const FAILED: &str = "fetch.source=crowdsec.last_result";

#[test]
fn a_restarted_lapi_is_used_again_and_the_list_stays_meanwhile() {
    run(async {
        let mut lapi = lapi().await;
        lapi.add("Ip", "203.0.113.1", "1h", "ban");
        lapi.add("Ip", "203.0.113.2", "1h", "ban");
        // This release has no usage metrics, which changes nothing.
        let feed = crowdsec(json!({"usage_metrics": true}));
        play(with_lapi(lapi.address, &[feed]), async |harness| {
            let [first, second, third] =
                ["203.0.113.1", "203.0.113.2", "203.0.113.3"].map(|it| from(harness, it));
            harness.becomes_denied(&first).await;

            lapi.stop();
            harness.metric_becomes(FAILED, 3).await;
            harness.assert_denied(&first).await;
            harness.assert_denied(&second).await;
            harness.envoy.logs("the active list stays").await;

            lapi.restart().await;
            lapi.delete("Ip", "203.0.113.1");
            lapi.add("Ip", "203.0.113.3", "1h", "ban");
            harness.becomes_denied(&third).await;
            harness.becomes_allowed(&first).await;
            harness.assert_denied(&second).await;
            harness
                .envoy
                .logs("fetching the list crowdsec works again")
                .await;
        })
        .await;
    });
}

#[test]
fn a_lapi_that_is_away_when_envoy_starts_is_used_when_it_comes() {
    run(async {
        let mut lapi = lapi().await;
        lapi.add("Ip", "203.0.113.7", "1h", "ban");
        lapi.stop();
        play(
            with_lapi(lapi.address, &[crowdsec(json!({}))]),
            async |harness| {
                let listed = from(harness, "203.0.113.7");
                harness.metric_becomes(FAILED, 3).await;
                harness.assert_allowed(&listed).await;
                harness.envoy.logs("there is no list yet").await;
                lapi.restart().await;
                harness.becomes_denied(&listed).await;
            },
        )
        .await;
    });
}

#[test]
fn a_wrong_key_is_reported_as_unauthorized_and_never_shown() {
    run(async {
        let lapi = lapi().await;
        lapi.add("Ip", "203.0.113.7", "1h", "ban");
        let wrong = "planted-wrong-key";
        let setup = setup(&[crowdsec(json!({}))])
            .cluster("lapi", lapi.address)
            .variable(KEY_VARIABLE, wrong);
        play(setup, async |harness| {
            harness.secrets.plant_value(wrong);
            next_fetch(harness, "crowdsec", "unauthorized").await;
            harness.assert_allowed(&from(harness, "203.0.113.7")).await;
            let lines = failures(harness, "crowdsec");
            let [line] = &lines[..] else {
                panic!("one line is expected: {lines:?}")
            };
            for text in ["(unauthorized)", "403", "headers", "there is no list yet"] {
                assert!(line.contains(text), "{text} is missing: {line}");
            }
        })
        .await;
    });
}

#[test]
fn a_key_that_lapi_no_longer_accepts_leaves_the_list_active() {
    run(async {
        let lapi = lapi().await;
        lapi.add("Ip", "203.0.113.7", "1h", "ban");
        play(
            with_lapi(lapi.address, &[crowdsec(json!({}))]),
            async |harness| {
                harness.secrets.plant_value(KEY);
                let listed = from(harness, "203.0.113.7");
                harness.becomes_denied(&listed).await;
                lapi.cscli(&["bouncers", "delete", "tests"]).unwrap();
                next_fetch(harness, "crowdsec", "unauthorized").await;
                harness.assert_denied(&listed).await;
                lapi.cscli(&["bouncers", "add", "tests", "--key", KEY])
                    .unwrap();
                lapi.delete("Ip", "203.0.113.7");
                harness.becomes_allowed(&listed).await;
            },
        )
        .await;
    });
}
