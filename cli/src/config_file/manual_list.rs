//! A list as ABS and the configuration write it: its entries, and adding and removing one.

use std::collections::HashSet;

use portcullis::identifier::IdentifierKind;
use serde_json::{Map, Value, json};

use crate::entry::{ClientKey, Entry};
use crate::error::{Failure, Result};

/// The entries of a list, including those that identify no client. Omits values that are not strings.
pub fn entries(list: &Map<String, Value>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for kind in IdentifierKind::WITH_LIST_KEY {
        let mut add = |name: Option<&String>, values: &Value| {
            for value in elements(values).iter().filter_map(Value::as_str) {
                entries.push(Entry {
                    kind,
                    name: name.cloned(),
                    value: value.to_owned(),
                });
            }
        };
        match list.get(kind.list_key()) {
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

/// The elements of a list; as in the filter, a string is a list of one.
fn elements(values: &Value) -> &[Value] {
    match values {
        Value::Array(values) => values,
        Value::String(_) => std::slice::from_ref(values),
        _ => &[],
    }
}

/// Entries in the format of ABS's list, with all five keys.
pub fn in_abs_format(entries: &[Entry], show_secrets: bool) -> Value {
    let mut list = Map::new();
    for kind in IdentifierKind::WITH_LIST_KEY {
        let empty = match kind {
            IdentifierKind::Cookie => json!({}),
            _ => json!([]),
        };
        list.insert(kind.list_key().to_owned(), empty);
    }
    for entry in entries {
        if let Ok(values) = values_for(&mut list, entry) {
            values.push(Value::String(entry.shown_value(show_secrets)));
        }
    }
    Value::Object(list)
}

/// Adds the entries for clients that the list does not have yet; returns their number.
pub fn add(list: &mut Map<String, Value>, added: &[Entry]) -> Result<usize> {
    // One entry needs no set of all keys.
    if let [entry] = added {
        let key = entry.key();
        let has_key =
            |name: Option<&str>, value: &str| ClientKey::of(entry.kind, name, value) == key;
        if any_value(list, entry.kind, has_key) {
            return Ok(0);
        }
        values_for(list, entry)?.push(Value::String(entry.value.clone()));
        return Ok(1);
    }
    let mut known = HashSet::with_capacity(added.len());
    for kind in IdentifierKind::WITH_LIST_KEY {
        any_value(list, kind, |name, value| {
            known.insert(ClientKey::of(kind, name, value));
            false
        });
    }
    let mut n_added = 0usize;
    for entry in added {
        if known.insert(entry.key()) {
            values_for(list, entry)?.push(Value::String(entry.value.clone()));
            n_added = n_added.saturating_add(1);
        }
    }
    Ok(n_added)
}

/// Whether `is_wanted` is true for a name and value of this kind.
fn any_value(
    list: &Map<String, Value>,
    kind: IdentifierKind,
    mut is_wanted: impl FnMut(Option<&str>, &str) -> bool,
) -> bool {
    let mut any = |name: Option<&str>, values: &Value| {
        let mut values = elements(values).iter().filter_map(Value::as_str);
        values.any(|value| is_wanted(name, value))
    };
    match list.get(kind.list_key()) {
        Some(Value::Object(by_name)) => {
            by_name.iter().any(|(name, values)| any(Some(name), values))
        }
        Some(values) => any(None, values),
        None => false,
    }
}

/// Removes an entry; `false` if the list does not have it.
pub fn remove(list: &mut Map<String, Value>, entry: &Entry) -> bool {
    let key = entry.key();
    let is_listed = |name: Option<&String>, value: &Value| {
        // The filter ignores the name of an API key, and it is not always known.
        let other_name = name.is_some() && entry.name.is_some() && name != entry.name.as_ref();
        let name = name.map(String::as_str);
        let is_same = |value: &str| ClientKey::of(entry.kind, name, value) == key;
        !other_name && value.as_str().is_some_and(is_same)
    };
    let mut removed = false;
    let mut strip = |name: Option<&String>, values: &mut Value| {
        if is_listed(name, values) {
            *values = json!([]);
            removed = true;
        } else if let Value::Array(values) = values {
            let before = values.len();
            values.retain(|value| !is_listed(name, value));
            removed |= values.len() != before;
        }
    };
    match list.get_mut(entry.kind.list_key()) {
        Some(Value::Object(by_name)) => {
            by_name
                .iter_mut()
                .for_each(|(name, values)| strip(Some(name), values));
            if removed {
                by_name.retain(|_, values| values.as_array().is_none_or(|all| !all.is_empty()));
            }
        }
        Some(values) => strip(None, values),
        None => {}
    }
    removed
}

/// The values that an entry belongs to, created if missing.
fn values_for<'l>(list: &'l mut Map<String, Value>, entry: &Entry) -> Result<&'l mut Vec<Value>> {
    let key = entry.kind.list_key();
    let place = list.entry(key).or_insert(Value::Null);
    if place.is_null() {
        *place = match &entry.name {
            Some(_) => json!({}),
            None => json!([]),
        };
    }
    let values = match (place, &entry.name) {
        (Value::Object(by_name), Some(name)) => by_name.entry(name.clone()).or_insert(json!([])),
        (Value::Object(_), None) => {
            return Err(Failure::usage(
                "this list holds API keys by name; give api_key NAME VALUE",
            ));
        }
        (values, _) => values,
    };
    if values.is_string() {
        *values = Value::Array(vec![values.take()]);
    }
    values.as_array_mut().ok_or_else(|| not_a_list(key))
}

/// The value of `key` is not a list.
pub fn not_a_list(key: &str) -> Failure {
    Failure::refused(format!(
        "{key} is not written as a list of this kind; see check_config"
    ))
}
