//! What an operator should look at in a configuration that is valid.
//!
//! Owns the words of the warnings, and the checks of a finished configuration that only warn. Like the errors, no
//! warning holds a value that may be secret.

use core::fmt;

use super::error::{Errors, Path, quoted};
use super::{Api, Mode};

/// One warning about a plugin configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Where, as in [`super::ConfigError::path`].
    pub path: String,
    /// What to look at.
    pub notice: Notice,
}

/// What to look at in one place of a plugin configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// White space around a value, which is not part of it.
    Trimmed,
    /// The same around the value of an environment variable: the line end of a Kubernetes Secret, for instance.
    TrimmedVariable {
        /// Name of the variable.
        variable: String,
    },
    /// An environment variable whose value can't be sent.
    UnusableVariable {
        /// Name of the variable.
        variable: String,
        /// What is wrong with its value, without the value.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An API where nothing is blocked, chosen by the `Host` header.
    ChosenByHost {
        /// The API.
        api_id: String,
        /// Its host name.
        hostname: String,
        /// The setting that keeps it from blocking.
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

/// Warns of each API that does not block and that a client can choose by its `Host` header.
pub(super) fn warn_of_chosen_by_host(apis: &[Api], errors: &mut Errors) {
    for api in apis {
        let setting = match (api.enable_blocking, api.mode) {
            (false, _) => "enable_blocking: false",
            (true, Mode::Shadow) => "mode: shadow",
            (true, Mode::Enforce) => continue,
        };
        if let Some(hostname) = &api.hostname {
            let notice = Notice::ChosenByHost {
                api_id: api.api_id.clone(),
                hostname: hostname.clone(),
                setting,
            };
            errors.warn(Path::Key(&Path::Root, "apis"), notice);
        }
    }
}
