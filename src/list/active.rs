//! The look-ups that judging a request needs, independent of how a list is stored. Owns the trait only.

use std::net::IpAddr;

use crate::identifier::{ClientIdentifier, Fingerprint, IdentifierKind};

/// A feed's list during one request.
pub trait ActiveList {
    /// Whether the list is older than its maximum age.
    fn is_stale(&self) -> bool;
    /// Whether the list has any identifier of this kind.
    fn holds(&self, kind: IdentifierKind) -> bool;
    /// Whether a range of the list contains the address.
    fn contains_address(&self, address: IpAddr) -> bool;
    /// The fingerprint to pass to [`ActiveList::contains`]; `None` if the identifier is not listed. Cheap.
    fn candidate(&self, identifier: ClientIdentifier<'_>) -> Option<Fingerprint>;
    /// Whether the list contains the candidate. Exact; may cost a hostcall.
    fn contains(&mut self, candidate: Fingerprint) -> bool;
}
