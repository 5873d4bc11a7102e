//! The proxy-wasm module: the host's callbacks, passed to the core.
//!
//! Owns the entry points and the one [`Vm`] of this module. No policy, and no hostcall: those are in `host`. `unsafe` is
//! in `host` and `memory`, and in the attributes of the entry points.
//!
//! The entry points replace the SDK's, whose dispatcher keeps a map entry per stream and needs three more callbacks per
//! request to remove it. Streams have no state here, so a request costs three callbacks: its creation, which names its
//! root context, its headers and its end. The link step exports `portcullis_on_…` as
//! `proxy_on_…`, the names of the SDK's.

mod header_map;
mod host;
mod logger;
mod memory;
#[cfg(feature = "trap")]
mod trap;

use core::cell::{Cell, RefCell};
use core::mem::ManuallyDrop;

use portcullis::host::{CallToken, RootId, StreamId};
use portcullis::judge::Disposition;
use portcullis::vm::Vm;
use proxy_wasm::types::Action;

use host::{BufferType, EnvoyHost};

mod initialize {
    proxy_wasm::main! {{
        super::logger::install();
        // A panic ends the VM.
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
        #[cfg(feature = "trap")]
        super::trap::install();
    }}
}

thread_local! {
    /// Created at the first configuration, since the host allows few hostcalls before. It lives as long as the module's
    /// memory, so it is never dropped.
    static VM: RefCell<Option<ManuallyDrop<Vm>>> = const { RefCell::new(None) };

    /// The newest stream, and its root context.
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
            // Envoy never does this.
            log::error!("a callback arrived during another and is ignored");
            None
        }
    })
}

/// A root context (`parent` 0) or a stream is created.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_context_create(context: u32, parent: u32) {
    LAST_CREATED.set((context, parent));
}

/// A root context gets its plugin configuration. Returns whether it is accepted.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_configure(root: u32, size: usize) -> u32 {
    logger::follow_host();
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
    logger::follow_host();
    with_vm(|vm, host| vm.tick(host, RootId(root)));
}

/// The response to a call of a root context. A call that failed has no headers and no body.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_http_call_response(
    root: u32,
    token: u32,
    _n_headers: usize,
    _body_size: usize,
    _n_trailers: usize,
) {
    with_vm(|vm, host| vm.on_call_response(host, RootId(root), CallToken(token)));
}

/// The request headers of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_request_headers(
    context: u32,
    _n_headers: usize,
    _end_of_stream: u32,
) -> Action {
    #[cfg(feature = "trap")]
    trap::on_request();
    // Envoy creates a stream's context right before its headers, on the same thread. For any other order the newest
    // configuration judges the request.
    let (last, parent) = LAST_CREATED.get();
    let root = if last == context { parent } else { 0 };
    match with_vm(|vm, host| vm.request(host, RootId(root), StreamId(context))) {
        Some(Disposition::Stop) => Action::Pause,
        Some(Disposition::Continue) | None => Action::Continue,
    }
}

/// The end of a stream.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_log(context: u32) {
    with_vm(|vm, host| vm.stream_ended(host, StreamId(context)));
}

/// The host requests memory for the bytes that a hostcall returns.
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_on_memory_allocate(size: usize) -> *mut u8 {
    memory::allocate(size)
}
