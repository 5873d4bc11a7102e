//! Lists of tokens.

use std::collections::BTreeMap;

use portcullis::feed::tokens::{TokensError, read_tokens};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Value, json};

use crate::reports::{Reported, Reports};

/// Names of claims that count or not.
const NAMES: [&str; 6] = ["jti", "aud", "sub", "iss", "exp", "JTI"];

/// A JSON value, and its text if it is the value of a claim.
#[derive(Clone, Debug)]
struct ClaimValue {
    json: Value,
    text: Option<String>,
}

fn claim_value() -> impl Strategy<Value = ClaimValue> {
    let usable = |json: Value, text: String| ClaimValue {
        json,
        text: Some(text),
    };
    let unusable = |json| ClaimValue { json, text: None };
    prop_oneof![
        6 => "[ -~\u{0}-\u{1f}\u{e9}\u{1f600}]{1,8}".prop_map(move |text| usable(json!(text), text)),
        2 => any::<u64>().prop_map(move |number| usable(json!(number), number.to_string())),
        1 => any::<i64>().prop_map(move |number| usable(json!(number), number.to_string())),
        1 => prop_oneof![
            Just(json!(null)),
            Just(json!("")),
            Just(json!(true)),
            Just(json!(7.0)),
            Just(json!(["a"])),
            Just(json!([])),
            Just(json!({"jti": "a"})),
        ]
        .prop_map(unusable),
    ]
}

/// An element of the list.
#[derive(Clone, Debug)]
enum Element {
    Value(ClaimValue),
    Claims(BTreeMap<&'static str, ClaimValue>),
}

impl Element {
    fn json(&self) -> Value {
        match self {
            Element::Value(value) => value.json.clone(),
            Element::Claims(claims) => {
                let claims = claims.iter();
                claims
                    .map(|(name, value)| ((*name).to_owned(), value.json.clone()))
                    .collect()
            }
        }
    }

    /// What it means for a feed with these claims.
    fn means(&self, names: &[String]) -> Reported {
        let found: Option<Vec<_>> = match self {
            // An object in the list is an entry of its own.
            Element::Value(value) if value.json.is_object() => {
                let has_jti = names.iter().any(|name| name == "jti");
                has_jti.then(|| vec![("jti".to_owned(), "a".to_owned())])
            }
            Element::Value(value) => {
                let text = value.text.clone();
                text.map(|text| vec![(names[0].clone(), text)])
            }
            Element::Claims(claims) => {
                let counting = names
                    .iter()
                    .filter_map(|name| claims.get_key_value(name.as_str()));
                counting
                    .map(|(name, value)| Some(((*name).to_owned(), value.text.clone()?)))
                    .collect()
            }
        };
        match found {
            Some(claims) if !claims.is_empty() => Reported::Claims(claims),
            _ => Reported::Skipped,
        }
    }
}

fn element() -> impl Strategy<Value = Element> {
    let names = proptest::sample::select(NAMES.to_vec());
    prop_oneof![
        claim_value().prop_map(Element::Value),
        btree_map(names, claim_value(), 0..5).prop_map(Element::Claims),
    ]
}

/// One to four names, in any order.
fn names() -> impl Strategy<Value = Vec<String>> {
    (subsequence(NAMES.to_vec(), 1..=4), any::<Index>()).prop_map(|(mut names, by)| {
        let by = by.index(names.len());
        names.rotate_left(by);
        names.into_iter().map(str::to_owned).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn tokens_are_the_claims_of_their_entries(elements in vec(element(), 0..30), names in names()) {
        let list: Vec<Value> = elements.iter().map(Element::json).collect();
        let body = json!(list).to_string();
        let mut reports = Reports::default();
        let outcome = read_tokens(&mut body.as_bytes(), &names, &mut reports);

        let expected: Vec<Reported> = elements.iter().map(|element| element.means(&names)).collect();
        prop_assert_eq!(&reports.0, &expected);
        let n_skipped = expected.iter().filter(|report| **report == Reported::Skipped).count();
        match outcome {
            Ok(counts) => {
                prop_assert!(n_skipped < expected.len() || expected.is_empty());
                prop_assert_eq!(counts.n_skipped(), n_skipped as u64);
                prop_assert_eq!(counts.usable.token_claims, (expected.len() - n_skipped) as u64);
                prop_assert_eq!(counts.n_entries(), expected.len() as u64);
            }
            Err(TokensError::NothingUsable(counts)) => {
                prop_assert_eq!(n_skipped, expected.len());
                prop_assert_eq!(counts.n_skipped(), n_skipped as u64);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn no_part_of_a_list_of_tokens_is_a_list(elements in vec(element(), 0..8), cut in any::<Index>()) {
        let list: Vec<Value> = elements.iter().map(Element::json).collect();
        let body = json!(list).to_string();
        let part = &body.as_bytes()[..cut.index(body.len())];
        let outcome = read_tokens(&mut &*part, &["jti".to_owned()], &mut Reports::default());
        prop_assert!(matches!(outcome, Err(TokensError::Json(_))), "{outcome:?}");
    }
}
