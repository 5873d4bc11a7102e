//! What else configures the native module in a file of Envoy: the rules of routes, and the bootstrap extension.
//!
//! The library defines what a configuration means. Edits nothing.

use std::fmt::Write as _;

use portcullis::config::{ConfigError, ProcessConfig, Route};
use serde_json::Value;

use super::locate::DEFAULT_NAME;

/// The type of a route's rules.
const OF_ROUTE: &str =
    "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute";
/// The type of the bootstrap extension.
const OF_PROCESS: &str =
    "envoy.extensions.bootstrap.dynamic_modules.v3.DynamicModuleBootstrapExtension";

/// The errors in these configurations, each with its path from the root of the file.
pub fn errors(values: &[Value]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for value in values {
        visit(value, &mut Vec::new(), &mut errors);
    }
    errors
}

/// A step from a value into it.
enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

fn visit<'v>(value: &'v Value, path: &mut Vec<Step<'v>>, errors: &mut Vec<ConfigError>) {
    match value {
        Value::Object(object) => {
            check(value, path, errors);
            for (key, inner) in object {
                path.push(Step::Key(key));
                visit(inner, path, errors);
                path.pop();
            }
        }
        Value::Array(values) => {
            for (index, inner) in values.iter().enumerate() {
                path.push(Step::Index(index));
                visit(inner, path, errors);
                path.pop();
            }
        }
        _ => {}
    }
}

/// The path as an operator reads it: `routes[0].typed_config`.
fn text_of(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => _ = write!(text, ".{key}"),
            Step::Index(index) => _ = write!(text, "[{index}]"),
        }
    }
    text
}

/// Checks a value that may be one of the two messages.
fn check(value: &Value, path: &[Step<'_>], errors: &mut Vec<ConfigError>) {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let message = text("@type").and_then(|message| message.rsplit('/').next());
    // A route's name has another key up to Envoy 1.39.
    let (names, key) = match message {
        Some(OF_ROUTE) => (["filter_name", "per_route_config_name"], "filter_config"),
        Some(OF_PROCESS) => (["extension_name"; 2], "extension_config"),
        _ => return,
    };
    if !names.iter().any(|name| text(name) == Some(DEFAULT_NAME)) {
        return;
    }
    let configuration = match value.get(key).and_then(|any| any.get("value")) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => return,
    };
    let result = match message {
        Some(OF_ROUTE) => Route::parse(configuration.as_bytes()).map(drop),
        _ => ProcessConfig::parse(configuration.as_bytes()).map(drop),
    };
    for error in result.err().into_iter().flatten() {
        let below = match error.path.as_str() {
            "" => String::new(),
            inner => format!(".{inner}"),
        };
        let path = match text_of(path).as_str() {
            "" => format!("{key}.value{below}"),
            path => format!("{path}.{key}.value{below}"),
        };
        errors.push(ConfigError { path, ..error });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(name: &str, fields: Value) -> Value {
        let mut message = fields;
        message["@type"] = json!(format!("type.googleapis.com/{name}"));
        message
    }

    #[test]
    fn rules_of_routes_and_the_bootstrap_extension_are_checked() {
        let of_route = |name: &str, value: Value| {
            let config = json!({"value": value});
            let fields = json!({name: "portcullis", "filter_config": config});
            json!({"routes": [{"typed_per_filter_config": {"portcullis": message(OF_ROUTE, fields)}}]})
        };
        let of_process = |name: &str, value: Value| {
            let fields = json!({"extension_name": name, "extension_config": {"value": value}});
            json!({"bootstrap_extensions": [{"typed_config": message(OF_PROCESS, fields)}]})
        };
        let route = "routes[0].typed_per_filter_config.portcullis.filter_config.value.mode";
        let process =
            "bootstrap_extensions[0].typed_config.extension_config.value.wait_for_first_list";
        let table = [
            (of_route("filter_name", json!({"mode": "shadow"})), vec![]),
            (
                of_route("filter_name", json!({"mode": "dark"})),
                vec![route],
            ),
            (
                of_route("per_route_config_name", json!("{\"mode\": 1}")),
                vec![route],
            ),
            (of_route("another", json!({"mode": "dark"})), vec![]),
            (
                of_process("portcullis", json!({"wait_for_first_list": "30s"})),
                vec![],
            ),
            (
                of_process("portcullis", json!({"wait_for_first_list": 30})),
                vec![process],
            ),
            (
                of_process("waf", json!({"wait_for_first_list": 30})),
                vec![],
            ),
        ];
        for (file, expected) in table {
            let found = errors(std::slice::from_ref(&file));
            let paths: Vec<_> = found.iter().map(|error| error.path.as_str()).collect();
            assert_eq!(paths, expected, "{file}");
        }
    }
}
