//! The queue of one VM's records for one destination: what to send next, and what became of what was sent.
//!
//! Pure: [`Sender`] says what to send and takes how it went; the calls are made by `delivery`. The books always balance:
//! records taken = sent + dropped + failed + still here.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use super::record::{CorrelationId, Record};
use crate::config::{Traffic, TrafficFormat};
use crate::refresh::FIRST_BACKOFF;

/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What is to be sent next.
#[derive(Clone, PartialEq, Eq)]
pub struct Shipment {
    /// `None` for a batch; for the sideband interface, the record's id and whether its response is told.
    pub sideband: Option<(CorrelationId, bool)>,
    /// The body, before compression.
    pub body: Vec<u8>,
}

impl fmt::Debug for Shipment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Shipment({:?}, {} bytes, redacted)",
            self.sideband,
            self.body.len()
        )
    }
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// ABS answered with this status, and may have said when to come back.
    Status(u16, Option<Duration>),
    /// No answer: no connection, a reset, the call was lost.
    None,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// ABS took them.
    pub sent: u64,
    /// ABS refused them for what they are.
    pub failed: u64,
    /// They did not fit the queue.
    pub dropped: u64,
    /// Sending began to fail, for this reason.
    pub began_to_fail: Option<Answer>,
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
    /// Sideband: the request was told, the response is next.
    told_request: bool,
    failures: u32,
    not_before: Duration,
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
    ) -> Account {
        if self.waiting.is_empty() {
            self.waiting_since = now();
        }
        self.memory = self.memory.saturating_add(record.memory());
        self.body_bytes = self.body_bytes.saturating_add(record.first.len());
        self.waiting.push_back(record);
        let dropped = self.make_fit(traffic);
        Account {
            dropped,
            ..Account::default()
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

    /// What to send now, if anything is due. It counts as in flight until [`Sender::answered`].
    pub fn next(&mut self, traffic: &Traffic, now: Duration) -> Option<Shipment> {
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
        Some(Shipment {
            sideband: None,
            body,
        })
    }

    fn next_of_sideband(&mut self) -> Option<Shipment> {
        let told = self.told_request;
        let record = self.waiting.front()?;
        let body = if told { &record.second } else { &record.first };
        let shipment = Shipment {
            sideband: Some((record.correlation_id, told)),
            body: body.to_vec(),
        };
        self.take_front();
        Some(shipment)
    }

    fn take_front(&mut self) {
        if let Some(record) = self.waiting.pop_front() {
            self.body_bytes = self.body_bytes.saturating_sub(record.first.len());
            self.in_flight.push(record);
        }
    }

    /// The call in flight ended.
    pub fn answered(&mut self, answer: Answer, traffic: &Traffic, now: Duration) -> Account {
        let sideband = traffic.format == TrafficFormat::Sideband;
        match answer {
            // The sideband interface answers 403 for a client on its list: the record was taken all the same.
            Answer::Status(200..=299, _) => self.taken(sideband),
            Answer::Status(403, _) if sideband => self.taken(sideband),
            Answer::Status(413, _) if self.in_flight.len() > 1 => {
                let bytes = self.in_flight.iter().map(|record| record.first.len());
                let bytes = bytes.fold(0, usize::saturating_add);
                self.fits = Some(bytes.checked_div(2).unwrap_or(0).max(1));
                self.put_back();
                Account::default()
            }
            // They will never be taken.
            Answer::Status(400 | 413 | 415 | 422, _) => {
                let failed = self.discard();
                let account = self.failing(answer);
                Account { failed, ..account }
            }
            Answer::Status(_, retry_after) => self.try_later(answer, retry_after, traffic, now),
            Answer::None => self.try_later(answer, None, traffic, now),
        }
    }

    /// Sending is switched off: what is here is dropped.
    pub fn clear(&mut self) -> Account {
        let dropped = u64::try_from(self.queued()).unwrap_or(u64::MAX);
        *self = Self::default();
        Account {
            dropped,
            ..Account::default()
        }
    }

    fn taken(&mut self, sideband: bool) -> Account {
        let recovered = core::mem::take(&mut self.failures) > 0;
        self.not_before = Duration::ZERO;
        if sideband && !self.told_request {
            self.put_back();
            self.told_request = true;
            return Account {
                recovered,
                ..Account::default()
            };
        }
        Account {
            sent: self.discard(),
            recovered,
            ..Account::default()
        }
    }

    fn failing(&mut self, answer: Answer) -> Account {
        let first = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        Account {
            began_to_fail: first.then_some(answer),
            ..Account::default()
        }
    }

    fn try_later(
        &mut self,
        answer: Answer,
        retry_after: Option<Duration>,
        traffic: &Traffic,
        now: Duration,
    ) -> Account {
        let account = self.failing(answer);
        self.put_back();
        self.told_request = false;
        let doublings = self.failures.saturating_sub(1);
        let wait = FIRST_BACKOFF
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(LONGEST_BACKOFF);
        let wait = retry_after.map_or(wait, |wanted| {
            wanted.min(crate::refresh::LONGEST_RETRY_AFTER).max(wait)
        });
        self.not_before = now.saturating_add(wait);
        let dropped = self.make_fit(traffic);
        Account { dropped, ..account }
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
        self.told_request = false;
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
            // Of a record whose request was told but not its response, nothing more is told.
            self.told_request = self.told_request && self.is_busy();
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

    #[test]
    fn the_sideband_interface_gets_request_and_response_in_turn() {
        let config = config(r#"{"format": "sideband"}"#);
        let traffic = &config.traffic;
        let record = record(7);
        let mut sender = Sender::default();
        sender.push(record.clone(), traffic, || SECOND);
        let first = sender.next(traffic, SECOND).unwrap();
        assert_eq!(first.sideband, Some((record.correlation_id, false)));
        assert_eq!(*first.body, *record.first);
        assert_eq!(sender.next(traffic, SECOND), None);
        sender.answered(Answer::Status(403, None), traffic, SECOND);
        let second = sender.next(traffic, SECOND).unwrap();
        assert_eq!(second.sideband, Some((record.correlation_id, true)));
        assert_eq!(*second.body, *record.second);
        let account = sender.answered(Answer::Status(200, None), traffic, SECOND);
        assert_eq!((account.sent, sender.queued(), sender.memory()), (1, 0, 0));
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_old() {
        let config = config(r#"{"batch_bytes": "1KB", "flush_interval": "2s"}"#);
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
        assert_eq!(
            sender
                .answered(Answer::Status(200, None), traffic, 3 * SECOND)
                .sent,
            10
        );
        assert_eq!(sender.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
    }

    #[test]
    fn failures_wait_longer_each_time_and_retry_after_is_honoured() {
        let config = config(r#"{"flush_interval": "10ms"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        sender.push(record(1), traffic, || Duration::ZERO);
        let mut now = SECOND;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(sender.next(traffic, now).is_some(), "{wait}");
            let account = sender.answered(Answer::Status(500, None), traffic, now);
            assert_eq!(account.began_to_fail.is_some(), wait == 1);
            assert_eq!(
                sender.next(traffic, now + wait * SECOND - Duration::from_millis(1)),
                None
            );
            now += wait * SECOND;
        }
        assert!(sender.next(traffic, now).is_some());
        sender.answered(Answer::Status(429, Some(100 * SECOND)), traffic, now);
        assert_eq!(sender.next(traffic, now + 99 * SECOND), None);
        assert!(sender.next(traffic, now + 100 * SECOND).is_some());
        let account = sender.answered(Answer::Status(200, None), traffic, now + 100 * SECOND);
        assert_eq!((account.sent, account.recovered), (1, true));
    }

    #[test]
    fn too_large_a_batch_is_halved_and_a_lone_record_given_up() {
        let config = config(r#"{"flush_interval": "10ms"}"#);
        let traffic = &config.traffic;
        let mut sender = Sender::default();
        for n in 0..4 {
            sender.push(record(n), traffic, || Duration::ZERO);
        }
        let mut sizes = Vec::new();
        let mut failed = 0;
        while let Some(shipment) = sender.next(traffic, SECOND * 10) {
            sizes.push(shipment.body.len());
            failed += sender
                .answered(Answer::Status(413, None), traffic, SECOND)
                .failed;
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
                let account = match random(10) {
                    0..=5 => {
                        made += 1;
                        sender.push(record(made as usize), traffic, || now)
                    }
                    6 | 7 => {
                        sender.next(traffic, now);
                        Account::default()
                    }
                    _ if !sender.is_busy() => Account::default(),
                    _ => {
                        let answers = [200, 200, 200, 500, 413, 400, 403, 429];
                        let answer = match answers.get(random(9) as usize) {
                            Some(status) => Answer::Status(*status, None),
                            None => Answer::None,
                        };
                        sender.answered(answer, traffic, now)
                    }
                };
                gone += account.sent + account.dropped + account.failed;
                for (kind, n) in
                    kinds
                        .iter_mut()
                        .zip([account.sent, account.dropped, account.failed])
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
            let account = sender.clear();
            assert_eq!(made, gone + account.dropped);
        }
    }
}
