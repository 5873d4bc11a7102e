//! Responses that are no list, for one feed of each format: the error is named, and the active list stays.

use crate::harness::client::Request;
use crate::harness::services::Abs;
use crate::harness::{Harness, eventually, play, run_beside};
use crate::setups::{KEY, KEY_VARIABLE, crowdsec, failures, from, setup};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const PAGE: &str = "<!DOCTYPE html><html><body>Sign in</body></html>";
const ABS_LIST: &str =
    r#"{"ips":["203.0.113.9"],"cookies":{},"oauth_tokens":[],"api_keys":[],"usernames":[]}"#;
const REDIRECT: &str = "https://lists.example.com/login";

/// The redirect's line of the log names the location.
const NAMES_LOCATION: &str = "redirects to \"https://lists.example.com/login\"";

/// A fault, the result of the fetch, and a part of the line of the log.
type Fault = (Value, &'static str, &'static str);

/// Faults that are the same for each format.
fn common() -> Vec<Fault> {
    let html = json!({"body": PAGE, "content_type": "text/html"});
    vec![
        (html, "malformed", ""),
        (json!({"status": 204}), "status", "204"),
        (json!({"body": ""}), "malformed", "empty"),
        (json!({"redirect": REDIRECT}), "status", NAMES_LOCATION),
        (json!({"body": ABS_LIST}), "malformed", ""),
        (json!({"map": true}), "malformed", ""),
    ]
}

/// Injects each fault at `endpoint` of the simulator and ends it again.
async fn inject(
    harness: &Harness,
    server: &Abs,
    [feed, endpoint]: [&str; 2],
    listed: &Request,
    faults: Vec<Fault>,
) {
    for (mut fault, result, text) in faults {
        let what = format!("{feed}: {fault}");
        let n_lines = failures(harness, feed).len();
        fault["endpoint"] = endpoint.into();
        server.fault(fault).await;
        let line = eventually(&format!("the log names {what}"), async || {
            failures(harness, feed).get(n_lines).cloned()
        })
        .await;
        for text in [&format!("({result})"), text, "the active list stays"] {
            assert!(line.contains(text), "{what}: {text} is missing: {line}");
        }
        let metric = format!("fetch.source={feed}.result={result}");
        assert!(harness.envoy.count(&metric).await > 0, "{what}: {metric}");
        harness.assert_denied(listed).await;
        server.clear_faults().await;
        let recovered = format!("fetching the list {feed} works again");
        let n_recoveries = |log: &str| log.matches(&recovered).count();
        eventually(&format!("{what} has ended"), async || {
            // Once for each of the failures.
            (n_recoveries(&harness.envoy.log()) > n_lines).then_some(())
        })
        .await;
    }
}

/// A text feed and its list. The path of a list that becomes something else is its name.
fn text(name: &str) -> Value {
    json!({
        "name": name,
        "format": "text",
        "cluster": "lists",
        "path": format!("/lists/{name}"),
        "interval": "1m"
    })
}

#[test]
fn a_response_that_is_no_list_is_named_and_the_active_list_stays() {
    // Most of the time, the text lists wait for their second fetch.
    run_beside(async {
        let server = Abs::start("access", "secret", &["--lapi-key", KEY].map(str::to_owned)).await;
        // Text lists are fetched once a minute, so each of them becomes something else at the same time.
        let documents = [
            ("html", PAGE, "HTML"),
            ("empty", "", "empty"),
            (
                "map",
                r#"{"list": {"1": {}}}"#,
                "no line of the list can be used",
            ),
            ("abs_list", ABS_LIST, "no line of the list can be used"),
        ];
        for (index, (name, ..)) in documents.iter().enumerate() {
            let list = format!("# the list {name}\n192.0.2.{index}\n");
            server.store(&format!("/lists/{name}"), &list).await;
        }
        server.store("/tokens/revoked", r#"["token-1"]"#).await;
        let decisions = json!({"entries": 2000, "kinds": "ips", "seed": 1});
        let generate = "/admin/decisions/generate";
        server
            .admin(hyper::Method::POST, generate, Some(decisions))
            .await;

        let tokens = json!({
            "name": "revoked",
            "format": "tokens",
            "cluster": "lists",
            "path": "/tokens/revoked",
            "interval": "1s"
        });
        let mut feeds: Vec<Value> = documents.iter().map(|(name, ..)| text(name)).collect();
        feeds.extend([tokens, crowdsec(json!({"cluster": "lists"}))]);
        let setup = setup(&feeds)
            .cluster("lists", server.address)
            .variable(KEY_VARIABLE, KEY);
        play(setup, async |harness| {
            let of_text: Vec<Request> = (0..documents.len())
                .map(|index| from(harness, &format!("192.0.2.{index}")))
                .collect();
            let of_decisions = from(harness, "11.0.0.1");
            let payload = URL_SAFE_NO_PAD.encode(r#"{"jti":"token-1"}"#);
            let of_tokens = harness.get("/").bearer(&format!("e30.{payload}.c2ln"));
            for listed in of_text.iter().chain([&of_decisions, &of_tokens]) {
                harness.becomes_denied(listed).await;
            }
            for (name, document, _) in &documents {
                server.store(&format!("/lists/{name}"), document).await;
            }

            let mut faults = common();
            // LAPI ends its JSON properly after an error of its database.
            faults.push((json!({"short_after": 500}), "refused", "from 2000 to 500"));
            let feed = ["crowdsec", "decisions"];
            inject(harness, &server, feed, &of_decisions, faults).await;
            inject(
                harness,
                &server,
                ["revoked", "tokens"],
                &of_tokens,
                common(),
            )
            .await;

            for (name, _, text) in &documents {
                let line = eventually(&format!("the log names the document {name}"), async || {
                    failures(harness, name).first().cloned()
                })
                .await;
                for text in ["(malformed)", text, "the active list stays"] {
                    assert!(line.contains(text), "{name}: {text} is missing: {line}");
                }
            }
            for (fault, text) in [
                (json!({"status": 204}), "204"),
                (json!({"redirect": REDIRECT}), NAMES_LOCATION),
            ] {
                let mut fault = fault;
                fault["endpoint"] = "lists".into();
                server.fault(fault).await;
                for (name, ..) in &documents {
                    eventually(&format!("the log names {text} for {name}"), async || {
                        let lines = failures(harness, name);
                        let line = lines.last().unwrap();
                        (line.contains("(status)") && line.contains(text)).then_some(())
                    })
                    .await;
                }
            }
            for listed in &of_text {
                harness.assert_denied(listed).await;
            }
        })
        .await;
    });
}
