//! Makes text out of what is almost text, so that one odd entry can't make a whole list unreadable.
//!
//! User names and cookies are the attacker's to choose, and software on the way to the list cuts them at a fixed
//! length: through the middle of a UTF-8 sequence, or of the pair of `\u` escapes that JSON writes for a character
//! past U+FFFF. A JSON parser refuses the body for either. Here such remains are overwritten, at the same length, so
//! that positions in errors stay true. Knows nothing else of JSON.

use std::io::{self, Read};

use crate::byte_source::ByteSource;

/// Stands for a byte that is no UTF-8: JSON allows it in a string, and no header value can hold it (RFC 9110, 5.5),
/// so that the entry matches nobody else.
const NO_TEXT: u8 = 0x7f;

/// U+FFFD, for an escape that is half a character.
const NO_CHARACTER: &[u8; 6] = br"\ufffd";

/// Reads `body` with its text made good. Wants to be read with room for 32 bytes at least, so put a buffer before it.
pub(super) struct Repaired<'b> {
    body: &'b mut dyn ByteSource,
    /// The end of what was read, where what follows decides.
    undecided: Vec<u8>,
}

impl<'b> Repaired<'b> {
    pub(super) fn new(body: &'b mut dyn ByteSource) -> Self {
        Self {
            body,
            undecided: Vec::new(),
        }
    }
}

impl Read for Repaired<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let held = self.undecided.len();
            let (front, room) = out
                .split_at_mut_checked(held)
                .filter(|(_, room)| !room.is_empty())
                .ok_or(io::ErrorKind::InvalidInput)?;
            front.copy_from_slice(&self.undecided);
            let read = self.body.read_some(room)?;
            if read == 0 {
                // A body that ends here is cut short, whatever these bytes are.
                self.undecided.clear();
                return Ok(held);
            }
            let bytes = out
                .get_mut(..held.saturating_add(read))
                .ok_or(io::ErrorKind::InvalidData)?;
            let decided = repair(bytes);
            self.undecided.clear();
            self.undecided
                .extend_from_slice(bytes.get(decided..).unwrap_or_default());
            if decided > 0 {
                return Ok(decided);
            }
        }
    }
}

/// Makes the text good, and tells how many bytes of it need not know what follows.
fn repair(bytes: &mut [u8]) -> usize {
    let whole = repair_utf8(bytes);
    repair_escapes(bytes.get_mut(..whole).unwrap_or_default())
}

fn repair_utf8(bytes: &mut [u8]) -> usize {
    let mut good: usize = 0;
    while let Some(rest) = bytes.get_mut(good..) {
        let Err(error) = core::str::from_utf8(rest) else {
            break;
        };
        good = good.saturating_add(error.valid_up_to());
        let Some(length) = error.error_len() else {
            // A sequence that may go on in the next bytes.
            return good;
        };
        let bad = rest.iter_mut().skip(error.valid_up_to()).take(length);
        bad.for_each(|byte| *byte = NO_TEXT);
        good = good.saturating_add(length);
    }
    bytes.len()
}

fn repair_escapes(bytes: &mut [u8]) -> usize {
    let mut at: usize = 0;
    while let Some(rest) = bytes.get_mut(at..) {
        let Some(found) = rest.iter().position(|&byte| byte == b'\\') else {
            break;
        };
        at = at.saturating_add(found);
        let escape = rest.get_mut(found..).unwrap_or_default();
        let length = match read_escape(escape) {
            Escape::Undecided => return at,
            Escape::Other => 2,
            Escape::Unit(0xd800..=0xdbff) => {
                match read_escape(escape.get(6..).unwrap_or_default()) {
                    Escape::Undecided => return at,
                    Escape::Unit(0xdc00..=0xdfff) => 12,
                    Escape::Unit(_) | Escape::Other => overwrite(escape),
                }
            }
            Escape::Unit(0xdc00..=0xdfff) => overwrite(escape),
            Escape::Unit(_) => 6,
        };
        at = at.saturating_add(length);
    }
    bytes.len()
}

/// What stands where an escape may stand.
enum Escape {
    /// `\u` and a UTF-16 code unit.
    Unit(u16),
    /// Another escape, or none.
    Other,
    /// What follows decides.
    Undecided,
}

fn read_escape(bytes: &[u8]) -> Escape {
    match bytes {
        [b'\\', b'u', digits @ ..] => match digits.get(..4) {
            Some(digits) => core::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u16::from_str_radix(digits, 16).ok())
                .map_or(Escape::Other, Escape::Unit),
            None => Escape::Undecided,
        },
        [] | [b'\\'] => Escape::Undecided,
        _ => Escape::Other,
    }
}

fn overwrite(escape: &mut [u8]) -> usize {
    for (byte, replacement) in escape.iter_mut().zip(NO_CHARACTER) {
        *byte = *replacement;
    }
    NO_CHARACTER.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Gives `piece` bytes at a time.
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

    fn repaired(bytes: &[u8], piece: usize, room: usize) -> Vec<u8> {
        let mut pieces = Pieces(bytes, piece);
        // As the JSON parser reads: byte by byte, so that only the buffer reads what is below it.
        BufReader::with_capacity(room, Repaired::new(&mut pieces))
            .bytes()
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn text_is_made_good_in_pieces_of_any_size() {
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
            (br#"\ud83d""#, br#"\ufffd""#),
            (br"\ud83dxxxxxx", br"\ufffdxxxxxx"),
            (br"\ud83d\n\ude00.", br"\ufffd\n\ufffd."),
            (br"\ud83d\ud83d\ude00", br"\ufffd\ud83d\ude00"),
            (br"\ud83d\u0041", br"\ufffd\u0041"),
            (br"\ude00\ud83d.", br"\ufffd\ufffd."),
            (br"\\ud83d.", br"\\ud83d."),
            (br"\\\ud83d.", br"\\\ufffd."),
            (br"\uxyzw\u12", br"\uxyzw\u12"),
            (b"a\xffb", b"a\x7fb"),
            (b"\xc3\"", b"\x7f\""),
            (b"\xf0\x9f\x98\"", b"\x7f\x7f\x7f\""),
            (b"\xed\xa0\xbd.", b"\x7f\x7f\x7f."),
            (b"\xff\xfe\\ud83d\xc3.", b"\x7f\x7f\\ufffd\x7f."),
            // What ends early is cut short anyway, and stays as it is.
            (b"a\xf0\x9f\x98", b"a\xf0\x9f\x98"),
            (br"a\ud83d", br"a\ud83d"),
            (br"a\", br"a\"),
        ];
        for (bytes, expected) in table {
            for piece in [1, 2, 3, 5, 7, 64] {
                for room in [32, 33, 4096] {
                    let found = repaired(bytes, piece, room);
                    assert_eq!(
                        found.escape_ascii().to_string(),
                        expected.escape_ascii().to_string(),
                        "{} in pieces of {piece} with room for {room}",
                        bytes.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn any_bytes_come_out_at_their_length() {
        const ALPHABET: &[u8] = b"\\\\\\uudD89cCfF0\"\xf0\x9f\x98\x80\xc3\xab\xff";
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random >> 33).unwrap() % below
        };
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
