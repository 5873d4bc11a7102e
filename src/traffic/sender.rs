//! The queue of one VM's records for one destination: what to send next, and what became of what was sent.
//!
//! Pure: [`Sender`] says what to send and takes how it went; the calls are made by `delivery`. The books always balance:
//! records taken = sent + dropped + failed + still here.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use super::record::{CorrelationId, Record};
use super::response::Response;
use crate::config::{Traffic, TrafficFormat};
use crate::feed::backoff::{FIRST_WAIT, honoured};

/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How often a sideband record is tried that gets responses, but none that decides. One record must not hold up all that
/// wait behind it.
const MOST_ATTEMPTS: u32 = 3;

/// How long no record must be refused until that counts as over. Where one API of several is unknown to ASE, refused
/// and taken records alternate, and each must not be a change of state.
const QUIET: Duration = Duration::from_secs(60);

/// What is to be sent next.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    /// `None` for a batch.
    pub sideband: Option<SidebandCall>,
    /// The body, before compression.
    pub body: Vec<u8>,
}

/// Which call of the sideband interface is made.
#[derive(Clone, PartialEq, Eq)]
pub struct SidebandCall {
    /// Ties request and response.
    pub correlation_id: CorrelationId,
    /// Whether the response is reported; else the request.
    pub is_response: bool,
    /// The session that ASE gave for this record's request, so that the response reaches the same node.
    pub session: Option<Box<[u8]>>,
}

impl fmt::Debug for SidebandCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SidebandCall")
            .field("correlation_id", &self.correlation_id)
            .field("is_response", &self.is_response)
            .field("has_session", &self.session.is_some())
            .finish()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Payload({:?}, {} bytes, redacted)",
            self.sideband,
            self.body.len()
        )
    }
}

/// Why records were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No response: no connection, a reset, the call was lost.
    NoResponse,
    /// A status that may be another one later.
    Unavailable(u16),
    /// ASE does not know the API or the host name (status 503).
    UnknownApi,
    /// A status that stays the same however often the call is made.
    Refused(u16),
}

impl Problem {
    /// What a status means that did not accept the call; 0 where no response came.
    pub fn of_status(status: u16) -> Self {
        match status {
            0 => Problem::NoResponse,
            // Timeout, too early, too many requests: the same call may be accepted later.
            408 | 425 | 429 => Problem::Unavailable(status),
            300..=499 | 501 => Problem::Refused(status),
            _ => Problem::Unavailable(status),
        }
    }

    /// The status, or 0 where no response came.
    pub fn status(self) -> u16 {
        match self {
            Problem::NoResponse => 0,
            Problem::UnknownApi => 503,
            Problem::Unavailable(status) | Problem::Refused(status) => status,
        }
    }

    /// Whether another attempt would end the same way.
    pub fn is_final(self) -> bool {
        matches!(self, Problem::UnknownApi | Problem::Refused(_))
    }
}

/// What became of records, and of the call that carried them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The receiver took them.
    pub sent: u64,
    /// The receiver refused them.
    pub failed: u64,
    /// They did not fit the queue.
    pub dropped: u64,
    /// The call was accepted.
    pub accepted: bool,
    /// The call was not accepted, for this reason.
    pub problem: Option<Problem>,
    /// The problem is a change of state, to be logged.
    pub is_new: bool,
    /// Sending works again.
    pub recovered: bool,
}

/// The records of one VM for one destination, and the state of sending them.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    waiting: VecDeque<Record>,
    in_flight: Vec<Record>,
    /// Of both, in bytes.
    memory: usize,
    /// Of those that wait, in bytes of a batch's body.
    body_bytes: usize,
    /// When the oldest that waits came, on the monotonic clock.
    waiting_since: Duration,
    /// Sideband: the request was accepted, the response is next.
    reported_request: bool,
    /// Sideband: the session that came with the request's response.
    session: Option<Box<[u8]>>,
    /// Sideband: how often the first record was tried without success.
    attempts: u32,
    /// Failed calls in a row that may go well later.
    failures: u32,
    not_before: Duration,
    /// The refusals that were logged and are not over, and when the last one came.
    refusals: Vec<Problem>,
    last_refusal: Duration,
    /// After a 413, batches are kept to this size.
    fits: Option<usize>,
}

