//! One VM: the module's instance and its callbacks, in the order in which Envoy makes them.

use std::collections::BTreeMap;
use std::path::Path;

use wasmtime::{
    Config, Engine, Instance, InstancePre, Module, Result, Store, WasmParams, WasmResults,
};

use crate::fault_injection::FaultInjector;
use crate::hostcalls;
use crate::process::{Call, Headers, Process};

/// What one callback may take, in wasm instructions: far more than any sound one does, so that none runs for ever.
const FUEL: u64 = 20_000_000_000;

/// A compiled module, from which VMs are made.
pub struct Compiled {
    engine: Engine,
    instance: InstancePre<Guest>,
}

impl Compiled {
    /// Compiles the module at `path`. Fails where it imports what `hostcalls` does not know.
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

/// A request, and then its response.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Envoy's `source.address`.
    pub address: String,
    /// Request headers, with the pseudo-headers.
    pub headers: Headers,
}

impl Request {
    /// From an IPv4 address.
    pub fn from(address: &str, path: &str) -> Self {
        let request = Self {
            address: format!("{address}:40000"),
            headers: Vec::new(),
        };
        request
            .header(":method", "GET")
            .header(":path", path)
            .header(":authority", "api.example.com")
    }

    /// With one header more.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A local reply that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u32,
    /// `%RESPONSE_CODE_DETAILS%`.
    pub details: String,
    /// Its body.
    pub body: String,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The module stopped it.
    pub stopped: bool,
    /// The module's reply in its place.
    pub reply: Option<Reply>,
    /// `wasm.portcullis.verdict` in its filter state.
    pub verdict: Option<String>,
}

/// An answer to a call; no headers: it failed.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its headers, `:status` among them.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A whole one.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            headers: vec![(":status".to_owned(), status.to_string().into_bytes())],
            body: body.into(),
        }
    }
}

/// What the hostcalls of one VM work on.
pub struct Guest {
    pub(crate) process: Process,
    pub(crate) vm: u32,
    /// The context that hostcalls count for.
    pub(crate) effective: u32,
    /// Root contexts by number, with their tick period and when the next is due, in nanoseconds; 0 for none.
    pub(crate) roots: BTreeMap<u32, (u64, u64)>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) answer: Answer,
    pub(crate) request: Option<Request>,
    pub(crate) response: Headers,
    pub(crate) outcome: Outcome,
    pub(crate) n_calls: u32,
    pub(crate) faults: Option<FaultInjector>,
    /// Callbacks within hostcalls, and the first of their traps.
    pub(crate) n_callbacks: u64,
    pub(crate) trap_within: Option<wasmtime::Error>,
}

/// One VM.
pub struct Vm {
    store: Store<Guest>,
    instance: Instance,
    n_streams: u32,
    instructions: u64,
}

impl Vm {
    /// Makes an instance, and runs its constructors.
    pub fn new(compiled: &Compiled, process: &Process) -> Self {
        let guest = Guest {
            process: process.clone(),
            vm: process.new_vm(),
            effective: 0,
            roots: BTreeMap::new(),
            configuration: Vec::new(),
            answer: Answer::default(),
            request: None,
            response: Headers::new(),
            outcome: unjudged(),
            n_calls: 0,
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
            // Root contexts have lower numbers.
            n_streams: 1_000,
            instructions: 0,
        };
        vm.call::<(), ()>("_initialize", 0, ())
            .expect("constructors do not trap");
        vm
    }

    /// How many wasm instructions the callbacks took since this was asked last.
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

    /// How many callbacks came within hostcalls.
    pub fn n_callbacks_within(&self) -> u64 {
        self.store.data().n_callbacks
    }

    /// Its number in the process.
    pub fn number(&self) -> u32 {
        self.store.data().vm
    }

    /// The size of its memory, in bytes. It never shrinks.
    pub fn memory_bytes(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        memory.expect("a memory").data_size(&self.store)
    }

    /// A root context comes to be.
    ///
    /// # Errors
    ///
    /// It trapped; so with all that follow.
    pub fn create_root(&mut self, root: u32) -> Result<()> {
        self.store.data_mut().roots.insert(root, (0, 0));
        self.call("proxy_on_context_create", root, (root, 0u32))
    }

