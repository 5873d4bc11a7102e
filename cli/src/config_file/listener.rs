//! What the listener around the filter must do for it: reject header names with underscores, determine the client's address
//! itself, and exempt no request.
//!
//! Reads Envoy's own configuration, from a file or from what a running Envoy dumps; edits nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::locate::{self, DEFAULT_NAME};
use crate::document::Document;

/// Where listeners and routes exempt requests from the filter.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exemptions {
    /// The HTTP connection managers that have the filter, but disabled: only a route can enable it.
    pub managers: BTreeSet<String>,
    /// Whether a manager has the filter enabled.
    pub is_enabled: bool,
    /// How many routes, virtual hosts and weighted clusters disable the filter, or give it rules of their own.
    pub routes: usize,
}

impl Exemptions {
    /// Whether no HTTP connection manager has the filter.
    pub fn are_of_all(&self) -> bool {
        !self.is_enabled && self.managers.is_empty()
    }
}

/// Warnings for each HTTP connection manager that has the filter and forwards header names with underscores, or lets clients
/// choose their address.
pub fn warnings(values: &[Value], names: &[String]) -> Vec<String> {
    let known = known_names(values, names);
    let mut warnings = BTreeSet::new();
    visit_all(values, &mut |value| {
        if is_manager(value) && has_filter(value, &known) {
            let name = name_of(value);
            warnings.extend(forwards_underscores(value).then(|| underscores(name)));
            warnings.extend(trusts_any_address(value).then(|| forged_address(name)));
        }
    });
    warnings.into_iter().collect()
}

/// Where requests are exempted from the filter.
pub fn exemptions(values: &[Value], names: &[String]) -> Exemptions {
    let known = known_names(values, names);
    let mut found = Exemptions::default();
    visit_all(values, &mut |value| {
        let filters = filters(value).filter(|filter| is_filter(filter, &known));
        for filter in filters {
            if filter.get("disabled") == Some(&Value::Bool(true)) {
                found.managers.insert(name_of(value).to_owned());
            } else {
                found.is_enabled = true;
            }
        }
        let rules = value
            .get("typed_per_filter_config")
            .or_else(|| value.get("typedPerFilterConfig"))
            .and_then(Value::as_object);
        let is_ours = |name: &&String| known.contains(name);
        let ours = rules.map(|rules| rules.keys().filter(is_ours).count());
        found.routes = found.routes.saturating_add(ours.unwrap_or(0));
    });
    found
}

/// The names of the filter. It may be named in one place and configured in another (ECDS).
fn known_names(values: &[Value], names: &[String]) -> Vec<String> {
    let mut known = [names, &[DEFAULT_NAME.to_owned()]].concat();
    for location in locate::find(values) {
        if location.is_ours(names) {
            known.extend(location.names);
        }
    }
    known
}

fn visit_all(values: &[Value], seen: &mut dyn FnMut(&Value)) {
    for value in values {
        visit(value, seen);
    }
}

/// Calls `seen` for each object.
fn visit(value: &Value, seen: &mut dyn FnMut(&Value)) {
    match value {
        Value::Object(object) => {
            seen(value);
            let is_config_map = object.get("kind").is_some_and(|kind| kind == "ConfigMap");
            for inner in object.values() {
                match (is_config_map, inner) {
                    (true, Value::Object(data)) => {
                        for text in data.values().filter_map(Value::as_str) {
                            if let Ok(document) = Document::parse(text) {
                                visit_all(document.values(), seen);
                            }
                        }
                    }
                    // What Envoy dumps of a configuration that it refused is not active.
                    _ if object.get("error_state") == Some(inner) => {}
                    _ => visit(inner, seen),
                }
            }
        }
        Value::Array(values) => visit_all(values, seen),
        _ => {}
    }
}

fn is_manager(value: &Value) -> bool {
    value.get("http_filters").is_some() || value.get("httpFilters").is_some()
}

/// The filters of an HTTP connection manager; none of anything else.
fn filters(manager: &Value) -> impl Iterator<Item = &Value> {
    let filters = manager
        .get("http_filters")
        .or_else(|| manager.get("httpFilters"))
        .and_then(Value::as_array);
    filters.into_iter().flatten()
}

