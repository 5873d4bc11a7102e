//! Each kind of client identifier is blocked, its neighbour is not, and removal unblocks.

use crate::rig::{Setup, scenario};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

#[test]
fn a_listed_ipv4_address_is_blocked_and_its_neighbour_is_not() {
    scenario(Setup::new(), async |rig| {
        let listed = rig.get("/").from("127.0.0.7");
        let neighbour = rig.get("/").from("127.0.0.8");
        rig.assert_allowed(&listed).await;

        rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;

        rig.becomes_denied(&listed).await;
        rig.assert_allowed(&neighbour).await;
    });
}

#[test]
fn a_listed_ipv6_address_is_blocked_and_an_ipv4_client_is_not() {
    scenario(Setup::new(), async |rig| {
        // Another spelling of ::1.
        rig.abs.list(json!({"ips": ["0:0:0:0:0:0:0:1"]})).await;

        rig.becomes_denied(&rig.get("/").at_ip("::1")).await;
        rig.assert_allowed(&rig.get("/")).await;
    });
}

#[test]
fn a_listed_ipv6_address_behind_a_trusted_proxy_is_blocked_and_its_neighbour_is_not() {
    scenario(Setup::new().trusted_hops(1), async |rig| {
        rig.abs.list(json!({"ips": ["2001:db8::7"]})).await;

        let listed = rig.get("/").header("x-forwarded-for", "2001:DB8:0::7");
        rig.becomes_denied(&listed).await;
        rig.assert_allowed(&rig.get("/").header("x-forwarded-for", "2001:db8::8"))
            .await;
    });
}

#[test]
fn an_address_listed_as_ipv4_mapped_ipv6_is_the_ipv4_address() {
    scenario(Setup::new(), async |rig| {
        rig.abs.list(json!({"ips": ["::ffff:127.0.0.7"]})).await;

        rig.becomes_denied(&rig.get("/").from("127.0.0.7")).await;
        rig.assert_allowed(&rig.get("/").from("127.0.0.8")).await;
    });
}

#[test]
fn a_listed_cookie_is_blocked_and_neither_its_value_elsewhere_nor_another_value_is() {
    scenario(Setup::new(), async |rig| {
        let value = rig.secrets.plant("cookie");
        let other = rig.secrets.plant("cookie");
        rig.abs
            .list(json!({"cookies": {"PHPSESSIONID": [value]}}))
            .await;

        let listed = format!("theme=dark; PHPSESSIONID={value}; lang=en");
        rig.becomes_denied(&rig.get("/").header("cookie", listed))
            .await;
        for passes in [
            format!("PHPSESSIONID={other}"),
            format!("JSESSIONID={value}"),
        ] {
            rig.assert_allowed(&rig.get("/").header("cookie", passes))
                .await;
        }
    });
}

#[test]
fn a_listed_bearer_token_is_blocked_and_another_token_is_not() {
    scenario(Setup::new(), async |rig| {
        let token = rig.secrets.plant("token");
        let other = rig.secrets.plant("token");
        rig.abs.list(json!({"oauth_tokens": [token]})).await;

        rig.becomes_denied(&rig.get("/").bearer(&token)).await;
        // The scheme's letter case does not matter, the token's does.
        rig.assert_denied(
            &rig.get("/")
                .header("authorization", format!("bEARER {token}")),
        )
        .await;
        rig.assert_allowed(&rig.get("/").bearer(&other)).await;
        rig.assert_allowed(&rig.get("/").bearer(&token.to_uppercase()))
            .await;
    });
}

#[test]
fn a_listed_api_key_is_blocked_in_the_header_and_another_key_is_not() {
    scenario(Setup::new(), async |rig| {
        let key = rig.secrets.plant("api-key");
        let other = rig.secrets.plant("api-key");
        rig.abs.list(json!({"api_keys": [key]})).await;

        rig.becomes_denied(&rig.get("/").header("X-API-Key", &key))
            .await;
        rig.assert_allowed(&rig.get("/").header("x-api-key", &other))
            .await;
        // Not a header that carries an API key here.
        rig.assert_allowed(&rig.get("/").header("x-other", &key))
            .await;
    });
}

