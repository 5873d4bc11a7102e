//! The lists and limits by which one configuration judges. Makes no decision.

use core::time::Duration;

use super::breaker::DenyBreaker;
use crate::config::{BeforeFirstList, Config, Feed, WhenStale};
use crate::identifier::{FingerprintKey, IdentifierKind, PerKind};
use crate::list::{ActiveList, AddressRanges, ManualList};

/// The manual lists of one configuration.
#[derive(Debug)]
pub struct Policy {
    pub(super) allow_list: ManualList,
    pub(super) deny_list: ManualList,
    /// The kinds on either list.
    pub(super) manual_kinds: PerKind<bool>,
}

impl Policy {
    /// The policy of `config`. `key`: for the fingerprints of the manual lists.
    pub fn new(config: &Config, key: FingerprintKey) -> Self {
        let allow_list = ManualList::new(key, config.allow_list.identifiers());
        let deny_list = ManualList::new(key, config.deny_list.identifiers());
        let mut manual_kinds = PerKind::default();
        for kind in IdentifierKind::ALL {
            *manual_kinds.get_mut(kind) = allow_list.holds(kind) || deny_list.holds(kind);
        }
        Self {
            allow_list,
            deny_list,
            manual_kinds,
        }
    }
}

/// The limits of one feed.
#[derive(Debug)]
pub struct FeedPolicy {
    pub(super) never_block: AddressRanges,
    pub(super) breaker: DenyBreaker,
}

impl FeedPolicy {
    /// The policy of `feed`.
    pub fn new(feed: &Feed) -> Self {
        let mut never_block = AddressRanges::default();
        for range in &feed.guard.never_block {
            never_block.push(*range);
        }
        never_block.seal();
        Self {
            never_block,
            breaker: DenyBreaker::default(),
        }
    }

    /// Advances the time of the limit on denied requests.
    pub fn tick(&self, feed: &Feed, now: Duration) {
        let Some(max_percent) = feed.guard.max_denied_percent else {
            return;
        };
        if !self.breaker.tick(now, max_percent) {
            return;
        }
        let list = match feed.is_abs() {
            true => "ABS's list".to_owned(),
            false => format!("the list {}", feed.name),
        };
        let setting = feed.setting("guard.max_denied_percent");
        if self.breaker.is_open() {
            log::error!(
                "{list} denies more than {setting} of the requests: the filter only counts what it would deny until \
                 the share has fallen"
            );
        } else {
            log::warn!(
                "{list} denies no more than {setting} of the requests: the filter enforces it again"
            );
        }
    }
}

/// A feed of a request.
#[derive(Debug)]
pub struct FeedList<'a, L> {
    /// The feed.
    pub feed: &'a Feed,
    /// Its policy.
    pub policy: &'a FeedPolicy,
    /// Its list; `None` before the first one.
    pub list: Option<L>,
}

impl<'a, L: ActiveList> FeedList<'a, L> {
    /// A feed without a list yet.
    pub fn new(feed: &'a Feed, policy: &'a FeedPolicy) -> Self {
        Self {
            feed,
            policy,
            list: None,
        }
    }

    /// The list, unless it is too old to be enforced.
    pub(super) fn enforced(&self) -> Option<&L> {
        let list = self.list.as_ref();
        list.filter(|list| !list.is_stale() || self.feed.when_stale == WhenStale::Keep)
    }

    /// Whether requests are denied because there is no list yet.
    pub(super) fn denies_without_list(&self) -> bool {
        self.list.is_none() && self.feed.before_first_list == BeforeFirstList::Deny
    }
}
