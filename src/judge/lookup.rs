//! Looks up a request's identifiers in the lists of one configuration.
//!
//! `judge` decides what the findings mean. Makes no hostcall, except for exact entries of a feed's list.

use std::net::IpAddr;

use super::policy::{FeedList, Policy};
use crate::identifier::{
    ClientIdentifier, Fingerprint, FingerprintKey, IdentifierKind, PerKind, embedded_ipv4,
    host_of_prefix,
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
    candidates: Vec<Candidate>,
}

/// Fingerprints that are to be looked up together, and the indexes of their feeds.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    places: [(usize, Fingerprint); 8],
    n: usize,
}

impl Waiting {
    pub(super) const NONE: Self = Self {
        places: [(0, Fingerprint(0)); 8],
        n: 0,
    };

    /// Adds one; `false` if there is no place.
    fn add(&mut self, feed: usize, fingerprint: Fingerprint) -> bool {
        let place = self.places.get_mut(self.n);
        place.is_some_and(|place| {
            *place = (feed, fingerprint);
            self.n = self.n.saturating_add(1);
            true
        })
    }
}

/// An identifier that the list of a feed may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    /// The index of the feed.
    feed: usize,
    /// `None` for an address in a range of the list, which needs no exact look-up.
    fingerprint: Option<Fingerprint>,
}

impl Findings {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_allowed && self.denied.is_none() && self.candidates.is_empty()
    }

    /// The kind of the first identifier that the list of the feed `index` contains.
    pub(super) fn listed(
        &self,
        index: usize,
        list: &mut impl ActiveList,
    ) -> Option<IdentifierKind> {
        let of_feed = self.candidates.iter().filter(|it| it.feed == index);
        if of_feed.clone().any(|it| it.fingerprint.is_none()) {
            return Some(IdentifierKind::Ip);
        }
        let fingerprints = of_feed.filter_map(|it| it.fingerprint);
        IdentifierKind::ALL.into_iter().find(|kind| {
            let mut of_kind = fingerprints.clone().filter(|it| it.kind() == Some(*kind));
            of_kind.any(|fingerprint| list.contains(fingerprint))
        })
    }

    fn add(&mut self, feed: usize, fingerprint: Option<Fingerprint>) {
        let candidate = Candidate { feed, fingerprint };
        // A value that is repeated is looked up once. There are few candidates, even if a client sends thousands of values.
        if !self.candidates.contains(&candidate) {
            self.candidates.push(candidate);
        }
    }
}

/// The lists of one configuration.
pub(super) struct Lookup<'a, 'f, L> {
    policy: &'a Policy,
    feeds: &'a [FeedList<'f, L>],
}

impl<'a, 'f, L: ActiveList> Lookup<'a, 'f, L> {
    pub(super) fn new(policy: &'a Policy, feeds: &'a [FeedList<'f, L>]) -> Self {
        Self { policy, feeds }
    }

    /// The enforced lists, with the indexes of their feeds.
    fn lists(&self) -> impl Iterator<Item = (usize, &'a FeedList<'f, L>, &'a L)> {
        let feeds = self.feeds.iter().enumerate();
        feeds.filter_map(|(index, feed)| Some((index, feed, feed.enforced()?)))
    }

    /// The kinds of which any list has an identifier.
    pub(super) fn kinds(&self) -> PerKind<bool> {
        let lists = self.lists().map(|(_, _, list)| list.kinds());
        lists.fold(self.policy.manual_kinds, PerKind::or)
    }

    /// Looks up an address and the first address of its `ipv6_prefix`. Lists that deny also apply to the IPv4 address that
    /// it embeds. The allow list does not: a client may have an address that embeds another client's.
    pub(super) fn find_address(
        &self,
        address: IpAddr,
        ipv6_prefix: u8,
        waiting: &mut Waiting,
        findings: &mut Findings,
    ) {
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
        let denied = || own.iter().copied().chain(embedded_ipv4(address));
        if denied().any(|it| policy.deny_list.contains_address(it)) {
            findings.denied = Some(IdentifierKind::Ip);
        }
        for (index, feed, list) in self.lists() {
            let never_block = &feed.policy.never_block;
            if own.iter().any(|it| never_block.contains(*it)) {
                continue;
            }
            for address in denied() {
                if list.contains_address(address) {
                    findings.add(index, None);
                }
                let fingerprint = ClientIdentifier::from(address).fingerprint(list.key());
                self.find_fingerprint(index, list, fingerprint, waiting, findings);
            }
        }
    }

    /// Looks up an identifier other than an address; [`Lookup::look_up`] finishes that.
    pub(super) fn find(
        &self,
        identifier: ClientIdentifier<'_>,
        waiting: &mut Waiting,
        findings: &mut Findings,
    ) {
        let kind = identifier.kind();
        if *self.policy.manual_kinds.get(kind) {
            findings.is_allowed |= self.policy.allow_list.contains(identifier);
            if self.policy.deny_list.contains(identifier) {
                findings.denied = Some(findings.denied.map_or(kind, |known| known.min(kind)));
            }
        }
        // Lists of one process have the same key, except while it changes: one fingerprint serves all.
        let mut known: Option<(FingerprintKey, Fingerprint)> = None;
        for (index, _, list) in self.lists().filter(|(_, _, list)| *list.kinds().get(kind)) {
            let fingerprint = match known {
                Some((key, fingerprint)) if key == *list.key() => fingerprint,
                _ => identifier.fingerprint(list.key()),
            };
            known = Some((*list.key(), fingerprint));
            self.find_fingerprint(index, list, fingerprint, waiting, findings);
        }
    }

    /// Looks up a fingerprint in the list of the feed `index`, now or together with others.
    fn find_fingerprint(
        &self,
        index: usize,
        list: &L,
        fingerprint: Fingerprint,
        waiting: &mut Waiting,
        findings: &mut Findings,
    ) {
        if !L::LOOKS_UP_TOGETHER {
            if list.may_contain(fingerprint) {
                findings.add(index, Some(fingerprint));
            }
        } else if !waiting.add(index, fingerprint) {
            self.look_up(waiting, findings);
            waiting.add(index, fingerprint);
        }
    }

    /// Looks up everything that waits.
    pub(super) fn look_up(&self, waiting: &mut Waiting, findings: &mut Findings) {
        if !L::LOOKS_UP_TOGETHER {
            return;
        }
        for (index, fingerprint) in waiting.places.iter().take(waiting.n) {
            let list = self.feeds.get(*index).and_then(|feed| feed.list.as_ref());
            if list.is_some_and(|list| list.may_contain(*fingerprint)) {
                findings.add(*index, Some(*fingerprint));
            }
        }
        waiting.n = 0;
    }
}
