//! Client identifiers: their kinds, their canonical forms and their keyed fingerprints.
//!
//! Owns when two identifiers are equal. `request`, `feed` and `config` produce them; `list` stores them and looks them up.

use core::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use siphasher::sip::SipHasher13;

mod address;
mod canonical;
pub mod listed;
mod scheme;

pub use address::{
    embedded_ipv4, fold_mapped, host_of_prefix, parse_address, parse_range, parse_source_address,
    range_of_prefix,
};
pub use canonical::{decoded_cookie_name, is_blank, is_same_cookie_name};
pub use scheme::is_scheme;

use canonical::{normalized_name, with_canonical_cookie, with_canonical_value};

/// The largest number of claims that identify a token together.
pub const MAX_TOKEN_CLAIMS: usize = 4;

/// A kind of client identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum IdentifierKind {
    /// The client's IP address, as Envoy determined it.
    Ip = 0,
    /// One named cookie.
    Cookie = 1,
    /// An OAuth 2.0 bearer token (RFC 6750).
    OauthToken = 2,
    /// An API key, from a header or from the query.
    ApiKey = 3,
    /// A user name.
    Username = 4,
    /// A value of a named request header, such as the country that a CDN reports.
    Header = 5,
    /// Claims of a bearer token that is a JSON web token (RFC 7519).
    TokenClaims = 6,
}

impl IdentifierKind {
    /// Every kind, in the order of the contract.
    pub const ALL: [IdentifierKind; 7] = [
        IdentifierKind::Ip,
        IdentifierKind::Cookie,
        IdentifierKind::OauthToken,
        IdentifierKind::ApiKey,
        IdentifierKind::Username,
        IdentifierKind::Header,
        IdentifierKind::TokenClaims,
    ];

    /// The kinds with a key in ABS's attack list and in manual lists, in the order of the contract.
    pub const WITH_LIST_KEY: [IdentifierKind; 5] = [
        IdentifierKind::Ip,
        IdentifierKind::Cookie,
        IdentifierKind::OauthToken,
        IdentifierKind::ApiKey,
        IdentifierKind::Username,
    ];

    /// The name in metrics, response code details and filter state.
    pub const fn as_str(self) -> &'static str {
        match self {
            IdentifierKind::Ip => "ip",
            IdentifierKind::Cookie => "cookie",
            IdentifierKind::OauthToken => "oauth_token",
            IdentifierKind::ApiKey => "api_key",
            IdentifierKind::Username => "username",
            IdentifierKind::Header => "header",
            IdentifierKind::TokenClaims => "token_claims",
        }
    }

    /// The key of its entries in ABS's attack list and in manual lists, and their name in messages. Such lists have no key for
    /// kinds that are not in [`Self::WITH_LIST_KEY`].
    pub const fn list_key(self) -> &'static str {
        match self {
            IdentifierKind::Ip => "ips",
            IdentifierKind::Cookie => "cookies",
            IdentifierKind::OauthToken => "oauth_tokens",
            IdentifierKind::ApiKey => "api_keys",
            IdentifierKind::Username => "usernames",
            IdentifierKind::Header => "headers",
            IdentifierKind::TokenClaims => "token_claims",
        }
    }
}

/// One value for each kind of identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PerKind<T> {
    /// For [`IdentifierKind::Ip`].
    pub ip: T,
    /// For [`IdentifierKind::Cookie`].
    pub cookie: T,
    /// For [`IdentifierKind::OauthToken`].
    pub oauth_token: T,
    /// For [`IdentifierKind::ApiKey`].
    pub api_key: T,
    /// For [`IdentifierKind::Username`].
    pub username: T,
    /// For [`IdentifierKind::Header`].
    pub header: T,
    /// For [`IdentifierKind::TokenClaims`].
    pub token_claims: T,
}

impl<T> PerKind<T> {
    /// The value for `kind`.
    pub const fn get(&self, kind: IdentifierKind) -> &T {
        match kind {
            IdentifierKind::Ip => &self.ip,
            IdentifierKind::Cookie => &self.cookie,
            IdentifierKind::OauthToken => &self.oauth_token,
            IdentifierKind::ApiKey => &self.api_key,
            IdentifierKind::Username => &self.username,
            IdentifierKind::Header => &self.header,
            IdentifierKind::TokenClaims => &self.token_claims,
        }
    }

    /// The value for `kind`, to change.
    pub const fn get_mut(&mut self, kind: IdentifierKind) -> &mut T {
        match kind {
            IdentifierKind::Ip => &mut self.ip,
            IdentifierKind::Cookie => &mut self.cookie,
            IdentifierKind::OauthToken => &mut self.oauth_token,
            IdentifierKind::ApiKey => &mut self.api_key,
            IdentifierKind::Username => &mut self.username,
            IdentifierKind::Header => &mut self.header,
            IdentifierKind::TokenClaims => &mut self.token_claims,
        }
    }
}