#[test]
fn a_listed_api_key_is_blocked_in_the_query_and_another_key_is_not() {
    scenario(Setup::new(), async |rig| {
        let key = rig.secrets.plant("api key");
        let other = rig.secrets.plant("api-key");
        rig.abs.list(json!({"api_keys": [key]})).await;

        let encoded = key.replace(' ', "%20").replace('n', "%6e");
        rig.secrets.plant_value(&encoded);
        rig.becomes_denied(&rig.get(&format!("/shop?x=1&api_key={encoded}&y=2")))
            .await;
        let plus = key.replace(' ', "+");
        rig.secrets.plant_value(&plus);
        rig.assert_denied(&rig.get(&format!("/shop?api_key={plus}")))
            .await;
        rig.assert_allowed(&rig.get(&format!("/shop?api_key={other}")))
            .await;
        rig.assert_allowed(&rig.get(&format!("/shop?page={encoded}")))
            .await;
    });
}

#[test]
fn a_listed_user_name_is_blocked_by_basic_authentication_and_another_user_is_not() {
    scenario(Setup::new(), async |rig| {
        let user = rig.secrets.plant("user name");
        let other = rig.secrets.plant("user name");
        let basic = |user: &str| {
            let credentials = STANDARD.encode(format!("{user}:pass:word"));
            rig.secrets.plant_value(&credentials);
            rig.get("/")
                .header("authorization", format!("Basic {credentials}"))
        };
        rig.abs.list(json!({"usernames": [user]})).await;

        rig.becomes_denied(&basic(&user)).await;
        rig.assert_allowed(&basic(&other)).await;
    });
}

#[test]
fn a_listed_user_name_is_blocked_by_the_subject_of_a_jwt_and_another_user_is_not() {
    scenario(Setup::new(), async |rig| {
        let user = rig.secrets.plant("user");
        let other = rig.secrets.plant("user");
        let bearer = |user: &str| {
            let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
            let header = encode(json!({"alg": "RS256", "typ": "JWT"}));
            let claims = encode(json!({"iss": "tests", "sub": user, "exp": 4_102_444_800_u64}));
            let token = format!("{header}.{claims}.c2lnbmF0dXJl");
            rig.secrets.plant_value(&token);
            rig.get("/").bearer(&token)
        };
        rig.abs.list(json!({"usernames": [user]})).await;

        rig.becomes_denied(&bearer(&user)).await;
        rig.assert_allowed(&bearer(&other)).await;
    });
}

#[test]
fn a_client_is_unblocked_when_abs_removes_it_and_the_others_stay_blocked() {
    scenario(Setup::new(), async |rig| {
        let token = rig.secrets.plant("token");
        let address = rig.get("/").from("127.0.0.7");
        let bearer = rig.get("/").bearer(&token);
        rig.abs
            .list(json!({"ips": ["127.0.0.7"], "oauth_tokens": [token]}))
            .await;
        rig.becomes_denied(&address).await;
        rig.becomes_denied(&bearer).await;

        rig.abs.unlist(json!({"ips": ["127.0.0.7"]})).await;

        rig.becomes_allowed(&address).await;
        rig.assert_denied(&bearer).await;

        rig.abs.unlist(json!({"oauth_tokens": [token]})).await;

        rig.becomes_allowed(&bearer).await;
    });
}

#[test]
fn one_listed_identifier_among_several_is_enough() {
    scenario(Setup::new(), async |rig| {
        let key = rig.secrets.plant("api-key");
        rig.abs.list(json!({"api_keys": [key]})).await;

        let request = rig
            .get("/")
            .bearer("unlisted")
            .header("cookie", "session=unlisted");
        rig.becomes_denied(&request.clone().header("x-api-key", &key))
            .await;
        rig.assert_allowed(&request).await;
    });
}
