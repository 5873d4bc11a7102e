//! `feeds read`: fetches the list of a feed as the filter does, and shows what the filter would make of it.

use portcullis::config::{Feed, FeedFormat};
use portcullis::feed::error::FetchError;
use portcullis::identifier::IdentifierKind;
use serde_json::{Map, Value, json};

use super::find;
use super::list::format_name;
use crate::args::{Common, FeedReadArgs};
use crate::clients::abs::read_timeout;
use crate::clients::feed::{Reach, fetch};
use crate::config_file::ConfigFile;
use crate::entry::kind_name;
use crate::error::{Failure, Result};
use crate::feed_list::{FeedList, ListedEntry, check, collect, too_large};
use crate::output::{Report, table};

/// How many unusable entries the text names.
const SHOWN_SKIPPED: usize = 10;

/// A list that the filter accepts.
pub struct ReadList {
    feed: Feed,
    url: String,
    /// Its entries.
    pub list: FeedList,
    /// What an operator should look at.
    pub notes: Vec<String>,
}

/// Runs the command.
pub fn run(common: &Common, args: &FeedReadArgs) -> Result<Report> {
    let reach = Reach {
        url: args.url.as_deref(),
        timeout: args.timeout.as_deref().map(read_timeout).transpose()?,
        ca: args.ca.as_deref(),
        insecure: args.insecure,
    };
    let read = read(common, &args.feed, &reach)?;
    let mut json = read.to_json();
    let mut lines = read.lines();
    if args.entries {
        lines.push(entries_table(&read.list, common.show_secrets));
        let entries = read.list.entries.iter();
        let entries = entries.map(|listed| entry_to_json(listed, common.show_secrets));
        json.insert("list".to_owned(), entries.collect());
    }
    Ok(Report {
        notes: read.notes,
        ..Report::new(lines.join("\n"), Value::Object(json))
    })
}

/// Fetches and reads the list of the feed with this name.
pub fn read(common: &Common, name: &str, reach: &Reach<'_>) -> Result<ReadList> {
    let (feed, ipv6_prefix) = find(&ConfigFile::read(common)?, name)?;
    let fetched = fetch(&feed, reach)?;
    let server = fetched.server;
    let refused = |error: FetchError| {
        let reason = error.explained(&feed);
        Failure::refused(format!("the feed {name} at {server}: {reason}"))
    };
    let body = fetched.response.body.clone();
    let too_large = too_large(&fetched.response).map(FetchError::TooLarge);
    let notes = too_large.map(|error| error.explained(&feed).to_string());
    check(&feed, ipv6_prefix, fetched.response).map_err(refused)?;
    let list = collect(&feed, ipv6_prefix, &body).map_err(refused)?;
    Ok(ReadList {
        url: format!("{server}{}", fetched.path),
        list,
        notes: notes.into_iter().collect(),
        feed,
    })
}

impl ReadList {
    /// The kinds that the feed takes, each with its number of entries.
    fn by_kind(&self) -> impl Iterator<Item = (IdentifierKind, usize)> {
        let kinds = IdentifierKind::ALL.into_iter();
        let kinds = kinds.filter(|kind| *self.feed.kinds.get(*kind));
        kinds.map(|kind| {
            let entries = self.list.entries.iter();
            let of_kind = entries.filter(|listed| listed.entry.kind == kind);
            (kind, of_kind.count())
        })
    }

    /// What is not an entry, with its number.
    fn others(&self) -> Vec<(&'static str, u64)> {
        let counts = &self.list.counts;
        let mut others = vec![("other kinds", self.list.other_kinds)];
        if let FeedFormat::Crowdsec(_) = self.feed.format {
            others.extend([
                ("unknown scopes", counts.unknown_scope),
                ("other types", counts.other_type),
                ("expired", counts.expired),
            ]);
        }
        others
    }

    fn lines(&self) -> Vec<String> {
        let line = |title: &str, text: &str| format!("{title:<15}: {text}");
        let format = format_name(&self.feed.format);
        let kinds = self.by_kind();
        let kinds = kinds.map(|(kind, count)| format!("{} {count}", kind.as_str()));
        let mut lines = vec![
            line("feed", &format!("{} ({format})", self.feed.name)),
            line("read from", &self.url),
            line("entries", &kinds.collect::<Vec<_>>().join(", ")),
        ];
        let skipped = self.list.skipped.as_slice();
        let mut text = skipped.len().to_string();
        if !skipped.is_empty() {
            let shown = skipped.get(..SHOWN_SKIPPED).unwrap_or(skipped);
            let more = skipped.len().saturating_sub(shown.len());
            text = format!("{text} ({}", shown.join("; "));
            if more > 0 {
                text.push_str(&format!("; and {more} more"));
            }
            text.push(')');
        }
        lines.push(line("skipped", &text));
        let others = self.others().into_iter();
        let others = others.filter(|(title, count)| *count > 0 || *title != "other kinds");
        lines.extend(others.map(|(title, count)| line(title, &count.to_string())));
        lines
    }

    fn to_json(&self) -> Map<String, Value> {
        let kinds = self.by_kind();
        let kinds = kinds.map(|(kind, count)| (kind.as_str().to_owned(), json!(count)));
        let mut json = Map::new();
        json.insert("feed".to_owned(), json!(&*self.feed.name));
        json.insert("format".to_owned(), json!(format_name(&self.feed.format)));
        json.insert("url".to_owned(), json!(self.url));
        json.insert("entries".to_owned(), Value::Object(kinds.collect()));
        json.insert("skipped".to_owned(), json!(self.list.skipped));
        for (title, count) in self.others() {
            json.insert(title.replace(' ', "_"), json!(count));
        }
        json
    }
}

fn entries_table(list: &FeedList, show_secrets: bool) -> String {
    let mut rows = vec![["TYPE", "NAME", "VALUE", "ENDS IN"].map(str::to_owned)];
    rows.extend(list.entries.iter().map(|listed| {
        let entry = &listed.entry;
        let ends = listed.time_to_live;
        [
            kind_name(entry.kind).to_owned(),
            entry.name.clone().unwrap_or_default(),
            entry.shown_value(show_secrets),
            ends.map_or(String::new(), |time| format!("{} s", time.as_secs())),
        ]
    }));
    table(&rows)
}

fn entry_to_json(listed: &ListedEntry, show_secrets: bool) -> Value {
    json!({
        "type": kind_name(listed.entry.kind),
        "name": listed.entry.name,
        "value": listed.entry.shown_value(show_secrets),
        "ends_in_seconds": listed.time_to_live.map(|time| time.as_secs()),
    })
}
