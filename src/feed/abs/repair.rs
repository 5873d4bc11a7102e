//! Replaces invalid text in a body, so that one malformed entry can't make a whole list unreadable.
//!
//! Attackers choose user names and cookies, and software that writes the list may truncate them within a UTF-8 sequence or
//! a surrogate pair of `\u` escapes. JSON parsers reject such a body, and one with a byte order mark. This reader
//! overwrites all three, at the same length, so that positions in errors stay correct. Knows nothing else of JSON.

use core::cell::Cell;
use std::io::{self, Read};

/// Replaces each byte that is not UTF-8; JSON allows this character in a string. Once [`Repaired`] has replaced anything, a
/// text with this character may not be the original one.
pub(super) const NO_TEXT: char = '\u{7f}';

/// The same character, for a lone surrogate.
const NO_CHARACTER: &[u8; 6] = br"\u007f";

/// The byte order mark, which a JSON parser may ignore (RFC 8259, 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads `body` and repairs its text. Wrap it in a buffer: each read needs space for at least 32 bytes.
pub(super) struct Repaired<'b> {
    body: &'b mut dyn Read,
    /// An incomplete sequence or escape at the end of the bytes read so far.
    incomplete: Vec<u8>,
    is_at_start: bool,
    /// Set when anything was replaced by [`NO_TEXT`].
    has_replaced: &'b Cell<bool>,
}

impl<'b> Repaired<'b> {
    pub(super) fn new(body: &'b mut dyn Read, has_replaced: &'b Cell<bool>) -> Self {
        Self {
            body,
            incomplete: Vec::new(),
            is_at_start: true,
            has_replaced,
        }
    }
}

impl Read for Repaired<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let held = self.incomplete.len();
            let (front, free) = out
                .split_at_mut_checked(held)
                .filter(|(_, free)| !free.is_empty())
                .ok_or(io::ErrorKind::InvalidInput)?;
            front.copy_from_slice(&self.incomplete);
            let read = self.body.read(free)?;
            if read == 0 {
                // The body is truncated here; the parser reports that.
                self.incomplete.clear();
                return Ok(held);
            }
            let bytes = out
                .get_mut(..held.saturating_add(read))
                .ok_or(io::ErrorKind::InvalidData)?;
            let complete = repair(bytes, self.has_replaced);
            self.incomplete.clear();
            self.incomplete
                .extend_from_slice(bytes.get(complete..).unwrap_or_default());
            if complete > 0 {
                if self.is_at_start {
                    self.is_at_start = false;
                    blank_byte_order_mark(bytes);
                }
                return Ok(complete);
            }
        }
    }
}

/// Repairs the text; returns the number of bytes before an incomplete sequence or escape at the end.
fn repair(bytes: &mut [u8], has_replaced: &Cell<bool>) -> usize {
    let whole = repair_utf8(bytes, has_replaced);
    repair_escapes(bytes.get_mut(..whole).unwrap_or_default(), has_replaced)
}

/// Overwrites a byte order mark with spaces. The mark is one character, so it is never split between reads.
fn blank_byte_order_mark(bytes: &mut [u8]) {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        let mark = bytes.iter_mut().take(BYTE_ORDER_MARK.len());
        mark.for_each(|byte| *byte = b' ');
    }
}

fn repair_utf8(bytes: &mut [u8], has_replaced: &Cell<bool>) -> usize {
    let mut good: usize = 0;
    while let Some(rest) = bytes.get_mut(good..) {
        let Err(error) = core::str::from_utf8(rest) else {
            break;
        };
        good = good.saturating_add(error.valid_up_to());
        let Some(length) = error.error_len() else {
            // The next bytes may complete this sequence.
            return good;
        };
        let bad = rest.iter_mut().skip(error.valid_up_to()).take(length);
        bad.for_each(|byte| *byte = NO_TEXT as u8);
        has_replaced.set(true);
        good = good.saturating_add(length);
    }
    bytes.len()
}

fn repair_escapes(bytes: &mut [u8], has_replaced: &Cell<bool>) -> usize {
    let mut at: usize = 0;
    while let Some(rest) = bytes.get_mut(at..) {
        let Some(found) = rest.iter().position(|&byte| byte == b'\\') else {
            break;
        };
        at = at.saturating_add(found);
        let escape = rest.get_mut(found..).unwrap_or_default();
        let length = match read_escape(escape) {
            Escape::Incomplete => return at,
            Escape::Other => 2,
            Escape::Unit(0xd800..=0xdbff) => {
                match read_escape(escape.get(6..).unwrap_or_default()) {
                    Escape::Incomplete => return at,
                    Escape::Unit(0xdc00..=0xdfff) => 12,
                    Escape::Unit(_) | Escape::Other => overwrite(escape, has_replaced),
                }
            }
            Escape::Unit(0xdc00..=0xdfff) => overwrite(escape, has_replaced),
            Escape::Unit(_) => 6,
        };
        at = at.saturating_add(length);
    }
    bytes.len()
}

