//! The `x-portcullis-node` header that the filter sends with its requests for lists (`fleet.report`), parsed. Records
//! nothing. The filter's side is `sync/node_report.rs`.

use super::text::{LONGEST_NAME, LONGEST_VERSION, bounded, decoded};

/// The longest header, in bytes.
const LONGEST: usize = 2_048;

/// The most counters of one header.
pub const MOST_COUNTERS: usize = 256;

/// The most lists of one header.
pub const MOST_LISTS: usize = 32;

/// The longest name of a feed, in bytes.
const LONGEST_FEED: usize = 64;

/// What a node reports.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The node id.
    pub id: Vec<u8>,
    /// The version of the filter.
    pub module: String,
    /// Denied requests, and those that would be.
    pub counters: Vec<Counter>,
    /// Requests of clients on the allow list.
    pub allow_listed: Option<u64>,
    /// Its lists.
    pub lists: Vec<List>,
}

/// A number of requests.
#[derive(Debug, PartialEq, Eq)]
pub struct Counter {
    /// Whether they were only counted, not denied.
    pub would_deny: bool,
    /// The feed.
    pub feed: String,
    /// The kind of identifier.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// A list that is active on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The feed.
    pub feed: String,
    /// How often the node has replaced it.
    pub generation: u64,
    /// How many entries it has.
    pub entries: u64,
}

impl Report {
    /// Parses a header. Fields of later versions of the filter are ignored; everything else that the filter does not write
    /// makes the header invalid as a whole.
    pub fn parse(header: &str) -> Option<Self> {
        if header.len() > LONGEST || !header.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut fields = header.split(';');
        if fields.next() != Some("v=1") {
            return None;
        }
        let mut report = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for field in fields {
            let (name, value) = field.split_once('=')?;
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match name {
                "node" => {
                    if value.len() > LONGEST_NAME {
                        return None;
                    }
                    report.id = decoded(value)?;
                }
                "module" => report.module = bounded(value, LONGEST_VERSION),
                "denied" | "would_deny" => {
                    for item in value.split(',') {
                        report.counters.push(counter(name == "would_deny", item)?);
                    }
                }
                "allow_listed" => report.allow_listed = Some(number(value)?),
                "lists" => {
                    for item in value.split(',') {
                        report.lists.push(list(item)?);
                    }
                }
                _ => {}
            }
        }
        let fits = report.counters.len() <= MOST_COUNTERS && report.lists.len() <= MOST_LISTS;
        (fits && !report.id.is_empty()).then_some(report)
    }
}

fn counter(would_deny: bool, item: &str) -> Option<Counter> {
    let (reason, count) = item.rsplit_once(':')?;
    let (feed, kind) = reason.split_once('.')?;
    Some(Counter {
        would_deny,
        feed: name(feed)?,
        kind: name(kind)?,
        count: number(count)?,
    })
}

fn list(item: &str) -> Option<List> {
    let mut parts = item.split(':');
    let list = List {
        feed: name(parts.next()?)?,
        generation: number(parts.next()?)?,
        entries: number(parts.next()?)?,
    };
    parts.next().is_none().then_some(list)
}

/// The name of a feed or of a kind: what a configuration allows.
fn name(text: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_name = !text.is_empty() && text.len() <= LONGEST_FEED && text.bytes().all(is_plain);
    is_name.then(|| text.to_owned())
}

/// A number without a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
