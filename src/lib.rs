//! Portcullis blocks, inside Envoy, the clients that PingIntelligence ABS has detected as attackers.
//!
//! # Map of the house
//!
//! ```text
//! plugin configuration -> config ----------------------------.
//! a request's headers  -> request -> identifier -> blocklist -> judge -> local reply, filter state, metrics
//! ABS's JSON           -> attack_list -> blocklist::builder -> snapshot in shared data -> every worker's gate
//! ticks, answers       -> refresh (who fetches, when, what counts as done) -> effects
//! ```
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the plugin configuration: what was typed, what it means, every error with its path |
//! | [`identifier`] | the five kinds of client identifier, their canonical forms, their fingerprints |
//! | [`request`] | header bytes to identifiers, by an API's rules, in every reading of a common server |
//! | [`attack_list`] | ABS's JSON, read as a stream; the one file that knows its shape |
//! | [`list_value`] | what makes a listed value usable, whichever way its list comes in |
//! | [`list_guard`] | what a list from outside may not do, whichever way it comes in |
//! | [`blocklist`] | the list in force: builder, gate, buckets, ranges, snapshot bytes |
//! | [`judge`] | identifiers and lists to a verdict, in the documented order; all blocking policy, and the bound on the share of denied requests |
//! | [`refresh`] | who fetches and when: lease, interval, backoff, staleness; the shared-data keys |
//! | [`fetch`] | one fetch: the request sent, and what its answer amounts to |
//! | [`retry_after`] | the response header Retry-After as a time to wait |
//! | [`json`] | JSON as a stream of events; the one place where it is parsed |
//! | [`codec`] | bytes to bytes: base64, the encoding of forms, white space |
//! | [`byte_source`] | where bytes come from, piece by piece |
//! | [`deflate`] | compresses what is sent |
//! | [`gzip`] | gzip: a body read as a stream, or made at once |
//! | [`source`] | the list in force in one VM, kept up to date through shared data |
//! | [`current_request`] | what is known of the request in hand; each hostcall for it is made once |
//! | [`traffic`] | traffic information: records, their queue, the calls that carry them to ABS |
//! | [`metrics`] | every metric's name |
//! | [`host`] | the one port to the world outside |
//! | [`filter`] | wiring of all that to a host; no policy of its own |
//!
//! # Invariants
//!
//! - The core has no proxy-wasm, no clock and no I/O: time, bytes and randomness come through [`host::Host`].
//! - The core never logs or stores a raw secret: identifiers leave this crate as keyed fingerprints only.
//! - An HTTP context never writes shared data.
//! - Only [`refresh`] names shared-data keys.
//! - A failed or refused fetch never changes the list in force, nor does a response of which nothing can be used.
//! - No spelling of a listed identifier that a common server accepts passes (docs/readings.md, tests/spellings).
//! - Blocking policy is in [`judge`] only.
//! - No bytes from the network, a client or shared data can panic the VM.

#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests may overflow loudly")
)]

pub mod attack_list;
pub mod blocklist;
pub mod byte_source;
pub mod codec;
pub mod config;
pub mod current_request;
pub mod deflate;
pub mod fetch;
pub mod filter;
pub mod gzip;
pub mod host;
pub mod identifier;
pub mod json;
pub mod judge;
pub mod list_guard;
pub mod list_value;
pub mod metrics;
pub mod refresh;
pub mod request;
pub mod retry_after;
pub mod source;
pub mod traffic;
