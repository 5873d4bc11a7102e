//! Stage one: what was typed. JSON syntax, keys that stand twice, unknown keys, types.
//!
//! Owns the walk over the JSON tree; every error carries its path. Knows no key by name and no meaning: see
//! `sections`.
//!
//! What many places call is kept from being inlined there: it runs once a configuration, and the size of the module
//! counts more.

use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::{Errors, Path, Problem};

/// The configuration as it was typed.
pub(super) struct RawConfig(Value);

impl RawConfig {
    /// Reads the bytes; none at all are an empty configuration. `None`, with the error added, where they are not JSON.
    pub(super) fn read(json: &[u8], errors: &mut Errors) -> Option<Self> {
        if json.is_empty() {
            return Some(Self(Value::Object(Map::new())));
        }
        if let Some(value) = super::protobuf::read_struct(json) {
            return Some(Self(value));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let tree = Tree {
            path: &Path::Root,
            errors: &mut *errors,
        };
        let read = tree
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        match read {
            Ok(value) => Some(Self(value)),
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let text = error.to_string();
                // The parser tells the place behind the reason; here it is told apart.
                let place = format!(" at line {line} column {column}");
                let problem = Problem::Syntax {
                    line,
                    column,
                    reason: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
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

/// Builds a [`Value`] and reports keys that stand twice, of which a plain `Value` silently keeps the last.
struct Tree<'a, 'e> {
    path: &'a Path<'a>,
    errors: &'e mut Errors,
}

impl<'de> DeserializeSeed<'de> for Tree<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Path::Index(self.path, list.len());
            let element = Tree {
                path: &path,
                errors: &mut *self.errors,
            };
            match access.next_element_seed(element)? {
                Some(value) => list.push(value),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let path = Path::Key(self.path, &key);
            let value = access.next_value_seed(Tree {
                path: &path,
                errors: &mut *self.errors,
            })?;
            if object.contains_key(&key) {
                self.errors.add(path, Problem::DuplicateKey);
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// One object of the configuration. An object that was not typed reads as one without keys.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    path: Path<'a>,
    object: Option<&'a Map<String, Value>>,
    /// Something else than an object stands there; the one error about that says enough.
    broken: bool,
}

impl<'a> Section<'a> {
    /// Opens `value` as an object with no keys but `known`.
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
    fn open_map(
        path: Path<'a>,
        value: Option<&'a Value>,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Self {
        let object = value.and_then(Value::as_object);
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

    /// The object under `key`, with no keys but `known`.
    pub(super) fn section<'b>(
        &'b self,
        key: &'b str,
        known: &'static [&'static str],
        errors: &mut Errors,
    ) -> Section<'b> {
        Section::open(self.path(key), self.value(key), known, errors)
    }

    /// The object under `key`, whose keys are the operator's own.
    pub(super) fn map<'b>(
        &'b self,
        key: &'b str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Section<'b> {
        Section::open_map(self.path(key), self.value(key), allowed, errors)
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
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.object.and_then(|object| object.get(key))
    }

    /// The keys and what stands under them, in the order in which `serde_json` keeps them.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        let mut entries = self.object.map(Map::iter);
        core::iter::from_fn(move || entries.as_mut()?.next())
    }

    /// Reports a problem with `key`.
    pub(super) fn report(&self, key: &str, problem: Problem, errors: &mut Errors) {
        errors.add(self.path(key), problem);
    }

    /// true or false.
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

    /// A number. google.protobuf.Struct makes every number a float, so 403 and 403.0 are the same.
    pub(super) fn number(
        &self,
        key: &str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Option<f64> {
        let value = self.value(key)?;
        let number = value.as_f64();
        if number.is_none() {
            self.report(key, wrong_type(value, allowed), errors);
        }
        number
    }

    /// A number, or null for none.
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

    /// A string.
    pub(super) fn text(
        &self,
        key: &str,
        allowed: &'static str,
        errors: &mut Errors,
    ) -> Option<&'a str> {
        let value = self.value(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.report(key, wrong_type(value, allowed), errors);
        }
        text
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
pub(super) fn texts<'a>(
    path: Path<'_>,
    value: &'a Value,
    allowed: &'static str,
    visit: &mut dyn FnMut(&'a str) -> Result<(), Problem>,
    errors: &mut Errors,
) {
    let mut one = |path: Path<'_>, value: &'a Value| {
        let visited = match value {
            Value::String(text) => visit(text),
            other => Err(wrong_type(other, allowed)),
        };
        if let Err(problem) = visited {
            errors.add(path, problem);
        }
    };
    match value {
        Value::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                one(Path::Index(&path, index), element);
            }
        }
        other => one(path, other),
    }
}

/// The error about a value of another type. The value itself is not shown: it may be secret.
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

fn unknown_key(key: &str, known: &'static [&'static str]) -> Problem {
    let nearest = known
        .iter()
        .min_by_key(|candidate| strsim::levenshtein(key, candidate))
        .copied()
        .unwrap_or_default();
    Problem::UnknownKey { nearest, known }
}
