//! Turns a list server's response into a list, or into the reason to keep the active one.
//!
//! When to fetch, and where a list goes, is decided in `sync`.

use core::time::Duration;
use std::io::Read;

use super::abs::read_attack_list;
use super::body::{Exceeded, Meter, ReceivedBody};
use super::crowdsec::{DecisionCounts, DecisionOptions, read_decisions};
use super::entries::{EntrySink, Skipped};
use super::error::{FetchError, FetchFailure};
use super::guard::{changed_too_much, skips_too_many, too_wide};
use super::response::{Coding, ResponseHeaders, Validators};
use super::text::read_text;
use super::tokens::read_tokens;
use crate::codec::gzip::GzipReader;
use crate::config::{Feed, FeedFormat};
use crate::identifier::{ClientIdentifier, FingerprintKey, range_of_prefix};
use crate::list::{Blocklist, Builder};

/// The limit on a response's text, per byte that its list may have: reading a large response with few entries, such as a
/// decompression bomb, must not block the thread.
const JSON_BYTES_PER_LIST_BYTE: u64 = 8;
const LEAST_JSON_BYTES: u64 = 64 * 1024 * 1024;

/// The result of a fetch.
#[derive(Debug)]
pub enum FetchOutcome {
    /// A new list.
    List {
        /// The list.
        list: Blocklist,
        /// What identifies this version of it.
        validators: Validators,
        /// The number of unusable entries.
        skipped: u64,
        /// The number of CrowdSec's decisions of other scopes and types, which are no entries here.
        left_out: u64,
    },
    /// The list has not changed.
    NotModified,
    /// An error; the active list stays.
    Failed(FetchFailure),
}

/// The rules for a new list.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The feed.
    pub feed: &'a Feed,
    /// The number of leading bits by which IPv6 addresses are compared.
    pub ipv6_prefix: u8,
    /// For the fingerprints.
    pub key: FingerprintKey,
    /// The number of entries of the active list that have not ended by themselves, if there is a list.
    pub n_entries_before: Option<u64>,
}

/// Reads a response. `headers`: `None` if the call failed. `conditional`: validators were sent.
pub fn read_response(
    headers: Option<ResponseHeaders>,
    body: impl Read,
    conditional: bool,
    rules: &Rules<'_>,
) -> FetchOutcome {
    let Some(headers) = headers else {
        return FetchOutcome::Failed(FetchFailure::new(FetchError::Interrupted));
    };
    match headers.status {
        200 => {}
        304 if conditional => return FetchOutcome::NotModified,
        status => {
            let error = match status {
                301 | 302 | 303 | 307 | 308 => FetchError::Redirect {
                    status,
                    location: headers.location,
                },
                _ => FetchError::Status(status),
            };
            return FetchOutcome::Failed(FetchFailure {
                retry_after: headers.retry_after,
                ..FetchFailure::new(error)
            });
        }
    }
    match read_list(body, &headers, rules) {
        Ok((list, counts)) => FetchOutcome::List {
            list,
            validators: headers.validators,
            skipped: counts.entries.n_skipped(),
            left_out: counts.unknown_scope.saturating_add(counts.other_type),
        },
        Err(error) => FetchOutcome::Failed(FetchFailure::new(error)),
    }
}

fn read_list(
    body: impl Read,
    headers: &ResponseHeaders,
    rules: &Rules<'_>,
) -> Result<(Blocklist, DecisionCounts), FetchError> {
    let mut body = ReceivedBody::new(body);
    let read = read_coded(&mut body, headers.coding, rules);
    if read.is_ok() {
        // A parser may stop before the end.
        while body.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {}
    }
    if body.is_interrupted() {
        return Err(FetchError::Interrupted);
    }
    if let (Some(announced), Some(received)) = (headers.content_length, body.size())
        && announced != received
    {
        return Err(FetchError::Length {
            announced,
            received,
        });
    }
    let (list, counts) = read?;
    if let Some(before) = rules.n_entries_before
        && let Some(allowed_percent) = changed_too_much(&rules.feed.guard, before, list.n_entries())
    {
        return Err(FetchError::ChangedTooMuch {
            before,
            after: list.n_entries(),
            allowed_percent,
        });
    }
    Ok((list, counts))
}

