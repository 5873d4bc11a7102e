//! `portcullis serve` with real Envoys: configuration, lists and outages of a fleet.
//!
//! `make build simulator` builds the programs, `tools/install envoy chromium` installs the others. Each Envoy has the shipped bootstrap,
//! envoy/fleet.yaml, with other ports and a refresh_delay of one second.

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
#[path = "../serve/webdriver.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod webdriver;

/// A change reaches every Envoy.
mod configuration;
/// A server and its Envoys.
mod fleet;
/// One fetch for all Envoys.
mod lists;
/// The server away, killed, restarted.
mod outages;
/// The page in a real Chromium.
mod page;
