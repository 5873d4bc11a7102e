//! Manual lists, and their place in the order of judgement.

use crate::rig::{Setup, scenario};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

#[test]
fn the_allow_list_wins_over_abs_and_over_the_deny_list() {
    scenario(
        Setup::new().plugin(json!({
            "allow_list": {"ips": ["127.0.0.7", "127.0.0.9"]},
            "deny_list": {"ips": ["127.0.0.9", "127.0.0.10"]}
        })),
        async |rig| {
            rig.abs
                .list(json!({"ips": ["127.0.0.7", "127.0.0.8"]}))
                .await;

            rig.becomes_denied(&rig.get("/").from("127.0.0.8")).await;
            rig.assert_allowed(&rig.get("/").from("127.0.0.7")).await;
            rig.assert_allowed(&rig.get("/").from("127.0.0.9")).await;
            rig.assert_denied(&rig.get("/").from("127.0.0.10")).await;
            rig.metric_reaches("allow_listed", 8).await;
        },
    );
}

#[test]
fn an_allow_listed_identifier_lets_a_request_pass_whose_other_identifiers_are_listed() {
    scenario(Setup::new(), async |rig| {
        let friend = rig.secrets.plant_in_configuration("api-key");
        let token = rig.secrets.plant("token");
        rig.envoy
            .reconfigure(json!({"allow_list": {"api_keys": [friend]}}))
            .await;
        rig.abs
            .list(json!({"ips": ["127.0.0.7"], "oauth_tokens": [token]}))
            .await;

        let request = rig.get("/").from("127.0.0.7").bearer(&token);
        rig.becomes_denied(&request).await;
        rig.assert_allowed(&request.header("x-api-key", &friend))
            .await;
    });
}

#[test]
fn ranges_hold_in_the_deny_list_and_in_the_allow_list() {
    scenario(
        Setup::new().trusted_hops(1).plugin(json!({
            "deny_list": {"ips": ["10.20.0.0/16", "2001:db8:1::/48"]},
            "allow_list": {"ips": ["10.20.30.0/24", "2001:db8:1:2::/64"]}
        })),
        async |rig| {
            let client = |address: &str| rig.get("/").header("x-forwarded-for", address);
            for denied in [
                "10.20.0.0",
                "10.20.255.255",
                "10.20.29.255",
                "10.20.31.0",
                "2001:db8:1::1",
                "2001:db8:1:3::1",
                "::ffff:10.20.0.1",
            ] {
                rig.becomes_denied(&client(denied)).await;
            }
            for allowed in [
                "10.19.255.255",
                "10.21.0.0",
                "10.20.30.0",
                "10.20.30.255",
                "2001:db8:2::1",
                "2001:db8:1:2:ffff::1",
            ] {
                rig.assert_allowed(&client(allowed)).await;
            }
        },
    );
}

#[test]
fn every_kind_in_the_deny_list_is_denied_without_any_list_of_abs() {
    scenario(
        Setup::new().plugin(json!({"enable_abs_attack": false})),
        async |rig| {
            let cookie = rig.secrets.plant_in_configuration("cookie");
            let token = rig.secrets.plant_in_configuration("token");
            let key = rig.secrets.plant_in_configuration("api-key");
            let named_key = rig.secrets.plant_in_configuration("api-key");
            let user = rig.secrets.plant_in_configuration("user name");
            rig.envoy
                .reconfigure(json!({"deny_list": {
                    "ips": ["127.0.0.7"],
                    "cookies": {"PHPSESSIONID": [cookie]},
                    "oauth_tokens": [token],
                    "api_keys": [key],
                    "usernames": [user]
                }}))
                .await;

            let credentials = STANDARD.encode(format!("{user}:password"));
            for denied in [
                rig.get("/").from("127.0.0.7"),
                rig.get("/")
                    .header("cookie", format!("PHPSESSIONID={cookie}")),
                rig.get("/").bearer(&token),
                rig.get("/").header("x-api-key", &key),
                rig.get(&format!("/?api_key={key}")),
                rig.get("/")
                    .header("authorization", format!("Basic {credentials}")),
            ] {
                rig.becomes_denied(&denied).await;
            }
            rig.assert_allowed(&rig.get("/").from("127.0.0.8")).await;

            rig.envoy
                .reconfigure(json!({"deny_list": {"api_keys": {"x-api-key": [named_key]}}}))
                .await;
            rig.becomes_denied(&rig.get("/").header("x-api-key", &named_key))
                .await;
            assert_eq!(rig.abs.fetches().await, 0);
        },
    );
}
