//! One fetch of one feed: the filter's call, read by the filter's parsers, refused by the filter's guards. The body is read
//! as a stream: a million decisions of CrowdSec have 175 MB. Decides nothing about when to fetch.

use std::cell::RefCell;
use std::io::{self, Read};
use std::time::Duration;

use portcullis::config::{Feed, FeedFormat};
use portcullis::feed::body::{Exceeded, Meter};
use portcullis::feed::call;
use portcullis::feed::entries::{EntryCounts, EntrySink, Skipped};
use portcullis::feed::error::{FetchError, FetchFailure};
use portcullis::feed::fetch::{FetchOutcome, Rules, read_entries, read_response};
use portcullis::feed::guard::{changed_too_much, skips_too_many, too_wide};
use portcullis::feed::response::{Coding, ResponseHeaders, Validators};
use portcullis::host::memory::{MemoryHost, MemoryProcess, MemoryResponse};
use portcullis::identifier::ClientIdentifier;
use portcullis::list::Builder;
use portcullis::metrics::FetchResult;
use ureq::http::Method;

use super::decisions::read_delta;
use super::entries::{Entries, FOREVER};
use crate::clients::feed::{headers, response_headers, unix_now};
use crate::clients::http::{Opened, Server};
use crate::entry::fingerprint_key;

/// No response that makes sense has more text.
const MOST_BYTES: u64 = 1 << 30;

/// A larger delta is not read: the whole list is fetched as a stream.
const LARGEST_DELTA: u64 = 64 << 20;

/// What to fetch.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// The whole list, unless it is still that of these validators.
    Whole(Option<&'a Validators>),
    /// What has changed in CrowdSec's decisions.
    Delta(&'a Entries),
}

/// The result of a fetch.
#[derive(Debug)]
pub enum Fetched {
    /// The new list, sorted.
    List {
        /// Its entries.
        entries: Entries,
        /// What identifies this version of it.
        validators: Validators,
    },
    /// The list has not changed.
    NotModified,
    /// The delta is too large to be merged: fetch the whole list.
    LargeDelta,
    /// The active list stays.
    Failed(Failed),
}

/// Why the active list stays.
#[derive(Debug)]
pub struct Failed {
    /// The result in metrics.
    pub result: FetchResult,
    /// The reason in words.
    pub reason: String,
    /// How long the upstream asks to wait.
    pub retry_after: Option<Duration>,
}

/// Fetches. `n_before`: the number of live entries of the active list.
pub fn fetch(feed: &Feed, server: &Server, ask: Ask<'_>, n_before: Option<u64>) -> Fetched {
    let mut path = call::path(feed, unix_now());
    let known = match ask {
        Ask::Whole(known) => known,
        Ask::Delta(_) => {
            path = path.replacen("startup=true", "startup=false", 1);
            None
        }
    };
    let mut opened = match server.open(Method::GET, &path, &headers(feed, &path, known)) {
        Ok(opened) => opened,
        Err(reason) => {
            let result = match reason.starts_with("timed out") {
                true => FetchResult::Timeout,
                false => FetchResult::Reset,
            };
            return Fetched::Failed(Failed {
                result,
                reason: format!("the upstream {} did not respond: {reason}", server.url),
                retry_after: None,
            });
        }
    };
    let host = MemoryHost::new(&MemoryProcess::new(Duration::ZERO, unix_now(), 1));
    host.set_response(MemoryResponse {
        headers: response_headers(opened.status, std::mem::take(&mut opened.headers)),
        body: Vec::new(),
    });
    let response = ResponseHeaders::read(&host, unix_now());
    let refused = |error: FetchError| {
        let failure = FetchFailure::new(error);
        Fetched::Failed(failed(feed, &failure))
    };
    if opened.status != 200 {
        let rules = Rules {
            feed,
            ipv6_prefix: 128,
            key: fingerprint_key(),
            n_entries_before: None,
        };
        return match read_response(response, std::io::empty(), known.is_some(), &rules) {
            FetchOutcome::NotModified => Fetched::NotModified,
            FetchOutcome::Failed(failure) => Fetched::Failed(failed(feed, &failure)),
            FetchOutcome::List { .. } => refused(FetchError::Status(opened.status)),
        };
    }
    let response = response.unwrap_or_default();
    if response.coding != Coding::Identity {
        return refused(FetchError::Encoding);
    }
    let broken = RefCell::new(None);
    let outcome = read_body(feed, &mut opened, &broken, ask, n_before);
    if let Some(error) = broken.take() {
        let url = &server.url;
        let (result, reason) = match is_timeout(&error) {
            true => (
                FetchResult::Timeout,
                format!(
                    "the response of the upstream {url} did not end within the timeout of {:?}",
                    feed.timeout
                ),
            ),
            false => (
                FetchResult::Reset,
                format!("the response of the upstream {url} was interrupted: {error}"),
            ),
        };
        return Fetched::Failed(Failed {
            result,
            reason,
            retry_after: None,
        });
    }
    match outcome {
        Ok(Some(entries)) => Fetched::List {
            entries,
            validators: response.validators,
        },
        Ok(None) => Fetched::LargeDelta,
        Err(error) => refused(error),
    }
}

/// The time limit of the client is an error of its own inside of the error.
fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    error.kind() == io::ErrorKind::TimedOut || matches!(inner, Some(ureq::Error::Timeout(_)))
}

