//! The values of one list in shared data: read, written and cleared under their keys. Decides nothing.

use super::freshness::Freshness;
use super::keys::{Keys, ListId};
use super::lease::{Lease, LeaseView};
use crate::host::{HostError, SharedData, WriteCondition};
use crate::list::Manifest;

/// The values of one list.
#[derive(Clone, Debug)]
pub struct Store {
    keys: Keys,
}

impl Store {
    /// The values of the list `id`.
    pub fn new(id: ListId) -> Self {
        Self {
            keys: Keys::new(id),
        }
    }

    /// Their keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The manifest of the active list.
    pub fn manifest(&self, data: &dyn SharedData) -> Option<Manifest> {
        Manifest::from_bytes(&read(data, &self.keys.manifest())?)
    }

    /// When the active list was last received or confirmed.
    pub fn freshness(&self, data: &dyn SharedData) -> Option<Freshness> {
        Freshness::from_bytes(&read(data, &self.keys.freshness())?)
    }

    /// The lease.
    pub fn lease(&self, data: &dyn SharedData) -> LeaseView {
        let value = data.shared_data(&self.keys.lease()).ok().flatten();
        LeaseView {
            lease: value
                .as_ref()
                .and_then(|value| Lease::from_bytes(&value.bytes)),
            cas: value.map(|value| value.cas),
        }
    }

    /// Writes the lease; `false` if the condition does not hold.
    pub fn write_lease(
        &self,
        data: &dyn SharedData,
        lease: &Lease,
        condition: WriteCondition,
    ) -> bool {
        data.set_shared_data(&self.keys.lease(), &lease.to_bytes(), condition)
            .is_ok()
    }
}

/// A value that exists and is not empty.
pub fn read(data: &dyn SharedData, key: &str) -> Option<Vec<u8>> {
    let value = data.shared_data(key).ok().flatten()?;
    (!value.bytes.is_empty()).then_some(value.bytes)
}

/// Writes a value without a condition.
///
/// # Errors
///
/// The host failed.
pub fn write(data: &dyn SharedData, key: &str, bytes: &[u8]) -> Result<(), HostError> {
    data.set_shared_data(key, bytes, WriteCondition::Always)
}
