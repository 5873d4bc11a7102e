//! Pipes and devices where the server expects files, and files that are missing: nothing waits for them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::{Fleet, body, eventually, filter};

/// Replaces a file by a pipe that nobody writes to.
fn pipe(path: &Path) {
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The files are watched: a change is served.
fn is_watching(fleet: &Fleet, name: &str) {
    fleet.write(&format!("{name}.json"), &filter(&json!({})).to_string());
    eventually("the new filter", || {
        (fleet.discover("a", name, "").status() == 200).then_some(())
    });
}

#[test]
fn a_pipe_or_a_device_as_token_or_certificate_ends_the_start() {
    let fleet = Fleet::new();
    let path = fleet.path("pipe");
    pipe(&path);
    let path = path.display().to_string();
    for (file, kind) in [(path.as_str(), "a pipe"), ("/dev/null", "a device")] {
        for options in [
            &["--operator-token-file", file][..],
            &["--tls-certificate", file, "--tls-key", file],
        ] {
            let output = fleet.command().args(options).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{options:?}");
            let message = String::from_utf8(output.stderr).unwrap();
            let expected = format!("{file} can't be read: it is {kind}, and a regular file");
            assert!(message.contains(&expected), "{message}");
        }
    }
}

#[test]
fn a_pipe_that_replaces_a_file_stops_nothing() {
    let mut fleet = Fleet::new();
    let (token, state) = (fleet.path("token"), fleet.state.join("filters/old"));
    fs::write(&token, "operator-0123456789").unwrap();
    fleet.arguments = ["--operator-token-file", token.to_str().unwrap()]
        .map(str::to_owned)
        .to_vec();
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    pipe(&state);
    fleet.start();
    let log = fleet.log();
    assert!(
        log.contains("filters/old is not used: it is a pipe"),
        "{log}"
    );
    pipe(&token);
    eventually("the reason", || {
        fleet
            .log()
            .contains("token can't be read: it is a pipe")
            .then_some(())
    });
    is_watching(&fleet, "after");
    // A filter file too.
    pipe(&fleet.path("filters/piped.json"));
    eventually("the reason", || {
        fleet
            .log()
            .contains("piped.json can't be read: it is a pipe")
            .then_some(())
    });
    is_watching(&fleet, "last");
}

#[test]
fn a_missing_file_is_named() {
    let fleet = Fleet::started();
    let change = || {
        let flags = r#"{"enable_firewall": false}"#;
        let json = [("content-type", "application/json")];
        fleet.send("PATCH", "/v1/filters/portcullis/flags", &json, flags)
    };
    let error = || {
        let response = change();
        assert_eq!(response.status(), 422);
        body(&response)["error"].as_str().unwrap().to_owned()
    };
    fs::remove_file(fleet.path("filters/portcullis.json")).unwrap();
    let error = error();
    assert!(
        error.contains("portcullis.json does not exist; restore it"),
        "{error}"
    );
    // A client of the API has no such option.
    assert!(!error.contains("--config"), "{error}");
}
