//! When the active list was last received or confirmed, and its validators. Knows no clock.

use core::time::Duration;

use crate::feed::response::Validators;
use crate::list::frame::{FrameHeader, Reader, Record, frame, unframe};

/// When the list server last sent or confirmed the active list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The list's generation.
    pub generation: u64,
    /// When, on the monotonic clock.
    pub last_success: Duration,
    /// A hash of the rules by which its entries were accepted: validators are valid under the same rules only.
    pub rules: u64,
    /// What identifies this version of the list at its server.
    pub validators: Validators,
}

impl Freshness {
    /// The value for shared data.
    pub fn to_bytes(&self) -> Vec<u8> {
        let last_success = u64::try_from(self.last_success.as_millis()).unwrap_or(u64::MAX);
        let mut payload = last_success.to_le_bytes().to_vec();
        payload.extend_from_slice(&self.rules.to_le_bytes());
        let Validators {
            etag,
            last_modified,
        } = &self.validators;
        payload.push(u8::try_from(etag.len()).unwrap_or(0));
        payload.extend_from_slice(etag);
        payload.extend_from_slice(last_modified);
        let header = FrameHeader {
            generation: self.generation,
            index: 0,
        };
        frame(Record::Freshness, header, &payload)
    }

    /// Reads the value of shared data.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, payload) = unframe(Record::Freshness, bytes)?;
        let mut reader = Reader(payload);
        let (last_success, rules) = (reader.u64()?, reader.u64()?);
        let length = usize::from(reader.u8()?);
        let (etag, last_modified) = reader.0.split_at_checked(length)?;
        Some(Self {
            generation: header.generation,
            last_success: Duration::from_millis(last_success),
            rules,
            validators: Validators {
                etag: etag.to_vec(),
                last_modified: last_modified.to_vec(),
            },
        })
    }

    /// Whether the list is older than `max_age`.
    pub fn is_stale(&self, now: Duration, max_age: Option<Duration>) -> bool {
        max_age.is_some_and(|max_age| now.saturating_sub(self.last_success) > max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn freshness_round_trips_and_expires() {
        let at = Duration::from_secs;
        let freshness = Freshness {
            generation: 4,
            last_success: at(9),
            rules: 3,
            validators: Validators {
                etag: b"\"x\"".to_vec(),
                last_modified: b"Sun, 06 Nov 1994 08:49:37 GMT".to_vec(),
            },
        };
        let bytes = freshness.to_bytes();
        assert_eq!(Freshness::from_bytes(&bytes), Some(freshness.clone()));
        assert_eq!(Freshness::from_bytes(b""), None);
        assert_eq!(unframe(Record::Lease, &bytes), None);
        assert!(freshness.is_stale(at(20), Some(at(10))));
        assert!(!freshness.is_stale(at(19), Some(at(10))));
        assert!(!freshness.is_stale(at(2000), None));
    }
}
