//! Differential test: whenever a real server behind Envoy recognises a listed identity, the filter must have denied it.
//!
//! The filter runs in shadow mode, so that one request returns both: the server's reading in the body of the response,
//! and the filter's verdict in a response header. `make test-spellings` runs the fixed corpus, `make soak` the
//! fuzzer too. docs/readings.md has all readings and their reasons.

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
#[path = "../support/seeded.rs"]
mod seeded;

// The listed identities and their canonical requests.
mod identities;
// Spellings of listed identities, by kind and rule.
mod corpus;
// Requests that must pass.
mod innocents;
// HTTP/1.1 as bytes.
mod raw;
// The servers' processes.
mod servers;
// Envoy in front of all servers: the servers' readings and the filter's verdict.
mod comparison;
// Single-byte changes of the corpus.
mod fuzz;
