//! How two configurations differ, with secrets cut.

use std::fmt;

use serde_json::{Map, Value, json};

use super::document::{ArrayChange, array_change};
use super::output::cut;

/// What differs, in the order of the new configuration.
pub fn differences(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    show_secrets: bool,
) -> Vec<Difference> {
    let mut differences = Differences {
        show_secrets,
        found: Vec::new(),
    };
    differences.compare_objects("", old, new);
    differences.found
}

/// One difference between two configurations.
#[derive(Debug, PartialEq)]
pub struct Difference {
    path: String,
    old: Option<Value>,
    new: Option<Value>,
}

impl Difference {
    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("path".to_owned(), json!(self.path));
        if let Some(old) = &self.old {
            object.insert("old".to_owned(), old.clone());
        }
        if let Some(new) = &self.new {
            object.insert("new".to_owned(), new.clone());
        }
        Value::Object(object)
    }
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

struct Differences {
    show_secrets: bool,
    found: Vec<Difference>,
}

impl Differences {
    fn compare_objects(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let inner = |key: &str| match path.is_empty() {
            true => key.to_owned(),
            false => format!("{path}.{key}"),
        };
        for (key, new) in new {
            self.compare(&inner(key), old.get(key), Some(new));
        }
        for (key, old) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            self.compare(&inner(key), Some(old), None);
        }
    }

    fn compare(&mut self, path: &str, old: Option<&Value>, new: Option<&Value>) {
        let empty = (Map::new(), Vec::new());
        match (old, new) {
            (old, new) if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                self.compare_objects(path, old, new);
            }
            (None, Some(Value::Object(new))) if !new.is_empty() => {
                self.compare_objects(path, &empty.0, new);
            }
            (Some(Value::Object(old)), None) if !old.is_empty() => {
                self.compare_objects(path, old, &empty.0);
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) => {
                self.compare_arrays(path, old, new);
            }
            (None, Some(Value::Array(new))) if !new.is_empty() => {
                self.compare_arrays(path, &empty.1, new);
            }
            (Some(Value::Array(old)), None) if !old.is_empty() => {
                self.compare_arrays(path, old, &empty.1);
            }
            (old, new) => self.note(path, old, new),
        }
    }

    fn compare_arrays(&mut self, path: &str, old: &[Value], new: &[Value]) {
        match array_change(old, new) {
            ArrayChange::InPlace => {
                for (index, (old, new)) in old.iter().zip(new).enumerate() {
                    self.compare(&format!("{path}[{index}]"), Some(old), Some(new));
                }
            }
            ArrayChange::Edit { removed, appended } => {
                for index in removed.into_iter().rev() {
                    self.note(path, old.get(index), None);
                }
                for value in appended {
                    self.note(path, None, Some(value));
                }
            }
        }
    }

    fn note(&mut self, path: &str, old: Option<&Value>, new: Option<&Value>) {
        self.found.push(Difference {
            path: path.to_owned(),
            old: old.map(|value| self.shown(path, value)),
            new: new.map(|value| self.shown(path, value)),
        });
    }

    /// A value as it may be shown: what stands on a list is a secret unless it is an address.
    fn shown(&self, path: &str, value: &Value) -> Value {
        let public = matches!(
            path,
            "enable_firewall"
                | "enable_abs"
                | "enable_abs_attack"
                | "allow_list.ips"
                | "deny_list.ips"
        );
        match value {
            Value::String(text) if !public => Value::String(cut(text, self.show_secrets)),
            other => other.clone(),
        }
    }
}
