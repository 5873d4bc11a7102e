//! A text from outside: of bounded size, and UTF-8. Knows no file.

use std::io::Read;

/// The largest configuration that is read. A VM, which has at most 1 GiB, can use only far smaller ones.
pub const LARGEST_CONFIGURATION: u64 = 64 << 20;

/// Reads at most `limit` bytes; more are an error.
pub fn read(source: impl Read, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= limit => Ok(bytes),
        _ => Err(format!("it is larger than {} MB", limit >> 20)),
    }
}

/// The bytes as text.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to().saturating_add(1);
        format!("it is not UTF-8 text (byte {position})")
    })
}
