//! Every repository path that a document names in backquotes exists.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail loudly"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tracked(pattern: &[&str]) -> Vec<String> {
    let mut list = Command::new("git");
    let list = list.arg("ls-files").args(pattern).current_dir(root());
    let listed = list.output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The code spans of a Markdown text, without its code blocks.
fn code_spans(markdown: &str) -> BTreeSet<&str> {
    let outside_of_blocks = markdown.split("```").step_by(2);
    outside_of_blocks
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether a code span is a path from the repository's root: it starts with one of the root's files or directories.
fn is_path(span: &str, top_level: &BTreeSet<String>) -> bool {
    let first = span.split('/').next().unwrap_or_default();
    top_level.contains(first) && !span.contains(char::is_whitespace) && !span.contains('*')
}

/// The paths in a text that do not exist, and the number of all paths.
fn missing_paths<'a>(markdown: &'a str, top_level: &BTreeSet<String>) -> (Vec<&'a str>, usize) {
    let spans = code_spans(markdown);
    let paths = spans.into_iter().filter(|span| is_path(span, top_level));
    let paths: Vec<&str> = paths.collect();
    let missing = paths.iter().filter(|path| !root().join(path).exists());
    (missing.copied().collect(), paths.len())
}

#[test]
fn every_path_in_backquotes_exists() {
    let files = tracked(&[]);
    let first_segments = files.iter().filter_map(|file| file.split('/').next());
    let top_level: BTreeSet<String> = first_segments.map(str::to_owned).collect();
    let (missing, _) = missing_paths("`src/lib.rs`, `src/no_such_file.rs`", &top_level);
    assert_eq!(missing, ["src/no_such_file.rs"]);

    let mut faults = Vec::new();
    for document in tracked(&["*.md"]) {
        let text = fs::read_to_string(root().join(&document)).unwrap();
        let (missing, n_paths) = missing_paths(&text, &top_level);
        faults.extend(missing.iter().map(|path| format!("{document}: {path}")));
        if document == "CONTRIBUTING.md" || document == "docs/architecture.md" {
            assert!(n_paths > 10, "{document} has only {n_paths} paths");
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
