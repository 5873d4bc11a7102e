//! The reasons why a fetch fails: the text for the log and the result for the metrics. Decides nothing.

use core::fmt;
use core::time::Duration;

use ipnet::IpNet;

use super::abs::AttackListError;
use super::body::LONGEST_ENTRY;
use super::crowdsec::DecisionsError;
use super::entries::EntryCounts;
use super::response::ENVOY_RESPONSE_LIMIT;
use super::text::TextError;
use super::tokens::TokensError;
use crate::codec::decimal;
use crate::config::{Feed, FeedFormat};
use crate::host::HostError;
use crate::list::ListTooLarge;
use crate::metrics::FetchResult;

/// A failed fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchFailure {
    /// Its result in the metrics.
    pub result: FetchResult,
    /// The reason, for the log.
    pub error: FetchError,
    /// The server's Retry-After.
    pub retry_after: Option<Duration>,
}

/// Why a fetch failed. Contains nothing of the response's content except an address range.
#[derive(Clone, Debug, PartialEq)]
pub enum FetchError {
    /// The call could not be made.
    NotSent(HostError),
    /// The response was interrupted, or there was no connection.
    Interrupted,
    /// The response is larger than Envoy accepts; its size in bytes.
    TooLarge(u64),
    /// An unexpected status.
    Status(u16),
    /// The body has another length than `content-length`.
    Length {
        /// The value of `content-length`.
        announced: u64,
        /// The bytes received.
        received: u64,
    },
    /// The body has an unknown encoding.
    Encoding,
    /// The server redirects to another location.
    Redirect {
        /// The status.
        status: u16,
        /// The header `location`.
        location: String,
    },
    /// Not an attack list.
    AttackList(AttackListError),
    /// Not a list of addresses.
    Text(TextError),
    /// Not a list of decisions.
    Decisions(DecisionsError),
    /// Not a list of tokens.
    Tokens(TokensError),
    /// An entry is longer than [`super::body::LONGEST_ENTRY`].
    EntryTooLong,
    /// The response is longer than any list within `attack_list_memory` needs; the limit in bytes.
    TooMuchJson(u64),
    /// The list needs more than `attack_list_memory`.
    Memory(ListTooLarge),
    /// More entries are unusable than `guard.max_skipped_percent` allows.
    SkipsTooMany(Box<EntryCounts>),
    /// A range is wider than `guard` allows; the shortest allowed prefix.
    RangeTooWide(IpNet, u8),
    /// The number of entries changed by more than `guard.max_change_percent`.
    ChangedTooMuch {
        /// Entries of the active list.
        before: u64,
        /// Entries of the received list.
        after: u64,
        /// `guard.max_change_percent`.
        allowed_percent: f64,
    },
    /// The list could not be written to shared data.
    NotPublished,
}

impl FetchError {
    /// The error as a fetch of `feed` reports it.
    pub fn explained<'a>(&'a self, feed: &'a Feed) -> impl fmt::Display + 'a {
        Explained { error: self, feed }
    }
}

