//! The forms in which lists are served: those that the filter reads. Each list has one form for its feed's format.

use std::io::{self, BufWriter, Write};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use portcullis::config::{Feed, FeedFormat};
use portcullis::identifier::IdentifierKind;
use portcullis::identifier::listed::{trimmed, without_scheme};
use sha2::{Digest as _, Sha256};

use super::entries::{Entries, FOREVER, Parts};

/// The compressed form is written in pieces of this size.
const PIECE: usize = 64 * 1024;

/// The form of a list, without anything that belongs to one thread.
#[derive(Clone, Debug)]
pub enum Form {
    /// ABS's JSON.
    Abs,
    /// One address or range per line.
    Text,
    /// A JSON array of tokens.
    Tokens {
        /// The claim whose values are strings.
        first: String,
    },
    /// CrowdSec's JSON.
    Crowdsec {
        /// The type of all decisions.
        kind: String,
        /// Scopes, each with its header.
        scope_headers: Vec<(String, String)>,
    },
}

/// A list as it is served.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// Compressed.
    pub gzip: Bytes,
    /// The number of bytes without compression.
    pub plain_bytes: u64,
}

impl Form {
    /// The form for a feed.
    pub fn of(feed: &Feed) -> Self {
        match &feed.format {
            FeedFormat::Abs { .. } => Form::Abs,
            FeedFormat::Text { .. } => Form::Text,
            FeedFormat::Tokens { claims } => Form::Tokens {
                first: claims.first().cloned().unwrap_or_default(),
            },
            FeedFormat::Crowdsec(options) => Form::Crowdsec {
                kind: options.types.first().cloned().unwrap_or_default(),
                scope_headers: options.scope_headers.clone(),
            },
        }
    }

    /// Its name in a feed's configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Form::Abs => "abs",
            Form::Text => "text",
            Form::Tokens { .. } => "tokens",
            Form::Crowdsec { .. } => "crowdsec",
        }
    }

    /// The type of its media.
    pub const fn content_type(&self) -> &'static str {
        match self {
            Form::Text => "text/plain",
            _ => "application/json",
        }
    }

    /// Writes the entries that have not ended.
    pub fn render(&self, entries: &Entries, now: u32) -> io::Result<Body> {
        let encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        let mut out = Counted {
            inner: BufWriter::with_capacity(PIECE, encoder),
            n_bytes: 0,
        };
        match self {
            Form::Abs => write_abs(entries, now, &mut out),
            Form::Text => write_text(entries, now, &mut out),
            Form::Tokens { first } => write_tokens(first, entries, now, &mut out),
            Form::Crowdsec {
                kind,
                scope_headers,
            } => write_decisions(kind, scope_headers, entries, now, &mut out),
        }?;
        let plain_bytes = out.n_bytes;
        let encoder = out.inner.into_inner().map_err(|error| error.into_error())?;
        let mut gzip = encoder.finish()?;
        gzip.shrink_to_fit();
        Ok(Body {
            gzip: gzip.into(),
            plain_bytes,
        })
    }

    /// The entity tag of the entries: the same on every server with the same entries. Ends count by the minute.
    pub fn etag(&self, entries: &Entries, now: u32) -> String {
        let mut digest = Sha256::new();
        digest.update(self.name());
        for (key, end) in entries.live(now) {
            let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
            digest.update(length.to_be_bytes());
            digest.update(key);
            digest.update((end / 60).to_be_bytes());
        }
        let digest = digest.finalize();
        let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
        format!("\"{}\"", hex.collect::<String>())
    }
}

/// The entries of kinds with a list of values; cookies are grouped by name, which the order of the keys does.
fn write_abs(entries: &Entries, now: u32, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"ips\":[")?;
    let mut current = IdentifierKind::Ip;
    let mut cookie: Option<&str> = None;
    let mut is_first = true;
    for (key, _) in entries.live(now) {
        let Some((kind, parts)) = Parts::of(key) else {
            continue;
        };
        if kind != current {
            out.write_all(if cookie.take().is_some() { b"]}" } else { b"]" })?;
            let open = if kind == IdentifierKind::Cookie {
                '{'
            } else {
                '['
            };
            write!(out, ",\"{}\":{open}", kind.list_key())?;
            (current, is_first) = (kind, true);
        }
        if let Parts::Named(name, _) = parts
            && cookie != Some(name)
        {
            if cookie.is_some() {
                out.write_all(b"],")?;
            }
            write_json(name, out)?;
            out.write_all(b":[")?;
            (cookie, is_first) = (Some(name), true);
        }
        if !is_first {
            out.write_all(b",")?;
        }
        is_first = false;
        match parts {
            Parts::Named(_, value) => write_json(&cookie_text(value), out),
            Parts::Value(value) if kind == IdentifierKind::OauthToken => {
                write_json(&token_text(value), out)
            }
            Parts::Value(value) => write_json(value, out),
            Parts::Ip(_) => write!(out, "\"{}\"", address(&parts)),
            Parts::Claims(_) => Ok(()),
        }?;
    }
    out.write_all(if cookie.is_some() { b"]}}" } else { b"]}" })
}

