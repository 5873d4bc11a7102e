//! Which lines are entries, and which bodies are lists.

use core::time::Duration;
use std::io;

use super::*;
use crate::feed::entries::Skipped;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Keeps what it receives, and is full after `room` entries.
#[derive(Default)]
struct Listed {
    entries: Vec<String>,
    skipped: Vec<Skipped>,
    ignored: usize,
    room: Option<usize>,
}

impl EntrySink for Listed {
    fn entry(&mut self, entry: ClientIdentifier<'_>, _: Option<Duration>) -> bool {
        let ClientIdentifier::Ip(range) = entry else {
            panic!("a text list has addresses only");
        };
        self.entries.push(range.to_string());
        self.room.is_none_or(|room| self.entries.len() <= room)
    }

    fn skipped(&mut self, entry: Skipped) {
        self.skipped.push(entry);
    }

    fn ignored(&mut self) {
        self.ignored += 1;
    }
}

fn read_all(mut body: &[u8], special_ranges: bool) -> (Result<EntryCounts, TextError>, Listed) {
    let mut listed = Listed::default();
    let outcome = read_text(&mut body, special_ranges, &mut listed);
    (outcome, listed)
}

#[track_caller]
fn check(body: &[u8], entries: &[&str], reasons: &[Unusable]) {
    let (outcome, listed) = read_all(body, false);
    let shown = body.escape_ascii();
    let counts = outcome.unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(listed.entries, entries, "{shown}");
    let found: Vec<Unusable> = listed.skipped.iter().map(|entry| entry.reason).collect();
    assert_eq!(found, reasons, "{shown}");
    assert_eq!(counts.usable.ip, entries.len() as u64, "{shown}");
    assert_eq!(counts.n_skipped(), reasons.len() as u64, "{shown}");
    assert_eq!(counts.first_skipped.ip, listed.skipped.first().copied());
}

#[track_caller]
fn check_refused(body: &[u8], words: &str) {
    let message = read_all(body, false).0.unwrap_err().to_string();
    assert!(
        message.contains(words),
        "{}: {message}",
        body.escape_ascii()
    );
    assert!(!message.contains("SECRET"), "{message}");
}

/// One usable line before the line under test, so that the body is a list.
#[track_caller]
fn check_line(line: &str, expected: Result<&[&str], Unusable>) {
    let body = format!("192.0.2.99\n{line}\n");
    let mut entries = vec!["192.0.2.99/32"];
    match expected {
        Ok(ranges) => {
            entries.extend(ranges);
            check(body.as_bytes(), &entries, &[]);
        }
        Err(reason) => check(body.as_bytes(), &entries, &[reason]),
    }
}

#[test]
fn published_formats_are_read() {
    let firehol = b"#\n# firehol_level2\n#\n# Entries: 2 subnets\n#\n192.0.2.7\n198.51.100.0/24\n";
    check(firehol, &["192.0.2.7/32", "198.51.100.0/24"], &[]);
    let drop_txt = b"; Spamhaus DROP List 2024/03/01\r\n; Expires: later\r\n\
        192.0.2.0/24 ; SBL256894\r\n198.51.100.0/22;SBL1\r\n";
    check(drop_txt, &["192.0.2.0/24", "198.51.100.0/22"], &[]);
    let drop_json = br#"{"cidr":"192.0.2.0/24","sblid":"SBL256894","rir":"apnic"}
{"cidr":"2001:db8::/32","sblid":"SBL2","rir":"ripencc"}
{"type":"metadata","timestamp":1700000000,"size":2,"records":2,"copyright":"(c)","terms":"https://example.com"}
"#;
    check(drop_json, &["192.0.2.0/24", "2001:db8::/32"], &[]);
    let dshield = b"#\n#   DShield.org Recommended Block List\nStart\tEnd\tNetblock\tAttacks\n\
        192.0.2.0\t192.0.2.255\t24\t4321\tNAME\tUS\tabuse@example.com\n";
    check(dshield, &["192.0.2.0/24"], &[Unusable::NotAnAddress]);
    let firewall = b"192.0.2.1 * one\n192.0.2.2 : two\n192.0.2.3 / three\n192.0.2.4 # four\n\
        192.0.2.5 5\n192.0.2.8-192.0.2.15 range\n";
    check(
        firewall,
        &[
            "192.0.2.1/32",
            "192.0.2.2/32",
            "192.0.2.3/32",
            "192.0.2.4/32",
            "192.0.2.5/32",
            "192.0.2.8/29",
        ],
        &[],
    );
}

