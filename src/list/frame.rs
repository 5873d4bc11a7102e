//! The frame around every value in shared data: written by a publisher, read without trusting it.
//!
//! Magic, format version, record, generation, index, length, checksum, payload. Truncated or changed bytes, and those of
//! another format, record or generation, read as absent.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;

const MAGIC: [u8; 4] = *b"PRTC";
const FORMAT: u8 = 3;
const HEADER: usize = 32;

/// The type of a frame's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Record {
    /// A [`super::Manifest`].
    Manifest = 1,
    /// A shard of the membership filter.
    Shard = 2,
    /// A bucket of fingerprints.
    Bucket = 3,
    /// A chunk of address ranges.
    Ranges = 4,
    /// Who may fetch, and when.
    Lease = 5,
    /// How old the list is.
    Freshness = 6,
    /// Which VM of the process was configured first.
    FirstVm = 7,
    /// The key of the fingerprints.
    FingerprintKey = 8,
}

/// The header of a valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The generation of the list; 0 for records that belong to no list.
    pub generation: u64,
    /// The number of the shard, bucket or chunk.
    pub index: u32,
}

impl FrameHeader {
    /// For records that belong to no list.
    pub const NO_LIST: FrameHeader = FrameHeader {
        generation: 0,
        index: 0,
    };
}

/// Frames `payload`.
pub fn frame(record: Record, header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    frame_of([0; 2], record, header, payload)
}

/// Like [`frame`], with a checksum keyed by the identity of a list.
pub fn frame_of(list: [u64; 2], record: Record, header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER.saturating_add(payload.len()));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, record as u8, 0, 0]);
    bytes.extend_from_slice(&header.generation.to_le_bytes());
    bytes.extend_from_slice(&header.index.to_le_bytes());
    // No payload is longer than 32 bits can count; a longer one would read as absent.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    let sum = checksum(list, &bytes, payload);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The header and the payload of a frame; `None` unless it is complete, unchanged, of this format and holds this record.
pub fn unframe(record: Record, bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
    unframe_of([0; 2], record, bytes)
}

/// Like [`unframe`], for a frame of [`frame_of`].
pub fn unframe_of(list: [u64; 2], record: Record, bytes: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let (header, payload) = bytes.split_at_checked(HEADER)?;
    let (checked, sum) = header.split_at_checked(24)?;
    let mut reader = Reader(checked);
    if reader.take(4)? != MAGIC || reader.take(4)? != [FORMAT, record as u8, 0, 0] {
        return None;
    }
    let (generation, index, length) = (reader.u64()?, reader.u32()?, reader.u32()?);
    let whole = usize::try_from(length) == Ok(payload.len());
    let unchanged = sum == checksum(list, checked, payload).to_le_bytes();
    (whole && unchanged).then_some((FrameHeader { generation, index }, payload))
}

/// `list`: the identity of the list that the value belongs to; zeros for records of no list.
fn checksum(list: [u64; 2], header: &[u8], payload: &[u8]) -> u64 {
    let [first, second] = list;
    let mut hasher = SipHasher13::new_with_keys(first, second);
    hasher.write(header);
    hasher.write(payload);
    hasher.finish()
}

/// Reads little-endian numbers from the front of bytes; `None` past their end.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        Some(u128::from_le_bytes(self.take(16)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_newer_format_reads_as_absent() {
        let payload = b"anything";
        let header = FrameHeader {
            generation: 1,
            index: 0,
        };
        let mut bytes = frame(Record::Bucket, header, payload);
        assert!(unframe(Record::Bucket, &bytes).is_some());
        assert!(unframe(Record::Shard, &bytes).is_none());
        bytes[4] = FORMAT + 1;
        let sum = checksum([0; 2], &bytes[..24], payload);
        bytes[24..32].copy_from_slice(&sum.to_le_bytes());
        assert!(unframe(Record::Bucket, &bytes).is_none());
    }
}