impl<T: Copy> PerKind<T> {
    /// `convert` of each value.
    pub fn map<U>(self, convert: impl Fn(T) -> U) -> PerKind<U> {
        PerKind {
            ip: convert(self.ip),
            cookie: convert(self.cookie),
            oauth_token: convert(self.oauth_token),
            api_key: convert(self.api_key),
            username: convert(self.username),
            header: convert(self.header),
            token_claims: convert(self.token_claims),
        }
    }
}

impl PerKind<u64> {
    /// The sum over all kinds.
    pub fn total(&self) -> u64 {
        let by_kind = IdentifierKind::ALL.map(|kind| *self.get(kind));
        by_kind.into_iter().fold(0, u64::saturating_add)
    }
}

impl PerKind<bool> {
    /// True where either is true.
    pub const fn or(self, other: Self) -> Self {
        Self {
            ip: self.ip | other.ip,
            cookie: self.cookie | other.cookie,
            oauth_token: self.oauth_token | other.oauth_token,
            api_key: self.api_key | other.api_key,
            username: self.username | other.username,
            header: self.header | other.header,
            token_claims: self.token_claims | other.token_claims,
        }
    }

    /// True for the kinds of [`IdentifierKind::WITH_LIST_KEY`].
    pub const WITH_LIST_KEY: Self = Self {
        ip: true,
        cookie: true,
        oauth_token: true,
        api_key: true,
        username: true,
        header: false,
        token_claims: false,
    };

    /// Whether any value is true.
    pub const fn any(&self) -> bool {
        self.ip
            || self.cookie
            || self.oauth_token
            || self.api_key
            || self.username
            || self.header
            || self.token_claims
    }
}

/// One client identifier: from a request, a list, the configuration or the command line. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ClientIdentifier<'a> {
    /// An address, or a range of addresses without host bits; IPv4-mapped IPv6 is folded to IPv4.
    Ip(IpNet),
    /// One cookie.
    Cookie {
        /// Its name, byte for byte.
        name: &'a [u8],
        /// Its value, without enclosing double quotes.
        value: &'a [u8],
    },
    /// A bearer token, byte for byte.
    OauthToken(&'a [u8]),
    /// An API key's value.
    ApiKey(&'a [u8]),
    /// A user name.
    Username(&'a [u8]),
    /// A value of a request header.
    Header {
        /// The header's name, in lower case.
        name: &'a str,
        /// Its value, byte for byte.
        value: &'a [u8],
    },
    /// Claims that one token has: names, none of them twice, and values. Their order does not count.
    TokenClaims(&'a [(&'a str, &'a [u8])]),
}

impl ClientIdentifier<'_> {
    /// Its kind.
    pub const fn kind(&self) -> IdentifierKind {
        match self {
            ClientIdentifier::Ip(_) => IdentifierKind::Ip,
            ClientIdentifier::Cookie { .. } => IdentifierKind::Cookie,
            ClientIdentifier::OauthToken(_) => IdentifierKind::OauthToken,
            ClientIdentifier::ApiKey(_) => IdentifierKind::ApiKey,
            ClientIdentifier::Username(_) => IdentifierKind::Username,
            ClientIdentifier::Header { .. } => IdentifierKind::Header,
            ClientIdentifier::TokenClaims(_) => IdentifierKind::TokenClaims,
        }
    }

    /// Its fingerprint in canonical form: identifiers that servers treat as equal have the same. Of a range of addresses:
    /// that of its first address.
    pub fn fingerprint(&self, key: &FingerprintKey) -> Fingerprint {
        match self {
            ClientIdentifier::Ip(range) => key.ip(range.addr()),
            ClientIdentifier::Cookie { name, value } => key.cookie(name, value),
            ClientIdentifier::OauthToken(token) => key.oauth_token(token),
            ClientIdentifier::ApiKey(value) => key.api_key(value),
            ClientIdentifier::Username(name) => key.username(name),
            ClientIdentifier::Header { name, value } => key.header(name, value),
            ClientIdentifier::TokenClaims(claims) => key.token_claims(claims),
        }
    }

    /// Whether the value is empty, which identifies no client; of claims: whether there are none.
    pub const fn is_empty(&self) -> bool {
        match self {
            ClientIdentifier::Ip(_) => false,
            ClientIdentifier::Cookie { value, .. }
            | ClientIdentifier::OauthToken(value)
            | ClientIdentifier::ApiKey(value)
            | ClientIdentifier::Username(value)
            | ClientIdentifier::Header { value, .. } => value.is_empty(),
            ClientIdentifier::TokenClaims(claims) => claims.is_empty(),
        }
    }
}

impl From<IpAddr> for ClientIdentifier<'_> {
    fn from(address: IpAddr) -> Self {
        ClientIdentifier::Ip(address.into())
    }
}

impl fmt::Debug for ClientIdentifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentifier({}, redacted)", self.kind().as_str())
    }
}

