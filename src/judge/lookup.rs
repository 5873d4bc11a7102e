//! One request's questions to the lists.
//!
//! Owns which list is asked what. What the findings amount to is decided in `verdict`. Makes no hostcall.

use std::net::IpAddr;

use super::{Hits, Policy};
use crate::identifier::{Fingerprint, IdentifierKind, PerKind, embedded_ipv4, host_of_prefix};
use crate::list::ManualList;
use crate::request::IdentifierRef;
use crate::sync::source::{ActiveList, Source};

/// What the lists say of a request's identifiers.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) hits: Hits,
    /// What the gate of ABS's list let through; shared data has the exact entries.
    pub(super) maybe: Vec<Fingerprint>,
}

impl Findings {
    pub(super) fn is_empty(&self) -> bool {
        self.hits.is_empty() && self.maybe.is_empty()
    }
}

/// The lists that a request is looked up in.
pub(super) struct Lookup<'a> {
    policy: &'a Policy<'a>,
    list: Option<&'a ActiveList>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(policy: &'a Policy<'a>, source: Option<&'a Source>) -> Self {
        let list = source.and_then(|source| source.list(policy.config));
        Self { policy, list }
    }

    /// Whether any list names an identifier of this kind.
    pub(super) fn holds(&self, kind: IdentifierKind) -> bool {
        self.policy.allow_list.holds(kind)
            || self.policy.deny_list.holds(kind)
            || self.list.is_some_and(|list| list.holds(kind))
    }

    /// The kinds to read from headers: those that any list names.
    pub(super) fn wanted(&self) -> PerKind<bool> {
        PerKind {
            ip: false,
            cookie: self.holds(IdentifierKind::Cookie),
            oauth_token: self.holds(IdentifierKind::OauthToken),
            api_key: self.holds(IdentifierKind::ApiKey),
            username: self.holds(IdentifierKind::Username),
        }
    }

    /// Asks for an address, and for the first address of its `ipv6_prefix`. For denials also for the IPv4 address that it
    /// embeds; nothing is allowed for that, since anybody may hold an address that embeds another's.
    pub(super) fn ask_for_address(&self, address: IpAddr, findings: &mut Findings) {
        let network = host_of_prefix(address, self.policy.config.ipv6_prefix);
        let own = [Some(address), Some(network).filter(|it| *it != address)];
        let own = own.into_iter().flatten();
        if own.clone().any(|it| self.policy.allow_list.contains_ip(it)) {
            findings.hits.allow_list = true;
            return;
        }
        let never_block = own.clone().any(|it| self.policy.never_block.contains(it));
        for address in own.chain(embedded_ipv4(address)) {
            if self.policy.deny_list.contains_ip(address) {
                findings.hits.note_deny_list(IdentifierKind::Ip);
            }
            let Some(list) = self.list.filter(|_| !never_block) else {
                continue;
            };
            if list.ranges().contains(address) {
                findings.hits.note_attack_list(IdentifierKind::Ip);
                continue;
            }
            let fingerprint = list.key().ip(address);
            if list.may_contain(fingerprint) {
                findings.maybe.push(fingerprint);
            }
        }
    }

    /// Asks for an identifier that is no address.
    pub(super) fn ask(&self, identifier: IdentifierRef<'_>, findings: &mut Findings) {
        let kind = identifier.kind();
        let names = |list: &ManualList| {
            list.holds(kind) && list.contains(identifier.fingerprint(list.key()))
        };
        if names(self.policy.allow_list) {
            findings.hits.allow_list = true;
        }
        if names(self.policy.deny_list) {
            findings.hits.note_deny_list(kind);
        }
        if let Some(list) = self.list
            && list.holds(kind)
        {
            let fingerprint = identifier.fingerprint(list.key());
            // One value sent many times in a row takes one place.
            if list.may_contain(fingerprint) && findings.maybe.last() != Some(&fingerprint) {
                findings.maybe.push(fingerprint);
            }
        }
    }
}
