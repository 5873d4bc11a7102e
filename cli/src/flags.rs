//! The six commands that switch the firewall, the traffic information and the attack list on and off.

use serde_json::Value;

use super::args::Common;
use super::change::change;
use super::error::Failure;
use super::output::Report;

/// One of the three flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Blocking as a whole.
    Firewall,
    /// Traffic information to ABS.
    Abs,
    /// Fetching ABS's attack list, and blocking on it.
    AbsAttack,
}

impl Flag {
    const fn key(self) -> &'static str {
        match self {
            Flag::Firewall => "enable_firewall",
            Flag::Abs => "enable_abs",
            Flag::AbsAttack => "enable_abs_attack",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Flag::Firewall => "Firewall",
            Flag::Abs => "ABS",
            Flag::AbsAttack => "ABS attack",
        }
    }

    /// What holds where the configuration does not name the flag.
    const fn default(self) -> bool {
        matches!(self, Flag::Firewall)
    }
}

/// Sets a flag and says so in ASE's words.
pub fn set(common: &Common, flag: Flag, enabled: bool) -> Result<Report, Failure> {
    change(common, |configuration| {
        let state = if enabled { "enabled" } else { "disabled" };
        let before = configuration.get(flag.key());
        if before.map_or(flag.default(), |value| *value == Value::Bool(true)) == enabled
            && before.is_none_or(Value::is_boolean)
        {
            return Ok(format!("{} is already {state}", flag.title()));
        }
        configuration.insert(flag.key().to_owned(), Value::Bool(enabled));
        Ok(format!("{} is now {state}", flag.title()))
    })
}
