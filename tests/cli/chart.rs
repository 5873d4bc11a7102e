//! The files of the Helm chart that come from elsewhere: copies of the examples, the schema of the configuration, the
//! version. `PORTCULLIS_BLESS=1` writes them.

use std::fs;

use serde_json::{Map, Value};

use crate::schema::schema;
use crate::support::repository;

const CHART: &str = "charts/portcullis";

/// The copies in `files/`, and their originals.
const COPIES: [(&str, &str); 8] = [
    ("envoy.yaml", "examples/kubernetes-sidecar/component"),
    ("deployment.yaml", "examples/kubernetes-sidecar/component"),
    ("service.yaml", "examples/kubernetes-sidecar/component"),
    ("filter.json", "examples/kubernetes-sidecar/component"),
    ("rules.yml", "examples/observability"),
    ("fleet-rules.yml", "examples/observability"),
    ("dashboard.json", "examples/observability"),
    ("prometheus.yml", "examples/observability"),
];

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails unless the file of the chart has this text, or writes it.
fn assert_generated(file: &str, text: &str) {
    let path = format!("{CHART}/{file}");
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        fs::write(repository().join(path), text).unwrap();
    } else {
        assert!(
            read(&path) == text,
            "{path} is old: PORTCULLIS_BLESS=1 cargo test -p portcullis-cli --test cli chart"
        );
    }
}

#[test]
fn the_copies_are_those_of_the_examples() {
    for (file, original) in COPIES {
        let text = read(&format!("{original}/{file}"));
        assert_generated(&format!("files/{file}"), &text);
    }
    let n_files = fs::read_dir(repository().join(CHART).join("files")).unwrap();
    assert_eq!(n_files.count(), COPIES.len());
}

/// The rest of the file is written by hand.
#[test]
fn the_schema_of_the_values_has_the_schema_of_the_configuration() {
    let mut values: Value =
        serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).unwrap();
    let mut configuration = schema();
    let root = configuration.as_object_mut().unwrap();
    let Some(Value::Object(mut others)) = root.remove("definitions") else {
        panic!("the schema has no definitions");
    };
    root.remove("$schema");
    let mut definitions = Map::new();
    definitions.insert("configuration".to_owned(), configuration);
    definitions.append(&mut others);
    values["definitions"] = Value::Object(definitions);
    let text = format!("{}\n", serde_json::to_string_pretty(&values).unwrap());
    assert_generated("values.schema.json", &text);
}

#[test]
fn the_versions_are_those_of_the_workspace() {
    let text: String = read(&format!("{CHART}/Chart.yaml"))
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((key @ ("version" | "appVersion"), _)) => {
                format!("{key}: {}\n", env!("CARGO_PKG_VERSION"))
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_generated("Chart.yaml", &text);
}

/// The image of the sidecar is the one that the example's test runs.
#[test]
fn the_sidecar_runs_the_envoy_of_the_example() {
    let kustomization = read("examples/kubernetes-sidecar/component/kustomization.yaml");
    let (_, envoy) = kustomization.split_once("  - name: envoy\n").unwrap();
    let value = |key: &str| {
        let line = envoy.lines().find_map(|line| line.trim().strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key}")).to_owned()
    };
    let image = format!("  image: {}:{}\n", value("newName: "), value("newTag: "));
    assert!(
        read(&format!("{CHART}/values.yaml")).contains(&image),
        "{image}"
    );
}
