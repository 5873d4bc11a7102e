//! A manual list: small, compiled from the plugin configuration, kept whole in the VM.

use std::net::IpAddr;

use super::ranges::AddressRanges;
use crate::config::ManualEntries;
use crate::identifier::{Fingerprint, FingerprintKey, IdentifierKind, PerKind, fold_mapped};

/// A manual list, ready to be asked. Its values are kept as fingerprints under a key of this VM's own.
#[derive(Clone, Debug)]
pub struct ManualList {
    key: FingerprintKey,
    /// Sorted.
    fingerprints: Vec<u64>,
    ranges: AddressRanges,
    holds: PerKind<bool>,
}

impl ManualList {
    /// Compiles `entries`.
    pub fn new(key: FingerprintKey, entries: &ManualEntries) -> Self {
        let mut ranges = AddressRanges::default();
        for range in &entries.ips {
            ranges.push(*range);
        }
        ranges.seal();
        let mut fingerprints = Vec::new();
        for (name, value) in &entries.cookies {
            fingerprints.push(key.cookie(name.as_bytes(), value.as_bytes()).0);
        }
        for token in &entries.oauth_tokens {
            fingerprints.push(key.oauth_token(token.as_bytes()).0);
        }
        for value in &entries.api_keys {
            fingerprints.push(key.api_key(value.as_bytes()).0);
        }
        for name in &entries.usernames {
            fingerprints.push(key.username(name.as_bytes()).0);
        }
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Self {
            key,
            fingerprints,
            ranges,
            holds: PerKind {
                ip: !entries.ips.is_empty(),
                cookie: !entries.cookies.is_empty(),
                oauth_token: !entries.oauth_tokens.is_empty(),
                api_key: !entries.api_keys.is_empty(),
                username: !entries.usernames.is_empty(),
            },
        }
    }

    /// The key that fingerprints are to be made with.
    pub fn key(&self) -> &FingerprintKey {
        &self.key
    }

    /// Whether the list names any identifier of this kind.
    pub fn holds(&self, kind: IdentifierKind) -> bool {
        *self.holds.get(kind)
    }

    /// Whether the list names the address, alone or in a range.
    pub fn contains_ip(&self, address: IpAddr) -> bool {
        self.ranges.contains(fold_mapped(address))
    }

    /// Whether the list names the identifier, which is no address.
    pub fn contains(&self, fingerprint: Fingerprint) -> bool {
        self.fingerprints.binary_search(&fingerprint.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn each_kind_is_found_and_its_neighbour_is_not() {
        let key = FingerprintKey::from_words([3, 4]);
        let list = ManualList::new(
            key,
            &ManualEntries {
                ips: vec![
                    "192.0.2.0/24".parse().unwrap(),
                    "2001:db8::1/128".parse().unwrap(),
                ],
                cookies: vec![("S".into(), "v".into())],
                oauth_tokens: vec!["t".into()],
                api_keys: vec!["k".into()],
                usernames: vec![],
            },
        );
        assert!(list.contains_ip("192.0.2.9".parse().unwrap()));
        assert!(list.contains_ip("::ffff:192.0.2.9".parse().unwrap()));
        assert!(list.contains_ip("2001:db8::1".parse().unwrap()));
        assert!(!list.contains_ip("192.0.3.1".parse().unwrap()));
        assert!(list.contains(key.cookie(b"S", b"v")));
        assert!(!list.contains(key.cookie(b"s2", b"v")));
        assert!(list.contains(key.oauth_token(b"t")));
        assert!(!list.contains(key.api_key(b"t")));
        assert!(list.contains(key.api_key(b"k")));
        assert!(!list.holds(IdentifierKind::Username));
        assert!(list.holds(IdentifierKind::ApiKey));
    }
}
