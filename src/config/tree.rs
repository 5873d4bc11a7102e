//! The value tree: the configuration as it was typed, before any key has a meaning. Parses nothing.

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// `google.protobuf.Struct` has only floats, and no key needs more digits.
    Number(f64),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

/// Keys and values in their order, repeated keys included.
pub(super) type Object = Vec<(String, Value)>;

impl Value {
    /// The type, for error messages.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}
