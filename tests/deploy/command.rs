//! Runs programs to completion, and the commands of a README.

use crate::harness::process::repository;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use tempfile::NamedTempFile;

/// Runs `program` in the repository's root and returns its standard output; fails the test if it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    output_of(Command::new(program).args(arguments))
}

/// The namespaces of a cluster where Istio and Envoy Gateway are installed, and nothing else.
const NAMESPACES: &str = "default\nkube-system\nistio-system\nenvoy-gateway-system\n";

/// Runs the commands of a README unchanged, each block in its own shell and on a fresh cluster, with the stub of `kubectl`.
pub fn run_readme(path: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join(path)).unwrap();
    let blocks = blocks(&text, "sh");
    assert!(!blocks.is_empty(), "{path} should have commands");
    blocks
        .into_iter()
        .map(|block| {
            let cluster = NamedTempFile::new().unwrap();
            std::fs::write(cluster.path(), NAMESPACES).unwrap();
            let output = output_of(&mut shell(&block, cluster.path()));
            (block, output)
        })
        .collect()
}

/// Runs commands on a fresh cluster, which must fail, and returns their standard error.
pub fn refused(commands: &str) -> String {
    let cluster = NamedTempFile::new().unwrap();
    std::fs::write(cluster.path(), NAMESPACES).unwrap();
    let output = shell(commands, cluster.path())
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{commands} should fail");
    String::from_utf8(output.stderr).unwrap()
}

/// A shell with the stub of `kubectl`, whose cluster has the namespaces in a file.
fn shell(commands: &str, cluster: &Path) -> Command {
    let bin = repository().join("tests/deploy/bin");
    let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", commands])
        .env("PATH", &search)
        .env("KUBECTL_NAMESPACES", cluster)
        // The commands are for the pinned Envoy, even if these tests run another one.
        .env_remove("ENVOY_BIN")
        .env_remove("ENVOY_VERSION");
    shell
}

/// The YAML documents that a shell command writes, as JSON.
pub fn resources_of(command: &str) -> Vec<Value> {
    let python = tool(".tools/venv/bin/python", "python");
    let to_json = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let pipe = format!("{{ {command}\n}} | '{python}' -c '{to_json}'");
    let output = run("bash", &["-euo", "pipefail", "-c", &pipe]);
    serde_json::from_str(&output).unwrap()
}

/// The contents of the fenced blocks of this language.
pub fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    markdown
        .split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// The program that `tools/install TOOL` puts at `path`.
pub fn tool(path: &str, tool: &str) -> String {
    let file = repository().join(path);
    assert!(
        file.exists(),
        "{path} is missing: run `tools/install {tool}`"
    );
    file.display().to_string()
}

fn output_of(command: &mut Command) -> String {
    let output = command
        .current_dir(repository())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{stdout}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
