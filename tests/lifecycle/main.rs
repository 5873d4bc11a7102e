//! The filter's life in a process: several VMs over one fake host with the rules of Envoy's, and hostile interleavings.
//!
//! `tests/wasm-host` runs the same scenarios against the built module.

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

/// The core's `Vm` as the target of the scenarios.
#[path = "native.rs"]
mod target;

mod scenarios;

/// The fake host has the rules of Envoy's. Only here: it has no target.
mod host_rules;
