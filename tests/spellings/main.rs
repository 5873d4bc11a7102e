//! Differential test: whenever a real server behind Envoy recognises a listed identity, the filter must have denied it.
//!
//! The filter runs in shadow mode, so that one request gives both: the server's reading of it in the body of the
//! response, and the filter's verdict in a response header. `make test-spellings` runs the fixed corpus, `make soak` the
//! fuzzer too. What is read how, and why: docs/readings.md.

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
#[path = "../support/seeded.rs"]
mod seeded;

// Who is listed, in which requests a server recognises them by the book, and who is not listed.
mod identities;
// Spellings of listed identities, by kind and rule.
mod corpus;
// Requests that must pass.
mod innocents;
// Bytes to Envoy and back.
mod raw;
// The servers' processes.
mod servers;
// Envoy in front of all servers: one request, every server's reading, the filter's verdict.
mod comparison;
// Single-byte changes of the corpus.
mod fuzz;
