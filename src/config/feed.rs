//! The section `feeds`: lists that are fetched beside ABS's, and ABS's list as one of them.
//!
//! | file | owns |
//! |---|---|
//! | `feed.rs` | [`Feed`]: the keys of every format |
//! | `feed/format.rs` | the keys and defaults of one format |
//! | `feed/headers.rs` | the headers of the calls |

mod format;
mod headers;

use core::hash::Hash;
use core::time::Duration;
use std::sync::Arc;

pub use format::{Crowdsec, FeedFormat};
use headers::read_headers;

use super::abs::Abs;
use super::api::Mode;
use super::credential::{Environment, Secret};
use super::error::Problem;
use super::guard::{CHANGE_KEY, Guard, read_guard};
use super::section::Section;
use super::top_level::{MAX_AGE, read_before_first_list, read_when_stale};
use super::value::{self, DurationRange};
use super::{BeforeFirstList, Config, WhenStale};
use crate::identifier::{IdentifierKind, PerKind, range_of_prefix};

pub(super) const FEED_KEYS: &[&str] = &[
    "name",
    "format",
    "enabled",
    "cluster",
    "authority",
    "path",
    "headers",
    "interval",
    "timeout",
    "memory",
    "max_age",
    "when_stale",
    "before_first_list",
    "mode",
    "kinds",
    "guard",
    "special_ranges",
    "claims",
    "window",
    "scopes",
    "origins",
    "scenarios_containing",
    "scenarios_not_containing",
    "types",
    "session_cookie",
    "scope_headers",
    "usage_metrics",
];

/// The name of the feed that `abs` configures.
pub const ABS: &str = "abs";

/// Every request asks each feed of its API.
const MOST_FEEDS: usize = 16;

/// The largest loss of entries from one list of CrowdSec to the next: LAPI ends its JSON properly after a database error, so
/// that a list can be short without any other sign.
const CROWDSEC_LOSS_PERCENT: f64 = 50.0;

const TIMEOUT: DurationRange = DurationRange {
    least: Duration::from_millis(1),
    most: Duration::from_secs(3_600),
    allowed: "a duration from \"1ms\" to \"1h\", such as \"30s\" (whole number; units ms, s, m, h, d)",
};

/// One feed: a list server, and the rules for its list.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// Its name in metrics, response details and filter state.
    pub name: Arc<str>,
    /// The format of its list.
    pub format: FeedFormat,
    /// Envoy cluster.
    pub cluster: String,
    /// `:authority` of the calls.
    pub authority: String,
    /// `:path` of the calls; empty for a path that depends on the time.
    pub path: String,
    /// Additional headers of the calls, names in lower case.
    pub headers: Vec<(String, Secret)>,
    /// Time between two fetches.
    pub interval: Duration,
    /// Time limit of one fetch.
    pub timeout: Duration,
    /// Limit on the active list, in bytes.
    pub memory: u64,
    /// Age at which the list becomes stale.
    pub max_age: Option<Duration>,
    /// What happens to a stale list.
    pub when_stale: WhenStale,
    /// What happens to requests until the first list is active.
    pub before_first_list: BeforeFirstList,
    /// Whether a deny is enforced or only counted.
    pub mode: Mode,
    /// The kinds of identifiers that are accepted from the list.
    pub kinds: PerKind<bool>,
    /// Limits on the list.
    pub guard: Guard,
}