fn has_filter(manager: &Value, names: &[String]) -> bool {
    filters(manager).any(|filter| is_filter(filter, names))
}

/// Whether an element of `http_filters` is the filter: by its name, or by the configuration in it.
pub fn is_filter(filter: &Value, names: &[String]) -> bool {
    let name = filter.get("name").and_then(Value::as_str);
    name.is_some_and(|name| names.iter().any(|known| known == name))
        || locate::find(std::slice::from_ref(filter))
            .iter()
            .any(|location| location.is_ours(names))
}

/// Whether the client's address is the last one in `X-Forwarded-For`, which a client can send itself.
fn trusts_any_address(manager: &Value) -> bool {
    let of = |keys: [&str; 2]| keys.iter().find_map(|key| manager.get(*key));
    let uses_peer = of(["use_remote_address", "useRemoteAddress"]) == Some(&Value::Bool(true));
    let detects = of([
        "original_ip_detection_extensions",
        "originalIpDetectionExtensions",
    ])
    .and_then(Value::as_array)
    .is_some_and(|extensions| !extensions.is_empty());
    !uses_peer && !detects
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

fn name_of(manager: &Value) -> &str {
    let name = manager
        .get("stat_prefix")
        .or_else(|| manager.get("statPrefix"));
    name.and_then(Value::as_str).unwrap_or("unnamed")
}

fn underscores(name: &str) -> String {
    format!(
        "the HTTP connection manager \"{name}\" accepts header names with underscores, which some servers read as dashes \
         (x_api_key as x-api-key): set common_http_protocol_options: {{ headers_with_underscores_action: REJECT_REQUEST }}"
    )
}

fn forged_address(name: &str) -> String {
    format!(
        "the HTTP connection manager \"{name}\" takes the client's address from X-Forwarded-For, which a client that \
         connects to it can send itself: set use_remote_address: true, with xff_num_trusted_hops behind proxies, or \
         original_ip_detection_extensions"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manager(options: &Value, filters: &Value) -> Value {
        json!({"stat_prefix": "edge", "use_remote_address": true, "common_http_protocol_options": options,
            "http_filters": filters})
    }

    #[test]
    fn a_listener_is_reported_where_clients_can_forge_their_address() {
        let manager = |fields: Value| {
            let mut manager = fields;
            let action = json!({"headersWithUnderscoresAction": "REJECT_REQUEST"});
            manager["commonHttpProtocolOptions"] = action;
            manager["httpFilters"] = json!([{"name": "portcullis"}]);
            manager
        };
        let table = [
            (json!({"useRemoteAddress": true}), 0),
            (
                json!({"use_remote_address": true, "xff_num_trusted_hops": 2}),
                0,
            ),
            (json!({}), 1),
            (json!({"use_remote_address": null}), 1),
            (
                json!({"use_remote_address": false, "xff_num_trusted_hops": 1}),
                1,
            ),
            (json!({"original_ip_detection_extensions": []}), 1),
            (
                json!({"original_ip_detection_extensions": [{"name": "x"}]}),
                0,
            ),
            (json!({"originalIpDetectionExtensions": [{"name": "x"}]}), 0),
        ];
        for (fields, expected) in table {
            let found = warnings(&[manager(fields.clone())], &[]);
            assert_eq!(found.len(), expected, "{fields}: {found:?}");
        }
    }

    #[test]
    fn exemptions_are_those_of_the_filter() {
        let filter = |disabled: bool| json!([{"name": "portcullis", "disabled": disabled}]);
        let rules = |name: &str| json!({"routes": [{"typed_per_filter_config": {name: {}}}]});
        let table = [
            (manager(&json!(null), &filter(false)), (vec![], true, 0)),
            (
                manager(&json!(null), &filter(true)),
                (vec!["edge"], false, 0),
            ),
            (rules("portcullis"), (vec![], false, 1)),
            (rules("cors"), (vec![], false, 0)),
        ];
        for (value, (managers, is_enabled, routes)) in table {
            let expected = Exemptions {
                managers: managers.into_iter().map(str::to_owned).collect(),
                is_enabled,
                routes,
            };
            assert_eq!(exemptions(&[value], &[]), expected);
        }
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
