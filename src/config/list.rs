//! The sections `allow_list` and `deny_list`: manual lists in the format of ABS's list.
//!
//! All values except addresses are secrets: no error shows one.
//!
//! Each worker that receives the configuration loads a manual list in one step, so its size is limited: at the limit
//! a worker of a real Envoy is blocked for less than 5 ms.

use ipnet::IpNet;

use crate::identifier::ClientIdentifier;

use super::error::Problem;
use super::section::Section;
use super::tree::Value;
use super::value;

pub(super) const LIST_KEYS: &[&str] = &["ips", "cookies", "oauth_tokens", "api_keys", "usernames"];

/// Limit on the entries of both lists together.
const MOST_ENTRIES: usize = 5_000;
/// Limit on the bytes of the values of both lists together, cookie names included.
const MOST_BYTES: usize = 256 << 10;
/// Limit on the names in one object from names to values.
const MOST_NAMES: usize = 250;

/// A manual list, its entries in canonical form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ManualEntries {
    /// Addresses and ranges; host bits zero, IPv4-mapped IPv6 folded.
    pub ips: Vec<IpNet>,
    /// Cookie names and values.
    pub cookies: Vec<(String, String)>,
    /// Bearer tokens.
    pub oauth_tokens: Vec<String>,
    /// API keys.
    pub api_keys: Vec<String>,
    /// User names.
    pub usernames: Vec<String>,
}

impl ManualEntries {
    /// The entries.
    pub fn identifiers(&self) -> impl Iterator<Item = ClientIdentifier<'_>> {
        let ips = self.ips.iter().map(|range| ClientIdentifier::Ip(*range));
        let cookies = self.cookies.iter();
        let cookies = cookies.map(|(name, value)| ClientIdentifier::Cookie {
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

    /// Number of entries of all kinds.
    pub fn n_entries(&self) -> usize {
        self.identifiers().count()
    }

    /// Bytes of the values, cookie names included; an address counts as 16.
    pub fn n_bytes(&self) -> usize {
        let sizes = self.identifiers().map(|entry| match entry {
            ClientIdentifier::Ip(_) => 16,
            ClientIdentifier::Cookie { name, value } => name.len().saturating_add(value.len()),
            ClientIdentifier::OauthToken(value)
            | ClientIdentifier::ApiKey(value)
            | ClientIdentifier::Username(value)
            | ClientIdentifier::Header { value, .. } => value.len(),
            ClientIdentifier::TokenClaims(_) => 0,
        });
        sizes.fold(0, usize::saturating_add)
    }
}

impl core::fmt::Debug for ManualEntries {
    /// Shows only the number of entries: the values are secrets.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ManualEntries")
            .field("ips", &self.ips.len())
            .field("cookies", &self.cookies.len())
            .field("oauth_tokens", &self.oauth_tokens.len())
            .field("api_keys", &self.api_keys.len())
            .field("usernames", &self.usernames.len())
            .finish()
    }
}

/// Rejects manual lists that would block a worker too long.
pub(super) fn check_size(
    root: &Section<'_>,
    allow_list: &ManualEntries,
    deny_list: &ManualEntries,
) {
    let n_entries = allow_list.n_entries().saturating_add(deny_list.n_entries());
    let n_bytes = allow_list.n_bytes().saturating_add(deny_list.n_bytes());
    if n_entries > MOST_ENTRIES || n_bytes > MOST_BYTES {
        let larger = match allow_list.n_bytes() > deny_list.n_bytes() {
            true => "allow_list",
            false => "deny_list",
        };
        let noun = if n_entries == 1 { "entry" } else { "entries" };
        let found = format!("{n_entries} {noun} with {n_bytes} bytes of values in both lists");
        let allowed = "5000 entries and 256 KB of values in allow_list and deny_list together, which a worker loads \
                       within 5 ms; put longer lists on ABS's attack list, which is loaded in steps \
                       (enable_abs_attack)";
        root.reject(larger, Problem::invalid(found, allowed));
    }
}

pub(super) fn read_list(root: &Section<'_>, key: &str) -> ManualEntries {
    // ABS writes null for a kind without entries.
    let section = root.section(key, LIST_KEYS).nullable();
    let texts = |key, allowed, parse: fn(&str) -> Result<String, Problem>| {
        section.texts(key, allowed, parse).unwrap_or_default()
    };
    ManualEntries {
        ips: section.ip_ranges("ips"),
        cookies: read_cookies(&section),
        oauth_tokens: texts(
            "oauth_tokens",
            "a list of bearer tokens",
            value::oauth_token,
        ),
        api_keys: read_api_keys(&section),
        usernames: texts("usernames", "a list of user names", value::identifier_text),
    }
}

fn read_cookies(section: &Section<'_>) -> Vec<(String, String)> {
    const ALLOWED: &str = "an object from a cookie's name to the list of its values, such as {\"JSESSIONID\": [\"...\"]}";
    let cookies = section.map("cookies", ALLOWED);
    let mut entries = Vec::new();
    for typed_name in names(&cookies) {
        match value::cookie_name(typed_name) {
            // Reported without the name, which may contain a value.
            Err(problem) => cookies.reject_whole(problem),
            Ok(name) => {
                let allowed = "a list of the cookie's values";
                let values = cookies.texts(typed_name, allowed, value::cookie_value);
                let values = values.into_iter().flatten();
                entries.extend(values.map(|value| (name.clone(), value)));
            }
        }
    }
    entries
}

fn read_api_keys(section: &Section<'_>) -> Vec<String> {
    const ALLOWED: &str = "a list of API keys, or an object from a name to a list of API keys";
    if !matches!(section.value("api_keys"), Some(Value::Object(_))) {
        let api_keys = section.texts("api_keys", ALLOWED, value::identifier_text);
        return api_keys.unwrap_or_default();
    }
    let named = section.map("api_keys", ALLOWED);
    let of_name = |name| named.texts(name, "a list of API keys", value::identifier_text);
    names(&named).filter_map(of_name).flatten().collect()
}

/// The names in an object from names to values; none if there are too many.
fn names<'a>(map: &Section<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    let mut entries = map.entries();
    if entries.len() > MOST_NAMES {
        let found = format!("{} names", entries.len());
        map.reject_whole(Problem::invalid(found, "at most 250 names"));
        entries = &[];
    }
    entries.iter().map(|(name, _)| name.as_str())
}
