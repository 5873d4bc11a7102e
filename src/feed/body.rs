//! The body of a list server's response as a bounded stream. Knows no format of a list.

use core::cell::Cell;
use std::io::{self, Read};

use crate::host::CallResponse;

/// The limit on one entry: the JSON parser buffers one string at a time.
pub const LONGEST_ENTRY: u64 = 1024 * 1024;

/// The body is read from the host in slices of this size: wasm memory never shrinks.
const SLICE: usize = 256 * 1024;

/// The body of the current response.
pub struct CallBody<'a> {
    host: &'a dyn CallResponse,
    read: usize,
    slice: Vec<u8>,
    at: usize,
}

impl<'a> CallBody<'a> {
    /// The body of `host`'s current response.
    pub fn new(host: &'a dyn CallResponse) -> Self {
        Self {
            host,
            read: 0,
            slice: Vec::new(),
            at: 0,
        }
    }
}

impl Read for CallBody<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.slice.len() {
            self.slice = self.host.call_body(self.read, SLICE);
            self.read = self.read.saturating_add(self.slice.len());
            self.at = 0;
        }
        let left = self.slice.get(self.at..).unwrap_or_default();
        let n = left.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), left.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(n);
        Ok(n)
    }
}

/// The body as the host delivers it, before it is decompressed.
pub struct ReceivedBody<R> {
    inner: R,
    received: u64,
    has_ended: bool,
    is_interrupted: bool,
}

impl<R: Read> ReceivedBody<R> {
    /// The body that `inner` returns. An error of `inner` is an interruption of the response.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            received: 0,
            has_ended: false,
            is_interrupted: false,
        }
    }

    /// The number of bytes received, if that is the whole body.
    pub fn size(&self) -> Option<u64> {
        self.has_ended.then_some(self.received)
    }

    /// Whether the response was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }
}

impl<R: Read> Read for ReceivedBody<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out);
        match read {
            Ok(0) => self.has_ended |= !out.is_empty(),
            Ok(n) => {
                let n = u64::try_from(n).unwrap_or(u64::MAX);
                self.received = self.received.saturating_add(n);
            }
            Err(_) => self.is_interrupted = true,
        }
        read
    }
}

/// The limit that was exceeded.
#[derive(Clone, Copy, Debug)]
pub enum Exceeded {
    /// The limit on one entry.
    Entry,
    /// The limit on the whole body.
    Total,
}

/// Counts the bytes that were read, in total and since the last entry.
#[derive(Default)]
pub struct Meter {
    since_entry: Cell<u64>,
    total: Cell<u64>,
    exceeded: Cell<Option<Exceeded>>,
}

impl Meter {
    /// An entry ended.
    pub fn end_entry(&self) {
        self.since_entry.set(0);
    }

    /// The limit that was exceeded, if any.
    pub fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded.get()
    }

    /// `inner`, up to `limit` bytes and [`LONGEST_ENTRY`] bytes between two entries.
    pub fn limit<'a>(&'a self, inner: &'a mut dyn Read, limit: u64) -> Metered<'a> {
        Metered {
            meter: self,
            inner,
            limit,
        }
    }
}

/// A reader that ends with an error at a limit.
pub struct Metered<'a> {
    meter: &'a Meter,
    inner: &'a mut dyn Read,
    limit: u64,
}

impl Read for Metered<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let exceeded = if self.meter.since_entry.get() > LONGEST_ENTRY {
            Some(Exceeded::Entry)
        } else if self.meter.total.get() > self.limit {
            Some(Exceeded::Total)
        } else {
            None
        };
        if exceeded.is_some() {
            self.meter.exceeded.set(exceeded);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let n = self.inner.read(out)?;
        let read = u64::try_from(n).unwrap_or(u64::MAX);
        for count in [&self.meter.since_entry, &self.meter.total] {
            count.set(count.get().saturating_add(read));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::gzip::GzipReader;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_decompression_bomb_is_read_only_up_to_the_limit() {
        let text = vec![b' '; 4 << 20];
        let bomb = crate::codec::gzip::compress(&text);
        assert!(bomb.len() < 32 << 10);
        let (meter, limit, mut body) = (Meter::default(), 1 << 19, bomb.as_slice());
        let mut unzipped = GzipReader::new(&mut body);
        let outcome = io::copy(&mut meter.limit(&mut unzipped, limit), &mut io::sink());
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(matches!(meter.exceeded.get(), Some(Exceeded::Total)));
        assert!(meter.total.get() < limit + (64 << 10));
    }
}
