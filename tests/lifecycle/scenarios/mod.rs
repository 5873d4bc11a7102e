//! The scenarios, each of which runs against the core's `Vm` and against the built module (`crate::target`).
//!
//! Without a network, a clock or threads: time passes when a test says so, so every run is the same.

/// A simulated ABS.
pub mod abs;
/// One VM: the core or the module.
pub mod filter_vm;
/// Threads, VMs and the order in which they run.
pub mod process;

/// Validation and change of the configuration: effects on fetching and blocking.
mod configuration;
/// Several feeds at once, and what only feeds have: entries that end by themselves, Last-Modified.
pub mod feeds;
/// Bounds, guards, staleness, and no list yet.
mod guards;
/// The lease: claims, dead and slow holders.
mod lease;
/// What an operator sees: metrics of the last fetch, log lines.
mod operation;
/// Lists through shared data: torn, overwritten, damaged.
mod publication;
/// Random histories and their invariants.
mod random;
/// Each response and failure of a fetch: its metric, and that the active list stays.
mod responses;
/// The times of fetches: intervals, backoff, Retry-After, clocks.
mod schedule;
/// Traffic information: one record for each request.
mod traffic;
/// Another version of the module in a process that continues.
mod upgrade;
/// Usage metrics for CrowdSec: one report for the process, what it counts, failures.
mod usage;
/// Requests: each kind of identifier, the order of judgement, shadow mode.
pub mod verdicts;

use core::time::Duration;
use serde_json::{Value, json};

use self::abs::Abs;
use self::process::Process;
use crate::fake_host::Request;
use crate::secrets::secret;

/// An interval of one minute, and credentials that are secrets.
pub fn config() -> Value {
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

/// `config()` with some of its top-level keys replaced.
pub fn config_with(changes: Value) -> Value {
    let mut config = config();
    let (Value::Object(known), Value::Object(changes)) = (&mut config, changes) else {
        panic!("both are objects");
    };
    known.extend(changes);
    config
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A process in which every worker has ABS's list.
pub fn started(n_workers: usize, config: &Value, list: Value) -> (Process, Abs) {
    let process = Process::new(n_workers);
    let abs = Abs::serving(process.world(), list);
    process.configure(config);
    process.advance(seconds(2));
    (process, abs)
}

pub fn from(address: &str) -> Request {
    Request::get("/").from(address)
}

/// The number of fetches.
pub fn gets(process: &Process) -> usize {
    process.world().n_fetches()
}

/// Asserts that every worker denies the addresses in `denied` and none in `passed`.
#[track_caller]
pub fn assert_denies_only(process: &Process, denied: &[&str], passed: &[&str]) {
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
