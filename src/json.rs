//! JSON (RFC 8259) as a stream of events: the one place where it is parsed.
//!
//! serde makes a copy of the parser for each type that is read and for each kind of reader. All that reads JSON here goes
//! through one walk and one kind of reader, so that the module holds one copy. Knows no key and no meaning.

use core::cell::Cell;
use core::fmt;
use std::io::{self, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::byte_source::ByteSource;

/// A value that holds no others.
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

/// Takes what stands in a JSON text, in its order.
pub trait Events {
    /// A value that holds no others. `false` ends the reading.
    fn scalar(&mut self, value: Scalar<'_>) -> bool;
    /// A list begins. `false`: its elements are passed over, and its end is not told.
    fn begin_list(&mut self) -> bool;
    /// An object begins. `false`: what is in it is passed over, and its end is not told.
    fn begin_object(&mut self) -> bool;
    /// A key of the object that began last. `false`: its value is passed over.
    fn key(&mut self, name: &str) -> bool;
    /// The list or object that began last ends.
    fn end(&mut self);
}

/// Why a text could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub fault: Fault,
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault, in bytes from 1.
    pub column: usize,
    /// What the parser expected; one of a fixed set of texts, which holds nothing of the text read.
    pub reason: String,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It could not be read.
    Read(io::ErrorKind),
    /// It ends before its value does.
    Truncated,
    /// It is not JSON.
    Syntax,
    /// Something follows its value.
    Trailing,
    /// Nothing: an event ended the reading.
    Stopped,
}

impl JsonError {
    fn new(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let mut reason = error.to_string();
        // The parser tells the place behind the reason; here it is told apart.
        let place = format!(" at line {line} column {column}");
        if reason.ends_with(&place) {
            reason.truncate(reason.len().saturating_sub(place.len()));
        }
        let fault = match error.io_error_kind() {
            Some(kind) => Fault::Read(kind),
            None if error.is_eof() => Fault::Truncated,
            None => Fault::Syntax,
        };
        Self {
            fault,
            line,
            column,
            reason,
        }
    }
}

/// The parser asks for one byte at a time: this many are taken from the body at once.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Reads a text that is one JSON value, `buffer_bytes` at a time.
///
/// Values nest 128 deep at most, but however deep where they are passed over.
///
/// # Errors
///
/// See [`Fault`]. What was told before an error is part of a text, and not to be taken for the whole.
pub fn read(
    body: &mut dyn ByteSource,
    buffer_bytes: usize,
    events: &mut dyn Events,
) -> Result<(), JsonError> {
    let stopped = Cell::new(false);
    let feed = Feed {
        body,
        stopped: &stopped,
    };
    let buffered = BufReader::with_capacity(buffer_bytes, feed);
    let mut json = serde_json::Deserializer::from_reader(buffered);
    let walk = Walk {
        events,
        stopped: &stopped,
    };
    let walked = walk.deserialize(&mut json);
    let outcome = walked.map_err(|error| JsonError::new(&error));
    let outcome = outcome.and_then(|()| {
        json.end().map_err(|error| {
            let error = JsonError::new(&error);
            match error.fault {
                Fault::Syntax => JsonError {
                    fault: Fault::Trailing,
                    ..error
                },
                _ => error,
            }
        })
    });
    if stopped.get() {
        return Err(JsonError {
            fault: Fault::Stopped,
            line: 0,
            column: 0,
            reason: String::new(),
        });
    }
    outcome
}

/// The body, which ends early where an event ends the reading: an error of our own on the way would bring serde_json's
/// reader of errors into the module.
struct Feed<'b> {
    body: &'b mut dyn ByteSource,
    stopped: &'b Cell<bool>,
}

impl Read for Feed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.stopped.get() {
            return Err(io::ErrorKind::Other.into());
        }
        self.body.read_some(out)
    }
}

/// One value, told to `events`.
struct Walk<'a, 'e> {
    events: &'a mut (dyn Events + 'e),
    stopped: &'a Cell<bool>,
}

