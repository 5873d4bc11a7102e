//! One VM: the module's instance and its callbacks.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use portcullis::host::RootId;
use wasmtime::{
    Config, Engine, Instance, InstancePre, Module, Result, Store, WasmParams, WasmResults,
};

use crate::fake_host::FakeHost;
use crate::fault_injection::FaultInjector;
use crate::hostcalls;

/// The bound of one callback in wasm instructions: far more than any needs, so that none runs for ever.
const FUEL: u64 = 20_000_000_000;

/// A compiled module, from which VMs are created.
pub struct Compiled {
    engine: Engine,
    instance: InstancePre<Guest>,
}

impl Compiled {
    /// Compiles the module at `path`. Fails if it has an import that `hostcalls` does not know.
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `make module`", path.display()));
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).expect("an engine");
        let module = Module::new(&engine, bytes).expect("the module compiles");
        let linker = hostcalls::linker(&engine).expect("each hostcall once");
        let instance = linker
            .instantiate_pre(&module)
            .expect("every import is a known hostcall of the same type");
        Self { engine, instance }
    }
}

/// The state of one VM that its hostcalls use.
pub struct Guest {
    pub(crate) host: Rc<FakeHost>,
    /// The context that hostcalls count for.
    pub(crate) effective: u32,
    pub(crate) configuration: Vec<u8>,
    pub(crate) faults: Option<FaultInjector>,
    /// Callbacks during hostcalls, and the first of their traps.
    pub(crate) n_callbacks: u64,
    pub(crate) trap_within: Option<wasmtime::Error>,
}

/// One VM.
pub struct Vm {
    store: Store<Guest>,
    instance: Instance,
    instructions: u64,
}

impl Vm {
    /// Creates an instance, and runs its constructors.
    pub fn new(compiled: &Compiled, host: Rc<FakeHost>) -> Self {
        let guest = Guest {
            host,
            effective: 0,
            configuration: Vec::new(),
            faults: None,
            n_callbacks: 0,
            trap_within: None,
        };
        let mut store = Store::new(&compiled.engine, guest);
        store.set_fuel(FUEL).expect("fuel is on");
        let instance = compiled
            .instance
            .instantiate(&mut store)
            .expect("an instance");
        let mut vm = Self {
            store,
            instance,
            instructions: 0,
        };
        vm.call::<(), ()>("_initialize", 0, ())
            .expect("constructors do not trap");
        vm
    }

    /// The host of this VM.
    pub fn host(&self) -> Rc<FakeHost> {
        self.store.data().host.clone()
    }

    /// The number of wasm instructions that callbacks took since the last call of this function.
    pub fn take_instructions(&mut self) -> u64 {
        core::mem::take(&mut self.instructions)
    }

    /// Injects faults into hostcalls from now on; `None` stops it.
    pub fn inject_faults(&mut self, faults: Option<FaultInjector>) {
        self.store.data_mut().faults = faults;
    }

    /// Number of faults since [`Self::inject_faults`], by hostcall.
    pub fn n_faults(&self) -> BTreeMap<&'static str, u64> {
        let faults = &self.store.data().faults;
        faults
            .as_ref()
            .map_or_else(BTreeMap::new, |faults| faults.times.clone())
    }

    /// Number of callbacks during hostcalls.
    pub fn n_callbacks_within(&self) -> u64 {
        self.store.data().n_callbacks
    }

    /// The size of its memory, in bytes. It never shrinks.
    pub fn memory_bytes(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.expect("a memory").data_size(&self.store)
    }

    /// Creates a root context, and configures it; `false` if the configuration is refused.
    ///
    /// # Errors
    ///
    /// The module trapped; so in all other callbacks.
    pub fn configure(&mut self, root: u32, json: &[u8]) -> Result<bool> {
        let size = u32::try_from(json.len()).expect("a size in bounds");
        self.configure_with_size(root, size, json)
    }

    /// The same with any size.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn configure_with_size(&mut self, root: u32, size: u32, json: &[u8]) -> Result<bool> {
        self.host().add_root(RootId(root));
        self.call::<_, ()>("proxy_on_context_create", root, (root, 0_u32))?;
        self.store.data_mut().configuration = json.to_vec();
        let accepted: u32 = self.call("proxy_on_configure", root, (root, size))?;
        self.store.data_mut().configuration.clear();
        Ok(accepted != 0)
    }

    /// A tick of a root context, due or not.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn tick(&mut self, root: u32) -> Result<()> {
        self.call("proxy_on_tick", root, root)
    }

    /// The response to a call, which the host has now; its body has `body_size` bytes.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn on_call_response(&mut self, root: u32, token: u32, body_size: usize) -> Result<()> {
        let n_headers = self.host().n_call_headers();
        let size = u32::try_from(body_size).expect("a size in bounds");
        self.on_call_response_with_sizes(root, token, n_headers, size)
    }

    /// The same with any numbers.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn on_call_response_with_sizes(
        &mut self,
        root: u32,
        token: u32,
        n_headers: u32,
        body_size: u32,
    ) -> Result<()> {
        let arguments = (root, token, n_headers, body_size, 0_u32);
        self.call("proxy_on_http_call_response", root, arguments)
    }

    /// Judges the request that the host has now; `true` if the request is stopped.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn request(&mut self, root: u32, stream: u32) -> Result<bool> {
        let n_headers = self.host().n_request_headers();
        self.call::<_, ()>("proxy_on_context_create", stream, (stream, root))?;
        let arguments = (stream, n_headers, 1_u32);
        let action: u32 = self.call("proxy_on_request_headers", stream, arguments)?;
        Ok(action != 0)
    }

    /// The end of a stream.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn stream_ended(&mut self, stream: u32) -> Result<()> {
        self.call("proxy_on_log", stream, stream)
    }

    /// Allocates memory, as hostcalls do that return bytes; 0 if there is none.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn allocate(&mut self, size: u32) -> Result<u32> {
        self.call("proxy_on_memory_allocate", 0, size)
    }

    /// A callback of a stream, whether the stream exists or not.
    ///
    /// # Errors
    ///
    /// The module trapped.
    pub fn stray(&mut self, name: &str, stream: u32) -> Result<()> {
        match name {
            "proxy_on_request_headers" => {
                let arguments = (stream, 3_u32, 1_u32);
                self.call::<_, u32>(name, stream, arguments).map(drop)
            }
            "proxy_on_context_create" => self.call(name, stream, (stream, stream)),
            _ => self.call(name, stream, stream),
        }
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        context: u32,
        arguments: P,
    ) -> Result<R> {
        self.store.set_fuel(FUEL)?;
        self.store.data_mut().effective = context;
        let function = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, name)?;
        let result = function.call(&mut self.store, arguments)?;
        let used = FUEL.saturating_sub(self.store.get_fuel()?);
        self.instructions = self.instructions.saturating_add(used);
        match self.store.data_mut().trap_within.take() {
            Some(trap) => Err(trap.context("in a callback during a hostcall")),
            None => Ok(result),
        }
    }
}
