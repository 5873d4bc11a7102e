//! `set` and `get`: the scalar keys of the configuration.

pub mod scalars;
pub mod target;

use serde_json::{Map, Value, json};

use self::target::Target;
use crate::args::{Common, GetArgs, SetArgs};
use crate::config_file::edit::edit;
use crate::config_file::mask::mask;
use crate::config_file::{ConfigFile, validate};
use crate::error::Result;
use crate::output::{Report, table};

/// Sets a key.
pub fn set(common: &Common, args: &SetArgs) -> Result<Report> {
    edit(common, |configuration| {
        let target = Target::find(configuration, &args.key)?;
        let value = read(configuration, &target, &args.value)?;
        let shown = |value: &Value| text(&target.key, value, common.show_secrets);
        let key = &args.key;
        let new = shown(&value);
        let message = match target.get(configuration) {
            Some(old) if *old == value => return Ok(format!("{key} is already {new}")),
            Some(old) => format!("{key} is now {new}, before {}", shown(old)),
            None => format!("{key} is now {new}"),
        };
        target.set(configuration, value)?;
        Ok(message)
    })
}

/// What the words of a command mean for a key: JSON (`10`, `true`, `null`), but a text if the loader accepts only that there.
fn read(configuration: &Map<String, Value>, target: &Target, words: &str) -> Result<Value> {
    let text = Value::String(words.to_owned());
    let json: Option<Value> = serde_json::from_str(words).ok();
    let Some(json) = json.filter(|json| !json.is_array() && !json.is_object() && !json.is_string())
    else {
        return Ok(text);
    };
    let is_refused = |value: &Value| -> Result<bool> {
        let mut tried = configuration.clone();
        target.set(&mut tried, value.clone())?;
        let errors = validate(Value::Object(tried).to_string().as_bytes()).err();
        let path = target.path();
        Ok(errors.iter().flatten().any(|error| error.path == path))
    };
    // Envoy reads a fraction in YAML as a text, which the loader accepts.
    let is_fraction = json.is_f64();
    Ok(
        match (is_fraction || is_refused(&json)?) && !is_refused(&text)? {
            true => text,
            false => json,
        },
    )
}

/// Shows a key, or all.
pub fn get(common: &Common, args: &GetArgs) -> Result<Report> {
    let file = ConfigFile::read(common)?;
    match &args.key {
        Some(key) => get_one(common, &file, key),
        None => get_all(common, &file),
    }
}

fn get_one(common: &Common, file: &ConfigFile, words: &str) -> Result<Report> {
    let target = Target::find(&file.configuration, words)?;
    let set = target.get(&file.configuration);
    let value = set.cloned().or_else(|| scalars::default(&target.key));
    let shown = value
        .as_ref()
        .map(|value| masked(&target.key, value, common.show_secrets));
    let text = value
        .as_ref()
        .map(|value| text(&target.key, value, common.show_secrets));
    let mut report = Report::new(
        text.unwrap_or_default(),
        json!({"file": file.file, "key": words, "value": shown, "is_set": set.is_some()}),
    );
    if set.is_none() {
        report.notes.push(match value {
            Some(_) => format!("{words} is not set: this is the default"),
            None => format!("{words} is not set"),
        });
    }
    Ok(report)
}

fn get_all(common: &Common, file: &ConfigFile) -> Result<Report> {
    let mut rows = vec![["KEY", "VALUE", ""].map(str::to_owned)];
    let mut values = Map::new();
    for key in keys(&file.configuration) {
        let target = Target::find(&file.configuration, &key)?;
        let set = target.get(&file.configuration);
        let Some(value) = set.cloned().or_else(|| scalars::default(&target.key)) else {
            continue;
        };
        let state = if set.is_some() { "" } else { "default" };
        rows.push([
            key.clone(),
            text(&target.key, &value, common.show_secrets),
            state.to_owned(),
        ]);
        let shown = masked(&target.key, &value, common.show_secrets);
        values.insert(key, json!({"value": shown, "is_set": set.is_some()}));
    }
    Ok(Report::new(
        table(&rows),
        json!({"file": file.file, "values": values}),
    ))
}

/// Every scalar key that the configuration can have, by the names of its APIs and feeds.
fn keys(configuration: &Map<String, Value>) -> Vec<String> {
    let mut keys = Vec::new();
    for key in scalars::all().filter(|key| !key.contains("[].")) {
        keys.push(key.to_owned());
    }
    for list in ["apis", "feeds"] {
        for name in target::names(configuration, list) {
            let prefix = format!("{list}[].");
            let rest = scalars::all().filter_map(|key| key.strip_prefix(&prefix));
            keys.extend(rest.map(|rest| format!("{list}[{name}].{rest}")));
        }
    }
    keys
}

fn masked(key: &str, value: &Value, show_secrets: bool) -> Value {
    let mut shown = value.clone();
    if !show_secrets {
        mask(key, &mut shown);
    }
    shown
}

/// The value without quotes.
fn text(key: &str, value: &Value, show_secrets: bool) -> String {
    match masked(key, value, show_secrets) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