impl Feed {
    /// The feed that `abs` configures; `None` unless `enable_abs_attack` is on.
    pub(super) fn of_abs(config: &Config) -> Option<Self> {
        let abs: &Abs = config.abs.as_ref().filter(|_| config.enable_abs_attack)?;
        let keys = [("x-abs-ak", &abs.access_key), ("x-abs-sk", &abs.secret_key)];
        let headers = keys.into_iter().filter_map(|(name, key)| {
            let key = key.as_ref()?;
            Some((name.to_owned(), key.clone()))
        });
        let format = FeedFormat::Abs {
            window: abs.attack_window,
        };
        Some(Self {
            name: ABS.into(),
            kinds: format.kinds(),
            format,
            cluster: abs.cluster.clone(),
            authority: abs.authority.clone(),
            path: String::new(),
            headers: headers.collect(),
            interval: config.refresh_interval,
            timeout: abs.timeout,
            memory: config.attack_list_memory,
            max_age: config.attack_list_max_age,
            when_stale: config.when_stale,
            before_first_list: config.before_first_list,
            mode: Mode::Enforce,
            guard: config.guard.clone(),
        })
    }

    /// What determines its list: where it is fetched, and what its entries mean. Credentials do not count.
    pub fn source(&self) -> impl PartialEq + Hash + '_ {
        let server = (&self.cluster, &self.authority, &self.path);
        (server, &self.format, self.kinds)
    }

    /// Whether `abs` configures it.
    pub fn is_abs(&self) -> bool {
        &*self.name == ABS
    }

    /// The options of a feed of CrowdSec that reports usage metrics.
    pub fn reporting(&self) -> Option<&Crowdsec> {
        match &self.format {
            FeedFormat::Crowdsec(options) if options.usage_metrics => Some(options),
            _ => None,
        }
    }

    /// The path of one of its settings, as an operator finds it in the configuration.
    pub fn setting(&self, key: &str) -> String {
        match key {
            _ if !self.is_abs() => format!("{key} of the feed {}", self.name),
            "memory" => "attack_list_memory".to_owned(),
            "max_age" => "attack_list_max_age".to_owned(),
            "cluster" | "timeout" => format!("abs.{key}"),
            _ => key.to_owned(),
        }
    }
}

/// The feeds of a configuration.
pub(super) struct Feeds {
    pub(super) enabled: Vec<Feed>,
    pub(super) disabled: Vec<Feed>,
    /// Those of both and `abs`.
    pub(super) names: Vec<Arc<str>>,
}

/// Reads `feeds`. Disabled feeds are checked, too.
pub(super) fn read_feeds(
    root: &Section<'_>,
    ipv6_prefix: u8,
    environment: Environment<'_>,
) -> Feeds {
    let allowed = "a list of feed objects, such as [{\"name\": \"drop\", \"format\": \"text\", \"cluster\": \"lists\", \
                   \"path\": \"/drop.txt\"}]";
    let mut feeds = Feeds {
        enabled: Vec::new(),
        disabled: Vec::new(),
        names: vec![ABS.into()],
    };
    for section in root
        .sections("feeds", FEED_KEYS, allowed)
        .into_iter()
        .flatten()
    {
        match read_feed(&section, ipv6_prefix, environment, &mut feeds.names) {
            Some((feed, true)) => feeds.enabled.push(feed),
            Some((feed, false)) => feeds.disabled.push(feed),
            None => {}
        }
    }
    if feeds.enabled.len() > MOST_FEEDS {
        let found = format!("{} enabled feeds", feeds.enabled.len());
        root.reject("feeds", Problem::invalid(found, "at most 16 enabled feeds"));
    }
    feeds
}

