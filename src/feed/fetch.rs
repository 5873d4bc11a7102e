//! One fetch of the attack list: the request that is sent, and the answer made into a list or into a error why not.
//!
//! Owns what an answer means. When to fetch is `refresh`'s part, where a list goes is `source`'s.

use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use std::io::{self, Read};

use ipnet::IpNet;
use time::OffsetDateTime;

use crate::codec::gzip::GzipReader;
use crate::config::{Abs, Config};
use crate::feed::abs::{AttackListError, EntryCounts, EntrySink, Skipped, read_attack_list};
use crate::feed::guard::{skips_too_many, too_wide};
use crate::feed::retry_after::retry_after;
use crate::host::{Host, HostError};
use crate::identifier::{ClientIdentifier, FingerprintKey, range_of_prefix};
use crate::list::{Blocklist, Builder, ListTooLarge};
use crate::metrics::FetchResult;

/// Envoy takes no larger answer unless its runtime key `http.async_response_buffer_limit` says so.
pub const ENVOY_ANSWER_LIMIT: u64 = 32 * 1024 * 1024;

/// The body is read from the host in slices of this size: what the VM takes it never gives back.
const SLICE: usize = 256 * 1024;

/// No single entry is longer than this. The JSON parser keeps one string at a time, and must not keep one without end.
const LONGEST_ENTRY: u64 = 1024 * 1024;

/// An answer is read up to this many bytes of JSON for each byte that the list may take. Against answers that hold
/// little and take long, compressed ones above all.
const JSON_BYTES_PER_LIST_BYTE: u64 = 8;
const LEAST_JSON_BYTES: u64 = 64 * 1024 * 1024;

/// A longer ETag is not remembered.
const LONGEST_ETAG: usize = 256;

/// With no more entries than this `guard.max_change_percent` says nothing.
const CHANGE_GUARD_FROM: u64 = 1_000;

/// What a request to ABS carries besides the list's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The list itself.
    Get,
    /// Only how long the answer would be, after one that broke off.
    Head,
}

/// The headers of a fetch. `etag`: of the list in force.
pub fn request_headers<'a>(
    abs: &'a Abs,
    method: Method,
    path: &'a str,
    etag: &'a [u8],
) -> Vec<(&'a str, &'a [u8])> {
    let method: &[u8] = match method {
        Method::Get => b"GET",
        Method::Head => b"HEAD",
    };
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", method),
        (":path", path.as_bytes()),
        (":authority", abs.authority.as_bytes()),
        ("accept", b"application/json"),
        ("accept-encoding", b"gzip"),
    ];
    let keys = [("x-abs-ak", &abs.access_key), ("x-abs-sk", &abs.secret_key)];
    for (name, key) in keys {
        if let Some(key) = key {
            headers.push((name, key.reveal().as_bytes()));
        }
    }
    if !etag.is_empty() {
        headers.push(("if-none-match", etag));
    }
    headers
}

/// The path of a fetch: the window ends with the minute that has begun, so that an entry of this minute is in it.
pub fn request_path(now: Duration, window: Duration) -> String {
    let earlier = minute(now.saturating_sub(window));
    let later = minute(now.saturating_add(Duration::from_secs(59)));
    format!("/v4/abs/attacklist?earlier_date={earlier}&later_date={later}&status=active")
}

fn minute(since_epoch: Duration) -> String {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}",
        date.year().unsigned_abs(),
        u32::from(u8::from(date.month())),
        u32::from(date.day()),
        u32::from(date.hour()),
        u32::from(date.minute())
    )
}

/// What an answer amounts to.
#[derive(Debug)]
pub enum FetchOutcome {
    /// A new list.
    List {
        /// The list.
        list: Blocklist,
        /// Its ETag, or nothing.
        etag: Vec<u8>,
        /// Entries that could not be used.
        skipped: u64,
    },
    /// The list in force is the newest.
    NotModified,
    /// Neither; the list in force stays.
    Failed(FetchFailure),
}

