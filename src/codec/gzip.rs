//! gzip (RFC 1952): a body read as a stream, or made at once.
//!
//! Owns the frame: header, members one after the other, check sums. What is inside is read by `miniz_oxide` and made by
//! `deflate`. Memory is bounded whatever the body says; how much comes out is for the reader behind to bound.

use core::ops::Range;
use std::io::{self, Read};

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

use crate::codec::byte_source::ByteSource;
use crate::codec::deflate;

/// One table of 1 KiB: faster ones take 16 KiB of the module.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// How much of the body is taken at once.
const INPUT_BYTES: usize = 16 * 1024;

/// The first bytes of every member: the magic number, and deflate as the method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const HAS_HEADER_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Compresses a body.
pub fn compress(text: &[u8]) -> Vec<u8> {
    const NO_FLAGS: u8 = 0;
    const UNKNOWN_SYSTEM: u8 = 255;
    let mut body = MAGIC.to_vec();
    body.extend_from_slice(&[NO_FLAGS, 0, 0, 0, 0, 0, UNKNOWN_SYSTEM]);
    body.extend(deflate::compress(text));
    body.extend_from_slice(&CRC.checksum(text).to_le_bytes());
    body.extend_from_slice(&(text.len() as u32).to_le_bytes());
    body
}

/// What a gzip body holds.
///
/// Reading fails with [`io::ErrorKind::UnexpectedEof`] where the body ends inside a member, an empty body among them,
/// and with [`io::ErrorKind::InvalidData`] where it is no gzip, or not what was compressed, or something follows it.
pub struct GzipReader<'b> {
    body: &'b mut dyn ByteSource,
    input: Vec<u8>,
    /// What of `input` was not used yet.
    unread: Range<usize>,
    inflater: Box<DecompressorOxide>,
    /// What came out last, as far back as deflate may repeat it; written round and round.
    window: Vec<u8>,
    /// What of `window` was not given out yet.
    ready: Range<usize>,
    /// Of what this member gave so far.
    digest: Digest<'static, u32, Table<1>>,
    /// What this member gave so far, in bytes, modulo 2^32.
    length: u32,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first member.
    Start,
    /// In the data of one.
    Data,
    /// Between two, or behind the last.
    Between,
}

impl<'b> GzipReader<'b> {
    /// Reads from `body`.
    pub fn new(body: &'b mut dyn ByteSource) -> Self {
        Self {
            body,
            input: vec![0; INPUT_BYTES],
            unread: 0..0,
            inflater: Box::default(),
            window: vec![0; TINFL_LZ_DICT_SIZE],
            ready: 0..0,
            digest: CRC.digest(),
            length: 0,
            place: Place::Start,
        }
    }

