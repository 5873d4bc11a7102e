//! ABS's attack list JSON, read as a stream into an [`EntrySink`]; the only files that know its shape.
//!
//! No sample of ABS's answer to `GET /v4/abs/attacklist` is public, so every shape that its documentation hints at
//! is taken: the five keys at the top level or under `attacklist`, any of them missing or null, entries as strings,
//! numbers or objects, API keys as a list or by name. An entry that can't be used is skipped and counted. A body in
//! another shape, or without one usable entry among those it has, is not a list: it must never replace one. The body
//! must be JSON to its last byte, so that a part of a list is never taken for the whole.
//!
//! | file | owns |
//! |---|---|
//! | `attack_list.rs` | what goes in and what comes out |
//! | `attack_list/reading.rs` | the shape: which JSON value is an entry, and of which kind |
//! | `attack_list/error.rs` | why a body is not an attack list, in words |
//! | `attack_list/repair.rs` | bytes that are almost text |

use core::cell::Cell;
use core::fmt;
use std::io::Read;

pub use self::error::{AttackListError, Shape};
use self::reading::Reading;
use self::repair::Repaired;
use crate::codec::json::{self, BUFFER_BYTES};
use crate::identifier::listed::Unusable;
use crate::identifier::{ClientIdentifier, IdentifierKind, PerKind};

mod error;
mod reading;
mod repair;
#[cfg(test)]
mod tests;

/// Receives the entries of a list as they are read.
pub trait EntrySink {
    /// An entry. `false` stops the reader: the sink accepts no more.
    fn entry(&mut self, entry: ClientIdentifier<'_>) -> bool;
    /// An entry that can't be used.
    fn skipped(&mut self, entry: Skipped);
}

/// An entry that can't be used, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Which kind of identifier it was to be.
    pub kind: IdentifierKind,
    /// Which entry of its kind it is, from 1, in the order of the body.
    pub position: u64,
    /// Why it can't be used.
    pub reason: Unusable,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            position,
            reason,
        } = self;
        write!(f, "entry {position} of {}: {reason}", list_key(*kind))
    }
}

/// How many entries a body has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    /// Those that went to the sink; an entry that stands twice counts twice.
    pub usable: PerKind<u64>,
    /// Those that can't be used.
    pub skipped: PerKind<u64>,
    /// The first of each kind that can't be used.
    pub first_skipped: PerKind<Option<Skipped>>,
}

impl EntryCounts {
    /// How many can't be used, of every kind.
    pub fn n_skipped(&self) -> u64 {
        sum(&self.skipped)
    }

    /// How many there are, usable or not.
    pub fn n_entries(&self) -> u64 {
        sum(&self.usable).saturating_add(self.n_skipped())
    }

    fn of_kind(&self, kind: IdentifierKind) -> u64 {
        let (usable, skipped) = (self.usable.get(kind), self.skipped.get(kind));
        usable.saturating_add(*skipped)
    }
}

/// What can't be used, kind by kind: `ips 2 of 3 (entry 1 of ips: empty)`.
impl fmt::Display for EntryCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in IdentifierKind::ALL {
            if let Some(first) = self.first_skipped.get(kind) {
                let (skipped, all) = (self.skipped.get(kind), self.of_kind(kind));
                write!(
                    f,
                    "{separator}{} {skipped} of {all} ({first})",
                    list_key(kind)
                )?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

fn sum(counts: &PerKind<u64>) -> u64 {
    let by_kind = IdentifierKind::ALL.map(|kind| *counts.get(kind));
    by_kind.into_iter().fold(0, u64::saturating_add)
}

/// The key of a list under which the entries of a kind stand.
pub const fn list_key(kind: IdentifierKind) -> &'static str {
    match kind {
        IdentifierKind::Ip => "ips",
        IdentifierKind::Cookie => "cookies",
        IdentifierKind::OauthToken => "oauth_tokens",
        IdentifierKind::ApiKey => "api_keys",
        IdentifierKind::Username => "usernames",
    }
}

/// Reads a whole attack list and hands its entries to `sink`, in the order of the body.
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
/// to lists of values. Unknown keys are ignored. What `list_value` cuts off a value is cut off; a number is read as its
/// text.
///
/// An entry that can't be used goes to [`EntrySink::skipped`]: an address that does not parse, a value that no request
/// can carry, a wrong type, a null. A key whose value is null, an empty list or an empty object has no entries. Bytes that
/// are not UTF-8, and `\u` escapes that are half a character, make their entry unusable, but not the body unreadable.
///
/// However deeply the body nests, the stack does not grow. Memory is bounded by the longest string of the body.
///
/// # Errors
///
/// See [`AttackListError`]. Only with `Ok` is the list whole.
pub fn read_attack_list<R: Read>(
    mut body: R,
    sink: &mut dyn EntrySink,
) -> Result<EntryCounts, AttackListError> {
    // Behind `dyn`, so that the parser is in the module once, whatever the bodies are.
    read(&mut body, sink)
}

fn read(body: &mut dyn Read, sink: &mut dyn EntrySink) -> Result<EntryCounts, AttackListError> {
    let has_replaced = Cell::new(false);
    let mut reading = Reading::new(sink, &has_replaced);
    let outcome = json::read(
        &mut Repaired::new(body, &has_replaced),
        BUFFER_BYTES,
        &mut reading,
    );
    reading.finish(outcome)
}
