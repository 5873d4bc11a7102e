//! How two configurations differ, with secrets shortened.

use std::fmt;

use serde_json::{Map, Value, json};

use super::mask::mask;
use crate::document::array_edit::ArrayEdit;

/// The differences, in the order of the new configuration.
pub fn differences(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    show_secrets: bool,
) -> Vec<Difference> {
    let mut found = Vec::new();
    compare_objects("", old, new, &mut found);
    if !show_secrets {
        found.iter_mut().for_each(Difference::shorten_secrets);
    }
    found
}

/// One difference between two configurations.
#[derive(Debug, PartialEq)]
pub struct Difference {
    path: String,
    /// Whether the path is that of a list, and the values are elements of it.
    of_element: bool,
    old: Option<Value>,
    new: Option<Value>,
}

impl Difference {
    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("path".to_owned(), json!(self.path));
        for (key, value) in [("old", &self.old), ("new", &self.new)] {
            if let Some(value) = value {
                object.insert(key.to_owned(), value.clone());
            }
        }
        Value::Object(object)
    }

    fn shorten_secrets(&mut self) {
        let mut path = without_indices(&self.path);
        if self.of_element {
            path.push_str("[]");
        }
        for value in [&mut self.old, &mut self.new].into_iter().flatten() {
            mask(&path, value);
        }
    }
}

/// `feeds[0].path` as `feeds[].path`.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('[');
        plain.push_str(part.trim_start_matches(|character: char| character.is_ascii_digit()));
    }
    plain
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "{path}: {old} -> {new}"),
            (None, Some(new)) => write!(f, "{path}: + {new}"),
            (Some(old), None) => write!(f, "{path}: - {old}"),
            (None, None) => f.write_str(path),
        }
    }
}

fn compare_objects(
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let removed = old.keys().filter(|key| !new.contains_key(*key));
    for key in new.keys().chain(removed) {
        let path = match path.is_empty() {
            true => key.to_owned(),
            false => format!("{path}.{key}"),
        };
        compare(&path, old.get(key), new.get(key), found);
    }
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Difference>) {
    // A missing object or list counts as an empty one: its elements are reported one by one.
    let empty = match old.or(new) {
        Some(Value::Object(object)) if !object.is_empty() => Some(json!({})),
        Some(Value::Array(array)) if !array.is_empty() => Some(json!([])),
        _ => None,
    };
    match (old.or(empty.as_ref()), new.or(empty.as_ref())) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            compare_objects(path, old, new, found);
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => match ArrayEdit::between(old, new) {
            ArrayEdit::InPlace => {
                for (index, (old, new)) in old.iter().zip(new).enumerate() {
                    compare(&format!("{path}[{index}]"), Some(old), Some(new), found);
                }
            }
            ArrayEdit::Splice { removed, appended } => {
                let removed = removed.into_iter().rev();
                let removed = removed.map(|index| (old.get(index), None));
                let appended = appended.iter().map(|value| (None, Some(value)));
                for (old, new) in removed.chain(appended) {
                    note(path, old, new, found);
                    if let Some(last) = found.last_mut() {
                        last.of_element = true;
                    }
                }
            }
        },
        (old, new) => note(path, old, new, found),
    }
}

fn note(path: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Difference>) {
    found.push(Difference {
        path: path.to_owned(),
        of_element: false,
        old: old.cloned(),
        new: new.cloned(),
    });
}
