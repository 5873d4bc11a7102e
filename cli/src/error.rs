//! Why a command failed: what is printed, and the exit code. Decides nothing; knows no command.

use std::fmt::Write as _;

use portcullis::config::ConfigError;
use serde_json::{Value, json};

/// What a fallible step of a command returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// What is wrong, and what to do about it.
    pub message: String,
    /// The same for programs.
    pub json: Value,
    /// 1: refused by validation, a server or the system; 2: wrong usage.
    pub exit_code: u8,
}

impl Failure {
    /// Validation, a server or the system refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(message.into(), 1)
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(message.into(), 2)
    }

    /// The filter would refuse the configuration in `file`. `refusal`: what did not happen, if an edit was asked for.
    pub fn invalid_configuration(
        file: &str,
        refusal: Option<&str>,
        errors: &[ConfigError],
    ) -> Self {
        let mut message = match refusal {
            Some(refusal) => {
                format!("{file} {refusal}: the filter would refuse the configuration")
            }
            None => format!("{file}: the filter would refuse this configuration"),
        };
        for error in errors {
            let _ = write!(message, "\n  {error}");
        }
        Self {
            message,
            json: json!({
                "error": "the configuration is not valid",
                "file": file,
                "errors": errors_to_json(errors),
            }),
            exit_code: 1,
        }
    }

    fn new(message: String, exit_code: u8) -> Self {
        Self {
            json: json!({ "error": message }),
            message,
            exit_code,
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
