//! One VM's records: keeps a request's part until the stream ends, and hands the record to the sender of its destination.
//!
//! Makes no calls (see `sender`), and does not know what a record contains (see `record`).

use core::fmt;
use core::hash::BuildHasherDefault;
use std::collections::HashMap;

use siphasher::sip::SipHasher13;

use super::record::{CorrelationId, PendingRecord, RequestMeta};
use super::sender::Sender;
use super::settings::{Destination, TrafficSettings};
use crate::config::{Api, Traffic};
use crate::host::{CallToken, RootId, StreamId};
use crate::judge::Verdict;
use crate::metrics::{MeteredHost, Metric};
use crate::request::RequestHeaders;

/// A request to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct RecordedRequest<'a> {
    /// Its stream.
    pub stream: StreamId,
    /// The API it belongs to.
    pub api: &'a Api,
    /// Its headers.
    pub headers: &'a RequestHeaders,
    /// Envoy's `source.address`.
    pub source_address: &'a [u8],
    /// The filter's verdict.
    pub verdict: &'a Verdict,
}

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
    // Buffers, reused for each record.
    text: Vec<u8>,
    protocol: Vec<u8>,
    response: RequestHeaders,
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
        request: RecordedRequest<'_>,
    ) {
        let protocol = &mut self.protocol;
        protocol.clear();
        host.visit_request_protocol(&mut |text| protocol.extend_from_slice(text));
        let meta = RequestMeta {
            source_address: request.source_address,
            protocol,
            correlation_id: CorrelationId {
                vm: self.vm,
                request: self.n_requests,
            },
            verdict: request.verdict,
            now: host.unix_now(),
        };
        let (traffic, text) = (settings.traffic, &mut self.text);
        let record = PendingRecord::new(traffic, request.api, request.headers, meta, text);
        let memory = self.memory.saturating_add(record.memory());
        if u64::try_from(memory).is_ok_and(|memory| memory > traffic.queue_memory) {
            host.add(&Metric::TrafficDropped, 1);
            return;
        }
        self.memory = memory;
        let root = settings.root;
        let pending = Pending { record, root };
        if let Some(Pending { record, .. }) = self.pending.insert(request.stream, pending) {
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
        let (response, text) = (&mut self.response, &mut self.text);
        response.clear();
        host.visit_response_headers(&mut |name, value| {
            response.add_if_read(name, value, settings.header_names);
        });
        let record = record.finish(settings.traffic, response, host.unix_now(), text);
        if let Some(sender) = self.sender(settings.destination) {
            sender.push(host, settings, record);
        }
    }

    /// A tick of the root context.
    pub fn tick(&mut self, host: MeteredHost<'_>, settings: TrafficSettings<'_>) {
        if let Some(sender) = self.sender(settings.destination) {
            sender.tick(host, settings);
        }
    }

    /// Handles the response to a call of the root context; `false` if the call had no records.
    pub fn on_call_response(
        &mut self,
        host: MeteredHost<'_>,
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
    pub fn retain(&mut self, host: MeteredHost<'_>, is_used: impl Fn(&Destination) -> bool) {
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

/// Whether request number `n` is in the sample. Samples are evenly spaced.
fn is_sampled(share: f64, n: u64) -> bool {
    let (before, after) = (n as f64 * share, n.wrapping_add(1) as f64 * share);
    before.floor() < after.floor()
}
