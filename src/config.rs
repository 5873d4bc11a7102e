//! The plugin configuration: reads it, checks it, and reports all errors at once, each with its path.
//!
//! Bytes become a value tree (`raw`), and each section of the tree becomes its type. No I/O: the caller passes a
//! function that reads environment variables.
//!
//! | file | owns |
//! |---|---|
//! | `config.rs` | [`Config`] |
//! | `config/top_level.rs` | the top-level keys, their defaults and limits |
//! | `config/{abs,api,deny_response,feed,fleet,guard,jwt,list,traffic}.rs` | the sections: types, keys, defaults, limits |
//! | `config/process.rs`, `config/route.rs` | configurations of their own: of a process with native threads, of a route |
//! | `config/credential.rs` | secrets, typed or from the environment |
//! | `config/value.rs` | durations, sizes, ranges, names: their spelling and canonical form |
//! | `config/section.rs` | typed readers of one object; unknown and repeated keys |
//! | `config/tree.rs`, `config/raw.rs`, `config/protobuf.rs` | the value tree; JSON and Struct to the tree |
//! | `config/error.rs`, `config/warning.rs`, `config/report.rs` | errors and warnings: their text; their collection |

mod abs;
mod api;
mod credential;
mod deny_response;
mod error;
pub mod feed;
mod fleet;
mod guard;
mod jwt;
mod list;
mod process;
mod protobuf;
mod raw;
mod report;
mod route;
mod section;

#[cfg(test)]
mod tests;
mod top_level;
mod traffic;
mod tree;
mod value;
mod warning;

use core::time::Duration;

pub use self::abs::Abs;
pub use self::api::{Api, Apis, Mode, UsernameSource};
pub use self::credential::Secret;
pub use self::deny_response::DenyResponse;
pub use self::error::{ConfigError, Problem};
pub use self::feed::{Feed, FeedFormat};
pub use self::guard::Guard;
pub use self::jwt::{Jwt, JwtLocation};
pub use self::list::ManualEntries;
pub use self::process::{NativeFailure, ProcessConfig};
pub use self::route::Route;
pub use self::traffic::{Traffic, TrafficFormat};
pub use self::warning::{ConfigWarning, Notice};

/// A valid plugin configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// False: nothing is blocked, whatever the lists contain.
    pub enable_firewall: bool,
    /// Traffic information is sent to ABS.
    pub enable_abs: bool,
    /// The attack list is fetched, and listed clients are blocked.
    pub enable_abs_attack: bool,
    /// How often the attack list is fetched (`abs_attack_request_minutes`).
    pub refresh_interval: Duration,
    /// Limit on the active list, in bytes.
    pub attack_list_memory: u64,
    /// How ABS is reached; present if `enable_abs` or `enable_abs_attack` is on.
    pub abs: Option<Abs>,
    /// The APIs, and the catch-all for requests that match none of them.
    pub apis: Apis,
    /// Clients that always pass.
    pub allow_list: ManualEntries,
    /// Clients that never pass, except those on the allow list.
    pub deny_list: ManualEntries,
    /// The response to a denied request.
    pub deny_response: DenyResponse,
    /// What happens to requests until the first list is active.
    pub before_first_list: BeforeFirstList,
    /// Age at which the list becomes stale.
    pub attack_list_max_age: Option<Duration>,
    /// What happens to a stale list.
    pub when_stale: WhenStale,
    /// What is sent to ABS, and how.
    pub traffic: Traffic,
    /// Limits on a list from ABS.
    pub guard: Guard,
    /// The number of leading bits by which IPv6 clients and listed addresses are compared.
    pub ipv6_prefix: u8,
    /// The enabled feeds besides ABS's, in order.
    pub feeds: Vec<Feed>,
    /// The others, for display. They have no header with the value of an environment variable.
    pub disabled_feeds: Vec<Feed>,
    /// List requests carry a header about this node (`fleet.report`).
    pub fleet_report: bool,
    /// What an operator should check; logged, and shown by `check_config`.
    pub warnings: Vec<ConfigWarning>,
}

/// What happens to requests until the first list is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeFirstList {
    /// They pass.
    Allow,
    /// They are denied.
    Deny,
}

/// What happens to a stale list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// It stays active.
    Keep,
    /// It is not enforced until a fresh one is active.
    Drop,
}

impl Config {
    /// All feeds whose lists are fetched: that of ABS first, then those of `feeds`.
    pub fn all_feeds(&self) -> Vec<Feed> {
        let abs = Feed::of_abs(self);
        abs.into_iter().chain(self.feeds.iter().cloned()).collect()
    }

    /// Reads a plugin configuration: JSON, or a serialized `google.protobuf.Struct`, which Envoy passes for a
    /// configuration of that type. Empty input, white space and `null` equal `{}`: all defaults.
    ///
    /// An unambiguous mistake, such as a line end after a key, is a warning. An ambiguous one is an error.
    ///
    /// `environment` looks up an environment variable of the VM.
    ///
    /// # Errors
    ///
    /// All errors, each with its path; only invalid JSON is reported without others. No error contains a key, a token,
    /// a cookie's value or a user name.
    pub fn parse(
        bytes: &[u8],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<ConfigError>> {
        let (mut config, warnings) = read_root(bytes, top_level::ROOT_KEYS, |root| {
            top_level::read_config(root, environment)
        })?;
        config.warnings = warnings;
        Ok(config)
    }
}

/// Reads a configuration that is one object with only `known` keys. Returns it with its warnings.
fn read_root<T>(
    bytes: &[u8],
    known: &'static [&'static str],
    read: impl FnOnce(&section::Section<'_>) -> T,
) -> Result<(T, Vec<ConfigWarning>), Vec<ConfigError>> {
    let tree = raw::read(bytes).map_err(|problem| {
        let path = String::new();
        vec![ConfigError { path, problem }]
    })?;
    let report = report::Report::default();
    let root = section::Section::open(String::new(), Some(&tree), known, &report);
    let config = read(&root);
    drop(root);
    match report.into_lists() {
        (errors, warnings) if errors.is_empty() => Ok((config, warnings)),
        (errors, _) => Err(errors),
    }
}

/// Every key that [`Config::parse`] knows, by the path of its section; the path of the top-level object is empty.
pub const KNOWN_KEYS: &[(&str, &[&str])] = &[
    ("", top_level::ROOT_KEYS),
    ("abs", abs::ABS_KEYS),
    ("apis[]", api::API_KEYS),
    ("apis[].username[]", api::USERNAME_KEYS),
    ("apis[].jwt", jwt::JWT_KEYS),
    ("allow_list", list::LIST_KEYS),
    ("deny_list", list::LIST_KEYS),
    ("deny_response", deny_response::DENY_RESPONSE_KEYS),
    ("traffic", traffic::TRAFFIC_KEYS),
    ("guard", guard::GUARD_KEYS),
    ("feeds[]", feed::FEED_KEYS),
    ("fleet", fleet::FLEET_KEYS),
];
