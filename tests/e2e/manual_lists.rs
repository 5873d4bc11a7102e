//! Manual lists.

use crate::harness::{Setup, scenario};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

#[test]
fn ranges_work_in_the_deny_list_and_in_the_allow_list() {
    scenario(
        Setup::new().trusted_hops(1).plugin(json!({
            "deny_list": {"ips": ["10.20.0.0/16", "2001:db8:1::/48"]},
            "allow_list": {"ips": ["10.20.30.0/24", "2001:db8:1:2::/64"]}
        })),
        async |harness| {
            let client = |address: &str| harness.get("/").header("x-forwarded-for", address);
            for denied in [
                "10.20.0.0",
                "10.20.255.255",
                "10.20.29.255",
                "10.20.31.0",
                "2001:db8:1::1",
                "2001:db8:1:3::1",
                "::ffff:10.20.0.1",
            ] {
                harness.becomes_denied(&client(denied)).await;
            }
            for allowed in [
                "10.19.255.255",
                "10.21.0.0",
                "10.20.30.0",
                "10.20.30.255",
                "2001:db8:2::1",
                "2001:db8:1:2:ffff::1",
            ] {
                harness.assert_allowed(&client(allowed)).await;
            }
        },
    );
}

#[test]
fn every_kind_in_the_deny_list_is_denied_without_any_list_of_abs() {
    scenario(
        Setup::new().plugin(json!({"enable_abs_attack": false})),
        async |harness| {
            let cookie = harness.secrets.plant_in_configuration("cookie");
            let token = harness.secrets.plant_in_configuration("token");
            let key = harness.secrets.plant_in_configuration("api-key");
            let named_key = harness.secrets.plant_in_configuration("api-key");
            let user = harness.secrets.plant_in_configuration("user name");
            harness
                .envoy
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
                harness.get("/").from("127.0.0.7"),
                harness
                    .get("/")
                    .header("cookie", format!("PHPSESSIONID={cookie}")),
                harness.get("/").bearer(&token),
                harness.get("/").header("x-api-key", &key),
                harness.get(&format!("/?api_key={key}")),
                harness
                    .get("/")
                    .header("authorization", format!("Basic {credentials}")),
            ] {
                harness.becomes_denied(&denied).await;
            }
            harness
                .assert_allowed(&harness.get("/").from("127.0.0.8"))
                .await;

            harness
                .envoy
                .reconfigure(json!({"deny_list": {"api_keys": {"x-api-key": [named_key]}}}))
                .await;
            harness
                .becomes_denied(&harness.get("/").header("x-api-key", &named_key))
                .await;
            assert_eq!(harness.abs.fetches().await, 0);
        },
    );
}
