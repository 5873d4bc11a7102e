//! The manual lists: add, delete, view, clear; the other lists: view. ASE's whitelist is `allow_list`, its blacklist `deny_list`.

use ipnet::IpNet;
use portcullis::config::Guard;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::feeds;
use crate::args::{BlacklistPart, Common, EntryWords, ListStatus, ViewBlacklistArgs};
use crate::clients::abs;
use crate::clients::feed::Reach;
use crate::config_file::edit::edit;
use crate::config_file::place::Place;
use crate::config_file::{ConfigFile, atomic_file, manual_list, validate};
use crate::entry::{ClientKey, Entry, kind_name};
use crate::error::{Failure, Result};
use crate::output::Report;

/// More entries than this have one message together.
const MOST_MESSAGES: usize = 20;

/// One of the two manual lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum List {
    /// Clients that are always allowed.
    #[serde(rename = "allow_list")]
    Allow,
    /// Clients that are always blocked.
    #[serde(rename = "deny_list")]
    Deny,
}

impl List {
    /// Its key in the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            List::Allow => "allow_list",
            List::Deny => "deny_list",
        }
    }

    /// The list with this key.
    pub fn with_key(key: &str) -> Option<Self> {
        [List::Allow, List::Deny]
            .into_iter()
            .find(|list| list.key() == key)
    }

    /// The name in ASE's commands.
    const fn ase_name(self) -> &'static str {
        match self {
            List::Allow => "whitelist",
            List::Deny => "blacklist",
        }
    }

    /// Its entries in a configuration.
    pub fn entries(self, configuration: &Map<String, Value>) -> Vec<Entry> {
        let list = configuration.get(self.key()).and_then(Value::as_object);
        list.map_or_else(Vec::new, manual_list::entries)
    }

    /// Adds an entry to a configuration, and returns the message in ASE's words.
    pub fn add(
        self,
        configuration: &mut Map<String, Value>,
        entry: &Entry,
        show_secrets: bool,
    ) -> Result<String> {
        let list = list_of(configuration, self)?;
        let added = manual_list::add(list, std::slice::from_ref(entry))?;
        let shown = entry.words(show_secrets);
        let name = self.ase_name();
        Ok(match added {
            0 => format!("{shown} is already in the {name}"),
            _ => format!("{shown} added to {name}"),
        })
    }

    /// Deletes an entry.
    pub fn delete(
        self,
        configuration: &mut Map<String, Value>,
        entry: &Entry,
        show_secrets: bool,
    ) -> Result<String> {
        let shown = entry.words(show_secrets);
        let name = self.ase_name();
        match manual_list::remove(list_of(configuration, self)?, entry) {
            true => Ok(format!("{shown} deleted from {name}")),
            false => Err(Failure::refused(format!("{shown} is not in the {name}"))),
        }
    }

    /// Deletes every entry.
    pub fn clear(self, configuration: &mut Map<String, Value>) -> String {
        let before = self.entries(configuration).len();
        if before > 0 {
            configuration.insert(self.key().to_owned(), json!({}));
        }
        let name = self.ase_name();
        match before {
            0 => format!("{name} is empty already"),
            1 => format!("{name} cleared: 1 entry deleted"),
            more => format!("{name} cleared: {more} entries deleted"),
        }
    }
}

/// Adds entries.
pub fn add(common: &Common, list: List, words: &EntryWords) -> Result<Report> {
    let entries = entries(common, words)?;
    let mut report = edit(common, |configuration| {
        if entries.len() > MOST_MESSAGES {
            let added = manual_list::add(list_of(configuration, list)?, &entries)?;
            return Ok(format!(
                "{added} entries added to {}, {} were in it already",
                list.ase_name(),
                entries.len().saturating_sub(added)
            ));
        }
        let add = |entry| list.add(configuration, entry, common.show_secrets);
        let messages: Result<Vec<_>> = entries.iter().map(add).collect();
        Ok(messages?.join("\n"))
    })?;
    if list == List::Deny {
        report.notes.extend(entries.iter().filter_map(wide));
    }
    Ok(report)
}

