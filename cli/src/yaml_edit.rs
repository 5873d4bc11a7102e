//! The least change of a YAML text that gives another value: comments, layout, order and all else stay as written.

use std::str::FromStr as _;

use serde_json::{Map, Value};
use yaml_edit::{Document, Mapping, Sequence, YamlFile, YamlNode};

use super::document::{ArrayChange, array_change, is_large_change};
use super::yaml::is_text_everywhere;

/// The text with `new` in place of `old` in document number `index`; `None` where the text does not look as `old` says.
pub fn replace(text: &str, index: usize, old: &Value, new: &Value) -> Option<String> {
    let file = YamlFile::from_str(text).ok()?;
    let document = file.documents().nth(index)?;
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            edit_mapping(&document.as_mapping()?, old, new)?;
        }
        (Value::Array(old), Value::Array(new)) => {
            edit_sequence(&document.as_sequence()?, old, new)?;
        }
        _ => return None,
    }
    Some(file.to_string())
}

fn edit_mapping(
    mapping: &Mapping,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Option<()> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        mapping.remove(key.as_str())?;
    }
    for (key, new) in new {
        match (old.get(key), new) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                edit_mapping(&mapping.get_mapping(key.as_str())?, old, new)?;
            }
            (Some(Value::Array(old)), Value::Array(new)) if !is_large_change(old, new) => {
                edit_sequence(&mapping.get_sequence(key.as_str())?, old, new)?;
            }
            _ => set(mapping, key, new)?,
        }
    }
    Some(())
}

fn edit_sequence(sequence: &Sequence, old: &[Value], new: &[Value]) -> Option<()> {
    match array_change(old, new) {
        ArrayChange::InPlace => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                match (sequence.get(index)?, old, new) {
                    (_, old, new) if old == new => {}
                    (YamlNode::Mapping(mapping), Value::Object(old), Value::Object(new)) => {
                        edit_mapping(&mapping, old, new)?;
                    }
                    (YamlNode::Sequence(sequence), Value::Array(old), Value::Array(new)) => {
                        edit_sequence(&sequence, old, new)?;
                    }
                    _ => return None,
                }
            }
        }
        ArrayChange::Edit { removed, appended } => {
            for index in removed {
                sequence.remove(index)?;
            }
            for value in appended {
                push(sequence, value)?;
            }
        }
    }
    Some(())
}

fn set(mapping: &Mapping, key: &str, value: &Value) -> Option<()> {
    match value {
        Value::Bool(value) => mapping.set(key, *value),
        Value::String(text) if is_text_everywhere(text) => mapping.set(key, text.as_str()),
        Value::Array(_) => mapping.set(key, flow(value)?.as_sequence()?),
        Value::Object(_) => mapping.set(key, flow(value)?.as_mapping()?),
        // In quotes, where it is a string.
        Value::Null | Value::Number(_) | Value::String(_) => {
            mapping.set(key, flow(value)?.as_scalar()?);
        }
    }
    Some(())
}

fn push(sequence: &Sequence, value: &Value) -> Option<()> {
    match value {
        Value::Bool(value) => sequence.push(*value),
        Value::String(text) if is_text_everywhere(text) => sequence.push(text.as_str()),
        Value::Array(_) => sequence.push(flow(value)?.as_sequence()?),
        Value::Object(_) => sequence.push(flow(value)?.as_mapping()?),
        Value::Null | Value::Number(_) | Value::String(_) => {
            sequence.push(flow(value)?.as_scalar()?);
        }
    }
    Some(())
}

/// A value in YAML's flow style, which is JSON.
fn flow(value: &Value) -> Option<Document> {
    Document::from_str(&value.to_string()).ok()
}
