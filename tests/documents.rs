//! All links between the documents work, and the README is short and says what the measurements say.

#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The names by which links reach the headings of a Markdown text.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let outside_of_blocks = markdown.split("```").step_by(2);
    let lines = outside_of_blocks.flat_map(str::lines);
    let headings = lines.filter(|line| line.starts_with('#'));
    let is_part = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    headings
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.chars().filter(is_part).collect::<String>())
        .map(|heading| heading.replace(' ', "-"))
        .collect()
}

#[test]
fn the_readme_has_at_most_150_lines_and_the_index_every_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.lines().count() <= 150);
    let index = fs::read_to_string(root.join("docs/index.md")).unwrap();
    for entry in fs::read_dir(root.join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.ends_with(".md") || name == "index.md" || index.contains(&format!("]({name}")),
            "docs/index.md should have {name}"
        );
    }
}

#[test]
fn the_readme_has_the_number_of_missed_bars() {
    let read = |file| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let results = read("benches/RESULTS.md");
    let rows = results.lines().filter(|line| line.starts_with("| "));
    let missed = rows.filter(|row| row.contains("**no**") || row.contains(": missed"));
    let sentence = format!(" {} are missed:", missed.count());
    assert!(read("README.md").contains(&sentence), "{sentence}");
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
            if target.contains("://") {
                continue;
            }
            n_links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let has_heading = || anchors(&fs::read_to_string(&file).unwrap()).contains(heading);
            if !file.exists() || !(heading.is_empty() || has_heading()) {
                missing.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(n_links > 10, "only {n_links} links were found");
    assert!(missing.is_empty(), "{missing:#?}");
}
