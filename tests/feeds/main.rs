//! Lists of other servers than ABS: feeds in a real Envoy at concurrency 4, and the simulator against a real CrowdSec LAPI.
//!
//! `tools/install envoy crowdsec` installs both, and `make module simulator` builds the rest. `CROWDSEC_BIN` and
//! `CSCLI_BIN` name other programs.

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
/// Responses that are no list.
mod bad_responses;
/// The feeds of the documentation.
mod documentation;
/// Text and token lists.
mod documents;
/// Decisions of the real LAPI in a real Envoy.
mod enforcement;
/// The example without Docker.
mod example;
/// 100,000 decisions of the real LAPI in a real Envoy.
mod large_list;
/// The real LAPI restarted, away, with another key.
mod outages;
/// A server between Envoy and LAPI that measures.
mod relay;
/// The setups of the scenarios.
mod setups;
/// The stream of the real LAPI.
mod stream;
/// Usage metrics.
mod usage;
