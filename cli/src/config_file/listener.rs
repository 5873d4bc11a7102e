//! What the listener around the filter must do for it: reject header names with underscores.
//!
//! Reads Envoy's own configuration, from a file or from what a running Envoy dumps; edits nothing.

use serde_json::Value;

use super::locate::{self, DEFAULT_NAME};
use crate::document::Document;

/// A warning for each HTTP connection manager that has the filter and forwards header names with underscores.
pub fn warnings(values: &[Value], names: &[String]) -> Vec<String> {
    // A filter may be named in one place and configured in another (ECDS).
    let mut known = [names, &[DEFAULT_NAME.to_owned()]].concat();
    for location in locate::find(values) {
        if location.is_ours(names) {
            known.extend(location.names);
        }
    }
    let mut warnings = Vec::new();
    visit_all(values, &known, &mut warnings);
    warnings.sort();
    warnings.dedup();
    warnings
}

fn visit_all(values: &[Value], names: &[String], warnings: &mut Vec<String>) {
    for value in values {
        visit(value, names, warnings);
    }
}

fn visit(value: &Value, names: &[String], warnings: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if object.contains_key("http_filters")
                && has_filter(value, names)
                && forwards_underscores(value)
            {
                warnings.push(warning(value));
            }
            let is_config_map = object.get("kind").is_some_and(|kind| kind == "ConfigMap");
            for inner in object.values() {
                match (is_config_map, inner) {
                    (true, Value::Object(data)) => {
                        for text in data.values().filter_map(Value::as_str) {
                            if let Ok(document) = Document::parse(text) {
                                visit_all(document.values(), names, warnings);
                            }
                        }
                    }
                    // What Envoy dumps of a configuration that it refused is not active.
                    _ if object.get("error_state") == Some(inner) => {}
                    _ => visit(inner, names, warnings),
                }
            }
        }
        Value::Array(values) => visit_all(values, names, warnings),
        _ => {}
    }
}

fn has_filter(manager: &Value, names: &[String]) -> bool {
    let filters = manager.get("http_filters").and_then(Value::as_array);
    filters.into_iter().flatten().any(|filter| {
        let name = filter.get("name").and_then(Value::as_str);
        name.is_some_and(|name| names.iter().any(|known| known == name))
            || locate::find(std::slice::from_ref(filter))
                .iter()
                .any(|location| location.is_ours(names))
    })
}

/// Whether a header name with an underscore reaches the upstream.
fn forwards_underscores(manager: &Value) -> bool {
    let action = manager
        .pointer("/common_http_protocol_options/headers_with_underscores_action")
        .or_else(|| manager.pointer("/commonHttpProtocolOptions/headersWithUnderscoresAction"));
    match action {
        Some(Value::String(action)) => !matches!(action.as_str(), "REJECT_REQUEST" | "DROP_HEADER"),
        // The numbers of the two in the enumeration.
        Some(Value::Number(action)) => !matches!(action.as_u64(), Some(1 | 2)),
        _ => true,
    }
}

fn warning(manager: &Value) -> String {
    let name = manager
        .get("stat_prefix")
        .and_then(Value::as_str)
        .unwrap_or("unnamed");
    format!(
        "the HTTP connection manager \"{name}\" accepts header names with underscores, which some servers read as dashes \
         (x_api_key as x-api-key): set common_http_protocol_options: {{ headers_with_underscores_action: REJECT_REQUEST }}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manager(options: &Value, filters: &Value) -> Value {
        json!({"stat_prefix": "edge", "common_http_protocol_options": options, "http_filters": filters})
    }

    #[test]
    fn a_listener_with_the_filter_is_reported_where_underscores_are_forwarded() {
        let action = |action: Value| json!({"headers_with_underscores_action": action});
        let ours = json!([{"name": "portcullis", "config_discovery": {}}]);
        let inline = json!([{"name": "a", "typed_config": {"config": {"root_id": "mine", "vm_config": {}}}}]);
        let others = json!([{"name": "router"}]);
        let table = [
            (manager(&json!(null), &ours), 1),
            (manager(&json!({"idle_timeout": "1s"}), &ours), 1),
            (manager(&action(json!("ALLOW")), &ours), 1),
            (manager(&action(json!(0)), &ours), 1),
            (manager(&action(json!("REJECT_REQUEST")), &ours), 0),
            (manager(&action(json!("DROP_HEADER")), &ours), 0),
            (manager(&action(json!(1)), &ours), 0),
            (manager(&json!(null), &inline), 1),
            (manager(&json!(null), &others), 0),
        ];
        for (manager, expected) in table {
            let config_map =
                json!({"kind": "ConfigMap", "data": {"envoy.yaml": manager.to_string(), "x": "{"}});
            for value in [
                manager.clone(),
                json!([{"listeners": [manager.clone()]}]),
                config_map,
            ] {
                let warnings = warnings(&[value], &["mine".to_owned()]);
                assert_eq!(warnings.len(), expected, "{manager}: {warnings:?}");
            }
        }
    }

    #[test]
    fn a_filter_is_known_under_the_name_that_envoy_runs_it_with() {
        let dump = json!({"configs": [
            {"ecds_filters": [{"ecds_filter": {
                "name": "shop.portcullis",
                "typed_config": {"config": {"root_id": "portcullis", "vm_config": {}}}
            }}]},
            {"listener": manager(&json!(null), &json!([{"name": "shop.portcullis", "config_discovery": {}}]))}
        ]});
        assert_eq!(warnings(&[dump], &[]).len(), 1);
    }
}
