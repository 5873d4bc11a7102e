//! Deflate (RFC 1951), the writing half: repeats are told by distance and length, in the fixed codes.
//!
//! A compressor of our own, since those of libraries take 18 KB of a module that may have 220: they choose codes by the
//! text, and search for repeats in several ways. Records of traffic are so much alike that the first repeat found will do.

/// How far back a repeat may be told.
const WINDOW: usize = 32 * 1024;
/// The shortest repeat that is told: so many bytes are looked up at once.
const SHORTEST: usize = 4;
/// The longest repeat that can be told.
const LONGEST: usize = 258;

const HASH_BITS: u32 = 13;
const END_OF_BLOCK: u32 = 256;

/// Compresses a text, in one block.
pub fn compress(text: &[u8]) -> Vec<u8> {
    let mut bits = Bits {
        // More than enough for text that is alike; room grows for other.
        bytes: Vec::with_capacity(text.len() / 4),
        held: 0,
        n_held: 0,
    };
    const LAST_BLOCK: u32 = 1;
    const FIXED_CODES: u32 = 0b01;
    bits.push(LAST_BLOCK, 1);
    bits.push(FIXED_CODES, 2);
    // For each hash, where the text with that hash was seen last, counted from 1.
    let mut seen = vec![0usize; 1 << HASH_BITS];
    let mut at = 0usize;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let before = note(&mut seen, rest, at);
        let length = before.map_or(0, |before| repeat(text, before, at));
        match before.and_then(|before| at.checked_sub(before)) {
            Some(distance) if length >= SHORTEST && distance <= WINDOW => {
                bits.push_repeat(length, distance);
                let end = at.saturating_add(length);
                for at in at.saturating_add(1)..end {
                    note(&mut seen, text.get(at..).unwrap_or_default(), at);
                }
                at = end;
            }
            _ => {
                bits.push_symbol(rest.first().copied().unwrap_or(0).into());
                at = at.saturating_add(1);
            }
        }
    }
    bits.push_symbol(END_OF_BLOCK);
    bits.push(0, 7);
    bits.bytes
}

/// Notes that `rest` stands at `at`, and tells where the like stood last.
fn note(seen: &mut [usize], rest: &[u8], at: usize) -> Option<usize> {
    let word = u32::from_le_bytes(*rest.first_chunk::<SHORTEST>()?);
    let hash = word.wrapping_mul(0x9E37_79B1) >> (u32::BITS - HASH_BITS);
    let slot = seen.get_mut(usize::try_from(hash).ok()?)?;
    core::mem::replace(slot, at.saturating_add(1)).checked_sub(1)
}

/// How many bytes are the same from `before` and from `at`.
fn repeat(text: &[u8], before: usize, at: usize) -> usize {
    let earlier = text.get(before..).unwrap_or_default();
    let later = text.get(at..).unwrap_or_default();
    let same = earlier.iter().zip(later).take(LONGEST);
    same.take_while(|(earlier, later)| earlier == later).count()
}

/// Bits, the first in the lowest place of the first byte.
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    n_held: u32,
}

impl Bits {
    /// Adds the lowest `n` bits, the lowest first; at most 16.
    fn push(&mut self, bits: u32, n: u32) {
        self.held |= bits << self.n_held;
        self.n_held = self.n_held.saturating_add(n);
        while self.n_held >= 8 {
            let [byte, ..] = self.held.to_le_bytes();
            self.bytes.push(byte);
            self.held >>= 8;
            self.n_held = self.n_held.saturating_sub(8);
        }
    }

    /// Adds a code, which goes the highest bit first.
    fn push_code(&mut self, code: u32, n: u32) {
        self.push(code.reverse_bits() >> 32u32.saturating_sub(n), n);
    }

    /// Adds a byte or the symbol of a length, by the fixed code (3.2.6).
    fn push_symbol(&mut self, symbol: u32) {
        let (first, code, n) = match symbol {
            0..=143 => (0, 0b0011_0000, 8),
            144..=255 => (144, 0b1_1001_0000, 9),
            256..=279 => (256, 0, 7),
            _ => (280, 0b1100_0000, 8),
        };
        self.push_code(symbol.saturating_sub(first).saturating_add(code), n);
    }

