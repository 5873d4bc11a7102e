//! A VM that traps on command, for tests of crashes. Only in builds with the feature `trap`, never in the shipped module.
//!
//! A request carries the command in its header `x-portcullis-trap`:
//!
//! | value | which VM traps, and when |
//! |---|---|
//! | `request` | the VM that judges this request, immediately |
//! | `tick` | the VM that judges this request, at its next tick |
//! | `main` | the next VM to tick that has judged no request: the main thread's, once every worker has judged one |
//! | `publish` | the VM that publishes the next list, when all of it is written except the manifest |

use core::cell::Cell;

use portcullis::host::{SharedData, Stream, WriteCondition};

use crate::host::{BEFORE_WRITE, EnvoyHost};

/// Key of a pending command for another VM.
const COMMAND: &str = "portcullis-trap";

thread_local! {
    static HAS_JUDGED: Cell<bool> = const { Cell::new(false) };
    static AT_NEXT_TICK: Cell<bool> = const { Cell::new(false) };
}

/// Adds the trap of a write to the host.
pub fn install() {
    BEFORE_WRITE.set(before_write);
}

/// Reads the command of a request.
pub fn on_request() {
    HAS_JUDGED.set(true);
    let mut command = Vec::new();
    EnvoyHost.visit_request_headers(&mut |name, value| {
        if name == b"x-portcullis-trap" {
            command = value.to_vec();
        }
    });
    match command.as_slice() {
        b"" => {}
        b"request" => core::arch::wasm32::unreachable(),
        b"tick" => AT_NEXT_TICK.set(true),
        command => order(command),
    }
}

/// Traps if a command is pending.
pub fn on_tick() {
    if AT_NEXT_TICK.get() || (!HAS_JUDGED.get() && take_command(b"main")) {
        core::arch::wasm32::unreachable();
    }
}

/// Traps at the write of a manifest if a command is pending.
fn before_write(key: &str, bytes: &[u8]) {
    if key.ends_with("/manifest") && !bytes.is_empty() && take_command(b"publish") {
        core::arch::wasm32::unreachable();
    }
}

fn order(command: &[u8]) {
    // A lost command fails the test that waits for the trap.
    let _ = EnvoyHost.set_shared_data(COMMAND, command, WriteCondition::Always);
}

/// Whether this command is pending; removes it.
fn take_command(command: &[u8]) -> bool {
    let pending = EnvoyHost.shared_data(COMMAND).ok().flatten();
    let taken = pending.is_some_and(|value| value.bytes == command);
    if taken {
        order(b"");
    }
    taken
}
