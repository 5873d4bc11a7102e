//! Sends one VM's records to one destination: the calls that a [`Queue`] asks for, their metrics and log lines.
//!
//! At most one call is in flight. The queue outlives a change of configuration, so no record is lost; a call that
//! the change interrupts is repeated.

use core::time::Duration;

use super::outcome::Tally;
use super::payload::Payload;
use super::queue::Queue;
use super::record::Record;
use super::response::{Response, SESSION_COOKIE};
use super::settings::{Destination, TrafficSettings};
use crate::codec::gzip;
use crate::config::{Abs, Traffic};
use crate::feed::pending_call::PendingCall;
use crate::host::{CallToken, HostError, HttpCall, RootContext, RootHost, RootId};
use crate::metrics::{MeteredHost, Metric};

/// One destination's records in one VM.
#[derive(Debug)]
pub struct Sender {
    destination: Destination,
    queue: Queue,
    call: Option<PendingCall>,
}

impl Sender {
    /// Without any records.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            queue: Queue::default(),
            call: None,
        }
    }

    /// Where the records go.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Queues a record, and sends if a batch is full.
    pub fn push(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        settings: TrafficSettings<'_>,
        record: Record,
    ) {
        let now = || host.monotonic_now();
        let tally = self.queue.push(record, settings.traffic, now);
        report(host, settings.traffic, tally);
        // Old records are sent at a tick.
        if self.call.is_none() && self.queue.is_full(settings.traffic) {
            self.send(host, settings, now());
        }
    }

    /// Sends what is due, and gives up an overdue call.
    pub fn tick(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        settings: TrafficSettings<'_>,
    ) {
        let now = host.monotonic_now();
        if self.call.take_if(|call| call.is_overdue(now)).is_some() {
            let tally = self.queue.finished(None, settings.traffic, now);
            report(host, settings.traffic, tally);
        }
        self.send(host, settings, now);
    }

    /// Abandons the call of a deleted root context; the next tick ends it.
    pub fn abandon_call(&mut self, is_live: impl Fn(RootId) -> bool) {
        if let Some(call) = &mut self.call
            && !is_live(call.root())
        {
            call.abandon();
        }
    }

    /// Handles a response; `false` if it is not the response to this sender's call.
    pub fn on_call_response(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        token: CallToken,
        settings: TrafficSettings<'_>,
    ) -> bool {
        // Root contexts of a process may number their calls alike.
        let is_awaited =
            |call: &mut PendingCall| call.root() == settings.root && call.matches(token);
        if self.call.take_if(is_awaited).is_none() {
            return false;
        }
        let response = Response::read(&*host, host.unix_now());
        let now = host.monotonic_now();
        let tally = self.queue.finished(response, settings.traffic, now);
        report(host, settings.traffic, tally);
        self.send(host, settings, now);
        true
    }

    /// Drops all records: no configuration sends to the destination.
    pub fn stop(&mut self, host: MeteredHost<'_, dyn RootHost + '_>) {
        self.call = None;
        let tally = self.queue.clear();
        host.add(&Metric::TrafficDropped, tally.dropped);
        // Sending was switched off, so nobody should be alarmed. Senders that still fail set the gauges again.
        host.set(&Metric::TrafficLastFailure, 0);
        host.set(&Metric::TrafficLastFailureStatus, 0);
    }

    fn send(
        &mut self,
        host: MeteredHost<'_, dyn RootHost + '_>,
        settings: TrafficSettings<'_>,
        now: Duration,
    ) {
        let (abs, traffic) = (settings.abs, settings.traffic);
        if self.call.is_some() {
            return;
        }
        let Some(payload) = self.queue.next(traffic, now) else {
            return;
        };
        match dispatch(&*host, &self.destination, abs, traffic, payload) {
            Ok(token) => {
                self.call = Some(PendingCall::new(token, settings.root, now, abs.timeout));
            }
            Err(_) => {
                let tally = self.queue.finished(None, traffic, now);
                report(host, traffic, tally);
            }
        }
    }
}

fn dispatch(
    host: &dyn RootContext,
    destination: &Destination,
    abs: &Abs,
    traffic: &Traffic,
    payload: Payload,
) -> Result<CallToken, HostError> {
    let path = match &payload.sideband {
        None => destination.path.as_str(),
        Some(call) if call.is_response => "/ase/response",
        Some(_) => "/ase/request",
    };
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", b"POST"),
        (":path", path.as_bytes()),
        (":authority", destination.authority.as_bytes()),
    ];
    let mut body = payload.body;
    let (correlation_id, mut cookie);
    if let Some(call) = &payload.sideband {
        correlation_id = call.correlation_id.to_string();
        headers.push(("content-type", b"application/json"));
        headers.push(("x-correlationid", correlation_id.as_bytes()));
        if let Some(token) = &traffic.ase_token {
            headers.push(("ase-token", token.reveal().as_bytes()));
        }
        if let Some(session) = &call.session {
            cookie = format!("{SESSION_COOKIE}=").into_bytes();
            cookie.extend_from_slice(&session.0);
            headers.push(("cookie", cookie.as_slice()));
        }
    } else {
        headers.push(("content-type", b"application/x-ndjson"));
        // Only ABS may see its keys.
        if destination.cluster == abs.cluster {
            for (name, key) in [("x-abs-ak", &abs.access_key), ("x-abs-sk", &abs.secret_key)] {
                if let Some(key) = key {
                    headers.push((name, key.reveal().as_bytes()));
                }
            }
        }
        if traffic.gzip {
            headers.push(("content-encoding", b"gzip"));
            body = gzip::compress(&body);
        }
    }
    host.dispatch_http_call(&HttpCall {
        cluster: &destination.cluster,
        headers: &headers,
        body: &body,
        timeout: abs.timeout,
    })
}

/// Updates the metrics, and logs changes of state.
fn report(host: MeteredHost<'_, dyn RootHost + '_>, traffic: &Traffic, tally: Tally) {
    host.add(&Metric::TrafficSent, tally.sent);
    host.add(&Metric::TrafficFailed, tally.failed);
    host.add(&Metric::TrafficDropped, tally.dropped);
    if tally.accepted {
        host.set(&Metric::TrafficLastSuccess, host.unix_now().as_secs());
    }
    if let Some(problem) = tally.problem {
        let status = u64::from(problem.status());
        host.set(&Metric::TrafficLastFailureStatus, status);
        host.set(&Metric::TrafficLastFailure, host.unix_now().as_secs());
        if tally.is_new {
            let consequence = if problem.is_final() {
                "such records are dropped and counted in portcullis.traffic.failed"
            } else {
                "records wait in the queue, up to traffic.queue_memory"
            };
            let reason = problem.explanation(traffic.format);
            log::warn!("sending traffic information failed: {reason}; {consequence}");
        }
    }
    if tally.recovered {
        log::info!("sending traffic information works again");
    }
}
