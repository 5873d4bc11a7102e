//! The lines of `status` about a fleet: its nodes, and the lists that its server relays.

use serde_json::{Value, json};

use super::page::Page;
use crate::clients::feed::unix_now;
use crate::commands::feeds::relayed::{ago, entries};

/// Adds them. `status`: the response of `GET /v1/status`.
pub fn show(page: &mut Page, status: &Value) {
    let nodes = status.get("nodes").and_then(Value::as_object);
    let count = |state: &str| nodes.and_then(|nodes| nodes.get(state)?.as_u64());
    let states = nodes.into_iter().flatten();
    let states = states.filter(|(state, count)| *state != "total" && count.as_u64() != Some(0));
    let mut texts: Vec<String> = states
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if texts.is_empty() {
        texts.push("none yet".to_owned());
    }
    page.line("nodes", &texts.join(", "), json!(nodes));
    for (state, problem) in [
        ("behind", "keep another configuration than the served one"),
        ("silent", "have stopped to request their configuration"),
    ] {
        if let Some(count) = count(state).filter(|count| *count > 0) {
            page.warnings.push(format!(
                "{count} nodes {problem}; portcullis nodes --state {state} shows them"
            ));
        }
    }
    let feeds = array(status, "feeds");
    for feed in feeds {
        let text = |key| feed.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = text("name");
        let last = ago(feed, "last_success", unix_now());
        page.text(
            &format!("relayed {name}"),
            &format!("{}, confirmed {last}", entries(feed)),
        );
        let error = text("last_error");
        if !error.is_empty() {
            page.warnings
                .push(format!("the server can't fetch the list {name}: {error}"));
        }
    }
    page.value("relayed feeds", json!(feeds));
    for filter in array(status, "filters") {
        let text = |value: &Value, key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        if let Some(problem) = filter.get("problem").filter(|problem| !problem.is_null()) {
            page.warnings.push(format!(
                "the file of the filter {} is not served as it is: {}",
                text(filter, "name"),
                text(problem, "error")
            ));
        }
    }
}

fn array<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    let array = object.get(key).and_then(Value::as_array);
    array.map(Vec::as_slice).unwrap_or_default()
}
