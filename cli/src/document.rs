//! A JSON or YAML text: its values, and the smallest edit of the text that changes one.
//!
//! Knows nothing of Envoy or of the filter. Each edit is read back by another parser than the one that made it, and
//! compared with what was wanted: an edit that can't be made in place is an error and never a broken file.

pub mod array_edit;
mod json_edit;
pub mod path;
mod tree;
mod yaml;
mod yaml_edit;

use std::fmt;

use serde_json::Value;

use self::path::{Step, ValuePath};
use self::tree::Tree;

/// Why a text can't be edited in place.
const LAYOUT: &str =
    "its layout can't be edited in place (aliases, tags or duplicate keys?); edit it by hand";

/// Some editors put it before a text. Envoy skips it before YAML.
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
    /// The same with duplicate keys.
    trees: Vec<Tree>,
}

impl<'a> Document<'a> {
    /// Reads a text. A text that starts with a brace or a bracket must be JSON: Envoy would read it as nothing else.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let behind_mark = text.trim_start_matches([BYTE_ORDER_MARK, ' ', '\t', '\r', '\n']);
        if behind_mark.starts_with(['{', '[']) {
            return Self::parse_json(text);
        }
        let trees = yaml::read(text.trim_start_matches(BYTE_ORDER_MARK))
            .map_err(|error| format!("not valid YAML: {error}"))?;
        Ok(Self {
            text,
            format: Format::Yaml,
            values: trees.iter().map(Tree::value).collect(),
            trees,
        })
    }

    /// Reads a text that must be JSON.
    pub fn parse_json(text: &'a str) -> Result<Self, String> {
        if text.starts_with(BYTE_ORDER_MARK) {
            return Err(not_json(
                "it starts with a byte order mark, which Envoy does not accept; remove it",
            ));
        }
        let tree: Tree = serde_json::from_str(text).map_err(not_json)?;
        let value = tree.value();
        Ok(Self {
            text,
            format: Format::Json,
            values: vec![value],
            trees: vec![tree],
        })
    }

    /// The values, in the order of the text.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value at `path`; the rest of the document is dropped.
    pub fn into_value(mut self, path: &ValuePath) -> Option<Value> {
        path.take(&mut self.values)
    }

    /// The value at `path` as JSON, duplicate keys included.
    pub fn raw(&self, path: &ValuePath) -> Option<String> {
        let tree = self.trees.get(path.document)?;
        Some(tree.get(&path.steps)?.to_json())
    }

    /// Fails on a duplicate key in JSON, which Envoy refuses. Duplicates at `path` are left to the filter's loader, which
    /// reports all errors of the configuration. In YAML Envoy uses the last one.
    pub fn refuse_duplicates(&self, path: Option<&[Step]>) -> Result<(), String> {
        let duplicate = match (self.format, self.trees.as_slice()) {
            (Format::Json, [tree]) => tree.duplicate_outside(path),
            _ => None,
        };
        match duplicate {
            None => Ok(()),
            Some(key) => Err(not_json(format!(
                "duplicate key \"{key}\" in one object, which Envoy refuses; keep one of them"
            ))),
        }
    }

    /// The text with another value at `path`; everything else stays as written.
    pub fn replace(&self, path: &ValuePath, new: Value) -> Result<String, String> {
        self.edited(path, new).ok_or_else(|| LAYOUT.to_owned())
    }

    fn edited(&self, path: &ValuePath, new: Value) -> Option<String> {
        let mut wanted = self.values.clone();
        path.set(&mut wanted, new)?;
        let (old, new) = (self.values.get(path.document)?, wanted.get(path.document)?);
        let edited = match self.format {
            Format::Json => json_edit::replace(self.text, old, new)?,
            Format::Yaml => {
                let behind_mark = self.text.trim_start_matches(BYTE_ORDER_MARK);
                let mark = self.text.strip_suffix(behind_mark).unwrap_or_default();
                let edited = yaml_edit::replace(behind_mark, path.document, old, new)?;
                format!("{mark}{edited}")
            }
        };
        let read_back = Document::parse(&edited).ok()?;
        (read_back.values == wanted).then_some(edited)
    }
}

fn not_json(reason: impl fmt::Display) -> String {
    format!("not valid JSON: {reason}")
}

#[cfg(test)]
mod tests;
