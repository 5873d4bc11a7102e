//! Text lists.

use ipnet::IpNet;
use portcullis::feed::text::{SPECIAL_RANGES, TextError, read_text};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::reports::{Ends, Reported, Reports, address, ends, is_unspecified, number, written};

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
}
