//! gzip (RFC 1952): bodies compressed at once, and read as a stream.
//!
//! Memory is bounded for any body. The callers limit the size of the output.

use std::io::{self, BufReader, Read};

use flate2::Compression;
use flate2::bufread::{GzEncoder, MultiGzDecoder};

/// The size of one read.
const INPUT_BYTES: usize = 16 * 1024;

/// Compresses a body.
pub fn compress(text: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    // Reading from memory and writing to it does not fail.
    let _ = GzEncoder::new(text, Compression::fast()).read_to_end(&mut body);
    body
}

/// Decompresses a body: one gzip member or several.
///
/// Reading fails with [`io::ErrorKind::UnexpectedEof`] if the body is empty or ends inside a member or its header, and
/// with [`io::ErrorKind::InvalidData`] if it is not gzip, a checksum differs, or other bytes follow a member.
pub struct GzipReader<R>(MultiGzDecoder<BufReader<R>>);

impl<R: Read> GzipReader<R> {
    /// Reads from `body`.
    pub fn new(body: R) -> Self {
        Self(MultiGzDecoder::new(BufReader::with_capacity(
            INPUT_BYTES,
            body,
        )))
    }
}

impl<R: Read> Read for GzipReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).map_err(|error| match error.kind() {
            // flate2 reports malformed bodies so.
            io::ErrorKind::InvalidInput => io::ErrorKind::InvalidData.into(),
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Crc;
    use flate2::read::DeflateEncoder;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// `{"ips":["192.0.2.1"]}`, as `gzip list.json` writes it.
    const BY_GZIP: &[u8] = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x02\x03\x6c\x69\x73\x74\x2e\x6a\x73\x6f\x6e\x00\xab\x56\xca\x2c\x28\x56\xb2\x8a\x56\x32\xb4\x34\xd2\x33\xd0\x33\xd2\x33\x54\x8a\xad\x05\x00\x7e\x99\xd5\xa9\x15\x00\x00\x00";

    // Flags of a member's header (RFC 1952, 2.3.1).
    const HAS_HEADER_CRC: u8 = 1 << 1;
    const HAS_EXTRA: u8 = 1 << 2;
    const HAS_NAME: u8 = 1 << 3;
    const HAS_COMMENT: u8 = 1 << 4;

    const WINDOW: usize = 32 * 1024;

    /// Returns at most `piece` bytes at a time.
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

    fn read_in(body: &[u8], piece: usize) -> Result<Vec<u8>, io::ErrorKind> {
        let mut text = Vec::new();
        match GzipReader::new(Pieces(body, piece)).read_to_end(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.kind()),
        }
    }

    fn read(body: &[u8]) -> Result<Vec<u8>, io::ErrorKind> {
        read_in(body, usize::MAX)
    }

    fn crc(bytes: &[u8]) -> u32 {
        let mut crc = Crc::new();
        crc.update(bytes);
        crc.sum()
    }

    /// A member with these flags and header fields; the checksum of the header is added if the flags require it.
    fn member(flags: u8, fields: &[u8], text: &[u8]) -> Vec<u8> {
        let mut body = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
        body.extend_from_slice(fields);
        if flags & HAS_HEADER_CRC != 0 {
            let header = crc(&body) as u16;
            body.extend(header.to_le_bytes());
        }
        DeflateEncoder::new(text, Compression::default())
            .read_to_end(&mut body)
            .unwrap();
        body.extend(crc(text).to_le_bytes());
        body.extend((text.len() as u32).to_le_bytes());
        body
    }

    fn plain(text: &[u8]) -> Vec<u8> {
        member(0, &[], text)
    }

    /// Text that compresses moderately, longer than the window.
    fn long_text() -> Vec<u8> {
        (0..40_000u32)
            .flat_map(|i| format!("{:x},", i.wrapping_mul(0x9E37_79B9)).into_bytes())
            .collect()
    }

    #[test]
    fn output_of_the_gzip_program_is_read() {
        let text = br#"{"ips":["192.0.2.1"]}"#;
        for piece in [1, 2, 7, usize::MAX] {
            assert_eq!(read_in(BY_GZIP, piece).unwrap(), text);
        }
    }

    #[test]
    fn compression_shrinks_a_text_and_is_reversible() {
        for text in [long_text().as_slice(), &b"{}\n".repeat(100_000), b"", b"x"] {
            let body = compress(text);
            assert!(read(&body).unwrap() == text);
            assert!(body.len() < text.len() || text.len() < 2);
        }
    }

    /// Records as `traffic` writes them.
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
    fn records_are_compressed_to_a_fifth() {
        let text = records(1_000);
        let body = compress(&text);
        assert!(body.len() * 5 < text.len(), "{}", body.len());
        assert!(read(&body).unwrap() == text);
    }

    #[test]
    fn every_header_field_is_skipped() {
        let table: [(u8, &[u8]); 7] = [
            (0, b""),
            (1, b""),
            (HAS_NAME, b"name\0"),
            (HAS_COMMENT, b"\0"),
            (HAS_EXTRA, b"\x03\0\0ab"),
            (HAS_HEADER_CRC, b""),
            (0x1f, b"\x01\0xname\0comment\0"),
        ];
        for (flags, fields) in table {
            assert_eq!(
                read(&member(flags, fields, b"text")).unwrap(),
                b"text",
                "{flags}"
            );
        }
        for flags in [1 << 5, 1 << 6, 1 << 7] {
            let body = member(flags, b"", b"text");
            assert_eq!(read(&body), Err(io::ErrorKind::InvalidData), "{flags}");
        }
    }

    #[test]
    fn long_bodies_are_read_in_pieces_of_any_size() {
        let text = long_text();
        let body = plain(&text);
        assert!(text.len() > 2 * WINDOW && body.len() > INPUT_BYTES);
        for piece in [1, 1_000, 65_536] {
            assert!(read_in(&body, piece).unwrap() == text, "pieces of {piece}");
        }
    }

    #[test]
    fn members_are_concatenated() {
        let body = [plain(b"one "), plain(b""), plain(b"two")].concat();
        assert_eq!(read(&body).unwrap(), b"one two");
        assert_eq!(read(&plain(b"")).unwrap(), b"");
    }

    #[test]
    fn a_truncated_body_is_an_error() {
        let body = member(0x1f, b"\x01\0xname\0comment\0", &long_text()[..5_000]);
        let two = [plain(b"one"), body].concat();
        let first = plain(b"one").len();
        for length in 0..two.len() {
            let outcome = read_in(&two[..length], 50);
            match length == first {
                // The first member is complete, and nothing announces the second.
                true => assert_eq!(outcome.unwrap(), b"one"),
                false => assert_eq!(outcome, Err(io::ErrorKind::UnexpectedEof), "{length}"),
            }
        }
    }

    #[test]
    fn corruption_is_an_error() {
        let text = &long_text()[..2_000];
        let body = plain(text);
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.clone();
                changed[at] ^= 1 << bit;
                match read(&changed) {
                    // The time, the level and unused bits do not matter; the text must be the same.
                    Ok(found) => assert!(found == text, "byte {at}, bit {bit}"),
                    Err(kind) => assert!(
                        matches!(
                            kind,
                            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                        ),
                        "{kind}"
                    ),
                }
            }
        }
        for sum in [1, 5] {
            let mut changed = body.clone();
            let at = changed.len() - sum;
            changed[at] ^= 1;
            assert_eq!(read(&changed), Err(io::ErrorKind::InvalidData));
        }
    }

    #[test]
    fn other_bytes_before_or_after_members_are_an_error() {
        // Fewer bytes than a member's header has are a truncated header.
        for (rest, expected) in [
            (b"a few more bytes".as_slice(), io::ErrorKind::InvalidData),
            (b"rest", io::ErrorKind::UnexpectedEof),
            (b"\x1f", io::ErrorKind::UnexpectedEof),
        ] {
            let body = [plain(b"text").as_slice(), rest].concat();
            assert_eq!(read(&body), Err(expected));
            assert_eq!(read(rest), Err(expected));
        }
        assert_eq!(read(b""), Err(io::ErrorKind::UnexpectedEof));
    }
}
