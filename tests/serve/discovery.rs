//! Configurations: what a node gets, and what becomes of a file that is not valid.

use serde_json::json;

use crate::support::{Fleet, body, eventually, filter};

#[test]
fn a_node_gets_the_filter_once_and_each_valid_change_once() {
    let fleet = Fleet::started();
    let first = fleet.discover("a", "portcullis", "");
    assert_eq!(first.status(), 200);
    let first = body(&first);
    let version = first["version_info"].as_str().unwrap();
    assert_eq!(fleet.discover("a", "portcullis", version).status(), 304);
    fleet.write(
        "portcullis.json",
        &filter(&json!({"enable_firewall": false})).to_string(),
    );
    let second = eventually("a new version", || {
        let response = fleet.discover("a", "portcullis", version);
        (response.status() == 200).then(|| body(&response))
    });
    assert_eq!(
        second.pointer("/resources/0/typed_config/config/configuration/value"),
        Some(&json!({"enable_firewall": false}))
    );
}

#[test]
fn an_invalid_file_changes_nothing_also_after_kill_9() {
    let mut fleet = Fleet::started();
    let valid = body(&fleet.discover("a", "portcullis", ""));
    let invalid = filter(&json!({"enable_firewall": "no", "enable_abs": 3})).to_string();
    fleet.write("portcullis.json", &invalid);
    eventually("both errors in the log", || {
        let log = fleet.log();
        (log.contains("enable_firewall") && log.contains("enable_abs")).then_some(())
    });
    assert_eq!(body(&fleet.discover("a", "portcullis", "")), valid);
    fleet.kill();
    fleet.start();
    assert_eq!(body(&fleet.discover("a", "portcullis", "")), valid);
}

#[test]
fn two_servers_over_the_same_files_give_the_same_versions() {
    let one = Fleet::started();
    let other = Fleet::started();
    assert_eq!(
        body(&one.discover("a", "portcullis", "")),
        body(&other.discover("b", "portcullis", ""))
    );
}

#[test]
fn an_unknown_filter_is_an_error_that_names_the_known_ones() {
    let fleet = Fleet::started();
    let response = fleet.discover("a", "portculis", "");
    assert_eq!(response.status(), 404);
    let message = body(&response)["error"].as_str().unwrap().to_owned();
    assert!(message.contains("portculis") && message.contains("portcullis"));
}

#[test]
fn a_repeated_name_repeats_no_resource() {
    let fleet = Fleet::started();
    let request = json!({"node": {"id": "a"}, "resource_names": vec!["portcullis"; 15_000]});
    let response = fleet.send(
        "POST",
        "/v3/discovery:extension_configs",
        &[],
        request.to_string(),
    );
    assert_eq!(response.status(), 200);
    assert_eq!(body(&response)["resources"].as_array().unwrap().len(), 1);
    let once = body(&fleet.discover("a", "portcullis", ""));
    assert_eq!(body(&response)["version_info"], once["version_info"]);
}
