//! Identifiers, and ABS's JSON format of an attack list. `store` owns the listed ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// A client identifier, stored and compared as the text that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// An IP address.
    Ip(String),
    /// A cookie.
    Cookie {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A bearer token.
    OauthToken(String),
    /// An API key's value.
    ApiKey(String),
    /// A user name.
    Username(String),
}

/// An attack list in ABS's format, over owned or borrowed text.
///
/// A kind may be missing or null in the input; the output has all five.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "S: Deserialize<'de> + Ord"))]
pub struct AttackList<S: Ord> {
    /// IP addresses.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub ips: Vec<S>,
    /// Cookie names with their listed values.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub cookies: BTreeMap<S, Vec<S>>,
    /// Bearer tokens.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub oauth_tokens: Vec<S>,
    /// API keys' values.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub api_keys: Vec<S>,
    /// User names.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub usernames: Vec<S>,
}

impl<S: Ord> Default for AttackList<S> {
    fn default() -> Self {
        Self {
            ips: Vec::new(),
            cookies: BTreeMap::new(),
            oauth_tokens: Vec::new(),
            api_keys: Vec::new(),
            usernames: Vec::new(),
        }
    }
}

impl<'a> AttackList<&'a str> {
    /// The list of `identifiers`, each kind in the given order.
    pub fn from_identifiers(identifiers: impl IntoIterator<Item = &'a Identifier>) -> Self {
        let mut list = Self::default();
        for identifier in identifiers {
            match identifier {
                Identifier::Ip(ip) => list.ips.push(ip),
                Identifier::Cookie { name, value } => {
                    list.cookies.entry(name).or_default().push(value);
                }
                Identifier::OauthToken(token) => list.oauth_tokens.push(token),
                Identifier::ApiKey(key) => list.api_keys.push(key),
                Identifier::Username(name) => list.usernames.push(name),
            }
        }
        list
    }

    /// The list for a restricted user: cookies, tokens and API keys without their secret part.
    pub fn obfuscated(&self) -> AttackList<String> {
        AttackList {
            ips: owned(&self.ips),
            cookies: self
                .cookies
                .iter()
                .map(|(name, values)| ((*name).to_owned(), obfuscated(values)))
                .collect(),
            oauth_tokens: obfuscated(&self.oauth_tokens),
            api_keys: obfuscated(&self.api_keys),
            usernames: owned(&self.usernames),
        }
    }
}

impl AttackList<String> {
    /// Every identifier of the list.
    pub fn into_identifiers(self) -> impl Iterator<Item = Identifier> {
        let cookies = self.cookies.into_iter().flat_map(|(name, values)| {
            values.into_iter().map(move |value| Identifier::Cookie {
                name: name.clone(),
                value,
            })
        });
        self.ips
            .into_iter()
            .map(Identifier::Ip)
            .chain(cookies)
            .chain(self.oauth_tokens.into_iter().map(Identifier::OauthToken))
            .chain(self.api_keys.into_iter().map(Identifier::ApiKey))
            .chain(self.usernames.into_iter().map(Identifier::Username))
    }
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn obfuscated(values: &[&str]) -> Vec<String> {
    values
        .iter()
        .map(|value| value.chars().take(2).chain("******".chars()).collect())
        .collect()
}

fn null_as_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
