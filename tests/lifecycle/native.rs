//! The scenarios' VM on this machine: the core's [`Vm`].

use std::rc::Rc;

use portcullis::host::{CallToken, RootId, StreamId};
use portcullis::judge::Disposition;
use portcullis::vm::Vm;

use crate::fake_host::FakeHost;
use crate::scenarios::filter_vm::FilterVm;

/// The width of `usize`, on which the ids of lists depend.
pub const POINTER_WIDTH: u32 = usize::BITS;

/// The core over a fake host.
pub struct TargetVm {
    vm: Vm,
    host: Rc<FakeHost>,
}

impl FilterVm for TargetVm {
    fn new(host: Rc<FakeHost>) -> Self {
        Self {
            vm: Vm::new(&*host),
            host,
        }
    }

    fn configure(&mut self, root: RootId, json: &[u8]) -> bool {
        self.vm.configure(&*self.host, root, json).is_ok()
    }

    fn tick(&mut self, root: RootId) {
        self.vm.tick(&*self.host, root);
    }

    fn on_call_response(&mut self, root: RootId, token: CallToken, _body_size: usize) {
        self.vm.on_call_response(&*self.host, root, token);
    }

    fn request(&mut self, root: RootId, stream: StreamId) -> bool {
        self.vm.request(&*self.host, root, stream) == Disposition::Stop
    }

    fn stream_ended(&mut self, stream: StreamId) {
        self.vm.stream_ended(&*self.host, stream);
    }

    fn debug_form(&self) -> String {
        format!("{:?}", self.vm)
    }
}
