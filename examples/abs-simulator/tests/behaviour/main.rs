//! The behaviour README.md describes, tried on the programs themselves over real sockets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// ABS's attack list API and what drives the list.
mod attack_list;
/// Every fault, seen from a raw TCP client.
mod faults;
/// Flags, the first line of output, TLS, the end on a signal.
mod program;
/// The sample API.
mod sample_api;
/// Starting the programs, and a client that hides nothing of an answer.
mod support;
/// Batches, the sideband, detection.
mod traffic;
