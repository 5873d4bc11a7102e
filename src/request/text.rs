//! Splits header text like tolerant servers: white space, words, quotes, names.
//!
//! Owns which header names are equal. Knows no header and no identifier.

pub(super) use crate::codec::form::{form_decode, percent_decode};
pub(super) use crate::codec::whitespace::{space_at_end, space_at_start, trim_wide};

/// Splits at the first `separator`, which is in neither part.
pub(super) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(separator, text)?;
    let (head, tail) = text.split_at_checked(at)?;
    Some((head, tail.split_first()?.1))
}

/// The text before the first `separator`; the whole text if there is none.
pub(super) fn before(text: &[u8], separator: u8) -> &[u8] {
    split_once(text, separator).map_or(text, |(head, _)| head)
}

/// Removes the optional white space of HTTP (RFC 9110, 5.6.3): spaces and tabs.
pub(super) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The words of `text` between white space and the bytes in `separators`. No word is empty.
pub(super) const fn words<'a>(text: &'a [u8], separators: &'a [u8]) -> Words<'a> {
    Words {
        rest: text,
        separators,
    }
}

/// See [`words`].
pub(super) struct Words<'a> {
    rest: &'a [u8],
    separators: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let separator_length = |text: &[u8]| match text.first() {
            Some(byte) if self.separators.contains(byte) => 1,
            Some(byte) if byte.is_ascii_graphic() => 0,
            _ => space_at_start(text),
        };
        let mut rest = self.rest;
        while let length @ 1.. = separator_length(rest) {
            rest = rest.get(length..)?;
        }
        let mut tail = rest;
        while separator_length(tail) == 0
            && let Some((_, shorter)) = tail.split_first()
        {
            tail = shorter;
        }
        self.rest = tail;
        let word = rest.get(..rest.len().saturating_sub(tail.len()))?;
        (!word.is_empty()).then_some(word)
    }
}

impl<'a> DoubleEndedIterator for Words<'a> {
    fn next_back(&mut self) -> Option<&'a [u8]> {
        let separator_length = |text: &[u8]| match text.last() {
            Some(byte) if self.separators.contains(byte) => 1,
            Some(byte) if byte.is_ascii_graphic() => 0,
            _ => space_at_end(text),
        };
        let shorten = |text: &'a [u8], by: usize| text.get(..text.len().saturating_sub(by));
        let mut rest = self.rest;
        while let length @ 1.. = separator_length(rest) {
            rest = shorten(rest, length)?;
        }
        let mut head = rest;
        while separator_length(head) == 0
            && let Some((_, shorter)) = head.split_last()
        {
            head = shorter;
        }
        self.rest = head;
        let word = rest.get(head.len()..)?;
        (!word.is_empty()).then_some(word)
    }
}

/// The text in one pair of double quotes; the text itself if there is none.
pub(super) const fn unquote(text: &[u8]) -> &[u8] {
    match text {
        [b'"', inner @ .., b'"'] => inner,
        _ => text,
    }
}

/// The content of the quoted string at the start of `text`, up to the closing quote or the end. `None` without an opening
/// quote.
pub(super) fn quoted(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = inner.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    inner.get(..end.unwrap_or(inner.len()))
}

/// Resolves backslashes of a quoted string like servers: an escaped byte is literal (RFC 2109, 4.1), and three octal digits are
/// one byte (Python's `http.cookies`).
pub(super) fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    loop {
        text = match text {
            [
                b'\\',
                high @ b'0'..=b'3',
                middle @ b'0'..=b'7',
                low @ b'0'..=b'7',
                rest @ ..,
            ] => {
                plain.push((high & 7) << 6 | (middle & 7) << 3 | low & 7);
                rest
            }
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                plain.push(*byte);
                rest
            }
            [] => return plain,
        };
    }
}

/// Whether two header names are equal for servers that convert them to variable names (CGI, RFC 3875, 4.1.18): in any letter
/// case, and with `_` and `.` equal to `-`.
pub fn is_same_header(one: &[u8], other: &[u8]) -> bool {
    const fn fold(byte: u8) -> u8 {
        match byte {
            b'_' | b'.' => b'-',
            _ => byte.to_ascii_lowercase(),
        }
    }
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one == other || fold(*one) == fold(*other))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn all_white_space_of_any_server_is_trimmed() {
        for space in [
            " ", "\t", "\x0b", "\x0c", "\0", "\x1c", "\u{85}", "\u{a0}", "\u{2003}", "\u{2028}",
            "\u{202f}", "\u{205f}", "\u{3000}", "\u{feff}", "\u{1680}",
        ] {
            let text = format!("{space}{space}a{space}b{space}");
            let expected = format!("a{space}b");
            assert_eq!(trim_wide(text.as_bytes()), expected.as_bytes(), "{space:?}");
        }
        assert_eq!(trim_wide(b"\xa0\x85a\xa0"), b"a");
        assert_eq!(
            trim_wide("\u{e9}a\u{e9}".as_bytes()),
            "\u{e9}a\u{e9}".as_bytes()
        );
        assert_eq!(trim_wide(b" \t\xa0"), b"");
        assert_eq!(trim_ows(b"\t a\xa0 "), b"a\xa0");
    }

    #[test]
    fn words_are_split_at_any_white_space_and_at_separators() {
        let found = |text: &'static [u8]| words(text, b",;").collect::<Vec<_>>();
        let expected: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
        assert_eq!(found(b" a\xc2\xa0b ,\t;c\xe3\x80\x80d,"), expected);
        assert!(found(b" ,; ").is_empty());
        assert!(found(b"").is_empty());
        let mut both = words(b" a\xc2\xa0b ,\t;c\xe3\x80\x80d,", b",;");
        let expected: [Option<&[u8]>; 5] = [Some(b"d"), Some(b"a"), Some(b"c"), Some(b"b"), None];
        assert_eq!(
            [
                both.next_back(),
                both.next(),
                both.next_back(),
                both.next_back(),
                both.next()
            ],
            expected
        );
    }

    #[test]
    fn quoted_strings_end_at_their_quote() {
        assert_eq!(quoted(b"\"a\\\"b\"c"), Some(b"a\\\"b".as_slice()));
        assert_eq!(quoted(b"\"a"), Some(b"a".as_slice()));
        assert_eq!(quoted(b"a\""), None);
        assert_eq!(unescape(br"a\\\141\b\9"), b"a\\ab9");
    }

    #[test]
    fn headers_with_the_same_variable_name_are_the_same() {
        for name in ["x-api-key", "X-Api-Key", "x_api_key", "x.api-key"] {
            assert!(is_same_header(b"x-api-key", name.as_bytes()), "{name}");
        }
        for name in ["x-api-keys", "xapikey", "x-api-kez", "", "x api key"] {
            assert!(!is_same_header(b"x-api-key", name.as_bytes()), "{name}");
        }
    }
}
