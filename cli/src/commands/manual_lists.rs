//! The manual lists: add, delete, view, clear. ASE's whitelist is `allow_list`, its blacklist `deny_list`.

use portcullis::config::Guard;
use serde_json::{Map, Value, json};

use crate::args::{BlacklistPart, Common, EntryWords, ListStatus, ViewBlacklistArgs};
use crate::clients::abs;
use crate::config_file::edit::edit;
use crate::config_file::{ConfigFile, manual_list, validate};
use crate::entry::{Entry, kind_name};
use crate::error::{Failure, Result};
use crate::output::Report;

/// One of the two manual lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Clients that always pass.
    Allow,
    /// Clients that never pass.
    Deny,
}

impl List {
    const fn key(self) -> &'static str {
        match self {
            List::Allow => "allow_list",
            List::Deny => "deny_list",
        }
    }

    /// What ASE's commands call it.
    const fn ase_name(self) -> &'static str {
        match self {
            List::Allow => "whitelist",
            List::Deny => "blacklist",
        }
    }
}

/// Adds an entry.
pub fn add(common: &Common, list: List, words: &EntryWords) -> Result<Report> {
    let entry = Entry::from_words(words)?;
    edit(common, |configuration| {
        let added = manual_list::add(list_of(configuration, list)?, std::slice::from_ref(&entry))?;
        let shown = entry.words(common.show_secrets);
        let name = list.ase_name();
        Ok(match added.is_empty() {
            true => format!("{shown} is already in the {name}"),
            false => format!("{shown} added to {name}"),
        })
    })
}

/// Takes an entry off.
pub fn delete(common: &Common, list: List, words: &EntryWords) -> Result<Report> {
    let entry = Entry::from_words(words)?;
    edit(common, |configuration| {
        let shown = entry.words(common.show_secrets);
        match manual_list::remove(list_of(configuration, list)?, &entry) {
            true => Ok(format!("{shown} deleted from {}", list.ase_name())),
            false => Err(Failure::refused(format!(
                "{shown} is not in the {}",
                list.ase_name()
            ))),
        }
    })
}

/// Takes every entry off.
pub fn clear(common: &Common, list: List) -> Result<Report> {
    edit(common, |configuration| {
        let before = manual_list::read_list(configuration.get(list.key())).len();
        if before > 0 {
            configuration.insert(list.key().to_owned(), json!({}));
        }
        let name = list.ase_name();
        Ok(match before {
            0 => format!("{name} is empty already"),
            1 => format!("{name} cleared: 1 entry deleted"),
            more => format!("{name} cleared: {more} entries deleted"),
        })
    })
}

/// Adds what `fetch` brings to the deny list; with `replace` nothing else stays on it. `fetch` takes the guard of the
/// configuration. What it brings is never nothing in place of something.
pub fn import_deny(
    common: &Common,
    fetch: impl FnOnce(&Guard) -> Result<abs::List>,
    replace: bool,
    source: &str,
) -> Result<(abs::List, Report)> {
    let mut imported = abs::List::default();
    let report = edit(common, |configuration| {
        let guard = guard_of(common, configuration)?;
        imported = fetch(&guard)?;
        let entries = imported.entries.as_slice();
        if entries.is_empty() && !imported.left_out.is_empty() {
            return Err(Failure::refused(format!(
                "nothing of {source} can be imported: {}; the blacklist was not changed",
                imported.left_out.join("; ")
            )));
        }
        let before = manual_list::read_list(configuration.get(List::Deny.key()));
        if replace && entries.is_empty() && !before.is_empty() {
            return Err(Failure::refused(format!(
                "{source} is empty: the blacklist was not replaced; clear_blacklist empties it"
            )));
        }
        if replace {
            configuration.insert(List::Deny.key().to_owned(), json!({}));
        }
        let added = manual_list::add(list_of(configuration, List::Deny)?, entries)?;
        Ok(match replace {
            true => format!(
                "blacklist now holds the {} entries of {source}, in place of {} before",
                added.len(),
                before.len()
            ),
            false => format!(
                "{} entries of {source} added to blacklist, {} were in it already",
                added.len(),
                entries.len() - added.len()
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
            let file = common.config.display().to_string();
            Err(Failure::invalid_configuration(&file, true, &errors))
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
    let mut sections = Vec::new();
    let mut json = Map::new();
    let mut notes = Vec::new();
    if args.part != BlacklistPart::AbsDetected {
        let entries = read(common, List::Deny)?;
        sections.push(section("Manual Blacklist", &entries, common.show_secrets));
        json.insert("manual".to_owned(), rows(&entries, common.show_secrets));
    }
    if args.part != BlacklistPart::Manual {
        if args.part == BlacklistPart::All && args.abs.abs_url.is_none() {
            notes.push("what ABS lists is not shown; --abs URL asks ABS for it".to_owned());
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

fn read(common: &Common, list: List) -> Result<Vec<Entry>> {
    let file = ConfigFile::read(common)?;
    Ok(manual_list::read_list(file.configuration.get(list.key())))
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
    let mut lines = vec![title.to_owned()];
    lines.extend(
        entries
            .iter()
            .zip(1_u64..)
            .map(|(entry, number)| format!("{number}) {}", entry.row(show_secrets))),
    );
    lines.join("\n")
}

fn rows(entries: &[Entry], show_secrets: bool) -> Value {
    entries
        .iter()
        .map(|entry| {
            let mut row = Map::new();
            row.insert("type".to_owned(), json!(kind_name(entry.kind)));
            if let Some(name) = &entry.name {
                row.insert("name".to_owned(), json!(name));
            }
            row.insert("value".to_owned(), json!(entry.shown_value(show_secrets)));
            Value::Object(row)
        })
        .collect()
}
