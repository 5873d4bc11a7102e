//! The three switches: the firewall, the traffic information and the attack list. Six commands and the management API set
//! them.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::args::Common;
use crate::config_file::edit::edit;
use crate::error::Result;
use crate::output::Report;

/// One of the three switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// All blocking.
    Firewall,
    /// Traffic information to ABS.
    Abs,
    /// Fetching ABS's attack list, and blocking on it.
    AbsAttack,
}

impl Switch {
    /// All of them, in the order of ASE's status.
    pub const ALL: [Switch; 3] = [Switch::Firewall, Switch::Abs, Switch::AbsAttack];

    /// Its key in the configuration.
    pub const fn key(self) -> &'static str {
        match self {
            Switch::Firewall => "enable_firewall",
            Switch::Abs => "enable_abs",
            Switch::AbsAttack => "enable_abs_attack",
        }
    }

    /// Its name in forms, as it is read.
    pub const fn name(self) -> &'static str {
        match self {
            Switch::Firewall => "firewall",
            Switch::Abs => "abs",
            Switch::AbsAttack => "abs_attack",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Switch::Firewall => "Firewall",
            Switch::Abs => "ABS",
            Switch::AbsAttack => "ABS attack",
        }
    }

    /// What holds where the configuration does not name the switch.
    const fn default(self) -> bool {
        matches!(self, Switch::Firewall)
    }

    /// Whether it is on in a configuration.
    pub fn is_on(self, configuration: &Map<String, Value>) -> bool {
        let value = configuration.get(self.key());
        value.map_or(self.default(), |value| *value == Value::Bool(true))
    }

    /// Sets it in a configuration, and returns the message in ASE's words.
    pub fn set(self, configuration: &mut Map<String, Value>, enabled: bool) -> String {
        let state = if enabled { "enabled" } else { "disabled" };
        let before = configuration.get(self.key());
        if self.is_on(configuration) == enabled && before.is_none_or(Value::is_boolean) {
            return format!("{} is already {state}", self.title());
        }
        configuration.insert(self.key().to_owned(), Value::Bool(enabled));
        format!("{} is now {state}", self.title())
    }
}

/// Sets a switch and reports it in ASE's words.
pub fn set(common: &Common, switch: Switch, enabled: bool) -> Result<Report> {
    edit(common, |configuration| {
        Ok(switch.set(configuration, enabled))
    })
}
