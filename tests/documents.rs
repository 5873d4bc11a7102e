//! All links between the documents work.

#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::fs;
use std::path::Path;
use std::process::Command;

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
