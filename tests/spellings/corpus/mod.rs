//! Spellings of listed identities, by kind and rule. The names of the rules are those of docs/readings.md.
//!
//! Every row must be denied. At least one server must recognise it, except for rows that are read only by a standard, by the
//! vendor or by a server that is not here.

mod authorization;
mod cookies;
mod signatures;
mod targets;

use crate::comparison::{Comparison, Listed, Outcome, compare};
use crate::harness::process::repository;
use crate::identities::{Identity, percent_encoded};
use crate::raw::RawRequest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One spelling.
pub struct Row {
    /// Its rule in docs/readings.md.
    pub rule: &'static str,
    /// The identity.
    pub identity: Identity,
    /// The spelling.
    pub request: RawRequest,
    /// Whether some server here recognises it.
    pub recognised: bool,
}

/// Collects rows.
struct Rows(Vec<Row>);

impl Rows {
    /// Adds a request in which some server recognises the identity.
    fn add(&mut self, rule: &'static str, identity: Identity, request: RawRequest) {
        self.0.push(Row {
            rule,
            identity,
            request,
            recognised: true,
        });
    }

    /// Adds a request in which a standard, the vendor or a server elsewhere recognises the identity, but no server here.
    fn by_rule(&mut self, rule: &'static str, identity: Identity, request: RawRequest) {
        self.add(rule, identity, request);
        self.0.last_mut().unwrap().recognised = false;
    }

    /// Adds values of a header; `{}` is the listed value.
    fn headers(&mut self, rule: &'static str, identity: Identity, name: &str, templates: &[&[u8]]) {
        for template in templates {
            let value = filled(template, identity.value());
            self.add(rule, identity, RawRequest::header(name, value));
        }
    }

    /// Adds request targets; `{}` is the listed value, percent-encoded.
    fn targets(&mut self, rule: &'static str, identity: Identity, templates: &[&[u8]]) {
        for template in templates {
            let target = filled(template, percent_encoded(identity.value()));
            self.add(rule, identity, RawRequest::path(target));
        }
    }
}

/// `template` with `value` in place of `{}`.
fn filled(template: &[u8], value: impl AsRef<[u8]>) -> Vec<u8> {
    let at = template.windows(2).position(|window| window == b"{}");
    let at = at.expect("a template should hold {}");
    [&template[..at], value.as_ref(), &template[at + 2..]].concat()
}

/// The whole corpus.
pub fn rows() -> Vec<Row> {
    let mut rows = Rows(Vec::new());
    for identity in Identity::ALL {
        for request in identity.canonical() {
            rows.by_rule("as listed", identity, request);
        }
    }
    cookies::add(&mut rows);
    authorization::add(&mut rows);
    signatures::add(&mut rows);
    targets::add(&mut rows);
    rows.0
}

/// The failure of a row, if there is one.
fn fault(row: &Row, outcomes: &[Outcome]) -> Option<String> {
    let recognised: Vec<String> = outcomes
        .iter()
        .filter(|outcome| !outcome.recognised.is_empty())
        .map(|outcome| {
            let readings: Vec<_> = outcome.recognised.iter().map(String::as_str).collect();
            format!("{} ({})", outcome.server, readings.join(", "))
        })
        .collect();
    let passes = outcomes.iter().any(|outcome| outcome.denied == Some(false));
    let what = match (passes, recognised.is_empty()) {
        (true, false) => "passes, and is recognised by",
        (true, true) if row.recognised => "passes, and is recognised by nobody",
        (true, true) => "passes, against the rule",
        (false, true) if row.recognised => "is denied or refused, but recognised by nobody",
        (false, _) => return None,
    };
    let statuses: Vec<_> = outcomes.iter().map(|outcome| outcome.status).collect();
    Some(format!(
        "[{}] {:?} | {:?} | {what} {} {statuses:?}",
        row.rule,
        row.identity,
        row.request,
        recognised.join("; ")
    ))
}

#[test]
fn no_spelling_of_a_listed_identity_passes() {
    compare(Listed::Abs, async |comparison| {
        let mut faults = Vec::new();
        let mut recognised_by: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for row in rows() {
            let outcomes = comparison.outcomes(row.identity, &row.request).await;
            faults.extend(fault(&row, &outcomes));
            let servers = outcomes
                .iter()
                .filter(|outcome| !outcome.recognised.is_empty());
            recognised_by
                .entry(row.rule)
                .or_default()
                .extend(servers.map(|outcome| outcome.server));
        }
        // For the table in docs/readings.md.
        for (rule, servers) in recognised_by {
            println!("{rule}: {servers:?}");
        }
        assert!(
            faults.is_empty(),
            "{} rows of the corpus fail:\n{}",
            faults.len(),
            faults.join("\n")
        );
    });
}

#[test]
fn no_spelling_of_an_identity_on_the_manual_list_passes() {
    compare(Listed::Manual, async |comparison: &mut Comparison| {
        let mut passes = String::new();
        for row in rows() {
            if comparison.is_denied(&row.request).await == Some(false) {
                let Row {
                    rule,
                    identity,
                    request,
                    ..
                } = row;
                writeln!(passes, "[{rule}] {identity:?} | {request:?}").unwrap();
            }
        }
        assert!(passes.is_empty(), "rows of the corpus pass:\n{passes}");
    });
}

#[test]
fn every_rule_is_in_the_document() {
    let document = std::fs::read_to_string(repository().join("docs/readings.md")).unwrap();
    for row in rows() {
        assert!(
            document.contains(&format!("| {} |", row.rule)),
            "docs/readings.md should have a row for the rule `{}`",
            row.rule
        );
    }
}
