//! `portcullis`, the command line tool: ASE's commands for an Envoy that runs the filter.
//!
//! Owns nothing but the way in and the exit code; the commands are in `cli`.

#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