/// Why a fetch brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchFailure {
    /// The class, for the metric.
    pub result: FetchResult,
    /// The whole story, for the log. Holds nothing of the answer's content.
    pub error: FetchError,
    /// When ABS wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// The whole story of a failed fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The call could not be made.
    NotSent(HostError),
    /// The answer broke off, or there was no connection.
    Interrupted,
    /// The answer is larger than Envoy takes; its size in bytes.
    TooLarge(u64),
    /// Another status than expected.
    Status(u16),
    /// Fewer or more bytes came than were announced.
    Length {
        /// What content-length says.
        announced: u64,
        /// What came.
        came: u64,
    },
    /// The body is in an encoding that was not asked for.
    Encoding,
    /// Not an attack list.
    AttackList(AttackListError),
    /// One entry takes more than a whole MiB.
    EntryTooLong,
    /// The answer takes more JSON than any list that fits could.
    TooMuchJson(u64),
    /// The list would take more than `attack_list_memory`.
    Memory(ListTooLarge),
    /// More entries can't be used than `guard` lets a list have.
    SkipsTooMany(Box<EntryCounts>),
    /// A range is wider than `guard` lets it be.
    RangeTooWide(IpNet, u8),
    /// The number of entries changed by more than `guard` lets it.
    ChangedTooMuch {
        /// In the list in force.
        before: u64,
        /// In the list that came.
        after: u64,
        /// `guard.max_change_percent`.
        allowed_percent: u64,
    },
    /// The list could not be written to shared data.
    NotPublished,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::NotSent(HostError::BadArgument) => f.write_str(
                "Envoy knows no such cluster (yet); check that abs.cluster names a cluster of this Envoy",
            ),
            FetchError::NotSent(HostError::InternalFailure) => f.write_str(
                "the cluster has no healthy host or its circuit breaker is open; check the cluster's endpoints",
            ),
            FetchError::NotSent(error) => write!(f, "the call could not be made: {error}"),
            // An answer that is too large ends so too where ABS does not tell its size by HEAD.
            FetchError::Interrupted => f.write_str(
                "no connection to ABS, or it broke off; check the cluster's endpoints and its TLS settings, and \
                 http.async_response_buffer_limit if the answer may have more than 32 MiB",
            ),
            FetchError::TooLarge(bytes) => write!(
                f,
                "the answer has {bytes} bytes and Envoy takes {ENVOY_ANSWER_LIMIT} unless told otherwise; set the \
                 runtime key http.async_response_buffer_limit to more than that (see envoy/envoy.yaml)"
            ),
            FetchError::Status(status @ (401 | 403)) => write!(
                f,
                "ABS refused the keys (status {status}); check abs.access_key and abs.secret_key, or the environment \
                 variables that hold them"
            ),
            FetchError::Status(504) => f.write_str(
                "no whole answer came within abs.timeout (status 504); check ABS, or allow more time",
            ),
            // Envoy answers so itself where it gets no connection; the two look alike.
            FetchError::Status(503) => f.write_str(
                "status 503: ABS is overloaded, or Envoy has no connection to it; check ABS, the cluster's endpoints and \
                 its TLS settings",
            ),
            FetchError::Status(status) => write!(f, "ABS answered with status {status}; 200 is expected"),
            FetchError::Length { announced, came } => write!(
                f,
                "the answer was cut: {came} bytes came of {announced}; check for a proxy that cuts it short"
            ),
            FetchError::Encoding => f.write_str(
                "the answer has a content-encoding that was not asked for; only gzip and identity are understood",
            ),
            FetchError::AttackList(error) => error.fmt(f),
            FetchError::EntryTooLong => write!(
                f,
                "an entry of the attack list takes more than {LONGEST_ENTRY} bytes; check that ABS answered"
            ),
            FetchError::TooMuchJson(limit) => write!(
                f,
                "the answer takes more than {limit} bytes of JSON, more than any list within attack_list_memory needs"
            ),
            FetchError::Memory(full) => write!(
                f,
                "the list needs more than the {} bytes of attack_list_memory; allow more, or shorten the list in ABS",
                full.limit
            ),
            FetchError::SkipsTooMany(counts) => write!(
                f,
                "{} of the {} entries of the attack list can't be used, more than guard.max_skipped_percent allows: \
                 {counts}; check that ABS answered with its attack list, and change the guard if it did",
                counts.n_skipped(),
                counts.n_entries()
            ),
            FetchError::RangeTooWide(range, widest) => write!(
                f,
                "the list holds the range {range}, wider than /{widest}; remove it in ABS, or change guard.widest_ipv4 \
                 or guard.widest_ipv6"
            ),
            FetchError::ChangedTooMuch {
                before,
                after,
                allowed_percent,
            } => write!(
                f,
                "the list went from {before} to {after} entries, more than the {allowed_percent} % that \
                 guard.max_change_percent allows; look at it in ABS, and change the guard if it is right"
            ),
            FetchError::NotPublished => {
                f.write_str("the list could not be written to shared data; look for errors of the host above")
            }
        }
    }
}

impl FetchFailure {
    /// A failure without word of when to come back.
    pub fn new(error: FetchError) -> Self {
        let result = match &error {
            FetchError::Status(504) => FetchResult::Timeout,
            FetchError::NotSent(_) | FetchError::Interrupted => FetchResult::Reset,
            FetchError::TooLarge(_) => FetchResult::TooLarge,
            FetchError::Status(401 | 403) => FetchResult::Unauthorized,
            FetchError::Status(_) => FetchResult::Status,
            FetchError::Length { .. }
            | FetchError::Encoding
            | FetchError::AttackList(_)
            | FetchError::SkipsTooMany(_)
            | FetchError::EntryTooLong
            | FetchError::TooMuchJson(_) => FetchResult::Malformed,
            FetchError::Memory(_) => FetchResult::Memory,
            FetchError::RangeTooWide(..)
            | FetchError::ChangedTooMuch { .. }
            | FetchError::NotPublished => FetchResult::Refused,
        };
        Self {
            result,
            error,
            retry_after: None,
        }
    }
}

