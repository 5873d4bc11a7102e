//! Plain lists by URL: one address or range a line, read as a stream into an [`EntrySink`].
//!
//! Covers the formats of FireHOL, Spamhaus DROP (text and JSON lines), blocklist.de, AbuseIPDB's plain text, DShield, Emerging
//! Threats, firewall block lists and CrowdSec's raw lists.
//!
//! | file | owns |
//! |---|---|
//! | `text.rs` | the entry point; which body is a list |
//! | `text/lines.rs` | bounded lines of a stream |
//! | `text/line.rs` | the meaning of one line |
//! | `text/interval.rs` | addresses from a first to a last one |
//! | `text/error.rs` | why a body is not a list, in words |

use std::io::Read;

pub use self::error::TextError;
pub use self::interval::SPECIAL_RANGES;
use self::line::{Line, parse_line};
use self::lines::Lines;
use super::entries::{EntryCounts, EntrySink};
use crate::identifier::listed::Unusable;
use crate::identifier::{ClientIdentifier, IdentifierKind};

mod error;
mod interval;
mod line;
mod lines;
#[cfg(test)]
mod tests;

/// A longer line is not an entry. The longest known line is the metadata of a Spamhaus list, with less than 1 KiB.
const LONGEST_LINE: usize = 16 * 1024;

/// Reads a list of addresses and passes its entries to `sink`, in the order of the body.
///
/// ```text
/// # a comment
/// 192.0.2.1
/// 198.51.100.0/24 ; SBL1
/// 2001:db8::1     any text
/// 192.0.2.10-192.0.2.20
/// 203.0.113.0    203.0.113.255    24    1234
/// {"cidr":"192.0.2.128/25","sblid":"SBL2"}
/// ```
///
/// - A line ends with LF, CR or CRLF. A byte order mark at the start of a line, and everything from `#` or `;`, is removed.
/// - The first token is an address, a CIDR range or a range `a-b`. A range becomes the smallest set of CIDR ranges, each of
///   which is an entry. The rest of the line is ignored, unless it contains the end of the range: `a - b`, or `a b prefix`,
///   as DShield writes it. Any other line whose second token is an address or a range is unusable, since its meaning
///   is unknown: `a b`, or an address and its netmask.
/// - A line that starts with `{` is a JSON object with the key `cidr` or `ip`. One with `"type": "metadata"` is ignored.
/// - An address or a range that overlaps one of [`SPECIAL_RANGES`] is unusable, unless `special_ranges` is true.
///
/// A list without any entry, but with a comment or a metadata line, is an empty list: published lists become empty and keep
/// their header. A body of blank lines is not a list.
///
/// Memory is bounded, whatever the length of a line.
///
/// # Errors
///
/// See [`TextError`]. The list is complete only with `Ok`, and only if the body is: text has no end of its own, so the caller
/// compares the length of the body with that of the response.
pub fn read_text(
    body: &mut dyn Read,
    special_ranges: bool,
    sink: &mut dyn EntrySink,
) -> Result<EntryCounts, TextError> {
    let mut counts = EntryCounts::default();
    let mut is_list = false;
    let mut lines = Lines::new(body, LONGEST_LINE);
    while let Some(line) = lines.next_line().map_err(TextError::Read)? {
        let parsed = match line {
            Ok(line) => parse_line(line),
            Err(_too_long) => Line::Unusable(Unusable::LongLine),
        };
        let is_first = !is_list;
        is_list |= !matches!(parsed, Line::Blank);
        let unusable = match parsed {
            Line::Blank | Line::Ignored => {
                sink.ignored();
                continue;
            }
            Line::Markup if is_first => return Err(TextError::Markup),
            Line::Markup => Unusable::NotAnAddress,
            Line::Unusable(reason) => reason,
            Line::Entry(interval) if !special_ranges && interval.is_special() => {
                Unusable::SpecialPurpose
            }
            Line::Entry(interval) => {
                for range in interval.ranges() {
                    counts.add_usable(IdentifierKind::Ip);
                    if !sink.entry(ClientIdentifier::Ip(range), None) {
                        return Err(TextError::SinkFull);
                    }
                }
                continue;
            }
        };
        sink.skipped(counts.add_skipped(IdentifierKind::Ip, unusable));
    }
    if !is_list {
        return Err(TextError::Empty);
    }
    if counts.is_unusable() {
        return Err(TextError::NothingUsable(Box::new(counts)));
    }
    Ok(counts)
}
