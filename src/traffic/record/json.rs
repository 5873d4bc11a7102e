//! Writes JSON into a reused buffer, without an allocation for each record. Knows no field of a record.

use core::fmt;
use std::io::Write;

/// Adds JSON as it is.
pub(super) fn push(text: &mut Vec<u8>, json: &str) {
    text.extend_from_slice(json.as_bytes());
}

/// Adds `json` and a value that needs no escapes.
pub(super) fn push_display(text: &mut Vec<u8>, json: &str, value: impl fmt::Display) {
    push(text, json);
    // Writing to memory does not fail.
    let _ = write!(text, "{value}");
}

/// Adds `json` and a number.
pub(super) fn push_number(text: &mut Vec<u8>, json: &str, number: u128) {
    push_display(text, json, u64::try_from(number).unwrap_or(u64::MAX));
}

/// Adds `json` and a string.
pub(super) fn push_field(text: &mut Vec<u8>, json: &str, value: &[u8]) {
    push(text, json);
    push_string(text, value);
}

/// Adds `{"name":"value"}` to a list.
pub(super) fn push_pair(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    push(text, if text.ends_with(b"[") { "{" } else { ",{" });
    push_string(text, name);
    push(text, ":");
    push_string(text, value);
    push(text, "}");
}

/// Adds a string. Bytes that are not UTF-8 become U+FFFD.
fn push_string(text: &mut Vec<u8>, value: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    // Most values need no escapes.
    if value.iter().all(is_plain) {
        push(text, "\"");
        text.extend_from_slice(value);
        push(text, "\"");
        return;
    }
    // Strings can always be serialized.
    let json = serde_json::to_string(&String::from_utf8_lossy(value)).unwrap_or_default();
    for character in json.chars() {
        match character {
            // Line ends of Unicode: a record is one line for every reader.
            '\u{85}' | '\u{2028}' | '\u{2029}' => {
                push_display(text, "", format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => push(text, character.encode_utf8(&mut [0; 4])),
        }
    }
}
