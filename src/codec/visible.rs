//! A fast check for visible ASCII: most values of most requests consist of nothing else and need no decoding.

/// Whether every byte of `text` is visible ASCII (0x21 to 0x7E) and none is `other`.
pub fn is_visible_without(text: &[u8], other: u8) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let others = u64::from_le_bytes([other; 8]);
    let is_match = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        !(has_byte_below_space_or_above_tilde(word) || has_zero_byte(word ^ others))
    };
    let is_visible = |byte: &u8| byte.is_ascii_graphic() && *byte != other;
    words.iter().all(is_match) && rest.iter().all(is_visible)
}

/// Eight bytes at once, as in "Bit Twiddling Hacks" (S. E. Anderson): the top bit of a byte of the result shows a match.
const EACH: u64 = u64::from_le_bytes([1; 8]);
const TOP_BITS: u64 = u64::from_le_bytes([0x80; 8]);
const LOW_BITS: u64 = u64::from_le_bytes([0x7F; 8]);

const fn has_zero_byte(word: u64) -> bool {
    word.wrapping_sub(EACH) & !word & TOP_BITS != 0
}

const fn has_byte_below_space_or_above_tilde(word: u64) -> bool {
    let low = word & LOW_BITS;
    // No carry leaves a byte: the terms have seven bits each.
    let not_visible = !low.wrapping_add(EACH.wrapping_mul(0x80 - 0x21));
    let is_delete = low.wrapping_add(EACH);
    (word | not_visible | is_delete) & TOP_BITS != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_byte_at_every_position_is_classified_as_byte_by_byte() {
        for length in 0..20 {
            for position in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'~'; length];
                    text[position] = byte;
                    for other in [b'%', b',', 0, 0xFF] {
                        let expected = text.iter().all(|b| b.is_ascii_graphic() && *b != other);
                        assert_eq!(
                            is_visible_without(&text, other),
                            expected,
                            "{text:?} {other}"
                        );
                    }
                }
            }
        }
    }
}
