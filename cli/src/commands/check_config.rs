//! `check_config`: whether the filter would accept configurations, by the filter's own loader.

use std::path::PathBuf;

use serde_json::json;

use crate::args::{CheckConfigArgs, Common};
use crate::config_file::ConfigFile;
use crate::config_file::place::Place;
use crate::error::{Result, errors_to_json};
use crate::output::Report;

/// Runs the command.
pub fn run(common: &Common, args: &CheckConfigArgs) -> Result<Report> {
    match args.files.as_slice() {
        [] => check(common, &Place::of(common)),
        [path] => check(common, &Place::named(path)),
        paths => Ok(check_all(common, paths)),
    }
}

/// Checks each file, also after one that can't be read.
fn check_all(common: &Common, paths: &[PathBuf]) -> Report {
    let mut texts = Vec::new();
    let mut files = Vec::new();
    let mut are_valid = true;
    for path in paths {
        let place = Place::named(path);
        match check(common, &place) {
            Ok(report) => {
                are_valid &= report.exit_code == 0;
                texts.push(report.text);
                files.push(report.json);
            }
            Err(failure) => {
                are_valid = false;
                files.push(json!({"file": place.name(), "valid": false, "error": failure.message}));
                texts.push(failure.message);
            }
        }
    }
    Report {
        exit_code: u8::from(!are_valid),
        ..Report::new(
            texts.join("\n"),
            json!({"valid": are_valid, "files": files}),
        )
    }
}

fn check(common: &Common, place: &Place) -> Result<Report> {
    let config_file = ConfigFile::read_from(place, common)?;
    let file = &config_file.file;
    let (mut warnings, mut errors) = match config_file.validate() {
        Ok(config) => (
            config.warnings.iter().map(ToString::to_string).collect(),
            Vec::new(),
        ),
        Err(errors) => (Vec::new(), errors),
    };
    errors.extend(config_file.native_errors.iter().cloned());
    let of = match config_file.names.first() {
        None => String::new(),
        Some(name) => format!(" of \"{name}\""),
    };
    let verdict = match errors.len() {
        0 => "is valid".to_owned(),
        1 => "has 1 error".to_owned(),
        more => format!("has {more} errors"),
    };
    let mut lines = vec![format!("{file}: the configuration{of} {verdict}")];
    lines.extend(errors.iter().map(|error| format!("  {error}")));
    let mut json = json!({
        "file": file,
        "names": config_file.names,
        "valid": errors.is_empty(),
        "errors": errors_to_json(&errors),
    });
    if errors.is_empty() {
        warnings.extend(config_file.listener_warnings.iter().cloned());
        lines.extend(
            warnings
                .iter()
                .map(|warning| format!("  warning: {warning}")),
        );
        json.as_object_mut()
            .map(|json| json.insert("warnings".to_owned(), json!(warnings)));
    }
    Ok(Report {
        exit_code: u8::from(!errors.is_empty()),
        ..Report::new(lines.join("\n"), json)
    })
}
