//! One change of the filter's configuration: read, edit, validate with the filter's own loader, write or only show.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::args::Common;
use super::document::{ArrayChange, array_change};
use super::error::Failure;
use super::file;
use super::filter_file::FilterFile;
use super::output::{Report, cut};

/// Changes the configuration of the file that `common` names. `edit` changes it and gives the words to say.
pub fn change(
    common: &Common,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<String, Failure>,
) -> Result<Report, Failure> {
    let path = common.config.as_path();
    let read = |text: String| FilterFile::parse(path, text, common.name.as_deref());
    let work = |filter_file: FilterFile| -> Result<(Option<String>, Report), Failure> {
        let mut new = filter_file.configuration().clone();
        let words = edit(&mut new)?;
        let invalid = |errors| Failure::Invalid {
            file: filter_file.file().to_owned(),
            unchanged: true,
            errors,
        };
        let changed = &new != filter_file.configuration();
        let text = match changed {
            true => Some(filter_file.text_with(&new)?),
            false => None,
        };
        // What is checked is what Envoy will read: the text as it will stand.
        match &text {
            Some(text) => read(text.clone())?.validate(),
            None => filter_file.validate(),
        }
        .map_err(invalid)?;
        let report = report(common, filter_file.configuration(), &new, words);
        Ok((text, report))
    };
    match common.dry_run {
        true => work(read(file::read(path)?)?).map(|(_, report)| report),
        false => file::update(path, |text| work(read(text)?)),
    }
}

fn report(
    common: &Common,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    words: String,
) -> Report {
    let mut differences = Differences {
        show_secrets: common.show_secrets,
        found: Vec::new(),
    };
    differences.compare_objects("", old, new);
    let differences = differences.found;
    let changed = !differences.is_empty();
    let file = common.config.display().to_string();
    let json = json!({
        "file": file,
        "message": words,
        "changed": changed && !common.dry_run,
        "dry_run": common.dry_run,
        "changes": differences.iter().map(Difference::to_json).collect::<Vec<_>>(),
    });
    let text = match (common.dry_run, changed) {
        (false, _) => words,
        (true, false) => format!("{file} would not change: {words}"),
        (true, true) => {
            let mut text = format!("{file} would change (dry run, nothing was written):");
            for difference in &differences {
                let _ = write!(text, "\n  {difference}");
            }
            text
        }
    };
    Report::new(text, json)
}

/// One difference between two configurations.
#[derive(Debug, PartialEq)]
struct Difference {
    path: String,
    old: Option<Value>,
    new: Option<Value>,
}

impl Difference {
    fn to_json(&self) -> Value {
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

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
