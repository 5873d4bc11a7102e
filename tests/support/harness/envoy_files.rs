//! Envoy's files: the shipped bootstrap and filter of an artefact, with the scenario's addresses, paths and patches.

use super::artefact::Artefact;
use super::process::repository;
use super::services::Abs;
use super::setup::Setup;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;

/// The shipped bootstrap with free ports, the scenario's addresses and its own folder for filter.json.
pub fn render_bootstrap(setup: &Setup, directory: &Path, api: SocketAddr, abs: &Abs) -> String {
    let shipped = setup.artefact.bootstrap();
    let mut text = std::fs::read_to_string(repository().join(shipped)).unwrap();
    if setup.abs_over_tls.is_some() {
        text = take_tls_variant(&text);
    }
    let directory = directory.display();
    let mut replacements = vec![
        (
            "address: 127.0.0.1, port_value: 9901".to_owned(),
            "address: 127.0.0.1, port_value: 0".to_owned(),
        ),
        (
            // Both address families, so that a scenario can use either.
            "address: 127.0.0.1, port_value: 10000".to_owned(),
            "address: '::', ipv4_compat: true, port_value: 0".to_owned(),
        ),
        (
            "address: 127.0.0.1, port_value: 8000".to_owned(),
            format!("address: 127.0.0.1, port_value: {}", api.port()),
        ),
        (
            "address: 127.0.0.1, port_value: 8443".to_owned(),
            format!("address: 127.0.0.1, port_value: {}", abs.sideband.port()),
        ),
        (
            format!("path: {}", setup.artefact.filter_path()),
            format!("path: {directory}/filter.json"),
        ),
        (
            "watched_directory: { path: envoy }".to_owned(),
            format!("watched_directory: {{ path: {directory} }}"),
        ),
        (
            "xff_num_trusted_hops: 0".to_owned(),
            format!("xff_num_trusted_hops: {}", setup.trusted_hops),
        ),
    ];
    match &setup.abs_over_tls {
        None => replacements.push((
            "address: 127.0.0.1, port_value: 8080".to_owned(),
            format!(
                "address: 127.0.0.1, port_value: {}",
                setup.abs_at.unwrap_or(abs.address).port()
            ),
        )),
        Some(authority) => replacements.extend([
            (
                "address: abs.example.com, port_value: 8080".to_owned(),
                format!("address: 127.0.0.1, port_value: {}", abs.address.port()),
            ),
            (
                "/etc/ssl/certs/ca-certificates.crt".to_owned(),
                authority.display().to_string(),
            ),
        ]),
    }
    for (from, ours) in replacements {
        assert_eq!(
            text.matches(&from).count(),
            1,
            "{shipped} should contain `{from}` once"
        );
        text = text.replace(&from, &ours);
    }
    for (name, endpoint) in &setup.clusters {
        text = with_cluster(&text, name, *endpoint);
    }
    setup
        .bootstrap
        .iter()
        .fold(text, |text, change| change(text))
}

fn with_cluster(text: &str, name: &str, endpoint: SocketAddr) -> String {
    let (before, after) = text.split_once("\n  clusters:\n").unwrap();
    let (address, port) = (endpoint.ip(), endpoint.port());
    // JSON is YAML.
    let cluster = json!({
        "name": name,
        "connect_timeout": "2s",
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        ]}]}
    });
    format!("{before}\n  clusters:\n    - {cluster}\n{after}")
}

/// Replaces the plain cluster by the commented TLS variant, as the comment in the shipped file says.
fn take_tls_variant(text: &str) -> String {
    let (before, plain) = text
        .split_once("    # ABS; the filter names this cluster")
        .unwrap();
    let (_, variant) = plain.split_once("# -- TLS variant --\n").unwrap();
    let (variant, after) = variant
        .split_once("    # -- end of the TLS variant --\n")
        .unwrap();
    let variant: String = variant
        .lines()
        .map(|line| format!("    {}\n", line.strip_prefix("    # ").unwrap()))
        .collect();
    format!("{before}{variant}{after}")
}

/// The shipped filter with the scenario's changes, for an Envoy that has this directory.
pub fn filter(setup: &Setup, directory: &Path) -> Value {
    let mut filter = setup.artefact.filter();
    for patch in &setup.plugin {
        merge(plugin(&mut filter), patch);
    }
    let path = setup.module.clone();
    let path = path.unwrap_or_else(|| setup.artefact.module());
    setup.artefact.set_module(&mut filter, &path, directory);
    if let Some(policy) = setup.failure_policy {
        *filter
            .pointer_mut("/resources/0/typed_config/config/failure_policy")
            .unwrap() = policy.into();
    }
    // A native module reads Envoy's environment itself.
    if setup.artefact == Artefact::Wasm {
        let vm = filter.pointer_mut("/resources/0/typed_config/config/vm_config");
        let vm = vm.unwrap().as_object_mut().unwrap();
        if !setup.keys_in_vm {
            vm.remove("environment_variables").unwrap();
        }
        for (name, _) in &setup.variables {
            let names = &mut vm["environment_variables"]["host_env_keys"];
            names.as_array_mut().unwrap().push((*name).into());
        }
    }
    filter
}

/// The plugin configuration.
pub fn plugin(filter: &mut Value) -> &mut Value {
    let place = Artefact::of(filter).plugin();
    filter
        .pointer_mut(place)
        .expect("a filter file should have the plugin configuration")
}

/// The scenario's folder, in its bootstrap.
pub fn directory_in(bootstrap: &str) -> &Path {
    let (_, rest) = bootstrap
        .split_once("watched_directory: { path: ")
        .expect("a bootstrap should watch the scenario's folder");
    Path::new(rest.split(' ').next().unwrap())
}

/// Writes the file to another name and renames it, so that Envoy never reads a part of it.
pub fn put_in_place(directory: &Path, filter: &Value) {
    let new = directory.join("filter.json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(filter).unwrap()).unwrap();
    std::fs::rename(new, directory.join("filter.json")).unwrap();
}

/// JSON merge patch (RFC 7396).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
