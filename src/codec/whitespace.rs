//! White space by the definition of any common server. Knows no header.

/// Removes the white space at both ends; see [`space_at_start`].
pub(crate) fn trim_wide(mut text: &[u8]) -> &[u8] {
    loop {
        let before = text.len();
        text = text.get(space_at_start(text)..).unwrap_or_default();
        let end = text.len().saturating_sub(space_at_end(text));
        text = text.get(..end).unwrap_or_default();
        if text.len() == before {
            return text;
        }
    }
}

/// The length of the white space character that `text` starts with; 0 if there is none.
///
/// White space is: control characters and the space (Java's `String.trim`), the line separator and the no-break space of
/// Latin-1 (Python decodes headers as Latin-1), Unicode white space in UTF-8, and the byte order mark (JavaScript's `trim`).
pub(crate) const fn space_at_start(text: &[u8]) -> usize {
    match text {
        [0xC2, 0x85 | 0xA0, ..] => 2,
        [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x80, 0x80..=0x8B | 0xA8 | 0xA9 | 0xAF, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..]
        | [0xEF, 0xBB, 0xBF, ..] => 3,
        [0..=b' ' | 0x7F | 0x85 | 0xA0, ..] => 1,
        _ => 0,
    }
}

/// As [`space_at_start`], at the end.
pub(crate) const fn space_at_end(text: &[u8]) -> usize {
    match text {
        [.., 0xC2, 0x85 | 0xA0] => 2,
        [.., 0xE1, 0x9A, 0x80]
        | [.., 0xE2, 0x80, 0x80..=0x8B | 0xA8 | 0xA9 | 0xAF]
        | [.., 0xE2, 0x81, 0x9F]
        | [.., 0xE3, 0x80, 0x80]
        | [.., 0xEF, 0xBB, 0xBF] => 3,
        [.., 0..=b' ' | 0x7F | 0x85 | 0xA0] => 1,
        _ => 0,
    }
}
