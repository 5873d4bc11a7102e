//! A host together with the defined metrics. Names no metric.

use core::ops::Deref;

use super::{Metric, Metrics};
use crate::host::{Host, HostError, MetricHandle, MetricStore, RequestHost, RootHost, System};

/// A host together with the defined metrics. A metric that is not defined is not changed.
pub struct MeteredHost<'a, H: ?Sized = dyn Host + 'a> {
    host: &'a H,
    meter: Meter<'a>,
}

/// The part of a [`MeteredHost`] that does not depend on what the host offers besides.
#[derive(Clone, Copy)]
struct Meter<'a> {
    store: &'a dyn MetricStore,
    metrics: &'a Metrics,
}

impl<H: ?Sized> Clone for MeteredHost<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: ?Sized> Copy for MeteredHost<'_, H> {}

impl<'a> MeteredHost<'a> {
    /// `host` with `metrics`.
    pub fn new(host: &'a dyn Host, metrics: &'a Metrics) -> Self {
        Self {
            host,
            meter: Meter {
                store: host,
                metrics,
            },
        }
    }

    /// What it offers to a root context.
    pub fn of_root(self) -> MeteredHost<'a, dyn RootHost + 'a> {
        self.with(self.host)
    }

    /// What it offers to a request.
    pub fn of_request(self) -> MeteredHost<'a, dyn RequestHost + 'a> {
        self.with(self.host)
    }
}

impl<'a> MeteredHost<'a, dyn RootHost + 'a> {
    /// `host` with `metrics`, for a root context.
    pub fn for_root(host: &'a dyn RootHost, metrics: &'a Metrics) -> Self {
        Self {
            host,
            meter: Meter {
                store: host,
                metrics,
            },
        }
    }

    /// What it offers to everyone.
    pub fn system(self) -> MeteredHost<'a, dyn System + 'a> {
        self.with(self.host)
    }
}

impl<'a> MeteredHost<'a, dyn RequestHost + 'a> {
    /// `host` with `metrics`, for a request.
    pub fn for_request(host: &'a dyn RequestHost, metrics: &'a Metrics) -> Self {
        Self {
            host,
            meter: Meter {
                store: host,
                metrics,
            },
        }
    }

    /// What it offers to everyone.
    pub fn system(self) -> MeteredHost<'a, dyn System + 'a> {
        self.with(self.host)
    }
}

impl<'a, H: ?Sized> MeteredHost<'a, H> {
    fn with<T: ?Sized>(self, host: &'a T) -> MeteredHost<'a, T> {
        MeteredHost {
            host,
            meter: self.meter,
        }
    }

    /// Adds to a counter.
    pub fn add(self, metric: &Metric, by: u64) {
        self.meter.add(metric, by);
    }

    /// Sets a gauge.
    pub fn set(self, metric: &Metric, value: u64) {
        self.meter.set(metric, value);
    }

    /// The value of a counter or a gauge in this process; `None` if the host does not return it.
    pub fn value(self, metric: &Metric) -> Option<u64> {
        self.meter.value(metric)
    }
}

impl Meter<'_> {
    fn add(self, metric: &Metric, by: u64) {
        // The host refuses to add 0.
        if by != 0 {
            self.change(metric, |handle| self.store.increment_metric(handle, by));
        }
    }

    fn set(self, metric: &Metric, value: u64) {
        self.change(metric, |handle| self.store.record_metric(handle, value));
    }

    fn value(self, metric: &Metric) -> Option<u64> {
        let value = self.store.metric_value(self.metrics.handle(metric)?);
        let value = value.inspect_err(|error| {
            log::debug!("metric {} was not read: {error}", metric.name());
        });
        value.ok()
    }

    fn change(self, metric: &Metric, act: impl FnOnce(MetricHandle) -> Result<(), HostError>) {
        if let Some(handle) = self.metrics.handle(metric)
            && let Err(error) = act(handle)
        {
            log::debug!("metric {} was not changed: {error}", metric.name());
        }
    }
}

impl<H: ?Sized> Deref for MeteredHost<'_, H> {
    type Target = H;

    fn deref(&self) -> &H {
        self.host
    }
}