    /// Adds a repeat: the class of its length and the rest of it, and so for its distance (3.2.5).
    fn push_repeat(&mut self, length: usize, distance: usize) {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if length == LONGEST {
            self.push_symbol(285);
        } else {
            let (class, rest, n) = classed(number(length).saturating_sub(3), 4);
            self.push_symbol(class.saturating_add(257));
            self.push(rest, n);
        }
        let (class, rest, n) = classed(number(distance).saturating_sub(1), 2);
        self.push_code(class, 5);
        self.push(rest, n);
    }
}

/// The class of a number, where `per_doubling` (a power of two) classes are given each doubling; how far into its class
/// the number is, and by how many bits that is told.
fn classed(number: u32, per_doubling: u32) -> (u32, u32, u32) {
    let whole = per_doubling.trailing_zeros();
    let log = number.checked_ilog2().unwrap_or(0);
    let n_bits = log.saturating_sub(whole);
    let class = (n_bits << whole).saturating_add(number >> n_bits);
    (class, number & !(u32::MAX << n_bits), n_bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::inflate::decompress_to_vec;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Records much as `traffic` makes them.
    fn records(n: u32) -> Vec<u8> {
        let line = |i: u32| {
            let number = i.wrapping_mul(0x9E37_79B9);
            format!(
                "{{\"correlation_id\":\"{number:032x}\",\"source_ip\":\"10.{}.{}.{}\",\"source_port\":{},\"method\":\"GET\",\
                 \"url\":\"/shop/items/{}?page={}\",\"http_version\":\"1.1\",\"headers\":[{{\"host\":\"shop.example.com\"}},\
                 {{\"user-agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\"}}],\
                 \"user_info\":[],\"response_code\":\"200\",\"response_status\":\"OK\",\"verdict\":\"allowed\"}}\n",
                number >> 24,
                number >> 16 & 255,
                number >> 8 & 255,
                number >> 18,
                number % 997,
                number % 7,
            )
        };
        (0..n).flat_map(|i| line(i).into_bytes()).collect()
    }

    #[test]
    fn lengths_and_distances_have_the_classes_of_the_rfc() {
        // Number, class, bits: from the tables of 3.2.5, less their first length, code and distance.
        for (number, class, bits) in [
            (0, 0, 0),
            (7, 7, 0),
            (8, 8, 1),
            (9, 8, 1),
            (16, 12, 2),
            (254, 27, 5),
        ] {
            let (found, rest, n) = classed(number, 4);
            assert_eq!((found, n), (class, bits), "{number}");
            assert!(rest < 1 << n);
        }
        for (number, class, bits) in [
            (0, 0, 0),
            (3, 3, 0),
            (4, 4, 1),
            (6, 5, 1),
            (24_576, 29, 13),
            (32_767, 29, 13),
        ] {
            assert_eq!(
                (classed(number, 2).0, classed(number, 2).2),
                (class, bits),
                "{number}"
            );
        }
    }

    #[test]
    fn every_text_comes_back() {
        let random: Vec<u8> = (0..70_000u32)
            .map(|i| (i.wrapping_mul(0x9E37_79B9) >> 13) as u8 ^ (i >> 3) as u8)
            .collect();
        let far = [&random[..WINDOW], &random[..5_000]].concat();
        let too_far = [&random[..WINDOW + 1], &random[..5_000]].concat();
        let mut texts: Vec<Vec<u8>> = vec![records(300), vec![7; 100_000], random, far, too_far];
        texts.extend((0..600).map(|length| records(2)[..length].to_vec()));
        texts.extend((0..600).map(|length| vec![b'a'; length]));
        texts.push((0..=255).collect());
        for text in texts {
            let body = compress(&text);
            assert!(
                decompress_to_vec(&body).unwrap() == text,
                "{} bytes",
                text.len()
            );
        }
    }

    #[test]
    fn records_become_a_fraction_of_their_size() {
        let text = records(1_000);
        let ours = compress(&text).len();
        let theirs = miniz_oxide::deflate::compress_to_vec(&text, 1).len();
        assert!(ours * 5 < text.len(), "{ours} of {}", text.len());
        assert!(ours < theirs * 3 / 2, "{ours}, not {theirs}");
    }
}
