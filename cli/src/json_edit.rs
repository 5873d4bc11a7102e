//! The least change of a JSON text that gives another value: layout, order and all else stay as written.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

use super::document::{ArrayChange, array_change, is_large_change};

/// The text with `new` in place of `old`; `None` where the text does not look as `old` says.
pub fn replace(text: &str, old: &Value, new: &Value) -> Option<String> {
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => edit_object(&root.object_value()?, old, new)?,
        (Value::Array(old), Value::Array(new)) if !is_large_change(old, new) => {
            edit_array(&root.array_value()?, old, new)?;
        }
        _ => root.set_value(input(new)),
    }
    Some(root.to_string())
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
        let Some(old) = old.get(key) else {
            object.append(key, input(new));
            continue;
        };
        if old == new {
            continue;
        }
        let property = object.get(key)?;
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                edit_object(&property.object_value()?, old, new)?;
            }
            (Value::Array(old), Value::Array(new)) if !is_large_change(old, new) => {
                edit_array(&property.array_value()?, old, new)?;
            }
            _ => property.set_value(input(new)),
        }
    }
    Some(())
}

fn edit_array(array: &CstArray, old: &[Value], new: &[Value]) -> Option<()> {
    match array_change(old, new) {
        ArrayChange::InPlace => {
            for ((element, old), new) in array.elements().into_iter().zip(old).zip(new) {
                if old != new {
                    edit_element(element, old, new)?;
                }
            }
        }
        ArrayChange::Edit { removed, appended } => {
            for index in removed {
                array.elements().into_iter().nth(index)?.remove();
            }
            for value in appended {
                array.append(input(value));
            }
        }
    }
    Some(())
}

fn edit_element(element: CstNode, old: &Value, new: &Value) -> Option<()> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => edit_object(&element.as_object()?, old, new),
        (Value::Array(old), Value::Array(new)) if !is_large_change(old, new) => {
            edit_array(&element.as_array()?, old, new)
        }
        // Arrays are changed in place only where both sides are objects or arrays.
        (_, Value::Object(_)) => element.as_array()?.replace_with(input(new)).map(|_| ()),
        (Value::Object(_), _) => element.as_object()?.replace_with(input(new)).map(|_| ()),
        _ => element.as_array()?.replace_with(input(new)).map(|_| ()),
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(object) => CstInputValue::Object(
            object
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}
