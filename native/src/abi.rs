//! The callbacks of Envoy's dynamic-module ABI that this module uses, as safe functions.
//!
//! Owns their signatures, which are facts of Envoy's C header, `abi.h` of ABI v0.2.0 (Envoy 1.40), and the same in v0.1.0
//! of Envoy 1.39. No decision.
//!
//! Callbacks are looked up when the module is loaded, not bound by the linker: an Envoy that lacks one can then say so
//! in its log, and a callback that only some releases have is an option.

#![allow(
    unsafe_code,
    reason = "the foreign functions of Envoy; each block has its reason"
)]

use core::ffi::{CStr, c_void};
use std::sync::OnceLock;

mod bootstrap;
mod config;
#[cfg(test)]
pub mod fake;
mod layout;
mod scheduler;
mod stream;

pub use bootstrap::{BootstrapHandle, Timer};
pub use config::{ConfigHandle, ConfigPointer};
pub use layout::{Buffer, Header, number};
pub use scheduler::Scheduler;
pub use stream::StreamHandle;

/// The version of the ABI that this module is built for.
pub const VERSION: &CStr = c"v0.2.0";

impl<'a> Buffer<'a> {
    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        if self.data.is_null() {
            return &[];
        }
        // SAFETY: made of a slice, or by Envoy, whose bytes live as long as `'a`: the callers in this file and in `hooks`
        // choose `'a`.
        unsafe { core::slice::from_raw_parts(self.data, self.length) }
    }
}

/// A pointer to an object of Envoy.
type Envoy = *mut c_void;

/// Declares the callbacks: a table of functions, which is filled when the module is loaded.
macro_rules! callbacks {
    (
        needed { $($needed:ident($($n_type:ty),*) $(-> $n_result:ty)?;)* }
        optional { $($optional:ident($($o_type:ty),*) $(-> $o_result:ty)?;)* }
    ) => {
        /// Envoy's functions. Each has Envoy's name without the prefix `envoy_dynamic_module_callback_`.
        pub struct Callbacks {
            $($needed: unsafe extern "C" fn($($n_type),*) $(-> $n_result)?,)*
            $($optional: Option<unsafe extern "C" fn($($o_type),*) $(-> $o_result)?>,)*
        }

        impl Callbacks {
            /// Finds the functions in this process.
            ///
            /// # Errors
            ///
            /// The name of one that is missing.
            fn find() -> Result<Self, &'static str> {
                Ok(Self {
                    $($needed: {
                        let name = concat!("envoy_dynamic_module_callback_", stringify!($needed), "\0");
                        let found = symbol(name).ok_or(stringify!($needed))?;
                        // SAFETY: a function of Envoy with this name has this signature.
                        unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($n_type),*) $(-> $n_result)?>(found) }
                    },)*
                    $($optional: {
                        let name = concat!("envoy_dynamic_module_callback_", stringify!($optional), "\0");
                        symbol(name).map(|found| {
                            // SAFETY: a function of Envoy with this name has this signature.
                            unsafe { core::mem::transmute::<*mut c_void, unsafe extern "C" fn($($o_type),*) $(-> $o_result)?>(found) }
                        })
                    },)*
                })
            }
        }
    };
}

