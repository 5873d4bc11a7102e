//! The README's installation: its commands, unchanged except for the directories, with the files of a release, into an
//! Envoy that runs without the filter.

use crate::command::blocks;
use crate::harness::client::Request;
use crate::harness::process::{artefact, repository};
use crate::harness::{self, eventually};
use crate::proxy::Proxy;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The address that the README blocks.
const CLIENT: &str = "192.0.2.7";

/// The directories that the commands write to. The test has its own.
const DIRECTORIES: [&str; 2] = ["/etc/envoy", "/usr/local/bin"];

#[test]
fn at_most_five_commands_of_the_readme_add_the_filter_to_an_existing_envoy() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Install it\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let [install, block]: [String; 2] = blocks(section, "sh").try_into().unwrap();
    let n_commands = install.lines().count();
    assert!(n_commands <= 5, "{n_commands} commands:\n{install}");

    let machine = TempDir::new().unwrap();
    for directory in DIRECTORIES {
        std::fs::create_dir_all(inside(machine.path(), directory)).unwrap();
    }
    let bootstrap = inside(machine.path(), "/etc/envoy/envoy.yaml");
    let before = repository().join("tests/deploy/fixtures/existing.yaml");
    std::fs::copy(&before, &bootstrap).unwrap();
    release(&machine.path().join("dist"));

    harness::run(async {
        let arguments = [
            "-c",
            &bootstrap,
            "--concurrency",
            "4",
            "--disable-hot-restart",
        ];
        let from = |proxy: &Proxy, address: &str| {
            proxy.get("shop", "/").header("x-forwarded-for", address)
        };
        let old = Proxy::start(&arguments, ["", ""]).await;
        assert_eq!(from(&old, CLIENT).send().await.status, 200);

        commands(machine.path(), &install);
        assert!(machine.path().join("restarted").exists());
        drop(old);
        let proxy = Proxy::start(&arguments, ["", ""]).await;
        assert_eq!(from(&proxy, CLIENT).send().await.status, 200);

        commands(machine.path(), &block);
        becomes_denied(&from(&proxy, CLIENT)).await;
        assert_eq!(from(&proxy, "192.0.2.8").send().await.status, 200);
    });

    // Everything else in the bootstrap stays as written.
    let after = std::fs::read_to_string(&bootstrap).unwrap();
    let mut after = after.lines();
    for line in std::fs::read_to_string(before).unwrap().lines() {
        assert!(after.any(|it| it == line), "changed: {line}");
    }
}

/// Waits until every worker denies a request.
async fn becomes_denied(request: &Request) {
    eventually("the client is denied", async || {
        for _ in 0..64 {
            let reply = request.send().await;
            if (reply.status, &*reply.body) != (403, "Error: Unauthorized") {
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// The files of a release that the commands need, as `make release` lays them out, with the checksums of others too.
fn release(dist: &Path) {
    std::fs::create_dir(dist).unwrap();
    let module = artefact("PORTCULLIS_WASM", "target/portcullis.wasm", "make module");
    let tool = artefact("PORTCULLIS_BIN", "target/release/portcullis", "make cli");
    std::fs::copy(module, dist.join("portcullis.wasm")).unwrap();
    std::fs::copy(tool, dist.join("portcullis-linux-x86_64")).unwrap();
    let sums = Command::new("sh")
        .args(["-c", "sha256sum * > SHA256SUMS"])
        .current_dir(dist)
        .status()
        .unwrap();
    assert!(sums.success());
    let file = dist.join("SHA256SUMS");
    let sums = std::fs::read_to_string(&file).unwrap();
    let not_downloaded = format!("{}  libportcullis.so\n", "0".repeat(64));
    std::fs::write(&file, sums + &not_downloaded).unwrap();
}

/// A path below the test's directory.
fn inside(machine: &Path, path: &str) -> String {
    format!("{}{path}", machine.display())
}

/// Runs commands in the directory of the release.
fn commands(machine: &Path, commands: &str) {
    let commands = DIRECTORIES
        .iter()
        .fold(commands.to_owned(), |text, directory| {
            text.replace(directory, &inside(machine, directory))
        });
    let stubs = repository().join("tests/deploy/bin");
    let search = format!(
        "{}:{}:{}",
        inside(machine, "/usr/local/bin"),
        stubs.display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .env("PATH", search)
        .env("RESTARTED", machine.join("restarted"))
        .current_dir(machine.join("dist"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{commands}\n{output:?}");
}
