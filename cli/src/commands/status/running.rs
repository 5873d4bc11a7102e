//! Which configurations the running Envoy uses, as far as it shows them.

use portcullis::config::Config;
use serde_json::json;

use super::blocking::{Blocking, State};
use super::limits::Limited;
use crate::clients::envoy_admin::RunningEnvoy;
use crate::config_file::locate::DEFAULT_NAME;
use crate::config_file::validate;

/// The configurations that an Envoy uses.
pub enum Running {
    /// These, at least one.
    Active(Vec<Config>),
    /// None, or one that Envoy does not show.
    Hidden(Blocking),
}

impl Running {
    /// Those of the filters with one of these names.
    pub fn of(envoy: &RunningEnvoy, names: &[String]) -> Self {
        let hidden = |state, reason: &str| Self::Hidden(Blocking::because(state, reason));
        let updates = envoy.updates(names);
        let refused = updates.iter().find(|updates| updates.newest_is_refused);
        if refused.is_some_and(|updates| updates.accepted > 0) {
            let reason = "Envoy refused the newest configuration and runs an older one, which it does not show";
            return hidden(State::Unknown, reason);
        }
        if updates.iter().any(|updates| updates.accepted == 0) {
            let reason = "no configuration is active, and every request gets 500";
            return hidden(State::No, reason);
        }
        let configurations = envoy.configurations(names);
        if configurations.is_empty() {
            let name = names.first().map_or(DEFAULT_NAME, String::as_str);
            let reason = format!("the running Envoy has no filter named \"{name}\"");
            return hidden(State::No, &reason);
        }
        let configs = configurations.iter().map(|configuration| {
            let config = validate(json!(configuration).to_string().as_bytes());
            config.ok()
        });
        match configs.collect::<Option<Vec<_>>>() {
            Some(configs) => Self::Active(configs),
            None => hidden(
                State::Unknown,
                "the filter refuses the newest configuration; an older one is active, or none",
            ),
        }
    }

    /// The first of them.
    pub fn first(&self) -> Option<&Config> {
        match self {
            Running::Active(configs) => configs.first(),
            Running::Hidden(_) => None,
        }
    }

    /// Whether clients are blocked, by all of them together.
    pub fn blocking(&self, envoy: &RunningEnvoy, names: &[String], limited: &Limited) -> Blocking {
        let configs = match self {
            Running::Active(configs) => configs,
            Running::Hidden(blocking) => return blocking.clone(),
        };
        let mut each: Vec<_> = configs
            .iter()
            .map(|config| Blocking::of(config, Some(envoy), limited))
            .collect();
        each.dedup();
        let all = match each.as_slice() {
            [one] => one.clone(),
            several => {
                let texts: Vec<_> = several.iter().map(Blocking::text).collect();
                Blocking::because(
                    State::Partly,
                    format!("filters differ ({})", texts.join(" | ")),
                )
            }
        };
        all.with(&envoy.exemptions(names))
    }
}
