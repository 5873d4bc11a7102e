//! Nothing brings it down: every fault of `matrix.md` in a real Envoy with four workers, under background traffic, and what
//! the table says of it; then the long run.
//!
//! Apart from `tests/e2e` so that it can run by itself: `make test-faults`, and `make soak` for the long run at full
//! length. It uses the same harness, and needs what `make module trap-module simulator` builds.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

#[path = "../support/harness/mod.rs"]
mod harness;

// ABS's answers: statuses, silence, resets.
mod responses;
// ABS can't be reached: down, unknown name, bad certificate, no cluster.
mod unreachable;
// What comes is no list, or an odd one.
mod bodies;
// The keys to ABS: who holds them, and what they may not hold.
mod credentials;
// Several listeners, several filters, bad configurations, a restart.
mod envoys;
// Lists and shares of denied requests that the guard does not let through.
mod guard;
// The table.
mod matrix;
// A server that answers with given bytes.
mod scripted_server;
// The long run.
mod soak;
// Traffic of clean and of listed clients, on every worker.
mod background_traffic;
// VMs that crash.
mod traps;
// What a row of the table says, seen in Envoy.
mod watch;

use harness::Setup;
use serde_json::json;

/// The shipped configuration, but the list is fetched every second. A fetch that is to be well may take as long as on a
/// machine that has much else to do.
fn every_second() -> Setup {
    Setup::new().plugin(json!({
        "abs_attack_request_minutes": 0.0167,
        "abs": {"timeout": "5s"}
    }))
}
