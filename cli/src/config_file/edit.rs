//! One edit of the filter's configuration: read, edit, validate with the filter's own loader, write or only show.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::ConfigFile;
use super::diff::{Difference, differences};
use super::place::Place;
use super::select::Selection;
use crate::args::Common;
use crate::error::{Failure, Result};
use crate::output::Report;

/// Edits the configuration at the place that `common` names. `edit` returns the message to print.
pub fn edit(
    common: &Common,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<String>,
) -> Result<Report> {
    let place = Place::of(common);
    let parse = |text: String| ConfigFile::parse(&place, text, Selection::of(common));
    let work = |text: String| -> Result<(Option<String>, Report)> {
        let file = parse(text)?;
        let mut new = file.configuration.clone();
        let message = edit(&mut new)?;
        let text = match new == file.configuration {
            true => None,
            false => Some(file.text_with(&new)?),
        };
        // Validates what Envoy will read: the new text.
        match &text {
            Some(text) => parse(text.clone())?.validate(),
            None => file.validate(),
        }
        .map_err(|errors| {
            Failure::invalid_configuration(&file.file, Some(place.refusal()), &errors)
        })?;
        let report = report(common, &file, &new, message);
        Ok((text, report))
    };
    match common.dry_run {
        true => place.try_update(work),
        false => place.update(work),
    }
}

fn report(common: &Common, old: &ConfigFile, new: &Map<String, Value>, message: String) -> Report {
    let differences = differences(&old.configuration, new, common.show_secrets);
    let changed = !differences.is_empty();
    let file = &old.file;
    let json = json!({
        "file": file,
        "message": message,
        "changed": changed && !common.dry_run,
        "dry_run": common.dry_run,
        "changes": differences.iter().map(Difference::to_json).collect::<Vec<_>>(),
    });
    let text = match (common.dry_run, changed) {
        (false, _) => message,
        (true, false) => format!("{file} would not change: {message}"),
        (true, true) => {
            let mut text = format!("{file} would change (dry run, nothing was written):");
            for difference in &differences {
                let _ = write!(text, "\n  {difference}");
            }
            text
        }
    };
    Report::new(text, json)
}
