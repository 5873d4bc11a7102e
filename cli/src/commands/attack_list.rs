//! `attack_list`: shows ABS's list, imports it into the manual deny list, or removes false positives from it.

use std::fmt::Write as _;

use portcullis::config::Guard;
use portcullis::identifier::{ClientIdentifier, parse_address};
use serde_json::{Value, json};

use super::manual_lists;
use crate::args::{AttackListArgs, Common, ListStatus, OutputFormat};
use crate::clients::abs::{self, Client, List};
use crate::clients::access_log::is_private;
use crate::config_file::atomic_file;
use crate::config_file::manual_list::in_abs_format;
use crate::entry::{Entry, kind_name};
use crate::error::{Failure, Result};
use crate::output::{self, Report};

/// Runs the command.
pub fn run(common: &Common, args: &AttackListArgs) -> Result<Report> {
    match (args.remove, args.import_deny) {
        (true, _) => remove(common, args),
        (false, true) => import(common, args),
        (false, false) => show(common, args),
    }
}

fn show(common: &Common, args: &AttackListArgs) -> Result<Report> {
    let list = Client::new(&args.abs)?.fetch(args.status)?;
    let notes = notes(&list);
    let status = status_name(args.status);
    let is_filtered = !args.types.is_empty() || args.contains.is_some();
    let n_skipped = list.skipped.len();
    let n_listed = list.entries.len();
    let entries = list
        .entries
        .into_iter()
        .filter(|entry| is_wanted(args, entry));
    let entries: Vec<_> = entries.collect();
    let n_entries = entries.len();
    let page = entries.into_iter().skip(args.offset);
    let page: Vec<_> = page.take(args.limit.unwrap_or(usize::MAX)).collect();
    // A list can be long: only what is printed is made.
    let report = match common.output {
        OutputFormat::Text => {
            let text = match (n_entries, is_filtered) {
                (0, false) => format!("ABS's {status} attack list is empty"),
                (0, true) => format!("none of the {n_listed} entries matches"),
                _ => table(&page, n_entries, args.offset, common.show_secrets),
            };
            Report::new(text, Value::Null)
        }
        OutputFormat::Json => {
            let json = json!({
                "status": status,
                "entries": n_entries,
                "offset": args.offset,
                "shown": page.len(),
                "skipped": n_skipped,
                "attacklist": in_abs_format(&page, common.show_secrets),
            });
            Report::new("", json)
        }
    };
    Ok(Report { notes, ..report })
}

/// Whether the filters of the command select an entry.
fn is_wanted(args: &AttackListArgs, entry: &Entry) -> bool {
    let is_of_kind = args.types.is_empty() || args.types.contains(&entry.kind);
    is_of_kind
        && args.contains.as_ref().is_none_or(|text| {
            let is_in = |part: &str| part.contains(text.as_str());
            let has_address = |address| match entry.identifier() {
                Ok(ClientIdentifier::Ip(range)) => range.contains(&address),
                _ => false,
            };
            is_in(&entry.value)
                || entry.name.as_deref().is_some_and(is_in)
                || parse_address(text).is_some_and(has_address)
        })
}

fn import(common: &Common, args: &AttackListArgs) -> Result<Report> {
    let client = Client::new(&args.abs)?;
    let source = format!("ABS's {} attack list", status_name(args.status));
    let fetch = |guard: &Guard| client.fetch_guarded(args.status, guard);
    let (list, mut report) = manual_lists::import_deny(common, fetch, args.replace, &source)?;
    report.notes.extend(notes(&list));
    Ok(report)
}

fn remove(common: &Common, args: &AttackListArgs) -> Result<Report> {
    let wanted = match (&args.file, args.kind) {
        (Some(path), _) => {
            let list = abs::read(&atomic_file::read_bytes(path)?, None)
                .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
            list.entries
        }
        (None, Some(kind)) => Entry::several(kind, &args.words)?,
        (None, None) => {
            return Err(Failure::usage(
                "name what to remove: KIND and VALUE, or --file FILE",
            ));
        }
    };
    let client = Client::new(&args.abs)?;
    let shown = |entries: &[Entry]| in_abs_format(entries, common.show_secrets);
    if common.dry_run {
        let text = format!(
            "ABS would be asked to remove from its attack list (dry run, nothing was sent):\n{}",
            table(&wanted, wanted.len(), 0, common.show_secrets)
        );
        return Ok(Report::new(
            text,
            json!({"dry_run": true, "remove": shown(&wanted)}),
        ));
    }
    let (removed, message) = client.remove(&wanted)?;
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|entry| {
            removed
                .entries
                .iter()
                .all(|removed| removed.key() != entry.key())
        })
        .collect();
    let words = |entry: &Entry| entry.words(common.show_secrets);
    let mut lines = Vec::new();
    for entry in &removed.entries {
        lines.push(format!("{} removed from ABS's attack list", words(entry)));
    }
    for entry in &missing {
        lines.push(format!("{} is not on ABS's attack list", words(entry)));
    }
    let json = json!({
        "dry_run": false,
        "message": message,
        "removed": shown(&removed.entries),
        "not_listed": shown(&missing),
    });
    Ok(Report {
        exit_code: u8::from(removed.entries.is_empty()),
        ..Report::new(lines.join("\n"), json)
    })
}

const fn status_name(status: ListStatus) -> &'static str {
    match status {
        ListStatus::Active => "active",
        ListStatus::Expired => "expired",
        ListStatus::All => "whole",
    }
}

/// The entries of a page, and how many there are.
fn table(page: &[Entry], n_entries: usize, offset: usize, show_secrets: bool) -> String {
    let mut rows = vec![["TYPE", "NAME", "VALUE"].map(str::to_owned)];
    rows.extend(page.iter().map(|entry| {
        let name = entry.name.clone().unwrap_or_default();
        [
            kind_name(entry.kind).to_owned(),
            name,
            entry.shown_value(show_secrets),
        ]
    }));
    let mut text = output::table(&rows);
    let noun = if n_entries == 1 { "entry" } else { "entries" };
    let _ = write!(text, "\n{n_entries} {noun}");
    if page.len() < n_entries {
        let first = offset.saturating_add(1);
        let _ = match page.len() {
            0 => write!(text, ", none after {offset}"),
            length => write!(
                text,
                ", shown: {first} to {}",
                offset.saturating_add(length)
            ),
        };
    }
    text
}

/// What an operator should look at in a list.
fn notes(list: &List) -> Vec<String> {
    let mut notes = Vec::new();
    if !list.skipped.is_empty() {
        notes.push(format!(
            "entries of ABS's list that can't be used are skipped: {}",
            named(&list.skipped)
        ));
    }
    let mut entries = list.entries.iter();
    let private = entries.find(|entry| match entry.identifier() {
        Ok(ClientIdentifier::Ip(range)) => is_private(range.addr()),
        _ => false,
    });
    if let Some(entry) = private {
        notes.push(format!(
            "ABS lists the private address {}: if it is a proxy of yours, everybody behind it is blocked; make ABS and \
             Envoy see the client's own address",
            entry.value
        ));
    }
    notes
}

/// Names the first skipped entries, and counts the rest.
fn named(skipped: &[String]) -> String {
    const SHOWN: usize = 10;
    let (shown, rest) = skipped.split_at(skipped.len().min(SHOWN));
    let shown = shown.join("; ");
    match rest.len() {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}
