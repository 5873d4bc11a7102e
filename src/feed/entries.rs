//! The interface between a feed's parser and the receiver of its entries, and the counts of entries.
//! Knows no format of a list.

use core::fmt;

use crate::identifier::listed::Unusable;
use crate::identifier::{ClientIdentifier, IdentifierKind, PerKind};

/// Receives the entries of a list as they are read.
pub trait EntrySink {
    /// An entry. `false` stops the reader: the sink accepts no more.
    fn entry(&mut self, entry: ClientIdentifier<'_>) -> bool;
    /// An entry that can't be used.
    fn skipped(&mut self, entry: Skipped);
}

/// An unusable entry, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its kind.
    pub kind: IdentifierKind,
    /// Its number among the entries of its kind, from 1, in the order of the body.
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
        write!(f, "entry {position} of {}: {reason}", kind.list_key())
    }
}

/// The numbers of entries in a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryCounts {
    /// Entries that the sink received; repeated ones count each time.
    pub usable: PerKind<u64>,
    /// Unusable entries.
    pub skipped: PerKind<u64>,
    /// The first unusable entry of each kind.
    pub first_skipped: PerKind<Option<Skipped>>,
}

impl EntryCounts {
    /// The number of unusable entries of all kinds.
    pub fn n_skipped(&self) -> u64 {
        sum(&self.skipped)
    }

    /// The number of entries of all kinds, usable or not.
    pub fn n_entries(&self) -> u64 {
        sum(&self.usable).saturating_add(self.n_skipped())
    }

    /// The number of entries of a kind, usable or not.
    pub fn of_kind(&self, kind: IdentifierKind) -> u64 {
        let (usable, skipped) = (self.usable.get(kind), self.skipped.get(kind));
        usable.saturating_add(*skipped)
    }
}

/// The unusable entries by kind: `ips 2 of 3 (entry 1 of ips: empty)`.
impl fmt::Display for EntryCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for kind in IdentifierKind::ALL {
            if let Some(first) = self.first_skipped.get(kind) {
                let (skipped, all) = (self.skipped.get(kind), self.of_kind(kind));
                write!(
                    f,
                    "{separator}{} {skipped} of {all} ({first})",
                    kind.list_key()
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