/// The text at the position of a possible escape.
enum Escape {
    /// `\u` and a UTF-16 code unit.
    Unit(u16),
    /// Another escape, or none.
    Other,
    /// The bytes end within it.
    Incomplete,
}

fn read_escape(bytes: &[u8]) -> Escape {
    match bytes {
        [b'\\', b'u', digits @ ..] => match digits.get(..4) {
            Some(digits) => core::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u16::from_str_radix(digits, 16).ok())
                .map_or(Escape::Other, Escape::Unit),
            None => Escape::Incomplete,
        },
        [] | [b'\\'] => Escape::Incomplete,
        _ => Escape::Other,
    }
}

fn overwrite(escape: &mut [u8], has_replaced: &Cell<bool>) -> usize {
    has_replaced.set(true);
    for (byte, replacement) in escape.iter_mut().zip(NO_CHARACTER) {
        *byte = *replacement;
    }
    NO_CHARACTER.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::random_below;
    use std::io::BufReader;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Returns at most `piece` bytes per read.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(out.len());
            let (piece, rest) = self.0.split_at(length);
            out[..length].copy_from_slice(piece);
            self.0 = rest;
            Ok(length)
        }
    }

    fn repaired(bytes: &[u8], piece: usize, buffer: usize) -> Vec<u8> {
        let mut pieces = Pieces(bytes, piece);
        let has_replaced = Cell::new(false);
        // Byte by byte, like the JSON parser: only the buffer reads from `Repaired`.
        let found: Vec<u8> =
            BufReader::with_capacity(buffer, Repaired::new(&mut pieces, &has_replaced))
                .bytes()
                .map(Result::unwrap)
                .collect();
        let text = found.strip_prefix(b"   ").unwrap_or(&found);
        let is_changed = !bytes.ends_with(text);
        assert_eq!(has_replaced.get(), is_changed, "{}", bytes.escape_ascii());
        found
    }

    #[test]
    fn text_is_repaired_in_pieces_of_any_size() {
        let table: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"plain", b"plain"),
            (br#"\"\\\/\b\u0041"#, br#"\"\\\/\b\u0041"#),
            (
                "Zo\u{eb} \u{1f600}".as_bytes(),
                "Zo\u{eb} \u{1f600}".as_bytes(),
            ),
            (br"\ud83d\ude00", br"\ud83d\ude00"),
            (br"\uD83D\uDE00x", br"\uD83D\uDE00x"),
            (br#"\ud83d""#, br#"\u007f""#),
            (br"\ud83dxxxxxx", br"\u007fxxxxxx"),
            (br"\ud83d\n\ude00.", br"\u007f\n\u007f."),
            (br"\ud83d\ud83d\ude00", br"\u007f\ud83d\ude00"),
            (br"\ud83d\u0041", br"\u007f\u0041"),
            (br"\ude00\ud83d.", br"\u007f\u007f."),
            (br"\\ud83d.", br"\\ud83d."),
            (br"\\\ud83d.", br"\\\u007f."),
            (br"\uxyzw\u12", br"\uxyzw\u12"),
            (b"a\xffb", b"a\x7fb"),
            (b"\xc3\"", b"\x7f\""),
            (b"\xf0\x9f\x98\"", b"\x7f\x7f\x7f\""),
            (b"\xed\xa0\xbd.", b"\x7f\x7f\x7f."),
            (b"\xff\xfe\\ud83d\xc3.", b"\x7f\x7f\\u007f\x7f."),
            (b"\xef\xbb\xbf{}", b"   {}"),
            (b"\xef\xbb\xbf", b"   "),
            (b"\xef\xbb\xbf\xef\xbb\xbf", b"   \xef\xbb\xbf"),
            (b"a\xef\xbb\xbf", b"a\xef\xbb\xbf"),
            (b"\xef\xbb.", b"\x7f\x7f."),
            // A truncated body stays as it is.
            (b"a\xf0\x9f\x98", b"a\xf0\x9f\x98"),
            (br"a\ud83d", br"a\ud83d"),
            (br"a\", br"a\"),
        ];
        for (bytes, expected) in table {
            for piece in [1, 2, 3, 5, 7, 64] {
                for buffer in [32, 33, 4096] {
                    let found = repaired(bytes, piece, buffer);
                    assert_eq!(
                        found.escape_ascii().to_string(),
                        expected.escape_ascii().to_string(),
                        "{} in pieces of {piece} with a buffer of {buffer}",
                        bytes.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn the_length_never_changes() {
        const ALPHABET: &[u8] = b"\\\\\\uudD89cCfF0\"\xf0\x9f\x98\x80\xc3\xab\xff";
        let mut next = random_below();
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..next(60))
                .map(|_| ALPHABET[next(ALPHABET.len())])
                .collect();
            let whole = repaired(&bytes, 4096, 4096);
            assert_eq!(whole.len(), bytes.len());
            assert_eq!(repaired(&bytes, next(9) + 1, 32), whole);
        }
    }
}
