//! The hooks of the configurations of routes, `typed_per_filter_config`.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use portcullis::config::Route;

use super::{Ours, guarded};
use crate::abi::{Buffer, StreamHandle};
use crate::configuration::NAME;
use crate::logger;

/// What a route changes, and the library that it belongs to: a route can name another file of this module than the filter.
#[repr(C)]
struct RouteConfig {
    library: *const u8,
    route: Route,
}

/// Its address is that of this library.
static LIBRARY: u8 = 0;

/// The configurations of routes that this library has. Requests look for theirs only if there are any.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// What the route of the request changes.
pub fn of<'h>(envoy: &'h StreamHandle<'_>) -> &'h Route {
    static IS_LOGGED: AtomicBool = AtomicBool::new(false);
    if COUNT.load(Ordering::Relaxed) == 0 {
        return &Route::NONE;
    }
    let config = envoy.route_config().cast::<RouteConfig>();
    if config.is_null() {
        return &Route::NONE;
    }
    // SAFETY: made by `new` of this library or of another version of it, whose first field is the same.
    let library = unsafe { ptr::addr_of!((*config).library).read() };
    if !ptr::eq(library, &LIBRARY) {
        if !IS_LOGGED.swap(true, Ordering::Relaxed) {
            log::error!(
                "typed_per_filter_config: a route names another file of this module than the filter, so it changes nothing: \
                 name the same in dynamic_module_config"
            );
        }
        return &Route::NONE;
    }
    // SAFETY: made by `new`; Envoy keeps it as long as the hook at hand.
    unsafe { &(*config).route }
}

/// A new configuration of a route. Null refuses it; the log says why.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(
    name: Buffer<'_>,
    json: Buffer<'_>,
) -> Ours {
    guarded(ptr::null(), || {
        logger::follow_envoy();
        if name.bytes() != NAME.as_bytes() {
            let name = String::from_utf8_lossy(name.bytes());
            log::error!(
                "per_route_config_name: \"{name}\" is not a filter of this module; its only filter is \"{NAME}\""
            );
            return ptr::null();
        }
        match Route::parse(json.bytes()) {
            Ok(route) => {
                COUNT.fetch_add(1, Ordering::Relaxed);
                let library = &raw const LIBRARY;
                Box::into_raw(Box::new(RouteConfig { library, route }))
                    .cast_const()
                    .cast()
            }
            Err(errors) => {
                for error in errors {
                    log::error!("typed_per_filter_config refused: {error}");
                }
                ptr::null()
            }
        }
    })
}

/// A configuration of a route is deleted.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(ours: Ours) {
    // SAFETY: made by `new`, and destroyed once.
    let config = unsafe { Box::from_raw(ours.cast_mut().cast::<RouteConfig>()) };
    guarded((), || drop(config));
    COUNT.fetch_sub(1, Ordering::Relaxed);
}
