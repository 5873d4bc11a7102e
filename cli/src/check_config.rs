//! `check_config`: whether the filter would take a configuration, by the filter's own loader.

use portcullis::config::Config;
use serde_json::json;

use super::args::{CheckConfigArgs, Common};
use super::error::{Failure, errors_to_json};
use super::file;
use super::filter_file::FilterFile;
use super::output::Report;

/// What an operator should look at in a valid configuration, and around it in the file.
pub fn warnings(config: &Config, filter_file: &FilterFile) -> Vec<String> {
    let mut warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(filter_file.listener_warnings().iter().cloned());
    warnings
}

/// Runs the command.
pub fn run(common: &Common, args: &CheckConfigArgs) -> Result<Report, Failure> {
    let path = args.file.as_ref().unwrap_or(&common.config);
    let filter_file = FilterFile::parse(path, file::read(path)?, common.name.as_deref())?;
    let file = filter_file.file();
    let of = match filter_file.names() {
        [] => String::new(),
        [name, ..] => format!(" of \"{name}\""),
    };
    Ok(match filter_file.validate() {
        Ok(config) => {
            let warnings = warnings(&config, &filter_file);
            let mut lines = vec![format!("{file}: the configuration{of} is valid")];
            lines.extend(
                warnings
                    .iter()
                    .map(|warning| format!("  warning: {warning}")),
            );
            Report::new(
                lines.join("\n"),
                json!({
                    "file": file,
                    "names": filter_file.names(),
                    "valid": true,
                    "errors": [],
                    "warnings": warnings,
                }),
            )
        }
        Err(errors) => {
            let count = match errors.len() {
                1 => "1 error".to_owned(),
                more => format!("{more} errors"),
            };
            let mut lines = vec![format!("{file}: the configuration{of} has {count}")];
            lines.extend(errors.iter().map(|error| format!("  {error}")));
            Report {
                good: false,
                ..Report::new(
                    lines.join("\n"),
                    json!({
                        "file": file,
                        "names": filter_file.names(),
                        "valid": false,
                        "errors": errors_to_json(&errors),
                    }),
                )
            }
        }
    })
}
