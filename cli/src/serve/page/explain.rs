//! "Is this client blocked, and why": reads the form, and asks the management API, which runs the filter's own code.

use portcullis::identifier::parse_address;
use serde::Deserialize;
use serde_json::Value;

use super::actions::message;
use super::view::{ExplainForm, Explained};
use crate::output::Report;
use crate::serve::Server;
use crate::serve::management::explain::{ExplainBody, judge};

/// The form as it is sent.
#[derive(Debug, Deserialize)]
pub struct ExplainRequest {
    /// The filter.
    pub filter: String,
    /// The client's address.
    #[serde(default)]
    pub address: String,
    /// The URL.
    #[serde(default)]
    pub url: String,
    /// One header per line.
    #[serde(default)]
    pub headers: String,
}

/// The form with its result, or with what is wrong at its fields.
pub fn explain(server: &Server, request: &ExplainRequest) -> ExplainForm {
    let mut form = ExplainForm {
        filter: request.filter.clone(),
        address: request.address.trim().to_owned(),
        url: request.url.trim().to_owned(),
        ..ExplainForm::default()
    };
    if !form.address.is_empty() && parse_address(&form.address).is_none() {
        form.address_error = Some(
            "This is not an address; allowed are such as 192.0.2.1 and 2001:db8::1.".to_owned(),
        );
    }
    let is_url = form.url.starts_with('/')
        || ["http://", "https://"].iter().any(|scheme| {
            let rest = form.url.strip_prefix(scheme);
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
        });
    if !form.url.is_empty() && !is_url {
        form.url_error = Some(
            "This is not a URL; allowed are such as https://api.example.com/shop?x=1 and /shop?x=1."
                .to_owned(),
        );
    }
    let headers = request.headers.lines().map(str::trim);
    let headers: Vec<String> = headers
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    let is_header = |line: &String| {
        let header = line.split_once(':');
        header.is_some_and(|(name, _)| !name.trim().is_empty())
    };
    if let Some(at) = headers.iter().position(|line| !is_header(line)) {
        form.headers_error = Some(format!(
            "Header {} has no name or no colon; a header is NAME: VALUE.",
            at.saturating_add(1)
        ));
    }
    if !form.has_errors() {
        match run(server, &form, headers) {
            Ok(report) => form.result = Some(result(&report)),
            Err(error) => form.error = Some(error),
        }
    }
    form
}

fn run(server: &Server, form: &ExplainForm, headers: Vec<String>) -> Result<Report, String> {
    let question = ExplainBody {
        filter: Some(form.filter.clone()),
        ip: Some(form.address.clone()),
        headers,
        url: match form.url.is_empty() {
            true => "/".to_owned(),
            false => form.url.clone(),
        },
    };
    judge(server, &question)
        .map(|(_, report)| report)
        .map_err(|problem| message(&problem))
}

/// What is shown of a report.
fn result(report: &Report) -> Explained {
    let json = &report.json;
    let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_blocked = json.get("reply").is_some_and(|reply| !reply.is_null());
    let verdict = match (is_blocked, text("verdict")) {
        (true, _) => "✕ Blocked",
        (false, "allowed") => "✓ Allowed",
        (false, _) => "✓ Allowed, only counted",
    };
    let identifiers = json.get("identifiers").and_then(Value::as_array);
    let identifiers = identifiers.into_iter().flatten();
    let mut notes = report.notes.clone();
    let unknown = unknown_lists(json);
    if !unknown.is_empty() {
        notes.push(format!(
            "Not known to this server, and so not asked: {}.",
            unknown.join(", ")
        ));
    }
    Explained {
        verdict: verdict.to_owned(),
        is_blocked,
        reason: text("reason").to_owned(),
        api: format!("{}, mode {}", text("api"), text("mode")),
        identifiers: identifiers
            .map(|identifier| (words(identifier), lists(identifier)))
            .collect(),
        notes,
    }
}

fn words(identifier: &Value) -> String {
    let parts = ["type", "name", "value"];
    let parts = parts
        .into_iter()
        .filter_map(|key| identifier.get(key)?.as_str());
    parts.collect::<Vec<_>>().join(" ")
}

/// The lists that name an identifier.
fn lists(identifier: &Value) -> String {
    let is_named = |value: Option<&Value>| value == Some(&Value::Bool(true));
    let mut lists = Vec::new();
    for (key, name) in [
        ("whitelist", "allow list"),
        ("blacklist", "deny list"),
        ("abs_detected", "ABS's list"),
    ] {
        if is_named(identifier.get(key)) {
            lists.push(name.to_owned());
        }
    }
    let feeds = identifier.get("feeds").and_then(Value::as_object);
    for (name, naming) in feeds.into_iter().flatten() {
        if is_named(Some(naming)) {
            lists.push(name.clone());
        }
    }
    match lists.is_empty() {
        true => "none".to_owned(),
        false => lists.join(", "),
    }
}

/// The lists of enabled feeds that were not asked.
fn unknown_lists(json: &Value) -> Vec<String> {
    let is_unknown = |state: &Value| {
        state
            .as_str()
            .is_some_and(|state| state.starts_with("none yet"))
    };
    let mut unknown = Vec::new();
    if json.get("attack_list").is_some_and(is_unknown) {
        unknown.push("ABS's list".to_owned());
    }
    let feeds = json.get("feeds").and_then(Value::as_object);
    for (name, state) in feeds.into_iter().flatten() {
        if is_unknown(state) {
            unknown.push(format!("the list of {name}"));
        }
    }
    unknown
}
