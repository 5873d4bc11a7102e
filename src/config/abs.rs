//! The section `abs`: how ABS is reached. Makes no call.

use core::time::Duration;

use super::credential::{Credential, Environment, Secret};
use super::error::Problem;
use super::section::Section;
use super::value::{self, DurationRange};

pub(super) const ABS_KEYS: &[&str] = &[
    "cluster",
    "authority",
    "access_key",
    "secret_key",
    "access_key_env",
    "secret_key_env",
    "timeout",
    "attack_window",
];

const TIMEOUT: DurationRange = DurationRange {
    least: Duration::from_millis(1),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"1ms\" to \"1h\", such as \"30s\" (whole number; units ms, s, m, h, d)",
};

/// ABS's dates have no seconds, so a window under a minute would be empty.
pub(super) const ATTACK_WINDOW: DurationRange = DurationRange {
    least: Duration::from_secs(60),
    most: Duration::from_secs(3_650 * 86_400),
    allowed: "a duration from \"1m\" to \"3650d\", such as \"30d\" (whole number; units ms, s, m, h, d)",
};

pub(super) const DEFAULT_ATTACK_WINDOW: Duration = Duration::from_secs(30 * 86_400);

const ACCESS_KEY: Credential = Credential {
    key: "access_key",
    variable_key: "access_key_env",
    default_variable: "ABS_ACCESS_KEY",
    parse: value::abs_key,
};
const SECRET_KEY: Credential = Credential {
    key: "secret_key",
    variable_key: "secret_key_env",
    default_variable: "ABS_SECRET_KEY",
    parse: value::abs_key,
};

/// How ABS is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abs {
    /// Envoy cluster.
    pub cluster: String,
    /// `:authority` of the calls.
    pub authority: String,
    /// `x-abs-ak`, if the filter sends it.
    pub access_key: Option<Secret>,
    /// `x-abs-sk`, if the filter sends it.
    pub secret_key: Option<Secret>,
    /// Of one fetch.
    pub timeout: Duration,
    /// `earlier_date` = now - window.
    pub attack_window: Duration,
}

pub(super) fn read_abs(
    root: &Section<'_>,
    is_needed: bool,
    environment: Environment<'_>,
) -> Option<Abs> {
    let section = root.section("abs", ABS_KEYS);
    let cluster = section.text(
        "cluster",
        "the name of the Envoy cluster of ABS, such as \"abs\"",
        value::visible_ascii,
    );
    let authority = section.text(
        "authority",
        "a host name, with or without a port, such as \"abs.example.com:8080\"",
        value::visible_ascii,
    );
    let timeout = section.duration("timeout", &TIMEOUT);
    let attack_window = section.duration("attack_window", &ATTACK_WINDOW);
    if is_needed && !section.has("cluster") && !section.is_broken() {
        let needed = "enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off";
        section.reject("cluster", Problem::Missing { needed });
    }
    let environment = (is_needed || cluster.is_some()).then_some(environment);
    let access_key = ACCESS_KEY.read(&section, environment);
    let secret_key = SECRET_KEY.read(&section, environment);
    let cluster = cluster?;
    Some(Abs {
        authority: authority.unwrap_or_else(|| cluster.clone()),
        cluster,
        access_key,
        secret_key,
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        attack_window: attack_window.unwrap_or(DEFAULT_ATTACK_WINDOW),
    })
}
