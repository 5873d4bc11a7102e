//! The Envoy dynamic module: the core, [`portcullis`], at native speed in Envoy's process.
//!
//! # Map
//!
//! | module | owns |
//! |---|---|
//! | `abi` | the callbacks of Envoy's ABI and their types, as safe functions |
//! | `hooks` | the exported hooks: pointers to values, panics to results |
//! | `configuration` | one filter configuration: its hooks on the main thread |
//! | `bootstrap` | the bootstrap extension: waiting for the first lists, the admin page |
//! | `request` | one stream: its hooks on a worker |
//! | `host` | the core's port, `portcullis::host`, for the length of one hook |
//! | `metrics` | the numbers that Envoy has for the metrics of a configuration, and their values in this process |
//! | `calls` | the responses to HTTP calls of a configuration, as they arrive |
//! | `pipe` | the body of a response, from the main thread to the thread that parses it |
//! | `ticks` | the thread that says when a tick is due |
//! | `inbox` | what other threads, and calls to files, leave for the main thread |
//! | `list_files` | files in place of list servers |
//! | `in_flight` | the calls of a configuration, and their end when a worker destroys it |
//! | `failures` | what follows from several panics |
//! | `panics` | where panics end |
//! | `node` | the name of this process |
//! | `trap` | panics on command, for tests |
//! | `logger` | the `log` facade to Envoy's log |
//!
//! `unsafe` is in the modules `abi` and `hooks` only. No policy here: that is the core's.

#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests may overflow loudly")
)]

mod abi;
mod bootstrap;
mod calls;
mod configuration;
mod failures;
mod hooks;
mod host;
mod in_flight;
mod inbox;
mod list_files;
mod logger;
mod metrics;
mod node;
mod panics;
mod pipe;
mod request;
#[cfg(test)]
mod tests;
mod ticks;
#[cfg(any(test, feature = "trap"))]
mod trap;
