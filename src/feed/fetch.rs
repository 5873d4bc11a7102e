//! Turns a list server's response into a list, or into the reason to keep the active one.
//!
//! When to fetch, and where a list goes, is decided in `sync`.

use core::time::Duration;
use std::io::Read;

use super::abs::read_attack_list;
use super::body::{CallBody, Exceeded, Meter};
use super::entries::{EntrySink, Skipped};
use super::error::{FetchError, FetchFailure};
use super::guard::{changed_too_much, skips_too_many, too_wide};
use super::response::{Coding, ResponseHeaders};
use crate::codec::gzip::GzipReader;
use crate::config::Config;
use crate::host::Host;
use crate::identifier::{ClientIdentifier, FingerprintKey, range_of_prefix};
use crate::list::{Blocklist, Builder};

/// The limit on a response's JSON, per byte of `attack_list_memory`: reading a large response with few entries, such as a
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
        /// Its ETag; empty for none.
        etag: Vec<u8>,
        /// The number of unusable entries.
        skipped: u64,
    },
    /// ABS's list has not changed.
    NotModified,
    /// An error; the active list stays.
    Failed(FetchFailure),
}

/// The rules for a new list.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Limits and guard.
    pub config: &'a Config,
    /// For the fingerprints.
    pub key: FingerprintKey,
    /// The number of entries of the active list, if there is one.
    pub n_entries_before: Option<u64>,
}

/// Reads the current response; its body has `body_size` bytes. `conditional`: an ETag was sent.
pub fn read_response(
    host: &dyn Host,
    body_size: usize,
    conditional: bool,
    rules: &Rules<'_>,
) -> FetchOutcome {
    let Some(headers) = ResponseHeaders::read(host) else {
        return FetchOutcome::Failed(FetchFailure::new(FetchError::Interrupted));
    };
    match headers.status {
        200 => {}
        304 if conditional => return FetchOutcome::NotModified,
        status => {
            let error = FetchError::Status(status);
            return FetchOutcome::Failed(FetchFailure {
                retry_after: headers.retry_after,
                ..FetchFailure::new(error)
            });
        }
    }
    match read_list(host, body_size, &headers, rules) {
        Ok((list, skipped)) => FetchOutcome::List {
            list,
            etag: headers.etag,
            skipped,
        },
        Err(error) => FetchOutcome::Failed(FetchFailure::new(error)),
    }
}

fn read_list(
    host: &dyn Host,
    body_size: usize,
    headers: &ResponseHeaders,
    rules: &Rules<'_>,
) -> Result<(Blocklist, u64), FetchError> {
    let received = u64::try_from(body_size).unwrap_or(u64::MAX);
    if let Some(announced) = headers.content_length
        && announced != received
    {
        return Err(FetchError::Length {
            announced,
            received,
        });
    }
    let mut body = CallBody::new(host);
    let limit = rules
        .config
        .attack_list_memory
        .saturating_mul(JSON_BYTES_PER_LIST_BYTE)
        .max(LEAST_JSON_BYTES);
    let meter = Meter::default();
    let mut sink = ListSink {
        builder: Builder::new(rules.key, rules.config.attack_list_memory),
        rules,
        meter: &meter,
        stopped: None,
    };
    let mut unzipped;
    let text: &mut dyn Read = match headers.coding {
        Coding::Identity => &mut body,
        Coding::Gzip => {
            unzipped = GzipReader::new(&mut body);
            &mut unzipped
        }
        Coding::Unknown => return Err(FetchError::Encoding),
    };
    let outcome = read_attack_list(&mut meter.limit(text, limit), &mut sink);
    let counts = outcome.map_err(|error| match (meter.exceeded(), sink.stopped.take()) {
        (_, Some(stopped)) => stopped,
        (Some(Exceeded::Entry), _) => FetchError::EntryTooLong,
        (Some(Exceeded::Total), _) => FetchError::TooMuchJson(limit),
        (None, None) => FetchError::AttackList(error),
    })?;
    if skips_too_many(&rules.config.guard, &counts) {
        return Err(FetchError::SkipsTooMany(Box::new(counts)));
    }
    let list = sink.builder.finish().map_err(FetchError::Memory)?;
    if let Some(before) = rules.n_entries_before
        && changed_too_much(&rules.config.guard, before, list.n_entries())
    {
        return Err(FetchError::ChangedTooMuch {
            before,
            after: list.n_entries(),
            allowed_percent: rules.config.guard.max_change_percent.unwrap_or_default(),
        });
    }
    Ok((list, counts.n_skipped()))
}

/// Inserts entries into the list.
struct ListSink<'a> {
    builder: Builder,
    rules: &'a Rules<'a>,
    meter: &'a Meter,
    stopped: Option<FetchError>,
}

impl EntrySink for ListSink<'_> {
    fn entry(&mut self, entry: ClientIdentifier<'_>, _: Option<Duration>) -> bool {
        self.meter.end_entry();
        let config = self.rules.config;
        let entry = match entry {
            ClientIdentifier::Ip(range) => {
                if let Some(widest) = too_wide(&config.guard, range) {
                    self.stopped = Some(FetchError::RangeTooWide(range, widest));
                    return false;
                }
                ClientIdentifier::Ip(range_of_prefix(range, config.ipv6_prefix))
            }
            other => other,
        };
        if let Err(error) = self.builder.insert(entry) {
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
