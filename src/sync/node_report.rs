//! The header of list requests that reports on this node (`fleet.report`): its text and its bound. Decides nothing.
//!
//! It has the names and numbers of metrics and lists only: no identifier, no fingerprint, no credential.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::report::ListState;
use crate::config::{Config, Feed};
use crate::host::System;
use crate::metrics::{MeteredHost, Metric};

#[cfg(test)]
mod tests;

/// The name of the header.
pub const HEADER: &str = "x-portcullis-node";

/// Limit on the header's value, in bytes.
const MOST_BYTES: usize = 2_048;
/// Limit on the encoded node id, in bytes.
const MOST_ID_BYTES: usize = 128;

/// What is percent-encoded in the node id.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The value of the header: fields `;key=value` in this order, of which some have several values.
///
/// | field | value |
/// |---|---|
/// | `v` | 1, the version of the format |
/// | `node` | the node id, percent-encoded and cut |
/// | `module` | the version of this module |
/// | `denied`, `would_deny` | `feed.kind:requests`, in this process, without zeros; `manual` is the deny list |
/// | `allow_listed` | requests of clients on the allow list, in this process |
/// | `lists` | `feed:generation:entries` of each active list of `config` |
///
/// `list_of` returns the active list of a feed. What is missing or does not fit is left out: a field, or one of its values.
pub fn text(
    host: MeteredHost<'_, dyn System + '_>,
    config: &Config,
    list_of: impl Fn(&Feed) -> Option<ListState>,
) -> String {
    let feeds = config.all_feeds();
    let mut metrics = Metric::common();
    for feed in &feeds {
        metrics.extend(Metric::of_feed(&feed.name, feed.kinds));
    }
    let mut text = Text {
        text: "v=1".to_owned(),
        last: "v",
    };
    host.visit_node_id(&mut |id| {
        if !id.is_empty() {
            text.add("node", &[&encoded(id)]);
        }
    });
    text.add("module", &[env!("CARGO_PKG_VERSION")]);
    for field in ["denied", "would_deny"] {
        for metric in &metrics {
            let (of_field, reason) = match metric {
                Metric::Denied(reason) => ("denied", reason),
                Metric::WouldDeny(reason) => ("would_deny", reason),
                _ => continue,
            };
            if of_field == field
                && let Some(count @ 1..) = host.value(metric)
            {
                let (origin, kind) = (reason.origin.as_str(), reason.kind.as_str());
                text.add(field, &[origin, ".", kind, ":", &count.to_string()]);
            }
        }
    }
    if let Some(count) = host.value(&Metric::AllowListed) {
        text.add("allow_listed", &[&count.to_string()]);
    }
    for feed in &feeds {
        if let Some(list) = list_of(feed) {
            let generation = list.generation.to_string();
            let n_entries = list.n_entries().to_string();
            text.add("lists", &[&feed.name, ":", &generation, ":", &n_entries]);
        }
    }
    text.text
}

/// The text so far, and its last field.
struct Text {
    text: String,
    last: &'static str,
}

impl Text {
    /// Adds a value, of these parts, to the last field or to a new one, if there is room.
    fn add(&mut self, field: &'static str, value: &[&str]) {
        let value = value.concat();
        let item = match field == self.last {
            true => [",", &value].concat(),
            false => [";", field, "=", &value].concat(),
        };
        if self.text.len().saturating_add(item.len()) <= MOST_BYTES {
            self.text.push_str(&item);
            self.last = field;
        }
    }
}

/// The start of a node id, percent-encoded.
fn encoded(id: &[u8]) -> String {
    let mut text = String::new();
    // Byte by byte, so that no escape is cut.
    for piece in id.chunks(1).flat_map(|byte| percent_encode(byte, ENCODED)) {
        if text.len().saturating_add(piece.len()) > MOST_ID_BYTES {
            break;
        }
        text.push_str(piece);
    }
    text
}
