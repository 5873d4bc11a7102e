//! Nothing brings it down: every fault of `matrix.md` in a real Envoy with four workers, under steady traffic, and what
//! the table says of it; then the long run.
//!
//! Apart from `tests/e2e` so that it can run by itself: `make test-faults`, and `make soak` for the long run at full
//! length. It uses the same rig, and needs what `make module trap-module simulator` builds.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

#[path = "../support/rig/mod.rs"]
mod rig;

// ABS's answers: statuses, silence, resets.
mod answers;
// ABS can't be reached: down, unknown name, bad certificate, no cluster.
mod away;
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
mod puppet;
// The long run.
mod soak;
// Traffic of clean and of listed clients, on every worker.
mod steady;
// VMs that crash.
mod traps;
// What a row of the table says, seen in Envoy.
mod watch;

use rig::Setup;
use serde_json::json;

/// The shipped configuration, but the list is fetched every second. A fetch that is to be well may take as long as on a
/// machine that has much else to do.
fn every_second() -> Setup {
    Setup::new().plugin(json!({
        "abs_attack_request_minutes": 0.0167,
        "abs": {"timeout": "5s"}
    }))
}
