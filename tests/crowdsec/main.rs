//! A real CrowdSec LAPI: what its stream of decisions looks like, and that the simulator's looks the same.
//!
//! `tools/install crowdsec` installs it, and `make simulator` builds the simulator. `CROWDSEC_BIN` and `CSCLI_BIN` name
//! other programs.

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

/// The simulator against the real LAPI.
mod agreement;
/// The stream of the real LAPI.
mod stream;
