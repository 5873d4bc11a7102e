//! The metrics of a configuration: Envoy's numbers for them, and their values in this process.
//!
//! Envoy numbers metrics for each configuration, in the hook that creates it only, and does not say their values. The core
//! has one handle for each name. So names have handles here, which are the same in all configurations, and each handle has
//! the value that this process has recorded. No metric is named here.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use portcullis::host::{HostError, MetricHandle, MetricType};

use crate::abi::{ConfigHandle, Refused, StreamHandle};

/// What Envoy adds to: a configuration or a stream, which share the numbers.
pub trait Recorder {
    /// Adds to a counter.
    fn increment(&self, id: usize, by: u64) -> Result<(), Refused>;
    /// Sets a gauge.
    fn record(&self, id: usize, value: u64) -> Result<(), Refused>;
}

impl Recorder for ConfigHandle<'_> {
    fn increment(&self, id: usize, by: u64) -> Result<(), Refused> {
        self.increment_counter(id, by)
    }

    fn record(&self, id: usize, value: u64) -> Result<(), Refused> {
        self.set_gauge(id, value)
    }
}

impl Recorder for StreamHandle<'_> {
    fn increment(&self, id: usize, by: u64) -> Result<(), Refused> {
        self.increment_counter(id, by)
    }

    fn record(&self, id: usize, value: u64) -> Result<(), Refused> {
        self.set_gauge(id, value)
    }
}

/// The metrics that any configuration of this process has had: a handle is a place in `values`.
#[derive(Default)]
struct Names {
    handles: HashMap<String, u32>,
    values: Vec<Arc<AtomicU64>>,
}

static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);

/// The handle and the value of the metric with this name.
fn named(name: &str) -> Result<(u32, Arc<AtomicU64>), HostError> {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let Names { handles, values } = &mut *names;
    let known = handles.get(name).copied();
    if let Some(handle) = known
        && let Some(value) = values.get(handle as usize)
    {
        return Ok((handle, value.clone()));
    }
    let handle = u32::try_from(values.len()).map_err(|_| HostError::InternalFailure)?;
    let value = Arc::<AtomicU64>::default();
    handles.insert(name.to_owned(), handle);
    values.push(value.clone());
    Ok((handle, value))
}

/// The value of a metric that the configuration at hand does not have.
fn value_of(metric: MetricHandle) -> Result<Arc<AtomicU64>, HostError> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let value = names.values.get(metric.0 as usize);
    value.cloned().ok_or(HostError::BadArgument)
}

/// A metric of one configuration.
#[derive(Clone)]
struct Defined {
    /// Envoy's number: of a counter or of a gauge.
    id: usize,
    value: Arc<AtomicU64>,
}

/// By handle; empty places are metrics of other configurations.
type Places = Vec<Option<Defined>>;

/// The metrics of one configuration. They are defined while it is new; from then on, reading them takes no lock.
#[derive(Default)]
pub struct MetricTable {
    new: Mutex<Places>,
    complete: OnceLock<Places>,
}

impl MetricTable {
    /// Defines a metric in Envoy, or finds it.
    ///
    /// A configuration that is complete can define no more: its metric then has a value in this process only.
    pub fn define(
        &self,
        envoy: Option<ConfigHandle<'_>>,
        kind: MetricType,
        name: &str,
    ) -> Result<MetricHandle, HostError> {
        let (handle, value) = named(name)?;
        let place = handle as usize;
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = self.complete.get().is_none() && new.get(place).is_none_or(Option::is_none);
        if let Some(envoy) = envoy
            && is_new
        {
            let id = match kind {
                MetricType::Counter => envoy.define_counter(name),
                MetricType::Gauge => envoy.define_gauge(name),
            };
            let id = id.map_err(|Refused(result)| HostError::Status(result))?;
            if new.len() <= place {
                new.resize(place.saturating_add(1), None);
            }
            if let Some(place) = new.get_mut(place) {
                *place = Some(Defined { id, value });
            }
        }
        Ok(MetricHandle(handle))
    }

    /// No metric is defined from now on.
    pub fn complete(&self) {
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.complete.set(core::mem::take(&mut *new));
    }

    /// Calls `act` with the metric, if this configuration has it.
    fn with<T>(&self, metric: MetricHandle, act: impl FnOnce(&Defined) -> T) -> Option<T> {
        let place = metric.0 as usize;
        if let Some(complete) = self.complete.get() {
            return complete.get(place)?.as_ref().map(act);
        }
        let new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.get(place)?.as_ref().map(act)
    }

    /// Adds to a counter.
    pub fn increment(
        &self,
        recorder: &impl Recorder,
        metric: MetricHandle,
        by: u64,
    ) -> Result<(), HostError> {
        self.change(
            metric,
            |value| value.fetch_add(by, Ordering::Relaxed),
            |id| recorder.increment(id, by),
        )
    }

    /// Sets a gauge.
    pub fn record(
        &self,
        recorder: &impl Recorder,
        metric: MetricHandle,
        value: u64,
    ) -> Result<(), HostError> {
        self.change(
            metric,
            |known| known.swap(value, Ordering::Relaxed),
            |id| recorder.record(id, value),
        )
    }

    fn change(
        &self,
        metric: MetricHandle,
        here: impl Fn(&AtomicU64) -> u64,
        envoy: impl Fn(usize) -> Result<(), Refused>,
    ) -> Result<(), HostError> {
        self.with(metric, |defined| {
            here(&defined.value);
            envoy(defined.id).map_err(|Refused(result)| HostError::Status(result))
        })
        .unwrap_or_else(|| {
            here(&*value_of(metric)?);
            Err(HostError::BadArgument)
        })
    }

    /// The value that this process has recorded.
    pub fn value(&self, metric: MetricHandle) -> Result<u64, HostError> {
        let value = self.with(metric, |defined| defined.value.load(Ordering::Relaxed));
        match value {
            Some(value) => Ok(value),
            None => Ok(value_of(metric)?.load(Ordering::Relaxed)),
        }
    }
}
