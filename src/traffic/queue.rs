//! The queue of one VM's records for one destination: what to send next, and the effect of each outcome.
//!
//! Pure; `sender` makes the calls. The numbers always add up: records pushed = sent + dropped + failed + queued.

use core::time::Duration;
use std::collections::VecDeque;

use super::outcome::{Problem, Tally};
use super::payload::{Payload, SidebandCall};
use super::record::Record;
use super::response::{Response, Session};
use crate::config::{Traffic, TrafficFormat};
use crate::feed::backoff::{backoff, honoured};

/// The longest backoff between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// The number of attempts for a sideband record without a final response: one record must not block the queue.
const MAX_ATTEMPTS: u32 = 3;

/// After this time without a refusal the state of refusal ends. If ASE does not know one of several APIs, refused and accepted
/// records alternate, which is not a change of state.
const QUIET: Duration = Duration::from_secs(60);

/// The records of one VM for one destination, and the state of sending them.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Record>,
    in_flight: Vec<Record>,
    /// The memory of both, in bytes.
    memory: usize,
    /// The size of the waiting records in bodies of batches, in bytes.
    body_bytes: usize,
    /// When the oldest waiting record was queued, on the monotonic clock.
    waiting_since: Duration,
    /// Sideband: the first record's request was accepted, its response is next.
    reported_request: bool,
    /// Sideband: the session of that request.
    session: Option<Session>,
    /// Sideband: attempts of the first record with a response that was not final.
    attempts: u32,
    /// Failed calls in a row that may succeed later.
    failures: u32,
    not_before: Duration,
    /// Logged refusals that are not over, and the time of the last one.
    refusals: Vec<Problem>,
    last_refusal: Duration,
    /// The size of batches after a 413.
    max_batch: Option<usize>,
}

impl Queue {
    /// The number of records, including those in flight.
    pub fn len(&self) -> usize {
        self.waiting.len().saturating_add(self.in_flight.len())
    }

    /// Whether no record is queued or in flight.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory of all records, in bytes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Whether a call is in flight.
    pub fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Adds a record; a full queue drops its oldest ones. `now` is called only if it is needed.
    pub fn push(
        &mut self,
        record: Record,
        traffic: &Traffic,
        now: impl FnOnce() -> Duration,
    ) -> Tally {
        if self.waiting.is_empty() {
            self.waiting_since = now();
        }
        self.memory = self.memory.saturating_add(record.memory());
        self.body_bytes = self.body_bytes.saturating_add(record.first.len());
        self.waiting.push_back(record);
        Tally {
            dropped: self.drop_oldest(traffic),
            ..Tally::default()
        }
    }

    /// Whether to send before the flush interval: a batch is full, or there is any sideband record.
    pub fn is_full(&self, traffic: &Traffic) -> bool {
        match traffic.format {
            TrafficFormat::Batch => self.body_bytes >= self.batch_limit(traffic),
            TrafficFormat::Sideband => !self.waiting.is_empty(),
        }
    }

    fn batch_limit(&self, traffic: &Traffic) -> usize {
        let batch_bytes = to_usize(traffic.batch_bytes);
        self.max_batch.unwrap_or(batch_bytes).min(batch_bytes)
    }

    /// What to send now, if anything is due. It is in flight until [`Queue::finished`].
    pub fn next(&mut self, traffic: &Traffic, now: Duration) -> Option<Payload> {
        if self.is_busy() || self.waiting.is_empty() || now < self.not_before {
            return None;
        }
        match traffic.format {
            TrafficFormat::Batch => self.next_batch(traffic, now),
            TrafficFormat::Sideband => self.next_sideband_call(),
        }
    }

    fn next_batch(&mut self, traffic: &Traffic, now: Duration) -> Option<Payload> {
        let is_old = now.saturating_sub(self.waiting_since) >= traffic.flush_interval;
        if !is_old && !self.is_full(traffic) {
            return None;
        }
        let limit = self.batch_limit(traffic);
        let mut body = Vec::with_capacity(limit.min(self.body_bytes));
        while let Some(record) = self.waiting.front() {
            let length = body.len().saturating_add(record.first.len());
            if length > limit && !body.is_empty() {
                break;
            }
            body.extend_from_slice(&record.first);
            self.start_front();
        }
        self.waiting_since = now;
        Some(Payload {
            sideband: None,
            body,
        })
    }

    fn next_sideband_call(&mut self) -> Option<Payload> {
        let is_response = self.reported_request;
        let record = self.waiting.front()?;
        let body = if is_response {
            &record.second
        } else {
            &record.first
        };
        let payload = Payload {
            sideband: Some(SidebandCall {
                correlation_id: record.correlation_id,
                is_response,
                session: self.session.clone().filter(|_| is_response),
            }),
            body: body.to_vec(),
        };
        self.start_front();
        Some(payload)
    }

    fn start_front(&mut self) {
        if let Some(record) = self.waiting.pop_front() {
            self.body_bytes = self.body_bytes.saturating_sub(record.first.len());
            self.in_flight.push(record);
        }
    }