callbacks! {
    needed {
        log(u32, Buffer<'_>);
        log_enabled(u32) -> bool;
        is_validation_mode() -> bool;

        http_filter_get_attribute_string(Envoy, u32, *mut Buffer<'static>) -> bool;
        http_get_headers_size(Envoy, u32) -> usize;
        http_get_headers(Envoy, u32, *mut Header<'static>) -> bool;
        http_send_response(Envoy, u32, *const Header<'_>, usize, Buffer<'_>, Buffer<'_>);
        http_set_filter_state_bytes(Envoy, Buffer<'_>, Buffer<'_>) -> bool;
        get_most_specific_route_config(Envoy) -> *const c_void;

        http_filter_config_define_counter(Envoy, Buffer<'_>, *const Buffer<'_>, usize, *mut usize) -> u32;
        http_filter_config_define_gauge(Envoy, Buffer<'_>, *const Buffer<'_>, usize, *mut usize) -> u32;
        http_filter_config_increment_counter(Envoy, usize, *const Buffer<'_>, usize, u64) -> u32;
        http_filter_config_set_gauge(Envoy, usize, *const Buffer<'_>, usize, u64) -> u32;
        http_filter_increment_counter(Envoy, usize, *const Buffer<'_>, usize, u64) -> u32;
        http_filter_set_gauge(Envoy, usize, *const Buffer<'_>, usize, u64) -> u32;

        http_filter_config_start_http_stream(
            Envoy, *mut u64, Buffer<'_>, *const Header<'_>, usize, Buffer<'_>, bool, u64
        ) -> u32;
        http_filter_config_reset_http_stream(Envoy, u64);
        http_filter_config_scheduler_new(Envoy) -> Envoy;
        http_filter_config_scheduler_commit(Envoy, u64);
        http_filter_config_scheduler_delete(Envoy);

        bootstrap_extension_config_signal_init_complete(Envoy);
        bootstrap_extension_register_admin_handler(Envoy, Buffer<'_>, Buffer<'_>, bool, bool) -> bool;
        bootstrap_extension_admin_set_response(Envoy, Buffer<'_>);
        bootstrap_extension_timer_new(Envoy) -> Envoy;
        bootstrap_extension_timer_enable(Envoy, u64);
        bootstrap_extension_timer_delete(Envoy);
    }
    optional {
        // Since 1.40; with the place in the source.
        log_v2(u32, Buffer<'_>, Buffer<'_>, u32);
    }
}

static CALLBACKS: OnceLock<Callbacks> = OnceLock::new();

/// Finds Envoy's functions. Called before any other function of this file; again, it does nothing.
///
/// # Errors
///
/// The name of a function that this Envoy does not have.
pub fn load() -> Result<(), &'static str> {
    if CALLBACKS.get().is_none() {
        // Another thread can't have been first: Envoy loads modules on its main thread.
        let _ = CALLBACKS.set(Callbacks::find()?);
    }
    Ok(())
}

/// A symbol of this process; `name` ends with a zero byte.
fn symbol(name: &'static str) -> Option<*mut c_void> {
    let name = CStr::from_bytes_with_nul(name.as_bytes()).ok()?;
    // SAFETY: a string that ends with zero, and no library is closed by this.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Writes a line to Envoy's log, or to stderr if Envoy has no log for modules. `file` and `line` are of the source.
pub fn log(level: u32, message: &str, file: &str, line: u32) {
    let text = Buffer::of(message.as_bytes());
    // SAFETY: Envoy reads the texts during the call only.
    match CALLBACKS.get() {
        Some(Callbacks {
            log_v2: Some(log), ..
        }) => unsafe { log(level, text, Buffer::of(file.as_bytes()), line) },
        Some(Callbacks { log, .. }) => unsafe { log(level, text) },
        None => log_early(level, message),
    }
}

/// Logs although a function is missing.
fn log_early(level: u32, message: &str) {
    let Some(found) = symbol("envoy_dynamic_module_callback_log\0") else {
        eprintln!("{message}");
        return;
    };
    // SAFETY: this function has had this signature in every release that has it. Envoy reads the message during the call.
    unsafe {
        let log = core::mem::transmute::<*mut c_void, unsafe extern "C" fn(u32, Buffer<'_>)>(found);
        log(level, Buffer::of(message.as_bytes()));
    }
}

/// Whether Envoy writes lines of this level.
pub fn log_enabled(level: u32) -> bool {
    // SAFETY: a number.
    CALLBACKS
        .get()
        .is_some_and(|envoy| unsafe { (envoy.log_enabled)(level) })
}

/// Whether this process only validates its configuration. Main thread only.
pub fn is_validation_mode() -> bool {
    // SAFETY: no arguments; called in the hook of a new configuration, on the main thread.
    CALLBACKS
        .get()
        .is_some_and(|envoy| unsafe { (envoy.is_validation_mode)() })
}

/// Why a call of Envoy failed: a number of the header's result enumerations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub u32);

fn check(result: u32) -> Result<(), Refused> {
    if result == 0 {
        Ok(())
    } else {
        Err(Refused(result))
    }
}
