//! The responses to the HTTP calls of a configuration, as they arrive. Owns what is kept of each; decides nothing.

use std::collections::HashMap;

use crate::pipe::{NotTaken, Writer};

/// What is kept of the body of a response that is not a list.
const MOST_BODY: usize = 1 << 20;

/// A response that is not a list. It is delivered whole.
#[derive(Debug, Default)]
pub struct Whole {
    /// The headers.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The first bytes of the body.
    pub body: Vec<u8>,
}

#[derive(Debug)]
enum Call {
    /// A thread parses the body.
    List(Writer),
    Whole(Whole),
    /// Nothing more of it is needed.
    Done,
}

/// What follows from a part of a response.
#[derive(Debug)]
pub enum Next {
    /// Nothing.
    Wait,
    /// The call is of no use any more; a list that is being parsed is broken off.
    Reset,
    /// Deliver this response, and end the call.
    Deliver(Whole),
}

/// How a call ended.
#[derive(Debug)]
pub enum Ended {
    /// Everything was delivered, or a thread will.
    Delivered,
    /// Deliver this response.
    Deliver(Whole),
    /// The call failed before its response was delivered.
    Failed,
}

/// The calls whose response has begun, by Envoy's number.
#[derive(Debug, Default)]
pub struct Calls(HashMap<u64, Call>);

impl Calls {
    /// A list begins.
    pub fn begin_list(&mut self, id: u64, writer: Writer) {
        self.0.insert(id, Call::List(writer));
    }

    /// Another response begins.
    pub fn begin_whole(&mut self, id: u64, headers: Vec<(Vec<u8>, Vec<u8>)>) {
        let body = Vec::new();
        self.0.insert(id, Call::Whole(Whole { headers, body }));
    }

    /// The core was told how the call ended, whatever still arrives.
    pub fn done(&mut self, id: u64) {
        self.0.insert(id, Call::Done);
    }

    /// The next part of a body arrives. If its parser is behind, waits a moment for it.
    pub fn await_parser(&self, id: u64) {
        if let Some(Call::List(writer)) = self.0.get(&id) {
            // What still waits then is bounded by the pipe.
            let _ = writer.await_room();
        }
    }

    /// A part of a body.
    pub fn data(&mut self, id: u64, bytes: &[u8]) -> Next {
        let Some(call) = self.0.get_mut(&id) else {
            return Next::Wait;
        };
        match call {
            Call::List(writer) => match writer.write(bytes) {
                Ok(()) => Next::Wait,
                Err(not_taken) => {
                    if not_taken == NotTaken::Full {
                        log::error!(
                            "a list arrives faster than it can be parsed: the call is broken off"
                        );
                    }
                    *call = Call::Done;
                    Next::Reset
                }
            },
            Call::Whole(whole) => {
                let room = MOST_BODY.saturating_sub(whole.body.len());
                whole
                    .body
                    .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                if bytes.len() <= room {
                    return Next::Wait;
                }
                let whole = core::mem::take(whole);
                *call = Call::Done;
                Next::Deliver(whole)
            }
            Call::Done => Next::Wait,
        }
    }

    /// The response is complete.
    pub fn complete(&mut self, id: u64) -> Ended {
        match self.0.remove(&id) {
            Some(Call::List(writer)) => {
                writer.finish();
                Ended::Delivered
            }
            Some(Call::Whole(whole)) => Ended::Deliver(whole),
            Some(Call::Done) => Ended::Delivered,
            None => Ended::Failed,
        }
    }

    /// The call was broken off. A thread that parses its response notices.
    pub fn reset(&mut self, id: u64) -> Ended {
        match self.0.remove(&id) {
            Some(Call::List(_) | Call::Done) => Ended::Delivered,
            Some(Call::Whole(_)) | None => Ended::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::pipe;

    fn whole() -> Calls {
        let mut calls = Calls::default();
        calls.begin_whole(1, vec![(b":status".to_vec(), b"200".to_vec())]);
        calls
    }

    #[test]
    fn a_response_is_delivered_whole() {
        let mut calls = whole();
        assert!(matches!(calls.data(1, b"one "), Next::Wait));
        assert!(matches!(calls.data(1, b"two"), Next::Wait));
        let Ended::Deliver(whole) = calls.complete(1) else {
            panic!("not delivered");
        };
        assert_eq!(whole.body, b"one two");
        assert_eq!(whole.headers.len(), 1);
    }

    #[test]
    fn a_response_that_is_broken_off_failed() {
        let mut calls = whole();
        assert!(matches!(calls.data(1, b"one"), Next::Wait));
        assert!(matches!(calls.reset(1), Ended::Failed));
        // No header had arrived.
        assert!(matches!(calls.reset(2), Ended::Failed));
    }

    #[test]
    fn a_long_response_is_delivered_once() {
        let mut calls = whole();
        let Next::Deliver(whole) = calls.data(1, &vec![b'x'; MOST_BODY + 1]) else {
            panic!("not delivered");
        };
        assert_eq!(whole.body.len(), MOST_BODY);
        assert!(matches!(calls.data(1, b"more"), Next::Wait));
        assert!(matches!(calls.reset(1), Ended::Delivered));
    }

    #[test]
    fn a_list_that_nobody_parses_any_more_is_reset() {
        let (writer, reader) = pipe();
        let mut calls = Calls::default();
        calls.begin_list(1, writer);
        assert!(matches!(calls.data(1, b"one"), Next::Wait));
        drop(reader);
        assert!(matches!(calls.data(1, b"two"), Next::Reset));
        assert!(matches!(calls.data(1, b"three"), Next::Wait));
        assert!(matches!(calls.complete(1), Ended::Delivered));
    }
}
