//! The parsers of feeds against plain models: what a list means is known before its text is written.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use portcullis::feed::crowdsec::{DecisionCounts, DecisionOptions, DecisionsError, read_decisions};
use portcullis::feed::entries::{EntrySink, Skipped};
use portcullis::feed::text::{SPECIAL_RANGES, TextError, read_text};
use portcullis::identifier::ClientIdentifier;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What a parser reports, in order.
#[derive(Clone, Debug, PartialEq)]
enum Reported {
    Ip(IpNet, Option<Duration>),
    Username(String, Option<Duration>),
    Cookie(String, Option<Duration>),
    Header(String, String, Option<Duration>),
    Skipped,
    Ignored,
}

#[derive(Default)]
struct Reports(Vec<Reported>);

impl EntrySink for Reports {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time: Option<Duration>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.0.push(match entry {
            ClientIdentifier::Ip(range) => Reported::Ip(range, time),
            ClientIdentifier::Username(name) => Reported::Username(text(name), time),
            ClientIdentifier::Cookie { name, value } => {
                assert_eq!(name, b"SID");
                Reported::Cookie(text(value), time)
            }
            ClientIdentifier::Header { name, value } => {
                Reported::Header(name.to_owned(), text(value), time)
            }
            _ => panic!("no list has this kind"),
        });
        true
    }

    fn skipped(&mut self, _: Skipped) {
        self.0.push(Reported::Skipped);
    }

    fn ignored(&mut self) {
        self.0.push(Reported::Ignored);
    }
}

/// Addresses that are close together, near special-purpose ranges or at the ends of the address space. None is IPv4-mapped.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = prop_oneof![
        0u32..8,
        0x0900_fff0u32..0x0a00_0010,
        0xc000_0200u32..0xc000_0300,
        u32::MAX - 64..=u32::MAX,
        any::<u32>(),
    ];
    let v6 = prop_oneof![
        0u128..8,
        (0x2001_0db8u128 << 96)..(0x2001_0db8u128 << 96) + 0x400,
        (0xfe7f_ffffu128 << 96)..(0xfe80_0001u128 << 96),
        u128::MAX - 64..=u128::MAX,
        any::<u128>(),
    ];
    prop_oneof![
        v4.prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        v6.prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
            .prop_filter("IPv4-mapped", |address| {
                let IpAddr::V6(v6) = address else { return true };
                v6.to_ipv4_mapped().is_none()
            }),
    ]
}

/// First and last address, as numbers, of an address family's bits.
type Ends = (u8, u128, u128);

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn ends(range: IpNet) -> Ends {
    (
        range.max_prefix_len(),
        number(range.network()),
        number(range.broadcast()),
    )
}

fn written(bits: u8, number: u128) -> String {
    match bits {
        32 => Ipv4Addr::from_bits(number.try_into().unwrap()).to_string(),
        _ => Ipv6Addr::from_bits(number).to_string(),
    }
}

/// A line, and what it lists.
#[derive(Clone, Debug)]
struct Line {
    text: String,
    means: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Listed(Ends),
    Unusable,
    Ignored,
}

fn line(text: impl Into<String>, means: Meaning) -> Line {
    Line {
        text: text.into(),
        means,
    }
}

fn is_unspecified(ends: Ends) -> bool {
    matches!(ends, (_, 0, 0))
}

fn listed(ends: Ends) -> Meaning {
    if is_unspecified(ends) {
        Meaning::Unusable
    } else {
        Meaning::Listed(ends)
    }
}

fn cidr_line() -> impl Strategy<Value = Line> {
    (address(), 0u8..=32, any::<bool>(), 0..3).prop_map(|(address, less, narrow, form)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = most - if narrow { less % 10 } else { less };
        let ends = ends(IpNet::new(address, prefix).unwrap());
        let text = format!("{address}/{prefix}");
        let text = match form {
            0 => json!({"cidr": text, "sblid": "SBL1"}).to_string(),
            1 => format!("{text} 17 times"),
            _ => text,
        };
        line(text, listed(ends))
    })
}

fn address_line() -> impl Strategy<Value = Line> {
    (address(), 0..3).prop_map(|(address, form)| {
        let ends = ends(address.into());
        let text = match form {
            0 => json!({"ip": address}).to_string(),
            1 => format!("{address} - a comment"),
            _ => address.to_string(),
        };
        line(text, listed(ends))
    })
}