/// A remark on a range that `guard` refuses in a fetched list by default.
fn wide(entry: &Entry) -> Option<String> {
    let (range, widest) = match entry.key() {
        ClientKey::Ip(range @ IpNet::V4(_)) => (range, 8),
        ClientKey::Ip(range @ IpNet::V6(_)) => (range, 32),
        _ => return None,
    };
    (range.prefix_len() < widest).then(|| {
        format!(
            "{range} is wider than /{widest}, which guard refuses in a fetched list by default; `delete_blacklist ip {range}` \
             undoes it"
        )
    })
}

/// Deletes entries: all, or none if one is missing.
pub fn delete(common: &Common, list: List, words: &EntryWords) -> Result<Report> {
    let entries = entries(common, words)?;
    edit(common, |configuration| {
        let delete = |entry| list.delete(configuration, entry, common.show_secrets);
        let messages: Result<Vec<_>> = entries.iter().map(delete).collect();
        let messages = messages?;
        Ok(match messages.len() {
            more if more > MOST_MESSAGES => {
                format!("{more} entries deleted from {}", list.ase_name())
            }
            _ => messages.join("\n"),
        })
    })
}

/// The entries that a command names, on the command line and in a file.
fn entries(common: &Common, words: &EntryWords) -> Result<Vec<Entry>> {
    let Some(path) = &words.from else {
        return Entry::several(words.kind, &words.words);
    };
    let place = Place::named(path);
    if place == Place::StandardInput && Place::of(common) == Place::StandardInput {
        return Err(Failure::usage(
            "--from and --config are both standard input; name a file for one of them",
        ));
    }
    let text = match &place {
        Place::File(path) => {
            atomic_file::read(path, "--from FILE names a file with one value a line")?
        }
        _ => place.read()?,
    };
    let mut entries = Vec::new();
    for (number, line) in (1_u64..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let words_of_line: Vec<_> = words
            .words
            .iter()
            .cloned()
            .chain([line.to_owned()])
            .collect();
        let entry = Entry::from_words(words.kind, &words_of_line);
        entries.push(entry.map_err(|failure| {
            Failure::usage(format!(
                "{}: line {number}: {}",
                place.name(),
                failure.message
            ))
        })?);
    }
    Ok(entries)
}

/// Deletes every entry.
pub fn clear(common: &Common, list: List) -> Result<Report> {
    edit(common, |configuration| Ok(list.clear(configuration)))
}

/// Adds the list that `fetch` returns to the deny list, or with `replace` replaces the deny list by it, but never by an
/// empty one. `fetch` takes the guard of the configuration.
pub fn import_deny(
    common: &Common,
    fetch: impl Fn(&Guard) -> Result<abs::List>,
    replace: bool,
    source: &str,
) -> Result<(abs::List, Report)> {
    let mut imported = abs::List::default();
    let report = edit(common, |configuration| {
        let guard = guard_of(common, configuration)?;
        imported = fetch(&guard)?;
        let new = imported.entries.as_slice();
        if new.is_empty() && !imported.skipped.is_empty() {
            return Err(Failure::refused(format!(
                "nothing of {source} can be imported: {}; the blacklist was not changed",
                imported.skipped.join("; ")
            )));
        }
        let before = List::Deny.entries(configuration);
        if replace && new.is_empty() && !before.is_empty() {
            return Err(Failure::refused(format!(
                "{source} is empty: the blacklist was not replaced; clear_blacklist empties it"
            )));
        }
        if replace {
            configuration.insert(List::Deny.key().to_owned(), json!({}));
        }
        let added = manual_list::add(list_of(configuration, List::Deny)?, new)?;
        Ok(match replace {
            true => format!(
                "blacklist now holds the {added} entries of {source}, in place of {} before",
                before.len()
            ),
            false => format!(
                "{added} entries of {source} added to blacklist, {} were in it already",
                new.len().saturating_sub(added)
            ),
        })
    })?;
    Ok((imported, report))
}

fn guard_of(common: &Common, configuration: &Map<String, Value>) -> Result<Guard> {
    let json = Value::Object(configuration.clone()).to_string();
    match validate(json.as_bytes()) {
        Ok(config) => Ok(config.guard),
        Err(errors) => {
            let place = Place::of(common);
            Err(Failure::invalid_configuration(
                &place.name(),
                Some(place.refusal()),
                &errors,
            ))
        }
    }
}

/// Shows the allow list.
pub fn view_allow_list(common: &Common) -> Result<Report> {
    let entries = read(common, List::Allow)?;
    Ok(Report::new(
        section("Whitelist", &entries, common.show_secrets),
        json!({ "whitelist": rows(&entries, common.show_secrets) }),
    ))
}

