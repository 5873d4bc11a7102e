//! What one configuration records, and where the records go. Decides nothing.

use crate::config::{Abs, Traffic, TrafficFormat};
use crate::host::RootId;

/// The settings of one root context.
#[derive(Clone, Copy, Debug)]
pub struct TrafficSettings<'a> {
    /// The root context.
    pub root: RootId,
    /// Where its records go.
    pub destination: &'a Destination,
    /// ABS's keys, and the timeout of calls.
    pub abs: &'a Abs,
    /// What is sent and how.
    pub traffic: &'a Traffic,
    /// The headers that are read of requests and responses.
    pub header_names: &'a [String],
}

/// The destination of records. Filters of one VM with the same destination share a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub(super) cluster: String,
    pub(super) authority: String,
    pub(super) format: TrafficFormat,
    pub(super) path: String,
}

impl Destination {
    /// From the configuration.
    pub fn new(abs: &Abs, traffic: &Traffic) -> Self {
        let cluster = traffic.cluster.as_ref().unwrap_or(&abs.cluster);
        let authority = if *cluster == abs.cluster {
            &abs.authority
        } else {
            cluster
        };
        Self {
            authority: traffic.authority.as_ref().unwrap_or(authority).clone(),
            cluster: cluster.clone(),
            format: traffic.format,
            path: traffic.path.clone(),
        }
    }

    /// The Envoy cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}
