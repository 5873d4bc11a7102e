//! The look-ups that judging a request needs, independent of how a list is stored. Owns the trait only.

use std::net::IpAddr;

use crate::identifier::{Fingerprint, FingerprintKey, PerKind};

/// A feed's list during one request.
pub trait ActiveList {
    /// Whether the look-ups of a request are made together: the processor then waits for the memory of all at once, which
    /// takes most of the time of a look-up in a large list.
    const LOOKS_UP_TOGETHER: bool;

    /// Whether the list is older than its maximum age.
    fn is_stale(&self) -> bool;
    /// The kinds of which the list has an identifier.
    fn kinds(&self) -> PerKind<bool>;
    /// Whether a range of the list contains the address.
    fn contains_address(&self, address: IpAddr) -> bool;
    /// The key of its fingerprints.
    fn key(&self) -> &FingerprintKey;
    /// Whether the list may contain the identifier with this fingerprint. Cheap; `false` is certain.
    fn may_contain(&self, fingerprint: Fingerprint) -> bool;
    /// Whether the list contains the identifier with this fingerprint. Exact; may cost a hostcall.
    fn contains(&mut self, fingerprint: Fingerprint) -> bool;
}
