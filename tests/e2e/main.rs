//! What Portcullis does in a real Envoy, seen from outside: replies, metrics, logs and what ABS is asked.
//!
//! Each scenario has an Envoy, an ABS simulator and a sample API of its own, on free ports of the loopback interface;
//! `make build simulator` builds them. `ENVOY_BIN` picks another Envoy, `PORTCULLIS_WASM` another module.

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

// Rules of one API: blocking off, shadow mode.
mod apis;
// Each kind of client identifier is blocked, its neighbour is not, and removal unblocks.
mod blocking;
// Whose address counts.
mod client_address;
// The command line tool beside a running Envoy.
mod commands;
// Keys that come by Envoy's environment.
mod environment;
// Manual lists, and their place in the order of judgement.
mod manual_lists;
// Names, numbers and labels of the metrics.
mod metrics;
// Time without a good list: none yet, stale, too large, ABS away.
mod outages;
// HTTP/2, gRPC, repeated headers, bytes that are not text.
mod protocols;
// The configuration changes while Envoy serves.
mod reconfiguration;
// When ABS is asked, how often, and how fast all workers know.
mod refresh;
// What a denied client gets and what is left in the access log.
mod reply;
// Nothing secret leaks, and the search for secrets finds them where they would.
mod secrets;
// The TLS variant of ABS's cluster.
mod tls;
// YAML as Envoy reads it.
mod yaml;
// What ABS is told of requests and responses.
mod traffic_information;
