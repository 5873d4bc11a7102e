//! Verdicts and their reasons, with the names that operators see. Makes no decision.

use core::fmt;
use std::sync::Arc;

use crate::identifier::{IdentifierKind, PerKind};

/// The list that denied a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListOrigin {
    /// The deny list of the plugin configuration.
    Manual,
    /// The list of the feed with this name, or its rule for requests before the first list.
    Feed(Arc<str>),
}

impl ListOrigin {
    /// The name in metrics, response code details and filter state.
    pub fn as_str(&self) -> &str {
        match self {
            ListOrigin::Manual => "manual",
            ListOrigin::Feed(name) => name,
        }
    }
}

/// What a request was denied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DenyKind {
    /// An identifier of this kind is listed.
    Listed(IdentifierKind),
    /// There is no list yet, and `before_first_list` is "deny".
    NoList,
}

impl DenyKind {
    /// The kinds of a list with identifiers of `kinds`, in the order of the contract.
    pub fn of(kinds: PerKind<bool>) -> impl Iterator<Item = DenyKind> {
        let kinds = IdentifierKind::ALL
            .into_iter()
            .filter(move |kind| *kinds.get(*kind));
        kinds.map(DenyKind::Listed).chain([DenyKind::NoList])
    }

    /// The name in metrics, response code details and filter state.
    pub const fn as_str(self) -> &'static str {
        match self {
            DenyKind::Listed(kind) => kind.as_str(),
            DenyKind::NoList => "no_list",
        }
    }
}

/// Why a request is denied, or would be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DenyReason {
    /// The list.
    pub origin: ListOrigin,
    /// The kind of identifier.
    pub kind: DenyKind,
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.origin.as_str(), self.kind.as_str())
    }
}

/// The decision on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It passes: it is on the allow list.
    AllowListed,
    /// It gets the deny response.
    Deny(DenyReason),
    /// It passes, but is counted and marked: shadow mode.
    WouldDeny(DenyReason),
}

impl Verdict {
    /// The more severe of two verdicts on one request; the first if they are equally severe.
    pub fn or_severer(self, other: Verdict) -> Verdict {
        let severity = |verdict: &Verdict| match verdict {
            Verdict::Allow => 0,
            Verdict::AllowListed => 1,
            Verdict::WouldDeny(_) => 2,
            Verdict::Deny(_) => 3,
        };
        if severity(&other) > severity(&self) {
            other
        } else {
            self
        }
    }

    /// Whether an entry of the list of the feed `name` denies the request, or would. The absence of a list is no entry.
    pub fn is_entry_of(&self, name: &str) -> bool {
        match self {
            Verdict::Deny(reason) | Verdict::WouldDeny(reason) => {
                reason.kind != DenyKind::NoList
                    && matches!(&reason.origin, ListOrigin::Feed(feed) if **feed == *name)
            }
            Verdict::Allow | Verdict::AllowListed => false,
        }
    }
}
