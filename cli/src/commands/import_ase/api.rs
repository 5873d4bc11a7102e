//! An API JSON file of ASE as an element of `apis`, and what of it has no counterpart.

use serde_json::{Map, Value, json};

use super::remarks::Remarks;
use crate::error::{Failure, Result};

/// Where ASE runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As the proxy.
    Inline,
    /// Beside a gateway, which calls it.
    Sideband,
}

/// Keys that the filter takes over.
const TAKEN: [&str; 10] = [
    "url",
    "hostname",
    "cookie",
    "oauth2_access_token",
    "apikey_header",
    "apikey_qs",
    "enable_blocking",
    "username_header",
    "jwt",
    // The bound on ASE's own memory: the filter keeps nothing per API.
    "api_memory_size",
];

/// Other keys, and what takes their place where their value is not one of [`is_off`].
const OTHERS: [(&str, &str); 16] = [
    (
        "protocol",
        "Envoy's listeners and clusters have the protocol",
    ),
    (
        "login_url",
        "ABS's training; set it in ASE or ABS as long as one receives traffic",
    ),
    (
        "is_token_mandatory",
        "requests without a token: Envoy's jwt_authn",
    ),
    ("cookie_idle_timeout", "your servers end sessions"),
    ("logout_api_enabled", "your servers end sessions"),
    ("cookie_persistence_enabled", "Envoy's stateful sessions"),
    ("api_mapping", "Envoy's prefix_rewrite in the route"),
    (
        "api_pattern_enforcement",
        "allowed methods, types and protocols: Envoy's route matches or RBAC",
    ),
    (
        "flow_control",
        "Envoy's local_ratelimit and circuit_breakers",
    ),
    ("server_ssl", "the transport_socket of Envoy's cluster"),
    ("servers", "the endpoints of Envoy's cluster"),
    ("health_check", "health_checks of Envoy's cluster"),
    ("health_check_interval", "health_checks of Envoy's cluster"),
    ("health_retry_count", "health_checks of Envoy's cluster"),
    ("health_url", "health_checks of Envoy's cluster"),
    ("decoy_config", "decoy paths have no counterpart"),
];

/// The element of `apis`. The name of the file is the API's ID, as in ASE.
pub fn read(file: &str, metadata: &Value, mode: Mode, remarks: &mut Remarks) -> Result<Value> {
    check_types(file, metadata)?;
    let text = |key: &str| {
        metadata
            .get(key)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let flag = |key: &str| metadata.get(key) == Some(&Value::Bool(true));
    let list = |key: &str| text(key).into_iter().collect::<Vec<_>>();
    let name = file.rsplit('/').next().unwrap_or(file);
    let mut api = Map::new();
    let mut put = |key: &str, value: Value| api.insert(key.to_owned(), value);
    put("api_id", json!(name.strip_suffix(".json").unwrap_or(name)));
    put("hostname", json!(text("hostname").unwrap_or("*")));
    put("url", json!(text("url").unwrap_or("/")));
    put("enable_blocking", json!(flag("enable_blocking")));
    // An empty name means none to ASE; without the key every cookie would count.
    put("cookie", json!(list("cookie")));
    put("oauth2_access_token", json!(flag("oauth2_access_token")));
    put("apikey_header", json!(list("apikey_header")));
    put("apikey_qs", json!(list("apikey_qs")));
    let jwt = jwt(metadata);
    let username = match (text("username_header"), mode) {
        (Some(header), _) => Some(json!([{ "header": header }])),
        (None, Mode::Sideband) if jwt.is_none() => None,
        (None, _) => Some(json!([])),
    };
    match username {
        Some(username) => _ = put("username", username),
        None => remarks.add(
            file,
            "username",
            "the gateway names the user to ASE; here Basic authentication and the claim \"sub\" do (apis[].username)",
        ),
    }
    if let Some(jwt) = jwt {
        put("jwt", jwt);
    }
    if !flag("enable_blocking") {
        remarks.add(
            file,
            "enable_blocking",
            "false: no fetched list blocks here, but the blacklist does, as everywhere",
        );
    }
    for (key, value) in metadata.as_object().into_iter().flatten() {
        if TAKEN.contains(&key.as_str()) {
            continue;
        }
        match OTHERS.iter().find(|(known, _)| known == key) {
            None => remarks.add(file, key, "unknown key"),
            Some((_, reason)) if needs_remark(key, value, metadata) => {
                remarks.add(file, key, reason)
            }
            Some(_) => {}
        }
    }
    Ok(Value::Object(api))
}

/// Fails if a key that is taken over has another type than in ASE: as no value, it would exempt clients.
fn check_types(file: &str, metadata: &Value) -> Result<()> {
    for (key, value) in metadata.as_object().into_iter().flatten() {
        let (is_allowed, allowed) = match key.as_str() {
            "enable_blocking" | "oauth2_access_token" => (value.is_boolean(), "true or false"),
            "url" | "hostname" | "cookie" | "apikey_header" | "apikey_qs" | "username_header" => {
                (value.is_string(), "a string")
            }
            "jwt" => (value.is_object(), "an object"),
            _ => continue,
        };
        if !is_allowed && !value.is_null() {
            return Err(Failure::refused(format!(
                "{file}: {key}: found {value}; allowed: {allowed}"
            )));
        }
    }
    Ok(())
}

/// The object `jwt` without empty values; `None` if it names no claim.
fn jwt(metadata: &Value) -> Option<Value> {
    let jwt = metadata.get("jwt")?.as_object()?;
    let mut new = Map::new();
    for key in ["location", "username", "clientid"] {
        if let Some(text) = jwt.get(key).and_then(Value::as_str).map(str::trim)
            && !text.is_empty()
        {
            new.insert(key.to_owned(), json!(text));
        }
    }
    let names_claim = new.contains_key("username") || new.contains_key("clientid");
    names_claim.then_some(Value::Object(new))
}

/// Whether a key does something in ASE.
fn needs_remark(key: &str, value: &Value, metadata: &Value) -> bool {
    match key {
        // What every API has.
        "protocol" => false,
        "decoy_config" => value.get("decoy_enabled") == Some(&Value::Bool(true)),
        // They count only with health_check.
        "health_check_interval" | "health_retry_count" | "health_url" => {
            metadata.get("health_check") == Some(&Value::Bool(true))
        }
        _ => !is_off(value),
    }
}

/// Whether a value, or each value within, is how ASE writes "nothing".
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            // `0/second` is no limit.
            let text = text.trim();
            text.is_empty() || text.split('/').next() == Some("0")
        }
        Value::Array(values) => values.iter().all(is_off),
        Value::Object(object) => object.values().all(is_off),
    }
}
