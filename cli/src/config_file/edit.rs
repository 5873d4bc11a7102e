//! One edit of the filter's configuration: read, edit, validate with the filter's own loader, write or only show.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::diff::{Difference, differences};
use super::place::Place;
use super::select::Selection;
use super::{ConfigFile, validate};
use crate::args::Common;
use crate::error::{Failure, Result};
use crate::output::Report;
use crate::output::progress::Progress;

/// The size in bytes from which a configuration is large.
const LARGE: usize = 1 << 20;

/// An edited text that the filter accepts; nothing is written yet.
#[derive(Debug)]
pub struct Edited {
    /// How messages call the place of the text.
    pub file: String,
    /// The new text; `None` if the edit changes nothing.
    pub text: Option<String>,
    /// What the edit did, in ASE's words.
    pub message: String,
    /// What it changed.
    pub differences: Vec<Difference>,
}

/// Edits the configuration at the place that `common` names. `edit` returns the message to print; it is repeated if another
/// edit comes between.
pub fn edit(
    common: &Common,
    mut edit: impl FnMut(&mut Map<String, Value>) -> Result<String>,
) -> Result<Report> {
    let place = Place::of(common);
    let _progress = Progress::of(&format!("changing {}", place.name()));
    let work = |text: String| -> Result<(Option<String>, Report)> {
        let selection = Selection::of(common, &place);
        let edited = edit_text(&place, selection, text, common.show_secrets, &mut edit)?;
        let report = edited.report(common.dry_run);
        Ok((edited.text, report))
    };
    match common.dry_run {
        true => place.try_update(work),
        false => place.update(work),
    }
}

/// Edits the configuration in a text, which is at `place`.
pub fn edit_text(
    place: &Place,
    selection: Selection<'_>,
    text: String,
    show_secrets: bool,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<String>,
) -> Result<Edited> {
    let file = ConfigFile::parse(place, text, selection)?;
    let mut new = file.configuration.clone();
    let message = edit(&mut new)?;
    let refused =
        |errors: Vec<_>| Failure::invalid_configuration(&file.file, Some(place.refusal()), &errors);
    let text = match new == file.configuration {
        true => {
            file.validate().map_err(refused)?;
            None
        }
        false => {
            // A large one is refused before the work on the text, which takes many times as long.
            if file.raw.len() > LARGE || has_many(&new) {
                let json = serde_json::to_vec(&new).unwrap_or_default();
                validate(&json).map_err(refused)?;
            }
            let text = file.text_with(&new)?;
            // Validates what Envoy will read: the new text.
            let edited = ConfigFile::parse(place, text.clone(), selection)?;
            edited.validate().map_err(refused)?;
            Some(text)
        }
    };
    Ok(Edited {
        differences: differences(&file.configuration, &new, show_secrets),
        file: file.file,
        text,
        message,
    })
}

/// Whether a list of the configuration has so many entries that the configuration is large.
fn has_many(configuration: &Map<String, Value>) -> bool {
    const MANY: usize = 10_000;
    let sections = configuration.values().filter_map(Value::as_object);
    let lists = sections.flat_map(|section| section.values());
    let n_entries = lists.filter_map(Value::as_array).map(Vec::len);
    n_entries.max().is_some_and(|longest| longest > MANY)
}

impl Edited {
    /// What is printed.
    pub fn report(&self, dry_run: bool) -> Report {
        let changed = !self.differences.is_empty();
        let Self { file, message, .. } = self;
        let json = json!({
            "file": file,
            "message": message,
            "changed": changed && !dry_run,
            "dry_run": dry_run,
            "changes": self.differences.iter().map(Difference::to_json).collect::<Vec<_>>(),
        });
        let text = match (dry_run, changed) {
            (false, _) => message.clone(),
            (true, false) => format!("{file} would not change: {message}"),
            (true, true) => {
                let mut text = format!("{file} would change (dry run, nothing was written):");
                for difference in &self.differences {
                    let _ = write!(text, "\n  {difference}");
                }
                text
            }
        };
        Report {
            is_message: !dry_run,
            ..Report::new(text, json)
        }
    }
}
