//! The body of a response, from the main thread, where it arrives, to the thread that parses it.
//!
//! Envoy lets a module slow no server down. So a body that arrives faster than it is parsed waits here: up to a few
//! megabytes as a rule, because the main thread then waits for the parser, but only for a moment, and up to a limit.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The bytes that wait to be parsed before the main thread does.
const SOME_WAITING: usize = 4 << 20;
/// How long the main thread waits at once. Envoy delivers a megabyte at once, which is parsed in less.
const MOMENT: Duration = Duration::from_millis(20);
/// Limit on the bytes that wait to be parsed.
const MOST_WAITING: usize = 256 << 20;

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Vec<u8>>,
    /// The bytes of `parts`.
    waiting: usize,
    /// `Some(true)`: the body is complete; `Some(false)`: it is broken off.
    end: Option<bool>,
    /// The reader needs no more.
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, is_complete: bool) {
        self.state().end.get_or_insert(is_complete);
        self.changed.notify_all();
    }
}

/// A new pipe.
pub fn pipe() -> (Writer, Reader) {
    let pipe = Arc::<Pipe>::default();
    let reader = Reader {
        pipe: pipe.clone(),
        current: Vec::new(),
        position: 0,
    };
    (Writer(pipe), reader)
}

/// The main thread's end. If it is dropped before [`Writer::finish`], the body is broken off.
#[derive(Debug)]
pub struct Writer(Arc<Pipe>);

/// Why a part of a body was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The reader needs no more.
    Closed,
    /// Too much waits to be parsed.
    Full,
}

impl Writer {
    /// Waits a moment if much waits to be parsed. Returns whether that is over.
    pub fn await_room(&self) -> bool {
        let state = self.0.state();
        let is_behind = |state: &mut State| state.waiting > SOME_WAITING && !state.is_closed;
        let waited = self.0.changed.wait_timeout_while(state, MOMENT, is_behind);
        let waited = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    ///
    /// The rest of the body is of no use.
    pub fn write(&self, bytes: &[u8]) -> Result<(), NotTaken> {
        if bytes.is_empty() {
            return Ok(());
        }
        let part = bytes.to_vec();
        let mut state = self.0.state();
        if state.is_closed {
            return Err(NotTaken::Closed);
        }
        state.waiting = state.waiting.saturating_add(part.len());
        if state.waiting > MOST_WAITING {
            return Err(NotTaken::Full);
        }
        state.parts.push_back(part);
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }

    /// The body is complete.
    pub fn finish(self) {
        self.0.end(true);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.end(false);
    }
}

/// The parser's end. It waits for the next bytes; a body that was broken off is an error.
#[derive(Debug)]
pub struct Reader {
    pipe: Arc<Pipe>,
    current: Vec<u8>,
    position: usize,
}

impl Reader {
    /// The next bytes; none at the end.
    fn next(&self) -> io::Result<Vec<u8>> {
        let mut state = self.pipe.state();
        loop {
            if let Some(part) = state.parts.pop_front() {
                state.waiting = state.waiting.saturating_sub(part.len());
                drop(state);
                self.pipe.changed.notify_all();
                return Ok(part);
            }
            match state.end {
                Some(true) => return Ok(Vec::new()),
                Some(false) => {
                    let kind = io::ErrorKind::ConnectionReset;
                    return Err(io::Error::new(kind, "the response was broken off"));
                }
                None => {
                    let waited = self.pipe.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position >= self.current.len() {
            self.current = self.next()?;
            self.position = 0;
            if self.current.is_empty() {
                return Ok(0);
            }
        }
        let mut rest = self.current.get(self.position..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.position = self.position.saturating_add(read);
        Ok(read)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.pipe.state();
        state.is_closed = true;
        state.parts = VecDeque::new();
        drop(state);
        self.pipe.changed.notify_all();
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
    fn the_main_thread_waits_for_the_parser() {
        let (writer, mut reader) = pipe();
        let part = vec![0; SOME_WAITING + 1];
        assert_eq!(writer.write(&part), Ok(()));
        assert!(!writer.await_room(), "the parser is behind");
        reader.read_exact(&mut vec![0; part.len()]).unwrap();
        assert!(writer.await_room());
    }

    #[test]
    fn a_reader_that_is_dropped_closes_the_pipe() {
        let (writer, reader) = pipe();
        drop(reader);
        assert_eq!(writer.write(b"one"), Err(NotTaken::Closed));
    }
}