impl<'e> Walk<'_, 'e> {
    fn again(&mut self) -> Walk<'_, 'e> {
        Walk {
            events: self.events,
            stopped: self.stopped,
        }
    }

    #[inline(never)]
    fn scalar(self, value: Scalar<'_>) {
        if !self.stopped.get() && !self.events.scalar(value) {
            self.stopped.set(true);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(Scalar::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.scalar(Scalar::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(Scalar::Unsigned(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(Scalar::Negative(value));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(Scalar::Float(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.scalar(Scalar::Text(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        if self.stopped.get() || !self.events.begin_list() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while list.next_element_seed(self.again())?.is_some() {}
        self.events.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let is_wanted = !self.stopped.get() && self.events.begin_object();
        while let Some(is_key_wanted) = object.next_key_seed(Key {
            events: self.events,
            is_wanted: is_wanted && !self.stopped.get(),
        })? {
            if is_key_wanted {
                object.next_value_seed(self.again())?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        if is_wanted {
            self.events.end();
        }
        Ok(())
    }
}

/// A key, told to `events`; read to whether its value is wanted.
struct Key<'a, 'e> {
    events: &'a mut (dyn Events + 'e),
    is_wanted: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(self.is_wanted && self.events.key(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Writes down what it is told; passes over what stands under `skip`, and ends at the string `stop`.
    #[derive(Default)]
    struct Told(Vec<String>);

    impl Events for Told {
        fn scalar(&mut self, value: Scalar<'_>) -> bool {
            self.0.push(format!("{value:?}"));
            value != Scalar::Text("stop")
        }
        fn begin_list(&mut self) -> bool {
            self.0.push("[".to_owned());
            true
        }
        fn begin_object(&mut self) -> bool {
            self.0.push("{".to_owned());
            self.0.len() < 100
        }
        fn key(&mut self, name: &str) -> bool {
            self.0.push(format!("{name}:"));
            name != "skip"
        }
        fn end(&mut self) {
            self.0.push("end".to_owned());
        }
    }

    fn told(text: &str) -> (String, Result<(), Fault>) {
        let mut told = Told::default();
        let outcome = read(&mut text.as_bytes(), 3, &mut told);
        (told.0.join(" "), outcome.map_err(|error| error.fault))
    }

    #[test]
    fn everything_is_told_in_its_order() {
        let text = r#" {"a": [null, true, 1, -1, 1.5, "\u0041b"], "skip": {"b": [1]}, "c": {}} "#;
        let expected = "{ a: [ Null Bool(true) Unsigned(1) Negative(-1) Float(1.5) Text(\"Ab\") end skip: c: { end end";
        assert_eq!(told(text), (expected.to_owned(), Ok(())));
    }

    #[test]
    fn an_event_ends_the_reading_and_nothing_more_is_told() {
        let text = r#"["stop", {"a": 1}, [2], 3]"#;
        let expected = ("[ Text(\"stop\")".to_owned(), Err(Fault::Stopped));
        assert_eq!(told(text).1, expected.1);
        assert!(told(text).0.starts_with(&expected.0));
        assert!(!told(text).0.contains("Unsigned"));
        // What follows need not even be JSON.
        assert_eq!(told(r#"["stop" and more"#).1, Err(Fault::Stopped));
    }

    #[test]
    fn what_is_passed_over_may_nest_without_end() {
        let nested = [
            r#"{"skip":"#,
            &"[".repeat(100_000),
            &"]".repeat(100_000),
            "}",
        ]
        .concat();
        assert_eq!(told(&nested), ("{ skip: end".to_owned(), Ok(())));
        let told_of = "[".repeat(1_000);
        assert_eq!(told(&told_of).1, Err(Fault::Syntax));
    }

    #[test]
    fn every_fault_has_its_place() {
        let table = [
            ("", Fault::Truncated),
            ("{", Fault::Truncated),
            (r#"{"a": tru"#, Fault::Truncated),
            ("{a}", Fault::Syntax),
            ("[1,]", Fault::Syntax),
            ("{} x", Fault::Trailing),
        ];
        for (text, fault) in table {
            let error = read(&mut text.as_bytes(), 16, &mut Told::default()).unwrap_err();
            assert_eq!(error.fault, fault, "{text}");
            assert_eq!(error.line, 1, "{text}");
            assert!(!error.reason.contains(" at line "), "{}", error.reason);
        }
    }
}
