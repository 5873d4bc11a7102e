//! Inserts and replaces single bytes in spellings of listed identities for a given time.
//!
//! `PORTCULLIS_SOAK_SECONDS` is the time (`make soak`), `PORTCULLIS_FUZZ_SEED` repeats the order of a run.

use crate::comparison::{Comparison, Listed, compare};
use crate::corpus::rows;
use crate::identities::Identity;
use crate::raw::RawRequest;
use crate::seeded::Random;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::task::JoinSet;

/// Concurrent requests.
const WORKERS: u64 = 6;
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(15);
/// Number of different findings after which a worker stops.
const ENOUGH: usize = 200;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} should be a number")),
    )
}

/// The results of one worker.
#[derive(Default)]
struct Tally {
    changes: u64,
    refused: u64,
    denied: u64,
    /// Denied although no server recognised the identity. This is not a failure: the filter reads more than these servers.
    /// Counted in a sample.
    by_kind: BTreeMap<String, String>,
}

#[test]
fn single_byte_changes_pass_only_if_no_server_recognises_them() {
    let span = Duration::from_secs(number("PORTCULLIS_SOAK_SECONDS").unwrap_or(20));
    let seed = number("PORTCULLIS_FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_secs()
    });
    println!(
        "spellings: PORTCULLIS_FUZZ_SEED={seed}, {} s",
        span.as_secs()
    );
    compare(Listed::Abs, async |comparison| {
        let began = Instant::now();
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let comparison = comparison.another();
            let random = Random::new(seed.wrapping_mul(WORKERS).wrapping_add(worker));
            workers.spawn(run(comparison, random, began + span, worker == 0));
        }
        let mut findings = BTreeMap::new();
        let (mut changes, mut refused, mut denied) = (0, 0, 0);
        for tally in workers.join_all().await {
            findings.extend(tally.by_kind);
            changes += tally.changes;
            refused += tally.refused;
            denied += tally.denied;
        }
        println!(
            "spellings: {changes} changes in {} s: {refused} refused by Envoy, {denied} denied, the others recognised by no server",
            began.elapsed().as_secs()
        );
        assert!(changes > 0, "no change was tried");
        let list: Vec<_> = findings.into_values().collect();
        assert!(
            list.is_empty(),
            "{} kinds of changes pass:\n{}",
            list.len(),
            list.join("\n")
        );
    });
}

async fn run(mut comparison: Comparison, mut random: Random, end: Instant, speaks: bool) -> Tally {
    let seeds = rows();
    let mut tally = Tally::default();
    let mut spoken = Instant::now();
    while Instant::now() < end && tally.by_kind.len() < ENOUGH {
        let row = &seeds[index(&mut random, seeds.len())];
        let (request, change) = changed(row.identity, &row.request, &mut random);
        tally.changes += 1;
        match comparison.is_denied(&request).await {
            None => tally.refused += 1,
            Some(true) => tally.denied += 1,
            Some(false) => {
                for (server, reading) in recognised(&mut comparison, row.identity, &request).await {
                    let kind = format!("{} {:?} {server} {change}", row.rule, row.identity);
                    let finding = format!(
                        "[{}] {:?} | {change} | {server} ({reading}) recognises {request:?}",
                        row.rule, row.identity
                    );
                    if tally.by_kind.insert(kind, finding.clone()).is_none() {
                        println!("spellings: PASSES {finding}");
                    }
                }
            }
        }
        if speaks && spoken.elapsed() >= PROGRESS {
            spoken = Instant::now();
            println!(
                "spellings: about {} changes, {} kinds of findings by one of {WORKERS} workers, {} s to go",
                tally.changes * WORKERS,
                tally.by_kind.len(),
                end.saturating_duration_since(spoken).as_secs()
            );
        }
    }
    tally
}

async fn recognised(
    comparison: &mut Comparison,
    identity: Identity,
    request: &RawRequest,
) -> Vec<(&'static str, String)> {
    let outcomes = comparison.outcomes_where_known(identity, request).await;
    let by_reading = outcomes.into_iter().map(|outcome| {
        let readings: Vec<_> = outcome.recognised.into_iter().collect();
        (outcome.server, readings.join(", "))
    });
    by_reading
        .filter(|(_, readings)| !readings.is_empty())
        .collect()
}

/// The request with one byte inserted or replaced in its target or in a header, and a description without the position.
fn changed(identity: Identity, request: &RawRequest, random: &mut Random) -> (RawRequest, String) {
    let mut request = request.clone();
    let mut parts: Vec<(&str, &mut Vec<u8>)> = Vec::new();
    if request.path != b"/" {
        parts.push(("path", &mut request.path));
    }
    let headers = request.headers.iter_mut();
    // The identity of that one depends on its path.
    for (name, value) in headers.filter(|_| identity != Identity::Shop) {
        parts.push(("name", name));
        parts.push(("value", value));
    }
    // Weighted by length, so that each position has the same probability.
    let total = parts.iter().map(|(_, part)| part.len() + 1).sum();
    let mut at = index(random, total);
    let byte = u8::try_from(random.below(256)).unwrap();
    for (what, part) in parts {
        if at > part.len() {
            at -= part.len() + 1;
            continue;
        }
        let shown = std::ascii::escape_default(byte);
        let change = if at < part.len() && random.below(2) == 0 {
            part[at] = byte;
            format!("{what}: replaced by {shown}")
        } else {
            part.insert(at, byte);
            format!("{what}: inserted {shown}")
        };
        return (request, change);
    }
    panic!("a position outside of the request");
}

fn index(random: &mut Random, below: usize) -> usize {
    let number = random.below(u64::try_from(below).unwrap());
    usize::try_from(number).unwrap()
}
