//! The hooks that Envoy calls: pointers become values here, and panics become results. No panic crosses into Envoy.
//!
//! Each exported function has the name and the signature that Envoy's header gives it.

#![allow(
    unsafe_code,
    reason = "exported functions, and the pointers that Envoy passes them; each block has its reason"
)]

use core::ffi::{c_char, c_void};
use core::ptr;

use crate::abi::{self, Buffer, ConfigHandle, Header, StreamHandle, number};
use crate::configuration::Configuration;
use crate::logger;
use crate::panics;
use crate::request::Request;

/// Declares hooks that Envoy needs and that do nothing here. The result of those that have one is "continue".
macro_rules! idle {
    ($($name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => { $(
        #[doc = "Does nothing."]
        #[unsafe(no_mangle)]
        pub extern "C" fn $name($(_: $argument),*) $(-> $result)? {
            $(<$result>::default())?
        }
    )* };
}

mod bootstrap;
pub mod route;

/// A pointer to an object of Envoy.
type Envoy = *mut c_void;
/// A pointer that this module gave to Envoy.
type Ours = *const c_void;

/// Runs `act`; after a panic, returns `otherwise`.
fn guarded<T>(otherwise: T, act: impl FnOnce() -> T) -> T {
    panics::guarded(act).unwrap_or(otherwise)
}

/// The slice of an array of Envoy.
///
/// # Safety
///
/// `data` is null, or points to `count` values that live as long as `'a`.
unsafe fn slice<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if data.is_null() {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(data, count) }
}

/// Runs a hook of a configuration on the main thread. A panic is counted.
///
/// # Safety
///
/// `envoy` and `ours` are the pointers of a hook of a configuration.
unsafe fn with_configuration(
    envoy: Envoy,
    ours: Ours,
    act: impl FnOnce(&Configuration, ConfigHandle<'_>),
) {
    // SAFETY: made by `config_new`; Envoy destroys it after this hook.
    let configuration = unsafe { &*ours.cast::<Configuration>() };
    // SAFETY: the handle does not leave this function.
    let Some(envoy) = (unsafe { ConfigHandle::new(envoy) }) else {
        return;
    };
    // Declared first, so that it is dropped last: then a worker may destroy the configuration.
    let _hook = configuration.hook();
    if panics::guarded(|| act(configuration, envoy)).is_none() {
        guarded((), || configuration.count_panic(&envoy));
    }
}

/// Runs a hook of a stream on its worker.
///
/// # Safety
///
/// `envoy` and `ours` are the pointers of a hook of a stream.
unsafe fn with_request<T>(
    envoy: Envoy,
    ours: Ours,
    otherwise: T,
    act: impl FnOnce(&Request<'_>, StreamHandle<'_>) -> T,
) -> T {
    // SAFETY: made by `new`; `destroy` comes last.
    let request = unsafe { &*ours.cast::<Request<'_>>() };
    // SAFETY: the handle does not leave this function.
    match unsafe { StreamHandle::new(envoy) } {
        Some(envoy) => guarded(otherwise, || act(request, envoy)),
        None => otherwise,
    }
}

/// The module is loaded. Returns the version of the ABI; null refuses to be loaded.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    guarded(ptr::null(), || match abi::load() {
        Ok(()) => {
            logger::install();
            abi::VERSION.as_ptr()
        }
        Err(missing) => {
            let message = format!(
                "portcullis: this Envoy's ABI of dynamic modules has no {missing}; the native module needs Envoy 1.39 or \
                 later: update Envoy, or use portcullis.wasm"
            );
            abi::log(number::LOG_ERROR, &message, file!(), line!());
            ptr::null()
        }
    })
}

/// A new configuration, on the main thread. Null refuses it; the log says why.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    envoy: Envoy,
    name: Buffer<'_>,
    json: Buffer<'_>,
) -> Ours {
    // SAFETY: the handle does not leave this function.
    let Some(envoy) = (unsafe { ConfigHandle::new(envoy) }) else {
        return ptr::null();
    };
    guarded(ptr::null(), || {
        match Configuration::new(envoy, name.bytes(), json.bytes()) {
            Some(configuration) => Box::into_raw(Box::new(configuration)).cast_const().cast(),
            None => ptr::null(),
        }
    })
}

/// A configuration is deleted, on any thread.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(ours: Ours) {
    // The main thread may still run hooks of it meanwhile, so this is no box yet.
    // SAFETY: made by `config_new`, and not destroyed before.
    let configuration = unsafe { &*ours.cast::<Configuration>() };
    guarded((), || configuration.end());
    // SAFETY: made by `config_new`, destroyed once, and after its streams.
    let configuration = unsafe { Box::from_raw(ours.cast_mut().cast::<Configuration>()) };
    guarded((), || drop(configuration));
}

