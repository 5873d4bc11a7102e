//! The state that all VMs of a process share: clocks, shared data with the host's compare-and-set rules, environment, node
//! id, metrics. Makes no callback.

use core::cell::RefCell;
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::host::{HostError, MetricHandle, SharedValue, WriteCondition};

/// The state that all VMs of a process share. A clone is the same process.
#[derive(Clone, Debug, Default)]
pub struct MemoryProcess(Rc<RefCell<Process>>);

#[derive(Debug, Default)]
struct Process {
    monotonic: Duration,
    unix: Duration,
    random: u64,
    environment: BTreeMap<String, String>,
    node_id: Option<Vec<u8>>,
    data: BTreeMap<String, SharedValue>,
    last_cas: u32,
    definitions: Vec<String>,
    metrics: BTreeMap<String, u64>,
}

impl MemoryProcess {
    /// A process at these times. `seed`: for its random numbers.
    pub fn new(monotonic: Duration, unix: Duration, seed: u64) -> Self {
        let process = Process {
            monotonic,
            unix,
            random: seed,
            ..Process::default()
        };
        Self(Rc::new(RefCell::new(process)))
    }

    /// The monotonic clock.
    pub fn now(&self) -> Duration {
        self.0.borrow().monotonic
    }

    /// The wall clock.
    pub fn unix(&self) -> Duration {
        self.0.borrow().unix
    }

    /// Advances both clocks.
    pub fn pass(&self, time: Duration) {
        let mut process = self.0.borrow_mut();
        process.monotonic = process.monotonic.saturating_add(time);
        process.unix = process.unix.saturating_add(time);
    }

    /// Sets the wall clock only.
    pub fn set_unix(&self, unix: Duration) {
        self.0.borrow_mut().unix = unix;
    }

    /// The next random number (SplitMix64).
    pub fn random(&self) -> u64 {
        let mut process = self.0.borrow_mut();
        process.random = process.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = process.random;
        number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ (number >> 31)
    }

    /// Sets an environment variable.
    pub fn set_environment(&self, name: &str, value: &str) {
        let mut process = self.0.borrow_mut();
        process
            .environment
            .insert(name.to_owned(), value.to_owned());
    }

    /// All keys of shared data that were ever written.
    pub fn keys(&self) -> Vec<String> {
        self.0.borrow().data.keys().cloned().collect()
    }

    /// A value of shared data; `None` if the key was never written.
    pub fn value(&self, key: &str) -> Option<SharedValue> {
        self.0.borrow().data.get(key).cloned()
    }

    /// Writes shared data.
    ///
    /// # Errors
    ///
    /// [`HostError::CasMismatch`] if `condition` does not hold.
    pub fn set_value(
        &self,
        key: &str,
        bytes: &[u8],
        condition: WriteCondition,
    ) -> Result<(), HostError> {
        let mut process = self.0.borrow_mut();
        let cas = process.data.get(key).map(|value| value.cas);
        let holds = match condition {
            WriteCondition::Always => true,
            WriteCondition::Absent => cas.is_none(),
            // The host ignores the number if the key is absent.
            WriteCondition::Unchanged(expected) => cas.is_none_or(|cas| cas == expected),
        };
        if !holds {
            return Err(HostError::CasMismatch);
        }
        process.last_cas = process.last_cas.wrapping_add(1).max(1);
        let value = SharedValue {
            bytes: bytes.to_vec(),
            cas: process.last_cas,
        };
        process.data.insert(key.to_owned(), value);
        Ok(())
    }

    /// An environment variable.
    pub fn environment(&self, name: &str) -> Option<String> {
        self.0.borrow().environment.get(name).cloned()
    }

    /// Sets the node id.
    pub fn set_node_id(&self, id: &[u8]) {
        self.0.borrow_mut().node_id = Some(id.to_vec());
    }

    /// The node id.
    pub fn node_id(&self) -> Option<Vec<u8>> {
        self.0.borrow().node_id.clone()
    }

    /// Defines a metric; returns its number.
    pub(super) fn define_metric(&self, name: &str) -> usize {
        let definitions = &mut self.0.borrow_mut().definitions;
        definitions.push(name.to_owned());
        definitions.len().saturating_sub(1)
    }

    /// The value of a counter or a gauge, by its complete name; 0 if it was never changed.
    pub fn metric(&self, name: &str) -> u64 {
        self.0.borrow().metrics.get(name).copied().unwrap_or(0)
    }

    /// All metrics that were changed, by name.
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        self.0.borrow().metrics.clone()
    }

    /// The value of a metric; `None` if the number was never given.
    pub(super) fn metric_value(&self, metric: MetricHandle) -> Option<u64> {
        let process = self.0.borrow();
        let index = usize::try_from(metric.0).ok()?;
        let name = process.definitions.get(index)?;
        Some(process.metrics.get(name).copied().unwrap_or(0))
    }

    pub(super) fn change_metric(&self, metric: MetricHandle, change: impl FnOnce(u64) -> u64) {
        let mut process = self.0.borrow_mut();
        let index = usize::try_from(metric.0).unwrap_or(usize::MAX);
        if let Some(name) = process.definitions.get(index).cloned() {
            let value = process.metrics.entry(name).or_default();
            *value = change(*value);
        }
    }
}
