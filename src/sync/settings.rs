//! How a list is fetched: what the configurations of a VM decide about it. Makes no decision itself.

use crate::config::{Config, Feed};
use crate::host::RootId;

/// The settings of the newest configuration that uses a list.
#[derive(Clone, Copy, Debug)]
pub struct SyncSettings<'a> {
    /// The root context of the tick or the response.
    pub root: RootId,
    /// The feed of the list.
    pub feed: &'a Feed,
    /// The number of leading bits by which IPv6 addresses are compared.
    pub ipv6_prefix: u8,
    /// A hash of the rules by which entries are accepted.
    pub rules: u64,
    /// That configuration, if its list requests carry a report about this node (`fleet.report`).
    pub reported: Option<&'a Config>,
}
