//! A manual list: small, built from the plugin configuration, kept in the VM. Knows no configuration key.

use std::net::IpAddr;

use super::ranges::AddressRanges;
use crate::identifier::{ClientIdentifier, FingerprintKey, IdentifierKind, PerKind, fold_mapped};

/// A manual list. Its values are fingerprints under a key of this VM.
#[derive(Clone, Debug)]
pub struct ManualList {
    key: FingerprintKey,
    /// Sorted.
    fingerprints: Vec<u64>,
    ranges: AddressRanges,
    holds: PerKind<bool>,
}

impl ManualList {
    /// The list of `entries`, with `key` for their fingerprints.
    pub fn new<'a>(
        key: FingerprintKey,
        entries: impl Iterator<Item = ClientIdentifier<'a>>,
    ) -> Self {
        let mut ranges = AddressRanges::default();
        let mut fingerprints = Vec::new();
        let mut holds = PerKind::default();
        for entry in entries {
            *holds.get_mut(entry.kind()) = true;
            match entry {
                ClientIdentifier::Ip(range) => ranges.push(range),
                other => fingerprints.push(other.fingerprint(&key).0),
            }
        }
        ranges.seal();
        fingerprints.sort_unstable();
        fingerprints.dedup();
        Self {
            key,
            fingerprints,
            ranges,
            holds,
        }
    }

    /// Whether the list has any identifier of this kind.
    pub fn holds(&self, kind: IdentifierKind) -> bool {
        *self.holds.get(kind)
    }

    /// Whether the list contains the address, itself or in a range.
    pub fn contains_address(&self, address: IpAddr) -> bool {
        self.ranges.contains(fold_mapped(address))
    }

    /// Whether the list contains the identifier, which must not be an address.
    pub fn contains(&self, identifier: ClientIdentifier<'_>) -> bool {
        self.holds(identifier.kind())
            && self
                .fingerprints
                .binary_search(&identifier.fingerprint(&self.key).0)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_listed_identifiers_are_found() {
        use ClientIdentifier::{ApiKey, Cookie, Ip, OauthToken, Username};
        let cookie = |name: &'static str| Cookie {
            name: name.as_bytes(),
            value: b"v",
        };
        let entries = [
            Ip("192.0.2.0/24".parse().unwrap()),
            Ip("2001:db8::1/128".parse().unwrap()),
            cookie("S"),
            OauthToken(b"t"),
            ApiKey(b"k"),
        ];
        let list = ManualList::new(FingerprintKey::from_words([3, 4]), entries.into_iter());
        for address in ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1"] {
            assert!(list.contains_address(address.parse().unwrap()), "{address}");
        }
        assert!(!list.contains_address("192.0.3.1".parse().unwrap()));
        for listed in [cookie("S"), OauthToken(b"t"), ApiKey(b"k")] {
            assert!(list.contains(listed), "{listed:?}");
        }
        for other in [cookie("s2"), ApiKey(b"t"), OauthToken(b"k"), Username(b"t")] {
            assert!(!list.contains(other), "{other:?}");
        }
        assert!(!list.holds(IdentifierKind::Username));
        assert!(list.holds(IdentifierKind::ApiKey));
    }
}
