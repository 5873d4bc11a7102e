//! A simulated ABS: it serves a list, or responds as the test chooses.

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use portcullis::host::HostError;
use serde_json::{Value, json};

use crate::fake_host::{Reaction, Response, SentCall, World};

#[derive(Clone)]
pub struct Abs(Rc<RefCell<State>>);

struct State {
    list: Value,
    latency: Duration,
    with_etags: bool,
    version: u64,
    replacement: Option<Reaction>,
    to_others: Option<Reaction>,
}

impl Abs {
    /// Serves `list` to every VM of the process.
    pub fn serving(world: &World, list: Value) -> Self {
        let abs = Self(Rc::new(RefCell::new(State {
            list,
            latency: Duration::from_millis(20),
            with_etags: false,
            version: 1,
            replacement: None,
            to_others: None,
        })));
        let served = abs.clone();
        world.set_abs(move |call| served.react(call));
        abs
    }

    fn react(&self, call: &SentCall) -> Reaction {
        let state = self.0.borrow();
        if !call.is_get()
            && let Some(reaction) = &state.to_others
        {
            return reaction.clone();
        }
        if let Some(reaction) = &state.replacement {
            return reaction.clone();
        }
        let etag = format!("\"v{}\"", state.version);
        if state.with_etags && call.header("if-none-match") == Some(&etag) {
            return Reaction::After(state.latency, Response::new(304, "").header("etag", etag));
        }
        let mut response = list_response(&state.list);
        if state.with_etags {
            response = response.header("etag", etag);
        }
        if !call.is_get() {
            response.body.clear();
        }
        Reaction::After(state.latency, response)
    }

    /// Replaces the list, and serves it.
    pub fn list(&self, list: Value) {
        let mut state = self.0.borrow_mut();
        state.list = list;
        state.version += 1;
        state.replacement = None;
    }

    pub fn with_etags(self) -> Self {
        self.0.borrow_mut().with_etags = true;
        self
    }

    pub fn latency(&self, latency: Duration) {
        self.0.borrow_mut().latency = latency;
    }

    /// Responds to every call like this until [`Abs::serve`].
    pub fn respond(&self, response: Response) {
        let latency = self.0.borrow().latency;
        self.0.borrow_mut().replacement = Some(Reaction::After(latency, response));
    }

    /// Responds to all calls except for GETs like this.
    pub fn respond_to_others(&self, response: Response) {
        let latency = self.0.borrow().latency;
        self.0.borrow_mut().to_others = Some(Reaction::After(latency, response));
    }

    /// Keeps calls in flight until the test responds.
    pub fn hold(&self) {
        self.0.borrow_mut().replacement = Some(Reaction::Hold);
    }

    /// Lets the host refuse calls.
    pub fn refuse(&self, error: HostError) {
        self.0.borrow_mut().replacement = Some(Reaction::Refuse(error));
    }

    /// Serves the list again.
    pub fn serve(&self) {
        self.0.borrow_mut().replacement = None;
    }
}

/// A complete response with this list.
pub fn list_response(list: &Value) -> Response {
    let body = list.to_string();
    let length = body.len().to_string();
    Response::new(200, body)
        .header("content-type", "application/json")
        .header("content-length", length)
}

/// A list of addresses.
pub fn ips(addresses: &[&str]) -> Value {
    json!({ "ips": addresses })
}
