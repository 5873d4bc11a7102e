//! Edits a JSON text in place: layout, order and everything else stay as written.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::array_edit::ArrayEdit;

/// The text with `new` in place of `old`; `None` where the text does not match `old`.
pub fn replace(text: &str, old: &Value, new: &Value) -> Option<String> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    if !edit(&root.value()?, old, new)? {
        root.set_value(input(new));
    }
    Some(root.to_string())
}

/// Edits a value in place; `false` where it must be replaced as a whole.
fn edit(node: &CstNode, old: &Value, new: &Value) -> Option<bool> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => edit_object(&node.as_object()?, old, new)?,
        (Value::Array(old), Value::Array(new)) => {
            let edit = ArrayEdit::between(old, new);
            if edit.is_large() {
                return Some(false);
            }
            edit_array(&node.as_array()?, old, new, &edit)?;
        }
        _ => return Some(false),
    }
    Some(true)
}

fn edit_object(
    object: &CstObject,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Option<()> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        object.get(key)?.remove();
    }
    for (key, new) in new {
        match old.get(key) {
            None => {
                object.append(key, input(new));
            }
            Some(old) if old == new => {}
            Some(old) => {
                let property = object.get(key)?;
                if !edit(&property.value()?, old, new)? {
                    property.set_value(input(new));
                }
            }
        }
    }
    Some(())
}

fn edit_array(array: &CstArray, old: &[Value], new: &[Value], how: &ArrayEdit<'_>) -> Option<()> {
    match how {
        ArrayEdit::InPlace => {
            for ((element, old), new) in array.elements().into_iter().zip(old).zip(new) {
                if old != new && !edit(&element, old, new)? {
                    // Only objects and arrays are edited in place.
                    match element.as_array() {
                        Some(array) => array.replace_with(input(new)),
                        None => element.as_object()?.replace_with(input(new)),
                    };
                }
            }
        }
        ArrayEdit::Splice { removed, appended } => {
            for index in removed {
                array.elements().into_iter().nth(*index)?.remove();
            }
            for value in *appended {
                array.append(input(value));
            }
        }
    }
    Some(())
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(object) => {
            let entries = object
                .iter()
                .map(|(key, value)| (key.clone(), input(value)));
            CstInputValue::Object(entries.collect())
        }
    }
}
