//! JSON values that are neither a list nor an object: as the text of an entry, and as a word in an error.

use core::fmt;
use std::borrow::Cow;

use crate::codec::decimal;
use crate::codec::json::Scalar;
use crate::identifier::listed::Unusable;

/// Decimal numbers with up to this many digits survive the conversion to a float and back.
const EXACT_DIGITS: usize = 15;

/// The shape of a JSON value, without its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// A list.
    List,
    /// An object with this many keys.
    Object(u64),
    /// An object with keys.
    SomeObject,
}

impl Shape {
    /// That of a scalar.
    pub const fn of(value: Scalar<'_>) -> Self {
        match value {
            Scalar::Null => Shape::Null,
            Scalar::Bool(_) => Shape::Bool,
            Scalar::Unsigned(_) | Scalar::Negative(_) | Scalar::Float(_) => Shape::Number,
            Scalar::Text(_) => Shape::Text,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Null => f.write_str("null"),
            Shape::Bool => f.write_str("a boolean"),
            Shape::Number => f.write_str("a number"),
            Shape::Text => f.write_str("a string"),
            Shape::List => f.write_str("a list"),
            Shape::Object(0) => f.write_str("an empty object"),
            Shape::Object(1) => f.write_str("an object with 1 key"),
            Shape::Object(n) => write!(f, "an object with {n} keys"),
            Shape::SomeObject => f.write_str("an object"),
        }
    }
}

/// The text of an entry.
///
/// # Errors
///
/// It has none, or it is a number that can't be read exactly.
pub fn entry_text(value: Scalar<'_>) -> Result<Cow<'_, str>, Unusable> {
    match value {
        Scalar::Text(text) => Ok(text.into()),
        Scalar::Unsigned(number) => Ok(number.to_string().into()),
        Scalar::Negative(number) => Ok(number.to_string().into()),
        Scalar::Float(number) => {
            let text = decimal::short_text(number);
            let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
            let is_exact = n_digits <= EXACT_DIGITS && !text.contains('e');
            match is_exact {
                true => Ok(text.into()),
                false => Err(Unusable::LongNumber),
            }
        }
        Scalar::Null => Err(Unusable::Null),
        Scalar::Bool(_) => Err(Unusable::WrongType),
    }
}
