//! Lists as ABS and the configuration write them: entries read from them, added to them, taken off them.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::args::EntryKind;
use crate::entry::Entry;
use crate::error::{Failure, Result};

/// The five keys of a list, in the order in which lists are shown.
const KEYS: [(&str, EntryKind); 5] = [
    ("ips", EntryKind::Ip),
    ("cookies", EntryKind::Cookie),
    ("oauth_tokens", EntryKind::Token),
    ("api_keys", EntryKind::ApiKey),
    ("usernames", EntryKind::Username),
];

/// The entries of a list as the configuration and ABS write it. What is not written as an entry is left out.
pub fn read_list(list: Option<&Value>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (key, kind) in KEYS {
        let mut add = |name: Option<&str>, values: &Value| {
            for value in elements(values).iter().filter_map(Value::as_str) {
                entries.push(Entry {
                    kind,
                    name: name.map(str::to_owned),
                    value: value.to_owned(),
                });
            }
        };
        match list.and_then(|list| list.get(key)) {
            Some(Value::Object(by_name)) => {
                for (name, values) in by_name {
                    add(Some(name), values);
                }
            }
            Some(values) => add(None, values),
            None => {}
        }
    }
    entries
}

/// The elements of a list; one string is a list of one, as in the filter.
fn elements(values: &Value) -> &[Value] {
    match values {
        Value::Array(values) => values,
        Value::String(_) => std::slice::from_ref(values),
        _ => &[],
    }
}

/// The value with a list in place of one string.
fn as_list(value: &mut Value) -> &mut Value {
    if value.is_string() {
        *value = Value::Array(vec![value.take()]);
    }
    value
}

/// Entries in the list shape of ABS, all five keys there. Values are cut unless they may be shown.
pub fn to_abs_shape(entries: &[Entry], show_secrets: bool) -> Value {
    let mut list =
        json!({"ips": [], "cookies": {}, "oauth_tokens": [], "api_keys": [], "usernames": []});
    for entry in entries {
        let value = Value::String(entry.shown_value(show_secrets));
        for (key, _) in KEYS.iter().filter(|(_, kind)| *kind == entry.kind) {
            let place = list.get_mut(*key);
            match (place, &entry.name, entry.kind) {
                (Some(Value::Object(cookies)), Some(name), EntryKind::Cookie) => {
                    if let Value::Array(values) = cookies.entry(name.clone()).or_insert(json!([])) {
                        values.push(value.clone());
                    }
                }
                (Some(Value::Array(values)), _, _) => values.push(value.clone()),
                _ => {}
            }
        }
    }
    list
}

/// Adds entries to a list of the configuration, but for those it holds; says which were added.
pub fn add(list: &mut Map<String, Value>, entries: &[Entry]) -> Result<Vec<Entry>> {
    let mut known = Known::of(list);
    let mut added = Vec::new();
    for entry in entries {
        if !known.insert(entry) {
            continue;
        }
        values_for(list, entry)?.push(Value::String(entry.value.clone()));
        added.push(entry.clone());
    }
    Ok(added)
}

/// Takes an entry off a list of the configuration; `false` where it is not there.
pub fn remove(list: &mut Map<String, Value>, entry: &Entry) -> bool {
    let mut removed = false;
    for (key, kind) in KEYS.into_iter().filter(|(_, kind)| *kind == entry.kind) {
        let is_listed = |name: Option<&String>, value: &Value| {
            let listed = value.as_str().map(|value| Entry {
                kind,
                name: name.cloned(),
                value: value.to_owned(),
            });
            listed.is_some_and(|listed| listed.same_as(entry))
        };
        let mut strip = |name: Option<&String>, values: &mut Value| match values {
            Value::Array(values) => {
                let before = values.len();
                values.retain(|value| !is_listed(name, value));
                removed |= values.len() != before;
            }
            one if is_listed(name, one) => {
                *one = json!([]);
                removed = true;
            }
            _ => {}
        };
        match list.get_mut(key) {
            Some(Value::Object(by_name)) => {
                for (name, values) in by_name.iter_mut() {
                    strip(Some(name), values);
                }
                if removed {
                    by_name.retain(|_, values| {
                        values.as_array().is_none_or(|values| !values.is_empty())
                    });
                }
            }
            Some(values) => strip(None, values),
            None => {}
        }
    }
    removed
}

/// The values beside which an entry belongs; made where they are not there yet.
fn values_for<'l>(list: &'l mut Map<String, Value>, entry: &Entry) -> Result<&'l mut Vec<Value>> {
    let key = KEYS
        .iter()
        .find(|(_, kind)| *kind == entry.kind)
        .map_or("ips", |(key, _)| key);
    let fresh = match &entry.name {
        Some(_) => json!({}),
        None => json!([]),
    };
    let place = list.entry(key).or_insert(Value::Null);
    if place.is_null() {
        *place = fresh;
    }
    let place = match (place, &entry.name) {
        (Value::Object(by_name), Some(name)) => by_name.entry(name.clone()).or_insert(json!([])),
        (Value::Object(_), None) => {
            return Err(Failure::usage(
                "this list holds API keys by the names they travel under; give api_key NAME VALUE",
            ));
        }
        (place, _) => place,
    };
    match as_list(place) {
        Value::Array(values) => Ok(values),
        _ => Err(not_a_list(key)),
    }
}

/// The value of `key` is not a list.
pub fn not_a_list(key: &str) -> Failure {
    Failure::refused(format!(
        "{key} is not written as a list of this kind; see check_config"
    ))
}

/// What a list holds, to ask for each of many entries.
struct Known(HashSet<(u8, String, String)>);

impl Known {
    fn of(list: &Map<String, Value>) -> Self {
        let mut known = Self(HashSet::new());
        for entry in read_list(Some(&Value::Object(list.clone()))) {
            known.insert(&entry);
        }
        known
    }

    /// `false` where it is known already.
    fn insert(&mut self, entry: &Entry) -> bool {
        let value = entry.meant_value().into_owned();
        let name = match (entry.kind, &entry.name) {
            (EntryKind::Cookie, Some(name)) => name.clone(),
            _ => String::new(),
        };
        self.0.insert((entry.kind as u8, name, value))
    }
}