fn write_text(entries: &Entries, now: u32, out: &mut dyn Write) -> io::Result<()> {
    // An empty list needs a line that shows that it is one.
    out.write_all(b"# portcullis\n")?;
    for (key, _) in entries.live(now) {
        if let Some((_, parts)) = Parts::of(key) {
            writeln!(out, "{}", address(&parts))?;
        }
    }
    Ok(())
}

fn write_tokens(first: &str, entries: &Entries, now: u32, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"[")?;
    let mut separator: &[u8] = b"";
    for (key, _) in entries.live(now) {
        let Some((_, Parts::Claims(claims))) = Parts::of(key) else {
            continue;
        };
        out.write_all(separator)?;
        separator = b",";
        if let [(name, value)] = claims.as_slice()
            && *name == first
        {
            write_json(value, out)?;
            continue;
        }
        let mut before: &[u8] = b"{";
        for (name, value) in claims {
            out.write_all(before)?;
            before = b",";
            write_json(name, out)?;
            out.write_all(b":")?;
            write_json(value, out)?;
        }
        out.write_all(b"}")?;
    }
    out.write_all(b"]")
}

fn write_decisions(
    kind: &str,
    scope_headers: &[(String, String)],
    entries: &Entries,
    now: u32,
    out: &mut dyn Write,
) -> io::Result<()> {
    out.write_all(b"{\"new\":[")?;
    let mut separator: &[u8] = b"";
    for (key, end) in entries.live(now) {
        let Some((identifier, parts)) = Parts::of(key) else {
            continue;
        };
        out.write_all(separator)?;
        separator = b",";
        out.write_all(b"{")?;
        if end != FOREVER {
            write!(out, "\"duration\":\"{}s\",", end.saturating_sub(now))?;
        }
        let scope = match (identifier, &parts) {
            (IdentifierKind::Header, Parts::Named(header, _)) => scope_headers
                .iter()
                .find(|(_, known)| known == header)
                .map_or("", |(scope, _)| scope),
            (IdentifierKind::Cookie, _) => "session",
            (IdentifierKind::Username, _) => "username",
            _ => "ip",
        };
        out.write_all(b"\"scope\":")?;
        write_json(scope, out)?;
        out.write_all(b",\"type\":")?;
        write_json(kind, out)?;
        out.write_all(b",\"value\":")?;
        match parts {
            Parts::Named(_, value) if identifier == IdentifierKind::Cookie => {
                write_json(&cookie_text(value), out)
            }
            Parts::Named(_, value) | Parts::Value(value) => write_json(value, out),
            other => write!(out, "\"{}\"", address(&other)),
        }?;
        out.write_all(b"}")?;
    }
    out.write_all(b"],\"deleted\":null}")
}

/// A range of one address as the address.
fn address(parts: &Parts<'_>) -> String {
    match parts {
        Parts::Ip(range) if range.prefix_len() == range.max_prefix_len() => {
            range.addr().to_string()
        }
        Parts::Ip(range) => range.to_string(),
        _ => String::new(),
    }
}

/// The filter removes white space and one pair of quotes around a cookie's value.
fn cookie_text(value: &str) -> String {
    match trimmed(value) == value && !value.starts_with('"') {
        true => value.to_owned(),
        false => format!("\"{value}\""),
    }
}

/// The filter removes one `Bearer` before a token.
fn token_text(value: &str) -> String {
    match without_scheme(value) == value {
        true => value.to_owned(),
        false => format!("Bearer {value}"),
    }
}

fn write_json(text: &str, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// Counts what is written.
struct Counted<W> {
    inner: W,
    n_bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(piece)?;
        let written = u64::try_from(n).unwrap_or(u64::MAX);
        self.n_bytes = self.n_bytes.saturating_add(written);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