fn interval_line() -> impl Strategy<Value = Line> {
    let length = prop_oneof![0u128..600, Just(1 << 20), Just(1 << 30), Just(1 << 31)];
    (address(), length, 0..3, any::<bool>()).prop_map(|(first, length, form, is_reversed)| {
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let first = number(first);
        let end = if bits == 32 {
            u32::MAX.into()
        } else {
            u128::MAX
        };
        let last = first.saturating_add(length).min(end);
        let (from, to) = (written(bits, first), written(bits, last));
        let (from, to) = if is_reversed { (to, from) } else { (from, to) };
        let text = match form {
            0 => format!("{from}-{to} text"),
            1 => format!("{from} - {to}"),
            _ => format!("{from} -{to}"),
        };
        let means = match is_reversed && first != last {
            true => Meaning::Unusable,
            false => listed((bits, first, last)),
        };
        line(text, means)
    })
}

/// `start end prefix`, where the three agree or not.
fn columns_line() -> impl Strategy<Value = Line> {
    (address(), 0u8..=20, -1i16..=1).prop_map(|(address, less, error)| {
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = most - less;
        let ends @ (bits, first, last) = ends(IpNet::new(address, prefix).unwrap());
        let prefix = i16::from(prefix) + error;
        let text = format!(
            "{}\t{}\t{prefix}\t12\tname",
            written(bits, first),
            written(bits, last)
        );
        match error {
            0 => line(text, listed(ends)),
            _ => line(text, Meaning::Unusable),
        }
    })
}

