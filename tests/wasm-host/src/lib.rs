//! A proxy-wasm host for the release module itself, with Envoy's rules or with injected faults.
//!
//! | module | owns |
//! |---|---|
//! | [`process`] | what the VMs of a process share: shared data, clocks, metrics, log, calls |
//! | [`vm`] | one VM: its memory, and the callbacks in the order in which Envoy makes them |
//! | `hostcalls` | every import of the module |
//! | `memory` | bytes and headers, to and from the module's memory |
//! | [`fault_injection`] | wrong results of hostcalls |
//! | [`secrets`] | the search for what must not get out |
//! | [`seeded`] | random numbers that a seed repeats |
//!
//! The last two are the fake host's of the lifecycle tests, too.

#![allow(
    clippy::missing_errors_doc,
    reason = "each error is a trap of the module"
)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

pub mod fault_injection;
mod hostcalls;
mod memory;
pub mod process;
#[path = "../../support/secrets.rs"]
pub mod secrets;
#[path = "../../support/seeded.rs"]
pub mod seeded;
pub mod vm;
