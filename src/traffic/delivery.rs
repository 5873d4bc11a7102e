//! Delivery of traffic records from one VM to one destination: the calls that a [`Sender`] asks for, and what they
//! amount to in metrics and log lines.
//!
//! At most one call is in flight a VM. The queue outlives a change of configuration, so nothing is lost by one; a call
//! that is cut off by it is made again.

use core::time::Duration;

use super::record::Record;
use super::recorder::Recording;
use super::response::{Response, SESSION_COOKIE};
use super::sender::{Payload, Problem, Sender, Tally};
use crate::codec::gzip;
use crate::config::{Abs, Traffic, TrafficFormat};
use crate::host::{CallToken, Host, HostError, HttpCall, RootId};
use crate::metrics::{MeteredHost, Metric};

/// How long past its timeout an answer is waited for.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// Where records go: two filters of one VM with the same destination share its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    cluster: String,
    authority: String,
    format: TrafficFormat,
    path: String,
}

impl Destination {
    /// From the configuration.
    pub fn new(abs: &Abs, traffic: &Traffic) -> Self {
        let cluster = traffic.cluster.as_ref().unwrap_or(&abs.cluster);
        let authority = if *cluster == abs.cluster {
            &abs.authority
        } else {
            cluster
        };
        Self {
            authority: traffic.authority.as_ref().unwrap_or(authority).clone(),
            cluster: cluster.clone(),
            format: traffic.format,
            path: traffic.path.clone(),
        }
    }

    /// The Envoy cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

#[derive(Clone, Copy, Debug)]
struct Call {
    token: CallToken,
    root: RootId,
    deadline: Duration,
}

/// One destination's records in one VM.
#[derive(Debug)]
pub struct Delivery {
    destination: Destination,
    sender: Sender,
    call: Option<Call>,
}

impl Delivery {
    /// Nothing to deliver yet.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            sender: Sender::default(),
            call: None,
        }
    }

    /// Where the records go.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Takes a record, and sends if a batch is full.
    pub fn push(&mut self, host: MeteredHost<'_>, recording: Recording<'_>, record: Record) {
        let now = || host.monotonic_now();
        let tally = self.sender.push(record, recording.traffic, now);
        book(host, recording.traffic, tally);
        // What is old is sent at a tick.
        if self.call.is_none() && self.sender.is_full(recording.traffic) {
            self.send(host, recording, now());
        }
    }

    /// Sends what is due, and gives up a call that will not be answered.
    pub fn tick(&mut self, host: MeteredHost<'_>, recording: Recording<'_>) {
        let now = host.monotonic_now();
        if self.call.is_some_and(|call| now > call.deadline) {
            self.call = None;
            let tally = self.sender.finished(None, recording.traffic, now);
            book(host, recording.traffic, tally);
        }
        self.send(host, recording, now);
    }

    /// No answer will come to a call of a root context that is gone: the next tick gives it up.
    pub fn forget_call(&mut self, lives: impl Fn(RootId) -> bool) {
        if let Some(call) = &mut self.call
            && !lives(call.root)
        {
            call.deadline = Duration::ZERO;
        }
    }

    /// An answer came to a call of this VM. `false`: not to one of ours.
    pub fn on_answer(
        &mut self,
        host: MeteredHost<'_>,
        token: CallToken,
        recording: Recording<'_>,
    ) -> bool {
        if self.call.is_none_or(|call| call.token != token) {
            return false;
        }
        self.call = None;
        let response = Response::read(&*host);
        let now = host.monotonic_now();
        let tally = self.sender.finished(response, recording.traffic, now);
        book(host, recording.traffic, tally);
        self.send(host, recording, now);
        true
    }

    /// No configuration sends here any more: ABS receives nothing more, and what waits is dropped.
    pub fn stop(&mut self, host: MeteredHost<'_>) {
        self.call = None;
        let tally = self.sender.clear();
        host.add(Metric::TrafficDropped, tally.dropped);
        // Nobody is to be alarmed about what was turned off. Where other records are sent, they say so again.
        host.set(Metric::TrafficLastFailure, 0);
        host.set(Metric::TrafficLastFailureStatus, 0);
    }

    fn send(&mut self, host: MeteredHost<'_>, recording: Recording<'_>, now: Duration) {
        let (abs, traffic) = (recording.abs, recording.traffic);
        if self.call.is_some() {
            return;
        }
        let Some(payload) = self.sender.next(traffic, now) else {
            return;
        };
        match dispatch(&*host, &self.destination, abs, traffic, payload) {
            Ok(token) => {
                self.call = Some(Call {
                    token,
                    root: recording.root,
                    deadline: now.saturating_add(abs.timeout).saturating_add(ANSWER_GRACE),
                });
            }
            Err(_) => {
                let tally = self.sender.finished(None, traffic, now);
                book(host, traffic, tally);
            }
        }
    }
}

