//! The release module itself, as it is shipped, in a host of the tests.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panics"
)]

/// A process with a main thread and workers, and what is sent through it.
mod support;

/// What any header block costs.
mod cost;
/// No answer of a host makes the module trap, and its memory stays bounded.
mod hostile;
/// It fetches, blocks, keeps the list, unblocks.
mod life;
/// The link step's checks.
mod link;
/// Which log lines it writes.
mod log_level;
/// It leaks no secret, and sends its credentials only to ABS.
mod secrets;
