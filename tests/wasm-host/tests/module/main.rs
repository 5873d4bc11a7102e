//! The release module itself, as it is shipped, in a host of the tests: the scenarios of `tests/lifecycle`, and what only
//! the module has: its ABI, its memory, its cost.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

use portcullis_wasm_host::{fake_host, secrets, seeded};

/// The module as the target of the scenarios.
mod target;

/// The scenarios of the core, by the same source.
#[path = "../../../lifecycle/scenarios/mod.rs"]
mod scenarios;

/// The lists, requests and names that these tests share.
mod support;

/// The cost of any header block.
mod cost;
/// No result of a hostcall makes the module trap, and its memory stays bounded.
mod hostile;
/// The link step's checks.
mod link;
/// The levels of its log lines.
mod log_level;
/// It leaks no secret, and sends its credentials only to ABS.
mod secrecy;
