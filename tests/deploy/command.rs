//! Runs programs to completion, and the commands of a README.

use crate::harness::process::repository;
use serde_json::Value;
use std::process::Command;

/// Runs `program` in the repository's root and returns its standard output; fails the test if it fails.
pub fn run(program: &str, arguments: &[&str]) -> String {
    output_of(Command::new(program).args(arguments))
}

/// Runs the commands of a README unchanged, each block in its own shell, with the stub of `kubectl`.
pub fn run_readme(path: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join(path)).unwrap();
    let blocks = blocks(&text, "sh");
    assert!(!blocks.is_empty(), "{path} should have commands");
    let bin = repository().join("tests/deploy/bin");
    let search = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    blocks
        .into_iter()
        .map(|block| {
            let mut shell = Command::new("bash");
            shell
                .args(["-euo", "pipefail", "-c", &block])
                .env("PATH", &search)
                // The commands are for the pinned Envoy, even if these tests run another one.
                .env_remove("ENVOY_BIN")
                .env_remove("ENVOY_VERSION");
            let output = output_of(&mut shell);
            (block, output)
        })
        .collect()
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
