//! The meaning of one line of a text list.

use super::interval::Interval;
use crate::codec::json::{self, Handler, Scalar};
use crate::identifier::listed::{Unusable, usable_range};
use crate::identifier::{parse_address, parse_range};

/// What a line contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// White space.
    Blank,
    /// A comment or metadata.
    Ignored,
    /// A tag of HTML or XML.
    Markup,
    /// An entry.
    Entry(Interval),
    /// Something else.
    Unusable(Unusable),
}

/// What software writes before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a line without its end.
pub(super) fn parse_line(line: &[u8]) -> Line {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let line = line.trim_ascii();
    let parsed = match line {
        [] => return Line::Blank,
        [b'#' | b';', ..] => return Line::Ignored,
        [b'<', ..] => return Line::Markup,
        [b'{', ..] => match parse_json(line) {
            Ok(None) => return Line::Ignored,
            Ok(Some(interval)) => Ok(interval),
            Err(reason) => Err(reason),
        },
        _ => parse_tokens(line),
    };
    parsed.map_or_else(Line::Unusable, Line::Entry)
}

/// The entry of a line that is not blank: its first token, or a range with its end in another token.
fn parse_tokens(line: &[u8]) -> Result<Interval, Unusable> {
    let end = memchr::memchr2(b'#', b';', line).unwrap_or(line.len());
    let mut tokens = line
        .get(..end)
        .unwrap_or_default()
        .split(u8::is_ascii_whitespace)
        .filter(|token| !token.is_empty())
        .map(|token| core::str::from_utf8(token).map_err(|_no_text| Unusable::NotText));
    let first = tokens.next().unwrap_or(Ok(""))?;
    // What is not an address is text, in any encoding.
    let mut next = || tokens.next().and_then(Result::ok).unwrap_or_default();
    let second = next();
    if let Some(last) = second.strip_prefix('-') {
        let last = if last.is_empty() { next() } else { last };
        return match parse_address(last) {
            Some(_) => parse_ends(first, last),
            None => parse_entry(first),
        };
    }
    if parse_range(second).is_none() {
        return parse_entry(first);
    }
    match (parse_ends(first, second), next().parse()) {
        (Ok(interval), Ok(prefix)) if interval.has_prefix(prefix) => Ok(interval),
        _ => Err(Unusable::SeveralAddresses),
    }
}

/// An address, a CIDR range or a range `a-b`.
fn parse_entry(text: &str) -> Result<Interval, Unusable> {
    match text.split_once('-') {
        Some((first, last)) => parse_ends(first, last),
        None => usable_range(text).map(Interval::from),
    }
}

fn parse_ends(first: &str, last: &str) -> Result<Interval, Unusable> {
    let first = parse_address(first).ok_or(Unusable::NotAnAddress)?;
    let last = parse_address(last).ok_or(Unusable::NotAnAddress)?;
    if first == last {
        return usable_range(&first.to_string()).map(Interval::from);
    }
    Interval::new(first, last).ok_or(Unusable::SeveralAddresses)
}

/// A JSON line; `None` for metadata.
fn parse_json(line: &[u8]) -> Result<Option<Interval>, Unusable> {
    let mut object = Object::default();
    json::read(&mut &*line, line.len(), &mut object).map_err(|_no_json| Unusable::WrongType)?;
    match object.entry {
        Some(entry) => entry.map(Some),
        None if object.is_metadata => Ok(None),
        None => Err(Unusable::WrongType),
    }
}

/// A key whose value counts.
#[derive(Clone, Copy, Default)]
enum Key {
    #[default]
    Other,
    Entry,
    Type,
}

/// A JSON line while it is read.
#[derive(Default)]
struct Object {
    is_open: bool,
    key: Key,
    /// Of the first `cidr` or `ip`.
    entry: Option<Result<Interval, Unusable>>,
    is_metadata: bool,
}

impl Handler for Object {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        match (self.key, value) {
            (Key::Entry, Scalar::Text(text)) => {
                self.entry.get_or_insert_with(|| parse_entry(text.trim()));
            }
            (Key::Entry, Scalar::Null) => {
                self.entry.get_or_insert(Err(Unusable::Null));
            }
            (Key::Entry, _) => {
                self.entry.get_or_insert(Err(Unusable::WrongType));
            }
            (Key::Type, Scalar::Text(text)) => self.is_metadata = text == "metadata",
            _ => {}
        }
        true
    }

    fn begin_list(&mut self) -> bool {
        false
    }

    fn begin_object(&mut self) -> bool {
        // Nested objects are skipped.
        !core::mem::replace(&mut self.is_open, true)
    }

    fn key(&mut self, name: &str) -> bool {
        self.key = match name {
            "cidr" | "ip" => Key::Entry,
            "type" => Key::Type,
            _ => Key::Other,
        };
        !matches!(self.key, Key::Other)
    }

    fn end(&mut self) {}
}
