//! The plugin configuration: what was typed, what it means, and every error with its path.
//!
//! Two stages: `raw` holds what was typed, checked for types and unknown keys; [`Config`] is valid and ready to
//! use. All errors of both stages are reported at once. No I/O: environment variables come in as a function.
//!
//! | file | owns |
//! |---|---|
//! | `config.rs` | the types that the rest of the filter uses |
//! | `config/raw.rs` | stage one: JSON, types, unknown keys |
//! | `config/sections.rs` | stage two: the outermost keys, their defaults and bounds |
//! | `config/{api,callout,list}.rs` | stage two: `apis`; `abs` and `traffic`; `allow_list` and `deny_list` |
//! | `config/field.rs` | stage two: readers that several sections share |
//! | `config/value.rs` | durations, sizes, ranges, names: their spelling and canonical form |
//! | `config/error.rs` | the errors and their words |
//! | `config/warning.rs` | the warnings and their words |

mod api;
mod callout;
mod error;
mod field;
mod list;
mod protobuf;
mod raw;
mod sections;
#[cfg(test)]
mod tests;
mod value;
mod warning;

use core::time::Duration;
use ipnet::IpNet;

use crate::identifier::ClientIdentifier;

pub use self::error::{ConfigError, Problem};
pub use self::warning::{ConfigWarning, Notice};

/// A valid plugin configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// False: nothing is blocked, whatever the lists say.
    pub enable_firewall: bool,
    /// Traffic information goes to ABS.
    pub enable_abs: bool,
    /// The attack list is fetched and blocked on.
    pub enable_abs_attack: bool,
    /// How often the attack list is fetched (`abs_attack_request_minutes`).
    pub refresh_interval: Duration,
    /// Bound on the list in force, in bytes.
    pub attack_list_memory: u64,
    /// How ABS is reached; there whenever `enable_abs` or `enable_abs_attack` is on.
    pub abs: Option<Abs>,
    /// The APIs, longest base path first. The last one matches every request.
    pub apis: Vec<Api>,
    /// Clients that always pass.
    pub allow_list: ManualEntries,
    /// Clients that never pass, but for those on the allow list.
    pub deny_list: ManualEntries,
    /// The reply to a denied request.
    pub deny_response: DenyResponse,
    /// What happens to requests until the first list has come.
    pub before_first_list: BeforeFirstList,
    /// Age past which the list is stale.
    pub attack_list_max_age: Option<Duration>,
    /// What is done with a stale list.
    pub when_stale: WhenStale,
    /// What is sent to ABS, and how.
    pub traffic: Traffic,
    /// What a list from ABS may not do.
    pub guard: Guard,
    /// IPv6 clients and listed addresses are compared by so many of their first bits.
    pub ipv6_prefix: u8,
    /// What an operator should look at: to be logged, and shown by `check_config`.
    pub warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads a plugin configuration: JSON, or the bytes of a `google.protobuf.Struct`, which is what Envoy hands over
    /// where the configuration is one. Nothing, white space only and `null` equal `{}`: every default.
    ///
    /// A mistake whose meaning is certain, such as a line end behind a key, is a warning: the filter serves. A mistake
    /// whose meaning is a guess is an error.
    ///
    /// `environment` answers with the value of an environment variable given to the VM.
    ///
    /// # Errors
    ///
    /// Every error at once, each with its path. Only what is no JSON at all is reported alone. No error holds a key,
    /// a token, a cookie's value or a user name.
    pub fn parse(
        json: &[u8],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, Vec<ConfigError>> {
        let mut errors = error::Errors::default();
        let Some(raw) = raw::RawConfig::read(json, &mut errors) else {
            return Err(errors.into_list());
        };
        let root = raw.root(sections::ROOT_KEYS, &mut errors);
        let mut config = sections::read_config(&root, environment, &mut errors);
        config.warnings = errors.take_warnings();
        let errors = errors.into_list();
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(errors)
        }
    }
}

