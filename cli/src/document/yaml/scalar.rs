//! How Envoy and Kubernetes read a scalar.
//!
//! Envoy: yaml-cpp's `convert<bool>` and `convert<int64_t>`, then a string; a test compares this with a real Envoy.
//! Kubernetes: the `resolve` of go-yaml v2, which `kubectl` and the API server use.

use saphyr_parser::Tag;
use serde_json::{Number, Value, json};

/// A scalar as written.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Without quotes and escapes.
    pub text: String,
    /// Neither quoted nor a block.
    pub is_plain: bool,
    /// Such as `!!str`.
    pub tag: Option<Tag>,
}

/// The reader of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Envoy: bootstrap, LDS and ECDS files.
    Envoy,
    /// Kubernetes: manifests.
    Kubernetes,
}

impl Dialect {
    /// The value of a scalar.
    pub fn read(self, scalar: &Scalar) -> Value {
        let tag = scalar.tag.as_ref().filter(|tag| !is_string_tag(tag, self));
        let resolves = match (&scalar.tag, tag) {
            (None, _) => scalar.is_plain,
            (Some(_), tag) => tag.is_some(),
        };
        if !resolves {
            return Value::String(scalar.text.clone());
        }
        self.resolve(&scalar.text)
    }

    /// A scalar as a key, which is a string to both.
    pub fn key(self, scalar: &Scalar) -> String {
        match (self, self.read(scalar)) {
            (_, Value::Null) => "null".to_owned(),
            (Dialect::Envoy, _) => scalar.text.clone(),
            (Dialect::Kubernetes, Value::String(text)) => text,
            (Dialect::Kubernetes, other) => other.to_string(),
        }
    }

    /// Whether this key merges the entries of another object. Envoy has no such key.
    pub fn merges(self, scalar: &Scalar) -> bool {
        self == Dialect::Kubernetes && scalar.is_plain && scalar.text == "<<"
    }

    fn resolve(self, text: &str) -> Value {
        if is_null(text) {
            return Value::Null;
        }
        if let Some(value) = boolean(text) {
            return Value::Bool(value);
        }
        let number = match self {
            Dialect::Envoy => envoy_number(text),
            Dialect::Kubernetes => kubernetes_number(text),
        };
        number.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

/// Whether a text without quotes is a string to every reader.
pub fn is_text_everywhere(text: &str) -> bool {
    let is_text = |dialect: Dialect| dialect.resolve(text).is_string();
    text != "<<" && is_text(Dialect::Envoy) && is_text(Dialect::Kubernetes)
}

/// Whether a tag makes a scalar a string. In Envoy only `!` does; any other tag is ignored, and cancels the effect of
/// quotes.
fn is_string_tag(tag: &Tag, dialect: Dialect) -> bool {
    let is_unspecific = tag.handle.is_empty() && tag.suffix == "!" || tag.suffix.is_empty();
    let is_resolved = tag.is_yaml_core_schema()
        && matches!(tag.suffix.as_str(), "bool" | "int" | "float" | "null");
    is_unspecific || (dialect == Dialect::Kubernetes && !is_resolved)
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The words of YAML 1.1, in lower case, upper case, or with a capital first.
fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let mut capital = lower.clone();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let is_word = text == lower || text == capital || text == lower.to_ascii_uppercase();
    match lower.as_str() {
        "y" | "yes" | "true" | "on" if is_word => Some(true),
        "n" | "no" | "false" | "off" if is_word => Some(false),
        _ => None,
    }
}

/// A whole number: decimal, octal by a leading 0, hexadecimal by 0x; a string if it exceeds 32 bits, so that no digit is
/// lost. A fraction is a string.
fn envoy_number(text: &str) -> Option<Value> {
    let number = integer(text, false)?;
    Some(match i32::try_from(number) {
        Ok(number) => json!(number),
        Err(_) => Value::String(number.to_string()),
    })
}

fn kubernetes_number(text: &str) -> Option<Value> {
    if is_timestamp(text) {
        return None;
    }
    let starts_as_number =
        text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    if !starts_as_number {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(number) = integer(&plain, true) {
        return Some(json!(number));
    }
    if is_float(&plain) {
        return Number::from_f64(plain.parse().ok()?).map(Value::Number);
    }
    // JSON has no such number; a reader that expects one refuses the manifest.
    let unsigned = plain.trim_start_matches(['+', '-']);
    matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    )
    .then_some(Value::Null)
}

/// A whole number of 64 bits; `is_go` allows for Go's prefixes 0b and 0o.
fn integer(text: &str, is_go: bool) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let prefixed = |prefix: [&str; 2]| prefix.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (radix, digits) = match () {
        () if prefixed(["0x", "0X"]).is_some() => (16, prefixed(["0x", "0X"])?),
        () if is_go && prefixed(["0b", "0B"]).is_some() => (2, prefixed(["0b", "0B"])?),
        () if is_go && prefixed(["0o", "0O"]).is_some() => (8, prefixed(["0o", "0O"])?),
        () if digits.len() > 1 && digits.starts_with('0') => (8, digits.get(1..)?),
        () => (10, digits),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    let signed = format!("{}{digits}", if is_negative { "-" } else { "" });
    i64::from_str_radix(&signed, radix).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let has_digit = !whole.is_empty() || !part.is_empty();
    let exponent_is_right = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    has_digit && digits(whole) && digits(part) && exponent_is_right
}

/// A date, with or without a time: go-yaml keeps it as a string.
fn is_timestamp(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let number = |part: Option<&str>, most: usize| {
        part.is_some_and(|part| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let year = parts.next().filter(|year| year.len() == 4);
    number(year, 4)
        && number(parts.next(), 2)
        && parts.next().is_some_and(|day| {
            let end = day.find(|character: char| !character.is_ascii_digit());
            let (day, rest) = day.split_at(end.unwrap_or(day.len()));
            number(Some(day), 2) && (rest.is_empty() || rest.starts_with(['t', 'T', ' ']))
        })
}
