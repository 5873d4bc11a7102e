//! Edits a YAML text in place: comments, layout, order and everything else stay as written.

use std::str::FromStr as _;

use serde_json::{Map, Value};
use yaml_edit::{Document, Mapping, Sequence, YamlFile, YamlNode};

use super::array_edit::ArrayEdit;
use super::yaml::is_text_everywhere;

/// The text with `new` in place of `old` in document number `index`; `None` where the text does not match `old`.
pub fn replace(text: &str, index: usize, old: &Value, new: &Value) -> Option<String> {
    let file = YamlFile::from_str(text).ok()?;
    let document = file.documents().nth(index)?;
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            edit_mapping(&document.as_mapping()?, old, new)?;
        }
        (Value::Array(old), Value::Array(new)) => {
            let edit = ArrayEdit::between(old, new);
            edit_sequence(&document.as_sequence()?, old, new, &edit)?;
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
            (Some(Value::Array(old)), Value::Array(values)) => {
                let edit = ArrayEdit::between(old, values);
                match edit.is_large() {
                    true => set(mapping, key, new)?,
                    false => {
                        edit_sequence(&mapping.get_sequence(key.as_str())?, old, values, &edit)?;
                    }
                }
            }
            _ => set(mapping, key, new)?,
        }
    }
    Some(())
}

fn edit_sequence(
    sequence: &Sequence,
    old: &[Value],
    new: &[Value],
    how: &ArrayEdit<'_>,
) -> Option<()> {
    match how {
        ArrayEdit::InPlace => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                match (sequence.get(index)?, old, new) {
                    (_, old, new) if old == new => {}
                    (YamlNode::Mapping(mapping), Value::Object(old), Value::Object(new)) => {
                        edit_mapping(&mapping, old, new)?;
                    }
                    (YamlNode::Sequence(sequence), Value::Array(old), Value::Array(new)) => {
                        edit_sequence(&sequence, old, new, &ArrayEdit::between(old, new))?;
                    }
                    _ => return None,
                }
            }
        }
        ArrayEdit::Splice { removed, appended } => {
            for index in removed {
                sequence.remove(*index)?;
            }
            for value in *appended {
                match plain(value) {
                    Some(text) => sequence.push(text),
                    None => sequence.push(flow(value)?),
                }
            }
        }
    }
    Some(())
}

fn set(mapping: &Mapping, key: &str, value: &Value) -> Option<()> {
    match plain(value) {
        Some(text) => mapping.set(key, text),
        None => mapping.set(key, flow(value)?),
    }
    Some(())
}

/// A string that needs no quotes.
fn plain(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| is_text_everywhere(text))
}

/// A value in YAML's flow style, which is JSON: a string has quotes.
fn flow(value: &Value) -> Option<YamlNode> {
    let document = Document::from_str(&value.to_string()).ok()?;
    match value {
        Value::Array(_) => document.as_sequence().map(YamlNode::Sequence),
        Value::Object(_) => document.as_mapping().map(YamlNode::Mapping),
        _ => document.as_scalar().map(YamlNode::Scalar),
    }
}
