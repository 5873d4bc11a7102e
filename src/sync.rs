//! From a feed to every worker of the process: who fetches and when, the list in shared data, each worker's copy.
//!
//! | file | owns |
//! |---|---|
//! | [`keys`] | the names of shared-data values |
//! | [`store`] | reading and writing them |
//! | [`lease`] | who may fetch until when |
//! | [`attempts`] | when the next fetch is due |
//! | [`election`] | which VM owns the lease |
//! | [`freshness`] | the age of the active list, and its ETag |
//! | [`publisher`] | a list into shared data |
//! | `report` | metrics and log lines about a list |
//! | `list_call` | one call for a list, and what operators see of its result |
//! | `node_report` | the header of list requests that reports on this node |
//! | `settings` | how a list is fetched |
//! | [`updater`] | one VM's part: lease, fetch, publication, results |
//! | [`usage`] | one VM's part in reporting usage metrics |
//! | [`replica`] | one VM's copy of the list; the request path touches only this |
//!
//! The only place that names shared-data keys. What a response means is decided in `feed`, the list's bytes in `list`.

use core::time::Duration;

pub mod attempts;
pub mod election;
pub mod freshness;
pub mod keys;
pub mod lease;
pub(crate) mod list_call;
pub(crate) mod node_report;
pub mod publisher;
pub mod replica;
pub(crate) mod report;
mod settings;
pub mod store;
pub mod updater;
pub mod usage;

pub use keys::ListId;
pub use lease::VmId;
pub use replica::{Replica, ReplicaList};
pub use settings::SyncSettings;
pub use updater::{Updater, VmIdentity};
pub use usage::UsageReporter;

/// The period of a root context's ticks. Workers load a new list at the next tick, so this bounds how long one enforces
/// the previous list.
pub const TICK: Duration = Duration::from_millis(250);

/// The period while a VM waits for the first list, for the lease, or loads a list.
pub const SHORT_TICK: Duration = Duration::from_millis(50);

/// The period of a root context that a newer one of the same VM has replaced. It ticks in case the newer one is deleted.
pub const SPARE_TICK: Duration = Duration::from_secs(5);
