//! Portcullis blocks, inside Envoy, the clients that PingIntelligence ABS has detected as attackers.
//!
//! # Map
//!
//! ```text
//! plugin configuration -> config
//! a feed's response    -> feed -> list -> sync -> shared data -> every worker's replica
//! a request's headers  -> request -> identifier -> judge -> local reply, filter state, metrics
//!                                                     |-> traffic
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`host`] | the port: everything that the core needs from its host |
//! | [`vm`] | one method for each callback of the host; `root`: one active configuration |
//! | [`process`] | the same for a process whose threads share their memory: a native module |
//! | [`config`] | the plugin configuration: what it means, every error with its path |
//! | [`identifier`] | the kinds of client identifier, their canonical forms, their fingerprints |
//! | [`request`] | what a request carries: header bytes to identifiers, by an API's rules |
//! | [`judge`] | identifiers and lists to a verdict, in the documented order; all blocking policy |
//! | [`list`] | the list as a data structure, and its bytes |
//! | [`feed`] | everything that knows a list server: the call, its response, backoff, guards |
//! | [`sync`] | from a feed to every worker: who fetches and when, shared data, freshness |
//! | [`traffic`] | traffic information: records, their queue, the calls that carry them |
//! | [`codec`] | bytes to bytes, without any domain |
//! | [`metrics`] | every metric's name |
//!
//! # Invariants
//!
//! - The core has no proxy-wasm, no clock and no I/O: it gets time, bytes and random numbers through the traits of [`host`].
//! - The core never logs a raw secret, and none is in shared data: tokens, cookies, API keys and user names leave this
//!   crate as keyed fingerprints only, except in traffic records, which go to the configured receiver only.
//! - An HTTP context never writes shared data.
//! - Only [`sync`] names shared-data keys.
//! - A failed or refused fetch, or a response with unusable entries only, never changes the active list.
//! - No spelling of a listed identifier that a common server accepts passes (docs/readings.md, tests/spellings).
//! - Blocking policy is in [`judge`] only; knowledge of list servers is in [`feed`] only; hostcalls are in an adapter only.
//! - No bytes from the network, a client or shared data can panic the VM.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests may overflow loudly")
)]

pub mod codec;
pub mod config;
pub mod feed;
pub mod host;
pub mod identifier;
pub mod judge;
pub mod list;
pub mod metrics;
mod plugin;
pub mod process;
pub mod request;
mod root;
pub mod sync;
#[cfg(test)]
mod test_random;
pub mod traffic;
pub mod vm;
