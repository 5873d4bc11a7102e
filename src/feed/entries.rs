//! The interface between a feed's parser and the receiver of its entries, and the counts of entries.
//! Knows no format of a list.

use core::fmt;
use core::time::Duration;

use crate::identifier::listed::Unusable;
use crate::identifier::{ClientIdentifier, IdentifierKind, PerKind};

/// Receives the entries of a list as they are read.
pub trait EntrySink {
    /// An entry, which ends by itself after `time_to_live` if there is one. The same identifier may come again with another
    /// one; the longest counts. `false` stops the reader: the sink accepts no more.
    fn entry(&mut self, entry: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool;
    /// An entry that can't be used.
    fn skipped(&mut self, entry: Skipped);
    /// A part of the body that is not for this list, such as a comment, ended. A limit on the bytes between two entries
    /// starts again.
    fn ignored(&mut self) {}
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
    /// Counts an entry that the sink received.
    pub fn add_usable(&mut self, kind: IdentifierKind) {
        let usable = self.usable.get_mut(kind);
        *usable = usable.saturating_add(1);
    }

    /// Counts an unusable entry; returns its record.
    pub fn add_skipped(&mut self, kind: IdentifierKind, reason: Unusable) -> Skipped {
        let entry = Skipped {
            kind,
            position: self.of_kind(kind).saturating_add(1),
            reason,
        };
        let skipped = self.skipped.get_mut(kind);
        *skipped = skipped.saturating_add(1);
        self.first_skipped.get_mut(kind).get_or_insert(entry);
        entry
    }

    /// Whether there are entries and none can be used.
    pub fn is_unusable(&self) -> bool {
        let n_skipped = self.n_skipped();
        n_skipped > 0 && n_skipped == self.n_entries()
    }

    /// The number of unusable entries of all kinds.
    pub fn n_skipped(&self) -> u64 {
        self.skipped.total()
    }

    /// The number of entries of all kinds, usable or not.
    pub fn n_entries(&self) -> u64 {
        self.usable.total().saturating_add(self.n_skipped())
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
