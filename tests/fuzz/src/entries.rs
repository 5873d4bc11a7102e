//! Where the readers of lists put their entries.

use core::time::Duration;
use std::io::Read;

use ipnet::IpNet;
use portcullis::feed::entries::{EntrySink, Skipped};
use portcullis::identifier::{ClientIdentifier, FingerprintKey};
use portcullis::list::Builder;

/// Checks each entry, and inserts up to `capacity` of them into a small list.
pub struct Sink {
    pub builder: Builder,
    capacity: usize,
    pub accepted: usize,
    pub skipped: usize,
    /// Each range.
    pub ranges: Vec<IpNet>,
}

impl Sink {
    pub fn new(capacity: usize) -> Self {
        Self {
            builder: Builder::new(FingerprintKey::from_words([1, 2]), 1 << 16),
            capacity,
            accepted: 0,
            skipped: 0,
            ranges: Vec::new(),
        }
    }

    fn accept(&mut self) -> bool {
        self.accepted += 1;
        self.accepted <= self.capacity
    }
}

fn check_value(value: &[u8]) {
    assert!(!value.is_empty(), "an empty value identifies no client");
    let breaks_line = value.iter().any(|byte| b"\r\n\0".contains(byte));
    assert!(!breaks_line, "no request carries such a value");
}

impl EntrySink for Sink {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool {
        assert_ne!(
            time_to_live,
            Some(Duration::ZERO),
            "an expired entry is not an entry"
        );
        match entry {
            ClientIdentifier::Ip(range) => {
                assert_eq!(range, range.trunc(), "host bits are zero");
                self.ranges.push(range);
                if let IpNet::V6(range) = range {
                    let is_mapped = range.addr().to_ipv4_mapped().is_some();
                    assert!(
                        range.prefix_len() < 96 || !is_mapped,
                        "IPv4-mapped addresses are folded"
                    );
                }
            }
            ClientIdentifier::Cookie { name, value } => {
                assert!(!name.is_empty());
                check_value(value);
            }
            ClientIdentifier::OauthToken(value)
            | ClientIdentifier::ApiKey(value)
            | ClientIdentifier::Username(value)
            | ClientIdentifier::Header { value, .. } => check_value(value),
            ClientIdentifier::TokenClaims(claims) => {
                assert!(!claims.is_empty());
                let is_usable = |(_, value): &(&str, &[u8])| !value.is_empty();
                assert!(
                    claims.iter().all(is_usable),
                    "empty claims identify no token"
                );
            }
        }
        self.builder.insert(entry, time_to_live).is_ok() && self.accept()
    }

    fn skipped(&mut self, entry: Skipped) {
        assert!(entry.position > 0);
        self.skipped += 1;
    }
}

/// Returns few bytes per read.
pub struct Drip<'a>(pub &'a [u8], pub usize);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        let (head, rest) = self.0.split_at(n);
        buffer[..n].copy_from_slice(head);
        self.0 = rest;
        Ok(n)
    }
}