/// The headers of an answer that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    status: Option<u16>,
    content_length: Option<u64>,
    coding: Coding,
    etag: Vec<u8>,
    retry_after: Option<Duration>,
}

impl ResponseHeaders {
    /// Reads them from the answer now being delivered; `None` where there is none: the call failed.
    pub fn read(host: &dyn Host) -> Option<Self> {
        let mut headers = Self::default();
        host.visit_call_headers(&mut |name, value| match name {
            b":status" => {
                headers.status = parse_number(value).and_then(|status| status.try_into().ok());
            }
            b"content-length" => headers.content_length = parse_number(value),
            b"content-encoding" => headers.coding = headers.coding.and(value),
            b"etag" if value.len() <= LONGEST_ETAG => headers.etag = value.to_vec(),
            b"retry-after" => headers.retry_after = retry_after(value, host.unix_now()),
            _ => {}
        });
        headers.status.is_some().then_some(headers)
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status.unwrap_or(0)
    }

    /// When to come back, where the answer says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What an answer that broke off would have taken, as a HEAD request told. `None` where that is not the error.
    pub fn too_large(&self) -> Option<u64> {
        self.content_length
            .filter(|length| self.status == Some(200) && *length > ENVOY_ANSWER_LIMIT)
    }
}

/// What the bytes of a body have to go through to be its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    /// They are the text.
    #[default]
    Identity,
    /// They are compressed.
    Gzip,
    /// Something that was not asked for.
    Unknown,
}

impl Coding {
    /// With the codings of one more Content-Encoding, a list in which elements may be empty (RFC 9110, 5.6.1).
    fn and(self, value: &[u8]) -> Self {
        let is = |coding: &[u8], names: &[&str]| {
            names
                .iter()
                .any(|name| coding.eq_ignore_ascii_case(name.as_bytes()))
        };
        let mut all = self;
        for coding in value.split(|byte| *byte == b',') {
            let coding = coding.trim_ascii();
            // Software that takes the header for the character set, or has to say something, says one of these.
            all = if is(coding, &["", "identity", "none", "utf-8", "utf8"]) {
                all
            } else if all == Coding::Identity && is(coding, &["gzip", "x-gzip"]) {
                Coding::Gzip
            } else {
                Coding::Unknown
            };
        }
        all
    }
}

fn parse_number(value: &[u8]) -> Option<u64> {
    core::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

/// What a new list is made by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Bounds and guard.
    pub config: &'a Config,
    /// For the fingerprints.
    pub key: FingerprintKey,
    /// How many entries the list in force has, if there is one.
    pub n_entries_before: Option<u64>,
}

/// Reads the answer now being delivered, `body_size` bytes of it. `conditional`: an ETag was sent.
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
        Some(200) => {}
        Some(304) if conditional => return FetchOutcome::NotModified,
        status => {
            let error = FetchError::Status(status.unwrap_or(0));
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
    let came = u64::try_from(body_size).unwrap_or(u64::MAX);
    if let Some(announced) = headers.content_length
        && announced != came
    {
        return Err(FetchError::Length { announced, came });
    }
    let mut body = CallBody {
        host,
        read: 0,
        slice: Vec::new(),
        at: 0,
    };
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
    let outcome = read_attack_list(meter.limit(text, limit), &mut sink);
    let counts = outcome.map_err(|error| match (meter.exceeded.get(), sink.stopped.take()) {
        (_, Some(stopped)) => stopped,
        (Some(Exceeded::Entry), _) => FetchError::EntryTooLong,
        (Some(Exceeded::Total), _) => FetchError::TooMuchJson(limit),
        (None, None) => FetchError::AttackList(error),
    })?;
    if skips_too_many(&rules.config.guard, &counts) {
        return Err(FetchError::SkipsTooMany(Box::new(counts)));
    }
    let list = sink.builder.finish().map_err(FetchError::Memory)?;
    check_change(&list, rules)?;
    Ok((list, counts.n_skipped()))
}

fn check_change(list: &Blocklist, rules: &Rules<'_>) -> Result<(), FetchError> {
    let (Some(before), Some(percent)) = (
        rules.n_entries_before,
        rules.config.guard.max_change_percent,
    ) else {
        return Ok(());
    };
    let after = list.n_entries();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "percentages of counts need no exactness"
    )]
    let (changed, allowed, shown) = (
        after.abs_diff(before) as f64,
        before as f64 * percent / 100.0,
        percent as u64,
    );
    // An empty list says nothing of how long the next should be.
    if before > 0 && before.max(after) > CHANGE_GUARD_FROM && changed > allowed {
        return Err(FetchError::ChangedTooMuch {
            before,
            after,
            allowed_percent: shown,
        });
    }
    Ok(())
}

