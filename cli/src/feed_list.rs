//! The list of a feed, as the filter's own parsers and guard read it. Fetches nothing; judges nothing.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use portcullis::config::Feed;
use portcullis::feed::body::CallBody;
use portcullis::feed::crowdsec::DecisionCounts;
use portcullis::feed::entries::{EntrySink, Skipped};
use portcullis::feed::error::FetchError;
use portcullis::feed::fetch::{FetchOutcome, Rules, read_entries, read_response};
use portcullis::feed::response::ResponseHeaders;
use portcullis::host::memory::{MemoryHost, MemoryProcess, MemoryResponse};
use portcullis::identifier::{
    ClientIdentifier, Fingerprint, embedded_ipv4, host_of_prefix, range_of_prefix,
};
use portcullis::list::Blocklist;

use crate::clients::feed::unix_now;
use crate::entry::{Entry, fingerprint_key};

/// The entries of a list.
#[derive(Default)]
pub struct FeedList {
    /// In the order of the list; each client once.
    pub entries: Vec<ListedEntry>,
    /// Those that can't be used, by kind and position.
    pub skipped: Vec<String>,
    /// Entries of kinds that the feed does not take.
    pub other_kinds: u64,
    /// The numbers of entries, and of decisions that are none.
    pub counts: DecisionCounts,
    ranges: BTreeMap<IpNet, usize>,
    others: HashMap<Fingerprint, usize>,
}

/// One entry.
pub struct ListedEntry {
    /// The client.
    pub entry: Entry,
    /// When it ends by itself, from now.
    pub time_to_live: Option<Duration>,
}

/// Reads the entries of a body.
pub fn collect(
    feed: &Feed,
    ipv6_prefix: u8,
    mut body: &[u8],
) -> std::result::Result<FeedList, FetchError> {
    let mut collector = Collector {
        feed,
        ipv6_prefix,
        list: FeedList::default(),
    };
    let counts = read_entries(&feed.format, &mut body, &mut collector)?;
    Ok(FeedList {
        counts,
        ..collector.list
    })
}

/// The list that the filter makes of a response, or why it would keep the active one. There is no active list, so that the
/// limits on its change do not apply.
pub fn check(
    feed: &Feed,
    ipv6_prefix: u8,
    response: MemoryResponse,
) -> std::result::Result<Blocklist, FetchError> {
    let host = MemoryHost::new(&MemoryProcess::new(Duration::ZERO, unix_now(), 1));
    host.set_response(response);
    let headers = ResponseHeaders::read(&host, unix_now());
    let rules = Rules {
        feed,
        ipv6_prefix,
        key: fingerprint_key(),
        n_entries_before: None,
    };
    match read_response(headers, CallBody::new(&host), false, &rules) {
        FetchOutcome::List { list, .. } => Ok(list),
        FetchOutcome::NotModified => Err(FetchError::Status(304)),
        FetchOutcome::Failed(failure) => Err(failure.error),
    }
}

/// The size of a response that Envoy does not accept by default, if the server sends it without compression.
pub fn too_large(response: &MemoryResponse) -> Option<u64> {
    let host = MemoryHost::default();
    host.set_response(response.clone());
    ResponseHeaders::read(&host, unix_now())?.too_large()
}

impl FeedList {
    /// The entry that names this address: that of the narrowest range.
    pub fn find_address(&self, address: IpAddr, ipv6_prefix: u8) -> Option<&ListedEntry> {
        let network = host_of_prefix(address, ipv6_prefix);
        let addresses = [Some(address), Some(network), embedded_ipv4(address)];
        let contains = |range: &IpNet| {
            addresses
                .iter()
                .flatten()
                .any(|address| range.contains(address))
        };
        let ranges = self.ranges.iter().filter(|(range, _)| contains(range));
        let (_, index) = ranges.max_by_key(|(range, _)| range.prefix_len())?;
        self.entries.get(*index)
    }

    /// The entry that names this identifier, which is not an address.
    pub fn find(&self, identifier: ClientIdentifier<'_>) -> Option<&ListedEntry> {
        let index = self
            .others
            .get(&identifier.fingerprint(&fingerprint_key()))?;
        self.entries.get(*index)
    }
}

struct Collector<'a> {
    feed: &'a Feed,
    ipv6_prefix: u8,
    list: FeedList,
}

impl EntrySink for Collector<'_> {
    fn entry(&mut self, identifier: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool {
        let list = &mut self.list;
        if !*self.feed.kinds.get(identifier.kind()) {
            list.other_kinds = list.other_kinds.saturating_add(1);
            return true;
        }
        let next = list.entries.len();
        let index = match identifier {
            ClientIdentifier::Ip(range) => {
                let range = range_of_prefix(range, self.ipv6_prefix);
                *list.ranges.entry(range).or_insert(next)
            }
            other => {
                let fingerprint = other.fingerprint(&fingerprint_key());
                *list.others.entry(fingerprint).or_insert(next)
            }
        };
        match list.entries.get_mut(index) {
            // The longest time counts.
            Some(known) => {
                let longest = known.time_to_live.zip(time_to_live);
                known.time_to_live = longest.map(|(known, new)| known.max(new));
            }
            None => list.entries.push(ListedEntry {
                entry: Entry::from(identifier),
                time_to_live,
            }),
        }
        true
    }

    fn skipped(&mut self, entry: Skipped) {
        self.list.skipped.push(entry.to_string());
    }
}