/// Every key that [`Config::parse`] knows, by the section it stands in: what the reference must name. The sections
/// are paths; the empty one is the outermost object.
pub const KNOWN_KEYS: &[(&str, &[&str])] = &[
    ("", sections::ROOT_KEYS),
    ("abs", callout::ABS_KEYS),
    ("apis[]", api::API_KEYS),
    ("apis[].username[]", api::USERNAME_KEYS),
    ("apis[].jwt", api::JWT_KEYS),
    ("allow_list", list::LIST_KEYS),
    ("deny_list", list::LIST_KEYS),
    ("deny_response", sections::DENY_RESPONSE_KEYS),
    ("traffic", callout::TRAFFIC_KEYS),
    ("guard", sections::GUARD_KEYS),
];

/// How ABS is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abs {
    /// Envoy cluster.
    pub cluster: String,
    /// `:authority` of the calls.
    pub authority: String,
    /// `x-abs-ak`, where the filter is to send it.
    pub access_key: Option<Secret>,
    /// `x-abs-sk`, where the filter is to send it.
    pub secret_key: Option<Secret>,
    /// Of one fetch.
    pub timeout: Duration,
    /// `earlier_date` = now - window.
    pub attack_window: Duration,
}

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the header that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// One API and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Name, for logs and traffic information.
    pub api_id: String,
    /// Host name it answers to, in lower case; `None` for any.
    pub hostname: Option<String>,
    /// Base path, matched on whole segments, without a trailing slash; empty for any.
    pub url: String,
    /// False: ABS's list never blocks here.
    pub enable_blocking: bool,
    /// Whether a deny is carried out or only counted.
    pub mode: Mode,
    /// The cookies that count; `None` for every cookie.
    pub cookie: Option<Vec<String>>,
    /// Whether the bearer token counts.
    pub oauth2_access_token: bool,
    /// Query parameters that carry a bearer token.
    pub oauth2_query: Vec<String>,
    /// Cookies that carry a bearer token.
    pub oauth2_cookie: Vec<String>,
    /// Path parameters that carry the cookie of their name.
    pub path_parameters: Vec<String>,
    /// Whether `url` matches in any letter case.
    pub url_case_insensitive: bool,
    /// Where a JSON web token is besides the bearer token, and what its claims name.
    pub jwt: Option<Jwt>,
    /// Headers that carry an API key, in lower case.
    pub apikey_header: Vec<String>,
    /// Query parameters that carry an API key.
    pub apikey_qs: Vec<String>,
    /// Where user names come from.
    pub username: Vec<UsernameSource>,
}

/// The object `jwt` of ASE's API JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Where the token is.
    pub location: JwtLocation,
    /// The claim that names the user, a further source of user names.
    pub username: Option<String>,
    /// The claim that names the client, reported to ABS.
    pub client_id: Option<String>,
}

/// Where a JSON web token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtLocation {
    /// In the Authorization header, where tokens are read anyway.
    Authorization,
    /// In a header, its name in lower case.
    Header(String),
    /// In a query parameter.
    Query(String),
}

/// Where a user name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsernameSource {
    /// The user of HTTP Basic authentication (RFC 7617).
    BasicAuth,
    /// A header, its name in lower case.
    Header(String),
    /// A claim of the bearer token, read as an unverified JWT (RFC 7519).
    JwtClaim(String),
}

/// Whether a deny is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Denied requests get the deny response.
    Enforce,
    /// Denied requests pass; they are counted and marked.
    Shadow,
}

/// What happens to requests until the first list has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeFirstList {
    /// They pass.
    Allow,
    /// They are denied.
    Deny,
}

/// What is done with a stale list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// It stays in force.
    Keep,
    /// It is not enforced until a fresh one comes.
    Drop,
}

/// What is sent to ABS, and how (`enable_abs`).
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// What one call carries. It must be given where `enable_abs` is on; elsewhere it has no meaning.
    pub format: TrafficFormat,
    /// The Envoy cluster that records are sent to; `None` for `abs.cluster`.
    pub cluster: Option<String>,
    /// `:authority` of the calls; `None` for the cluster's name, or for `abs.authority` where it is `abs.cluster`.
    pub authority: Option<String>,
    /// Path of the calls of [`TrafficFormat::Batch`].
    pub path: String,
    /// Batches are compressed with gzip.
    pub gzip: bool,
    /// Bound on the records that wait to be sent, in bytes, in each VM.
    pub queue_memory: u64,
    /// Size at which a batch is sent, in bytes before compression; at most [`Traffic::queue_memory`].
    pub batch_bytes: u64,
    /// Age at which a batch is sent, however small.
    pub flush_interval: Duration,
    /// Share of the requests that is sent, 0 to 1.
    pub sample: f64,
    /// The `ASE-Token` of [`TrafficFormat::Sideband`], where the filter is to send it.
    pub ase_token: Option<Secret>,
    /// The headers that may leave, in lower case; `host` stands for `:authority` too.
    pub headers: Vec<String>,
}

