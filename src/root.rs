//! A root context: one active configuration, and what is derived from it. Makes no decision about lists or requests.

use core::hash::Hasher;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use crate::config::{Config, JwtLocation, UsernameSource};
use crate::host::{RootContext, RootId};
use crate::identifier::FingerprintKey;
use crate::judge::Policy;
use crate::sync::{ListId, SHORT_TICK, SyncSettings};
use crate::traffic::record;
use crate::traffic::settings::{Destination, TrafficSettings};

/// A root context is considered deleted after this many tick periods without a tick. We do not export `proxy_on_delete`:
/// it would cost a call per request.
const MISSED_PERIODS: u32 = 8;

/// A root context of one VM.
#[derive(Debug)]
pub struct Root {
    id: RootId,
    config: Config,
    policy: Policy,
    header_names: Vec<String>,
    list: Option<ListId>,
    destination: Option<Destination>,
    rules: u64,
    tick_period: Duration,
    /// The time since its own last tick, as measured by the ticks of others.
    idle: Duration,
}

impl Root {
    /// A root context with this configuration. `key`: for the fingerprints of its manual lists.
    pub fn new(id: RootId, config: Config, key: FingerprintKey) -> Self {
        let abs = config.abs.as_ref();
        let list = abs.filter(|_| config.enable_abs_attack).map(|abs| {
            let window = abs.attack_window.as_secs().to_string();
            ListId::new(&[&abs.cluster, &abs.authority, &window])
        });
        let destination = abs.filter(|_| config.enable_abs);
        let destination = destination.map(|abs| Destination::new(abs, &config.traffic));
        Self {
            id,
            policy: Policy::new(&config, key),
            header_names: header_names(&config),
            list,
            destination,
            rules: list_rules(&config),
            config,
            tick_period: SHORT_TICK,
            idle: Duration::ZERO,
        }
    }

    /// The host's number for it.
    pub fn id(&self) -> RootId {
        self.id
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The policy by which it judges.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The headers to read in addition to those that HTTP defines for identifiers and APIs.
    pub fn header_names(&self) -> &[String] {
        &self.header_names
    }

    /// The list that its feed fetches.
    pub fn list(&self) -> Option<ListId> {
        self.list
    }

    /// The destination of its traffic information.
    pub fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// The settings for its traffic information.
    pub fn traffic_settings(&self) -> Option<TrafficSettings<'_>> {
        Some(TrafficSettings {
            root: self.id,
            destination: self.destination.as_ref()?,
            abs: self.config.abs.as_ref()?,
            traffic: &self.config.traffic,
            header_names: &self.header_names,
        })
    }

    /// The settings for fetching its list, with calls of the root context `root`.
    pub fn sync_settings(&self, root: RootId) -> Option<SyncSettings<'_>> {
        Some(SyncSettings {
            root,
            config: &self.config,
            abs: self.config.abs.as_ref()?,
            rules: self.rules,
        })
    }

    /// Advances the time of its policy.
    pub fn tick(&mut self, now: Duration) {
        self.policy.tick(&self.config, now);
    }

    /// Whether it does not tick.
    pub fn is_stopped(&self) -> bool {
        self.tick_period == Duration::ZERO
    }

    /// Sets the period of its ticks.
    pub fn set_tick_period(&mut self, host: &dyn RootContext, period: Duration) {
        if self.tick_period != period {
            self.tick_period = period;
            host.set_tick_period(self.id, period);
        }
    }

    /// Records a tick of root context `ticking`; `passed`: the time since the last tick of any root context. Returns whether
    /// this root context still exists.
    pub fn is_live(&mut self, ticking: RootId, passed: Duration) -> bool {
        self.idle = if self.id == ticking {
            Duration::ZERO
        } else {
            self.idle.saturating_add(passed)
        };
        self.is_stopped() || self.idle <= self.tick_period.saturating_mul(MISSED_PERIODS)
    }
}

/// The headers that APIs name for API keys, user names and tokens, and those of traffic records.
fn header_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    for api in config.apis.iter() {
        for name in &api.apikey_header {
            add(name);
        }
        for source in &api.username {
            if let UsernameSource::Header(name) = source {
                add(name);
            }
        }
        if let Some(JwtLocation::Header(name)) = api.jwt.as_ref().map(|jwt| &jwt.location) {
            add(name);
        }
    }
    if config.enable_abs {
        record::header_names(&config.traffic).for_each(add);
    }
    names
}

/// A hash of everything that decides whether a feed's list is accepted, and which entries.
fn list_rules(config: &Config) -> u64 {
    let guard = &config.guard;
    let mut hasher = SipHasher13::new();
    for number in [
        config.attack_list_memory,
        guard.widest_ipv4.into(),
        guard.widest_ipv6.into(),
        config.ipv6_prefix.into(),
        guard.max_change_percent.map_or(0, f64::to_bits),
        guard.max_skipped_percent.to_bits(),
    ] {
        hasher.write_u64(number);
    }
    hasher.finish()
}
