//! `release/assemble` and `release/check` with stand-ins for what takes minutes to build: a release is complete and the same
//! each time, and a wrong one is found.

use crate::command::run;
use crate::harness::process::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The head of a 64-bit ELF file without program headers, with the machine's number.
fn elf(machine: u8) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[18] = machine;
    head
}

/// What `release/build` writes, in small.
fn built(root: &Path) -> PathBuf {
    let built = root.join("built");
    for (machine, number) in [("x86_64", 62), ("aarch64", 183)] {
        let directory = built.join(machine);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("portcullis.wasm"), b"\0asm").unwrap();
        for program in [
            "libportcullis.so",
            "portcullis",
            "abs-simulator",
            "sample-api",
            "cp",
        ] {
            let mut content = elf(number);
            content.extend(program.as_bytes());
            fs::write(directory.join(program), content).unwrap();
        }
    }
    built
}

fn assemble(dist: &Path, built: &Path) {
    let script = repository().join("release/assemble");
    run(
        script.to_str().unwrap(),
        &[dist.to_str().unwrap(), built.to_str().unwrap()],
    );
}

fn check(dist: &Path) -> Output {
    let mut check = Command::new(repository().join("release/check"));
    check.arg(dist).current_dir(repository()).output().unwrap()
}

#[test]
fn a_release_is_complete_and_the_same_each_time_and_a_wrong_one_is_found() {
    let root = TempDir::new().unwrap();
    let [dist, again] = ["dist", "again"].map(|name| root.path().join(name));
    let built = built(root.path());
    assemble(&dist, &built);
    assemble(&again, &built);

    let result = check(&dist);
    assert!(
        result.status.success(),
        "{}",
        String::from_utf8_lossy(&result.stderr)
    );
    let sums = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(again.join("SHA256SUMS")).unwrap());
    run(
        "bash",
        &[
            "-c",
            &format!(
                "cd '{}' && sha256sum --quiet --check SHA256SUMS",
                dist.display()
            ),
        ],
    );

    // Each of these is a mistake that the check names; the others stay right.
    let spoil = |file: &str, content: &[u8], message: &str| {
        let path = dist.join(file);
        let original = fs::read(&path).ok();
        fs::write(&path, content).unwrap();
        let result = check(&dist);
        let stderr = String::from_utf8_lossy(&result.stderr);
        assert!(
            !result.status.success() && stderr.contains(message),
            "{file}: {stderr}"
        );
        match original {
            Some(original) => fs::write(&path, original).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
    };
    spoil("notes.md", b"", "notes.md does not belong to a release");
    spoil(
        "LICENSE",
        b"",
        "LICENSE is not the file that SHA256SUMS lists",
    );
    spoil(
        "SHA256SUMS",
        sums.replace("  IMAGES\n", "  IMAGE\n").as_bytes(),
        "SHA256SUMS does not list IMAGES",
    );
    spoil(
        "portcullis-linux-aarch64",
        &elf(62),
        "portcullis-linux-aarch64 is not for aarch64",
    );
    let other = fs::read(dist.join("sample-api-image.tar")).unwrap();
    spoil(
        "abs-simulator-image.tar",
        &other,
        "IMAGES does not list abs-simulator-image.tar",
    );
    let mut dynamic = elf(62);
    // One program header, an interpreter's.
    dynamic[32] = 64;
    dynamic[54] = 4;
    dynamic[56] = 1;
    dynamic.extend([3, 0, 0, 0]);
    spoil(
        "portcullis-linux-x86_64",
        &dynamic,
        "portcullis-linux-x86_64 is not static",
    );
    let path = format!("{}/src/lib.rs", repository().display());
    spoil(
        "portcullis.wasm",
        path.as_bytes(),
        "names a path of the machine that built it",
    );
    assert!(check(&dist).status.success());
    fs::remove_file(dist.join("portcullis.wasm.cdx.json")).unwrap();
    assert!(!check(&dist).status.success());
}

#[test]
fn the_notes_are_the_changelogs_and_a_wrong_tag_is_refused() {
    let notes = repository().join("release/notes");
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));
    let printed = run(notes.to_str().unwrap(), &[&tag]);
    assert!(printed.contains("What operators must do"), "{printed}");
    assert!(!printed.contains("\n## "), "{printed}");

    let wrong = Command::new(notes).arg("v0.0.1").output().unwrap();
    assert!(!wrong.status.success());
}

/// A build runs the scripts of every dependency.
#[test]
fn the_build_of_a_release_does_not_see_the_token() {
    let workflow = fs::read_to_string(repository().join(".github/workflows/release.yml")).unwrap();
    let (before, after) = workflow.split_once("make release-reproducible").unwrap();
    assert!(!before.contains("github.token"), "{before}");
    let build = after.split("\n      - ").next().unwrap();
    assert!(!build.contains("github.token"), "{build}");
    assert_eq!(after.matches("github.token").count(), 2);
}