/// Reads one feed and whether it is enabled. Its name is added to `names` whatever else is wrong with it: APIs may name it.
fn read_feed(
    section: &Section<'_>,
    ipv6_prefix: u8,
    environment: Environment<'_>,
    names: &mut Vec<Arc<str>>,
) -> Option<(Feed, bool)> {
    let is_enabled = section.boolean("enabled", true);
    let name = section.text("name", NAME, name).map(Arc::<str>::from);
    if let Some(name) = &name {
        if names.contains(name) {
            let allowed = "a name that no other feed has";
            section.reject("name", Problem::invalid_text(name, allowed));
        }
        names.push(name.clone());
    }
    let format = FeedFormat::read(section);
    let cluster = section.text(
        "cluster",
        "the name of an Envoy cluster, such as \"lists\"",
        value::visible_ascii,
    );
    let authority = section.text(
        "authority",
        "a host name, with or without a port, such as \"lists.example.com\"",
        value::visible_ascii,
    );
    let path = section.text(
        "path",
        "a path that starts with /, such as \"/drop.txt\"",
        value::call_path,
    );
    let headers = read_headers(section, is_enabled.then_some(environment));
    let mode = section.choice(
        "mode",
        [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)],
        "\"enforce\" or \"shadow\"",
    );
    let timeout = section.duration("timeout", &TIMEOUT);
    let memory = section.size("memory");
    let max_age = section.nullable().duration("max_age", &MAX_AGE);
    let (when_stale, before_first_list) =
        (read_when_stale(section), read_before_first_list(section));
    for (key, needed) in [
        (
            "name",
            "each feed needs a name of its own: metrics and response details show it",
        ),
        (
            "format",
            "name the format of the list: \"crowdsec\", \"text\", \"tokens\" or \"abs\"",
        ),
        ("cluster", "name the Envoy cluster of the list server"),
    ] {
        reject_missing(section, key, needed);
    }
    let format = format?;
    let interval = section.duration("interval", format.interval_range());
    let default_path = format.default_path();
    if default_path.is_none() {
        let needed = "name the path of the list at its server, such as \"/drop.txt\"";
        reject_missing(section, "path", needed);
    }
    let kinds = read_kinds(section, format.kinds());
    let mut guard = read_guard(section);
    for range in &mut guard.never_block {
        *range = range_of_prefix(*range, ipv6_prefix);
    }
    if matches!(format, FeedFormat::Crowdsec(_)) && !section.section_has("guard", CHANGE_KEY) {
        guard.max_loss_percent = Some(CROWDSEC_LOSS_PERCENT);
    }
    let (name, cluster) = (name?, cluster?);
    let path = path.or_else(|| default_path.map(str::to_owned))?;
    let feed = Feed {
        name,
        interval: interval.unwrap_or(format.default_interval()),
        format,
        authority: authority.unwrap_or_else(|| cluster.clone()),
        cluster,
        path,
        headers,
        timeout: timeout.unwrap_or(Duration::from_secs(30)),
        memory: memory.unwrap_or(128 << 20),
        max_age,
        when_stale,
        before_first_list,
        mode: mode.unwrap_or(Mode::Enforce),
        kinds,
        guard,
    };
    Some((feed, is_enabled))
}

fn reject_missing(section: &Section<'_>, key: &str, needed: &'static str) {
    if !section.has(key) && !section.is_broken() {
        section.reject(key, Problem::Missing { needed });
    }
}

const NAME: &str =
    "a lower-case word of letters, digits and _, except abs and manual, such as \"drop\"";

fn name(text: &str) -> Result<String, Problem> {
    const LONGEST: usize = 32;
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(is_allowed);
    if !is_name || matches!(text, ABS | "manual") {
        return Err(Problem::invalid_text(text, NAME));
    }
    Ok(text.to_owned())
}

/// The kinds that are taken from the list: those of `kinds` that its format can have.
fn read_kinds(section: &Section<'_>, of_format: PerKind<bool>) -> PerKind<bool> {
    let allowed = "a list of kinds that the feed's format has: \"ip\", \"cookie\", \"oauth_token\", \"api_key\", \
                   \"username\", \"header\", \"token_claims\"";
    let kinds = section.texts("kinds", allowed, |text| {
        let mut kinds = IdentifierKind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.as_str() == text && *of_format.get(*kind));
        kind.ok_or_else(|| Problem::invalid_text(text, allowed))
    });
    let Some(chosen) = kinds else {
        return of_format;
    };
    let mut kinds = PerKind::default();
    for kind in chosen {
        *kinds.get_mut(kind) = true;
    }
    kinds
}
