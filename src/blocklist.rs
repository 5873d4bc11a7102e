//! The list in force: how it is built, kept, and looked up.
//!
//! ```text
//! entries -> Builder -> Blocklist -> snapshot bytes: manifest | gate shards | buckets | ranges   (shared data)
//!                                        every VM keeps: manifest, gate, ranges
//! a request's fingerprint -> gate: "surely not listed", or "maybe" -> one bucket, exact
//! ```
//!
//! Owns the structures and their bytes. Knows neither JSON nor shared-data keys, and makes no hostcall.

mod builder;
mod gate;
mod local;
mod ranges;
pub mod snapshot;
mod sort;

pub use builder::{Blocklist, Builder, BuilderFull};
pub use gate::Gate;
pub use local::LocalList;
pub use ranges::AddressRanges;
