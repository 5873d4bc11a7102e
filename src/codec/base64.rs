//! Base64 (RFC 4648) as strict and tolerant servers decode it.
//!
//! A decoder that is stricter than the server's would miss a listed name in a spelling that the server accepts. Decoders
//! differ in two points, so a text has up to four readings; a library offers only one of them.

/// Decodes base64 like tolerant servers: both alphabets, with or without padding, any other byte skipped.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    decode_until(text, None, usize::MAX)
}

/// As [`decode`], but stops after the decoded byte `end`, or after more than `limit` decoded bytes.
fn decode_until(text: &[u8], end: Option<u8>, limit: usize) -> Vec<u8> {
    // The leading one marks how many bits have been read.
    const NONE: u32 = 1;
    let mut bits = NONE;
    let mut decoded = Vec::with_capacity(text.len().min(limit));
    for &byte in text {
        let Some(sextet) = sextet(byte) else {
            continue;
        };
        bits = bits << 6 | u32::from(sextet);
        if let [1, first, second, third] = bits.to_be_bytes() {
            let group = [first, second, third];
            decoded.extend_from_slice(&group);
            bits = NONE;
            if end.is_some_and(|end| group.contains(&end)) || decoded.len() > limit {
                return decoded;
            }
        }
    }
    // A rest of two or three sextets contains one or two bytes; a single sextet contains none.
    match bits.leading_zeros() {
        13 => {
            let [_, _, first, second] = (bits >> 2).to_be_bytes();
            decoded.extend_from_slice(&[first, second]);
        }
        19 => {
            let [_, _, _, first] = (bits >> 4).to_be_bytes();
            decoded.push(first);
        }
        _ => (),
    }
    decoded
}

/// Calls `visit` with the output of each kind of decoder, up to a few bytes after the first `end`. Decoders decode the digits
/// of the URL alphabet (Node.js, Go) or skip them (Python, PHP), and skip padding in the middle or stop there. There is one
/// reading if they agree. Decoding stops after more than `limit` bytes.
pub(crate) fn visit_readings(text: &[u8], end: u8, limit: usize, visit: &mut dyn FnMut(Vec<u8>)) {
    let unpadded = trim_padding(text.trim_ascii());
    let mut visit = |text: &[u8]| visit(decode_until(text, Some(end), limit));
    visit(unpadded);
    let has_inner_padding = unpadded.contains(&b'=');
    let is_url_digit = |byte: &u8| matches!(byte, b'-' | b'_');
    if has_inner_padding {
        visit(until_padding(unpadded));
    }
    if unpadded.iter().any(is_url_digit) {
        let digits = unpadded.iter().filter(|byte| !is_url_digit(byte));
        let standard: Vec<u8> = digits.copied().collect();
        visit(&standard);
        if has_inner_padding {
            visit(until_padding(&standard));
        }
    }
}

/// The first decoded byte that is not JSON white space. Decodes only the start of `text`.
pub(crate) fn first_visible_byte(text: &[u8]) -> Option<u8> {
    let start = text.get(..64).unwrap_or(text);
    let mut decoded = decode(start).into_iter();
    decoded.find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

fn until_padding(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b'=').next().unwrap_or_default()
}

fn trim_padding(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b'='] = text {
        text = rest;
    }
    text
}

/// The value of each byte as a digit of either alphabet; [`NO_DIGIT`] for other bytes.
const DIGITS: [u8; 256] = digits();
const NO_DIGIT: u8 = 64;

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs at compile time, where both are build errors"
)]
const fn digits() -> [u8; 256] {
    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < STANDARD.len() {
        digits[STANDARD[value] as usize] = value as u8;
        value += 1;
    }
    digits[b'-' as usize] = 62;
    digits[b'_' as usize] = 63;
    digits
}

fn sextet(byte: u8) -> Option<u8> {
    DIGITS
        .get(usize::from(byte))
        .copied()
        .filter(|value| *value != NO_DIGIT)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A bitwise encoder, to check the decoder against.
    pub(crate) fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
        let bits: Vec<bool> = bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1 == 1))
            .collect();
        bits.chunks(6)
            .map(|chunk| {
                let sextet = (0..6).fold(0, |sum, at| {
                    sum << 1 | usize::from(chunk.get(at).copied().unwrap_or(false))
                });
                char::from(alphabet[sextet])
            })
            .collect()
    }

    const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    pub(crate) const URL_SAFE: &[u8; 64] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    #[test]
    fn base64_is_decoded_completely() {
        // RFC 4648, 10.
        for (encoded, decoded) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(encoded.as_bytes()), decoded.as_bytes());
        }
        let every_byte: Vec<u8> = (0..=255).rev().collect();
        for length in 0..=every_byte.len() {
            for alphabet in [STANDARD, URL_SAFE] {
                let encoded = encode(&every_byte[..length], alphabet);
                assert_eq!(decode(encoded.as_bytes()), &every_byte[..length]);
            }
        }
    }

    #[test]
    fn every_reading_is_visited_if_decoders_differ() {
        let readings = |text: &str| {
            let mut found = Vec::new();
            visit_readings(text.as_bytes(), b'?', 100, &mut |bytes| found.push(bytes));
            found
        };
        let has = |text: &str, bytes: &[u8]| readings(text).iter().any(|found| found == bytes);
        assert_eq!(readings("Ym9iOng="), [b"bob:x"]);
        assert_eq!(readings(" Ym9iOng "), [b"bob:x"]);
        assert!(has("Y-m9iOng=", b"bob:x"), "skipped");
        assert!(has("YjE_Pj46", b"b1?"), "decoded");
        assert!(has("Ym9iOng=Ym9i", b"bob:x"), "padding stops it");
        assert!(has("Y=m9iOng", b"bob:x"), "padding is skipped");
        assert!(has("Y_m9iOng=Ym9i", b"bob:x"), "both");
    }

    #[test]
    fn the_first_visible_byte_ignores_white_space() {
        for (text, first) in [
            ("e30", Some(b'{')),
            ("IAp7fQ", Some(b'{')),
            ("Ym9i", Some(b'b')),
            ("", None),
            ("IA", None),
        ] {
            assert_eq!(first_visible_byte(text.as_bytes()), first, "{text}");
        }
    }
}
