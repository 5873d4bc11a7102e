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

fn native(name: &str, configuration: Value) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": NATIVE,
            "dynamic_module_config": {"name": "libs", "do_not_close": true},
            "filter_name": "root",
            "filter_config": configuration,
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
                Form::Absent(key) => json!(key),
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
        "spec": {
            "wasm": [{"name": "p", "rootID": "root", "config": on}],
            "dynamicModule": [{"name": "n", "filterName": "root", "config": on}, {"name": "bare"}],
        },
    });
    let in_a_chain = json!({"typed_config": {"default_filter_chain": {"filters": [
        plugin("p", structure(json!({}))), native("n", structure(on.clone())),
    ]}}});
    let by_shape = json!({"dynamicModuleConfig": {}, "filterName": "p", "filterConfig": structure(on.clone())});
    let of_a_route = json!({
        "@type": format!("{NATIVE}PerRoute"), "dynamic_module_config": {}, "per_route_config_name": "p",
        "filter_config": structure(on.clone()),
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
        (
            gateway,
            vec![
                ("p root", on.clone()),
                ("n root", on.clone()),
                ("bare", json!({})),
            ],
        ),
        (
            json!({"resources": [native("p", structure(on.clone()))]}),
            vec![("p root", on.clone())],
        ),
        (
            native("p", text("{\"enable_firewall\": true}")),
            vec![("p root", on.clone())],
        ),
        (
            in_a_chain,
            vec![("p root", json!({})), ("n root", on.clone())],
        ),
        (by_shape, vec![("p", on.clone())]),
        (of_a_route, vec![]),
        (
            native(
                "p",
                json!({"@type": "type.googleapis.com/google.protobuf.BytesValue"}),
            ),
            vec![("p root", json!("google.protobuf.BytesValue"))],
        ),
        (
            native("p", json!(null)),
            vec![("p root", json!("filter_config"))],
        ),
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
            vec![("p", json!("configuration"))],
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

#[test]
fn each_object_of_kubernetes_has_its_namespace() {
    let wasm_plugin = |metadata: Value| json!({"kind": "WasmPlugin", "metadata": metadata});
    let [here, there] = [json!({"namespace": "here"}), json!({"namespace": "there"})];
    let ecds = json!({"resources": [plugin("p", structure(json!({})))]});
    let config_map = |data: &Value| json!({"kind": "ConfigMap", "metadata": here, "data": {"f": data.to_string()}});
    let list = |kind: &str| {
        let items = [wasm_plugin(here.clone()), wasm_plugin(json!({"name": "p"}))];
        json!({"kind": kind, "metadata": there, "items": items})
    };
    let table = [
        (wasm_plugin(here.clone()), vec![Some("here")]),
        (wasm_plugin(json!({"name": "p"})), vec![Some("default")]),
        (list("List"), vec![Some("here"), Some("default")]),
        (list("WasmPluginList"), vec![Some("here"), Some("default")]),
        (config_map(&ecds), vec![Some("here")]),
        (config_map(&wasm_plugin(there.clone())), vec![Some("here")]),
        (
            json!([{"kind": "EnvoyFilter", "metadata": here, "spec": ecds.clone()}, ecds.clone()]),
            vec![Some("here"), None],
        ),
        (ecds, vec![None]),
    ];
    for (value, expected) in table {
        let found = find(std::slice::from_ref(&value));
        let namespaces: Vec<_> = found.iter().map(|one| one.namespace.as_deref()).collect();
        assert_eq!(namespaces, expected, "{value}");
    }
}

#[test]
fn what_kubernetes_adds_to_an_object_is_no_configuration() {
    let applied =
        json!({"kind": "WasmPlugin", "spec": {"pluginConfig": {"enable_firewall": false}}});
    let object = json!({
        "kind": "WasmPlugin",
        "metadata": {
            "name": "p",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string()},
            "managedFields": [{"fieldsV1": {"f:spec": {"f:pluginConfig": {"f:enable_firewall": {}}}}}],
        },
        "spec": {"pluginConfig": {"enable_firewall": true}},
        "status": {"conditions": [applied]},
    });
    let of_object = ("p".to_owned(), json!({"enable_firewall": true}));
    assert_eq!(found(object.clone()), vec![of_object.clone()]);
    let mut config_map = object.clone();
    config_map["kind"] = json!("ConfigMap");
    assert_eq!(found(config_map.clone()), []);
    config_map["data"] = json!({"plugin.yaml": object.to_string()});
    assert_eq!(
        found(json!({"kind": "List", "items": [config_map]})),
        [of_object]
    );
}

#[test]
fn the_filter_around_a_configuration_is_found_in_each_form() {
    let on = json!({"enable_firewall": true});
    for filter in [
        plugin("p", structure(on.clone())),
        plugin("p", text("{}")),
        native("p", structure(on.clone())),
        native("p", text("{}")),
    ] {
        let file = json!({"resources": [filter]});
        let config_map = json!({"kind": "ConfigMap", "data": {"filter.json": file.to_string()}});
        for value in [file, config_map] {
            let found = find(std::slice::from_ref(&value));
            let around = typed_config(&value.to_string(), &found[0].path);
            assert_eq!(around.as_ref(), Some(&filter["typed_config"]), "{value}");
        }
    }
    let unknown =
        json!({"dynamic_module_config": {}, "filter_name": "p", "filter_config": structure(on)});
    let found = find(std::slice::from_ref(&unknown));
    assert_eq!(typed_config(&unknown.to_string(), &found[0].path), None);
}