/// The body of the answer now being delivered, slice by slice.
struct CallBody<'a> {
    host: &'a dyn Host,
    read: usize,
    slice: Vec<u8>,
    at: usize,
}

impl Read for CallBody<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.slice.len() {
            self.slice = self.host.call_body(self.read, SLICE);
            self.read = self.read.saturating_add(self.slice.len());
            self.at = 0;
        }
        let left = self.slice.get(self.at..).unwrap_or_default();
        let n = left.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), left.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(n);
        Ok(n)
    }
}

#[derive(Clone, Copy, Debug)]
enum Exceeded {
    Entry,
    Total,
}

/// Counts what was read, in all and since the last entry.
#[derive(Default)]
struct Meter {
    since_entry: Cell<u64>,
    total: Cell<u64>,
    exceeded: Cell<Option<Exceeded>>,
}

impl Meter {
    fn limit<'a>(&'a self, inner: &'a mut dyn Read, limit: u64) -> Metered<'a> {
        Metered {
            meter: self,
            inner,
            limit,
        }
    }
}

struct Metered<'a> {
    meter: &'a Meter,
    inner: &'a mut dyn Read,
    limit: u64,
}

impl Read for Metered<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let exceeded = if self.meter.since_entry.get() > LONGEST_ENTRY {
            Some(Exceeded::Entry)
        } else if self.meter.total.get() > self.limit {
            Some(Exceeded::Total)
        } else {
            None
        };
        if exceeded.is_some() {
            self.meter.exceeded.set(exceeded);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let n = self.inner.read(out)?;
        let read = u64::try_from(n).unwrap_or(u64::MAX);
        for count in [&self.meter.since_entry, &self.meter.total] {
            count.set(count.get().saturating_add(read));
        }
        Ok(n)
    }
}

/// Puts entries into the list.
struct ListSink<'a> {
    builder: Builder,
    rules: &'a Rules<'a>,
    meter: &'a Meter,
    stopped: Option<FetchError>,
}

impl EntrySink for ListSink<'_> {
    fn entry(&mut self, entry: ClientIdentifier<'_>) -> bool {
        self.meter.since_entry.set(0);
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
        self.meter.since_entry.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_window_is_written_in_minutes_of_utc() {
        let now = Duration::from_secs(1_700_000_000);
        assert_eq!(
            request_path(now, Duration::from_secs(86_400)),
            "/v4/abs/attacklist?earlier_date=2023-11-13T22:13&later_date=2023-11-14T22:14&status=active"
        );
        let whole = Duration::from_secs(1_700_000_040);
        assert!(request_path(whole, Duration::ZERO).contains("later_date=2023-11-14T22:14"));
        assert!(request_path(now, Duration::MAX).contains("earlier_date=1970-01-01T00:00"));
        assert!(request_path(Duration::MAX, Duration::ZERO).contains("later_date="));
    }

    #[test]
    fn a_small_body_that_unpacks_to_much_is_read_no_further_than_its_limit() {
        let text = vec![b' '; 4 << 20];
        let bomb = crate::codec::gzip::compress(&text);
        assert!(bomb.len() < 32 << 10);
        let (meter, limit, mut body) = (Meter::default(), 1 << 19, bomb.as_slice());
        let mut unzipped = GzipReader::new(&mut body);
        let outcome = io::copy(&mut meter.limit(&mut unzipped, limit), &mut io::sink());
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(matches!(meter.exceeded.get(), Some(Exceeded::Total)));
        assert!(meter.total.get() < limit + (64 << 10));
    }

    #[test]
    fn every_failure_has_its_class() {
        let table = [
            (FetchError::Status(401), FetchResult::Unauthorized),
            (FetchError::Status(403), FetchResult::Unauthorized),
            (FetchError::Status(500), FetchResult::Status),
            (FetchError::Status(504), FetchResult::Timeout),
            (FetchError::Interrupted, FetchResult::Reset),
            (FetchError::TooLarge(1), FetchResult::TooLarge),
            (FetchError::Encoding, FetchResult::Malformed),
            (
                FetchError::AttackList(AttackListError::Truncated),
                FetchResult::Malformed,
            ),
            (
                FetchError::Memory(ListTooLarge { limit: 1 }),
                FetchResult::Memory,
            ),
            (FetchError::NotPublished, FetchResult::Refused),
        ];
        for (error, expected) in table {
            assert_eq!(
                FetchFailure::new(error.clone()).result,
                expected,
                "{error:?}"
            );
            assert!(!error.to_string().is_empty());
        }
    }
}
