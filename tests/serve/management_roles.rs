//! Who may use the management API, and that no reader and no audit line gets a secret.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::schema;
use crate::support::{Fleet, body, filter};

const OPERATOR: &str = "operator-0123456789";
const READER: &str = "reader-0123456789ab";
const NODE: &str = "node-0123456789abcd";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A configuration with a secret of every kind; each begins with `SECRET` and `mark`.
fn secrets(mark: &str) -> Value {
    let secret = |name: &str| format!("SECRET-{mark}-{name}");
    let mut file = filter(&json!({
        "abs": {"cluster": "abs", "access_key": secret("ak"), "secret_key": secret("sk")},
        "traffic": {"ase_token": secret("ase")},
        "feeds": [{
            "name": "partner",
            "format": "text",
            "cluster": "lists",
            "path": format!("/list?key={}", secret("path")),
            "headers": {"x-api-key": secret("feed")},
        }],
        "deny_list": {
            "ips": ["192.0.2.7"],
            "cookies": {"S": [secret("cookie")]},
            "oauth_tokens": [secret("token")],
            "api_keys": [secret("key")],
            "usernames": [secret("name")],
        },
    }));
    *file
        .pointer_mut("/resources/0/typed_config/config/vm_config")
        .unwrap() = json!({
        "vm_id": "portcullis",
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": "target/portcullis.wasm"}},
        "environment_variables": {"key_values": {"LAPI_KEY": secret("environment")}},
    });
    file
}

fn protected() -> Fleet {
    let mut fleet = Fleet::new();
    for (name, token) in [
        ("PORTCULLIS_OPERATOR_TOKEN", OPERATOR),
        ("PORTCULLIS_READ_TOKEN", READER),
        ("PORTCULLIS_NODE_TOKEN", NODE),
    ] {
        fleet.environment.push((name.to_owned(), token.to_owned()));
    }
    fleet.write("portcullis.json", &format!("{:#}\n", secrets("old")));
    fleet.start();
    fleet
}

#[test]
fn each_operation_needs_the_role_that_the_document_names() {
    let fleet = protected();
    let document = schema::document();
    let mut n = 0;
    for (route, item) in document["paths"].as_object().unwrap() {
        let path = route
            .replace("{name}", "portcullis")
            .replace("{list}", "deny_list");
        for method in ["get", "put", "post", "patch", "delete"] {
            let operation = &item[method];
            if !operation.is_object() {
                continue;
            }
            let role = operation["x-role"].as_str().unwrap();
            for (token, allowed) in [
                (OPERATOR, true),
                (READER, role == "reader"),
                (NODE, false),
                ("wrong-0123456789abc", false),
            ] {
                let token = format!("Bearer {token}");
                let headers = [("authorization", token.as_str())];
                let response = fleet.send(&method.to_uppercase(), &path, &headers, "");
                let status = response.status().as_u16();
                let refused = matches!(status, 401 | 403);
                assert_eq!(!refused, allowed, "{method} {path} {token}: {status}");
            }
            assert_eq!(
                fleet.send(&method.to_uppercase(), &path, &[], "").status(),
                401
            );
            n += 1;
        }
    }
    assert!(n >= 14, "{n}");
}

