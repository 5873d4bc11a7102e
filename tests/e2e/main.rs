//! Portcullis in a real Envoy, by its replies, metrics, logs and requests to ABS.
//!
//! Each scenario has its own Envoy, ABS simulator and sample API, on free ports of the loopback interface;
//! `make build simulator` builds them. `ENVOY_BIN` selects another Envoy, `PORTCULLIS_WASM` another module, and
//! `PORTCULLIS_ARTEFACT=native` the native one.

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

// Rules of one API: blocking off, shadow mode.
mod apis;
// The gateway changes between the native and the wasm module.
mod artefacts;
// Each kind of client identifier is blocked, its neighbour is not, and removal unblocks.
mod blocking;
// Which address is the client's.
mod client_address;
// The command line tool with a running Envoy.
mod commands;
// Keys in Envoy's environment.
mod environment;
// Manual lists.
mod manual_lists;
// What only the native module has.
mod native;
// Names, numbers and labels of the metrics.
mod metrics;
// The header that reports on this node.
mod node_report;
// Outages: no list yet, a stale list, ABS down.
mod outages;
// HTTP/2, gRPC, repeated headers, bytes that are not text.
mod protocols;
// The configuration changes while Envoy serves.
mod reconfiguration;
// When ABS is asked for the list, and how fast all workers have it.
mod refresh;
// The reply to a denied client, and its access log entry.
mod reply;
// No secret leaks, and the search for secrets would find one.
mod secrets;
// What the command line tool finds in a running Envoy.
mod status;
// The TLS variant of ABS's cluster.
mod tls;
// YAML as Envoy reads it.
mod yaml;
// Records of requests and responses for ABS.
mod traffic_information;
