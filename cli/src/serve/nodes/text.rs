//! Text from outside: bounded, and without characters that change how a page or a terminal shows what is around it.

use std::fmt::Write as _;

use crate::output::is_misleading;

/// The longest node id and the longest name of a cluster, in bytes.
pub const LONGEST_NAME: usize = 128;

/// The longest version, in bytes.
pub const LONGEST_VERSION: usize = 32;

/// The start of a text, at most `longest` bytes, with U+FFFD for control characters and changes of the writing direction.
pub fn bounded(text: &str, longest: usize) -> String {
    let mut bounded = String::new();
    for character in text.chars() {
        let shown = match character {
            misleading if is_misleading(misleading) => '\u{FFFD}',
            other => other,
        };
        if bounded.len().saturating_add(shown.len_utf8()) > longest {
            break;
        }
        bounded.push(shown);
    }
    bounded
}

/// Replaces `kept` if the text differs.
pub fn keep(kept: &mut String, text: &str, longest: usize) {
    if kept != text {
        *kept = bounded(text, longest);
    }
}

/// A node id as the filter writes it in its header: all bytes but `A-Z a-z 0-9 . _ -` percent-encoded, at most
/// [`LONGEST_NAME`] bytes, no escape cut. The key of a node.
pub fn encoded(id: &[u8]) -> String {
    let mut encoded = String::new();
    for &byte in id {
        let is_plain = byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let length = if is_plain { 1 } else { 3 };
        if encoded.len().saturating_add(length) > LONGEST_NAME {
            break;
        }
        if is_plain {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The bytes of a percent-encoded text; none if an escape is not valid.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?
            }
            byte => byte,
        });
    }
    Some(decoded)
}