    /// The call in flight ended, with this response or without any.
    pub fn finished(
        &mut self,
        response: Option<Response>,
        traffic: &Traffic,
        now: Duration,
    ) -> Tally {
        let is_sideband = traffic.format == TrafficFormat::Sideband;
        let Some(response) = response else {
            return self.try_later(Problem::NoResponse, None, traffic, now);
        };
        match response.status {
            200..=299 if is_sideband && !self.reported_request => {
                self.put_back();
                self.reported_request = true;
                self.session = response.session;
                self.accepted(0, now)
            }
            200..=299 => self.complete(now),
            // ASE returns 403 for a client on its list. The record is complete: its response is not reported.
            403 if is_sideband => self.complete(now),
            413 if self.in_flight.len() > 1 => {
                let bytes = self.in_flight.iter().map(|record| record.first.len());
                let bytes = bytes.fold(0, usize::saturating_add);
                self.max_batch = Some(bytes.checked_div(2).unwrap_or(0).max(1));
                self.put_back();
                Tally::default()
            }
            503 if response.unknown_api => self.refused(Problem::UnknownApi, now),
            status => match Problem::of_status(status) {
                problem if problem.is_final() => self.refused(problem, now),
                problem => self.try_later(problem, response.retry_after, traffic, now),
            },
        }
    }

    /// Drops all records: sending is switched off.
    pub fn clear(&mut self) -> Tally {
        let dropped = u64::try_from(self.len()).unwrap_or(u64::MAX);
        *self = Self::default();
        Tally {
            dropped,
            ..Tally::default()
        }
    }

    fn complete(&mut self, now: Duration) -> Tally {
        let sent = self.remove_in_flight();
        self.accepted(sent, now)
    }

    /// A call was accepted, and with it `sent` records are complete.
    fn accepted(&mut self, sent: u64, now: Duration) -> Tally {
        let outage_ended = self.end_outage();
        let is_quiet = now.saturating_sub(self.last_refusal) >= QUIET;
        let refusals_ended = is_quiet && !self.refusals.is_empty();
        if refusals_ended {
            self.refusals.clear();
        }
        Tally {
            sent,
            accepted: true,
            recovered: outage_ended || refusals_ended,
            ..Tally::default()
        }
    }

    /// Records that the receiver is reachable; returns whether it was unreachable before.
    fn end_outage(&mut self) -> bool {
        self.not_before = Duration::ZERO;
        core::mem::take(&mut self.failures) > 0
    }

    /// The records in flight will never be accepted; the next ones are sent immediately.
    fn refused(&mut self, problem: Problem, now: Duration) -> Tally {
        self.end_outage();
        self.last_refusal = now;
        let is_new = !self.refusals.contains(&problem);
        if is_new {
            self.refusals.push(problem);
        }
        Tally {
            failed: self.remove_in_flight(),
            problem: Some(problem),
            is_new,
            ..Tally::default()
        }
    }

    fn try_later(
        &mut self,
        problem: Problem,
        retry_after: Option<Duration>,
        traffic: &Traffic,
        now: Duration,
    ) -> Tally {
        let is_new = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        let had_response = problem != Problem::NoResponse;
        self.attempts = self.attempts.saturating_add(u32::from(had_response));
        let gives_up = traffic.format == TrafficFormat::Sideband && self.attempts >= MAX_ATTEMPTS;
        let failed = if gives_up {
            self.remove_in_flight()
        } else {
            self.put_back();
            self.forget_request();
            0
        };
        let wait = backoff(self.failures, LONGEST_BACKOFF);
        let wait = wait.max(retry_after.map(honoured).unwrap_or_default());
        self.not_before = now.saturating_add(wait);
        Tally {
            failed,
            dropped: self.drop_oldest(traffic),
            problem: Some(problem),
            is_new,
            ..Tally::default()
        }
    }

    /// The first record's request has to be reported again, to any node.
    fn forget_request(&mut self) {
        self.reported_request = false;
        self.session = None;
    }

    fn put_back(&mut self) {
        while let Some(record) = self.in_flight.pop() {
            self.body_bytes = self.body_bytes.saturating_add(record.first.len());
            self.waiting.push_front(record);
        }
        // They are due immediately.
        self.waiting_since = Duration::ZERO;
    }

    /// Removes the records in flight and returns their number.
    fn remove_in_flight(&mut self) -> u64 {
        self.forget_request();
        self.attempts = 0;
        let mut n = 0u64;
        for record in self.in_flight.drain(..) {
            self.memory = self.memory.saturating_sub(record.memory());
            n = n.saturating_add(1);
        }
        n
    }

    /// Drops the oldest waiting records until the queue is as small as configured; returns their number.
    fn drop_oldest(&mut self, traffic: &Traffic) -> u64 {
        let limit = to_usize(traffic.queue_memory);
        let mut dropped = 0u64;
        while self.memory > limit {
            let Some(record) = self.waiting.pop_front() else {
                break;
            };
            // Unless it is in flight, this is the record that was tried.
            if !self.is_busy() {
                self.forget_request();
                self.attempts = 0;
            }
            self.memory = self.memory.saturating_sub(record.memory());
            self.body_bytes = self.body_bytes.saturating_sub(record.first.len());
            dropped = dropped.saturating_add(1);
        }
        dropped
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
