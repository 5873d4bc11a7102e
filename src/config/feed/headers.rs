//! The headers of a feed's calls: typed, from the environment, or HTTP Basic credentials. Shows no value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::config::credential::{Environment, Secret};
use crate::config::error::Problem;
use crate::config::section::Section;
use crate::config::tree::Value;
use crate::config::value;
use crate::config::warning::Notice;
use crate::identifier::listed::trimmed;

const HEADER_KEYS: &[&str] = &["env"];
const BASIC_KEYS: &[&str] = &["user", "password_env"];

/// Reads `headers`: header names with values. A value is a string or `{"env": "NAME"}`; `basic` is `{"user",
/// "password_env"}` for HTTP Basic authentication (RFC 7617). Without an `environment`, variables are not looked up.
pub(super) fn read_headers(
    section: &Section<'_>,
    environment: Option<Environment<'_>>,
) -> Vec<(String, Secret)> {
    let typed = section.map(
        "headers",
        "an object from header name to value, such as {\"x-api-key\": {\"env\": \"LIST_KEY\"}}",
    );
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (typed_name, value) in typed.entries() {
        let is_object = matches!(value, Value::Object(_));
        let (name, secret) = match (typed_name.as_str(), is_object) {
            ("basic", true) => ("authorization".to_owned(), read_basic(&typed, environment)),
            _ => {
                let Some(name) = typed.accepted(typed_name, value::header_name(typed_name)) else {
                    continue;
                };
                (name, read_value(&typed, typed_name, is_object, environment))
            }
        };
        if matches!(
            name.as_str(),
            "content-length" | "transfer-encoding" | "host"
        ) {
            let allowed = "any other header: Envoy sets this one";
            typed.reject(typed_name, Problem::invalid_text(&name, allowed));
        } else if headers.iter().any(|(other, _)| *other == name) {
            typed.reject(typed_name, Problem::DuplicateKey);
        } else if let Some(secret) = secret {
            headers.push((name, Secret::new(secret)));
        }
    }
    headers
}

fn read_value(
    headers: &Section<'_>,
    name: &str,
    is_object: bool,
    environment: Option<Environment<'_>>,
) -> Option<String> {
    if is_object {
        let section = headers.section(name, HEADER_KEYS);
        return read_variable(&section, "env", environment);
    }
    let allowed = "a string, or {\"env\": \"NAME\"} for the value of an environment variable";
    headers.text(name, allowed, value::header_value)
}

fn read_basic(headers: &Section<'_>, environment: Option<Environment<'_>>) -> Option<String> {
    let section = headers.section("basic", BASIC_KEYS);
    let allowed = "a user name without a colon";
    let user = section.text("user", allowed, |text| {
        let user = value::header_value(text)?;
        match user.contains(':') {
            true => Err(Problem::invalid("a name with a colon", allowed)),
            false => Ok(user),
        }
    });
    let password = read_variable(&section, "password_env", environment);
    let credentials = format!("{}:{}", user?, password?);
    Some(format!("Basic {}", BASE64.encode(credentials)))
}

/// The value of the environment variable that `key` names.
fn read_variable(
    section: &Section<'_>,
    key: &str,
    environment: Option<Environment<'_>>,
) -> Option<String> {
    let allowed = "the name of an environment variable, such as \"LIST_KEY\"";
    if !section.has(key) && !section.is_broken() {
        let needed = "name the environment variable that has the value";
        section.reject(key, Problem::Missing { needed });
    }
    let variable = section.text(key, allowed, value::variable_name)?;
    let text = environment?(&variable).unwrap_or_default();
    match value::header_value(trimmed(&text)) {
        Ok(value) if !value.is_empty() => Some(value),
        _ => {
            // The environment is not part of the configuration: the filter runs, and the log and the metrics report that
            // the calls fail without the header.
            let notice = Notice::UnusableVariable {
                variable,
                found: "nothing that a header can carry".into(),
                allowed: "a value without line breaks; give it to Envoy's VM (environment_variables)",
            };
            section.report().warning(section.path_of(key), notice);
            None
        }
    }
}
