//! One VM of the filter, as the scenarios call it: the core's `Vm` or the built module.

use std::rc::Rc;

use portcullis::host::{CallToken, RootId, StreamId};

use crate::fake_host::FakeHost;

/// The host's callbacks of one VM. What the VM does goes through its [`FakeHost`].
pub trait FilterVm {
    /// A VM without a configuration.
    fn new(host: Rc<FakeHost>) -> Self;
    /// Creates and configures a root context; `false` if the configuration is refused.
    fn configure(&mut self, root: RootId, json: &[u8]) -> bool;
    /// A tick of a root context.
    fn tick(&mut self, root: RootId);
    /// The response to a call, which the host has now; its body has `body_size` bytes.
    fn on_call_response(&mut self, root: RootId, token: CallToken, body_size: usize);
    /// Judges the request that the host has now; `true` if the request is denied.
    fn request(&mut self, root: RootId, stream: StreamId) -> bool;
    /// The end of a stream.
    fn stream_ended(&mut self, stream: StreamId);
    /// The state of the VM as `Debug` prints it; empty if it has no such form.
    fn debug_form(&self) -> String;
}
