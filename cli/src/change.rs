//! One change of the filter's configuration: read, edit, validate with the filter's own loader, write or only show.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::args::Common;
use super::difference::{Difference, differences};
use super::error::Failure;
use super::file;
use super::filter_file::FilterFile;
use super::output::Report;

/// Changes the configuration of the file that `common` names. `edit` changes it and gives the words to say.
pub fn change(
    common: &Common,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<String, Failure>,
) -> Result<Report, Failure> {
    let path = common.config.as_path();
    let read = |text: String| FilterFile::parse(path, text, common.name.as_deref());
    let work = |filter_file: FilterFile| -> Result<(Option<String>, Report), Failure> {
        let mut new = filter_file.configuration().clone();
        let words = edit(&mut new)?;
        let invalid = |errors| Failure::Invalid {
            file: filter_file.file().to_owned(),
            unchanged: true,
            errors,
        };
        let changed = &new != filter_file.configuration();
        let text = match changed {
            true => Some(filter_file.text_with(&new)?),
            false => None,
        };
        // What is checked is what Envoy will read: the text as it will stand.
        match &text {
            Some(text) => read(text.clone())?.validate(),
            None => filter_file.validate(),
        }
        .map_err(invalid)?;
        let report = report(common, filter_file.configuration(), &new, words);
        Ok((text, report))
    };
    match common.dry_run {
        true => work(read(file::read(path)?)?).map(|(_, report)| report),
        false => file::update(path, |text| work(read(text)?)),
    }
}

fn report(
    common: &Common,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    words: String,
) -> Report {
    let differences = differences(old, new, common.show_secrets);
    let changed = !differences.is_empty();
    let file = common.config.display().to_string();
    let json = json!({
        "file": file,
        "message": words,
        "changed": changed && !common.dry_run,
        "dry_run": common.dry_run,
        "changes": differences.iter().map(Difference::to_json).collect::<Vec<_>>(),
    });
    let text = match (common.dry_run, changed) {
        (false, _) => words,
        (true, false) => format!("{file} would not change: {words}"),
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
