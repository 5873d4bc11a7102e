//! ABS's JSON, whole and in pieces.

use std::io::Read;

use ipnet::IpNet;
use portcullis::feed::abs::{AttackListError, read_attack_list};
use portcullis::feed::entries::{EntrySink, Skipped};
use portcullis::identifier::{ClientIdentifier, FingerprintKey};
use portcullis::list::Builder;

/// Checks each entry, and inserts up to `capacity` of them into a small list.
struct Sink {
    builder: Builder,
    capacity: usize,
    accepted: usize,
    skipped: usize,
}

impl Sink {
    fn new(capacity: usize) -> Self {
        Self {
            builder: Builder::new(FingerprintKey::from_words([1, 2]), 1 << 16),
            capacity,
            accepted: 0,
            skipped: 0,
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
    fn entry(&mut self, entry: ClientIdentifier<'_>) -> bool {
        match entry {
            ClientIdentifier::Ip(range) => {
                assert_eq!(range, range.trunc(), "host bits are zero");
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
            | ClientIdentifier::Username(value) => check_value(value),
        }
        self.builder.insert(entry).is_ok() && self.accept()
    }

    fn skipped(&mut self, entry: Skipped) {
        assert!(entry.position > 0);
        self.skipped += 1;
    }
}

/// Returns few bytes per read.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        let (head, rest) = self.0.split_at(n);
        buffer[..n].copy_from_slice(head);
        self.0 = rest;
        Ok(n)
    }
}

pub fn attack_list(data: &[u8]) {
    let mut whole = Sink::new(usize::MAX);
    let outcome = read_attack_list(&mut &*data, &mut whole);
    if let Err(error) = &outcome {
        assert!(error.to_string().len() < 1_000, "{error}");
    }

    let mut in_pieces = Sink::new(usize::MAX);
    let step = 1 + data.len() % 7;
    let again = read_attack_list(&mut Drip(data, step), &mut in_pieces);
    assert_eq!(outcome, again, "in pieces of {step}");
    let counts_of = |sink: &Sink| (sink.accepted, sink.skipped);
    assert_eq!(counts_of(&whole), counts_of(&in_pieces));

    if whole.accepted > 0 {
        let mut small = Sink::new(whole.accepted / 2);
        let full = read_attack_list(&mut &*data, &mut small);
        assert_eq!(full, Err(AttackListError::SinkFull));
    }
    if let Ok(counts) = outcome {
        assert_eq!(counts.n_skipped(), whole.skipped as u64);
        assert_eq!(counts.n_entries(), (whole.accepted + whole.skipped) as u64);
        assert!(
            whole.accepted > 0 || whole.skipped == 0,
            "nothing is usable"
        );
        // A truncated list is never accepted.
        let text = data.trim_ascii_end();
        let cut = text.len() - 1 - data.len() % text.len();
        let part = read_attack_list(&mut &text[..cut], &mut Sink::new(usize::MAX));
        assert!(part.is_err(), "truncated at {cut}");

        let list = whole.builder.finish().expect("each entry was inserted");
        assert!(list.n_entries() <= whole.accepted as u64);
    }
}