impl Sender {
    /// How many records are here.
    pub fn queued(&self) -> usize {
        self.waiting.len().saturating_add(self.in_flight.len())
    }

    /// What they take, in bytes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Whether a call is in flight.
    pub fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Takes a record; where the queue is full the oldest go. `now` is asked for only where it counts.
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
        let dropped = self.make_fit(traffic);
        Tally {
            dropped,
            ..Tally::default()
        }
    }

    /// Whether there is so much to send that it need not wait until it is old.
    pub fn is_full(&self, traffic: &Traffic) -> bool {
        match traffic.format {
            TrafficFormat::Batch => self.body_bytes >= self.batch_limit(traffic),
            TrafficFormat::Sideband => !self.waiting.is_empty(),
        }
    }

    fn batch_limit(&self, traffic: &Traffic) -> usize {
        let batch_bytes = to_usize(traffic.batch_bytes);
        self.fits.unwrap_or(batch_bytes).min(batch_bytes)
    }

    /// What to send now, if anything is due. It counts as in flight until [`Sender::finished`].
    pub fn next(&mut self, traffic: &Traffic, now: Duration) -> Option<Payload> {
        if self.is_busy() || self.waiting.is_empty() || now < self.not_before {
            return None;
        }
        if traffic.format == TrafficFormat::Sideband {
            return self.next_of_sideband();
        }
        let old = now.saturating_sub(self.waiting_since) >= traffic.flush_interval;
        if !old && !self.is_full(traffic) {
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
            self.take_front();
        }
        self.waiting_since = now;
        Some(Payload {
            sideband: None,
            body,
        })
    }

    fn next_of_sideband(&mut self) -> Option<Payload> {
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
        self.take_front();
        Some(payload)
    }

    fn take_front(&mut self) {
        if let Some(record) = self.waiting.pop_front() {
            self.body_bytes = self.body_bytes.saturating_sub(record.first.len());
            self.in_flight.push(record);
        }
    }

    /// The call in flight ended, with this response or with none.
    pub fn finished(
        &mut self,
        response: Option<Response>,
        traffic: &Traffic,
        now: Duration,
    ) -> Tally {
        let sideband = traffic.format == TrafficFormat::Sideband;
        let Some(response) = response else {
            return self.try_later(Problem::NoResponse, None, traffic, now);
        };
        match response.status {
            200..=299 => self.accepted(response, sideband, now),
            // ASE returns 403 for a client on its list. The record is complete: no response is awaited.
            403 if sideband => self.taken(now),
            413 if self.in_flight.len() > 1 => {
                let bytes = self.in_flight.iter().map(|record| record.first.len());
                let bytes = bytes.fold(0, usize::saturating_add);
                self.fits = Some(bytes.checked_div(2).unwrap_or(0).max(1));
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

    /// Sending is switched off: what is here is dropped.
    pub fn clear(&mut self) -> Tally {
        let dropped = u64::try_from(self.queued()).unwrap_or(u64::MAX);
        *self = Self::default();
        Tally {
            dropped,
            ..Tally::default()
        }
    }

    fn accepted(&mut self, response: Response, sideband: bool, now: Duration) -> Tally {
        if !sideband || self.reported_request {
            return self.taken(now);
        }
        let recovered = self.works(now);
        self.put_back();
        self.reported_request = true;
        self.session = response.session;
        Tally {
            accepted: true,
            recovered,
            ..Tally::default()
        }
    }

    fn taken(&mut self, now: Duration) -> Tally {
        let recovered = self.works(now);
        Tally {
            sent: self.discard(),
            accepted: true,
            recovered,
            ..Tally::default()
        }
    }

    /// A call was accepted. Whether that ends a problem that was logged.
    fn works(&mut self, now: Duration) -> bool {
        let outage_ended = self.end_outage();
        let quiet = now.saturating_sub(self.last_refusal) >= QUIET;
        let refusals_ended = quiet && !self.refusals.is_empty();
        if refusals_ended {
            self.refusals.clear();
        }
        outage_ended || refusals_ended
    }

    fn end_outage(&mut self) -> bool {
        self.not_before = Duration::ZERO;
        core::mem::take(&mut self.failures) > 0
    }

    /// The records in flight will never be taken; what waits behind them goes on.
    fn refused(&mut self, problem: Problem, now: Duration) -> Tally {
        self.end_outage();
        self.last_refusal = now;
        let is_new = !self.refusals.contains(&problem);
        if is_new {
            self.refusals.push(problem);
        }
        Tally {
            failed: self.discard(),
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
        let gives_up = traffic.format == TrafficFormat::Sideband && self.attempts >= MOST_ATTEMPTS;
        let failed = if gives_up {
            self.discard()
        } else {
            self.put_back();
            self.forget_request();
            0
        };
        let doublings = self.failures.saturating_sub(1);
        let wait = FIRST_WAIT
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(LONGEST_BACKOFF);
        let wait = retry_after.map_or(wait, |wanted| honoured(wanted).max(wait));
        self.not_before = now.saturating_add(wait);
        Tally {
            failed,
            dropped: self.make_fit(traffic),
            problem: Some(problem),
            is_new,
            ..Tally::default()
        }
    }

    /// The record's request has to be reported again, to whichever node takes it.
    fn forget_request(&mut self) {
        self.reported_request = false;
        self.session = None;
    }

    fn put_back(&mut self) {
        while let Some(record) = self.in_flight.pop() {
            self.body_bytes = self.body_bytes.saturating_add(record.first.len());
            self.waiting.push_front(record);
        }
        // They have waited long enough.
        self.waiting_since = Duration::ZERO;
    }

    fn discard(&mut self) -> u64 {
        self.forget_request();
        self.attempts = 0;
        let mut n = 0u64;
        for record in self.in_flight.drain(..) {
            self.memory = self.memory.saturating_sub(record.memory());
            n = n.saturating_add(1);
        }
        n
    }

    fn make_fit(&mut self, traffic: &Traffic) -> u64 {
        let limit = to_usize(traffic.queue_memory);
        let mut dropped = 0u64;
        while self.memory > limit {
            let Some(record) = self.waiting.pop_front() else {
                break;
            };
            // The record that was tried is gone, unless it is in flight.
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
mod tests {
    use super::*;
    use crate::config::Config;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const SECOND: Duration = Duration::from_secs(1);

    fn config(traffic: &str) -> Config {
        let json =
            format!(r#"{{"abs": {{"cluster": "abs"}}, "enable_abs": true, "traffic": {traffic}}}"#);
        Config::parse(json.as_bytes(), &|_| None).unwrap()
    }

    fn record(n: usize) -> Record {
        Record {
            correlation_id: CorrelationId {
                vm: 0,
                request: n as u64,
            },
            first: format!("{n:099}\n").into_bytes().into(),
            second: format!("{n:050}").into_bytes().into(),
        }
    }

    /// A sender with this many records.
    fn sender_of(records: usize, traffic: &Traffic) -> Sender {
        let mut sender = Sender::default();
        for n in 0..records {
            sender.push(record(n), traffic, || Duration::ZERO);
        }
        sender
    }

    fn finish(sender: &mut Sender, traffic: &Traffic, now: Duration, status: u16) -> Tally {
        sender.finished(Some(Response::new(status)), traffic, now)
    }

    #[test]
    fn the_sideband_interface_gets_request_and_response_in_turn_in_one_session() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let mut sender = sender_of(2, traffic);
        for n in 0..2 {
            let record = record(n);
            let first = sender.next(traffic, SECOND).unwrap();
            let call = first.sideband.unwrap();
            assert_eq!(call.correlation_id, record.correlation_id);
            assert_eq!((call.is_response, call.session), (false, None));
            assert_eq!(*first.body, *record.first);
            assert_eq!(sender.next(traffic, SECOND), None);
            let session: Box<[u8]> = format!("node-{n}").into_bytes().into();
            let response = Response {
                session: Some(session.clone()),
                ..Response::new(200)
            };
            let tally = sender.finished(Some(response), traffic, SECOND);
            assert_eq!((tally.sent, tally.accepted), (0, true));
            let second = sender.next(traffic, SECOND).unwrap();
            let call = second.sideband.unwrap();
            assert_eq!(call.correlation_id, record.correlation_id);
            assert_eq!((call.is_response, call.session), (true, Some(session)));
            assert_eq!(*second.body, *record.second);
            assert_eq!(finish(&mut sender, traffic, SECOND, 200).sent, 1);
        }
        assert_eq!((sender.queued(), sender.memory()), (0, 0));
    }

    #[test]
    fn of_a_client_on_ases_list_no_response_is_awaited() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let mut sender = sender_of(1, traffic);
        sender.next(traffic, SECOND).unwrap();
        let tally = finish(&mut sender, traffic, SECOND, 403);
        assert_eq!((tally.sent, tally.problem, sender.queued()), (1, None, 0));
    }

    #[test]
    fn a_record_whose_response_was_lost_is_reported_again_in_another_session() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let mut sender = sender_of(1, traffic);
        sender.next(traffic, SECOND).unwrap();
        let response = Response {
            session: Some(b"dead-node".as_slice().into()),
            ..Response::new(200)
        };
        sender.finished(Some(response), traffic, SECOND);
        sender.next(traffic, SECOND).unwrap();
        sender.finished(None, traffic, SECOND);
        let again = sender.next(traffic, 2 * SECOND).unwrap().sideband.unwrap();
        assert_eq!((again.is_response, again.session), (false, None));
    }

    #[test]
    fn a_final_status_gives_its_records_up_and_the_queue_goes_on_at_once() {
        for format in ["batch", "sideband"] {
            let config = config(&format!(
                r#"{{"format": "{format}", "batch_bytes": "100B", "flush_interval": "10ms"}}"#
            ));
            let traffic = &config.traffic;
            for status in [301, 400, 401, 404, 405, 413, 415, 422, 501] {
                let mut sender = sender_of(3, traffic);
                for n in 0..3 {
                    assert!(sender.next(traffic, SECOND).is_some(), "{format} {status}");
                    let tally = finish(&mut sender, traffic, SECOND, status);
                    assert_eq!(tally.failed, 1, "{format} {status}");
                    assert_eq!(tally.problem, Some(Problem::Refused(status)));
                    assert_eq!(tally.is_new, n == 0, "said once");
                }
                assert_eq!(sender.queued(), 0);
            }
        }
    }

    #[test]
    fn an_api_unknown_to_ase_is_no_outage() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let mut sender = sender_of(3, traffic);
        let unknown = Response {
            unknown_api: true,
            ..Response::new(503)
        };
        let mut now = SECOND;
        for n in 0..2 {
            sender.next(traffic, now).unwrap();
            let tally = sender.finished(Some(unknown.clone()), traffic, now);
            assert_eq!((tally.failed, tally.is_new), (1, n == 0));
            assert_eq!(tally.problem, Some(Problem::UnknownApi));
        }
        // Another API's records are taken meanwhile: that is no change of state.
        for half in 0..2 {
            sender.next(traffic, now).unwrap();
            let tally = finish(&mut sender, traffic, now, 200);
            assert_eq!((tally.sent, tally.recovered), (half, false));
        }
        sender.push(record(4), traffic, || now);
        now += QUIET;
        sender.next(traffic, now).unwrap();
        assert!(finish(&mut sender, traffic, now, 200).recovered);
    }

    #[test]
    fn no_sideband_record_holds_up_the_queue_for_ever() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let mut sender = sender_of(2, traffic);
        let mut now = Duration::ZERO;
        for attempt in 1..=MOST_ATTEMPTS {
            now += LONGEST_BACKOFF;
            sender.next(traffic, now).unwrap();
            let tally = finish(&mut sender, traffic, now, 503);
            assert_eq!(tally.failed, u64::from(attempt == MOST_ATTEMPTS));
        }
        assert_eq!(sender.next(traffic, now), None, "the backoff holds");
        now += LONGEST_BACKOFF;
        let next = sender.next(traffic, now).unwrap().sideband.unwrap();
        assert_eq!(next.correlation_id, record(1).correlation_id);
        // Without any response nothing is known of the record.
        for _ in 0..10 {
            assert_eq!(sender.finished(None, traffic, now).failed, 0);
            now += LONGEST_BACKOFF;
            sender.next(traffic, now).unwrap();
        }
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_old() {
        let config = config(r#"{"format": "batch", "batch_bytes": "1KB", "flush_interval": "2s"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        for n in 0..10 {
            sender.push(record(n), traffic, || SECOND);
        }
        assert_eq!(sender.next(traffic, 2 * SECOND), None);
        assert_eq!(sender.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
        assert!(sender.is_busy());
        for n in 0..25 {
            sender.push(record(n), traffic, || 3 * SECOND);
        }
        assert_eq!(sender.next(traffic, 3 * SECOND), None);
        assert_eq!(finish(&mut sender, traffic, 3 * SECOND, 200).sent, 10);
        assert_eq!(sender.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
    }

    #[test]
    fn failures_wait_longer_each_time_and_retry_after_is_honoured() {
        let config = config(r#"{"format": "batch", "flush_interval": "10ms"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        sender.push(record(1), traffic, || Duration::ZERO);
        let mut now = SECOND;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(sender.next(traffic, now).is_some(), "{wait}");
            let tally = finish(&mut sender, traffic, now, 500);
            assert_eq!(tally.problem, Some(Problem::Unavailable(500)));
            assert_eq!(tally.is_new, wait == 1);
            assert_eq!(
                sender.next(traffic, now + wait * SECOND - Duration::from_millis(1)),
                None
            );
            now += wait * SECOND;
        }
        assert!(sender.next(traffic, now).is_some());
        let response = Response {
            retry_after: Some(100 * SECOND),
            ..Response::new(429)
        };
        sender.finished(Some(response), traffic, now);
        assert_eq!(sender.next(traffic, now + 99 * SECOND), None);
        assert!(sender.next(traffic, now + 100 * SECOND).is_some());
        let tally = finish(&mut sender, traffic, now + 100 * SECOND, 200);
        assert_eq!((tally.sent, tally.recovered), (1, true));
    }

    #[test]
    fn too_large_a_batch_is_halved_and_a_lone_record_given_up() {
        let config = config(r#"{"format": "batch", "flush_interval": "10ms"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        for n in 0..4 {
            sender.push(record(n), traffic, || Duration::ZERO);
        }
        let mut sizes = Vec::new();
        let mut failed = 0;
        while let Some(payload) = sender.next(traffic, SECOND * 10) {
            sizes.push(payload.body.len());
            failed += finish(&mut sender, traffic, SECOND, 413).failed;
        }
        assert_eq!(sizes[..3], [400, 200, 100]);
        assert_eq!((failed, sender.queued(), sender.memory()), (4, 0, 0));
    }

    /// Numbers that look random and are the same each time.
    fn numbers() -> impl FnMut(u64) -> u64 {
        let mut state = 7u64;
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        }
    }

    #[test]
    fn the_books_balance_whatever_happens() {
        for format in ["batch", "sideband"] {
            let config = config(&format!(
                r#"{{"format": "{format}", "queue_memory": "4KB", "batch_bytes": "1KB", "flush_interval": "1s"}}"#
            ));
            let traffic = &config.traffic;
            let mut sender = Sender::default();
            let mut random = numbers();
            let (mut made, mut gone, mut now) = (0u64, 0u64, Duration::ZERO);
            let mut kinds = [0u64; 3];
            for _ in 0..20_000 {
                now += Duration::from_millis(random(400));
                let tally = match random(10) {
                    0..=5 => {
                        made += 1;
                        sender.push(record(made as usize), traffic, || now)
                    }
                    6 | 7 => {
                        sender.next(traffic, now);
                        Tally::default()
                    }
                    _ if !sender.is_busy() => Tally::default(),
                    _ => {
                        let statuses = [200, 200, 200, 500, 413, 400, 403, 429];
                        let status = statuses.get(random(9) as usize);
                        sender.finished(status.map(|status| Response::new(*status)), traffic, now)
                    }
                };
                gone += tally.sent + tally.dropped + tally.failed;
                for (kind, n) in kinds
                    .iter_mut()
                    .zip([tally.sent, tally.dropped, tally.failed])
                {
                    *kind += n;
                }
                assert_eq!(made, gone + sender.queued() as u64);
                // One batch may be in flight beside a full queue of it.
                assert!(
                    sender.memory() <= 4 * 1024 + 2 * 1024,
                    "{}",
                    sender.memory()
                );
            }
            assert!(kinds.iter().all(|n| *n > 10), "{kinds:?}");
            let tally = sender.clear();
            assert_eq!(made, gone + tally.dropped);
        }
    }
}
