//! Stage one: what was typed. JSON syntax, keys that stand twice, unknown keys, types.
//!
//! Owns the walk over the JSON tree; every error carries its path. Knows no key by name and no meaning: see
//! `sections`.
//!
//! What many places call is kept from being inlined there: it runs once a configuration, and the size of the module
//! counts more.

use super::error::{Errors, Path, Problem, push_index, push_key};
use super::warning::Notice;
use crate::codec::json::{self, BUFFER_BYTES, Handler, Scalar};
use crate::identifier::listed::trimmed;

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// google.protobuf.Struct makes every number a float, and no key needs more digits.
    Number(f64),
    String(String),
    Array(Vec<Value>),
    /// Keys and values as they were typed.
    Object(Object),
}

/// Keys and values, each key once.
pub(super) type Object = Vec<(String, Value)>;

/// Sets a key; of one that is there, the value is replaced.
#[inline(never)]
pub(super) fn insert(object: &mut Object, key: String, value: Value) {
    match object.iter_mut().find(|(known, _)| *known == key) {
        Some((_, known)) => *known = value,
        None => object.push((key, value)),
    }
}

/// The configuration as it was typed.
pub(super) struct RawConfig(pub(super) Value);

impl RawConfig {
    /// Reads the bytes; nothing, white space and `null` are an empty configuration, and a byte order mark is skipped.
    /// `None`, with the error added, where they are not JSON.
    pub(super) fn read(json: &[u8], errors: &mut Errors) -> Option<Self> {
        if let Some(value) = super::protobuf::read_struct(json) {
            return Some(Self(value));
        }
        let mut json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
        if json.trim_ascii().is_empty() {
            return Some(Self(Value::Object(Object::new())));
        }
        let mut tree = Tree {
            open: Vec::new(),
            whole: Value::Null,
            errors: &mut *errors,
        };
        match json::read(&mut json, BUFFER_BYTES, &mut tree) {
            Ok(()) if tree.whole == Value::Null => Some(Self(Value::Object(Object::new()))),
            Ok(()) => Some(Self(tree.whole)),
            Err(error) => {
                let problem = Problem::Syntax {
                    line: error.line,
                    column: error.column,
                    reason: error.reason,
                };
                errors.add(Path::Root, problem);
                None
            }
        }
    }

    /// The outermost object.
    pub(super) fn root(&self, known: &'static [&'static str], errors: &mut Errors) -> Section<'_> {
        Section::open(Path::Root, Some(&self.0), known, errors)
    }
}

/// Builds a [`Value`] and reports keys that stand twice.
struct Tree<'e> {
    /// The lists and objects that have not ended, outermost first.
    open: Vec<Open>,
    whole: Value,
    errors: &'e mut Errors,
}

enum Open {
    Array(Vec<Value>),
    /// With the key whose value comes next.
    Object(Object, String),
}

impl Tree<'_> {
    #[inline(never)]
    fn add(&mut self, value: Value) {
        match self.open.last_mut() {
            None => self.whole = value,
            Some(Open::Array(list)) => list.push(value),
            Some(Open::Object(object, key)) => insert(object, core::mem::take(key), value),
        }
    }

    #[inline(never)]
    fn report_duplicate(&mut self) {
        let mut path = String::new();
        for open in &self.open {
            match open {
                Open::Array(list) => push_index(&mut path, list.len()),
                Open::Object(_, key) => push_key(&mut path, key),
            }
        }
        self.errors.add_at(path, Problem::DuplicateKey);
    }
}

impl Handler for Tree<'_> {
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
        if let Some(Open::Object(object, key)) = self.open.last_mut() {
            name.clone_into(key);
            if object.iter().any(|(known, _)| known == name) {
                self.report_duplicate();
            }
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

/// One object of the configuration. An object that was not typed reads as one without keys.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    path: Path<'a>,
    object: Option<&'a Object>,
    /// Something else than an object stands there; the one error about that says enough.
    broken: bool,
}

