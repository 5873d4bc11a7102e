//! JSON (RFC 8259) as a stream of events: the one place where it is parsed.
//!
//! serde makes a copy of the parser for each type that is read and for each kind of reader. All that reads JSON here goes
//! through one walk and one kind of reader, so that the module holds one copy. Knows no key and no meaning.

use core::cell::Cell;
use core::fmt;
use std::io::{self, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

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
    /// What was expected there; one of a fixed set of texts, which holds nothing of the text read.
    pub reason: &'static str,
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

const VALUE: &str = "expected value";
const SHALLOW_VALUE: &str =
    "expected a value that is no list or object: they nest at most 127 deep";
const IN_LIST: &str = "expected `,` or `]` after a value, else a value";
const IN_OBJECT: &str = "expected `,` or `}` after a value, else a key in double quotes";
const AFTER_KEY: &str = "expected `:` and value";
const PASSED_OVER: &str = "expected JSON";

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
    body: &mut dyn Read,
    buffer_bytes: usize,
    events: &mut dyn Events,
) -> Result<(), JsonError> {
    let progress = Progress {
        stopped: Cell::new(false),
        expected: Cell::new(VALUE),
    };
    let feed = Feed {
        body,
        progress: &progress,
    };
    let buffered = BufReader::with_capacity(buffer_bytes, feed);
    let mut json = serde_json::Deserializer::from_reader(buffered);
    let walk = Walk {
        events,
        progress: &progress,
        depth: 0,
    };
    let (error, fault, reason) = match walk.deserialize(&mut json) {
        Ok(()) => match json.end() {
            Ok(()) => return progress.outcome(),
            Err(error) => (error, Fault::Trailing, "trailing characters"),
        },
        Err(error) => (error, Fault::Syntax, progress.expected.get()),
    };
    progress.outcome()?;
    // The parser's own words are not used: with them come those for all errors of the operating system, 6 KB.
    let (fault, reason) = match error.io_error_kind() {
        Some(kind) => (Fault::Read(kind), "it can't be read"),
        None if error.is_eof() => (Fault::Truncated, "it ends too early"),
        None => (fault, reason),
    };
    Err(JsonError {
        fault,
        line: error.line(),
        column: error.column(),
        reason,
    })
}

/// What the walk and what is around it tell each other.
struct Progress {
    /// An event ended the reading.
    stopped: Cell<bool>,
    /// What may come next.
    expected: Cell<&'static str>,
}

impl Progress {
    fn outcome(&self) -> Result<(), JsonError> {
        match self.stopped.get() {
            false => Ok(()),
            true => Err(JsonError {
                fault: Fault::Stopped,
                line: 0,
                column: 0,
                reason: "it is not read to its end",
            }),
        }
    }
}

/// The body, which ends early where an event ends the reading: an error of our own on the way would bring serde_json's
/// reader of errors into the module.
struct Feed<'b> {
    body: &'b mut dyn Read,
    progress: &'b Progress,
}

impl Read for Feed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.progress.stopped.get() {
            return Err(io::ErrorKind::Other.into());
        }
        self.body.read(out)
    }
}

/// One value, told to `events`.
struct Walk<'a, 'e> {
    events: &'a mut (dyn Events + 'e),
    progress: &'a Progress,
    /// In how many lists and objects it stands.
    depth: u8,
}

impl<'e> Walk<'_, 'e> {
    fn inside(&mut self) -> Walk<'_, 'e> {
        Walk {
            events: self.events,
            progress: self.progress,
            depth: self.depth.saturating_add(1),
        }
    }

    fn is_stopped(&self) -> bool {
        self.progress.stopped.get()
    }

    fn expect(&self, what: &'static str) {
        self.progress.expected.set(what);
    }

    #[inline(never)]
    fn scalar(self, value: Scalar<'_>) {
        if !self.is_stopped() && !self.events.scalar(value) {
            self.progress.stopped.set(true);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.expect(if self.depth < 127 {
            VALUE
        } else {
            SHALLOW_VALUE
        });
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
        if self.is_stopped() || !self.events.begin_list() {
            self.expect(PASSED_OVER);
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        loop {
            self.expect(IN_LIST);
            if list.next_element_seed(self.inside())?.is_none() {
                break;
            }
        }
        self.events.end();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<(), A::Error> {
        let is_wanted = !self.is_stopped() && self.events.begin_object();
        loop {
            self.expect(IN_OBJECT);
            let is_wanted = is_wanted && !self.is_stopped();
            let events = &mut *self.events;
            let Some(is_key_wanted) = object.next_key_seed(Key { events, is_wanted })? else {
                break;
            };
            self.expect(AFTER_KEY);
            if is_key_wanted {
                object.next_value_seed(self.inside())?;
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
        let deep = "[".repeat(200);
        let table = [
            ("", Fault::Truncated, 0, "it ends too early"),
            ("{", Fault::Truncated, 1, "it ends too early"),
            (r#"{"a": tru"#, Fault::Truncated, 9, "it ends too early"),
            ("<html>", Fault::Syntax, 1, VALUE),
            ("nil", Fault::Syntax, 2, VALUE),
            ("[\"\\x\"]", Fault::Syntax, 4, VALUE),
            ("[1,]", Fault::Syntax, 4, IN_LIST),
            ("[1 2]", Fault::Syntax, 4, IN_LIST),
            ("{a}", Fault::Syntax, 2, IN_OBJECT),
            (r#"{"a":1,}"#, Fault::Syntax, 8, IN_OBJECT),
            (r#"{"a" 1}"#, Fault::Syntax, 6, AFTER_KEY),
            (r#"{"skip":[1}"#, Fault::Syntax, 11, AFTER_KEY),
            (&deep, Fault::Syntax, 128, SHALLOW_VALUE),
            ("{} x", Fault::Trailing, 4, "trailing characters"),
        ];
        for (text, fault, column, reason) in table {
            let error = read(&mut text.as_bytes(), 16, &mut Told::default()).unwrap_err();
            let expected = JsonError {
                fault,
                line: 1,
                column,
                reason,
            };
            assert_eq!(error, expected, "{text}");
        }
        let error = read(&mut Broken, 16, &mut Told::default()).unwrap_err();
        assert_eq!(error.fault, Fault::Read(io::ErrorKind::InvalidData));
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::InvalidData.into())
        }
    }
}
