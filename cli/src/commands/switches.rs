//! The six commands that switch the firewall, the traffic information and the attack list on and off.

use serde_json::Value;

use crate::args::Common;
use crate::config_file::edit::edit;
use crate::error::Result;
use crate::output::Report;

/// One of the three switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// All blocking.
    Firewall,
    /// Traffic information to ABS.
    Abs,
    /// Fetching ABS's attack list, and blocking on it.
    AbsAttack,
}

impl Switch {
    const fn key(self) -> &'static str {
        match self {
            Switch::Firewall => "enable_firewall",
            Switch::Abs => "enable_abs",
            Switch::AbsAttack => "enable_abs_attack",
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
}

/// Sets a switch and reports it in ASE's words.
pub fn set(common: &Common, switch: Switch, enabled: bool) -> Result<Report> {
    edit(common, |configuration| {
        let state = if enabled { "enabled" } else { "disabled" };
        let before = configuration.get(switch.key());
        if before.map_or(switch.default(), |value| *value == Value::Bool(true)) == enabled
            && before.is_none_or(Value::is_boolean)
        {
            return Ok(format!("{} is already {state}", switch.title()));
        }
        configuration.insert(switch.key().to_owned(), Value::Bool(enabled));
        Ok(format!("{} is now {state}", switch.title()))
    })
}
