//! Each kind of client identifier is blocked, its neighbour is not, and removal unblocks.

use crate::harness::{Setup, scenario};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

#[test]
fn a_listed_ipv4_address_is_blocked_and_its_neighbour_is_not() {
    scenario(Setup::new(), async |harness| {
        let listed = harness.get("/").from("127.0.0.7");
        let neighbour = harness.get("/").from("127.0.0.8");
        harness.assert_allowed(&listed).await;

        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;

        harness.becomes_denied(&listed).await;
        harness.assert_allowed(&neighbour).await;
    });
}

#[test]
fn a_listed_ipv6_address_is_blocked_and_an_ipv4_client_is_not() {
    scenario(Setup::new(), async |harness| {
        // Another spelling of ::1.
        harness.abs.list(json!({"ips": ["0:0:0:0:0:0:0:1"]})).await;

        harness.becomes_denied(&harness.get("/").at_ip("::1")).await;
        harness.assert_allowed(&harness.get("/")).await;
    });
}

#[test]
fn a_listed_ipv6_address_behind_a_trusted_proxy_is_blocked_and_its_neighbour_is_not() {
    scenario(Setup::new().trusted_hops(1), async |harness| {
        harness.abs.list(json!({"ips": ["2001:db8::7"]})).await;

        let listed = harness.get("/").header("x-forwarded-for", "2001:DB8:0::7");
        harness.becomes_denied(&listed).await;
        harness
            .assert_allowed(&harness.get("/").header("x-forwarded-for", "2001:db8::8"))
            .await;
    });
}

#[test]
fn an_address_listed_as_ipv4_mapped_ipv6_is_the_ipv4_address() {
    scenario(Setup::new(), async |harness| {
        harness.abs.list(json!({"ips": ["::ffff:127.0.0.7"]})).await;

        harness
            .becomes_denied(&harness.get("/").from("127.0.0.7"))
            .await;
        harness
            .assert_allowed(&harness.get("/").from("127.0.0.8"))
            .await;
    });
}

#[test]
fn a_listed_cookie_is_blocked_and_neither_its_value_elsewhere_nor_another_value_is() {
    scenario(Setup::new(), async |harness| {
        let value = harness.secrets.plant("cookie");
        let other = harness.secrets.plant("cookie");
        harness
            .abs
            .list(json!({"cookies": {"PHPSESSIONID": [value]}}))
            .await;

        let listed = format!("theme=dark; PHPSESSIONID={value}; lang=en");
        harness
            .becomes_denied(&harness.get("/").header("cookie", listed))
            .await;
        for passes in [
            format!("PHPSESSIONID={other}"),
            format!("JSESSIONID={value}"),
        ] {
            harness
                .assert_allowed(&harness.get("/").header("cookie", passes))
                .await;
        }
    });
}

#[test]
fn a_listed_bearer_token_is_blocked_and_another_token_is_not() {
    scenario(Setup::new(), async |harness| {
        let token = harness.secrets.plant("token");
        let other = harness.secrets.plant("token");
        harness.abs.list(json!({"oauth_tokens": [token]})).await;

        harness
            .becomes_denied(&harness.get("/").bearer(&token))
            .await;
        // The scheme is case-insensitive, the token is not.
        harness
            .assert_denied(
                &harness
                    .get("/")
                    .header("authorization", format!("bEARER {token}")),
            )
            .await;
        harness
            .assert_allowed(&harness.get("/").bearer(&other))
            .await;
        harness
            .assert_allowed(&harness.get("/").bearer(&token.to_uppercase()))
            .await;
    });
}

#[test]
fn a_listed_api_key_is_blocked_in_the_header_and_another_key_is_not() {
    scenario(Setup::new(), async |harness| {
        let key = harness.secrets.plant("api-key");
        let other = harness.secrets.plant("api-key");
        harness.abs.list(json!({"api_keys": [key]})).await;

        harness
            .becomes_denied(&harness.get("/").header("X-API-Key", &key))
            .await;
        harness
            .assert_allowed(&harness.get("/").header("x-api-key", &other))
            .await;
        // This header has no API key by the configuration.
        harness
            .assert_allowed(&harness.get("/").header("x-other", &key))
            .await;
    });
}

#[test]
fn a_listed_api_key_is_blocked_in_the_query_and_another_key_is_not() {
    scenario(Setup::new(), async |harness| {
        let key = harness.secrets.plant("api key");
        let other = harness.secrets.plant("api-key");
        harness.abs.list(json!({"api_keys": [key]})).await;

        let encoded = key.replace(' ', "%20").replace('n', "%6e");
        harness.secrets.plant_value(&encoded);
        harness
            .becomes_denied(&harness.get(&format!("/shop?x=1&api_key={encoded}&y=2")))
            .await;
        let plus = key.replace(' ', "+");
        harness.secrets.plant_value(&plus);
        harness
            .assert_denied(&harness.get(&format!("/shop?api_key={plus}")))
            .await;
        harness
            .assert_allowed(&harness.get(&format!("/shop?api_key={other}")))
            .await;
        harness
            .assert_allowed(&harness.get(&format!("/shop?page={encoded}")))
            .await;
    });
}

#[test]
fn a_listed_user_name_is_blocked_by_basic_authentication_and_another_user_is_not() {
    scenario(Setup::new(), async |harness| {
        let user = harness.secrets.plant("user name");
        let other = harness.secrets.plant("user name");
        let basic = |user: &str| {
            let credentials = STANDARD.encode(format!("{user}:pass:word"));
            harness.secrets.plant_value(&credentials);
            harness
                .get("/")
                .header("authorization", format!("Basic {credentials}"))
        };
        harness.abs.list(json!({"usernames": [user]})).await;

        harness.becomes_denied(&basic(&user)).await;
        harness.assert_allowed(&basic(&other)).await;
    });
}

#[test]
fn a_listed_user_name_is_blocked_by_the_subject_of_a_jwt_and_another_user_is_not() {
    scenario(Setup::new(), async |harness| {
        let user = harness.secrets.plant("user");
        let other = harness.secrets.plant("user");
        let bearer = |user: &str| {
            let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
            let header = encode(json!({"alg": "RS256", "typ": "JWT"}));
            let claims = encode(json!({"iss": "tests", "sub": user, "exp": 4_102_444_800_u64}));
            let token = format!("{header}.{claims}.c2lnbmF0dXJl");
            harness.secrets.plant_value(&token);
            harness.get("/").bearer(&token)
        };
        harness.abs.list(json!({"usernames": [user]})).await;

        harness.becomes_denied(&bearer(&user)).await;
        harness.assert_allowed(&bearer(&other)).await;
    });
}

#[test]
fn a_client_is_unblocked_when_abs_removes_it_and_the_others_stay_blocked() {
    scenario(Setup::new(), async |harness| {
        let token = harness.secrets.plant("token");
        let address = harness.get("/").from("127.0.0.7");
        let bearer = harness.get("/").bearer(&token);
        harness
            .abs
            .list(json!({"ips": ["127.0.0.7"], "oauth_tokens": [token]}))
            .await;
        harness.becomes_denied(&address).await;
        harness.becomes_denied(&bearer).await;

        harness.abs.unlist(json!({"ips": ["127.0.0.7"]})).await;

        harness.becomes_allowed(&address).await;
        harness.assert_denied(&bearer).await;

        harness.abs.unlist(json!({"oauth_tokens": [token]})).await;

        harness.becomes_allowed(&bearer).await;
    });
}