fn other_line() -> impl Strategy<Value = Line> {
    prop_oneof![
        "[ \t]{0,3}".prop_map(|text| line(text, Meaning::Ignored)),
        "[ \t]{0,3}[#;][ -~\u{e9}]{0,20}".prop_map(|text| line(text, Meaning::Ignored)),
        Just(line(
            r#"{"type": "metadata", "records": 3}"#,
            Meaning::Ignored
        )),
        "[a-z,/-][ -\"$-:=-~]{0,20}"
            .prop_filter("an IPv6 address", |text| !text.contains(':'))
            .prop_map(|text| line(text, Meaning::Unusable)),
        (address(), address())
            .prop_map(|(one, other)| line(format!("{one} {other}"), Meaning::Unusable)),
        address()
            .prop_map(|address| line(format!(r#"{{"cidr": ["{address}"]}}"#), Meaning::Unusable)),
    ]
}

fn any_line() -> impl Strategy<Value = Line> {
    prop_oneof![
        3 => address_line(),
        3 => cidr_line(),
        2 => interval_line(),
        1 => columns_line(),
        2 => other_line(),
    ]
}

fn overlaps_special((bits, first, last): Ends) -> bool {
    SPECIAL_RANGES.iter().any(|special| {
        let (of, from, to) = ends(*special);
        of == bits && from <= last && first <= to
    })
}

/// Takes the ranges of one interval; they are in order, complete, and none can be joined with the next.
fn take_ranges(reported: &mut impl Iterator<Item = Reported>, (bits, first, last): Ends) {
    let mut next = Some(first);
    let mut before: Option<IpNet> = None;
    while let Some(start) = next.filter(|start| *start <= last) {
        let Some(Reported::Ip(range, None)) = reported.next() else {
            panic!("a range is missing at {}", written(bits, start));
        };
        let (of, from, to) = ends(range);
        assert_eq!((of, from), (bits, start), "{range}");
        assert!(to <= last, "{range}");
        if let Some(before) = before {
            let joined = before.supernet().filter(|joined| joined.contains(&range));
            let is_half = before.prefix_len() == range.prefix_len();
            assert!(joined.is_none() || !is_half, "{before} and {range} are one");
        }
        before = Some(range);
        next = to.checked_add(1);
    }
}

/// A decision, and what it means.
#[derive(Clone, Debug)]
struct Decision {
    json: Value,
    means: Reported,
}

fn with_options<T>(test: impl FnOnce(&DecisionOptions<'_>) -> T) -> T {
    test(&DecisionOptions {
        types: &["ban".to_owned()],
        session_cookie: Some("SID"),
        scope_headers: &[("Country".to_owned(), "cf-ipcountry".to_owned())],
    })
}

/// A duration as Go writes it, and its value; `None` for one that is not over zero.
fn duration() -> impl Strategy<Value = (String, Option<Duration>)> {
    let long = (0u64..1_000, 0u64..60, 0u64..60, 0u32..1_000_000_000).prop_map(|(h, m, s, ns)| {
        let time = Duration::new(h * 3_600 + m * 60 + s, ns);
        let fraction = format!("{s}.{ns:09}");
        let seconds = fraction.trim_end_matches('0').trim_end_matches('.');
        (format!("{h}h{m}m{seconds}s"), time)
    });
    let short = (1u64..1_000_000_000, 0..4).prop_map(|(ns, unit)| {
        #[expect(clippy::cast_precision_loss, reason = "nine digits are exact")]
        let text = match unit {
            0 => format!("{ns}ns"),
            1 => format!("{}\u{b5}s", ns as f64 / 1e3),
            2 => format!("{}\u{3bc}s", ns as f64 / 1e3),
            _ => format!("{}ms", ns as f64 / 1e6),
        };
        (text, Duration::from_nanos(ns))
    });
    (prop_oneof![long, short], 0..8).prop_map(|((text, time), sign)| match sign {
        0 => (format!("-{text}"), None),
        _ => (text, Some(time).filter(|time| !time.is_zero())),
    })
}

fn decision() -> impl Strategy<Value = Decision> {
    let name = "[a-zA-Z0-9 ._\u{e9}\u{4e00}]{0,6}[a-z]";
    let subject = prop_oneof![
        4 => (address(), 0u8..32, any::<bool>()).prop_map(|(address, less, is_range)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let range = IpNet::new(address, if is_range { most - less } else { most }).unwrap();
            let text = if is_range { range.to_string() } else { address.to_string() };
            let scope = if is_range { "Range" } else { "Ip" };
            let is_usable = !is_unspecified(ends(range));
            (scope, text, is_usable.then_some(Reported::Ip(range.trunc(), None)))
        }),
        2 => name.prop_map(|name| {
            let means = Reported::Username(name.trim().to_owned(), None);
            ("username", name, Some(means))
        }),
        1 => "[a-z]{1,4}".prop_map(|value| ("session", value.clone(), Some(Reported::Cookie(value, None)))),
        1 => "[A-Z]{2}".prop_map(|value| {
            let means = Reported::Header("cf-ipcountry".to_owned(), value.clone(), None);
            ("Country", value, Some(means))
        }),
        1 => Just(("Ip", "192.0.2.300".to_owned(), None)),
        1 => Just(("machine", "m1".to_owned(), Some(Reported::Ignored))),
    ];
    let time = prop_oneof![3 => duration().prop_map(Some), 1 => Just(None)];
    let kind = prop_oneof![6 => Just("ban"), 1 => Just("captcha")];
    (subject, time, kind, any::<bool>(), 0..12).prop_map(
        |((scope, value, means), time, kind, has_folded_scope, fault)| {
            let mut fields = Map::new();
            let scope = if has_folded_scope {
                scope.to_lowercase()
            } else {
                scope.to_owned()
            };
            fields.insert("scope".to_owned(), json!(scope));
            fields.insert("value".to_owned(), json!(value));
            fields.insert("type".to_owned(), json!(kind));
            fields.insert("id".to_owned(), json!(17));
            fields.insert("origin".to_owned(), json!("cscli"));
            if let Some((text, _)) = &time {
                fields.insert("duration".to_owned(), json!(text));
            }
            let is_ignored = kind != "ban" || means == Some(Reported::Ignored);
            let means = match (fault, time, means) {
                (0, _, _) => {
                    fields.remove("type");
                    Reported::Skipped
                }
                _ if is_ignored => Reported::Ignored,
                (1, _, _) => {
                    fields.insert("duration".to_owned(), json!("soon"));
                    Reported::Skipped
                }
                (2, _, _) => {
                    fields.insert("value".to_owned(), json!([value]));
                    Reported::Skipped
                }
                (_, Some((_, None)), _) => Reported::Ignored,
                (_, _, None) => Reported::Skipped,
                (_, time, Some(means)) => timed(means, time.and_then(|(_, time)| time)),
            };
            Decision {
                json: Value::Object(fields),
                means,
            }
        },
    )
}

fn timed(means: Reported, time: Option<Duration>) -> Reported {
    match means {
        Reported::Ip(range, _) => Reported::Ip(range, time),
        Reported::Username(name, _) => Reported::Username(name, time),
        Reported::Cookie(value, _) => Reported::Cookie(value, time),
        Reported::Header(header, value, _) => Reported::Header(header, value, time),
        other => other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_text_list_is_its_lines(
        lines in vec((any_line(), 0..4usize), 0..40),
        has_mark in any::<bool>(),
        special_ranges in any::<bool>(),
    ) {
        let mut body = String::new();
        if has_mark {
            body.push('\u{feff}');
        }
        for (line, end) in &lines {
            body.push_str(&line.text);
            let is_json = line.text.starts_with('{');
            body.push_str(["\n", "\r\n", "\n\n", " # text\n"][if is_json { 0 } else { *end }]);
        }
        let mut reports = Reports::default();
        let outcome = read_text(&mut body.as_bytes(), special_ranges, &mut reports);

        let n_ranges = reports.0.iter().filter(|report| matches!(report, Reported::Ip(..))).count() as u64;
        let mut reported = reports.0.into_iter().filter(|report| *report != Reported::Ignored);
        let mut n_usable = 0;
        let mut n_skipped = 0;
        for (line, _) in &lines {
            match line.means {
                Meaning::Ignored => {}
                Meaning::Listed(ends) if special_ranges || !overlaps_special(ends) => {
                    take_ranges(&mut reported, ends);
                    n_usable += 1;
                }
                Meaning::Listed(_) | Meaning::Unusable => {
                    prop_assert_eq!(reported.next(), Some(Reported::Skipped), "{:?}", line);
                    n_skipped += 1;
                }
            }
        }
        prop_assert_eq!(reported.next(), None);
        let is_blank = body.trim_start_matches('\u{feff}').trim().is_empty();
        match outcome {
            Ok(counts) => {
                prop_assert!(!is_blank && (n_usable > 0 || n_skipped == 0));
                prop_assert_eq!((counts.usable.ip, counts.n_skipped()), (n_ranges, n_skipped));
            }
            Err(TextError::Empty) => prop_assert!(is_blank),
            Err(TextError::NothingUsable(counts)) => {
                prop_assert_eq!((n_usable, counts.n_skipped()), (0, n_skipped));
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn decisions_are_their_entries(
        new in vec(decision(), 0..30),
        deleted in vec(decision(), 0..10),
        lists in 0..4,
    ) {
        let list = |decisions: &[Decision]| -> Vec<Value> {
            decisions.iter().map(|decision| decision.json.clone()).collect()
        };
        let (new_list, deleted_list) = (list(&new), list(&deleted));
        let (new_text, deleted_text) = (json!(new_list), json!(deleted_list));
        let body = match lists {
            0 => format!(r#"{{"deleted": {deleted_text}, "new": {new_text}}}"#),
            1 => format!(r#"{{"new": {new_text}, "deleted": null, "links": [{{"new": 1}}]}}"#),
            2 => format!(r#"{{"new": {new_text}}}"#),
            _ => format!(r#"{{"new": null, "deleted": {deleted_text}, "new": {new_text}}}"#),
        };
        with_options(|options| {
            let mut reports = Reports::default();
            let outcome = read_decisions(&mut body.as_bytes(), options, &mut reports);
            let n_deleted = if matches!(lists, 0 | 3) { deleted.len() } else { 0 };
            let mut expected = vec![Reported::Ignored; n_deleted];
            let counted = |report: &Reported| new.iter().filter(|decision| decision.means == *report).count() as u64;
            expected.extend(new.iter().map(|decision| decision.means.clone()));
            prop_assert_eq!(&reports.0, &expected);
            let n_skipped = counted(&Reported::Skipped);
            let n_ignored = counted(&Reported::Ignored);
            let n_usable = new.len() as u64 - n_skipped - n_ignored;
            match outcome {
                Ok(DecisionCounts { entries, unknown_scope, other_type, expired }) => {
                    prop_assert!(n_usable > 0 || n_skipped == 0);
                    prop_assert_eq!(entries.n_skipped(), n_skipped);
                    prop_assert_eq!(entries.n_entries() - n_skipped, n_usable);
                    prop_assert_eq!(unknown_scope + other_type + expired, n_ignored);
                }
                Err(DecisionsError::NothingUsable(counts)) => {
                    prop_assert_eq!((n_usable, counts.n_skipped()), (0, n_skipped));
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_are_a_list_or_an_error(body in vec(any::<u8>(), 0..300)) {
        let _ = read_text(&mut body.as_slice(), false, &mut Reports::default());
        with_options(|options| {
            let _ = read_decisions(&mut body.as_slice(), options, &mut Reports::default());
        });
    }
}
