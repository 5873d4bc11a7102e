//! The proxy-wasm module: the host's callbacks, handed to the core.
//!
//! Owns the entry points and the one [`Vm`] of this module. No policy, and no hostcall: those are in `host`.
//!
//! The entry points are our own and not those of the SDK, whose dispatcher keeps a map entry for each stream and needs
//! three more calls from the host to tidy up. HTTP contexts here have no state at all, so a clean request costs two
//! calls: its creation, which names its root context, and its headers. The link step exports `portcullis_on_…` as
//! `proxy_on_…`, the names of the SDK's.

mod host;
#[cfg(feature = "trap")]
mod trap;

use core::cell::{Cell, RefCell};
use core::mem::ManuallyDrop;

use portcullis::host::{CallToken, Host, LogLevel, RootId, StreamId};
use portcullis::vm::{Disposition, Vm};
use proxy_wasm::types::Action;

use host::{BufferType, EnvoyHost};

mod initialize {
    use super::{EnvoyHost, Host, LogLevel};

    proxy_wasm::main! {{
        // The VM ends with a panic: where and why goes to Envoy's log first.
        std::panic::set_hook(Box::new(|panic| EnvoyHost.log(LogLevel::Error, &panic.to_string())));
    }}
}

thread_local! {
    /// Made at the first configuration: before that the host refuses most hostcalls. It ends with the module's memory,
    /// so nothing in it needs to be dropped.
    static VM: RefCell<Option<ManuallyDrop<Vm>>> = const { RefCell::new(None) };

    /// The stream created last, and its root context.
    static LAST_CREATED: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

fn with_vm<T>(act: impl FnOnce(&mut Vm, &EnvoyHost) -> T) -> Option<T> {
    let host = EnvoyHost;
    VM.with(|vm| match vm.try_borrow_mut() {
        Ok(mut vm) => {
            let vm = vm.get_or_insert_with(|| ManuallyDrop::new(Vm::new(&host)));
            Some(act(vm, &host))
        }
        Err(_) => {
            // The host calls into a VM that has not answered its last call. It never does.
            host.log(
                LogLevel::Error,
                "a callback came within another; it is ignored",
            );
            None
        }
    })
}

/// A root context (`parent` 0) or a stream came to be.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_context_create(context: u32, parent: u32) {
    LAST_CREATED.set((context, parent));
}

/// A root context gets its plugin configuration.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_configure(root: u32, size: usize) -> u32 {
    let configured = with_vm(|vm, host| {
        let json = host.buffer(BufferType::PluginConfiguration, 0, size);
        vm.configure(host, RootId(root), &json).is_ok()
    });
    u32::from(configured.unwrap_or(false))
}

/// A root context ticks.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_tick(root: u32) {
    #[cfg(feature = "trap")]
    trap::on_tick();
    with_vm(|vm, host| vm.tick(host, RootId(root)));
}

/// A call of a root context was answered, or failed: then there are no headers and no body.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_http_call_response(
    root: u32,
    token: u32,
    _n_headers: usize,
    body_size: usize,
    _n_trailers: usize,
) {
    with_vm(|vm, host| vm.call_answered(host, RootId(root), CallToken(token), body_size));
}

/// A stream's request headers are there.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_request_headers(
    context: u32,
    _n_headers: usize,
    _end_of_stream: u32,
) -> Action {
    #[cfg(feature = "trap")]
    trap::on_request();
    // Envoy creates a stream's context right before it hands over the headers, on the same thread. Were that ever
    // otherwise, the newest configuration would judge the request.
    let (last, parent) = LAST_CREATED.get();
    let root = if last == context { parent } else { 0 };
    match with_vm(|vm, host| vm.request(host, RootId(root), StreamId(context))) {
        Some(Disposition::Stop) => Action::Pause,
        Some(Disposition::Continue) | None => Action::Continue,
    }
}

/// A stream is over.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_log(context: u32) {
    with_vm(|vm, host| vm.stream_ended(host, StreamId(context)));
}

/// The host asks for room for what a hostcall returns.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_memory_allocate(size: usize) -> *mut u8 {
    host::allocate(size)
}
