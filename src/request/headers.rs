//! The headers of one request or response, copied from the host once.
//!
//! Owns their storage and the access by name. Interprets no value.

use core::fmt;

use super::text::is_same_header;

/// The headers of one request, in order, repeated ones included.
///
/// The host lends each header for one call, so all are copied into one buffer. Reuse the value after [`Self::clear`] to save
/// the allocations.
#[derive(Clone, Default)]
pub struct RequestHeaders {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// One header: the positions in `bytes` where its name starts, where its value starts, and where it ends.
#[derive(Clone, Copy)]
struct Span {
    field: Field,
    start: usize,
    middle: usize,
    end: usize,
}

/// The headers that every request needs. They are classified when they are added, so that look-ups compare no names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Authority,
    Path,
    Cookie,
    Authorization,
    Other,
}

impl Field {
    /// Envoy passes names in lower case.
    fn of(name: &[u8]) -> Self {
        match name {
            b":authority" => Field::Authority,
            b":path" => Field::Path,
            b"cookie" => Field::Cookie,
            b"authorization" => Field::Authorization,
            _ => Field::Other,
        }
    }
}

impl RequestHeaders {
    /// Adds one header. Pseudo headers have their HTTP/2 names (`:authority`, `:path`), as Envoy passes them for every HTTP
    /// version.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let field = if name.iter().any(u8::is_ascii_uppercase) {
            Field::of(&name.to_ascii_lowercase())
        } else {
            Field::of(name)
        };
        self.push(field, name, value);
    }

    /// Adds a header if it can select an API or carry an identifier: a standard one, or one of `others`. Names are in lower
    /// case.
    pub fn add_if_read(&mut self, name: &[u8], value: &[u8], others: &[String]) {
        let field = Field::of(name);
        let is_read = || {
            let mut others = others.iter();
            others.any(|other| is_same_header(other.as_bytes(), name))
        };
        if field != Field::Other || is_read() {
            self.push(field, name, value);
        }
    }

    fn push(&mut self, field: Field, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        if field == Field::Other {
            self.bytes.extend_from_slice(name);
        }
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        self.spans.push(Span {
            field,
            start,
            middle,
            end,
        });
    }

    /// Removes all headers, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// The values of all headers that a server may read under this name; see `is_same_header`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let field = Field::of(name.as_bytes());
        self.spans.iter().filter_map(move |span| {
            let named = span.field == field
                && (field != Field::Other
                    || is_same_header(self.bytes.get(span.start..span.middle)?, name.as_bytes()));
            named.then(|| self.bytes.get(span.middle..span.end))?
        })
    }

    /// Every header in order, by name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.spans.iter().filter_map(|span| {
            let name: &[u8] = match span.field {
                Field::Authority => b":authority",
                Field::Path => b":path",
                Field::Cookie => b"cookie",
                Field::Authorization => b"authorization",
                Field::Other => self.bytes.get(span.start..span.middle)?,
            };
            Some((name, self.bytes.get(span.middle..span.end)?))
        })
    }

    /// `:authority`; empty if absent.
    pub fn authority(&self) -> &[u8] {
        self.values(":authority").next().unwrap_or_default()
    }

    /// `:path`, with the query; empty if absent (CONNECT).
    pub fn path(&self) -> &[u8] {
        self.values(":path").next().unwrap_or_default()
    }
}

impl fmt::Debug for RequestHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestHeaders({}, redacted)", self.spans.len())
    }
}
