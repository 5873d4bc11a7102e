//! Every fault of `matrix.md` in a real Envoy with four workers, under background traffic, and a long run of all at once.
//!
//! `make test-faults` runs it, `make soak` runs the long run at full length. Needs what
//! `make module trap-module simulator` builds; `PORTCULLIS_ARTEFACT=native` what `make native trap-native simulator` builds.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail loudly"
)]

#[path = "../support/harness/mod.rs"]
mod harness;

// ABS's responses: statuses, timeouts, resets.
mod responses;
// ABS is unreachable: down, unknown name, bad certificate, no cluster.
mod unreachable;
// Bodies that are not a list, and unusual lists.
mod bodies;
// The keys to ABS: where they are kept, and what they may not contain.
mod credentials;
// Feeds beside ABS's list.
mod feeds;
// Several listeners, several filters, bad configurations, a restart.
mod envoys;
// Lists that the guard refuses, and shares of denied requests.
mod guard;
// The table of all faults and their effects.
mod matrix;
// The native module panics.
mod panics;
// A server that sends given bytes.
mod scripted_server;
// The long run.
mod soak;
// Traffic of a clean and of a listed client, on every worker.
mod background_traffic;
// VMs that crash.
mod traps;
// Checks the effects of a fault.
mod watch;

use harness::Setup;
use serde_json::json;

/// The shipped configuration with a fetch every second, and a timeout that a busy machine meets.
fn every_second() -> Setup {
    Setup::new().plugin(json!({
        "abs_attack_request_minutes": 0.0167,
        "abs": {"timeout": "5s"}
    }))
}
