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

use core::cell::Cell;
use core::ffi::{CStr, c_void};
use core::marker::PhantomData;
use core::ptr;
use std::sync::OnceLock;

mod layout;

pub use layout::{Buffer, Header, number};

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
    }
    optional {
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

/// Writes a line to Envoy's log, or to stderr if Envoy has no log for modules.
pub fn log(level: u32, message: &str) {
    let Some(envoy) = CALLBACKS.get() else {
        return log_early(level, message);
    };
    // SAFETY: Envoy reads the message during the call only.
    unsafe { (envoy.log)(level, Buffer::of(message.as_bytes())) };
}

/// Logs although a function is missing.
fn log_early(level: u32, message: &str) {
    let Some(found) = symbol("envoy_dynamic_module_callback_log\0") else {
        eprintln!("{message}");
        return;
    };
    // SAFETY: this function has had this signature in every release that has it.
    unsafe {
        let log: unsafe extern "C" fn(u32, Buffer<'_>) = core::mem::transmute(found);
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

/// A configuration of the filter in Envoy, for the length of a hook on the main thread.
#[derive(Clone, Copy)]
pub struct ConfigHandle<'h> {
    envoy: &'static Callbacks,
    config: Envoy,
    hook: PhantomData<&'h ()>,
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

impl ConfigHandle<'_> {
    /// The configuration of the hook that has just begun; `None` before [`load`].
    ///
    /// # Safety
    ///
    /// `config` is the configuration pointer of a hook on the main thread, and the result is dropped when that returns.
    pub unsafe fn new(config: Envoy) -> Option<Self> {
        let envoy = CALLBACKS.get()?;
        Some(Self {
            envoy,
            config,
            hook: PhantomData,
        })
    }

    /// Defines a counter. Envoy allows it in the hook of a new configuration only.
    pub fn define_counter(self, name: &str) -> Result<usize, Refused> {
        let (name, mut id) = (Buffer::of(name.as_bytes()), 0);
        // SAFETY: Envoy copies the name and writes the number during the call.
        check(unsafe {
            (self.envoy.http_filter_config_define_counter)(
                self.config,
                name,
                ptr::null(),
                0,
                &mut id,
            )
        })?;
        Ok(id)
    }

    /// Defines a gauge, as [`Self::define_counter`].
    pub fn define_gauge(self, name: &str) -> Result<usize, Refused> {
        let (name, mut id) = (Buffer::of(name.as_bytes()), 0);
        // SAFETY: Envoy copies the name and writes the number during the call.
        check(unsafe {
            (self.envoy.http_filter_config_define_gauge)(self.config, name, ptr::null(), 0, &mut id)
        })?;
        Ok(id)
    }

    /// Adds to a counter.
    pub fn increment_counter(self, id: usize, by: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe {
            (self.envoy.http_filter_config_increment_counter)(self.config, id, ptr::null(), 0, by)
        })
    }

    /// Sets a gauge.
    pub fn set_gauge(self, id: usize, value: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe {
            (self.envoy.http_filter_config_set_gauge)(self.config, id, ptr::null(), 0, value)
        })
    }

    /// Sends a request to a cluster; returns Envoy's number for it. The response comes by hooks, after this call.
    pub fn start_http_stream(
        self,
        cluster: &str,
        headers: &[Header<'_>],
        body: &[u8],
        timeout_ms: u64,
    ) -> Result<u64, Refused> {
        let (cluster, body, mut id) = (Buffer::of(cluster.as_bytes()), Buffer::of(body), 0);
        // SAFETY: Envoy copies the bytes and writes the number during the call.
        check(unsafe {
            (self.envoy.http_filter_config_start_http_stream)(
                self.config,
                &mut id,
                cluster,
                headers.as_ptr(),
                headers.len(),
                body,
                true,
                timeout_ms,
            )
        })?;
        Ok(id)
    }

    /// Ends a call. Its hook for resets may run before this returns.
    pub fn reset_http_stream(self, id: u64) {
        // SAFETY: numbers; Envoy ignores those it does not know.
        unsafe { (self.envoy.http_filter_config_reset_http_stream)(self.config, id) }
    }

    /// What other threads use to run the hook `config_scheduled` of this configuration on the main thread.
    pub fn scheduler(self) -> Scheduler {
        // SAFETY: a live configuration.
        let scheduler = unsafe { (self.envoy.http_filter_config_scheduler_new)(self.config) };
        Scheduler {
            envoy: self.envoy,
            scheduler,
        }
    }
}

/// Runs the hook `config_scheduled` of one configuration. Delete it with the configuration: it refers to Envoy's main
/// thread, which ends later.
pub struct Scheduler {
    envoy: &'static Callbacks,
    scheduler: Envoy,
}

// SAFETY: Envoy lets any thread commit events; only `drop` deletes the object, once.
unsafe impl Send for Scheduler {}
// SAFETY: as above; a commit only posts to the main thread.
unsafe impl Sync for Scheduler {}

impl Scheduler {
    /// Runs the hook with this number, soon.
    pub fn commit(&self, event: u64) {
        // SAFETY: the object lives until `drop`.
        unsafe { (self.envoy.http_filter_config_scheduler_commit)(self.scheduler, event) }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        // SAFETY: made by `scheduler_new`, and deleted once.
        unsafe { (self.envoy.http_filter_config_scheduler_delete)(self.scheduler) }
    }
}

/// A stream of the filter in Envoy, for the length of a hook on its worker.
#[derive(Clone, Copy)]
pub struct StreamHandle<'h> {
    envoy: &'static Callbacks,
    stream: Envoy,
    hook: PhantomData<&'h ()>,
}

thread_local! {
    /// Room for the headers of a request, kept for the next one.
    static HEADERS: Cell<Vec<Header<'static>>> = const { Cell::new(Vec::new()) };
}

impl StreamHandle<'_> {
    /// The stream of the hook that has just begun; `None` before [`load`].
    ///
    /// # Safety
    ///
    /// `stream` is the filter pointer of a hook of a stream, and the result is dropped when that returns.
    pub unsafe fn new(stream: Envoy) -> Option<Self> {
        let envoy = CALLBACKS.get()?;
        Some(Self {
            envoy,
            stream,
            hook: PhantomData,
        })
    }

    /// Calls `visit` with an attribute, if the stream has it.
    pub fn visit_attribute(self, attribute: u32, visit: &mut dyn FnMut(&[u8])) {
        let mut text = Buffer::EMPTY;
        // SAFETY: a live stream; the text lives until the hook ends, and `visit` can't keep it.
        if unsafe {
            (self.envoy.http_filter_get_attribute_string)(self.stream, attribute, &mut text)
        } {
            visit(text.bytes());
        }
    }

    /// Calls `visit` with each header of one kind, in order.
    pub fn visit_headers(self, kind: u32, visit: &mut dyn FnMut(&[u8], &[u8])) {
        let mut headers = HEADERS.take();
        headers.clear();
        // SAFETY: a live stream. Envoy fills as many places as it said, all of which exist, or none. The views live until
        // the hook ends, nothing changes headers meanwhile, and `visit` can't keep them.
        unsafe {
            let count = (self.envoy.http_get_headers_size)(self.stream, kind);
            headers.reserve(count);
            if (self.envoy.http_get_headers)(self.stream, kind, headers.as_mut_ptr()) {
                headers.set_len(count);
            }
        }
        for header in &headers {
            let (name, value) = header.pair();
            visit(name, value);
        }
        HEADERS.set(headers);
    }

    /// Ends the stream with a response.
    pub fn send_response(self, status: u32, headers: &[Header<'_>], body: &[u8], details: &str) {
        let (body, details) = (Buffer::of(body), Buffer::of(details.as_bytes()));
        // SAFETY: a live stream; Envoy copies the bytes during the call.
        unsafe {
            (self.envoy.http_send_response)(
                self.stream,
                status,
                headers.as_ptr(),
                headers.len(),
                body,
                details,
            );
        }
    }

    /// Sets a value in the stream's filter state. Returns whether Envoy took it.
    pub fn set_filter_state(self, key: &str, value: &[u8]) -> bool {
        let (key, value) = (Buffer::of(key.as_bytes()), Buffer::of(value));
        // SAFETY: a live stream; Envoy copies the bytes during the call.
        unsafe { (self.envoy.http_set_filter_state_bytes)(self.stream, key, value) }
    }

    /// Adds to a counter.
    pub fn increment_counter(self, id: usize, by: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe {
            (self.envoy.http_filter_increment_counter)(self.stream, id, ptr::null(), 0, by)
        })
    }

    /// Sets a gauge.
    pub fn set_gauge(self, id: usize, value: u64) -> Result<(), Refused> {
        // SAFETY: numbers, and no labels.
        check(unsafe { (self.envoy.http_filter_set_gauge)(self.stream, id, ptr::null(), 0, value) })
    }
}