impl<'a> Section<'a> {
    /// Opens `value` as an object with no keys but `known`.
    #[inline(never)]
    pub(super) fn open(
        path: Path<'a>,
        value: Option<&'a Value>,
        known: &'static [&'static str],
        errors: &mut Errors,
    ) -> Self {
        let section = Self::open_map(path, value, "an object with named values, { }", errors);
        for (key, _) in section.entries() {
            if !known.contains(&key.as_str()) {
                errors.add(section.path(key), unknown_key(key, known));
            }
        }
        section
    }

    /// Opens `value` as an object whose keys are the operator's own.
    #[inline(never)]
    fn open_map(
        path: Path<'a>,
        value: Option<&'a Value>,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Self {
        let object = match value {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        };
        let broken = value.is_some() && object.is_none();
        if let (true, Some(value)) = (broken, value) {
            errors.add(path, wrong_type(value, allowed));
        }
        Self {
            path,
            object,
            broken,
        }
    }

    /// The object under `key`, with no keys but `known`. `null` is an object without keys, as YAML writes one.
    #[inline(never)]
    pub(super) fn section<'b>(
        &'b self,
        key: &'b str,
        known: &'static [&'static str],
        errors: &mut Errors,
    ) -> Section<'b> {
        Section::open(self.path(key), self.value_or_null(key), known, errors)
    }

    /// The object under `key`, whose keys are the operator's own.
    #[inline(never)]
    pub(super) fn map<'b>(
        &'b self,
        key: &'b str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Section<'b> {
        Section::open_map(self.path(key), self.value_or_null(key), allowed, errors)
    }

    /// The path of `key`.
    pub(super) fn path<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path::Key(&self.path, key)
    }

    /// Where this object stands.
    pub(super) fn own_path(&self) -> Path<'a> {
        self.path
    }

    /// Something else than an object stands there.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether anything stands under `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// What stands under `key`.
    #[inline(never)]
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        let mut entries = self.object?.iter();
        let (_, value) = entries.find(|(known, _)| known == key)?;
        Some(value)
    }

    fn value_or_null(&self, key: &str) -> Option<&'a Value> {
        self.value(key).filter(|value| **value != Value::Null)
    }

    /// The keys and what stands under them, as they were typed.
    pub(super) fn entries(&self) -> &'a [(String, Value)] {
        self.object.map(Vec::as_slice).unwrap_or_default()
    }

    /// Reports a problem with `key`.
    #[inline(never)]
    pub(super) fn report(&self, key: &str, problem: Problem, errors: &mut Errors) {
        errors.add(self.path(key), problem);
    }

    /// true or false.
    #[inline(never)]
    pub(super) fn boolean(&self, key: &str, default: bool, errors: &mut Errors) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                self.report(
                    key,
                    wrong_type(other, "true or false, without quotes"),
                    errors,
                );
                default
            }
        }
    }

    /// A number.
    #[inline(never)]
    pub(super) fn number(
        &self,
        key: &str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Option<f64> {
        let value = self.value(key)?;
        let number = match value {
            Value::Number(number) => Some(*number),
            Value::String(text) => fraction(text),
            _ => None,
        };
        if number.is_none() {
            self.report(key, wrong_type(value, allowed), errors);
        }
        number
    }

    /// A number, or null for none.
    #[inline(never)]
    pub(super) fn number_or_null(
        &self,
        key: &str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Option<f64> {
        match self.value(key) {
            Some(Value::Null) => None,
            _ => self.number(key, allowed, errors),
        }
    }

    /// A string, without the white space around it.
    #[inline(never)]
    pub(super) fn text(
        &self,
        key: &str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Option<&'a str> {
        let text = self.verbatim_text(key, allowed, errors)?;
        Some(without_white_space(self.path(key), text, errors))
    }

    /// A string as it was typed, white space around it included.
    #[inline(never)]
    pub(super) fn verbatim_text(
        &self,
        key: &str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Option<&'a str> {
        match self.value(key)? {
            Value::String(text) => Some(text),
            other => {
                self.report(key, wrong_type(other, allowed), errors);
                None
            }
        }
    }

    /// The value of `key`, or a report of why there is none.
    pub(super) fn accepted<T>(
        &self,
        key: &str,
        result: Result<T, Problem>,
        errors: &mut Errors,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.report(key, problem, errors);
                None
            }
        }
    }

    /// A list of strings, or one string, which stands for a list of one. `visit` takes each.
    pub(super) fn texts(
        &self,
        key: &str,
        allowed: &'static str,
        visit: &mut dyn FnMut(&'a str) -> Result<(), Problem>,
        errors: &mut Errors,
    ) {
        if let Some(value) = self.value(key) {
            texts(self.path(key), value, allowed, visit, errors);
        }
    }
}

/// `value` as a list of strings, or as one string, which stands for a list of one.
#[inline(never)]
pub(super) fn texts<'a>(
    path: Path<'_>,
    value: &'a Value,
    allowed: &'static str,
    visit: &mut dyn FnMut(&'a str) -> Result<(), Problem>,
    errors: &mut Errors,
) {
    let one = |path: Path<'_>,
               value: &'a Value,
               visit: &mut dyn FnMut(&'a str) -> Result<(), Problem>,
               errors: &mut Errors| {
        let visited = match value {
            Value::String(text) => visit(without_white_space(path, text, errors)),
            other => Err(wrong_type(other, allowed)),
        };
        if let Err(problem) = visited {
            errors.add(path, problem);
        }
    };
    match value {
        Value::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                one(Path::Index(&path, index), element, visit, errors);
            }
        }
        other => one(path, other, visit, errors),
    }
}

/// A value without the white space around it, which is never meant: it comes from a Secret's line end, or a paste.
fn without_white_space<'a>(path: Path<'_>, text: &'a str, errors: &mut Errors) -> &'a str {
    let inner = trimmed(text);
    if inner.len() != text.len() {
        errors.warn(path, Notice::Trimmed);
    }
    inner
}

/// A fraction written as a string: that is how Envoy hands over one that stands in a YAML file without quotes. Whole
/// numbers it hands over as numbers.
fn fraction(text: &str) -> Option<f64> {
    /// So many digits are held exactly.
    const MOST_DIGITS: usize = 15;
    let (whole, part) = text.split_once('.')?;
    let digits = [whole, part].concat();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || whole.is_empty() || part.is_empty() || digits.len() > MOST_DIGITS {
        return None;
    }
    let scale = part.bytes().fold(1.0, |scale, _| scale * 10.0);
    Some(digits.parse::<u64>().ok()? as f64 / scale)
}

/// The error about a value of another type. The value itself is not shown: it may be secret.
#[inline(never)]
pub(super) fn wrong_type(value: &Value, allowed: &'static str) -> Problem {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Problem::WrongType { found, allowed }
}

#[inline(never)]
fn unknown_key(key: &str, known: &'static [&'static str]) -> Problem {
    let nearest = known
        .iter()
        .min_by_key(|candidate| strsim::levenshtein(key, candidate))
        .copied()
        .unwrap_or_default();
    Problem::UnknownKey { nearest, known }
}
