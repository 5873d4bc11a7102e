//! One object of the value tree, with its path and a reader for each type.
//!
//! Owns type checks, unknown and repeated keys, and the paths in errors. Knows no key by name and no default.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::collections::BTreeSet;

use ipnet::IpNet;

use super::error::{Problem, element_path, key_path, shown_number};
use super::report::Report;
use super::tree::Value;
use super::value::{self, DurationRange};
use super::warning::Notice;
use crate::codec::decimal;
use crate::identifier::listed::trimmed;

/// One object of the configuration. An absent object has no keys.
#[derive(Clone)]
pub(super) struct Section<'a> {
    path: String,
    entries: &'a [(String, Value)],
    is_broken: bool,
    is_nullable: bool,
    report: &'a Report,
}

impl<'a> Section<'a> {
    /// Opens `value` as an object that has only `known` keys.
    pub(super) fn open(
        path: String,
        value: Option<&'a Value>,
        known: &'static [&'static str],
        report: &'a Report,
    ) -> Self {
        let section = Self::open_map(path, value, "an object with named values, { }", report);
        for (key, _) in section.entries {
            if !known.contains(&key.as_str()) {
                section.reject(key, unknown_key(key, known));
            }
        }
        section
    }

    /// Opens `value` as an object with any keys.
    fn open_map(
        path: String,
        value: Option<&'a Value>,
        allowed: &'static str,
        report: &'a Report,
    ) -> Self {
        let (entries, wrong) = match value {
            None => (&[][..], None),
            Some(Value::Object(object)) => (object.as_slice(), None),
            Some(other) => (&[][..], Some(other)),
        };
        let section = Self {
            path,
            entries,
            is_broken: wrong.is_some(),
            is_nullable: false,
            report,
        };
        if let Some(wrong) = wrong {
            section.reject_whole(Problem::wrong_type(wrong, allowed));
        }
        let mut seen = BTreeSet::new();
        for (key, _) in entries {
            if !seen.insert(key) {
                section.reject(key, Problem::DuplicateKey);
            }
        }
        section
    }

    /// The object under `key`, which has only `known` keys. `null` is an empty object: YAML has it where all keys are
    /// comments.
    pub(super) fn section(&self, key: &str, known: &'static [&'static str]) -> Section<'a> {
        let value = self.nullable().value(key);
        Section::open(self.path_of(key), value, known, self.report)
    }

    /// The object under `key`, with any keys. `null` is an empty object.
    pub(super) fn map(&self, key: &str, allowed: &'static str) -> Section<'a> {
        let value = self.nullable().value(key);
        Section::open_map(self.path_of(key), value, allowed, self.report)
    }

    /// The list of objects under `key`, each of which has only `known` keys.
    pub(super) fn sections(
        &self,
        key: &str,
        known: &'static [&'static str],
        allowed: &'static str,
    ) -> Option<impl Iterator<Item = Section<'a>> + use<'a>> {
        let list = match self.value(key)? {
            Value::Array(list) => list.as_slice(),
            other => {
                self.reject(key, Problem::wrong_type(other, allowed));
                &[]
            }
        };
        let (path, report) = (self.path_of(key), self.report);
        let open = move |(index, value)| {
            Section::open(element_path(&path, index), Some(value), known, report)
        };
        Some(list.iter().enumerate().map(open))
    }

    /// The same object, where a key with the value `null` is absent.
    pub(super) fn nullable(&self) -> Self {
        Self {
            is_nullable: true,
            ..self.clone()
        }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        key_path(&self.path, key)
    }

    /// Whether the value is not an object. The error about that is enough.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether the object under `section` has `key`.
    pub(super) fn section_has(&self, section: &str, key: &str) -> bool {
        match self.value(section) {
            Some(Value::Object(entries)) => entries.iter().any(|(known, _)| known == key),
            _ => false,
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        let mut from_last = self.entries.iter().rev();
        let (_, value) = from_last.find(|(known, _)| known == key)?;
        Some(value).filter(|value| !self.is_nullable || **value != Value::Null)
    }

    pub(super) fn entries(&self) -> &'a [(String, Value)] {
        self.entries
    }

    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    /// Reports a problem with the value of `key`.
    pub(super) fn reject(&self, key: &str, problem: Problem) {
        self.report.error(self.path_of(key), problem);
    }

    /// Reports a problem with the object itself.
    pub(super) fn reject_whole(&self, problem: Problem) {
        self.report.error(self.path.clone(), problem);
    }

    /// The value, or `None` with the problem reported.
    pub(super) fn accepted<T>(&self, key: &str, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.reject(key, problem)).ok()
    }

    pub(super) fn boolean(&self, key: &str, default: bool) -> bool {
        match self.value(key) {
            None => default,
            Some(Value::Bool(value)) => *value,
            Some(other) => {
                let allowed = "true or false, without quotes";
                self.reject(key, Problem::wrong_type(other, allowed));
                default
            }
        }
    }

    /// A number that passes `is_allowed`.
    pub(super) fn number(
        &self,
        key: &str,
        allowed: &'static str,
        is_allowed: impl FnOnce(f64) -> bool,
    ) -> Option<f64> {
        let value = self.value(key)?;
        let number = match value {
            Value::Number(number) => Some(*number),
            Value::String(text) => decimal(text),
            _ => None,
        };
        let result = match number {
            None => Err(Problem::wrong_type(value, allowed)),
            Some(number) if is_allowed(number) => Ok(number),
            Some(number) => Err(Problem::invalid(shown_number(number), allowed)),
        };
        self.accepted(key, result)
    }

    pub(super) fn whole_number(
        &self,
        key: &str,
        range: RangeInclusive<u8>,
        allowed: &'static str,
    ) -> Option<u8> {
        let range = f64::from(*range.start())..=f64::from(*range.end());
        let is_allowed = |number: f64| number.fract() == 0.0 && range.contains(&number);
        self.number(key, allowed, is_allowed)
            .map(|number| number as u8)
    }

    /// A string, converted by `parse`. White space around it is ignored.
    pub(super) fn text<T>(
        &self,
        key: &str,
        allowed: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, Problem>,
    ) -> Option<T> {
        let text = self.verbatim_text(key, allowed)?;
        self.accepted(key, parse(self.trimmed(text, || self.path_of(key))))
    }

    /// A string with the white space around it.
    pub(super) fn verbatim_text(&self, key: &str, allowed: &'static str) -> Option<&'a str> {
        let result = match self.value(key)? {
            Value::String(text) => Ok(text.as_str()),
            other => Err(Problem::wrong_type(other, allowed)),
        };
        self.accepted(key, result)
    }

    /// The value of the word, of a choice of two.
    pub(super) fn choice<T>(
        &self,
        key: &str,
        choices: [(&str, T); 2],
        allowed: &'static str,
    ) -> Option<T> {
        self.text(key, allowed, |text| {
            let mut choices = choices.into_iter();
            let chosen = choices.find(|(word, _)| *word == text);
            let (_, choice) = chosen.ok_or_else(|| Problem::invalid_text(text, allowed))?;
            Ok(choice)
        })
    }

    /// A list of strings, each converted by `parse`. A single string is a list of one.
    pub(super) fn texts<T>(
        &self,
        key: &str,
        allowed: &'static str,
        mut parse: impl FnMut(&'a str) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        let elements = self.elements(key, allowed)?.into_iter();
        let parse = |(path, text): (String, Result<&'a str, Problem>)| {
            let parsed = text.and_then(&mut parse);
            parsed
                .map_err(|problem| self.report.error(path, problem))
                .ok()
        };
        Some(elements.filter_map(parse).collect())
    }

    /// The strings of a list, each with its path.
    fn elements(
        &self,
        key: &str,
        allowed: &'static str,
    ) -> Option<Vec<(String, Result<&'a str, Problem>)>> {
        let path = self.path_of(key);
        let text = |path: String, value: &'a Value| {
            let text = match value {
                Value::String(text) => Ok(self.trimmed(text, || path.clone())),
                other => Err(Problem::wrong_type(other, allowed)),
            };
            (path, text)
        };
        Some(match self.value(key)? {
            Value::Array(list) => {
                let elements = list.iter().enumerate();
                elements
                    .map(|(index, value)| text(element_path(&path, index), value))
                    .collect()
            }
            other => vec![text(path, other)],
        })
    }

    pub(super) fn duration(&self, key: &str, range: &DurationRange) -> Option<Duration> {
        self.text(key, range.allowed, |text| range.parse(text))
    }

    /// A size in bytes.
    pub(super) fn size(&self, key: &str) -> Option<u64> {
        self.text(key, value::SIZE, value::size)
    }

    /// A list of addresses and ranges.
    pub(super) fn ip_ranges(&self, key: &str) -> Vec<IpNet> {
        let allowed =
            "a list of addresses and CIDR ranges, such as [\"192.0.2.7\", \"2001:db8::/32\"]";
        self.texts(key, allowed, value::ip_range)
            .unwrap_or_default()
    }

    /// White space around a value is unintended: the line end of a Secret, or pasted text.
    fn trimmed(&self, text: &'a str, path: impl Fn() -> String) -> &'a str {
        let inner = trimmed(text);
        if inner.len() != text.len() {
            self.report.warning(path(), Notice::Trimmed);
        }
        inner
    }
}

/// A decimal fraction in a string: Envoy passes an unquoted fraction of a YAML file in this form, but whole numbers as
/// numbers.
fn decimal(text: &str) -> Option<f64> {
    let (whole, part) = text.split_once('.')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_digits(whole) && is_digits(part)).then(|| decimal::parse(text))?
}

fn unknown_key(key: &str, known: &'static [&'static str]) -> Problem {
    let nearest = known
        .iter()
        .min_by_key(|candidate| strsim::levenshtein(key, candidate))
        .copied()
        .unwrap_or_default();
    Problem::UnknownKey { nearest, known }
}
