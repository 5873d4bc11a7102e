//! One VM's records, from the request to a delivery: a request's part waits here until its response is there.
//!
//! Makes none of the calls to ABS (see `delivery`) and does not know what a record tells (see `record`).

use core::fmt;
use core::hash::BuildHasherDefault;
use std::collections::HashMap;

use siphasher::sip::SipHasher13;

use super::delivery::{Delivery, Destination};
use super::record::{CorrelationId, PendingRecord, RequestMeta};
use crate::config::{Abs, Api, Traffic};
use crate::host::{CallToken, RootId, StreamId};
use crate::judge::Verdict;
use crate::metrics::{MeteredHost, Metric};
use crate::request::RequestHeaders;

/// What one configuration wants recorded, and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// The root context of the configuration.
    pub root: RootId,
    /// Where its records go.
    pub destination: &'a Destination,
    /// ABS's keys.
    pub abs: &'a Abs,
    /// What is sent and how.
    pub traffic: &'a Traffic,
    /// The headers that are read of requests and responses.
    pub header_names: &'a [String],
}

/// What a request is recorded by.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Its stream.
    pub stream: StreamId,
    /// The API it is for.
    pub api: &'a Api,
    /// Its headers.
    pub headers: &'a RequestHeaders,
    /// Envoy's `source.address`.
    pub source_address: &'a [u8],
    /// What the filter made of it.
    pub verdict: Verdict,
}

/// The records of one VM, whatever its configurations.
#[derive(Default)]
pub struct Recorder {
    /// The VM's random number.
    vm: u64,
    deliveries: Vec<Delivery>,
    /// Requests whose response is not there yet, and what those take in bytes.
    waiting: HashMap<StreamId, Waiting, StreamHash>,
    memory: usize,
    n_requests: u64,
    /// Room, used again for each record.
    text: Vec<u8>,
    protocol: Vec<u8>,
    response: RequestHeaders,
}

/// The host gives streams their numbers one by one, so no key is needed; std's random one brings the names of all WASI
/// errors into the module.
type StreamHash = BuildHasherDefault<SipHasher13>;

struct Waiting {
    draft: PendingRecord,
    root: RootId,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Drafts and room hold tokens and cookies.
        f.debug_struct("Recorder")
            .field("deliveries", &self.deliveries)
            .field("waiting", &self.waiting.len())
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Of the VM with this random number; nothing is recorded yet.
    pub fn new(vm: u64) -> Self {
        Self {
            vm,
            ..Self::default()
        }
    }

    /// A configuration will send to this destination.
    pub fn open(&mut self, destination: &Destination) {
        if self.delivery(destination).is_none() {
            self.deliveries.push(Delivery::new(destination.clone()));
        }
    }

    /// Whether no configuration sends.
    pub fn is_closed(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Whether the next request is among those that are sent. To be asked once for each.
    pub fn takes_next(&mut self, traffic: &Traffic) -> bool {
        let n = self.n_requests;
        self.n_requests = n.wrapping_add(1);
        is_sampled(traffic.sample, n)
    }

    /// Keeps the request's part of a record until its response is there.
    pub fn request(
        &mut self,
        host: MeteredHost<'_>,
        recording: Recording<'_>,
        request: Recorded<'_>,
    ) {
        let protocol = &mut self.protocol;
        protocol.clear();
        host.visit_request_protocol(&mut |text| protocol.extend_from_slice(text));
        let seen = RequestMeta {
            source_address: request.source_address,
            protocol,
            correlation_id: CorrelationId {
                vm: self.vm,
                request: self.n_requests,
            },
            verdict: request.verdict,
            now: host.unix_now(),
        };
        let (traffic, text) = (recording.traffic, &mut self.text);
        let draft = PendingRecord::new(traffic, request.api, request.headers, seen, text);
        let memory = self.memory.saturating_add(draft.memory());
        if u64::try_from(memory).is_ok_and(|memory| memory > traffic.queue_memory) {
            host.add(Metric::TrafficDropped, 1);
            return;
        }
        self.memory = memory;
        let root = recording.root;
        let earlier = self.waiting.insert(request.stream, Waiting { draft, root });
        if let Some(Waiting { draft, .. }) = earlier {
            // A stream whose end was never told: its number is used again.
            self.memory = self.memory.saturating_sub(draft.memory());
            host.add(Metric::TrafficDropped, 1);
        }
    }

    /// A stream is over: makes its record, and hands it on. `recording_of` finds what a root context wants.
    pub fn stream_ended<'a>(
        &mut self,
        host: MeteredHost<'_>,
        stream: StreamId,
        recording_of: impl FnOnce(RootId) -> Option<Recording<'a>>,
    ) {
        // Nothing waits where no traffic information is sent.
        if self.waiting.is_empty() {
            return;
        }
        let Some(Waiting { draft, root }) = self.waiting.remove(&stream) else {
            return;
        };
        self.memory = self.memory.saturating_sub(draft.memory());
        let Some(recording) = recording_of(root) else {
            // Its configuration is gone: the record is dropped with it.
            host.add(Metric::TrafficDropped, 1);
            return;
        };
        let (response, text) = (&mut self.response, &mut self.text);
        response.clear();
        host.visit_response_headers(&mut |name, value| {
            response.add_if_read(name, value, recording.header_names);
        });
        let record = draft.finish(recording.traffic, response, host.unix_now(), text);
        if let Some(delivery) = self.delivery(recording.destination) {
            delivery.push(host, recording, record);
        }
    }

    /// A tick of the root context.
    pub fn tick(&mut self, host: MeteredHost<'_>, recording: Recording<'_>) {
        if let Some(delivery) = self.delivery(recording.destination) {
            delivery.tick(host, recording);
        }
    }

    /// An answer came to a call of the root context. `false`: not to one that carries records.
    pub fn on_call_response(
        &mut self,
        host: MeteredHost<'_>,
        token: CallToken,
        recording: Recording<'_>,
    ) -> bool {
        match self.delivery(recording.destination) {
            Some(delivery) => delivery.on_answer(host, token, recording),
            None => false,
        }
    }

    /// No answer will come to calls of root contexts that are gone.
    pub fn forget_calls(&mut self, lives: impl Fn(RootId) -> bool) {
        for delivery in &mut self.deliveries {
            delivery.forget_call(&lives);
        }
    }

    /// Stops sending to where no configuration sends any more.
    pub fn retain(&mut self, host: MeteredHost<'_>, is_used: impl Fn(&Destination) -> bool) {
        self.deliveries.retain_mut(|delivery| {
            let used = is_used(delivery.destination());
            if !used {
                delivery.stop(host);
            }
            used
        });
    }

    fn delivery(&mut self, destination: &Destination) -> Option<&mut Delivery> {
        self.deliveries
            .iter_mut()
            .find(|delivery| delivery.destination() == destination)
    }
}

/// Whether request number `n` is among the share that is sent: evenly, so that any run of requests holds that share.
fn is_sampled(share: f64, n: u64) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a run of 2^53 requests needs no exactness"
    )]
    let (before, after) = (n as f64 * share, n.wrapping_add(1) as f64 * share);
    before.floor() < after.floor()
}
