//! What `view_whitelist` and `view_blacklist` of ASE print, as entries. An entry that the filter can't use is a remark.

use portcullis::identifier::IdentifierKind;

use super::remarks::Remarks;
use crate::commands::manual_lists::List;
use crate::entry::Entry;

/// A heading and the list that its rows belong to; `None` if ASE or ABS made the list.
const HEADINGS: [(&str, Option<List>); 3] = [
    ("whitelist", Some(List::Allow)),
    ("allow list", Some(List::Allow)),
    ("manual blacklist", Some(List::Deny)),
];

/// The manual lists of ASE.
#[derive(Default)]
pub struct Lists {
    /// Clients that are always allowed.
    pub allow: Vec<Entry>,
    /// Clients that are always blocked.
    pub deny: Vec<Entry>,
}

/// Whether a text is the output of one of these commands.
pub fn is_list(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .is_some_and(is_heading)
}

fn is_heading(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.ends_with("whitelist")
        || line.ends_with("blacklist")
        || line.ends_with("allow list")
        || line.ends_with("deny list")
}

impl Lists {
    /// Reads the output of a command.
    pub fn read(&mut self, file: &str, text: &str, remarks: &mut Remarks) {
        let mut list = None;
        let mut heading = "";
        let mut n_others = 0_u64;
        for (number, line) in (1_u64..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            if is_heading(line) {
                note_others(file, heading, n_others, remarks);
                n_others = 0;
                heading = line;
                let lower = line.to_ascii_lowercase();
                list = HEADINGS
                    .iter()
                    .find(|(known, _)| *known == lower)
                    .and_then(|(_, list)| *list);
                if lower == "manual deny list" {
                    list = Some(List::Deny);
                }
                continue;
            }
            match (list, entry(line)) {
                (None, _) => n_others = n_others.saturating_add(1),
                (Some(List::Allow), Ok(entry)) => self.allow.push(entry),
                (Some(List::Deny), Ok(entry)) => self.deny.push(entry),
                (Some(_), Err(reason)) => remarks.add(file, &format!("line {number}"), &reason),
            }
        }
        note_others(file, heading, n_others, remarks);
    }
}

fn note_others(file: &str, heading: &str, n_entries: u64, remarks: &mut Remarks) {
    let noun = if n_entries == 1 { "entry" } else { "entries" };
    if n_entries > 0 {
        let reason = match heading.to_ascii_lowercase().contains("abs") {
            true => format!("{n_entries} {noun} of ABS's list, which the filter fetches itself"),
            false => {
                format!("{n_entries} {noun} that ASE detected itself, which the filter does not do")
            }
        };
        remarks.add(file, heading, &reason);
    }
}

/// `2) type : cookie, name : JSESSIONID, value : cookie_1.4`. The value may contain anything.
fn entry(line: &str) -> Result<Entry, String> {
    const SHAPE: &str = "not in the form \"N) type : KIND, value : VALUE\"";
    let (_, row) = line.split_once(')').ok_or(SHAPE)?;
    let row = row.trim_start().strip_prefix("type").ok_or(SHAPE)?;
    let row = row.trim_start().strip_prefix(':').ok_or(SHAPE)?;
    let (kind, rest) = row.split_once(',').ok_or(SHAPE)?;
    let rest = rest.trim_start();
    // A name may contain "value", but no comma.
    let (name, rest) = match rest.strip_prefix("name") {
        Some(named) => {
            let (name, rest) = named.split_once(',').ok_or(SHAPE)?;
            let name = name.trim_start().strip_prefix(':').ok_or(SHAPE)?;
            (Some(name.trim()), rest.trim_start())
        }
        None => (None, rest),
    };
    let value = rest.strip_prefix("value").ok_or(SHAPE)?;
    let value = value.trim_start().strip_prefix(':').ok_or(SHAPE)?.trim();
    let kind = match kind.trim() {
        "ip" => IdentifierKind::Ip,
        "cookie" => IdentifierKind::Cookie,
        "token" | "oauth_token" => IdentifierKind::OauthToken,
        "api_key" => IdentifierKind::ApiKey,
        "username" => IdentifierKind::Username,
        _ => return Err("of an unknown type".to_owned()),
    };
    let words: Vec<_> = name.into_iter().chain([value]).map(str::to_owned).collect();
    Entry::from_words(kind, &words).map_err(|failure| failure.message)
}
