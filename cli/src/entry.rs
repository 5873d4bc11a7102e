//! One entry of a list as the configuration and ABS write it. `portcullis::identifier` defines which client it
//! identifies.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use ipnet::IpNet;
use portcullis::identifier::listed::{Unusable, listed, trimmed, usable_value};
use portcullis::identifier::{ClientIdentifier, FingerprintKey, IdentifierKind};

use crate::error::{Failure, Result};
use crate::output::shorten;

const EMPTY: &str = "an empty value identifies no client";

/// One entry of a list.
#[derive(Clone)]
pub struct Entry {
    /// The kind of identifier.
    pub kind: IdentifierKind,
    /// The name of a cookie, of a header, of an API key's header or parameter, if known, or of claims.
    pub name: Option<String>,
    /// The value as written.
    pub value: String,
}

/// The same for two entries of the same client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientKey {
    /// An address or a range.
    Ip(IpNet),
    /// Any other client.
    Fingerprint(IdentifierKind, u64),
    /// The value of an entry that identifies none.
    Unusable(IdentifierKind, String),
}

impl ClientKey {
    /// The key of the entry with these parts.
    pub fn of(kind: IdentifierKind, name: Option<&str>, value: &str) -> Self {
        match listed(kind, name.unwrap_or_default(), value) {
            Ok(ClientIdentifier::Ip(range)) => ClientKey::Ip(range),
            Ok(identifier) => {
                ClientKey::Fingerprint(kind, identifier.fingerprint(&fingerprint_key()).0)
            }
            Err(_) => ClientKey::Unusable(kind, value.to_owned()),
        }
    }
}

impl Entry {
    /// Reads the words of a command.
    pub fn from_words(kind: IdentifierKind, words: &[String]) -> Result<Self> {
        use IdentifierKind::{ApiKey, Cookie, Header, Ip, OauthToken, TokenClaims, Username};
        let takes = |what| Err(Failure::usage(format!("{} takes {what}", kind_name(kind))));
        let (name, value) = match (kind, words) {
            (Cookie | ApiKey, [name, value]) => (Some(name.clone()), value.clone()),
            // ASE accepts a user name with spaces without quotes.
            (Username, words) => (None, words.join(" ")),
            (Ip | OauthToken | ApiKey, [value]) => (None, value.clone()),
            (Ip, _) => return takes("one value: ip ADDRESS"),
            (Cookie, _) => return takes("a name and a value: cookie NAME VALUE"),
            (OauthToken, _) => return takes("one value: token VALUE"),
            (ApiKey, _) => return takes("a value: api_key [NAME] VALUE"),
            // `args` reads no such kind.
            (Header | TokenClaims, _) => return takes("no entry of a manual list"),
        };
        let entry = Self { kind, name, value };
        match entry.identifier() {
            Err(Unusable::NotAnAddress) => Err(Failure::usage(format!(
                "\"{}\" is not an address or a range; allowed are such as 192.0.2.1, 2001:db8::1, 198.51.100.0/24",
                entry.value
            ))),
            Err(Unusable::Empty) => Err(Failure::usage(EMPTY)),
            _ if entry.name.as_deref() == Some("") => Err(Failure::usage(EMPTY)),
            // The filter's loader explains what else makes an entry unusable.
            _ => Ok(Self {
                value: entry.usable().to_owned(),
                ..entry
            }),
        }
    }

    /// Reads the words of a command that takes several entries of one kind. A user name may have several words, so it is one.
    pub fn several(kind: IdentifierKind, words: &[String]) -> Result<Vec<Self>> {
        let one_each = |name: Option<&String>, values: &[String]| {
            let words = values.iter().map(|value| {
                let words = name.into_iter().chain([value]);
                words.cloned().collect::<Vec<_>>()
            });
            words.map(|words| Self::from_words(kind, &words)).collect()
        };
        match (kind, words) {
            // As in a header, without quotes.
            (IdentifierKind::OauthToken, [scheme, _]) if scheme.eq_ignore_ascii_case("bearer") => {
                Ok(vec![Self::from_words(kind, &[words.join(" ")])?])
            }
            (IdentifierKind::Ip | IdentifierKind::OauthToken, [_, _, ..]) => one_each(None, words),
            (IdentifierKind::Cookie | IdentifierKind::ApiKey, [name, values @ ..])
                if values.len() > 1 =>
            {
                one_each(Some(name), values)
            }
            _ => Ok(vec![Self::from_words(kind, words)?]),
        }
    }

    /// The client that it identifies.
    pub fn identifier(&self) -> std::result::Result<ClientIdentifier<'_>, Unusable> {
        listed(
            self.kind,
            self.name.as_deref().unwrap_or_default(),
            &self.value,
        )
    }

    /// The client, or the value of an entry that identifies none.
    pub fn key(&self) -> ClientKey {
        ClientKey::of(self.kind, self.name.as_deref(), &self.value)
    }

    /// The part of the value that the filter compares.
    fn usable(&self) -> &str {
        match self.kind {
            IdentifierKind::Ip => trimmed(&self.value),
            kind => usable_value(kind, &self.value).unwrap_or(&self.value),
        }
    }

    /// The value as it may be shown.
    pub fn shown_value(&self, show_secrets: bool) -> String {
        match self.kind {
            IdentifierKind::Ip => self.value.clone(),
            _ if show_secrets => self.value.clone(),
            _ => shorten(self.usable(), false),
        }
    }

    /// `ip 10.10.10.10`, `cookie JSESSIONID abcd...`.
    pub fn words(&self, show_secrets: bool) -> String {
        let kind = kind_name(self.kind);
        let value = self.shown_value(show_secrets);
        match &self.name {
            Some(name) => format!("{kind} {name} {value}"),
            None => format!("{kind} {value}"),
        }
    }
}

