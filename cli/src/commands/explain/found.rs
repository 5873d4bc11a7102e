//! One identifier of a request, and what each list says about it.

use portcullis::config::Feed;
use serde_json::{Map, Value, json};

use crate::entry::{Entry, kind_name};

/// One identifier, and the lists that name it.
pub struct Found<'a> {
    /// The identifier.
    pub entry: Entry,
    /// Whether the allow list names it.
    pub allow_list: bool,
    /// Whether the manual deny list names it.
    pub deny_list: bool,
    /// What the list of each feed says.
    pub feeds: Vec<(&'a Feed, Naming<'a>)>,
}

/// What a list says about an identifier.
#[derive(Clone, Copy)]
pub enum Naming<'a> {
    /// There is no list.
    Unknown,
    /// The list does not name it.
    No,
    /// This entry names it.
    By(&'a Entry),
}

impl Naming<'_> {
    const fn word(self) -> &'static str {
        match self {
            Naming::Unknown => "unknown",
            Naming::No => "no",
            Naming::By(_) => "yes",
        }
    }

    const fn to_json(self) -> Option<bool> {
        match self {
            Naming::Unknown => None,
            Naming::No => Some(false),
            Naming::By(_) => Some(true),
        }
    }
}

impl<'a> Found<'a> {
    /// Whether any list names it.
    pub fn is_named(&self) -> bool {
        let mut feeds = self.feeds.iter();
        self.allow_list || self.deny_list || feeds.any(|(_, naming)| naming.to_json() == Some(true))
    }

    /// The entry of the feed with this name that names it.
    pub fn entry_of(&self, name: &str) -> Option<&'a Entry> {
        let mut feeds = self.feeds.iter();
        match feeds.find(|(feed, _)| *feed.name == *name) {
            Some((_, Naming::By(entry))) => Some(entry),
            _ => None,
        }
    }

    /// If the list of the feed with this name names it: its words, and the entry unless that is the same.
    pub fn words_of(&self, name: &str, show_secrets: bool) -> Option<String> {
        let entry = self.entry_of(name)?;
        let words = self.entry.words(show_secrets);
        let by = entry.shown_value(show_secrets);
        Some(match by == self.entry.shown_value(show_secrets) {
            true => words,
            false => format!("{words} by its entry {by}"),
        })
    }

    /// Its line.
    pub fn row(&self, show_secrets: bool) -> String {
        let mark = |on: bool| if on { "yes" } else { "no" };
        let mut row = format!(
            "  {}: whitelist {}, blacklist {}",
            self.entry.words(show_secrets),
            mark(self.allow_list),
            mark(self.deny_list),
        );
        if self.feeds.is_empty() || self.feeds.iter().any(|(feed, _)| feed.is_abs()) {
            row.push_str(&format!(", ABS's list {}", self.of_abs().word()));
        }
        for (feed, naming) in self.feeds.iter().filter(|(feed, _)| !feed.is_abs()) {
            row.push_str(&format!(", {} {}", feed.name, naming.word()));
        }
        row
    }

    /// The same for programs.
    pub fn to_json(&self, show_secrets: bool) -> Value {
        let feeds = self.feeds.iter().filter(|(feed, _)| !feed.is_abs());
        let feeds = feeds.map(|(feed, naming)| (feed.name.to_string(), json!(naming.to_json())));
        json!({
            "type": kind_name(self.entry.kind),
            "name": self.entry.name,
            "value": self.entry.shown_value(show_secrets),
            "whitelist": self.allow_list,
            "blacklist": self.deny_list,
            "abs_detected": self.of_abs().to_json(),
            "feeds": feeds.collect::<Map<_, _>>(),
        })
    }

    fn of_abs(&self) -> Naming<'a> {
        let mut feeds = self.feeds.iter();
        let abs = feeds.find(|(feed, _)| feed.is_abs());
        abs.map_or(Naming::Unknown, |(_, naming)| *naming)
    }
}

/// An entry for programs.
pub fn to_json(entry: &Entry, show_secrets: bool) -> Value {
    json!({
        "type": kind_name(entry.kind),
        "name": entry.name,
        "value": entry.shown_value(show_secrets),
    })
}
