//! Panics on command, for tests. Only in builds with the feature `trap`, never in the shipped module.
//!
//! A request carries the command in its header `x-portcullis-trap`:
//!
//! | value | what panics |
//! |---|---|
//! | `request` | the judgement of this request |
//! | `tick` | the next tick of the request's configuration |
//! | `parse` | the thread that reads the next list of the request's configuration |

#![allow(clippy::panic, reason = "what this file is for")]

use std::sync::{Mutex, PoisonError};

use portcullis::host::{RootId, Stream};

/// A command for another thread of a configuration.
static COMMAND: Mutex<Option<(RootId, Vec<u8>)>> = Mutex::new(None);

/// Reads the command of a request.
pub fn on_request(stream: &dyn Stream, root: RootId) {
    let mut command = Vec::new();
    stream.visit_request_headers(&mut |name, value| {
        if name == b"x-portcullis-trap" {
            command = value.to_vec();
        }
    });
    match command.as_slice() {
        b"" => {}
        b"request" => panic!("on command"),
        _ => *COMMAND.lock().unwrap_or_else(PoisonError::into_inner) = Some((root, command)),
    }
}

/// Panics if this command is pending for the configuration.
pub fn at(place: &str, root: RootId) {
    let mut command = COMMAND.lock().unwrap_or_else(PoisonError::into_inner);
    if *command == Some((root, place.as_bytes().to_vec())) {
        *command = None;
        drop(command);
        panic!("on command: {place}");
    }
}
