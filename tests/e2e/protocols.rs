//! HTTP/2, gRPC, repeated headers, bytes that are not text.

use crate::harness::{Setup, scenario};
use serde_json::json;

#[test]
fn a_header_name_with_an_underscore_is_rejected() {
    scenario(Setup::new(), async |harness| {
        let key = harness.secrets.plant("api-key");
        harness
            .assert_allowed(&harness.get("/").header("x-api-key", &key))
            .await;
        for name in ["x_api_key", "X_API_KEY", "x-api_key", "authorization_"] {
            let reply = harness.get("/").header(name, &key).send().await;
            assert_eq!(reply.status, 400, "{name}: {reply:?}");
            assert!(!reply.is_from_api(), "{name}");
        }
    });
}

#[test]
fn a_denied_grpc_request_gets_permission_denied_in_a_trailers_only_reply() {
    scenario(Setup::new(), async |harness| {
        harness.block("127.0.0.7").await;

        let reply = harness
            .get("/shop.Cart/Add")
            .from("127.0.0.7")
            .grpc()
            .send()
            .await;

        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), "application/grpc");
        assert_eq!(reply.header("grpc-status"), "7");
        assert!(reply.headers_only, "{reply:?}");
        assert!(!reply.is_from_api());

        let reply = harness
            .get("/shop.Cart/Add")
            .from("127.0.0.8")
            .grpc()
            .send()
            .await;
        assert!(reply.is_allowed(), "{reply:?}");
    });
}

#[test]
fn http2_clients_are_judged_like_others() {
    scenario(Setup::new(), async |harness| {
        let value = harness.secrets.plant("cookie");
        let token = harness.secrets.plant("token");
        harness
            .abs
            .list(json!({"cookies": {"session": [value]}, "oauth_tokens": [token]}))
            .await;

        // HTTP/2 clients may send each cookie as a separate header.
        harness
            .becomes_denied(
                &harness
                    .get("/")
                    .http2()
                    .header("cookie", "theme=dark")
                    .header("cookie", format!("session={value}")),
            )
            .await;
        harness
            .assert_denied(&harness.get("/").http2().bearer(&token))
            .await;
        harness
            .assert_allowed(&harness.get("/").http2().header("cookie", "session=other"))
            .await;
    });
}

#[test]
fn no_repetition_or_quoting_hides_a_listed_cookie() {
    scenario(Setup::new(), async |harness| {
        let value = harness.secrets.plant("cookie");
        harness
            .abs
            .list(json!({"cookies": {"session": [value]}}))
            .await;

        let listed = format!("session={value}");
        let first = harness
            .get("/")
            .header("cookie", &listed)
            .header("cookie", "a=b");
        harness.becomes_denied(&first).await;
        for hidden in [
            harness
                .get("/")
                .header("cookie", "session=other")
                .header("cookie", &listed),
            harness
                .get("/")
                .header("cookie", format!("session=other; {listed}")),
            harness
                .get("/")
                .header("cookie", format!("{listed}; session=other")),
            harness.get("/").header("cookie", format!("a=b;{listed}")),
            harness
                .get("/")
                .header("cookie", format!("session=\"{value}\"")),
            harness
                .get("/")
                .header("cookie", format!("; ;; {listed} ;")),
        ] {
            harness.assert_denied(&hidden).await;
        }
        harness
            .assert_allowed(
                &harness
                    .get("/")
                    .header("cookie", format!("session={value}x")),
            )
            .await;
    });
}

#[test]
fn no_repetition_hides_a_listed_api_key() {
    scenario(Setup::new(), async |harness| {
        let key = harness.secrets.plant("api-key");
        harness.abs.list(json!({"api_keys": [key]})).await;

        let second = harness
            .get("/")
            .header("x-api-key", "other")
            .header("x-api-key", &key);
        harness.becomes_denied(&second).await;
        for hidden in [
            harness
                .get("/")
                .header("x-api-key", &key)
                .header("x-api-key", "other"),
            harness.get(&format!("/?api_key=other&api_key={key}")),
            harness.get(&format!("/?api_key={key}&api_key=other")),
        ] {
            harness.assert_denied(&hidden).await;
        }
    });
}

#[test]
fn no_repetition_hides_a_listed_token() {
    scenario(Setup::new(), async |harness| {
        let token = harness.secrets.plant("token");
        harness.abs.list(json!({"oauth_tokens": [token]})).await;

        // Envoy joins repeated authorization headers into one value, with commas.
        harness
            .becomes_denied(&harness.get("/").bearer("other").bearer(&token))
            .await;
        harness
            .assert_denied(&harness.get("/").bearer(&token).bearer("other"))
            .await;
        harness
            .assert_denied(
                &harness
                    .get("/")
                    .http2()
                    .header("authorization", "Basic b3RoZXI6b3RoZXI=")
                    .bearer(&token),
            )
            .await;
        harness
            .assert_allowed(&harness.get("/").bearer("other").bearer("another"))
            .await;
    });
}

#[test]
fn header_values_that_are_not_text_hide_no_client() {
    scenario(Setup::new(), async |harness| {
        let key = harness.secrets.plant("api-key");
        harness.abs.list(json!({"api_keys": [key]})).await;
        harness
            .becomes_denied(&harness.get("/").header("x-api-key", &key))
            .await;

        let not_text: &[u8] = b"\xff\xfe\x80=\xc3\x28; =\xf0\x28\x8c\x28";
        for name in ["cookie", "x-api-key", "x-other", "user-agent", "referer"] {
            harness
                .assert_allowed(&harness.get("/").header(name, not_text))
                .await;
        }
        for scheme in ["Bearer ", "Basic ", "", "\u{e9}"] {
            let value = [scheme.as_bytes(), not_text].concat();
            harness
                .assert_allowed(&harness.get("/").header("authorization", value))
                .await;
        }
        harness
            .assert_denied(
                &harness
                    .get("/")
                    .header("cookie", not_text)
                    .header("authorization", not_text)
                    .header("x-api-key", &key),
            )
            .await;

        let reloads = harness.envoy.vm_reloads().await;
        assert!(reloads.values().all(|&count| count == 0), "{reloads:?}");
    });
}

#[test]
fn an_escaped_path_does_not_bypass_the_rules_of_an_api() {
    scenario(
        Setup::new().plugin(json!({
            "apis": [
                {"api_id": "open", "url": "/open", "enable_blocking": false},
                {"api_id": "shop", "url": "/shop"}
            ]
        })),
        async |harness| {
            harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
            harness
                .becomes_denied(&harness.get("/shop/cart").from("127.0.0.7"))
                .await;

            for path in [
                "/open/../shop/cart",
                "/open/%2e%2e/shop/cart",
                "//shop//cart",
            ] {
                harness
                    .assert_denied(&harness.get(path).from("127.0.0.7"))
                    .await;
            }
            // Envoy redirects the client to the plain spelling before the filter runs.
            let reply = harness
                .get("/open%2F..%2Fshop/cart")
                .from("127.0.0.7")
                .send()
                .await;
            assert_eq!(reply.status, 307, "{reply:?}");
            assert!(!reply.is_from_api());
            harness
                .assert_allowed(&harness.get("/open/cart").from("127.0.0.7"))
                .await;
        },
    );
}