/// Another thread has asked for this, on the main thread.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    envoy: Envoy,
    ours: Ours,
    event: u64,
) {
    // SAFETY: the pointers of this hook.
    unsafe { with_configuration(envoy, ours, |it, envoy| it.scheduled(envoy, event)) }
}

/// The headers of a response to a call.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_headers(
    envoy: Envoy,
    ours: Ours,
    id: u64,
    headers: *const Header<'_>,
    count: usize,
    is_complete: bool,
) {
    // SAFETY: the pointers of this hook; the array lives until it ends.
    unsafe {
        let headers = slice(headers, count);
        with_configuration(envoy, ours, |it, envoy| {
            it.response_headers(envoy, id, headers, is_complete)
        });
    }
}

/// A part of the body of a response to a call.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_data(
    envoy: Envoy,
    ours: Ours,
    id: u64,
    data: *const Buffer<'_>,
    count: usize,
    _is_complete: bool,
) {
    // SAFETY: the pointers of this hook; the array lives until it ends.
    unsafe {
        let data = slice(data, count);
        with_configuration(envoy, ours, |it, envoy| it.response_data(envoy, id, data));
    }
}

/// The response to a call is complete.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_complete(
    envoy: Envoy,
    ours: Ours,
    id: u64,
) {
    // SAFETY: the pointers of this hook.
    unsafe { with_configuration(envoy, ours, |it, envoy| it.response_complete(envoy, id)) }
}

/// A call was broken off.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_stream_reset(
    envoy: Envoy,
    ours: Ours,
    id: u64,
    _reason: u32,
) {
    // SAFETY: the pointers of this hook.
    unsafe { with_configuration(envoy, ours, |it, envoy| it.response_reset(envoy, id)) }
}

/// A new stream, on its worker.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    ours: Ours,
    _envoy: Envoy,
) -> Ours {
    // SAFETY: made by `config_new`. Envoy keeps it until the last of its streams is destroyed.
    let configuration = unsafe { &*ours.cast::<Configuration>() };
    guarded(ptr::null(), || {
        let request = Box::new(Request::new(configuration));
        Box::into_raw(request).cast_const().cast()
    })
}

/// A stream is deleted.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(ours: Ours) {
    // SAFETY: made by `new`, and destroyed once.
    let request = unsafe { Box::from_raw(ours.cast_mut().cast::<Request<'_>>()) };
    guarded((), || drop(request));
}

/// The headers of a request.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    envoy: Envoy,
    ours: Ours,
    _is_complete: bool,
) -> u32 {
    // SAFETY: the pointers of this hook.
    unsafe {
        with_request(envoy, ours, number::STOP, |it, envoy| {
            it.headers(envoy, route::of(&envoy))
        })
    }
}

/// A stream ended; its response headers are still there.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(
    envoy: Envoy,
    ours: Ours,
) {
    // SAFETY: the pointers of this hook.
    unsafe { with_request(envoy, ours, (), |it, envoy| it.ended(envoy)) }
}

const _: () = assert!(number::CONTINUE == 0, "the default of the idle hooks");

idle! {
    envoy_dynamic_module_on_http_filter_request_body(Envoy, Ours, bool) -> u32;
    envoy_dynamic_module_on_http_filter_request_trailers(Envoy, Ours) -> u32;
    envoy_dynamic_module_on_http_filter_response_headers(Envoy, Ours, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_body(Envoy, Ours, bool) -> u32;
    envoy_dynamic_module_on_http_filter_response_trailers(Envoy, Ours) -> u32;
    envoy_dynamic_module_on_http_filter_http_callout_done(Envoy, Ours, u64, u32, *const Header<'_>, usize, *const Buffer<'_>, usize);
    envoy_dynamic_module_on_http_filter_http_stream_headers(Envoy, Ours, u64, *const Header<'_>, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_data(Envoy, Ours, u64, *const Buffer<'_>, usize, bool);
    envoy_dynamic_module_on_http_filter_http_stream_trailers(Envoy, Ours, u64, *const Header<'_>, usize);
    envoy_dynamic_module_on_http_filter_http_stream_complete(Envoy, Ours, u64);
    envoy_dynamic_module_on_http_filter_http_stream_reset(Envoy, Ours, u64, u32);
    envoy_dynamic_module_on_http_filter_scheduled(Envoy, Ours, u64);
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(Envoy, Ours);
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(Envoy, Ours);
}