fn failed(feed: &Feed, failure: &FetchFailure) -> Failed {
    Failed {
        result: failure.result,
        reason: failure.error.explained(feed).to_string(),
        retry_after: failure.retry_after,
    }
}

/// The new list; `None` for a delta that is too large.
fn read_body(
    feed: &Feed,
    opened: &mut Opened,
    broken: &RefCell<Option<io::Error>>,
    ask: Ask<'_>,
    n_before: Option<u64>,
) -> Result<Option<Entries>, FetchError> {
    let mut body = Watched {
        inner: &mut opened.body,
        broken,
    };
    let now = seconds(unix_now());
    let entries = match ask {
        Ask::Whole(_) => {
            let (mut entries, counts) = read_list(feed, &mut body, now)?;
            if skips_too_many(&feed.guard, &counts) {
                return Err(FetchError::SkipsTooMany(Box::new(counts)));
            }
            entries.sort();
            entries
        }
        Ask::Delta(known) => {
            let mut text = Vec::new();
            let read = body
                .take(LARGEST_DELTA.saturating_add(1))
                .read_to_end(&mut text);
            if read.is_err() {
                return Err(FetchError::Interrupted);
            }
            if u64::try_from(text.len()).is_ok_and(|length| length > LARGEST_DELTA) {
                return Ok(None);
            }
            let delta = read_delta(feed, &text, now)?;
            known.merged(&delta.deleted, &delta.new, now)
        }
    };
    let after = entries.live(now).count();
    let after = u64::try_from(after).unwrap_or(u64::MAX);
    if let Some(before) = n_before
        && let Some(allowed_percent) = changed_too_much(&feed.guard, before, after)
    {
        return Err(FetchError::ChangedTooMuch {
            before,
            after,
            allowed_percent,
        });
    }
    Ok(Some(entries))
}

/// Reads a body of the feed's format. The entries are not sorted.
///
/// # Errors
///
/// Those of the filter.
pub fn read_list(
    feed: &Feed,
    body: &mut dyn Read,
    now: u32,
) -> Result<(Entries, EntryCounts), FetchError> {
    let meter = Meter::default();
    let mut sink = Sink {
        feed,
        now,
        meter: &meter,
        entries: Entries::default(),
        builder: Builder::new(fingerprint_key(), feed.memory),
        stopped: None,
    };
    let outcome = read_entries(&feed.format, &mut meter.limit(body, MOST_BYTES), &mut sink);
    let counts = outcome.map_err(|error| match (meter.exceeded(), sink.stopped.take()) {
        (_, Some(stopped)) => stopped,
        (Some(Exceeded::Entry), _) => FetchError::EntryTooLong,
        (Some(Exceeded::Total), _) => FetchError::TooMuchJson(MOST_BYTES),
        (None, None) => error,
    })?;
    sink.builder.finish().map_err(FetchError::Memory)?;
    Ok((sink.entries, counts.entries))
}

/// Collects the entries, within the limits of the feed.
struct Sink<'a> {
    feed: &'a Feed,
    now: u32,
    meter: &'a Meter,
    entries: Entries,
    /// Finds out whether nodes accept a list of this size.
    builder: Builder,
    stopped: Option<FetchError>,
}

impl EntrySink for Sink<'_> {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool {
        self.meter.end_entry();
        if !*self.feed.kinds.get(entry.kind()) {
            return true;
        }
        if let ClientIdentifier::Ip(range) = entry
            && let Some(widest) = too_wide(&self.feed.guard, range)
        {
            self.stopped = Some(FetchError::RangeTooWide(range, widest));
            return false;
        }
        let end = time_to_live.map_or(FOREVER, |time| {
            let rounded = time.saturating_add(Duration::from_millis(500));
            let end = self.now.saturating_add(seconds(rounded).max(1));
            end.min(FOREVER.saturating_sub(1))
        });
        if let Err(error) = self.builder.insert(entry, time_to_live) {
            self.stopped = Some(FetchError::Memory(error));
        } else if !self.entries.push(entry, end) {
            self.stopped = Some(FetchError::TooMuchJson(MOST_BYTES));
        }
        self.stopped.is_none()
    }

    fn skipped(&mut self, _: Skipped) {
        self.meter.end_entry();
    }

    fn ignored(&mut self) {
        self.meter.end_entry();
    }
}

/// Remembers why the body ended early: the parsers report only that it did.
struct Watched<'a> {
    inner: &'a mut dyn Read,
    broken: &'a RefCell<Option<io::Error>>,
}

impl Read for Watched<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.inner.read(out).map_err(|error| {
            let kind = error.kind();
            self.broken.replace(Some(error));
            kind.into()
        })
    }
}

/// Whole seconds; a time after 2106 is the last one.
pub fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Whether the changes of a feed's list can be fetched. With a filter on origins or scenarios, the local API reports
/// deletions of single decisions of a value that has others; with several types, a value can lose one and keep another.
pub fn has_deltas(feed: &Feed) -> bool {
    match &feed.format {
        FeedFormat::Crowdsec(options) => {
            options.types.len() == 1
                && options.origins.is_empty()
                && options.scenarios_containing.is_empty()
                && options.scenarios_not_containing.is_empty()
        }
        _ => false,
    }
}
