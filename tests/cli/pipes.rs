//! `--config -`: from standard input to standard output, and nothing there if an edit is refused. `--namespace`.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Abs, Workspace, assert_session, repository};

/// The fixtures, as `kubectl get -o yaml` prints them, with what a server adds to an object.
const MANIFESTS: [&str; 5] = [
    "wasmplugin",
    "wasmplugins",
    "trafficextension",
    "envoyextensionpolicy",
    "configmap",
];

/// A workspace with the fixtures.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    for name in MANIFESTS {
        let path = format!("tests/cli/fixtures/kubectl/{name}.yaml");
        let text = fs::read_to_string(repository().join(path)).unwrap();
        workspace.write(&format!("{name}.yaml"), &text);
    }
    workspace
}

/// Runs the tool with the bytes on standard input.
fn pipe(workspace: &Workspace, input: &[u8], arguments: &[&str]) -> Output {
    workspace.write_bytes("input", input);
    let input = fs::File::open(workspace.path("input")).unwrap();
    let mut command = workspace.command(arguments);
    command.stdin(Stdio::from(input)).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_kubectl_prints_is_edited_in_a_pipe() {
    assert_session(&workspace(), "pipes");
}

/// With a stub of kubectl that has one object, `cluster.yaml`.
#[test]
fn a_refused_edit_and_a_dry_run_apply_nothing() {
    let mut workspace = workspace();
    workspace.add_programs(&repository().join("tests/cli/bin"));
    workspace.write("cluster.yaml", &workspace.read("wasmplugin.yaml"));
    assert_session(&workspace, "kubectl");
}

#[test]
fn a_namespace_selects_a_kubernetes_object() {
    let workspace = workspace();
    workspace.write(
        "several.yaml",
        "kind: WasmPlugin\nmetadata: {name: portcullis}\nspec: {url: a}\n---\n\
         kind: WasmPlugin\nmetadata: {name: portcullis, namespace: shop}\nspec:\n  url: a # b\n",
    );
    workspace.write(
        "twice.json",
        r#"{"kind": "WasmPluginList", "metadata": {"namespace": "of-no-list"}, "items": [
            {"kind": "WasmPlugin", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"pluginName": "portcullis"}},
            {"kind": "WasmPlugin", "metadata": {"name": "b", "namespace": "shop"}, "spec": {"pluginName": "portcullis"}}]}"#,
    );
    workspace.write("plain.json", "{}");
    assert_session(&workspace, "namespaces");
}

#[test]
fn an_edit_that_changes_nothing_passes_on_every_byte() {
    let workspace = workspace();
    let texts = [
        "{\"enable_firewall\": true}",
        "{\"enable_firewall\": true}\r\n\r\n",
        "\u{FEFF}kind: WasmPlugin\r\nspec: {}\r\n...",
    ];
    for input in texts {
        let output = pipe(
            &workspace,
            input.as_bytes(),
            &["--config", "-", "enable_firewall"],
        );
        assert_eq!(text(&output.stdout), input);
        assert_eq!(
            text(&output.stderr),
            "note: Firewall is already enabled\n",
            "{input:?}"
        );
    }
}

#[test]
fn a_refused_edit_prints_nothing() {
    let invalid = "{\"enable_firewal\": true}";
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(64 << 20));
    let aliased = "kind: WasmPlugin\na: &a {}\nspec: {pluginConfig: *a}\n";
    let table: &[(&[u8], &str)] = &[
        (
            invalid.as_bytes(),
            "error: standard input was not passed on: the filter would refuse the configuration\n  enable_firewal: unknown key",
        ),
        (
            b"",
            "error: standard input is empty; the command before the pipe printed nothing\n",
        ),
        (
            b" \n",
            "error: standard input is empty; the command before the pipe printed nothing\n",
        ),
        (
            b"{\"enable_firewall\": ",
            "error: standard input: not valid JSON: EOF",
        ),
        (
            b"a: \xff",
            "error: standard input can't be read: it is not UTF-8 text (byte 4)\n",
        ),
        (
            large.as_bytes(),
            "error: standard input can't be read: it is larger than 64 MB\n",
        ),
        (
            b"kind: List\nitems: []\n",
            "error: standard input holds no Wasm or native filter; ",
        ),
        (
            aliased.as_bytes(),
            "error: standard input: its layout can't be edited in place",
        ),
    ];
    let workspace = workspace();
    for (input, words) in table {
        let output = pipe(
            &workspace,
            input,
            &["--config", "-", "add_blacklist", "ip", "192.0.2.1"],
        );
        let error = text(&output.stderr);
        assert!(error.starts_with(words), "{error}");
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert_eq!(text(&output.stdout), "", "{error}");
    }
}

#[test]
fn a_text_that_is_not_passed_on_to_its_end_is_a_failure() {
    let command = "portcullis --config - disable_firewall < wasmplugin.yaml > /dev/full";
    assert_eq!(
        workspace().replay(&format!("$ {command}\n")),
        format!(
            "$ {command}\nthe result can't be printed: No space left on device (os error 28)\n[exit code 1]\n"
        )
    );
}

#[test]
fn the_report_for_programs_is_one_object_on_standard_error() {
    let abs = Abs::start(&[]);
    abs.admin(
        "POST",
        "/admin/load",
        r#"{"ips": ["192.0.2.1", "10.0.0.7"]}"#,
    );
    let arguments = [
        "--config",
        "-",
        "--output",
        "json",
        "attack_list",
        "--import-deny",
    ];
    let output = pipe(&abs.workspace(), b"{}", &arguments);
    let report: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(report["changed"], json!(true));
    assert_eq!(
        report["changes"][0],
        json!({"path": "deny_list.ips", "new": "192.0.2.1"})
    );
    let notes = report["notes"].as_array().unwrap();
    let note = notes[0].as_str().unwrap();
    assert!(note.starts_with("ABS lists the private address 10.0.0.7"));
    let edited: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        edited,
        json!({"deny_list": {"ips": ["192.0.2.1", "10.0.0.7"]}})
    );
}

#[test]
fn a_terminal_is_not_read() {
    let workspace = workspace();
    for arguments in [
        "disable_firewall --config -",
        "status --config -",
        "check_config -",
    ] {
        // Runs the command in a terminal, and exits as it does.
        let mut terminal = Command::new("script");
        let tool = workspace.command(&[]).get_program().to_owned();
        let tool = tool.to_str().unwrap();
        let output = terminal
            .args(["-qec", &format!("{tool} {arguments}"), "/dev/null"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = text(&output.stdout);
        assert!(
            printed.contains("error: standard input is a terminal; "),
            "{printed}"
        );
        assert_eq!(output.status.code(), Some(2), "{printed}");
    }
}
