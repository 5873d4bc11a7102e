//! ABS's attack list JSON, read as a stream into an [`EntrySink`]; the only files that know its shape.
//!
//! No sample of ABS's response to `GET /v4/abs/attacklist` is public, so every shape that its documentation suggests is
//! accepted: the five keys at the top level or under `attacklist`, any of them missing or null, entries as strings, numbers
//! or objects, API keys as a list or by name. An unusable entry is skipped and counted. A body of another shape, or with
//! unusable entries only, is not a list and never replaces one. The body must be complete JSON, so that a truncated list is
//! never accepted.
//!
//! | file | owns |
//! |---|---|
//! | `abs.rs` | the entry point |
//! | `abs/call.rs` | the call that fetches the list |
//! | `abs/attack_list.rs` | which JSON value is an entry, and of which kind |
//! | `abs/error.rs` | why a body is not an attack list |
//! | `abs/repair.rs` | replaces invalid UTF-8 and lone surrogates |

use core::cell::Cell;
use std::io::Read;

use self::attack_list::AttackListReader;
pub use self::error::AttackListError;
use self::repair::Repaired;
use super::entries::{EntryCounts, EntrySink};
use crate::codec::json::{self, BUFFER_BYTES};

mod attack_list;
pub mod call;
mod error;
mod repair;
#[cfg(test)]
mod tests;

/// Reads an attack list and passes its entries to `sink`, in the order of the body.
///
/// ```json
/// {"ips": ["192.0.2.1", "198.51.100.0/24", {"ip": "2001:db8::1", "access_time": []}],
///  "cookies": {"PHPSESSIONID": ["Cookie1", {"cookie": "Cookie2"}]},
///  "oauth_tokens": ["Token1", {"access_token": "Token2"}],
///  "api_keys": ["key1", {"api_key": "key2"}],
///  "usernames": ["bob", {"username": "alice"}, 1001]}
/// ```
///
/// The same may be under `attacklist`; if both are there, both count, as do repeated keys. `api_keys` may also map names
/// to lists of values. Unknown keys are ignored. `identifier::listed` trims the values; a number is read
/// as its text.
///
/// Unusable entries go to [`EntrySink::skipped`]: an address that does not parse, a value that no request can carry, a
/// wrong type, a null. A key with null, an empty list or an empty object has no entries. Bytes that
/// are not UTF-8, and lone surrogates in `\u` escapes, make only their own entry unusable.
///
/// Nesting does not grow the stack. Memory is bounded by the longest string of the body.
///
/// # Errors
///
/// See [`AttackListError`]. The list is complete only with `Ok`.
pub fn read_attack_list(
    body: &mut dyn Read,
    sink: &mut dyn EntrySink,
) -> Result<EntryCounts, AttackListError> {
    let has_replaced = Cell::new(false);
    let mut reader = AttackListReader::new(sink, &has_replaced);
    let outcome = json::read(
        &mut Repaired::new(body, &has_replaced),
        BUFFER_BYTES,
        &mut reader,
    );
    reader.finish(outcome)
}
