//! One VM's records: keeps a request's part until the stream ends, and hands the record to the sender of its destination.
//!
//! Makes no calls (see `sender`), and does not know what a record contains (see `record`).

use core::fmt;
use core::hash::BuildHasherDefault;
use std::collections::HashMap;

use siphasher::sip::SipHasher13;

use super::record::{CorrelationId, PendingRecord};
use super::recording::{RecordedRequest, Recording, is_sampled};
use super::sender::Sender;
use super::settings::{Destination, TrafficSettings};
use crate::config::Traffic;
use crate::host::{CallToken, RootHost, RootId, StreamId};
use crate::metrics::{MeteredHost, Metric};

/// The records of one VM, for all its configurations.
#[derive(Default)]
pub struct Recorder {
    /// The VM's random number.
    vm: u64,
    senders: Vec<Sender>,
    /// Requests of streams that have not ended.
    pending: HashMap<StreamId, Pending, StreamHash>,
    /// Their memory, in bytes.
    memory: usize,
    n_requests: u64,
    recording: Recording,
}

/// The host numbers streams in turn, so no random key is needed.
type StreamHash = BuildHasherDefault<SipHasher13>;

struct Pending {
    record: PendingRecord,
    root: RootId,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Records and buffers hold tokens and cookies.
        f.debug_struct("Recorder")
            .field("senders", &self.senders)
            .field("pending", &self.pending.len())
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// An empty recorder; `vm` is the VM's random number.
    pub fn new(vm: u64) -> Self {
        Self {
            vm,
            ..Self::default()
        }
    }

    /// A configuration sends to this destination from now on.
    pub fn open(&mut self, destination: &Destination) {
        if self.sender(destination).is_none() {
            self.senders.push(Sender::new(destination.clone()));
        }
    }

    /// Whether no configuration sends.
    pub fn is_closed(&self) -> bool {
        self.senders.is_empty()
    }

    /// Whether the next request is in the sample. Call it once for each request.
    pub fn takes_next(&mut self, traffic: &Traffic) -> bool {
        let n = self.n_requests;
        self.n_requests = n.wrapping_add(1);
        is_sampled(traffic.sample, n)
    }

    /// Keeps the request's part of a record until the stream ends.
    pub fn request(
        &mut self,
        host: MeteredHost<'_>,
        settings: TrafficSettings<'_>,
        stream: StreamId,
        request: RecordedRequest<'_>,
    ) {
        let correlation_id = CorrelationId {
            vm: self.vm,
            request: self.n_requests,
        };
        let traffic = settings.traffic;
        let recording = &mut self.recording;
        let record = recording.begin(&*host.of_request(), traffic, correlation_id, request);
        let memory = self.memory.saturating_add(record.memory());
        if u64::try_from(memory).is_ok_and(|memory| memory > traffic.queue_memory) {
            host.add(&Metric::TrafficDropped, 1);
            return;
        }
        self.memory = memory;
        let root = settings.root;
        let pending = Pending { record, root };
        if let Some(Pending { record, .. }) = self.pending.insert(stream, pending) {
            // The end of that stream was never reported, and its number is reused.
            self.memory = self.memory.saturating_sub(record.memory());
            host.add(&Metric::TrafficDropped, 1);
        }
    }

    /// Completes the record of a stream that ended, and queues it. `settings_of` finds the settings of a root context.
    pub fn stream_ended<'a>(
        &mut self,
        host: MeteredHost<'_>,
        stream: StreamId,
        settings_of: impl FnOnce(RootId) -> Option<TrafficSettings<'a>>,
    ) {
        // Without traffic information no hash is computed.
        if self.pending.is_empty() {
            return;
        }
        let Some(Pending { record, root }) = self.pending.remove(&stream) else {
            return;
        };
        self.memory = self.memory.saturating_sub(record.memory());
        let Some(settings) = settings_of(root) else {
            // Its configuration was deleted, and the record with it.
            host.add(&Metric::TrafficDropped, 1);
            return;
        };
        let record = self.recording.end(&*host.of_request(), settings, record);
        if let Some(sender) = self.sender(settings.destination) {
            sender.push(host.of_root(), settings, record);
        }
    }

    /// A tick of the root context.
    pub fn tick(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        settings: TrafficSettings<'_>,
    ) {
        if let Some(sender) = self.sender(settings.destination) {
            sender.tick(host, settings);
        }
    }

    /// Handles the response to a call of the root context; `false` if the call had no records.
    pub fn on_call_response(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        token: CallToken,
        settings: TrafficSettings<'_>,
    ) -> bool {
        match self.sender(settings.destination) {
            Some(sender) => sender.on_call_response(host, token, settings),
            None => false,
        }
    }

    /// Abandons the calls of deleted root contexts.
    pub fn abandon_calls(&mut self, is_live: impl Fn(RootId) -> bool) {
        for sender in &mut self.senders {
            sender.abandon_call(&is_live);
        }
    }

    /// Stops the senders with destinations that no configuration uses.
    pub fn retain(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        is_used: impl Fn(&Destination) -> bool,
    ) {
        self.senders.retain_mut(|sender| {
            let is_used = is_used(sender.destination());
            if !is_used {
                sender.stop(host);
            }
            is_used
        });
    }

    fn sender(&mut self, destination: &Destination) -> Option<&mut Sender> {
        self.senders
            .iter_mut()
            .find(|sender| sender.destination() == destination)
    }
}
