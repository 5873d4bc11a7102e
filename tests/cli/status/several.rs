//! `status` of several Envoys, its exit codes, and a file that can't be used.

use serde_json::{Value, json};

use super::{status, warnings};
use crate::envoy_admin::Admin;
use crate::support::Workspace;

/// An Envoy whose last fetch failed.
fn failing(workspace: &Workspace) -> Admin {
    let mut admin = Admin::of(workspace);
    admin.set("fetch.last_result", 3);
    admin
}

/// An address where nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// The exit code and the output.
fn run(workspace: &Workspace, arguments: &[&str]) -> (i32, String) {
    let output = workspace.run(arguments);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_warning_makes_the_exit_code_3_on_request() {
    let workspace = Workspace::new();
    let good = Admin::of(&workspace).serve();
    let bad = failing(&workspace).serve();
    let table = [
        (vec!["status", "--envoy", &good, "--exit-code"], 0),
        (vec!["status", "--envoy", &bad, "--exit-code"], 3),
        (vec!["status", "--envoy", &bad], 0),
        (vec!["status", "--envoy", NOBODY, "--exit-code"], 1),
        (vec!["status", "--exit-code"], 0),
        (vec!["status", "--envoy", &good, "--envoy", &bad], 0),
        (
            vec!["status", "--envoy", &bad, "--envoy", &good, "--exit-code"],
            3,
        ),
        (
            vec!["status", "--envoy", NOBODY, "--envoy", &bad, "--exit-code"],
            1,
        ),
        (vec!["status", "--envoy", &good, "--envoy", NOBODY], 1),
        (
            vec![
                "status",
                "--envoy",
                &good,
                "--envoy",
                &bad,
                "--access-log",
                "x",
            ],
            2,
        ),
    ];
    for (arguments, expected) in table {
        let (code, printed) = run(&workspace, &arguments);
        assert_eq!(code, expected, "{arguments:?}: {printed}");
    }
}

#[test]
fn several_envoys_have_a_block_each() {
    let workspace = Workspace::new();
    let good = Admin::of(&workspace).serve();
    let bad = failing(&workspace).serve();
    let arguments = [
        "status", "--envoy", &good, "--envoy", &bad, "--envoy", NOBODY,
    ];
    let (_, printed) = run(&workspace, &arguments);
    let blocks: Vec<_> = printed.split("\n\n").collect();
    assert_eq!(blocks.len(), 3, "{printed}");
    for (block, url) in blocks.iter().zip([&good, &bad, NOBODY]) {
        assert!(
            block.starts_with(&format!("Portcullis at {url}\n")),
            "{block}"
        );
    }
    assert_eq!(warnings(blocks[0]), Vec::<&str>::new());
    assert_eq!(warnings(blocks[1]).len(), 1);
    assert!(blocks[2].contains("\nerror: "), "{}", blocks[2]);

    let (code, printed) = run(&workspace, &[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&printed).unwrap();
    let envoys = json["envoys"].as_array().unwrap();
    assert_eq!(envoys.len(), 3);
    assert_eq!(envoys[0]["envoy_url"], json!(good));
    assert_eq!(envoys[0]["failing_fetches"], json!([]));
    assert_eq!(envoys[1]["failing_fetches"], json!(["abs"]));
    assert_eq!(envoys[2]["envoy_url"], json!(NOBODY));
    assert!(envoys[2]["error"].is_string());
}

#[test]
fn an_envoy_needs_no_file() {
    let workspace = Workspace::new();
    let admin = Admin::of(&workspace).serve();
    workspace.replay("$ rm envoy/filter.json");
    let (code, printed) = run(&workspace, &["status", "--envoy", &admin, "--exit-code"]);
    assert_eq!(code, 0, "{printed}");
    for line in [
        "blocking                : yes",
        "file                    : none",
        "active configuration    : not compared: there is no file to compare with",
        "firewall                : enabled",
        "attack list entries     : ip 1, cookie 1, oauth_token 0, api_key 0, username 1",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
    let (_, printed) = run(&workspace, &["status", "--envoy", &admin, "-o", "json"]);
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json["file"], Value::Null);
    assert_eq!(json["active_configuration"]["matches_file"], Value::Null);
    // Without an Envoy there is nothing to show.
    assert_eq!(run(&workspace, &["status"]).0, 1);
}

#[test]
fn a_file_that_can_not_be_used_is_reported_beside_what_runs() {
    let workspace = Workspace::new();
    let file = workspace.read("envoy/filter.json");
    let mistyped = file.replace(
        "\"enable_firewall\": true",
        "\"enable_firewall\": \"maybe\"",
    );
    assert_ne!(mistyped, file);
    for (name, text, problem) in [
        ("broken.json", "{\"resources\": [", "broken.json: "),
        (
            "mistyped.json",
            &mistyped,
            "mistyped.json: the filter would refuse this configuration",
        ),
        ("missing.json", "", "missing.json "),
    ] {
        let admin = Admin::of(&workspace);
        if !text.is_empty() {
            workspace.write(name, text);
        }
        let printed = status(&workspace, admin, &["--config", name]);
        assert!(
            printed.contains("blocking                : yes\n"),
            "{printed}"
        );
        let (_, warning) = printed.split_once("warning: ").unwrap();
        assert!(warning.starts_with(problem), "{printed}");
        assert!(
            warning.ends_with("; this is what the running Envoy uses\n"),
            "{printed}"
        );
    }
}