    /// The input not used yet, more of the body where that is all used; empty at the body's end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            self.unread = 0..self.body.read_some(&mut self.input)?;
        }
        Ok(self.input.get(self.unread.clone()).unwrap_or_default())
    }

    fn next_byte(&mut self) -> io::Result<u8> {
        let byte = self.fill()?.first().copied();
        self.unread.next();
        byte.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn next_word(&mut self) -> io::Result<u32> {
        let mut word = [0; 4];
        for byte in &mut word {
            *byte = self.next_byte()?;
        }
        Ok(u32::from_le_bytes(word))
    }

    /// Reads a member's header. What it tells of the file does not matter here, so neither does its own check sum.
    fn read_header(&mut self) -> io::Result<()> {
        for expected in MAGIC {
            if self.next_byte()? != expected {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let flags = self.next_byte()?;
        if flags & RESERVED != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let _time = self.next_word()?;
        let _level_and_system = [self.next_byte()?, self.next_byte()?];
        if flags & HAS_EXTRA != 0 {
            let length = u16::from_le_bytes([self.next_byte()?, self.next_byte()?]);
            for _ in 0..length {
                self.next_byte()?;
            }
        }
        for text in [HAS_NAME, HAS_COMMENT] {
            if flags & text != 0 {
                while self.next_byte()? != 0 {}
            }
        }
        if flags & HAS_HEADER_CRC != 0 {
            let _crc = [self.next_byte()?, self.next_byte()?];
        }
        self.inflater.init();
        self.digest = CRC.digest();
        self.length = 0;
        self.place = Place::Data;
        Ok(())
    }

    /// Inflates some of the data into the window, and checks the sums at its end.
    fn inflate(&mut self) -> io::Result<()> {
        let at = self.ready.end & (TINFL_LZ_DICT_SIZE - 1);
        self.fill()?;
        let input = self.input.get(self.unread.clone()).unwrap_or_default();
        let (status, used, came) = decompress(
            &mut self.inflater,
            input,
            &mut self.window,
            at,
            TINFL_FLAG_HAS_MORE_INPUT,
        );
        let is_at_end = input.is_empty() && came == 0;
        self.unread.start = self.unread.start.saturating_add(used);
        self.ready = at..at.saturating_add(came);
        self.digest
            .update(self.window.get(self.ready.clone()).unwrap_or_default());
        self.length = self.length.wrapping_add(came as u32);
        match status {
            TINFLStatus::Done => {
                let sums = (self.next_word()?, self.next_word()?);
                if sums != (self.digest.clone().finalize(), self.length) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.place = Place::Between;
                Ok(())
            }
            TINFLStatus::NeedsMoreInput if is_at_end => Err(io::ErrorKind::UnexpectedEof.into()),
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Read for GzipReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            if self.place == Place::Data {
                self.inflate()?;
            } else if self.place == Place::Between && self.fill()?.is_empty() {
                return Ok(0);
            } else {
                self.read_header()?;
            }
        }
        let mut ready = self.window.get(self.ready.clone()).unwrap_or_default();
        let n = ready.read(out)?;
        self.ready.start = self.ready.start.saturating_add(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// `{"ips":["192.0.2.1"]}`, as `gzip list.json` writes it.
    const BY_GZIP: &[u8] = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x02\x03\x6c\x69\x73\x74\x2e\x6a\x73\x6f\x6e\x00\xab\x56\xca\x2c\x28\x56\xb2\x8a\x56\x32\xb4\x34\xd2\x33\xd0\x33\xd2\x33\x54\x8a\xad\x05\x00\x7e\x99\xd5\xa9\x15\x00\x00\x00";

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

    fn read_in(body: &[u8], piece: usize) -> Result<Vec<u8>, io::ErrorKind> {
        let mut text = Vec::new();
        match GzipReader::new(&mut Pieces(body, piece)).read_to_end(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.kind()),
        }
    }

    fn read(body: &[u8]) -> Result<Vec<u8>, io::ErrorKind> {
        read_in(body, usize::MAX)
    }

    /// A member with these flags and header fields.
    fn member(flags: u8, fields: &[u8], text: &[u8]) -> Vec<u8> {
        let mut body = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
        body.extend_from_slice(fields);
        body.extend(compress_to_vec(text, 6));
        body.extend(CRC.checksum(text).to_le_bytes());
        body.extend((text.len() as u32).to_le_bytes());
        body
    }

    fn plain(text: &[u8]) -> Vec<u8> {
        member(0, &[], text)
    }

    /// Text that neither repeats nor compresses to nothing, longer than the window.
    fn long_text() -> Vec<u8> {
        (0..40_000u32)
            .flat_map(|i| format!("{:x},", i.wrapping_mul(0x9E37_79B9)).into_bytes())
            .collect()
    }

    #[test]
    fn what_gzip_writes_is_read() {
        let text = br#"{"ips":["192.0.2.1"]}"#;
        for piece in [1, 2, 7, usize::MAX] {
            assert_eq!(read_in(BY_GZIP, piece).unwrap(), text);
        }
    }

    #[test]
    fn what_is_compressed_is_smaller_and_comes_back() {
        for text in [long_text().as_slice(), &b"{}\n".repeat(100_000), b"", b"x"] {
            let body = compress(text);
            assert!(read(&body).unwrap() == text);
            assert!(body.len() < text.len() || text.len() < 2);
        }
    }

    #[test]
    fn every_header_field_is_passed_over() {
        let table: [(u8, &[u8]); 7] = [
            (0, b""),
            (1, b""),
            (HAS_NAME, b"name\0"),
            (HAS_COMMENT, b"\0"),
            (HAS_EXTRA, b"\x03\0\0ab"),
            (HAS_HEADER_CRC, b"\xaa\xbb"),
            (0x1f, b"\x01\0xname\0comment\0\xaa\xbb"),
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
    fn long_bodies_come_in_pieces_of_any_size() {
        let text = long_text();
        let body = plain(&text);
        assert!(text.len() > 2 * TINFL_LZ_DICT_SIZE && body.len() > INPUT_BYTES);
        for piece in [1, 1_000, 65_536] {
            assert!(read_in(&body, piece).unwrap() == text, "pieces of {piece}");
        }
    }

    #[test]
    fn members_follow_each_other_and_empty_ones_hold_nothing() {
        let body = [plain(b"one "), plain(b""), plain(b"two")].concat();
        assert_eq!(read(&body).unwrap(), b"one two");
        assert_eq!(read(&plain(b"")).unwrap(), b"");
    }

    #[test]
    fn a_body_cut_anywhere_is_no_whole_body() {
        let body = member(
            0x1f,
            b"\x01\0xname\0comment\0\xaa\xbb",
            &long_text()[..5_000],
        );
        let two = [plain(b"one"), body].concat();
        let first = plain(b"one").len();
        for length in 0..two.len() {
            let outcome = read_in(&two[..length], 50);
            match length == first {
                // A whole member; that there were to be more does not stand in it.
                true => assert_eq!(outcome.unwrap(), b"one"),
                false => assert_eq!(outcome, Err(io::ErrorKind::UnexpectedEof), "{length}"),
            }
        }
    }

    #[test]
    fn changed_bytes_are_noticed() {
        let text = &long_text()[..2_000];
        let body = plain(text);
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.clone();
                changed[at] ^= 1 << bit;
                match read(&changed) {
                    // The time, the level and unused bits do not count; the text must be the same.
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
    fn what_follows_is_refused() {
        let body = [plain(b"text").as_slice(), b"rest"].concat();
        assert_eq!(read(&body), Err(io::ErrorKind::InvalidData));
        assert_eq!(read(b"{}"), Err(io::ErrorKind::InvalidData));
        assert_eq!(read(b""), Err(io::ErrorKind::UnexpectedEof));
    }
}
