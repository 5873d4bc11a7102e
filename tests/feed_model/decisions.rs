//! CrowdSec's decisions.

use std::time::Duration;

use ipnet::IpNet;
use portcullis::feed::crowdsec::{DecisionCounts, DecisionOptions, DecisionsError, read_decisions};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::reports::{Reported, Reports, address, ends, is_unspecified};

/// A decision, and what it means.
#[derive(Clone, Debug)]
struct Decision {
    json: Value,
    means: Reported,
}

pub fn with_options<T>(test: impl FnOnce(&DecisionOptions<'_>) -> T) -> T {
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
}
