//! Reads the response of a list server into a list, on any thread. Changes no state.

use core::time::Duration;
use std::io::Read;
use std::sync::Arc;

use crate::config::Feed;
use crate::feed::error::FetchFailure;
use crate::feed::fetch::{FetchOutcome, Rules, read_response};
use crate::feed::response::{ResponseHeaders, Validators};
use crate::identifier::FingerprintKey;
use crate::list::ExactList;

/// A response whose body is still to be read.
#[derive(Debug)]
pub struct FetchJob {
    pub(super) feed: Feed,
    pub(super) ipv6_prefix: u8,
    pub(super) key: FingerprintKey,
    pub(super) n_entries_before: Option<u64>,
    /// `None` if the call failed.
    pub(super) headers: Option<ResponseHeaders>,
    pub(super) conditional: bool,
    /// When the headers arrived, on the monotonic clock.
    pub(super) received: Duration,
}

/// The result of a [`FetchJob`].
#[derive(Debug)]
pub struct Fetched(pub(super) FetchedList);

#[derive(Debug)]
pub(super) enum FetchedList {
    /// A new list.
    List {
        list: Arc<ExactList>,
        validators: Validators,
        skipped: u64,
        left_out: u64,
    },
    /// The list has not changed.
    NotModified,
    /// An error; the active list stays.
    Failed(FetchFailure),
}

impl FetchJob {
    /// Reads the body. An error of `body` is an interruption of the response.
    pub fn run(self, body: &mut dyn Read) -> Fetched {
        let rules = Rules {
            feed: &self.feed,
            ipv6_prefix: self.ipv6_prefix,
            key: self.key,
            n_entries_before: self.n_entries_before,
        };
        Fetched(
            match read_response(self.headers, body, self.conditional, &rules) {
                FetchOutcome::List {
                    list,
                    validators,
                    skipped,
                    left_out,
                } => FetchedList::List {
                    list: Arc::new(ExactList::new(list, self.key, self.received)),
                    validators,
                    skipped,
                    left_out,
                },
                FetchOutcome::NotModified => FetchedList::NotModified,
                FetchOutcome::Failed(failure) => FetchedList::Failed(failure),
            },
        )
    }
}
