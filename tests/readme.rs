//! The README's first screen and that of examples/fleet: the demos print what is shown there.
//!
//! Runs the demos, so it needs what `make build simulator` builds.

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

/// The first block of text after a command in a document.
fn transcript(document: &str, command: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once(&format!("```sh\n{command}\n```")).unwrap();
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

fn assert_prints(demo: &str, transcript: &str) {
    let demo = run(&mut Command::new(demo));
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
        without_ports(transcript.trim_end())
    );
}

#[test]
fn the_demo_prints_what_the_readme_shows() {
    let transcript = transcript("README.md", "make demo");
    assert_prints("examples/demo/demo.sh", &transcript);
}

#[test]
fn the_fleet_demo_prints_what_its_readme_shows() {
    let transcript = transcript("examples/fleet/README.md", "make demo-fleet");
    assert_prints("examples/fleet/demo.sh", &transcript);
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
