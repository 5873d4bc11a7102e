//! Secrets: typed in the configuration, or in an environment variable that it names.
//! Never shown in errors or debug output.

use super::error::Problem;
use super::section::Section;
use super::value;
use super::warning::Notice;
use crate::identifier::listed::trimmed;

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the header that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Looks up an environment variable of the VM.
pub(super) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// The source of one secret.
pub(super) struct Credential {
    pub(super) key: &'static str,
    pub(super) variable_key: &'static str,
    pub(super) default_variable: &'static str,
    pub(super) parse: fn(&str) -> Result<String, Problem>,
}

impl Credential {
    /// Reads the secret; `key` has precedence. Without an `environment` only the typed value counts: a variable of an
    /// unused section may be meant for something else.
    pub(super) fn read(
        &self,
        section: &Section<'_>,
        environment: Option<Environment<'_>>,
    ) -> Option<Secret> {
        let allowed = "the name of an environment variable, such as \"ABS_ACCESS_KEY\"";
        let variable = section.text(self.variable_key, allowed, value::variable_name);
        if section.has(self.key) {
            let allowed = "a string; or omit it and set the environment variable";
            return section.text(self.key, allowed, self.parse).map(Secret::new);
        }
        let variable = variable.unwrap_or_else(|| self.default_variable.to_owned());
        let text = environment?(&variable).filter(|text| !text.is_empty())?;
        let path = section.path_of(self.variable_key);
        let inner = trimmed(&text);
        match (self.parse)(inner) {
            Ok(secret) => {
                if inner.len() != text.len() {
                    let notice = Notice::TrimmedVariable { variable };
                    section.report().warning(path, notice);
                }
                Some(Secret::new(secret))
            }
            // The environment is not part of the configuration: the filter runs, and the log and the metrics report that
            // the calls fail without the key.
            Err(Problem::Invalid { found, allowed }) => {
                let notice = Notice::UnusableVariable {
                    variable,
                    found,
                    allowed,
                };
                section.report().warning(path, notice);
                None
            }
            Err(problem) => {
                section.report().error(path, problem);
                None
            }
        }
    }
}
