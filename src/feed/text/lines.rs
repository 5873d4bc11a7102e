//! The lines of a stream, each in bounded memory.

use std::io::{self, BufRead, BufReader, Read};

use crate::codec::json::BUFFER_BYTES;

/// A line has more bytes than the limit.
pub(super) struct TooLong;

/// Reads lines that end with LF, CR or the end of the stream. CRLF ends a line, and an empty one.
pub(super) struct Lines<'b> {
    body: BufReader<&'b mut dyn Read>,
    line: Vec<u8>,
    longest: usize,
}

impl<'b> Lines<'b> {
    /// `longest`: the bytes of the longest line.
    pub(super) fn new(body: &'b mut dyn Read, longest: usize) -> Self {
        Self {
            body: BufReader::with_capacity(BUFFER_BYTES, body),
            line: Vec::new(),
            longest,
        }
    }

    /// The next line, without its end.
    pub(super) fn next_line(&mut self) -> Result<Option<Result<&[u8], TooLong>>, io::ErrorKind> {
        self.line.clear();
        let mut is_too_long = false;
        let mut is_end = true;
        loop {
            let bytes = match self.body.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.kind()),
            };
            if bytes.is_empty() {
                break;
            }
            is_end = false;
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            if self.line.len().saturating_add(part.len()) > self.longest {
                is_too_long = true;
            } else {
                self.line.extend_from_slice(part);
            }
            let used = part.len().saturating_add(usize::from(end.is_some()));
            self.body.consume(used);
            if end.is_some() {
                break;
            }
        }
        Ok(match (is_end, is_too_long) {
            (true, _) => None,
            (false, true) => Some(Err(TooLong)),
            (false, false) => Some(Ok(&self.line)),
        })
    }
}
