//! `shadow`: whether denied requests are blocked or only counted, for all APIs or one.

use serde_json::{Map, Value, json};

use super::settings::target::number_of;
use crate::args::{Common, OnOff, ShadowArgs};
use crate::config_file::edit::edit;
use crate::error::{Failure, Result};
use crate::output::Report;

/// Runs the command.
pub fn run(common: &Common, args: &ShadowArgs) -> Result<Report> {
    let is_on = args.state == OnOff::On;
    edit(common, |configuration| match &args.api {
        Some(id) => set_one(configuration, id, is_on),
        None => set_all(configuration, is_on),
    })
}

fn set_one(configuration: &mut Map<String, Value>, id: &str, is_on: bool) -> Result<String> {
    let number = number_of(configuration, "apis", id)?;
    let api = apis(configuration)?.get_mut(number);
    let has_changed = match api.and_then(Value::as_object_mut) {
        Some(api) => set_mode(api, is_on),
        None => return Err(no_apis()),
    };
    let now = if has_changed { "now" } else { "already" };
    Ok(match is_on {
        true => format!(
            "API {id} is {now} in shadow mode: requests that it would deny pass, and are counted"
        ),
        false => format!("API {id} {now} denies requests"),
    })
}

fn set_all(configuration: &mut Map<String, Value>, is_on: bool) -> Result<String> {
    let shadow_feeds = shadow_feeds(configuration);
    let has_firewall = configuration.get("enable_firewall") != Some(&json!(false));
    let mut has_changed = false;
    if is_on || configuration.contains_key("apis") {
        let apis = apis(configuration)?;
        for api in apis.iter_mut().filter_map(Value::as_object_mut) {
            has_changed |= set_mode(api, is_on);
        }
        // The requests that no other API matches.
        if is_on && !apis.iter().any(is_catch_all) {
            apis.push(json!({"mode": "shadow"}));
            has_changed = true;
        }
        let before = apis.len();
        apis.retain(|api| *api != json!({"mode": "enforce"}));
        if apis.is_empty() && before > 0 {
            configuration.shift_remove("apis");
        }
    }
    let mut message = match (is_on, has_changed) {
        (true, true) => {
            "shadow mode is now on: requests that would be denied pass, and are counted"
        }
        (true, false) => "shadow mode is already on",
        (false, true) => "shadow mode is now off: denied requests are blocked",
        (false, false) => "shadow mode is already off",
    }
    .to_owned();
    if !is_on && !has_firewall {
        message.push_str("; no request is denied while enable_firewall is false");
    }
    if !is_on && !shadow_feeds.is_empty() {
        let names = shadow_feeds.join(", ");
        message.push_str(&format!(
            "; feeds with mode \"shadow\" still block nobody: {names} (set feeds[NAME].mode enforce)"
        ));
    }
    Ok(message)
}

/// Sets the mode of an API; `false` if it had it before.
fn set_mode(api: &mut Map<String, Value>, is_on: bool) -> bool {
    let mode = if is_on { "shadow" } else { "enforce" };
    let before = api.get("mode").and_then(Value::as_str);
    if before.unwrap_or("enforce") == mode {
        return false;
    }
    api.insert("mode".to_owned(), json!(mode));
    true
}

fn is_catch_all(api: &Value) -> bool {
    let is = |key, any| api.get(key).is_none_or(|value| value == any);
    is("hostname", "*") && is("url", "/")
}

fn apis(configuration: &mut Map<String, Value>) -> Result<&mut Vec<Value>> {
    let apis = configuration.entry("apis").or_insert(json!([]));
    if apis.is_null() {
        *apis = json!([]);
    }
    apis.as_array_mut().ok_or_else(no_apis)
}

fn no_apis() -> Failure {
    Failure::refused("apis is not written as a list of objects; see check_config")
}

fn shadow_feeds(configuration: &Map<String, Value>) -> Vec<String> {
    let feeds = configuration.get("feeds").and_then(Value::as_array);
    let in_shadow = feeds.into_iter().flatten();
    let in_shadow = in_shadow.filter(|feed| feed.get("mode").is_some_and(|mode| *mode == "shadow"));
    let names = in_shadow.filter_map(|feed| feed.get("name")?.as_str());
    names.map(str::to_owned).collect()
}