    /// A root context gets its configuration. Whether it took it.
    pub fn configure(&mut self, root: u32, json: &[u8]) -> Result<bool> {
        let size = u32::try_from(json.len()).expect("a sound size");
        self.configure_told(root, size, json)
    }

    /// The same with any size.
    pub fn configure_told(&mut self, root: u32, size: u32, json: &[u8]) -> Result<bool> {
        self.store.data_mut().configuration = json.to_vec();
        let taken: u32 = self.call("proxy_on_configure", root, (root, size))?;
        self.store.data_mut().configuration.clear();
        Ok(taken != 0)
    }

    /// A root context ticks, due or not.
    pub fn tick(&mut self, root: u32) -> Result<()> {
        self.call("proxy_on_tick", root, root)
    }

    /// Every root context ticks whose time has come.
    pub fn tick_due(&mut self) -> Result<()> {
        let now = self.store.data().process.state().monotonic;
        let roots: Vec<u32> = self.store.data().roots.keys().copied().collect();
        for root in roots {
            let Some((period, due)) = self.store.data().roots.get(&root).copied() else {
                continue;
            };
            if period == 0 || now < due {
                continue;
            }
            self.store
                .data_mut()
                .roots
                .insert(root, (period, now + period));
            self.tick(root)?;
        }
        Ok(())
    }

    /// A call of this VM is answered.
    pub fn answer(&mut self, call: &Call, answer: Answer) -> Result<()> {
        let n_headers = u32::try_from(answer.headers.len()).expect("few");
        let size = u32::try_from(answer.body.len()).expect("a sound size");
        self.answer_told(call.root, call.token, (n_headers, size), answer)
    }

    /// The same with any numbers.
    pub fn answer_told(
        &mut self,
        root: u32,
        token: u32,
        (n_headers, size): (u32, u32),
        answer: Answer,
    ) -> Result<()> {
        self.store.data_mut().answer = answer;
        let arguments = (root, token, n_headers, size, 0u32);
        self.call::<_, ()>("proxy_on_http_call_response", root, arguments)?;
        self.store.data_mut().answer = Answer::default();
        Ok(())
    }

    /// A request comes, is judged, gets a response, and is over.
    pub fn request(&mut self, root: u32, request: Request) -> Result<Outcome> {
        self.n_streams += 1;
        let stream = self.n_streams;
        let n_headers = u32::try_from(request.headers.len()).expect("few");
        let guest = self.store.data_mut();
        guest.request = Some(request);
        guest.outcome = unjudged();
        self.call::<_, ()>("proxy_on_context_create", stream, (stream, root))?;
        let arguments = (stream, n_headers, 1u32);
        let action: u32 = self.call("proxy_on_request_headers", stream, arguments)?;
        let guest = self.store.data_mut();
        let status = guest
            .outcome
            .reply
            .as_ref()
            .map_or(200, |reply| reply.status);
        guest.response = Answer::new(status as u16, "").headers;
        self.call::<_, ()>("proxy_on_log", stream, stream)?;
        let guest = self.store.data_mut();
        guest.request = None;
        guest.response.clear();
        let outcome = core::mem::replace(&mut guest.outcome, unjudged());
        Ok(Outcome {
            stopped: action != 0,
            ..outcome
        })
    }

    /// Asks for room, as hostcalls do that return bytes. 0: there is none.
    pub fn allocate(&mut self, size: u32) -> Result<u32> {
        self.call("proxy_on_memory_allocate", 0, size)
    }

    /// A callback of a stream, whether there is such a stream or not.
    pub fn stray(&mut self, name: &str, stream: u32) -> Result<()> {
        match name {
            "proxy_on_request_headers" => {
                let arguments = (stream, 3u32, 1u32);
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
            Some(trap) => Err(trap.context("in a callback within a hostcall")),
            None => Ok(result),
        }
    }
}

fn unjudged() -> Outcome {
    Outcome {
        stopped: false,
        reply: None,
        verdict: None,
    }
}
