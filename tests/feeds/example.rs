//! `examples/crowdsec` without Docker: the demo prints what the README shows. `make compose-test` tries the rest.

use crate::harness::process::repository;
use std::process::{Command, Output};
use std::sync::Mutex;

/// Runs the demo, one at a time, because two at once would choose the same free ports.
fn run(demo: &mut Command) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    demo.current_dir(repository()).output().unwrap()
}

/// The first block of text after the README's command.
fn transcript() -> String {
    let readme = std::fs::read_to_string(repository().join("examples/crowdsec/README.md")).unwrap();
    let (_, after) = readme.split_once("```sh\nmake demo-crowdsec\n```").unwrap();
    let (_, block) = after.split_once("```text\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// The lines, with `N` for port numbers: they are the documented ones only if those are free.
fn without_ports(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter(|line| !line.ends_with("using free ports."));
    let plain = lines.map(|line| {
        let mut parts = line.split("127.0.0.1:");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            plain.push_str("127.0.0.1:N");
            plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        plain
    });
    plain.collect()
}

#[test]
fn the_demo_prints_what_its_readme_shows() {
    let demo = run(&mut Command::new("examples/crowdsec/demo.sh"));
    let printed = String::from_utf8_lossy(&demo.stdout);
    assert!(
        demo.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&demo.stderr)
    );
    assert_eq!(without_ports(&printed), without_ports(&transcript()));
    // The command of the README ends with the demo.
    let mut make = Command::new("make");
    // Whether a make runs these tests or not.
    let make = make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let make = run(make.args(["--dry-run", "demo-crowdsec"]));
    let commands = String::from_utf8_lossy(&make.stdout);
    let last = commands.lines().last();
    assert_eq!(last, Some("examples/crowdsec/demo.sh"), "{make:?}");
}

#[test]
fn a_demo_that_fails_shows_the_output_of_its_programs() {
    for mode in ["demo", "run"] {
        let mut demo = Command::new("examples/crowdsec/demo.sh");
        // `cat` reports an unknown option.
        let demo = run(demo.arg(mode).env("ENVOY_BIN", "/bin/cat"));
        let stderr = String::from_utf8_lossy(&demo.stderr);
        assert_eq!(demo.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("crowdsec demo: envoy ended"), "{stderr}");
        assert!(stderr.contains("cat: invalid option"), "{stderr}");
    }
}
