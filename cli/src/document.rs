//! A text that holds JSON or YAML: its values, and the least change of the text that gives other ones.
//!
//! Knows nothing of Envoy or of the filter. Every change is read back by another parser than the one that made it and
//! compared with what was wanted: a change that can't be made in place is an error and never a broken file.

use serde_json::Value;

use super::tree::Tree;
use super::{json_edit, yaml, yaml_edit};

/// One step from a value into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// The element with this number, from 0.
    Index(usize),
}

/// Why a text can't be read or changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DocumentError {
    /// Starts as JSON does, but is not.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// Neither JSON nor YAML.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    /// Written in a way that can't be changed in place.
    #[error(
        "its layout can't be changed in place (aliases, tags or keys that stand twice?); change it by hand"
    )]
    Layout,
}

/// What some editors put before a text. Envoy skips it before YAML.
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

/// A text and its values: one for JSON, one for each YAML document.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    format: Format,
    values: Vec<Value>,
    /// The same as it is written.
    trees: Vec<Tree>,
}

impl<'a> Document<'a> {
    /// Reads a text. What starts with a brace or a bracket is to be JSON: Envoy would take it for nothing else.
    pub fn parse(text: &'a str) -> Result<Self, DocumentError> {
        let behind_mark = text.trim_start_matches([BYTE_ORDER_MARK, ' ', '\t', '\r', '\n']);
        if behind_mark.starts_with(['{', '[']) {
            return Self::parse_json(text);
        }
        let trees =
            yaml::read(text.trim_start_matches(BYTE_ORDER_MARK)).map_err(DocumentError::Yaml)?;
        Ok(Self {
            text,
            format: Format::Yaml,
            values: trees.iter().map(Tree::value).collect(),
            trees,
        })
    }

    /// Reads a text that must be JSON.
    pub fn parse_json(text: &'a str) -> Result<Self, DocumentError> {
        if text.starts_with(BYTE_ORDER_MARK) {
            return Err(DocumentError::Json(
                "it starts with a byte order mark, which Envoy does not accept; remove it"
                    .to_owned(),
            ));
        }
        let tree: Tree =
            serde_json::from_str(text).map_err(|error| DocumentError::Json(error.to_string()))?;
        Ok(Self {
            text,
            format: Format::Json,
            values: vec![tree.value()],
            trees: vec![tree],
        })
    }

    /// The values, in the order of the text.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value at `path` in the value number `index`, as JSON; duplicate keys included.
    pub fn raw(&self, index: usize, path: &[Step]) -> Option<String> {
        Some(self.trees.get(index)?.get(path)?.to_json())
    }

    /// Fails on a duplicate key in JSON, which Envoy refuses. Duplicates at `path` are left to the filter's loader, which
    /// reports all errors of the configuration. In YAML Envoy takes the last one.
    pub fn refuse_duplicates(&self, path: Option<&[Step]>) -> Result<(), DocumentError> {
        let duplicate = match (self.format, self.trees.as_slice()) {
            (Format::Json, [tree]) => tree.duplicate_outside(path),
            _ => None,
        };
        match duplicate {
            None => Ok(()),
            Some(key) => Err(DocumentError::Json(format!(
                "duplicate key \"{key}\" in one object, which Envoy refuses; keep one of them"
            ))),
        }
    }

    /// The text with another value in place of the value number `index`; all else stays as it is written.
    pub fn replace(&self, index: usize, new: &Value) -> Result<String, DocumentError> {
        let old = self.values.get(index).ok_or(DocumentError::Layout)?;
        let changed = match self.format {
            Format::Json => json_edit::replace(self.text, old, new),
            Format::Yaml => {
                let behind_mark = self.text.trim_start_matches(BYTE_ORDER_MARK);
                let mark = self.text.strip_suffix(behind_mark).unwrap_or_default();
                yaml_edit::replace(behind_mark, index, old, new)
                    .map(|changed| format!("{mark}{changed}"))
            }
        };
        let changed = changed.ok_or(DocumentError::Layout)?;
        let read_back = Document::parse(&changed).map_err(|_| DocumentError::Layout)?;
        let mut wanted = self.values.clone();
        if let Some(value) = wanted.get_mut(index) {
            *value = new.clone();
        }
        match read_back.values == wanted {
            true => Ok(changed),
            false => Err(DocumentError::Layout),
        }
    }
}

/// The value at `path`.
pub fn get<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })
}

/// Puts a value at `path`; its last key may be new. `false` where there is no such place.
pub fn set(value: &mut Value, path: &[Step], new: Value) -> bool {
    let Some((last, parents)) = path.split_last() else {
        *value = new;
        return true;
    };
    let parent = parents.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Object(object)), Step::Key(key)) => {
            object.insert(key.clone(), new);
            true
        }
        (Some(Value::Array(array)), Step::Index(index)) => match array.get_mut(*index) {
            Some(place) => {
                *place = new;
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// How one array becomes another.
#[derive(Debug, PartialEq, Eq)]
pub enum ArrayChange<'v> {
    /// Same length: the elements that differ are changed where they stand.
    InPlace,
    /// Some elements go, the rest stays in order, and these come behind it.
    Edit {
        /// Numbers of the elements that go, from the last to the first.
        removed: Vec<usize>,
        /// What comes.
        appended: &'v [Value],
    },
}

/// The least change, for lists that are added to and taken from.
pub fn array_change<'v>(old: &[Value], new: &'v [Value]) -> ArrayChange<'v> {
    let containers = |value: &Value| value.is_object() || value.is_array();
    let same_place = old.len() == new.len()
        && old
            .iter()
            .zip(new)
            .all(|(old, new)| old == new || (containers(old) && containers(new)));
    if same_place {
        return ArrayChange::InPlace;
    }
    let mut rest = new;
    let mut removed = Vec::new();
    for (index, value) in old.iter().enumerate() {
        match rest.split_first() {
            Some((next, behind)) if next == value => rest = behind,
            _ => removed.push(index),
        }
    }
    removed.reverse();
    ArrayChange::Edit {
        removed,
        appended: rest,
    }
}

/// From this many changed elements on an array is better rewritten: single edits of a long one take quadratic time.
const MANY_ELEMENTS: usize = 64;

/// Whether so much changes that the array is better written anew.
pub fn is_large_change(old: &[Value], new: &[Value]) -> bool {
    match array_change(old, new) {
        ArrayChange::InPlace => false,
        ArrayChange::Edit { removed, appended } => removed.len() + appended.len() > MANY_ELEMENTS,
    }
}

#[cfg(test)]
mod tests;
