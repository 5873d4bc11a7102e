//! The values of one list in shared data: read, written and cleared under their keys. Decides nothing.

use super::election::FirstVm;
use super::freshness::Freshness;
use super::keys::{FINGERPRINT_KEY, Keys, ListId};
use super::lease::{Lease, LeaseView};
use crate::host::{Host, HostError, SharedData, WriteCondition};
use crate::identifier::FingerprintKey;
use crate::list::Manifest;
use crate::list::frame::{FrameHeader, Reader, Record, frame, unframe};

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

    /// Writes when the active list was received or confirmed.
    ///
    /// # Errors
    ///
    /// The host failed.
    pub fn write_freshness(
        &self,
        data: &dyn SharedData,
        freshness: &Freshness,
    ) -> Result<(), HostError> {
        write(data, &self.keys.freshness(), &freshness.to_bytes())
    }

    /// Whether `this` is the VM that was configured before all others that asked.
    pub fn claim_first_vm(&self, data: &dyn SharedData, this: FirstVm) -> bool {
        let key = self.keys.first_vm();
        let Ok(value) = data.shared_data(&key) else {
            return false;
        };
        let (known, condition) = match &value {
            Some(value) => (
                FirstVm::from_bytes(&value.bytes),
                WriteCondition::Unchanged(value.cas),
            ),
            None => (None, WriteCondition::Absent),
        };
        match known {
            Some(known) if known.id == this.id => true,
            Some(known) if known.started <= this.started => false,
            _ => data
                .set_shared_data(&key, &this.to_bytes(), condition)
                .is_ok(),
        }
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

/// The key for the fingerprints of new lists. The first VM of the process that needs it creates it.
pub fn fingerprint_key(host: &dyn Host) -> FingerprintKey {
    let stored = host.shared_data(FINGERPRINT_KEY).ok().flatten();
    let known = stored
        .as_ref()
        .and_then(|value| key_from_bytes(&value.bytes));
    if let Some(key) = known {
        return key;
    }
    let words = [host.random(), host.random()];
    let payload: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let bytes = frame(Record::FingerprintKey, FrameHeader::NO_LIST, &payload);
    let condition = stored.map_or(WriteCondition::Absent, |value| {
        WriteCondition::Unchanged(value.cas)
    });
    match host.set_shared_data(FINGERPRINT_KEY, &bytes, condition) {
        Ok(()) => None,
        // Another VM was faster.
        Err(_) => read(host, FINGERPRINT_KEY).and_then(|bytes| key_from_bytes(&bytes)),
    }
    .unwrap_or(FingerprintKey::from_words(words))
}

fn key_from_bytes(bytes: &[u8]) -> Option<FingerprintKey> {
    let (_, payload) = unframe(Record::FingerprintKey, bytes)?;
    let mut reader = Reader(payload);
    Some(FingerprintKey::from_words([reader.u64()?, reader.u64()?]))
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
