//! The hooks of the bootstrap extension. All run on the main thread, except that of a new worker.

use core::ffi::c_void;
use core::ptr;

use super::{Envoy, Ours, guarded};
use crate::abi::{BootstrapHandle, Buffer, Header};
use crate::bootstrap::Bootstrap;
use crate::configuration;

/// Runs a hook of the extension's configuration.
///
/// # Safety
///
/// `envoy` and `ours` are the pointers of a hook of the configuration.
unsafe fn with_bootstrap<T>(
    envoy: Envoy,
    ours: Ours,
    otherwise: T,
    act: impl FnOnce(&mut Bootstrap, BootstrapHandle<'_>) -> T,
) -> T {
    // SAFETY: made by `config_new`; one hook runs at a time, and `config_destroy` comes last.
    let bootstrap = unsafe { &mut *ours.cast_mut().cast::<Bootstrap>() };
    // SAFETY: the handle does not leave this function.
    match unsafe { BootstrapHandle::new(envoy) } {
        Some(envoy) => guarded(otherwise, || act(bootstrap, envoy)),
        None => otherwise,
    }
}

/// A new configuration. Null refuses it; the log says why.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_bootstrap_extension_config_new(
    envoy: Envoy,
    name: Buffer<'_>,
    json: Buffer<'_>,
) -> Ours {
    // SAFETY: the handle does not leave this function.
    let Some(envoy) = (unsafe { BootstrapHandle::new(envoy) }) else {
        return ptr::null();
    };
    guarded(ptr::null(), || {
        let process = configuration::process();
        match Bootstrap::new(envoy, process, name.bytes(), json.bytes()) {
            Some(bootstrap) => Box::into_raw(Box::new(bootstrap)).cast_const().cast(),
            None => ptr::null(),
        }
    })
}

/// The configuration is deleted.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_bootstrap_extension_config_destroy(ours: Ours) {
    // SAFETY: made by `config_new`, and destroyed once.
    let bootstrap = unsafe { Box::from_raw(ours.cast_mut().cast::<Bootstrap>()) };
    guarded((), || drop(bootstrap));
}

/// The extension of a configuration. It has no state of its own; null would be a failure.
#[unsafe(no_mangle)]
pub extern "C" fn envoy_dynamic_module_on_bootstrap_extension_new(
    ours: Ours,
    _envoy: Envoy,
) -> Ours {
    ours
}

/// The timer of the configuration fired.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_bootstrap_extension_timer_fired(
    envoy: Envoy,
    ours: Ours,
    _timer: Envoy,
) {
    // SAFETY: the pointers of this hook.
    unsafe { with_bootstrap(envoy, ours, (), |it, envoy| it.timer_fired(envoy)) }
}

/// A request of the admin interface. Returns the status.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_bootstrap_extension_admin_request(
    envoy: Envoy,
    ours: Ours,
    method: Buffer<'_>,
    path: Buffer<'_>,
    _body: Buffer<'_>,
) -> u32 {
    // SAFETY: the pointers of this hook.
    unsafe {
        with_bootstrap(envoy, ours, 500, |it, envoy| {
            it.admin_request(envoy, method.bytes(), path.bytes())
        })
    }
}

/// Envoy ends: it waits until `done` is called.
///
/// # Safety
///
/// Called by Envoy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn envoy_dynamic_module_on_bootstrap_extension_shutdown(
    _envoy: Envoy,
    _ours: Ours,
    done: Option<unsafe extern "C" fn(*mut c_void)>,
    context: *mut c_void,
) {
    if let Some(done) = done {
        // SAFETY: called once, with what belongs to it.
        unsafe { done(context) }
    }
}

idle! {
    envoy_dynamic_module_on_bootstrap_extension_server_initialized(Envoy, Ours);
    envoy_dynamic_module_on_bootstrap_extension_worker_thread_initialized(Envoy, Ours);
    envoy_dynamic_module_on_bootstrap_extension_drain_started(Envoy, Ours);
    envoy_dynamic_module_on_bootstrap_extension_destroy(Ours);
    envoy_dynamic_module_on_bootstrap_extension_config_scheduled(Envoy, Ours, u64);
    envoy_dynamic_module_on_bootstrap_extension_http_callout_done(Envoy, Ours, u64, u32, *const Header<'_>, usize, *const Buffer<'_>, usize);
    envoy_dynamic_module_on_bootstrap_extension_file_changed(Envoy, Ours, Buffer<'_>, u32);
    envoy_dynamic_module_on_bootstrap_extension_cluster_add_or_update(Envoy, Ours, Buffer<'_>);
    envoy_dynamic_module_on_bootstrap_extension_cluster_removal(Envoy, Ours, Buffer<'_>);
    envoy_dynamic_module_on_bootstrap_extension_listener_add_or_update(Envoy, Ours, Buffer<'_>);
    envoy_dynamic_module_on_bootstrap_extension_listener_removal(Envoy, Ours, Buffer<'_>);
}