fn dispatch(
    host: &dyn Host,
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
            cookie.extend_from_slice(session);
            headers.push(("cookie", cookie.as_slice()));
        }
    } else {
        headers.push(("content-type", b"application/x-ndjson"));
        // ABS's keys are for ABS: another receiver must not see them.
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

/// Puts what became of records into the metrics, and changes of state into the log.
fn book(host: MeteredHost<'_>, traffic: &Traffic, tally: Tally) {
    host.add(Metric::TrafficSent, tally.sent);
    host.add(Metric::TrafficFailed, tally.failed);
    host.add(Metric::TrafficDropped, tally.dropped);
    if tally.accepted {
        host.set(Metric::TrafficLastSuccess, host.unix_now().as_secs());
    }
    if let Some(problem) = tally.problem {
        let status = u64::from(problem.status());
        host.set(Metric::TrafficLastFailureStatus, status);
        host.set(Metric::TrafficLastFailure, host.unix_now().as_secs());
        if tally.is_new {
            let fate = if problem.is_final() {
                "such records are dropped and counted in portcullis.traffic.failed"
            } else {
                "records wait as far as traffic.queue_memory goes"
            };
            let reason = explain(problem, traffic.format);
            log::warn!("sending traffic information failed: {reason}; {fate}");
        }
    }
    if tally.recovered {
        log::info!("sending traffic information works again");
    }
}

/// What a problem means, and what to do. The command line tool shows the same text.
pub fn explain(problem: Problem, format: TrafficFormat) -> String {
    let sideband = format == TrafficFormat::Sideband;
    let receiver = if sideband { "ASE" } else { "the receiver" };
    match problem {
        Problem::NoResponse => format!(
            "no response came; check the cluster that traffic.cluster names (default: abs.cluster), and that {receiver} \
             takes calls there"
        ),
        Problem::UnknownApi => "ASE does not know the API or the host name of the request (status 503); add the API to \
             ASE, with its hostname and url"
            .to_owned(),
        Problem::Refused(status @ (401 | 403)) if sideband => format!(
            "ASE refused the token (status {status}); check traffic.ase_token, or the environment variable that holds it"
        ),
        Problem::Refused(status @ (401 | 403)) => format!(
            "the receiver refused the credentials (status {status}); check abs.access_key and abs.secret_key, which are \
             sent to abs.cluster only: let Envoy add what another receiver expects"
        ),
        Problem::Refused(status @ (404 | 405 | 501)) if sideband => format!(
            "what responds does not have ASE's sideband interface (status {status}); check that traffic.cluster names \
             the address of ASE's sideband, not of ABS, and that ASE runs in sideband mode"
        ),
        Problem::Refused(status @ (404 | 405 | 501)) => format!(
            "the receiver does not take POST at traffic.path (status {status}); traffic.format \"batch\" needs a receiver \
             of your own, ABS and ASE take no batches: for ASE use \"sideband\""
        ),
        Problem::Refused(status @ 300..=399) => format!(
            "{receiver} redirects the calls (status {status}), and redirects are not followed; check the cluster's TLS \
             settings and traffic.authority"
        ),
        Problem::Refused(status) => format!(
            "{receiver} refused the records (status {status}); check traffic.format and traffic.path"
        ),
        Problem::Unavailable(503) if sideband => "status 503: Envoy has no connection to ASE, or ASE is overloaded or does \
             not know the API; check the cluster, then ASE's APIs"
            .to_owned(),
        Problem::Unavailable(status) => {
            format!("{receiver} responded with status {status}; check its own log")
        }
    }
}
