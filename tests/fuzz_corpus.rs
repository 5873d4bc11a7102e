//! Runs the fuzz targets' saved inputs through the same functions on any toolchain. They include all inputs that a fuzzer
//! found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "fuzz/src/lib.rs"]
mod targets;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("attack_list", targets::attack_list),
    ("configuration", targets::configuration),
    ("crowdsec", targets::crowdsec),
    ("gzip", targets::gzip),
    ("request", targets::request),
    ("responses", targets::responses),
    ("snapshot", targets::snapshot),
    ("text", targets::text),
    ("tokens", targets::tokens),
];

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let files = files(&corpus().join(name));
    assert!(!files.is_empty(), "{name} has no saved inputs");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        // Printed only if it fails, to identify the input.
        println!("{}", file.display());
        target(&bytes);
    }
}

#[test]
fn attack_list() {
    replay("attack_list");
}

#[test]
fn configuration() {
    replay("configuration");
}

#[test]
fn crowdsec() {
    replay("crowdsec");
}

#[test]
fn gzip() {
    replay("gzip");
}

#[test]
fn request() {
    replay("request");
}

#[test]
fn responses() {
    replay("responses");
}

#[test]
fn snapshot() {
    replay("snapshot");
}

#[test]
fn text() {
    replay("text");
}

#[test]
fn tokens() {
    replay("tokens");
}

#[test]
fn every_folder_has_a_target_and_the_corpus_stays_small() {
    let mut size = 0;
    for folder in files(&corpus()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(TARGETS.iter().any(|(known, _)| *known == name), "{name}");
        for file in files(&folder) {
            size += fs::metadata(file).unwrap().len();
        }
    }
    assert!(size < 1 << 20, "{size} bytes");
}