/// Shows the manual deny list, what ABS lists, or both.
pub fn view_deny_list(common: &Common, args: &ViewBlacklistArgs) -> Result<Report> {
    if let BlacklistPart::Feed(name) = &args.part {
        return view_feed(common, name, args);
    }
    let mut sections = Vec::new();
    let mut json = Map::new();
    let mut notes = Vec::new();
    if args.part != BlacklistPart::AbsDetected {
        let config_file = ConfigFile::read(common)?;
        if args.part == BlacklistPart::All {
            notes.extend(not_shown(&config_file));
        }
        let entries = List::Deny.entries(&config_file.configuration);
        sections.push(section("Manual Blacklist", &entries, common.show_secrets));
        json.insert("manual".to_owned(), rows(&entries, common.show_secrets));
    }
    if args.part != BlacklistPart::Manual {
        if args.part == BlacklistPart::All && args.abs.abs_url.is_none() {
            notes.push("ABS's list is not shown; --abs URL reads it from ABS".to_owned());
        } else {
            let list = abs::Client::new(&args.abs)?.fetch(ListStatus::Active)?;
            sections.push(section(
                "ABS Detected Blacklist",
                &list.entries,
                common.show_secrets,
            ));
            json.insert(
                "abs_detected".to_owned(),
                rows(&list.entries, common.show_secrets),
            );
        }
    }
    Ok(Report {
        notes,
        ..Report::new(sections.join("\n"), Value::Object(json))
    })
}

/// The feeds whose lists are read only on demand.
fn not_shown(config_file: &ConfigFile) -> Option<String> {
    let config = config_file.validate().ok()?;
    let names: Vec<_> = config.feeds.iter().map(|feed| &*feed.name).collect();
    let names = (!names.is_empty()).then(|| names.join(", "))?;
    Some(format!(
        "the lists of feeds are not shown ({names}); view_blacklist NAME reads one from its server"
    ))
}

/// Shows the list of a feed, as its server has it now.
fn view_feed(common: &Common, name: &str, args: &ViewBlacklistArgs) -> Result<Report> {
    let reach = Reach {
        url: args.url.as_deref(),
        timeout: Some(abs::read_timeout(&args.abs.timeout)?),
        ca: args.abs.ca.as_deref(),
        insecure: args.abs.insecure,
    };
    let read = feeds::read::read(common, name, &reach)?;
    let entries = read.list.entries.into_iter();
    let entries: Vec<_> = entries.map(|listed| listed.entry).collect();
    let title = format!("Blacklist of the feed {name}");
    let mut json = Map::new();
    json.insert(name.to_owned(), rows(&entries, common.show_secrets));
    Ok(Report {
        notes: read.notes,
        ..Report::new(
            section(&title, &entries, common.show_secrets),
            Value::Object(json),
        )
    })
}

fn read(common: &Common, list: List) -> Result<Vec<Entry>> {
    let file = ConfigFile::read(common)?;
    Ok(list.entries(&file.configuration))
}

fn list_of(configuration: &mut Map<String, Value>, list: List) -> Result<&mut Map<String, Value>> {
    let place = configuration.entry(list.key()).or_insert(json!({}));
    if place.is_null() {
        *place = json!({});
    }
    place
        .as_object_mut()
        .ok_or_else(|| manual_list::not_a_list(list.key()))
}

fn section(title: &str, entries: &[Entry], show_secrets: bool) -> String {
    let mut text = title.to_owned();
    for (number, entry) in (1_u64..).zip(entries) {
        let name = match &entry.name {
            Some(name) => format!(", name : {name}"),
            None => String::new(),
        };
        let (kind, value) = (kind_name(entry.kind), entry.shown_value(show_secrets));
        text.push_str(&format!("\n{number}) type : {kind}{name}, value : {value}"));
    }
    text
}

/// Entries for programs.
pub fn rows(entries: &[Entry], show_secrets: bool) -> Value {
    let row = |entry: &Entry| {
        let (kind, value) = (kind_name(entry.kind), entry.shown_value(show_secrets));
        match &entry.name {
            Some(name) => json!({"type": kind, "name": name, "value": value}),
            None => json!({"type": kind, "value": value}),
        }
    };
    entries.iter().map(row).collect()
}