#[test]
fn line_ends_marks_and_blank_lines_are_not_content() {
    let entries = ["192.0.2.1/32", "192.0.2.2/32"];
    for body in [
        &b"192.0.2.1\n192.0.2.2\n"[..],
        b"192.0.2.1\n192.0.2.2",
        b"192.0.2.1\r\n192.0.2.2\r\n",
        b"192.0.2.1\r192.0.2.2\r",
        b"\n\n \t\n192.0.2.1\n\n\n  192.0.2.2 \t\n\n",
        b"\xef\xbb\xbf192.0.2.1\n192.0.2.2\n",
        b"\xef\xbb\xbf# list\n192.0.2.1\n\xef\xbb\xbf# another\n192.0.2.2",
        b"192.0.2.1 caf\xe9\n192.0.2.2 # \xff\xfe\n",
    ] {
        check(body, &entries, &[]);
    }
}

#[test]
fn a_line_is_an_address_or_a_range() {
    use Unusable::{
        LongLine, NotAnAddress, NotText, Null, SeveralAddresses, SpecialPurpose,
        UnspecifiedAddress, WrongType,
    };
    let long = " ".repeat(LONGEST_LINE) + "192.0.2.1";
    let table: &[(&str, Result<&[&str], Unusable>)] = &[
        ("198.51.100.7/24", Ok(&["198.51.100.0/24"])),
        ("2001:DB8::0001", Ok(&["2001:db8::1/128"])),
        ("[2001:db8::1]", Ok(&["2001:db8::1/128"])),
        ("::ffff:192.0.2.1", Ok(&["192.0.2.1/32"])),
        ("192.0.2.1-192.0.2.1", Ok(&["192.0.2.1/32"])),
        (
            "192.0.2.1-192.0.2.6",
            Ok(&[
                "192.0.2.1/32",
                "192.0.2.2/31",
                "192.0.2.4/31",
                "192.0.2.6/32",
            ]),
        ),
        ("192.0.2.0 - 192.0.2.255", Ok(&["192.0.2.0/24"])),
        ("192.0.2.0 -192.0.2.255 x", Ok(&["192.0.2.0/24"])),
        ("192.0.2.1 - a comment", Ok(&["192.0.2.1/32"])),
        ("2001:db8::-2001:db8::ffff", Ok(&["2001:db8::/112"])),
        ("208.0.0.0-223.255.255.255", Ok(&["208.0.0.0/4"])),
        ("192.0.2.0 192.0.2.255 24", Ok(&["192.0.2.0/24"])),
        ("192.0.2.1 192.0.2.1 32", Ok(&["192.0.2.1/32"])),
        ("192.0.2.0 192.0.2.255 23", Err(SeveralAddresses)),
        ("192.0.2.0 192.0.2.255", Err(SeveralAddresses)),
        ("192.0.2.0 255.255.255.0", Err(SeveralAddresses)),
        ("192.0.2.0/24 198.51.100.0/24", Err(SeveralAddresses)),
        ("192.0.2.0- 192.0.2.255", Err(SeveralAddresses)),
        ("192.0.2.9-192.0.2.1", Err(SeveralAddresses)),
        ("192.0.2.1-2001:db8::1", Err(SeveralAddresses)),
        ("::fffe:0:0-::1:0:0:0", Err(SeveralAddresses)),
        ("192.0.2.0/24-192.0.2.255", Err(NotAnAddress)),
        ("192.0.2.1,192.0.2.2", Err(NotAnAddress)),
        ("192.0.2.1-", Err(NotAnAddress)),
        ("example.com", Err(NotAnAddress)),
        ("192.0.2.1/33", Err(NotAnAddress)),
        ("<p>", Err(NotAnAddress)),
        ("0.0.0.0", Err(UnspecifiedAddress)),
        ("::-::", Err(UnspecifiedAddress)),
        (&long, Err(LongLine)),
        ("# comment", Ok(&[])),
        ("; comment", Ok(&[])),
        (r#"{"ip": "192.0.2.1"}"#, Ok(&["192.0.2.1/32"])),
        (
            r#" {"a": {"ip": "x"}, "cidr": " 192.0.2.0-192.0.2.3 "}"#,
            Ok(&["192.0.2.0/30"]),
        ),
        (r#"{"cidr": "192.0.2.0/24#"}"#, Err(NotAnAddress)),
        (r#"{"cidr": "10.0.0.0/24"}"#, Err(SpecialPurpose)),
        (r#"{"cidr": 1}"#, Err(WrongType)),
        (r#"{"cidr": ["192.0.2.1"]}"#, Err(WrongType)),
        (r#"{"cidr": null}"#, Err(Null)),
        (r#"{"asn": 64496}"#, Err(WrongType)),
        (r#"{"cidr": "192.0.2.0/24""#, Err(WrongType)),
        (r#"{"cidr": "192.0.2.0/24"},"#, Err(WrongType)),
        (r#"{"a": {"type": "metadata"}}"#, Err(WrongType)),
        ("{", Err(WrongType)),
        (r#"{"type": "metadata", "records": 1}"#, Ok(&[])),
    ];
    for (line, expected) in table {
        check_line(line, *expected);
    }
    check(b"192.0.2.1\n\xff\xfe1\n", &["192.0.2.1/32"], &[NotText]);
}

#[test]
fn special_purpose_ranges_are_used_only_if_asked_for() {
    for line in [
        "0.0.0.1",
        "10.0.0.0/8",
        "10.1.2.3",
        "100.64.0.0/10",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.0.0/16",
        "192.168.1.1",
        "224.0.0.0/3",
        "240.0.0.1",
        "ff02::1",
        "::1",
        "fd00::1",
        "fe80::1%eth0",
        "febf::/16",
        "::ffff:10.0.0.1",
        // Around one.
        "0.0.0.0/0",
        "8.0.0.0/5",
        "9.255.255.255-10.0.0.0",
        "::/0",
        "f000::/4",
    ] {
        check_line(line, Err(Unusable::SpecialPurpose));
        let (outcome, listed) = read_all(line.as_bytes(), true);
        assert_eq!(outcome.unwrap().n_skipped(), 0, "{line}");
        assert!(!listed.entries.is_empty(), "{line}");
    }
    for line in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.32.0.0",
        "192.169.0.0",
        "::2",
        "fec0::",
        "fbff:ffff::",
    ] {
        let (outcome, listed) = read_all(line.as_bytes(), false);
        assert_eq!(outcome.unwrap().n_skipped(), 0, "{line}");
        assert_eq!(listed.entries.len(), 1, "{line}");
    }
}

#[test]
fn a_header_without_entries_is_an_empty_list_and_an_empty_body_is_none() {
    for body in [
        &b"# 0 entries\n"[..],
        b"\xef\xbb\xbf; nothing today",
        br#"{"type":"metadata","records":0}"#,
    ] {
        check(body, &[], &[]);
    }
    for body in [&b""[..], b"\n", b" \r\n\t\r\n", b"\xef\xbb\xbf"] {
        assert_eq!(read_all(body, false).0, Err(TextError::Empty));
        check_refused(body, "the list is empty");
    }
}

#[test]
fn a_body_without_a_usable_line_is_refused() {
    check_refused(
        b"\n<!DOCTYPE html>\n<html>192.0.2.1 SECRET</html>\n192.0.2.1\n",
        "an HTML or XML document",
    );
    check_refused(
        b"Too many requests, SECRET\ntry later\n",
        "no line of the list can be used: ips 2 of 2 (entry 1 of ips: not an address",
    );
    check_refused(
        b"# list\n10.0.0.0/8\n",
        "(entry 1 of ips: in a special-purpose range)",
    );
    check_refused(br#"{"data": [{"ipAddress": "192.0.2.1"}]}"#, "no line");
    check_refused(br#"["192.0.2.1"]"#, "no line");
    check_refused(b"{\n  \"ip\": \"192.0.2.1\"\n}\n", "no line");
}

#[test]
fn a_full_sink_ends_the_list() {
    let mut listed = Listed {
        room: Some(1),
        ..Listed::default()
    };
    let outcome = read_text(&mut &b"192.0.2.1-192.0.2.9\n"[..], false, &mut listed);
    assert_eq!(outcome, Err(TextError::SinkFull));
    assert_eq!(listed.entries.len(), 2);
}

#[test]
fn a_body_that_can_not_be_read_is_not_a_list() {
    struct Broken(bool, io::ErrorKind);
    impl Read for Broken {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if core::mem::replace(&mut self.0, true) {
                return Err(self.1.into());
            }
            out[..10].copy_from_slice(b"192.0.2.1\n");
            Ok(10)
        }
    }
    for (kind, words) in [
        (io::ErrorKind::UnexpectedEof, "ends early"),
        (io::ErrorKind::InvalidData, "damaged"),
        (io::ErrorKind::FileTooLarge, "could not be read"),
    ] {
        let mut sink = Listed::default();
        let error = read_text(&mut Broken(false, kind), false, &mut sink).unwrap_err();
        assert_eq!(error, TextError::Read(kind));
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn comments_and_metadata_are_reported_as_ignored() {
    let (_, listed) = read_all(
        b"# a\n\n; b\n{\"type\":\"metadata\"}\n192.0.2.1 # c\n",
        false,
    );
    assert_eq!(listed.ignored, 4);
}
