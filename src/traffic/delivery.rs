//! Delivery of traffic records from one VM to one destination: the calls that a [`Sender`] asks for, and what they
//! amount to in metrics and log lines.
//!
//! At most one call is in flight a VM. The queue outlives a change of configuration, so nothing is lost by one; a call
//! that is cut off by it is made again.

use core::time::Duration;

use super::record::Record;
use super::recorder::Recording;
use super::sender::{Account, Answer, Sender, Shipment};
use crate::config::{Abs, Traffic, TrafficFormat};
use crate::fetch::AnswerHeaders;
use crate::gzip;
use crate::host::{CallToken, Host, HostError, HttpCall, LogLevel, RootId};
use crate::metrics::{Metric, Metrics};

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
        Self {
            cluster: abs.cluster.clone(),
            authority: abs.authority.clone(),
            format: traffic.format,
            path: traffic.path.clone(),
        }
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
    pub fn push(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        recording: Recording<'_>,
        record: Record,
    ) {
        let now = || host.monotonic_now();
        let account = self.sender.push(record, recording.traffic, now);
        book(host, metrics, account);
        // What is old is sent at a tick.
        if self.call.is_none() && self.sender.is_full(recording.traffic) {
            self.send(host, metrics, recording, now());
        }
    }

    /// Sends what is due, and gives up a call that will not be answered.
    pub fn tick(&mut self, host: &dyn Host, metrics: &Metrics, recording: Recording<'_>) {
        let now = host.monotonic_now();
        if self.call.is_some_and(|call| now > call.deadline) {
            self.call = None;
            let account = self.sender.answered(Answer::None, recording.traffic, now);
            book(host, metrics, account);
        }
        self.send(host, metrics, recording, now);
    }

    /// No answer will come to a call of a root context that is gone: the next tick gives it up.
    pub fn give_up_call(&mut self, lives: impl Fn(RootId) -> bool) {
        if let Some(call) = &mut self.call
            && !lives(call.root)
        {
            call.deadline = Duration::ZERO;
        }
    }

    /// An answer came to a call of this VM. `false`: not to one of ours.
    pub fn on_answer(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        token: CallToken,
        recording: Recording<'_>,
    ) -> bool {
        if self.call.is_none_or(|call| call.token != token) {
            return false;
        }
        self.call = None;
        let answer = match AnswerHeaders::read(host) {
            Some(headers) => Answer::Status(headers.status(), headers.retry_after()),
            None => Answer::None,
        };
        let now = host.monotonic_now();
        let account = self.sender.answered(answer, recording.traffic, now);
        book(host, metrics, account);
        self.send(host, metrics, recording, now);
        true
    }

    /// No configuration sends here any more: ABS receives nothing more, and what waits is dropped.
    pub fn stop(&mut self, host: &dyn Host, metrics: &Metrics) {
        self.call = None;
        let account = self.sender.clear();
        book(host, metrics, account);
    }

    fn send(
        &mut self,
        host: &dyn Host,
        metrics: &Metrics,
        recording: Recording<'_>,
        now: Duration,
    ) {
        let (abs, traffic) = (recording.abs, recording.traffic);
        if self.call.is_some() {
            return;
        }
        let Some(shipment) = self.sender.next(traffic, now) else {
            return;
        };
        match dispatch(host, abs, traffic, shipment) {
            Ok(token) => {
                self.call = Some(Call {
                    token,
                    root: recording.root,
                    deadline: now.saturating_add(abs.timeout).saturating_add(ANSWER_GRACE),
                });
            }
            Err(_) => {
                let account = self.sender.answered(Answer::None, recording.traffic, now);
                book(host, metrics, account);
            }
        }
    }
}

fn dispatch(
    host: &dyn Host,
    abs: &Abs,
    traffic: &Traffic,
    shipment: Shipment,
) -> Result<CallToken, HostError> {
    let path = match &shipment.sideband {
        None => traffic.path.as_str(),
        Some((_, false)) => "/ase/request",
        Some((_, true)) => "/ase/response",
    };
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", b"POST"),
        (":path", path.as_bytes()),
        (":authority", abs.authority.as_bytes()),
    ];
    let mut body = shipment.body;
    let correlation;
    if let Some((correlation_id, _)) = shipment.sideband {
        correlation = correlation_id.to_string();
        headers.push(("content-type", b"application/json"));
        headers.push(("x-correlationid", correlation.as_bytes()));
        if let Some(token) = &traffic.ase_token {
            headers.push(("ase-token", token.reveal().as_bytes()));
        }
    } else {
        headers.push(("content-type", b"application/x-ndjson"));
        for (name, key) in [("x-abs-ak", &abs.access_key), ("x-abs-sk", &abs.secret_key)] {
            if let Some(key) = key {
                headers.push((name, key.reveal().as_bytes()));
            }
        }
        if traffic.gzip {
            headers.push(("content-encoding", b"gzip"));
            body = gzip::compress(&body);
        }
    }
    host.dispatch_http_call(&HttpCall {
        cluster: &abs.cluster,
        headers: &headers,
        body: &body,
        timeout: abs.timeout,
    })
}

/// Puts what became of records into the metrics, and changes of state into the log.
fn book(host: &dyn Host, metrics: &Metrics, account: Account) {
    metrics.add(host, Metric::TrafficSent, account.sent);
    metrics.add(host, Metric::TrafficFailed, account.failed);
    metrics.add(host, Metric::TrafficDropped, account.dropped);
    if let Some(answer) = account.began_to_fail {
        let reason = match answer {
            Answer::None => "no answer came; check abs.cluster and that ABS takes calls".to_owned(),
            Answer::Status(status @ (401 | 403), _) => format!(
                "ABS refused the credentials (status {status}); check abs.access_key and abs.secret_key, or \
                 traffic.ase_token"
            ),
            Answer::Status(status, _) => {
                format!("ABS answered with status {status}; check traffic.path and traffic.format")
            }
        };
        host.log(
            LogLevel::Warn,
            &format!("sending traffic information failed: {reason}; records wait as far as traffic.queue_memory goes"),
        );
    }
    if account.recovered {
        host.log(LogLevel::Info, "sending traffic information works again");
    }
}
