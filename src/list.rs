//! The list as a data structure: built from entries, written to shared data, loaded by each worker, looked up.
//!
//! ```text
//! entries -> Builder -> Blocklist -> values: manifest | filter shards | buckets | ranges
//! values  -> Loader  -> each VM keeps: manifest, membership filter, ranges
//! look-up: the membership filter says "not listed" or "maybe"; one bucket has the exact fingerprints
//!
//! entries -> Builder -> Blocklist -> ExactList, which all threads of a process share; one look-up is exact
//! ```
//!
//! No JSON, no shared-data keys, no hostcalls.

mod active;
mod builder;
mod exact;
pub mod frame;
mod lifetimes;
mod loader;
mod manifest;
mod manual;
mod membership;
mod partition;
mod prefilter;
mod ranges;

pub use active::ActiveList;
pub use builder::{Blocklist, Builder, ListTooLarge};
pub use exact::{ExactList, ExactView};
pub use loader::{Loader, NextValue};
pub use manifest::{Layout, Manifest, Membership, Slot};
pub use manual::ManualList;
pub use membership::MembershipFilter;
pub use ranges::AddressRanges;