/// What one call to ABS carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficFormat {
    /// Many records, one JSON object a line.
    Batch,
    /// One request or one response, as ASE's sideband interface takes them.
    Sideband,
}

/// What a list from ABS may not do: the guard against a list that would lock out everybody.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// The shortest IPv4 prefix that a listed range may have.
    pub widest_ipv4: u8,
    /// The shortest IPv6 prefix that a listed range may have.
    pub widest_ipv6: u8,
    /// By how many percent the number of entries may change from one list to the next; `None` for any.
    pub max_change_percent: Option<f64>,
    /// How many percent of the entries of a list may be unusable.
    pub max_skipped_percent: f64,
    /// Addresses and ranges that ABS's list never denies; host bits zero, IPv4-mapped IPv6 folded.
    pub never_block: Vec<IpNet>,
    /// How many percent of the requests may be denied on ABS's list; `None` for any.
    pub max_denied_percent: Option<f64>,
}

/// The reply to a denied request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyResponse {
    /// HTTP status.
    pub status: u32,
    /// Body.
    pub body: String,
    /// Added headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A manual list as it was typed, entries in canonical form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ManualEntries {
    /// Addresses and ranges; host bits zero, IPv4-mapped IPv6 folded.
    pub ips: Vec<IpNet>,
    /// Cookie names and values.
    pub cookies: Vec<(String, String)>,
    /// Bearer tokens.
    pub oauth_tokens: Vec<String>,
    /// API keys' values.
    pub api_keys: Vec<String>,
    /// User names.
    pub usernames: Vec<String>,
}

impl ManualEntries {
    /// The entries.
    pub fn identifiers(&self) -> impl Iterator<Item = ClientIdentifier<'_>> {
        let ips = self.ips.iter().map(|range| ClientIdentifier::Ip(*range));
        let cookies = self
            .cookies
            .iter()
            .map(|(name, value)| ClientIdentifier::Cookie {
                name: name.as_bytes(),
                value: value.as_bytes(),
            });
        let bytes = String::as_bytes;
        let tokens = self.oauth_tokens.iter().map(bytes);
        let api_keys = self.api_keys.iter().map(bytes);
        let usernames = self.usernames.iter().map(bytes);
        ips.chain(cookies)
            .chain(tokens.map(ClientIdentifier::OauthToken))
            .chain(api_keys.map(ClientIdentifier::ApiKey))
            .chain(usernames.map(ClientIdentifier::Username))
    }

    /// The number of entries of all kinds.
    pub fn n_entries(&self) -> usize {
        self.identifiers().count()
    }

    /// The size of the values in bytes, names of cookies included; an address counts as 16.
    pub fn n_bytes(&self) -> usize {
        let sizes = self.identifiers().map(|entry| match entry {
            ClientIdentifier::Ip(_) => 16,
            ClientIdentifier::Cookie { name, value } => name.len().saturating_add(value.len()),
            ClientIdentifier::OauthToken(value)
            | ClientIdentifier::ApiKey(value)
            | ClientIdentifier::Username(value) => value.len(),
        });
        sizes.fold(0, usize::saturating_add)
    }
}

impl core::fmt::Debug for ManualEntries {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The values are secrets: only their numbers are shown.
        f.debug_struct("ManualEntries")
            .field("ips", &self.ips.len())
            .field("cookies", &self.cookies.len())
            .field("oauth_tokens", &self.oauth_tokens.len())
            .field("api_keys", &self.api_keys.len())
            .field("usernames", &self.usernames.len())
            .finish()
    }
}
