//! The README's first screen: `make demo` prints what it shows, and all links in the documents work.
//!
//! Runs the demo, so it needs what `make build simulator` builds.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;

/// Runs the demo, one at a time, because two at once would choose the same free ports.
fn run(demo: &mut Command) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let demo = demo.current_dir(env!("CARGO_MANIFEST_DIR"));
    demo.output().unwrap()
}

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The first block of text after the command `make demo`.
fn transcript() -> String {
    let readme = readme();
    let (_, after) = readme.split_once("```sh\nmake demo\n```").unwrap();
    let (_, block) = after.split_once("```text\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Replaces port numbers: they are the documented ones only if those are free.
fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str("127.0.0.1:N");
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let demo = run(&mut Command::new("examples/demo/demo.sh"));
    let printed = String::from_utf8_lossy(&demo.stdout);
    assert!(
        demo.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    let printed: Vec<_> = printed
        .lines()
        .filter(|line| !line.ends_with("using free ports."))
        .collect();
    assert_eq!(
        without_ports(&printed.join("\n")),
        without_ports(transcript().trim_end())
    );
}

#[test]
fn a_demo_that_fails_shows_the_output_of_its_programs() {
    for mode in ["demo", "run"] {
        let mut demo = Command::new("examples/demo/demo.sh");
        // `cat` reports an unknown option.
        let demo = run(demo.arg(mode).env("ENVOY_BIN", "/bin/cat"));
        let stderr = String::from_utf8_lossy(&demo.stderr);
        assert_eq!(demo.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("demo: envoy ended"), "{stderr}");
        assert!(stderr.contains("cat: invalid option"), "{stderr}");
    }
}

#[test]
fn every_link_in_the_documents_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = Command::new("git")
        .args(["ls-files", "*.md"])
        .current_dir(root)
        .output()
        .unwrap();
    let mut missing = Vec::new();
    let mut n_links = 0;
    for document in String::from_utf8(documents.stdout).unwrap().lines() {
        let path = root.join(document);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            n_links += 1;
            if !path.parent().unwrap().join(file).exists() {
                missing.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(n_links > 10, "only {n_links} links were found");
    assert!(missing.is_empty(), "{missing:#?}");
}
