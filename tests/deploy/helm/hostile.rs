//! Names that YAML reads as something else, and secrets where everybody could read them.

use super::{Release, all_of, values};
use crate::command::run;
use serde_json::{Value, json};

/// The names of the objects, of one kind if it is not empty.
fn names(printed: &str, kind: &str) -> Vec<String> {
    let lines = printed
        .lines()
        .filter_map(|line| line.strip_prefix("valid: "));
    let objects = lines.filter_map(|line| line.split_once(' '));
    let objects = objects.filter(|(found, _)| kind.is_empty() || *found == kind);
    objects.map(|(_, name)| name.to_owned()).collect()
}

/// Validates what a release renders with the published schemas; returns the validator's lines.
fn validated(values: &Value, name: &str, namespace: &str) -> String {
    let release = Release::new(values);
    let file = release.file("rendered.yaml");
    let text = release.template_as(name, namespace);
    std::fs::write(&file, text.unwrap_or_else(|error| panic!("{error}"))).unwrap();
    run(
        "node",
        &[
            "tests/deploy/validate-manifests.mjs",
            file.to_str().unwrap(),
        ],
    )
}

#[test]
fn names_that_look_like_numbers_stay_strings() {
    for platform in ["istio", "envoy-gateway", "sidecar"] {
        let mut values = all_of(platform);
        values["image"]["pullSecret"] = json!("123");
        values["credentials"] = json!({"existingSecret": "1e3"});
        values["server"]["tlsSecret"] = json!("1234");
        values["server"]["tokensSecret"] = json!("true");
        values["clusters"]["abs"] = json!({"host": "192.0", "port": 8080});
        validated(&values, "1234", "5678");
        values["fullnameOverride"] = json!("0x1f");
        assert!(names(&validated(&values, "null", "5678"), "").contains(&"0x1f".to_owned()));
    }
}

#[test]
fn the_names_of_services_are_labels_of_dns() {
    let longest = "a.b-".repeat(13);
    let longest = format!("{longest}c");
    assert_eq!(longest.len(), 53);
    for (release, expected) in [
        ("a.b", "a-b-portcullis-server"),
        (
            longest.as_str(),
            "a-b-a-b-a-b-a-b-a-b-a-b-a-b-a-b-a-b-a-b-a-b-a-b-a-server",
        ),
    ] {
        let printed = validated(&all_of("sidecar"), release, "shop");
        let services = names(&printed, "Service");
        assert!(services.iter().any(|name| name == expected), "{services:?}");
        assert!(services.iter().all(|name| name.len() <= 63), "{services:?}");
    }
}

#[test]
fn a_secret_outside_of_the_secret_is_refused() {
    for (change, pointer) in [
        (json!("key"), "/config/abs/access_key"),
        (json!("key"), "/config/abs/secret_key"),
        (
            json!({"portcullis": {"traffic": {"format": "sideband", "cluster": "ase", "ase_token": "key"}}}),
            "/server/filters",
        ),
    ] {
        let mut values: Value = values("sidecar");
        values["server"] =
            json!({"enabled": true, "tlsSecret": "tls", "tokensSecret": "tokens", "filters": {}});
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        values.pointer_mut(parent).unwrap()[last] = change;
        let error = Release::new(&values).template().unwrap_err();
        assert!(error.contains("would be readable in an object"), "{error}");
        assert!(!error.contains("\"key\""), "{error}");
    }
}
