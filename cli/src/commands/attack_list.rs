//! `attack_list`: shows ABS's list, imports it into the manual deny list, or removes false positives from it.

use portcullis::config::Guard;
use portcullis::identifier::ClientIdentifier;
use serde_json::json;

use super::manual_lists;
use crate::args::{AttackListArgs, Common, ListStatus};
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
    let status = status_name(args.status);
    let text = match list.entries.as_slice() {
        [] => format!("ABS's {status} attack list is empty"),
        entries => table(entries, common.show_secrets),
    };
    let json = json!({
        "status": status,
        "entries": list.entries.len(),
        "skipped": list.skipped.len(),
        "attacklist": in_abs_format(&list.entries, common.show_secrets),
    });
    Ok(Report {
        notes: notes(&list),
        ..Report::new(text, json)
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
        (None, Some(kind)) => vec![Entry::from_words(kind, &args.words)?],
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
            table(&wanted, common.show_secrets)
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
        success: !removed.entries.is_empty(),
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

fn table(entries: &[Entry], show_secrets: bool) -> String {
    let mut rows = vec![["TYPE", "NAME", "VALUE"].map(str::to_owned)];
    rows.extend(entries.iter().map(|entry| {
        let name = entry.name.clone().unwrap_or_default();
        [
            kind_name(entry.kind).to_owned(),
            name,
            entry.shown_value(show_secrets),
        ]
    }));
    let mut lines = vec![output::table(&rows)];
    lines.push(match entries {
        [_] => "1 entry".to_owned(),
        more => format!("{} entries", more.len()),
    });
    lines.join("\n")
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
