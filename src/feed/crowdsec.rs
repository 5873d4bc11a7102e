//! CrowdSec's decisions, read as a stream into an [`EntrySink`]; the only files that know the local API (LAPI).
//!
//! Whole lists only (`startup=true`): they need no state in LAPI, and a response that was lost repairs itself with the next.
//!
//! | file | owns |
//! |---|---|
//! | `crowdsec.rs` | the entry point, its options and counts |
//! | `crowdsec/call.rs` | the path of the call |
//! | `crowdsec/decisions.rs` | which JSON value is a decision |
//! | `crowdsec/decision.rs` | which decision is an entry |
//! | `crowdsec/duration.rs` | Go's durations |
//! | `crowdsec/error.rs` | why a body is not a list of decisions, in words |
//! | `crowdsec/usage.rs` | usage metrics: the path and the body of the call |

use std::io::Read;

use self::decisions::DecisionsReader;
pub use self::error::DecisionsError;
use super::entries::{EntryCounts, EntrySink};
use crate::codec::json::{self, BUFFER_BYTES};

pub mod call;
mod decision;
mod decisions;
mod duration;
mod error;
#[cfg(test)]
mod tests;
pub mod usage;

/// The decision type that blocks, if the configuration names no other.
pub const DEFAULT_TYPE: &str = "ban";

/// Which decisions are entries. Types and scopes are compared without regard to ASCII case.
#[derive(Clone, Copy, Debug)]
pub struct DecisionOptions<'a> {
    /// The decision types that block.
    pub types: &'a [String],
    /// The cookie whose values have the scope `session`.
    pub session_cookie: Option<&'a str>,
    /// Scopes, each with the header that carries its values.
    pub scope_headers: &'a [(String, String)],
}

/// The numbers of decisions in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// Entries, usable or not.
    pub entries: EntryCounts,
    /// Decisions of a scope without a meaning here.
    pub unknown_scope: u64,
    /// Decisions of a type that does not block, and simulated ones.
    pub other_type: u64,
    /// Decisions whose time is over.
    pub expired: u64,
}

/// Reads a response to `GET /v1/decisions/stream?startup=true` and passes its entries to `sink`, in the order of the body.
///
/// ```json
/// {"new": [{"duration": "3h57m59s", "id": 1, "origin": "crowdsec", "scenario": "crowdsecurity/ssh-bf",
///           "scope": "Ip", "type": "ban", "uuid": "...", "value": "192.0.2.1"}],
///  "deleted": null}
/// ```
///
/// | scope | entry |
/// |---|---|
/// | `Ip`, `Range` | an address or a range |
/// | one of `scope_headers` | a value of its header |
/// | `username` | a user name |
/// | `session` | a value of `session_cookie`, if there is one |
///
/// `new` is a list, or null for an empty one. `deleted` is ignored: in a startup response it may name values that are active
/// under another id. So are unknown keys. The time to live of an entry is the decision's duration. The same value may come several times.
///
/// Unusable decisions go to [`EntrySink::skipped`]: one without a type or a scope, a value that is not of its scope or that no
/// request can carry, a duration that can't be read. Decisions of other types and scopes, and expired ones, are counted.
///
/// Nesting does not grow the stack. Memory is bounded by the longest string of the body.
///
/// # Errors
///
/// See [`DecisionsError`]. The list is complete only with `Ok`. LAPI closes its JSON after a database error, too, so a list
/// that is complete here may still be short; `guard.max_change_percent` is the defence.
pub fn read_decisions(
    body: &mut dyn Read,
    options: &DecisionOptions<'_>,
    sink: &mut dyn EntrySink,
) -> Result<DecisionCounts, DecisionsError> {
    let mut reader = DecisionsReader::new(sink, options);
    let outcome = json::read(body, BUFFER_BYTES, &mut reader);
    reader.finish(outcome)
}
