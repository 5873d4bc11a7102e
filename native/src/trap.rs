//! Panics on command, for tests. Only in builds with the feature `trap`, never in the shipped module.
//!
//! A request carries the command in its header `x-portcullis-trap`:
//!
//! | value | what panics |
//! |---|---|
//! | `request` | the judgement of this request |
//! | `tick` | the next tick of a configuration |
//! | `parse` | the thread that reads the next list |

#![allow(clippy::panic, reason = "what this file is for")]

use std::sync::{Mutex, PoisonError};

use portcullis::host::Stream;

/// A command for another thread.
static COMMAND: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Reads the command of a request.
pub fn on_request(stream: &dyn Stream) {
    let mut command = Vec::new();
    stream.visit_request_headers(&mut |name, value| {
        if name == b"x-portcullis-trap" {
            command = value.to_vec();
        }
    });
    match command.as_slice() {
        b"" => {}
        b"request" => panic!("on command"),
        _ => *COMMAND.lock().unwrap_or_else(PoisonError::into_inner) = command,
    }
}

/// Panics if this command is pending.
pub fn at(place: &str) {
    let mut command = COMMAND.lock().unwrap_or_else(PoisonError::into_inner);
    if *command == place.as_bytes() {
        command.clear();
        drop(command);
        panic!("on command: {place}");
    }
}