/// A 64-bit keyed fingerprint of one identifier. Without the key it reveals nothing.
///
/// The lowest three bits are the kind, so that kinds never collide and a list can be counted by kind; the other 61 are the
/// hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    const KIND_MASK: u64 = 0b111;

    /// The lowest bits distinguish the kinds, so the hash need not include the kind.
    const fn new(hash: u64, kind: IdentifierKind) -> Self {
        Self(hash & !Self::KIND_MASK | kind as u64)
    }

    /// The kind of the identifier; `None` for a number that is no fingerprint.
    pub fn kind(self) -> Option<IdentifierKind> {
        IdentifierKind::ALL
            .into_iter()
            .find(|kind| u64::from(*kind as u8) == self.0 & Self::KIND_MASK)
    }
}

/// The key of the fingerprints: random, one for all workers of a process, never written to a log.
///
/// SipHash-1-3: a client that does not know the key can't produce collisions, and with 61 bits a list of a million entries
/// matches a clean identifier about once in 2 * 10^12 look-ups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FingerprintKey {
    words: [u64; 2],
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(redacted)")
    }
}

impl FingerprintKey {
    /// A key from two random words.
    pub const fn from_words(words: [u64; 2]) -> Self {
        Self { words }
    }

    /// The two words, for the record in shared data that all workers read.
    pub const fn to_words(self) -> [u64; 2] {
        self.words
    }

    /// The fingerprint of an address; IPv4-mapped IPv6 equals IPv4.
    pub fn ip(&self, address: IpAddr) -> Fingerprint {
        match fold_mapped(address) {
            IpAddr::V4(v4) => self.fingerprint(IdentifierKind::Ip, &v4.octets()),
            IpAddr::V6(v6) => self.fingerprint(IdentifierKind::Ip, &v6.octets()),
        }
    }

    /// The fingerprint of one cookie, in canonical form. `value` must not have enclosing double quotes.
    pub fn cookie(&self, name: &[u8], value: &[u8]) -> Fingerprint {
        with_canonical_value(value, |value| {
            with_canonical_cookie(name, Some(value), |cookie| {
                self.fingerprint(IdentifierKind::Cookie, cookie)
            })
        })
    }

    /// The fingerprint of a bearer token, in canonical form.
    pub fn oauth_token(&self, token: &[u8]) -> Fingerprint {
        with_canonical_value(token, |token| {
            self.fingerprint(IdentifierKind::OauthToken, token)
        })
    }

    /// The fingerprint of an API key's value, in canonical form. The name of its header or parameter does
    /// not count.
    pub fn api_key(&self, value: &[u8]) -> Fingerprint {
        with_canonical_value(value, |value| {
            self.fingerprint(IdentifierKind::ApiKey, value)
        })
    }

    /// The fingerprint of a user name: of its characters in Unicode normalization form C (UAX 15). Bytes that are not
    /// UTF-8 are read as Latin-1.
    pub fn username(&self, name: &[u8]) -> Fingerprint {
        self.fingerprint(IdentifierKind::Username, &normalized_name(name))
    }

    /// The fingerprint of a header's value, which is compared byte for byte, without the white space around it. `name` is in
    /// lower case.
    pub fn header(&self, name: &str, value: &[u8]) -> Fingerprint {
        // No header name contains a colon.
        let bytes = [name.as_bytes(), b":", value.trim_ascii()].concat();
        self.fingerprint(IdentifierKind::Header, &bytes)
    }

    /// The fingerprint of claims. Values are compared byte for byte: only the issuer of a token can change them.
    pub fn token_claims(&self, claims: &[(&str, &[u8])]) -> Fingerprint {
        // In a sum, the order does not count.
        let hash = claims.iter().fold(0, |sum: u64, (name, value)| {
            let name_length = u64::try_from(name.len()).unwrap_or(u64::MAX);
            let bytes = [&name_length.to_le_bytes(), name.as_bytes(), value].concat();
            sum.wrapping_add(self.hash(&bytes))
        });
        Fingerprint::new(hash, IdentifierKind::TokenClaims)
    }

    fn fingerprint(&self, kind: IdentifierKind, bytes: &[u8]) -> Fingerprint {
        Fingerprint::new(self.hash(bytes), kind)
    }

    fn hash(&self, bytes: &[u8]) -> u64 {
        let [first, second] = self.words;
        SipHasher13::new_with_keys(first, second).hash(bytes)
    }
}

#[cfg(test)]
mod tests;
