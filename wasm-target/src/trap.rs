//! A VM that traps on command, for the tests of what a crash leaves behind. In builds with the feature `trap` alone;
//! the shipped module has none of it.
//!
//! A request gives the command in its header `x-portcullis-trap`:
//!
//! | value | which VM traps, and when |
//! |---|---|
//! | `request` | the one that judges this request, at once |
//! | `tick` | the one that judges this request, at its next tick |
//! | `main` | the next to tick that has judged no request: the main thread's, once every worker has judged one |
//! | `publish` | the one that publishes the next list, when all of it is written but the manifest |

use core::cell::Cell;

use portcullis::host::{Host, WriteCondition};

use crate::host::EnvoyHost;

/// Where a command waits that another VM is to carry out.
const COMMAND: &str = "portcullis-trap";

thread_local! {
    static HAS_JUDGED: Cell<bool> = const { Cell::new(false) };
    static AT_NEXT_TICK: Cell<bool> = const { Cell::new(false) };
}

/// Takes a request's command.
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

/// Traps where a tick is to trap.
pub fn on_tick() {
    if AT_NEXT_TICK.get() || (!HAS_JUDGED.get() && take_order(b"main")) {
        core::arch::wasm32::unreachable();
    }
}

/// Traps where the write of a manifest is to trap.
pub fn on_write(key: &str, bytes: &[u8]) {
    if key.ends_with("/manifest") && !bytes.is_empty() && take_order(b"publish") {
        core::arch::wasm32::unreachable();
    }
}

fn order(command: &[u8]) {
    // A command that can't be left shows as a test that waits in vain.
    let _ = EnvoyHost.set_shared_data(COMMAND, command, WriteCondition::Always);
}

/// Whether this command waits; it waits no longer.
fn take_order(command: &[u8]) -> bool {
    let waiting = EnvoyHost.shared_data(COMMAND).ok().flatten();
    let taken = waiting.is_some_and(|value| value.bytes == command);
    if taken {
        order(b"");
    }
    taken
}
