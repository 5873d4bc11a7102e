//! The command line tool from outside: its output, its exit code, and the file afterwards.
//!
//! Sessions (`sessions/*.txt`) are what a terminal would show: lines after `$ ` are run by a shell, and the lines below
//! each are its expected output. `PORTCULLIS_BLESS=1` rewrites them with the actual output; review the difference.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "helpers of tests fail loudly"
)]

mod envoy_admin;
mod support;

// ABS's list over the network, against the simulator: keys, faults, TLS.
mod abs;
// Lists of feeds over the network, against the simulator.
mod feeds;
// Concurrent changes, and changes that fail.
mod files;
// Files of the Helm chart that come from elsewhere.
mod chart;
// The examples in the documents.
mod docs;
// `init`: the filter in bootstraps, and its file.
mod init;
// Several values, second spellings, quiet and verbose, colours, progress.
mod habits;
// From standard input to standard output, and what kubectl prints.
mod pipes;
// The JSON Schema against the filter's loader, the reference and the Helm chart.
mod schema;
// Every command's output and exit code.
mod sessions;
// Single keys, shadow mode, the import of an ASE.
mod settings;
// `status --envoy`, with recorded responses of an Envoy.
mod status;
