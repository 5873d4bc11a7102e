//! Looks up a request's identifiers in the lists of one configuration.
//!
//! `judge` decides what the findings mean. Makes no hostcall, except for exact entries of a feed's list.

use std::net::IpAddr;

use super::policy::Policy;
use crate::identifier::{
    ClientIdentifier, Fingerprint, IdentifierKind, PerKind, embedded_ipv4, host_of_prefix,
};
use crate::list::ActiveList;

/// The identifiers of a request that are on a list. If several kinds are on one list, the first in the order of
/// [`IdentifierKind::ALL`] counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    /// Whether any identifier is on the allow list.
    pub(super) is_allowed: bool,
    /// The kind of the identifier that is on the deny list.
    pub(super) denied: Option<IdentifierKind>,
    /// Whether the address is in a range of the feed's list.
    in_range: bool,
    /// Identifiers that the feed's list may contain.
    candidates: Vec<Fingerprint>,
}

impl Findings {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_allowed && self.denied.is_none() && !self.in_range && self.candidates.is_empty()
    }

    /// The kind of the first identifier that the feed's list contains. No identifier is looked up twice.
    pub(super) fn listed(mut self, list: &mut impl ActiveList) -> Option<IdentifierKind> {
        if self.in_range {
            return Some(IdentifierKind::Ip);
        }
        self.candidates.sort_unstable();
        self.candidates.dedup();
        IdentifierKind::ALL.into_iter().find(|kind| {
            let mut of_kind = self.candidates.iter().filter(|it| it.kind() == Some(*kind));
            of_kind.any(|candidate| list.contains(*candidate))
        })
    }
}

/// The lists of one configuration.
pub(super) struct Lookup<'a, L> {
    policy: &'a Policy,
    list: Option<&'a L>,
}

impl<'a, L: ActiveList> Lookup<'a, L> {
    pub(super) fn new(policy: &'a Policy, list: Option<&'a L>) -> Self {
        Self { policy, list }
    }

    /// Whether any list has an identifier of this kind.
    pub(super) fn holds(&self, kind: IdentifierKind) -> bool {
        *self.policy.manual_kinds.get(kind) || self.list.is_some_and(|list| list.holds(kind))
    }

    /// The kinds to read from headers: those that any list has.
    pub(super) fn wanted(&self) -> PerKind<bool> {
        PerKind {
            ip: false,
            cookie: self.holds(IdentifierKind::Cookie),
            oauth_token: self.holds(IdentifierKind::OauthToken),
            api_key: self.holds(IdentifierKind::ApiKey),
            username: self.holds(IdentifierKind::Username),
            header: self.holds(IdentifierKind::Header),
            token_claims: self.holds(IdentifierKind::TokenClaims),
        }
    }

    /// Looks up an address and the first address of its `ipv6_prefix`. Lists that deny also apply to the IPv4 address that
    /// it embeds. The allow list does not: a client may have an address that embeds another client's.
    pub(super) fn find_address(&self, address: IpAddr, ipv6_prefix: u8, findings: &mut Findings) {
        let addresses = [address, host_of_prefix(address, ipv6_prefix)];
        let own = match addresses {
            [address, network] if address == network => &addresses[..1],
            _ => &addresses[..],
        };
        let policy = self.policy;
        if own.iter().any(|it| policy.allow_list.contains_address(*it)) {
            findings.is_allowed = true;
            return;
        }
        let never_block = own.iter().any(|it| policy.never_block.contains(*it));
        for address in own.iter().copied().chain(embedded_ipv4(address)) {
            if policy.deny_list.contains_address(address) {
                findings.denied = Some(IdentifierKind::Ip);
            }
            if let Some(list) = self.list.filter(|_| !never_block) {
                findings.in_range |= list.contains_address(address);
                findings.candidates.extend(list.candidate(address.into()));
            }
        }
    }

    /// Looks up an identifier other than an address.
    pub(super) fn find(&self, identifier: ClientIdentifier<'_>, findings: &mut Findings) {
        let kind = identifier.kind();
        if *self.policy.manual_kinds.get(kind) {
            findings.is_allowed |= self.policy.allow_list.contains(identifier);
            if self.policy.deny_list.contains(identifier) {
                findings.denied = Some(findings.denied.map_or(kind, |known| known.min(kind)));
            }
        }
        if let Some(list) = self.list
            && list.holds(kind)
            && let Some(fingerprint) = list.candidate(identifier)
            // Repeated values are often adjacent.
            && findings.candidates.last() != Some(&fingerprint)
        {
            findings.candidates.push(fingerprint);
        }
    }
}
