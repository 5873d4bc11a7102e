//! ABS as the tests play it: a list that is served, or trouble in its stead.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use portcullis::host::HostError;
use serde_json::{Value, json};

use crate::fake_host::{Answer, Reaction, SentCall, World};

#[derive(Clone)]
pub struct Abs(Rc<RefCell<State>>);

struct State {
    list: Value,
    latency: Duration,
    with_etags: bool,
    version: u64,
    instead: Option<Reaction>,
    to_head: Option<Reaction>,
}

impl Abs {
    /// Serves `list` to every VM of the process from now on.
    pub fn serving(world: &World, list: Value) -> Self {
        let abs = Self(Rc::new(RefCell::new(State {
            list,
            latency: Duration::from_millis(20),
            with_etags: false,
            version: 1,
            instead: None,
            to_head: None,
        })));
        let served = abs.clone();
        world.set_abs(move |call| served.react(call));
        abs
    }

    fn react(&self, call: &SentCall) -> Reaction {
        let state = self.0.borrow();
        if !call.is_get()
            && let Some(reaction) = &state.to_head
        {
            return reaction.clone();
        }
        if let Some(reaction) = &state.instead {
            return reaction.clone();
        }
        let etag = format!("\"v{}\"", state.version);
        if state.with_etags && call.header("if-none-match") == Some(&etag) {
            return Reaction::After(state.latency, Answer::new(304, "").header("etag", etag));
        }
        let mut answer = list_answer(&state.list);
        if state.with_etags {
            answer = answer.header("etag", etag);
        }
        if !call.is_get() {
            answer.body.clear();
        }
        Reaction::After(state.latency, answer)
    }

    /// Serves this list from now on.
    pub fn list(&self, list: Value) {
        let mut state = self.0.borrow_mut();
        state.list = list;
        state.version += 1;
        state.instead = None;
    }

    pub fn with_etags(self) -> Self {
        self.0.borrow_mut().with_etags = true;
        self
    }

    pub fn latency(&self, latency: Duration) {
        self.0.borrow_mut().latency = latency;
    }

    /// Answers every call like this, until it serves again.
    pub fn answer(&self, answer: Answer) {
        let latency = self.0.borrow().latency;
        self.0.borrow_mut().instead = Some(Reaction::After(latency, answer));
    }

    /// Answers HEAD requests like this.
    pub fn answer_head(&self, answer: Answer) {
        let latency = self.0.borrow().latency;
        self.0.borrow_mut().to_head = Some(Reaction::After(latency, answer));
    }

    /// Calls stay in flight until the test answers them.
    pub fn hold(&self) {
        self.0.borrow_mut().instead = Some(Reaction::Hold);
    }

    /// The host refuses calls.
    pub fn refuse(&self, error: HostError) {
        self.0.borrow_mut().instead = Some(Reaction::Refuse(error));
    }

    /// Serves again.
    pub fn serve(&self) {
        self.0.borrow_mut().instead = None;
    }
}

/// A whole answer with this list.
pub fn list_answer(list: &Value) -> Answer {
    let body = list.to_string();
    let length = body.len().to_string();
    Answer::new(200, body)
        .header("content-type", "application/json")
        .header("content-length", length)
}

/// A list of addresses.
pub fn ips(addresses: &[&str]) -> Value {
    json!({ "ips": addresses })
}
