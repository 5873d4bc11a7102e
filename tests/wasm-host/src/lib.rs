//! A proxy-wasm host for the release module itself: the lifecycle tests' [`FakeHost`](fake_host::FakeHost) behind
//! the ABI, with Envoy's rules or with injected faults.
//!
//! | module | owns |
//! |---|---|
//! | [`vm`] | one VM: its memory, and its callbacks |
//! | `hostcalls` | every import of the module |
//! | `memory` | bytes and headers, to and from the module's memory |
//! | [`fault_injection`] | wrong results of hostcalls |
//!
//! [`fake_host`], [`secrets`] and [`seeded`] are those of `tests/support`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

#[path = "../../support/fake_host.rs"]
pub mod fake_host;
pub mod fault_injection;
mod hostcalls;
mod memory;
#[path = "../../support/secrets.rs"]
pub mod secrets;
#[path = "../../support/seeded.rs"]
pub mod seeded;
pub mod vm;
