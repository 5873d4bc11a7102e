//! The lists and limits by which one configuration judges. Makes no decision.

use core::time::Duration;

use super::breaker::DenyBreaker;
use crate::config::Config;
use crate::identifier::{FingerprintKey, IdentifierKind, PerKind};
use crate::list::{AddressRanges, ManualList};

/// Everything by which one configuration judges.
#[derive(Debug)]
pub struct Policy {
    pub(super) allow_list: ManualList,
    pub(super) deny_list: ManualList,
    /// The kinds on either list.
    pub(super) manual_kinds: PerKind<bool>,
    pub(super) never_block: AddressRanges,
    pub(super) breaker: DenyBreaker,
}

impl Policy {
    /// The policy of `config`. `key`: for the fingerprints of the manual lists.
    pub fn new(config: &Config, key: FingerprintKey) -> Self {
        let mut never_block = AddressRanges::default();
        for range in &config.guard.never_block {
            never_block.push(*range);
        }
        never_block.seal();
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
            never_block,
            breaker: DenyBreaker::default(),
        }
    }

    /// Advances the time of the circuit breaker.
    pub fn tick(&mut self, config: &Config, now: Duration) {
        if let Some(max_percent) = config.guard.max_denied_percent {
            self.breaker.tick(now, max_percent);
        }
    }
}
