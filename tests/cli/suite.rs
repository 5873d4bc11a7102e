//! The command line tool, seen from outside: what it prints, how it ends, and what becomes of the file.
//!
//! Sessions (`sessions/*.txt`) are what a terminal would show: lines after `$ ` are run by a shell, what follows is what
//! must be printed. `PORTCULLIS_BLESS=1` writes them anew from what is printed; look at the difference before you keep it.

#![cfg(not(target_family = "wasm"))]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

mod support;

// ABS's list over the network, against the simulator: keys, faults, TLS.
mod abs;
// Two changes at once, and changes that can't be made: the file is as it was.
mod files;
// Documented walk-throughs are run as they stand.
mod docs;
// Every command's words and exit code.
mod sessions;
// `status --envoy`, against answers that an Envoy gave.
mod status;
