//! Verdicts and their reasons, with the names that operators see. Makes no decision.

use core::fmt;

use crate::identifier::IdentifierKind;

/// The list that denied a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrigin {
    /// ABS's attack list, or the rule for requests before the first list.
    Abs,
    /// The deny list of the plugin configuration.
    Manual,
}

impl ListOrigin {
    /// The name in metrics, response code details and filter state.
    pub const fn as_str(self) -> &'static str {
        match self {
            ListOrigin::Abs => "abs",
            ListOrigin::Manual => "manual",
        }
    }
}

/// The kind of reason for a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyKind {
    /// An identifier of this kind is listed.
    Listed(IdentifierKind),
    /// There is no list yet, and `before_first_list` is "deny".
    NoList,
}

impl DenyKind {
    /// Every kind, in the order of the contract.
    pub const ALL: [DenyKind; 6] = [
        DenyKind::Listed(IdentifierKind::Ip),
        DenyKind::Listed(IdentifierKind::Cookie),
        DenyKind::Listed(IdentifierKind::OauthToken),
        DenyKind::Listed(IdentifierKind::ApiKey),
        DenyKind::Listed(IdentifierKind::Username),
        DenyKind::NoList,
    ];

    /// The name in metrics, response code details and filter state.
    pub const fn as_str(self) -> &'static str {
        match self {
            DenyKind::Listed(kind) => kind.as_str(),
            DenyKind::NoList => "no_list",
        }
    }
}

/// Why a request is denied, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenyReason {
    /// The list.
    pub origin: ListOrigin,
    /// The kind of identifier.
    pub kind: DenyKind,
}

impl DenyReason {
    /// Whether an entry of a feed's list is the reason. False if the list is missing.
    pub fn is_feed_entry(self) -> bool {
        self.origin != ListOrigin::Manual && self.kind != DenyKind::NoList
    }
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.origin.as_str(), self.kind.as_str())
    }
}

/// The decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let severity = |verdict| match verdict {
            Verdict::Allow => 0,
            Verdict::AllowListed => 1,
            Verdict::WouldDeny(_) => 2,
            Verdict::Deny(_) => 3,
        };
        if severity(other) > severity(self) {
            other
        } else {
            self
        }
    }

    /// Whether an entry of a feed's list denies the request, or would.
    pub fn is_of_feed_entry(self) -> bool {
        match self {
            Verdict::Deny(reason) | Verdict::WouldDeny(reason) => reason.is_feed_entry(),
            Verdict::Allow | Verdict::AllowListed => false,
        }
    }
}