#[test]
fn no_reader_and_no_audit_line_gets_a_secret() {
    let fleet = protected();
    let operator = format!("Bearer {OPERATOR}");
    let new = format!("{:#}\n", secrets("new"));
    let replaced = fleet.send(
        "PUT",
        "/v1/filters/portcullis",
        &[("authorization", &operator), ("if-match", "*")],
        new.clone(),
    );
    assert_eq!(replaced.status(), 200, "{}", body(&replaced));
    let seen = String::from_utf8(replaced.body().clone()).unwrap();
    assert!(
        seen.contains("deny_list.cookies.S") && !seen.contains("SECRET-"),
        "{seen}"
    );
    // Refused: the log has the path, and nothing of the value.
    let wrong = new.replace("\"cluster\": \"lists\"", "\"cluster\": 7");
    assert_ne!(wrong, new);
    let refused = fleet.send(
        "PUT",
        "/v1/filters/portcullis",
        &[("authorization", &operator), ("if-match", "*")],
        wrong,
    );
    assert_eq!(body(&refused)["errors"][0]["path"], "feeds[0].cluster");

    let reader = format!("Bearer {READER}");
    let document = schema::document();
    let mut n = 0;
    for (route, item) in document["paths"].as_object().unwrap() {
        let path = route
            .replace("{name}", "portcullis")
            .replace("{list}", "deny_list");
        if item["get"].is_object() {
            let response = fleet.get(&path, &[("authorization", &reader)]);
            assert_eq!(response.status(), 200, "{path}");
            let text = String::from_utf8(response.body().clone()).unwrap();
            assert!(!text.contains("SECRET-"), "{path}: {text}");
            n += 1;
        }
    }
    assert!(n >= 9, "{n}");
    let explained = fleet.send(
        "POST",
        "/v1/explain",
        &[("authorization", &reader), JSON],
        json!({"headers": ["cookie: S=SECRET-new-cookie"]}).to_string(),
    );
    let explained = body(&explained);
    assert_eq!(explained["verdict"], "denied manual cookie");
    assert!(!explained.to_string().contains("SECRET-"), "{explained}");

    let log = fleet.log();
    assert!(log.contains("feeds[0].cluster"), "{log}");
    assert!(!log.contains("SECRET-"), "{log}");
    // What a reader gets is the configuration that the filter has, and an operator gets the text.
    let masked = body(&fleet.get("/v1/filters/portcullis", &[("authorization", &reader)]));
    assert_eq!(masked["deny_list"]["ips"], json!(["192.0.2.7"]));
    assert_eq!(masked["abs"]["cluster"], "abs");
    assert_eq!(masked["feeds"][0]["path"], "/list?...");
    let text = fleet.get("/v1/filters/portcullis", &[("authorization", &operator)]);
    assert_eq!(*text.body(), new.into_bytes());
}

#[test]
fn a_command_with_the_token_of_a_reader_shows_no_secret_and_changes_nothing() {
    let fleet = protected();
    let token_file = fleet.path("token");
    fs::write(&token_file, format!("{OPERATOR}\n")).unwrap();
    let run = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["--server", fleet.url()])
            .args(arguments)
            .env_clear()
            .env("USER", "alice \u{e4}\n")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &stderr,
        )
    };
    let reader = [("PORTCULLIS_READ_TOKEN", READER)];
    let (code, text) = run(&["view_blacklist", "manual", "--show-secrets"], &reader);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("192.0.2.7") && !text.contains("SECRET-"),
        "{text}"
    );
    let before = fs::read(fleet.path("filters/portcullis.json")).unwrap();
    let (code, text) = run(&["disable_firewall"], &reader);
    assert_eq!(code, Some(1));
    assert!(text.contains("--token-file"), "{text}");
    let (code, text) = run(&["disable_firewall"], &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--token-file"), "{text}");
    assert_eq!(
        fs::read(fleet.path("filters/portcullis.json")).unwrap(),
        before
    );

    let of_file = [
        "--token-file",
        token_file.to_str().unwrap(),
        "disable_firewall",
    ];
    let (code, text) = run(&of_file, &reader);
    assert_eq!(
        (code, text.as_str()),
        (Some(0), "Firewall is now disabled\n")
    );
    let both = [reader[0], ("PORTCULLIS_OPERATOR_TOKEN", OPERATOR)];
    assert_eq!(run(&["enable_firewall"], &both).0, Some(0));
    let log = fleet.log();
    assert!(log.contains("alice"), "{log}");
    assert!(!log.contains("SECRET-"), "{log}");
    fs::write(&token_file, "two words").unwrap();
    let (code, text) = run(&of_file, &[]);
    assert_eq!(code, Some(2), "{text}");
}
