//! Configuration bytes to the value tree.
//!
//! Owns the formats: JSON, a serialized `google.protobuf.Struct`, and empty input. Knows no key.

use super::error::Problem;
use super::protobuf::read_struct;
use super::tree::{Object, Value};
use crate::codec::json::{self, BUFFER_BYTES, Handler, Scalar};

/// Reads the bytes. Empty input, white space and `null` are an empty object; a byte order mark is skipped.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Problem> {
    if let Some(value) = read_struct(bytes) {
        return Ok(value);
    }
    let mut json = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut builder = Builder::default();
    if !json.trim_ascii().is_empty() {
        json::read(&mut json, BUFFER_BYTES, &mut builder).map_err(|error| Problem::Syntax {
            line: error.line,
            column: error.column,
            reason: error.reason,
        })?;
    }
    Ok(builder.root.unwrap_or(Value::Object(Object::new())))
}

/// Builds a [`Value`] from parser events.
#[derive(Default)]
struct Builder {
    /// Lists and objects that have not ended, outermost first.
    open: Vec<Open>,
    /// The finished tree; `None` for `null`.
    root: Option<Value>,
}

enum Open {
    Array(Vec<Value>),
    /// With the key of the next value.
    Object(Object, String),
}

impl Builder {
    fn add(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.root = Some(value).filter(|value| *value != Value::Null),
            Some(Open::Array(list)) => list.push(value),
            Some(Open::Object(object, key)) => object.push((core::mem::take(key), value)),
        }
    }
}

impl Handler for Builder {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        self.add(match value {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Unsigned(number) => Value::Number(number as f64),
            Scalar::Negative(number) => Value::Number(number as f64),
            Scalar::Float(number) => Value::Number(number),
            Scalar::Text(text) => Value::String(text.to_owned()),
        });
        true
    }

    fn begin_list(&mut self) -> bool {
        self.open.push(Open::Array(Vec::new()));
        true
    }

    fn begin_object(&mut self) -> bool {
        self.open.push(Open::Object(Object::new(), String::new()));
        true
    }

    fn key(&mut self, name: &str) -> bool {
        if let Some(Open::Object(_, key)) = self.open.last_mut() {
            name.clone_into(key);
        }
        true
    }

    fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Array(list)) => self.add(Value::Array(list)),
            Some(Open::Object(object, _)) => self.add(Value::Object(object)),
            None => {}
        }
    }
}
