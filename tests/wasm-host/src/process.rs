//! What the VMs of one process share, by the rules of proxy-wasm-cpp-host and Envoy, and all that they ever said.

use core::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::secrets::holds_secret;
use crate::seeded::Random;

/// Headers of a request, an answer or a reply.
pub type Headers = Vec<(String, Vec<u8>)>;

/// An HTTP call that a VM made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which VM; tokens count in each on their own.
    pub vm: u32,
    /// The root context that gets the answer.
    pub root: u32,
    /// The VM's number for it.
    pub token: u32,
    /// The Envoy cluster.
    pub cluster: String,
    /// Its headers, with the pseudo-headers.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
}

impl Call {
    /// Whether it asks for the list.
    pub fn is_get(&self) -> bool {
        self.header(":method").as_deref() == Some("GET")
    }

    /// The value of the first header of this name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = values.next()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

/// Log levels by their numbers in the ABI.
pub const DEBUG: u32 = 1;
/// The level above [`DEBUG`].
pub const INFO: u32 = 2;

/// All of it.
#[derive(Debug)]
pub struct State {
    /// The monotonic clock, in nanoseconds.
    pub monotonic: u64,
    /// The wall clock, in nanoseconds since the Unix epoch.
    pub unix: u64,
    /// Where random numbers come from.
    pub random: Random,
    /// Environment variables, as `NAME=value`.
    pub environment: Vec<Vec<u8>>,
    /// Values with their compare-and-set numbers.
    pub data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
    /// Names of metrics, by the numbers given out.
    pub definitions: Vec<String>,
    /// Values of metrics.
    pub metrics: BTreeMap<String, u64>,
    /// The least severe level that the host logs, by its number in the ABI.
    pub log_level: u32,
    /// Log lines, oldest first.
    pub logs: Vec<(u32, String)>,
    /// Calls that were made and not answered.
    pub calls: Vec<Call>,
    /// Where secrets got out.
    pub leaks: Vec<String>,
    /// How many times something was said, by the way it left.
    pub said: BTreeMap<&'static str, u64>,
    n_vms: u32,
}

/// The process.
#[derive(Clone, Debug)]
pub struct Process(Rc<RefCell<State>>);

impl Process {
    /// A process whose random numbers follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            monotonic: 5_000_000_000_000,
            // 2026-11-23, 10:00:30.
            unix: 1_795_428_030_000_000_000,
            random: Random::new(seed),
            environment: Vec::new(),
            data: BTreeMap::new(),
            last_cas: 0,
            definitions: Vec::new(),
            metrics: BTreeMap::new(),
            log_level: DEBUG,
            logs: Vec::new(),
            calls: Vec::new(),
            leaks: Vec::new(),
            said: BTreeMap::new(),
            n_vms: 0,
        })))
    }

    /// The state, for as long as no VM runs.
    pub fn state(&self) -> RefMut<'_, State> {
        self.0.borrow_mut()
    }

    /// Moves both clocks on.
    pub fn pass(&self, milliseconds: u64) {
        let mut state = self.state();
        state.monotonic += milliseconds * 1_000_000;
        state.unix += milliseconds * 1_000_000;
    }

    /// The value of a counter or a gauge; 0 where it was never touched.
    pub fn metric(&self, name: &str) -> u64 {
        let name = format!("portcullis.{name}");
        self.state().metrics.get(&name).copied().unwrap_or(0)
    }

    /// Takes all calls out of flight.
    pub fn take_calls(&self) -> Vec<Call> {
        core::mem::take(&mut self.state().calls)
    }

    pub(crate) fn new_vm(&self) -> u32 {
        let mut state = self.state();
        state.n_vms += 1;
        state.n_vms
    }
}

impl State {
    /// Writes shared data; `false` where the number does not match. Numbers are ignored where the key is absent, and
    /// 0 matches always.
    pub(crate) fn set(&mut self, key: &[u8], bytes: &[u8], cas: u32) -> bool {
        if let Some((_, known)) = self.data.get(key)
            && cas != 0
            && cas != *known
        {
            return false;
        }
        self.last_cas = self.last_cas.wrapping_add(1).max(1);
        let value = (bytes.to_vec(), self.last_cas);
        self.data.insert(key.to_vec(), value);
        true
    }

    /// Notes that bytes left a VM, and a leak if they hold a secret.
    pub(crate) fn say(&mut self, way: &'static str, bytes: &[u8]) {
        *self.said.entry(way).or_default() += 1;
        if holds_secret(bytes) {
            self.leaks.push(format!("{way}: {}", bytes.escape_ascii()));
        }
    }
}
