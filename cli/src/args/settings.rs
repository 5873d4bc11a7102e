//! The options of `set`, `get` and `shadow`. Decides nothing.

use clap::{Args, ValueEnum};

/// The options of `set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The key as in the documentation, such as guard.max_denied_percent; for an API or a feed apis[ID].mode or
    /// feeds[NAME].interval, where a number from 0 can take the place of ID and NAME
    pub key: String,
    /// The value: true, false, null, a number or a text
    #[arg(allow_hyphen_values = true)]
    pub value: String,
}

/// The options of `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The key, as for set; default: all keys with one value
    pub key: Option<String>,
}

/// The options of `shadow`.
#[derive(Debug, Args)]
pub struct ShadowArgs {
    /// on: requests that would be denied pass, and are counted; off: they are blocked
    #[arg(value_enum)]
    pub state: OnOff,
    /// Only this API, by its api_id or its number from 0; default: all
    #[arg(long, value_name = "ID")]
    pub api: Option<String>,
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// On
    On,
    /// Off
    Off,
}
