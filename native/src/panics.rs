//! Where panics end: none crosses into Envoy. The log has each of them, by the panic hook that `logger` sets.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `act`; `None` after a panic. What `act` has changed until then stays: nothing that it borrows may be left half done.
pub fn guarded<T>(act: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(act))
        .map_err(|panic| {
            // Dropping the panic's value could panic again; that one is leaked.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                core::mem::forget(again);
            }
        })
        .ok()
}
