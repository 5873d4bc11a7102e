//! Which values of a configuration are secret, and how they are shown.
//!
//! A text is shown only where the filter's loader knows its key, and the key holds no credential and no identifier of a
//! client except addresses. Everything else is shortened: a misspelt key must not show what it holds. Of a feed's path, the
//! query is hidden, which often has a key.

use portcullis::config::KNOWN_KEYS;
use serde_json::{Map, Value};

use crate::output::shorten;

/// The known keys whose texts are secret.
const SECRET_KEYS: [&str; 7] = [
    "access_key",
    "secret_key",
    "ase_token",
    "cookies",
    "oauth_tokens",
    "api_keys",
    "usernames",
];

/// The headers of a feed: their values are secret, the names of environment variables are not.
const FEED_HEADERS: &str = "feeds[].headers";

/// The path of a feed's list at its server.
const FEED_PATH: &str = "feeds[].path";

/// In paths, the name of a header of a feed: a header may be called `x.env`.
const ANY_HEADER: &str = "\0";

/// A configuration with its secrets shortened.
pub fn masked(configuration: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = configuration.clone();
    mask_object("", &mut shown);
    shown
}

/// Shortens the secrets of the value at `path`, which has `[]` for the index of a list.
pub fn mask(path: &str, value: &mut Value) {
    match value {
        Value::Object(object) => mask_object(path, object),
        Value::Array(values) => {
            let path = format!("{path}[]");
            values.iter_mut().for_each(|value| mask(&path, value));
        }
        Value::String(text) if path == FEED_PATH => {
            if let Some((start, _)) = text.split_once('?') {
                *text = format!("{start}?...");
            }
        }
        Value::String(text) if !is_shown(path) => *text = shorten(text, false),
        // A secret of digits.
        Value::Number(_) if is_of_secret_key(path) => *value = Value::from("..."),
        Value::Number(_) | Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn mask_object(path: &str, object: &mut Map<String, Value>) {
    for (key, value) in object {
        let path = match path {
            "" => key.clone(),
            FEED_HEADERS => format!("{path}.{ANY_HEADER}"),
            path => format!("{path}.{key}"),
        };
        mask(&path, value);
    }
}

fn is_shown(path: &str) -> bool {
    let of_header = path.strip_prefix(FEED_HEADERS);
    let of_header = of_header.and_then(|rest| rest.strip_prefix('.')?.strip_prefix(ANY_HEADER));
    if let Some(key) = of_header {
        return matches!(key, ".env" | ".password_env");
    }
    let path = path.trim_end_matches("[]");
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let section = match section {
        "feeds[].guard" => "guard",
        section => section,
    };
    let is_known = |(known, keys): &(&str, &[&str])| *known == section && keys.contains(&key);
    KNOWN_KEYS.iter().any(is_known) && !SECRET_KEYS.contains(&key)
}

fn is_of_secret_key(path: &str) -> bool {
    let mut keys = path.split(['.', '[', ']']);
    path.starts_with(FEED_HEADERS) || keys.any(|key| SECRET_KEYS.contains(&key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_shortened_and_nothing_else() {
        let configuration = json!({
            "enable_abs": true,
            "abs": {"cluster": "abs_cluster", "access_key": "SECRET-1", "secret_key": 123_456, "acess_key": "SECRET-2"},
            "traffic": {"ase_token": "SECRET-3", "headers": ["user-agent"]},
            "apis": [{"hostname": "shop.example.com", "cookie": ["JSESSIONID"]}],
            "guard": {"never_block": ["192.0.2.0/24"]},
            "feeds": [{
                "name": "tokens",
                "path": "/revoked/tokens?key=SECRET-12",
                "headers": {
                    "x-api-key": "SECRET-4",
                    "x.env": "SECRET-5",
                    "key": {"env": "LAPI_KEY"},
                    "basic": {"user": "SECRET-6", "password_env": "PASSWORD"},
                },
                "guard": {"never_block": ["198.51.100.0/24"]},
            }],
            "deny_list": {
                "ips": ["192.0.2.7"],
                "cookies": {"a.b": ["SECRET-7"], "S": "SECRET-8"},
                "oauth_tokens": ["SECRET-9"],
                "api_keys": {"x-api-key": ["SECRET-10"]},
                "usernames": ["SECRET-11", 12_345],
            },
        });
        let Value::Object(configuration) = configuration else {
            panic!("an object");
        };
        let shown = Value::Object(masked(&configuration)).to_string();
        for hidden in ["SECRET", "123456", "12345"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
        for visible in [
            "abs_cluster",
            "user-agent",
            "shop.example.com",
            "JSESSIONID",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "192.0.2.7",
            "\"/revoked/tokens?...\"",
            "LAPI_KEY",
            "\"PASSWORD\"",
        ] {
            assert!(shown.contains(visible), "{visible}: {shown}");
        }
    }
}