fn read_coded(
    body: &mut dyn Read,
    coding: Coding,
    rules: &Rules<'_>,
) -> Result<(Blocklist, DecisionCounts), FetchError> {
    let limit = rules
        .feed
        .memory
        .saturating_mul(JSON_BYTES_PER_LIST_BYTE)
        .max(LEAST_JSON_BYTES);
    let meter = Meter::default();
    let mut sink = ListSink {
        builder: Builder::new(rules.key, rules.feed.memory),
        rules,
        meter: &meter,
        stopped: None,
    };
    let mut unzipped;
    let text: &mut dyn Read = match coding {
        Coding::Identity => body,
        Coding::Gzip => {
            unzipped = GzipReader::new(body);
            &mut unzipped
        }
        Coding::Unknown => return Err(FetchError::Encoding),
    };
    let text = &mut meter.limit(text, limit);
    let outcome = read_entries(&rules.feed.format, text, &mut sink);
    let counts = outcome.map_err(|error| match (meter.exceeded(), sink.stopped.take()) {
        (_, Some(stopped)) => stopped,
        (Some(Exceeded::Entry), _) => FetchError::EntryTooLong,
        (Some(Exceeded::Total), _) => FetchError::TooMuchJson(limit),
        (None, None) => error,
    })?;
    if skips_too_many(&rules.feed.guard, &counts.entries) {
        return Err(FetchError::SkipsTooMany(Box::new(counts.entries)));
    }
    let list = sink.builder.finish().map_err(FetchError::Memory)?;
    Ok((list, counts))
}

/// Reads a list of any format and passes its entries to `sink`. Only lists of decisions have other counts than those of
/// entries.
///
/// # Errors
///
/// The body is not a list of this format, or none of its entries can be used.
pub fn read_entries(
    format: &FeedFormat,
    body: &mut dyn Read,
    sink: &mut dyn EntrySink,
) -> Result<DecisionCounts, FetchError> {
    let entries = match format {
        FeedFormat::Abs { .. } => read_attack_list(body, sink).map_err(FetchError::AttackList),
        FeedFormat::Text { special_ranges } => {
            read_text(body, *special_ranges, sink).map_err(FetchError::Text)
        }
        FeedFormat::Tokens { claims } => {
            read_tokens(body, claims, sink).map_err(FetchError::Tokens)
        }
        FeedFormat::Crowdsec(crowdsec) => {
            let options = DecisionOptions {
                types: &crowdsec.types,
                session_cookie: crowdsec.session_cookie.as_deref(),
                scope_headers: &crowdsec.scope_headers,
            };
            return read_decisions(body, &options, sink).map_err(FetchError::Decisions);
        }
    };
    entries.map(|entries| DecisionCounts {
        entries,
        ..DecisionCounts::default()
    })
}

/// Inserts entries into the list.
struct ListSink<'a> {
    builder: Builder,
    rules: &'a Rules<'a>,
    meter: &'a Meter,
    stopped: Option<FetchError>,
}

impl EntrySink for ListSink<'_> {
    fn entry(&mut self, entry: ClientIdentifier<'_>, time_to_live: Option<Duration>) -> bool {
        self.meter.end_entry();
        let Rules {
            feed, ipv6_prefix, ..
        } = *self.rules;
        if !*feed.kinds.get(entry.kind()) {
            return true;
        }
        let entry = match entry {
            ClientIdentifier::Ip(range) => {
                if let Some(widest) = too_wide(&feed.guard, range) {
                    self.stopped = Some(FetchError::RangeTooWide(range, widest));
                    return false;
                }
                ClientIdentifier::Ip(range_of_prefix(range, ipv6_prefix))
            }
            other => other,
        };
        if let Err(error) = self.builder.insert(entry, time_to_live) {
            self.stopped = Some(FetchError::Memory(error));
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
