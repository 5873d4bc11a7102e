//! The behaviour in README.md, tested on the programs over real sockets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

/// The admin interface: listing, generated lists, times of fetches.
mod admin;
/// ABS's attack list API.
mod attack_list;
/// Text lists and lists of tokens.
mod documents;
/// Every fault, seen from a raw TCP client.
mod faults;
/// Faults of LAPI and of the lists by URL.
mod feed_faults;
/// LAPI's decisions and usage metrics.
mod lapi;
/// Flags, the first line of output, TLS, signals.
mod program;
/// The sample API.
mod sample_api;
/// Starting the programs, and a client that shows raw responses.
mod support;
/// Batches, the sideband, detection.
mod traffic;
