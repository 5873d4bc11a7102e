//! Warnings about a valid configuration.
//!
//! Owns their text. A warning must not contain a value that may be secret.

use core::fmt;

use super::error::quoted;

/// One configuration warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where, as in [`super::ConfigError::path`].
    pub path: String,
    /// What to check.
    pub notice: Notice,
}

/// What to check at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// White space around a value is ignored.
    Trimmed,
    /// White space around the value of an environment variable is ignored, such as the line end of a Kubernetes Secret.
    TrimmedVariable {
        /// Name of the variable.
        variable: String,
    },
    /// The value of an environment variable can't be sent.
    UnusableVariable {
        /// Name of the variable.
        variable: String,
        /// What is wrong with its value, without the value.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A client can select this API, which does not block, by its `Host` header.
    ChosenByHost {
        /// Name of the API.
        api_id: String,
        /// Its host name.
        hostname: String,
        /// The setting that turns blocking off.
        setting: &'static str,
    },
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.notice)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Trimmed => f.write_str(
                "the white space (or byte order mark) around the value is ignored; remove it",
            ),
            Notice::TrimmedVariable { variable } => write!(
                f,
                "the white space (a line end, for example) around the value of the environment variable {variable} is \
                 ignored; remove it"
            ),
            Notice::UnusableVariable {
                variable,
                found,
                allowed,
            } => write!(
                f,
                "the environment variable {variable} is ignored: found {found}; allowed: {allowed}"
            ),
            Notice::ChosenByHost {
                api_id,
                hostname,
                setting,
            } => write!(
                f,
                "the API {} does not block ({setting}) and is chosen by the hostname {}: any client can send that Host; \
                 make sure that Envoy routes that host to this API only",
                quoted(api_id),
                quoted(hostname)
            ),
        }
    }
}
