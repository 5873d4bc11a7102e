use serde_json::json;

use super::*;

fn plugin(name: &str, configuration: Value) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {"name": name, "root_id": "root", "vm_config": {}, "configuration": configuration},
        },
    })
}

fn structure(value: Value) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.Struct", "value": value})
}

fn text(value: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value})
}

/// The names and the configuration of each location.
fn found(value: Value) -> Vec<(String, Value)> {
    let values = [value];
    find(&values)
        .into_iter()
        .map(|location| {
            let configuration = match &location.form {
                Form::Unsupported(found) => json!(found),
                Form::Absent => json!("absent"),
                Form::Object => resolve(&values, &location).unwrap(),
            };
            (location.names.join(" "), configuration)
        })
        .collect()
}

#[test]
fn configurations_are_found_in_every_shape() {
    let on = json!({"enable_firewall": true});
    let ecds = json!({"resources": [plugin("p", structure(on.clone()))]});
    let bootstrap = json!({"static_resources": {"listeners": [{
        "name": "ingress",
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
            "http_filters": [plugin("p", text("{\"enable_firewall\": true}")), {"name": "router"}],
        }}]}],
    }]}});
    let wasm_plugin =
        json!({"kind": "WasmPlugin", "metadata": {"name": "p"}, "spec": {"pluginConfig": on}});
    let bare_wasm_plugin = json!({"kind": "WasmPlugin", "metadata": {"name": "p"}, "spec": {}});
    let named_wasm_plugin = json!({
        "kind": "WasmPlugin", "metadata": {"name": "m"}, "spec": {"pluginName": "p", "pluginConfig": on},
    });
    let gateway = json!({
        "kind": "EnvoyExtensionPolicy", "metadata": {"name": "m"},
        "spec": {"wasm": [{"name": "p", "rootID": "root", "config": on}]},
    });
    let config_map = json!({
        "kind": "ConfigMap", "metadata": {"name": "m"},
        "data": {"readme": "nothing here", "filter.json": ecds.to_string()},
    });
    let table = [
        (ecds, vec![("p root", on.clone())]),
        (bootstrap, vec![("hcm p root", on.clone())]),
        (wasm_plugin, vec![("p", on.clone())]),
        (bare_wasm_plugin, vec![("p", json!({}))]),
        (named_wasm_plugin, vec![("p m", on.clone())]),
        (gateway, vec![("p root", on.clone())]),
        (config_map, vec![("p root", on.clone())]),
        (
            plugin(
                "p",
                json!({"@type": "type.googleapis.com/google.protobuf.BytesValue"}),
            ),
            vec![("p root", json!("google.protobuf.BytesValue"))],
        ),
        (
            json!({"name": "p", "vm_config": {}}),
            vec![("p", json!("absent"))],
        ),
        (plugin("p", text("")), vec![("p root", json!({}))]),
        (json!({"resources": []}), vec![]),
        (json!({"enable_firewall": true}), vec![]),
    ];
    for (value, expected) in table {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(names, configuration)| (names.to_owned(), configuration))
            .collect();
        assert_eq!(found(value.clone()), expected, "{value}");
    }
}

#[test]
fn a_configuration_that_envoy_refused_is_none() {
    let refused = plugin("p", structure(json!({"enable_firewall": false})));
    let active = plugin("p", structure(json!({"enable_firewall": true})));
    let dump = json!({"ecds_filters": [
        {"ecds_filter": active, "error_state": {"failed_configuration": refused, "details": "no"}},
    ]});
    assert_eq!(
        found(dump),
        [("p root".to_owned(), json!({"enable_firewall": true}))]
    );
}
