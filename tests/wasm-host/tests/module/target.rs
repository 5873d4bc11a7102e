//! The scenarios' VM in this crate: the built module.

use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use portcullis::host::{CallToken, RootId, StreamId};
use portcullis_wasm_host::vm::{Compiled, Vm};

use crate::fake_host::FakeHost;
use crate::scenarios::filter_vm::FilterVm;
use crate::support::repository;

/// Compiled once for all tests.
pub static MODULE: LazyLock<Compiled> =
    LazyLock::new(|| match std::env::var_os("PORTCULLIS_WASM") {
        Some(path) => Compiled::read(Path::new(&path)),
        None => Compiled::read(&repository().join("target/portcullis.wasm")),
    });

/// The width of `usize` in the module, on which the ids of lists depend.
pub const POINTER_WIDTH: u32 = 32;

/// The module over a fake host. A trap fails the test.
pub struct TargetVm(pub Vm);

impl FilterVm for TargetVm {
    fn new(host: Rc<FakeHost>) -> Self {
        Self(Vm::new(&MODULE, host))
    }

    fn configure(&mut self, root: RootId, json: &[u8]) -> bool {
        self.0.configure(root.0, json).unwrap()
    }

    fn tick(&mut self, root: RootId) {
        self.0.tick(root.0).unwrap();
    }

    fn on_call_response(&mut self, root: RootId, token: CallToken, body_size: usize) {
        self.0.on_call_response(root.0, token.0, body_size).unwrap();
    }

    fn request(&mut self, root: RootId, stream: StreamId) -> bool {
        self.0.request(root.0, stream.0).unwrap()
    }

    fn stream_ended(&mut self, stream: StreamId) {
        self.0.stream_ended(stream.0).unwrap();
    }

    fn debug_form(&self) -> String {
        String::new()
    }
}
