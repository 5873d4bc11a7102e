//! Why a command did not do what was asked, and the exit code that says so.

use std::fmt::Write as _;

use portcullis::config::ConfigError;
use serde_json::{Value, json};

use super::abs::AbsError;
use super::entry::EntryError;
use super::envoy_admin::EnvoyError;
use super::explain::ExplainError;
use super::file::FileError;
use super::filter_file::FilterFileError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not hold the filter.
    #[error(transparent)]
    FilterFile(#[from] FilterFileError),
    /// The filter would refuse the configuration.
    #[error("{}", describe(.file, .unchanged, .errors))]
    Invalid {
        /// The file.
        file: String,
        /// Whether a change was asked for, and not made.
        unchanged: bool,
        /// What is wrong.
        errors: Vec<ConfigError>,
    },
    /// The words do not make an entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A list does not hold the entry that was to be taken off.
    #[error("{entry} is not in the {list}")]
    NotListed {
        /// The entry, cut.
        entry: String,
        /// Which list.
        list: &'static str,
    },
    /// Nothing of a list that was to be imported can be used.
    #[error("nothing of {list} can be imported: {left_out}; the blacklist was not changed")]
    NothingToImport {
        /// What was to be imported.
        list: String,
        /// What is left out of it.
        left_out: String,
    },
    /// The list that was to take another's place is empty.
    #[error("{0} is empty: the blacklist was not replaced; clear_blacklist empties it")]
    ReplacedByNothing(String),
    /// ABS did not answer as asked.
    #[error(transparent)]
    Abs(#[from] AbsError),
    /// The running Envoy did not answer as asked.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
    /// The request to explain is none.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// The man page could not be made.
    #[error("the man page can't be made: {0}")]
    ManPage(std::io::Error),
}

impl Failure {
    /// 1: refused by validation, a server or the system; 2: wrong usage.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Entry(error) if error.is_usage() => 2,
            Failure::Abs(error) if error.is_usage() => 2,
            Failure::Envoy(error) if error.is_usage() => 2,
            Failure::Explain(error) if error.is_usage() => 2,
            _ => 1,
        }
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        match self {
            Failure::Invalid { file, errors, .. } => json!({
                "error": "the configuration is not valid",
                "file": file,
                "errors": errors_to_json(errors),
            }),
            other => json!({ "error": other.to_string() }),
        }
    }
}

/// Errors of a configuration for programs.
pub fn errors_to_json(errors: &[ConfigError]) -> Value {
    errors
        .iter()
        .map(|error| json!({ "path": error.path, "message": error.problem.to_string() }))
        .collect()
}

fn describe(file: &str, unchanged: &bool, errors: &[ConfigError]) -> String {
    let mut text = match unchanged {
        true => format!("{file} was not changed: the filter would refuse the configuration"),
        false => format!("{file}: the filter would refuse this configuration"),
    };
    for error in errors {
        let _ = write!(text, "\n  {error}");
    }
    text
}
