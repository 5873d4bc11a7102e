//! JSON (RFC 8259) as a stream of events; the only parser of JSON in the core.
//!
//! All texts use the same `Visitor`, so that the module contains the parser once. Knows no key and no meaning.

use core::fmt;
use std::io::{self, BufReader, Read};

use serde::de::{self, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess};
use serde_json::error::Category;

/// The size of one read of a long text.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// A value that is neither a list nor an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number from 0.
    Unsigned(u64),
    /// A whole number below 0.
    Negative(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(&'a str),
}

/// Receives the events of a JSON text, in its order.
pub trait Handler {
    /// A value that is neither a list nor an object. `false` stops the reader.
    fn scalar(&mut self, value: Scalar<'_>) -> bool;
    /// A list begins. `false` skips it: no event follows for its elements or its end.
    fn begin_list(&mut self) -> bool;
    /// An object begins. `false` skips it: no event follows for its content or its end.
    fn begin_object(&mut self) -> bool;
    /// A key of the innermost object. `false` skips its value.
    fn key(&mut self, name: &str) -> bool;
    /// The innermost list or object ends.
    fn end(&mut self);
}

/// Why a text could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Line of the error, from 1.
    pub line: usize,
    /// Column of the error, in bytes from 1.
    pub column: usize,
    /// The parser's description, which quotes nothing of the text.
    pub reason: String,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It could not be read.
    Read(io::ErrorKind),
    /// It ends before its value does.
    Truncated,
    /// It is not JSON.
    Syntax,
    /// Something follows its value.
    Trailing,
    /// Nothing: the handler stopped the reader.
    Stopped,
}

impl JsonError {
    fn new(error: &serde_json::Error, syntax: ErrorKind) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let position = format!(" at line {line} column {column}");
        let (kind, reason) = match error.classify() {
            Category::Io => (
                ErrorKind::Read(error.io_error_kind().unwrap_or(io::ErrorKind::Other)),
                "it can't be read",
            ),
            Category::Eof => (ErrorKind::Truncated, "it ends too early"),
            // The visitor accepts every type, so only the handler causes such an error.
            Category::Data => (ErrorKind::Stopped, "the rest is not read"),
            Category::Syntax => (syntax, text.strip_suffix(&position).unwrap_or(&text)),
        };
        Self {
            kind,
            line,
            column,
            reason: reason.to_owned(),
        }
    }
}

/// Reads a text that is one JSON value, `buffer_bytes` at a time.
///
/// Values nest at most 128 deep; skipped ones may nest to any depth.
///
/// # Errors
///
/// See [`ErrorKind`]. Events before an error cover only a prefix of the text; discard them.
pub fn read(
    body: &mut dyn Read,
    buffer_bytes: usize,
    handler: &mut dyn Handler,
) -> Result<(), JsonError> {
    let buffered = BufReader::with_capacity(buffer_bytes, body);
    let mut json = serde_json::Deserializer::from_reader(buffered);
    Visitor { handler }
        .deserialize(&mut json)
        .map_err(|error| JsonError::new(&error, ErrorKind::Syntax))?;
    json.end()
        .map_err(|error| JsonError::new(&error, ErrorKind::Trailing))
}

/// Reads a text that is one JSON value. Calls `visit` with it, unless it is a list or an object.
///
/// # Errors
///
/// See [`read`].
pub fn read_scalar(text: &[u8], visit: &mut dyn FnMut(Scalar<'_>)) -> Result<(), JsonError> {
    let length = text.len();
    read(&mut { text }, length, &mut ScalarHandler { visit })
}

/// Passes on one scalar.
struct ScalarHandler<'v> {
    visit: &'v mut dyn FnMut(Scalar<'_>),
}

impl Handler for ScalarHandler<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        (self.visit)(value);
        true
    }

    fn begin_list(&mut self) -> bool {
        false
    }

    fn begin_object(&mut self) -> bool {
        false
    }

    fn key(&mut self, _: &str) -> bool {
        false
    }

    fn end(&mut self) {}
}

/// Reports one value to the handler.
struct Visitor<'a, 'h> {
    handler: &'a mut (dyn Handler + 'h),
}

impl Visitor<'_, '_> {
    fn scalar<E: Error>(self, value: Scalar<'_>) -> Result<(), E> {
        match self.handler.scalar(value) {
            true => Ok(()),
            false => Err(E::custom("stopped")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Visitor<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Visitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Scalar::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Scalar::Negative(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Scalar::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let handler = self.handler;
        if !handler.begin_list() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while list.next_element_seed(Visitor { handler })?.is_some() {}
        handler.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let handler = self.handler;
        if !handler.begin_object() {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(is_wanted) = object.next_key_seed(KeyVisitor { handler })? {
            if is_wanted {
                object.next_value_seed(Visitor { handler })?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        handler.end();
        Ok(())
    }
}

/// Reports a key to the handler; returns whether its value is wanted.
struct KeyVisitor<'a, 'h> {
    handler: &'a mut (dyn Handler + 'h),
}

impl<'de> DeserializeSeed<'de> for KeyVisitor<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl de::Visitor<'_> for KeyVisitor<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.handler.key(name))
    }
}

#[cfg(test)]
mod tests;
