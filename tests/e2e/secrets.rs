//! No secret leaks, and the search for secrets would find one.
//!
//! Every scenario ends with this search: see the harness's `audit`.

use crate::harness::audit::{Replies, Secrets};
use crate::harness::{Setup, scenario};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

#[test]
fn secrets_of_every_kind_from_every_source_stay_out_of_logs_metrics_and_replies() {
    scenario(Setup::new(), async |harness| {
        let cookie = harness.secrets.plant("cookie");
        let token = harness.secrets.plant("token");
        let key = harness.secrets.plant("api-key");
        let user = harness.secrets.plant("user");
        let manual = harness.secrets.plant_in_configuration("manual");
        let credentials = STANDARD.encode(format!("{user}:{}", harness.secrets.plant("password")));
        harness.secrets.plant_value(&credentials);
        harness
            .envoy
            .reconfigure(json!({
                "deny_list": {"oauth_tokens": [manual], "usernames": [manual]},
                "apis": [{"url": "/trial", "mode": "shadow"}, {"url": "/"}]
            }))
            .await;
        harness
            .abs
            .list(json!({
                "cookies": {"session": [cookie]},
                "oauth_tokens": [token],
                "api_keys": [key],
                "usernames": [user]
            }))
            .await;

        for base in ["/", "/trial"] {
            for request in [
                harness
                    .get(base)
                    .header("cookie", format!("session={cookie}")),
                harness.get(base).bearer(&token),
                harness.get(base).bearer(&manual),
                harness.get(base).header("x-api-key", &key),
                harness.get(&format!("{base}?api_key={key}")),
                harness
                    .get(base)
                    .header("authorization", format!("Basic {credentials}")),
            ] {
                if base == "/" {
                    harness.becomes_denied(&request).await;
                } else {
                    harness.assert_allowed(&request).await;
                }
            }
        }

        // Failures write log lines: a truncated body, bodies that are not a list, a refused configuration.
        for fault in [
            json!({"body": format!("{{\"oauth_tokens\": [\"{token}\", ")}),
            json!({"body": format!("{{\"cookies\": \"{cookie}\", \"message\": \"{user}\"}}")}),
            json!({"body": key.clone()}),
        ] {
            harness.abs.fault(fault).await;
            harness.list_is_fetched_again().await;
        }
        harness
            .envoy
            .configure(json!({
                "deny_list": {"oauth_tokens": manual, "cookies": manual, "usernames": [[manual]]},
                "allow_list": {"api_keys": {"x-api-key": manual}},
                "abs": {"access_key": [manual], "secret_key": {"value": manual}}
            }))
            .await;
    });
}

#[test]
fn the_search_finds_a_secret_in_each_place() {
    let secrets = Secrets::default();
    let sent = secrets.plant("sent");
    let configured = secrets.plant_in_configuration("configured");
    let search = |place: &str, dump: &str| {
        std::panic::catch_unwind(|| {
            secrets.assert_absent(&[("a log", place.to_owned())], dump, &Replies::default());
        })
    };

    assert!(search("clean", &configured).is_ok());
    assert!(search(&format!("a line\nwith {sent}."), "").is_err());
    assert!(search(&configured, "").is_err());
    assert!(search("clean", &sent).is_err());
}
