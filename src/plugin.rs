//! One plugin configuration, and what is derived from it. Makes no decision about lists or requests.

use core::hash::Hasher;
use core::time::Duration;

use siphasher::sip::SipHasher13;

use crate::config::feed::ABS;
use crate::config::{Config, ConfigError, Feed, JwtLocation, UsernameSource};
use crate::host::{RootId, System};
use crate::identifier::{FingerprintKey, PerKind};
use crate::judge::{FeedPolicy, Policy};
use crate::metrics::Metric;
use crate::sync::{ListId, SyncSettings};
use crate::traffic::record;
use crate::traffic::settings::{Destination, TrafficSettings};

/// The number of warnings that are logged; `check_config` shows all.
const MOST_WARNINGS: usize = 10;

/// A feed of a plugin configuration, and the list that it shares with all feeds of the same source.
#[derive(Debug)]
pub struct PluginFeed {
    /// The feed.
    pub feed: Feed,
    /// Its list.
    pub list: ListId,
    /// What decides about its entries in this configuration.
    pub policy: FeedPolicy,
    rules: u64,
}

/// A plugin configuration, and what is derived from it.
#[derive(Debug)]
pub struct Plugin {
    config: Config,
    policy: Policy,
    header_names: Vec<String>,
    feeds: Vec<PluginFeed>,
    counts_requests: bool,
    destination: Option<Destination>,
}

impl Plugin {
    /// Reads a plugin configuration, and logs its errors and warnings. `key`: for the fingerprints of its manual lists.
    ///
    /// # Errors
    ///
    /// Every error of the configuration.
    pub fn load(
        system: &dyn System,
        json: &[u8],
        key: FingerprintKey,
    ) -> Result<Self, Vec<ConfigError>> {
        let environment = |name: &str| system.environment_variable(name);
        let config = Config::parse(json, &environment).inspect_err(|errors| log_refused(errors))?;
        log_warnings(&config);
        Ok(Self::new(config, key))
    }

    /// The derived form of `config`. `key`: for the fingerprints of its manual lists.
    pub fn new(config: Config, key: FingerprintKey) -> Self {
        let abs = config.abs.as_ref();
        let destination = abs.filter(|_| config.enable_abs);
        let destination = destination.map(|abs| Destination::new(abs, &config.traffic));
        let feeds = config.all_feeds().into_iter().map(|feed| PluginFeed {
            list: ListId::of(&feed),
            rules: list_rules(&feed, config.ipv6_prefix),
            policy: FeedPolicy::new(&feed),
            feed,
        });
        let feeds: Vec<_> = feeds.collect();
        Self {
            policy: Policy::new(&config, key),
            header_names: header_names(&config),
            counts_requests: feeds.iter().any(|known| known.feed.reporting().is_some()),
            feeds,
            destination,
            config,
        }
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

    /// Its feeds, in the order of the configuration.
    pub fn feeds(&self) -> &[PluginFeed] {
        &self.feeds
    }

    /// Whether one of its feeds reports the number of requests.
    pub fn counts_requests(&self) -> bool {
        self.counts_requests
    }

    /// Whether one of its feeds has this list.
    pub fn uses(&self, list: ListId) -> bool {
        self.feeds.iter().any(|known| known.list == list)
    }

    /// The destination of its traffic information.
    pub fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// The settings for its traffic information, sent by calls of the root context `root`.
    pub fn traffic_settings(&self, root: RootId) -> Option<TrafficSettings<'_>> {
        Some(TrafficSettings {
            root,
            destination: self.destination.as_ref()?,
            abs: self.config.abs.as_ref()?,
            traffic: &self.config.traffic,
            header_names: &self.header_names,
        })
    }

    /// How one of its lists is fetched, by calls of the root context `root`.
    pub fn sync_settings(&self, list: ListId, root: RootId) -> Option<SyncSettings<'_>> {
        let known = self.feeds.iter().find(|known| known.list == list)?;
        Some(SyncSettings {
            root,
            feed: &known.feed,
            ipv6_prefix: self.config.ipv6_prefix,
            rules: known.rules,
            reported: Some(&self.config).filter(|config| config.fleet_report),
        })
    }

    /// Its metrics. Those of ABS exist in every configuration.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Metric::common();
        metrics.extend(Metric::of_feed(&ABS.into(), PerKind::WITH_LIST_KEY));
        for known in &self.feeds {
            metrics.extend(Metric::of_feed(&known.feed.name, known.feed.kinds));
        }
        if self.counts_requests {
            metrics.push(Metric::Requests);
        }
        metrics
    }

    /// Advances the time of its policies.
    pub fn tick(&self, now: Duration) {
        for known in &self.feeds {
            known.policy.tick(&known.feed, now);
        }
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
        for name in &api.scope_headers {
            add(name);
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
fn list_rules(feed: &Feed, ipv6_prefix: u8) -> u64 {
    let guard = &feed.guard;
    let mut hasher = SipHasher13::new();
    for number in [
        feed.memory,
        guard.widest_ipv4.into(),
        guard.widest_ipv6.into(),
        ipv6_prefix.into(),
        guard.max_change_percent.map_or(0, f64::to_bits),
        guard.max_loss_percent.map_or(0, f64::to_bits),
        guard.max_skipped_percent.to_bits(),
    ] {
        hasher.write_u64(number);
    }
    hasher.finish()
}

fn log_refused(errors: &[ConfigError]) {
    let count = errors.len();
    log::error!(
        "the plugin configuration is refused, {count} error(s) below: the active one stays; if there is none, Envoy replies \
         500 to every request"
    );
    for error in errors {
        log::error!("configuration refused: {error}");
    }
}

fn log_warnings(config: &Config) {
    for warning in config.warnings.iter().take(MOST_WARNINGS) {
        log::warn!("configuration: {warning}");
    }
    let more = config.warnings.len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        log::warn!("configuration: {more} more warning(s); portcullis check_config shows all");
    }
}