impl From<ClientIdentifier<'_>> for Entry {
    fn from(identifier: ClientIdentifier<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (name, value) = match identifier {
            ClientIdentifier::Ip(range) if range.prefix_len() == range.max_prefix_len() => {
                (None, range.addr().to_string())
            }
            ClientIdentifier::Ip(range) => (None, range.to_string()),
            ClientIdentifier::Cookie { name, value } => (Some(text(name)), text(value)),
            ClientIdentifier::OauthToken(value)
            | ClientIdentifier::ApiKey(value)
            | ClientIdentifier::Username(value) => (None, text(value)),
            ClientIdentifier::Header { name, value } => (Some(name.to_owned()), text(value)),
            ClientIdentifier::TokenClaims(claims) => {
                let names: Vec<_> = claims.iter().map(|(name, _)| *name).collect();
                let values: Vec<_> = claims.iter().map(|(_, value)| text(value)).collect();
                (Some(names.join("+")), values.join("+"))
            }
        };
        Self {
            kind: identifier.kind(),
            name,
            value,
        }
    }
}

/// The key of this process's fingerprints: random, so that no one can prepare entries that count as the same.
pub fn fingerprint_key() -> FingerprintKey {
    static KEY: LazyLock<FingerprintKey> = LazyLock::new(|| {
        let random = || RandomState::new().hash_one(());
        FingerprintKey::from_words([random(), random()])
    });
    *KEY
}

/// The name of a kind in ASE's commands.
pub const fn kind_name(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::OauthToken => "token",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::config_file::{manual_list, validate};

    use IdentifierKind::{ApiKey, Cookie, Ip, OauthToken, Username};

    fn entry(kind: IdentifierKind, words: &[&str]) -> Result<Entry> {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        Entry::from_words(kind, &words)
    }

    #[test]
    fn entries_are_the_same_if_the_filter_treats_them_as_one_client() {
        let table: [(_, &[&str], &[&str], bool); 9] = [
            (Ip, &["::ffff:192.0.2.1"], &["192.0.2.1/32"], true),
            (Ip, &["192.0.2.1"], &["192.0.2.0/24"], false),
            (Cookie, &["S", "\"v%20w\""], &["S", "v w"], true),
            (Cookie, &["S", "v"], &["T", "v"], false),
            (OauthToken, &["bearer T"], &[" T "], true),
            (ApiKey, &["x-api-key", "a%2Fb"], &["a/b"], true),
            (ApiKey, &["a"], &["A"], false),
            (Username, &["ma\u{308}x"], &["m\u{e4}x"], true),
            (Username, &["two", "words"], &["two words"], true),
        ];
        for (kind, one, other, expected) in table {
            let keys = [one, other].map(|words| entry(kind, words).unwrap().key());
            assert_eq!(keys[0] == keys[1], expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn several_values_are_several_entries_and_a_user_name_is_one() {
        let table: [(_, &[&str], &[&str]); 7] = [
            (OauthToken, &["Bearer", "T"], &["token T"]),
            (
                Ip,
                &["192.0.2.1", "192.0.2.0/24"],
                &["ip 192.0.2.1", "ip 192.0.2.0/24"],
            ),
            (Cookie, &["S", "v"], &["cookie S v"]),
            (Cookie, &["S", "v", "w"], &["cookie S v", "cookie S w"]),
            (OauthToken, &["T", "U"], &["token T", "token U"]),
            (
                ApiKey,
                &["x-api-key", "k", "l"],
                &["api_key x-api-key k", "api_key x-api-key l"],
            ),
            (Username, &["two", "words"], &["username two words"]),
        ];
        for (kind, words, expected) in table {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            let entries = Entry::several(kind, &words).unwrap();
            let shown: Vec<_> = entries.iter().map(|entry| entry.words(true)).collect();
            assert_eq!(shown, expected);
        }
        let words = ["192.0.2.1".to_owned(), "localhost".to_owned()];
        assert!(Entry::several(Ip, &words).is_err());
    }

    #[test]
    fn what_the_command_line_accepts_the_filter_accepts() {
        let accepted: [(_, &[&str]); 7] = [
            (Ip, &["2001:db8::/32"]),
            (Cookie, &["S", " \"v\" "]),
            (OauthToken, &["Bearer  T"]),
            (ApiKey, &["x-api-key", "k"]),
            (ApiKey, &["k"]),
            (Username, &["\u{feff}bob"]),
            (Username, &["bearer"]),
        ];
        for (kind, words) in accepted {
            let mut list = Map::new();
            manual_list::add(&mut list, &[entry(kind, words).unwrap()]).unwrap();
            let config = validate(json!({ "deny_list": list }).to_string().as_bytes()).unwrap();
            assert_eq!(config.deny_list.identifiers().count(), 1, "{words:?}");
            assert_eq!(config.warnings.len(), 0, "{words:?}");
        }
        let refused: [(_, &[&str]); 7] = [
            (Ip, &["192.0.2.1", "192.0.2.2"]),
            (Ip, &["localhost"]),
            (Cookie, &["S"]),
            (Cookie, &["", "v"]),
            (OauthToken, &["two", "words"]),
            (ApiKey, &[" "]),
            (Username, &[]),
        ];
        for (kind, words) in refused {
            assert!(entry(kind, words).is_err_and(|failure| failure.exit_code == 2));
        }
    }
}
