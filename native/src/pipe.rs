//! The body of a response, from the main thread, where it arrives, to the thread that parses it.
//!
//! The main thread never waits: a body that arrives faster than it is parsed is kept here, up to a limit.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Limit on the bytes that wait to be parsed.
const MOST_WAITING: usize = 64 << 20;

enum Part {
    Data(Vec<u8>),
    /// The body is complete.
    End,
}

/// A new pipe.
pub fn pipe() -> (Writer, Reader) {
    let (parts, received) = channel();
    let waiting = Arc::<AtomicUsize>::default();
    let writer = Writer {
        parts,
        waiting: waiting.clone(),
    };
    let reader = Reader {
        parts: received,
        waiting,
        current: Vec::new(),
        position: 0,
        is_complete: false,
    };
    (writer, reader)
}

/// The main thread's end. If it is dropped before [`Writer::finish`], the body is broken off.
#[derive(Debug)]
pub struct Writer {
    parts: Sender<Part>,
    waiting: Arc<AtomicUsize>,
}

/// Why a part of a body was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The reader needs no more.
    Closed,
    /// Too much waits to be parsed.
    Full,
}

impl Writer {
    /// Adds the next bytes.
    ///
    /// # Errors
    ///
    /// The rest of the body is of no use.
    pub fn write(&self, bytes: &[u8]) -> Result<(), NotTaken> {
        let before = self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        if before.saturating_add(bytes.len()) > MOST_WAITING {
            return Err(NotTaken::Full);
        }
        let sent = self.parts.send(Part::Data(bytes.to_vec()));
        sent.map_err(|_| NotTaken::Closed)
    }

    /// The body is complete.
    pub fn finish(self) {
        // A reader that needs no more does not need the end either.
        let _ = self.parts.send(Part::End);
    }
}

/// The parser's end. It waits for the next bytes; a body that was broken off is an error.
#[derive(Debug)]
pub struct Reader {
    parts: Receiver<Part>,
    waiting: Arc<AtomicUsize>,
    current: Vec<u8>,
    position: usize,
    is_complete: bool,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut rest = self.current.get(self.position..).unwrap_or_default();
            if !rest.is_empty() {
                let read = rest.read(buffer)?;
                self.position = self.position.saturating_add(read);
                return Ok(read);
            }
            if self.is_complete {
                return Ok(0);
            }
            match self.parts.recv() {
                Ok(Part::Data(bytes)) => {
                    self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                    self.current = bytes;
                    self.position = 0;
                }
                Ok(Part::End) => self.is_complete = true,
                Err(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionReset,
                        "the response was broken off",
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_body_arrives_in_order() {
        let (writer, mut reader) = pipe();
        let parser = std::thread::spawn(move || {
            let mut body = Vec::new();
            reader.read_to_end(&mut body).map(|_| body)
        });
        for part in [&b"one "[..], b"", b"two"] {
            assert_eq!(writer.write(part), Ok(()));
        }
        writer.finish();
        assert_eq!(parser.join().unwrap().unwrap(), b"one two");
    }

    #[test]
    fn a_body_that_is_broken_off_is_an_error() {
        let (writer, mut reader) = pipe();
        assert_eq!(writer.write(b"one"), Ok(()));
        drop(writer);
        let mut body = Vec::new();
        let error = reader.read_to_end(&mut body).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(body, b"one");
    }

    #[test]
    fn what_waits_is_bounded() {
        let (writer, mut reader) = pipe();
        let chunk = vec![0; MOST_WAITING / 4];
        for _ in 0..3 {
            assert_eq!(writer.write(&chunk), Ok(()));
        }
        let mut read = vec![0; chunk.len()];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(writer.write(&chunk), Ok(()));
        assert_eq!(writer.write(&chunk), Ok(()));
        assert_eq!(writer.write(&chunk), Err(NotTaken::Full));
    }

    #[test]
    fn a_reader_that_is_dropped_closes_the_pipe() {
        let (writer, reader) = pipe();
        drop(reader);
        assert_eq!(writer.write(b"one"), Err(NotTaken::Closed));
    }
}
