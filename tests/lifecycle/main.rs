//! The filter's life in a process: several VMs over one fake host, its true rules, and hostile interleavings.
//!
//! Native, without a network, a clock or threads: time passes when a test says so, so every run is the same.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

#[path = "../support/fake_host.rs"]
mod fake_host;
#[path = "../support/secrets.rs"]
mod secrets;
#[path = "../support/seeded.rs"]
mod seeded;

/// ABS as the tests play it.
mod abs;
/// Threads, VMs and the order in which they run.
mod process;

/// Trying a configuration, changing it, and what that does to fetching and blocking.
mod configuration;
/// Bounds, guards, staleness, and having no list yet.
mod guards;
/// That the fake host is as strict as the real one.
mod host_rules;
/// Who fetches: claims, deaths, slow holders.
mod lease;
/// Each response and failure of a fetch: what it is counted as, and that the list in force stays.
mod responses;
// What an operator is told.
mod operation;
/// Lists through shared data: torn, overwritten, damaged.
mod publication;
/// Many random histories, and what must hold in each.
mod random;
/// When is fetched: intervals, backoff, Retry-After, clocks.
mod schedule;
/// What ABS is told of the traffic: one record a request, whatever happens to calls.
mod traffic;
/// Another version of the module takes over in a process that lives on.
mod upgrade;
/// Requests: each kind of identifier, the order of judgement, shadow mode.
mod verdicts;

use core::time::Duration;
use serde_json::{Value, json};

use crate::abs::Abs;
use crate::fake_host::Request;
use crate::process::Process;
use crate::secrets::secret;

/// One minute's interval, and keys that must not get out.
fn config() -> Value {
    json!({
        "enable_abs_attack": true,
        "abs_attack_request_minutes": 1,
        "abs": {
            "cluster": "abs",
            "access_key": secret("access-key"),
            "secret_key": secret("secret-key"),
            "timeout": "5s",
        },
    })
}

/// `config()` with some of its outermost keys replaced.
fn config_with(changes: Value) -> Value {
    let mut config = config();
    let (Value::Object(known), Value::Object(changes)) = (&mut config, changes) else {
        panic!("both are objects");
    };
    known.extend(changes);
    config
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A process that has taken up ABS's list everywhere.
fn started(n_workers: usize, config: &Value, list: Value) -> (Process, Abs) {
    let process = Process::new(n_workers);
    let abs = Abs::serving(process.world(), list);
    process.configure(config);
    process.advance(seconds(2));
    (process, abs)
}

fn from(address: &str) -> Request {
    Request::get("/").from(address)
}

/// How many lists were asked for.
fn gets(process: &Process) -> usize {
    let sent = process.world().sent();
    sent.iter().filter(|call| call.is_get()).count()
}

/// Asserts which of some addresses every worker denies: just these.
#[track_caller]
fn assert_denies_only(process: &Process, denied: &[&str], passed: &[&str]) {
    for worker in process.workers() {
        for address in denied {
            assert!(
                process.denies(worker, &from(address)),
                "worker {worker} lets {address} pass"
            );
        }
        for address in passed {
            assert!(
                !process.denies(worker, &from(address)),
                "worker {worker} denies {address}"
            );
        }
    }
}