struct Explained<'a> {
    error: &'a FetchError,
    feed: &'a Feed,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = |key: &str| self.feed.setting(key);
        let (server, list) = match self.feed.is_abs() {
            true => ("ABS", "attack list"),
            false => ("the list server", "list"),
        };
        match self.error {
            FetchError::NotSent(HostError::BadArgument) => write!(
                f,
                "Envoy knows no such cluster (yet); check that {} names a cluster of this Envoy",
                setting("cluster")
            ),
            FetchError::NotSent(HostError::InternalFailure) => f.write_str(
                "the cluster has no healthy host or its circuit breaker is open; check the cluster's endpoints",
            ),
            FetchError::NotSent(error) => write!(f, "the call could not be made: {error}"),
            // A response that is too large ends like this, too, if the server does not support HEAD.
            FetchError::Interrupted => write!(
                f,
                "no connection to {server}, or it was interrupted; check the cluster's endpoints and its TLS settings, and \
                 http.async_response_buffer_limit if the response may have more than 32 MiB"
            ),
            FetchError::TooLarge(bytes) => write!(
                f,
                "the response has {bytes} bytes, and Envoy accepts {ENVOY_RESPONSE_LIMIT} by default; set the runtime key \
                 http.async_response_buffer_limit to more than that (see envoy/envoy.yaml)"
            ),
            FetchError::Status(status @ (401 | 403)) if self.feed.is_abs() => write!(
                f,
                "ABS refused the keys (status {status}); check abs.access_key and abs.secret_key, or the environment \
                 variables that hold them"
            ),
            FetchError::Status(status @ (401 | 403))
                if matches!(self.feed.format, FeedFormat::Crowdsec(_)) =>
            {
                write!(
                    f,
                    "CrowdSec's local API refused the key (status {status}); check x-api-key in {}, the environment variable \
                     that it names, and `cscli bouncers list`",
                    setting("headers")
                )
            }
            FetchError::Status(status @ (401 | 403)) => write!(
                f,
                "the list server refused the credentials (status {status}); check {}, and the environment variables that \
                 it names",
                setting("headers")
            ),
            FetchError::Status(504) => write!(
                f,
                "no complete response within {} (status 504); check {server}, or allow more time",
                setting("timeout")
            ),
            // Envoy itself replies with 503 if it has no connection; the two look alike.
            FetchError::Status(503) => write!(
                f,
                "status 503: {server} is overloaded, or Envoy has no connection to it; check {server}, the cluster's \
                 endpoints and its TLS settings"
            ),
            FetchError::Status(status) => {
                write!(f, "{server} returned status {status}; 200 is expected")
            }
            FetchError::Redirect { status, location } => write!(
                f,
                "{server} redirects to {location:?} (status {status}), and redirects are not followed; set cluster, \
                 authority and path to the new location"
            ),
            FetchError::Length {
                announced,
                received,
            } => write!(
                f,
                "the response was truncated: received {received} of {announced} bytes; check for a proxy that truncates it"
            ),
            FetchError::Encoding => f.write_str(
                "the response has an unexpected content-encoding; only gzip and identity are supported",
            ),
            FetchError::AttackList(error) => error.fmt(f),
            FetchError::Text(error) => error.fmt(f),
            FetchError::Decisions(error) => error.fmt(f),
            FetchError::Tokens(error) => error.fmt(f),
            FetchError::EntryTooLong => write!(
                f,
                "an entry of the {list} has more than {LONGEST_ENTRY} bytes; check that the response is from {server}"
            ),
            FetchError::TooMuchJson(limit) => write!(
                f,
                "the response has more than {limit} bytes, more than any list within {} needs",
                setting("memory")
            ),
            FetchError::Memory(full) => write!(
                f,
                "the list needs more than the {} bytes of {}; allow more, or shorten the list",
                full.limit,
                setting("memory")
            ),
            FetchError::SkipsTooMany(counts) => write!(
                f,
                "{} of the {} entries of the {list} can't be used, more than {} allows: {counts}; check that the response \
                 is the {list}, and change the guard if it is",
                counts.n_skipped(),
                counts.n_entries(),
                setting("guard.max_skipped_percent")
            ),
            FetchError::RangeTooWide(range, widest) => write!(
                f,
                "the list has the range {range}, wider than /{widest}; remove it from the list, or change {} or {}",
                setting("guard.widest_ipv4"),
                setting("guard.widest_ipv6")
            ),
            FetchError::ChangedTooMuch {
                before,
                after,
                allowed_percent,
            } => write!(
                f,
                "the list went from {before} to {after} entries, more than the {} % that {} allows; check the list at its \
                 server, and change the guard if it is right",
                decimal::short_text(*allowed_percent),
                setting("guard.max_change_percent")
            ),
            FetchError::NotPublished => f.write_str(
                "the list could not be written to shared data; see the preceding log lines",
            ),
        }
    }
}

impl FetchFailure {
    /// A failure without Retry-After.
    pub fn new(error: FetchError) -> Self {
        let result = match &error {
            FetchError::Status(504) => FetchResult::Timeout,
            FetchError::NotSent(_) | FetchError::Interrupted => FetchResult::Reset,
            FetchError::TooLarge(_) => FetchResult::TooLarge,
            FetchError::Status(401 | 403) => FetchResult::Unauthorized,
            FetchError::Status(_) | FetchError::Redirect { .. } => FetchResult::Status,
            FetchError::Length { .. }
            | FetchError::Encoding
            | FetchError::AttackList(_)
            | FetchError::Text(_)
            | FetchError::Decisions(_)
            | FetchError::Tokens(_)
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

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn failures_map_to_results() {
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
        }
    }
}
