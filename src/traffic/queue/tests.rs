//! What the queue sends next, and what it does with each outcome.

use super::*;
use crate::config::Config;
use crate::traffic::record::CorrelationId;
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

/// A queue of this many records.
fn queue_of(records: usize, traffic: &Traffic) -> Queue {
    let mut queue = Queue::default();
    for n in 0..records {
        queue.push(record(n), traffic, || Duration::ZERO);
    }
    queue
}

fn finish(queue: &mut Queue, traffic: &Traffic, now: Duration, status: u16) -> Tally {
    queue.finished(Some(Response::new(status)), traffic, now)
}

#[test]
fn sideband_reports_request_and_response_in_turn_in_one_session() {
    let config = config(r#"{"format": "sideband"}"#);
    let traffic = &config.traffic;
    let mut queue = queue_of(2, traffic);
    for n in 0..2 {
        let record = record(n);
        let first = queue.next(traffic, SECOND).unwrap();
        let call = first.sideband.unwrap();
        assert_eq!(call.correlation_id, record.correlation_id);
        assert_eq!((call.is_response, call.session), (false, None));
        assert_eq!(*first.body, *record.first);
        assert_eq!(queue.next(traffic, SECOND), None);
        let session = Session(format!("node-{n}").into_bytes().into());
        let response = Response {
            session: Some(session.clone()),
            ..Response::new(200)
        };
        let tally = queue.finished(Some(response), traffic, SECOND);
        assert_eq!((tally.sent, tally.accepted), (0, true));
        let second = queue.next(traffic, SECOND).unwrap();
        let call = second.sideband.unwrap();
        assert_eq!(call.correlation_id, record.correlation_id);
        assert_eq!((call.is_response, call.session), (true, Some(session)));
        assert_eq!(*second.body, *record.second);
        assert_eq!(finish(&mut queue, traffic, SECOND, 200).sent, 1);
    }
    assert_eq!((queue.len(), queue.memory()), (0, 0));
}

#[test]
fn responses_to_clients_on_ases_list_are_not_reported() {
    let config = config(r#"{"format": "sideband"}"#);
    let traffic = &config.traffic;
    let mut queue = queue_of(1, traffic);
    queue.next(traffic, SECOND).unwrap();
    let tally = finish(&mut queue, traffic, SECOND, 403);
    assert_eq!((tally.sent, tally.problem, queue.len()), (1, None, 0));
}

#[test]
fn a_record_is_reported_again_in_another_session_if_a_call_was_lost() {
    let config = config(r#"{"format": "sideband"}"#);
    let traffic = &config.traffic;
    let mut queue = queue_of(1, traffic);
    queue.next(traffic, SECOND).unwrap();
    let response = Response {
        session: Some(Session(b"dead-node".as_slice().into())),
        ..Response::new(200)
    };
    queue.finished(Some(response), traffic, SECOND);
    queue.next(traffic, SECOND).unwrap();
    queue.finished(None, traffic, SECOND);
    let again = queue.next(traffic, 2 * SECOND).unwrap().sideband.unwrap();
    assert_eq!((again.is_response, again.session), (false, None));
}

#[test]
fn a_final_status_removes_its_records_and_the_next_ones_are_sent() {
    for format in ["batch", "sideband"] {
        let config = config(&format!(
            r#"{{"format": "{format}", "batch_bytes": "100B", "flush_interval": "10ms"}}"#
        ));
        let traffic = &config.traffic;
        for status in [301, 400, 401, 404, 405, 413, 415, 422, 501] {
            let mut queue = queue_of(3, traffic);
            for n in 0..3 {
                assert!(queue.next(traffic, SECOND).is_some(), "{format} {status}");
                let tally = finish(&mut queue, traffic, SECOND, status);
                assert_eq!(tally.failed, 1, "{format} {status}");
                assert_eq!(tally.problem, Some(Problem::Refused(status)));
                assert_eq!(tally.is_new, n == 0, "logged once");
            }
            assert_eq!(queue.len(), 0);
        }
    }
}

#[test]
fn an_unknown_api_is_not_an_outage() {
    let config = config(r#"{"format": "sideband"}"#);
    let traffic = &config.traffic;
    let mut queue = queue_of(3, traffic);
    let unknown = Response {
        unknown_api: true,
        ..Response::new(503)
    };
    let mut now = SECOND;
    for n in 0..2 {
        queue.next(traffic, now).unwrap();
        let tally = queue.finished(Some(unknown.clone()), traffic, now);
        assert_eq!((tally.failed, tally.is_new), (1, n == 0));
        assert_eq!(tally.problem, Some(Problem::UnknownApi));
    }
    // Another API's records are accepted meanwhile: that is no change of state.
    for half in 0..2 {
        queue.next(traffic, now).unwrap();
        let tally = finish(&mut queue, traffic, now, 200);
        assert_eq!((tally.sent, tally.recovered), (half, false));
    }
    queue.push(record(4), traffic, || now);
    now += QUIET;
    queue.next(traffic, now).unwrap();
    assert!(finish(&mut queue, traffic, now, 200).recovered);
}

#[test]
fn no_sideband_record_blocks_the_queue_forever() {
    let config = config(r#"{"format": "sideband"}"#);
    let traffic = &config.traffic;
    let mut queue = queue_of(2, traffic);
    let mut now = Duration::ZERO;
    for attempt in 1..=MAX_ATTEMPTS {
        now += LONGEST_BACKOFF;
        queue.next(traffic, now).unwrap();
        let tally = finish(&mut queue, traffic, now, 503);
        assert_eq!(tally.failed, u64::from(attempt == MAX_ATTEMPTS));
    }
    assert_eq!(queue.next(traffic, now), None, "the backoff is active");
    now += LONGEST_BACKOFF;
    let next = queue.next(traffic, now).unwrap().sideband.unwrap();
    assert_eq!(next.correlation_id, record(1).correlation_id);
    // A call without a response does not count: it says nothing about the record.
    for _ in 0..10 {
        assert_eq!(queue.finished(None, traffic, now).failed, 0);
        now += LONGEST_BACKOFF;
        queue.next(traffic, now).unwrap();
    }
}

#[test]
fn a_batch_is_sent_when_it_is_full_or_old() {
    let config = config(r#"{"format": "batch", "batch_bytes": "1KB", "flush_interval": "2s"}"#);
    let traffic = &config.traffic;
    let mut queue = Queue::default();
    for n in 0..10 {
        queue.push(record(n), traffic, || SECOND);
    }
    assert_eq!(queue.next(traffic, 2 * SECOND), None);
    assert_eq!(queue.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
    assert!(queue.is_busy());
    for n in 0..25 {
        queue.push(record(n), traffic, || 3 * SECOND);
    }
    assert_eq!(queue.next(traffic, 3 * SECOND), None);
    assert_eq!(finish(&mut queue, traffic, 3 * SECOND, 200).sent, 10);
    assert_eq!(queue.next(traffic, 3 * SECOND).unwrap().body.len(), 1_000);
}

#[test]
fn failures_back_off_and_retry_after_is_honoured() {
    let config = config(r#"{"format": "batch", "flush_interval": "10ms"}"#);
    let traffic = &config.traffic;
    let mut queue = Queue::default();
    queue.push(record(1), traffic, || Duration::ZERO);
    let mut now = SECOND;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert!(queue.next(traffic, now).is_some(), "{wait}");
        let tally = finish(&mut queue, traffic, now, 500);
        assert_eq!(tally.problem, Some(Problem::Unavailable(500)));
        assert_eq!(tally.is_new, wait == 1);
        assert_eq!(
            queue.next(traffic, now + wait * SECOND - Duration::from_millis(1)),
            None
        );
        now += wait * SECOND;
    }
    assert!(queue.next(traffic, now).is_some());
    let response = Response {
        retry_after: Some(100 * SECOND),
        ..Response::new(429)
    };
    queue.finished(Some(response), traffic, now);
    assert_eq!(queue.next(traffic, now + 99 * SECOND), None);
    assert!(queue.next(traffic, now + 100 * SECOND).is_some());
    let tally = finish(&mut queue, traffic, now + 100 * SECOND, 200);
    assert_eq!((tally.sent, tally.recovered), (1, true));
}

#[test]
fn a_batch_that_is_too_large_is_halved_and_a_single_record_removed() {
    let config = config(r#"{"format": "batch", "flush_interval": "10ms"}"#);
    let traffic = &config.traffic;
    let mut queue = Queue::default();
    for n in 0..4 {
        queue.push(record(n), traffic, || Duration::ZERO);
    }
    let mut sizes = Vec::new();
    let mut failed = 0;
    while let Some(payload) = queue.next(traffic, SECOND * 10) {
        sizes.push(payload.body.len());
        failed += finish(&mut queue, traffic, SECOND, 413).failed;
    }
    assert_eq!(sizes[..3], [400, 200, 100]);
    assert_eq!((failed, queue.len(), queue.memory()), (4, 0, 0));
}

/// Pseudo-random numbers, the same in each run.
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
fn the_numbers_always_add_up() {
    for format in ["batch", "sideband"] {
        let config = config(&format!(
            r#"{{"format": "{format}", "queue_memory": "4KB", "batch_bytes": "1KB", "flush_interval": "1s"}}"#
        ));
        let traffic = &config.traffic;
        let mut queue = Queue::default();
        let mut random = numbers();
        let (mut made, mut removed, mut now) = (0u64, 0u64, Duration::ZERO);
        let mut kinds = [0u64; 3];
        for _ in 0..20_000 {
            now += Duration::from_millis(random(400));
            let tally = match random(10) {
                0..=5 => {
                    made += 1;
                    queue.push(record(made as usize), traffic, || now)
                }
                6 | 7 => {
                    queue.next(traffic, now);
                    Tally::default()
                }
                _ if !queue.is_busy() => Tally::default(),
                _ => {
                    let statuses = [200, 200, 200, 500, 413, 400, 403, 429];
                    let status = statuses.get(random(9) as usize);
                    queue.finished(status.map(|status| Response::new(*status)), traffic, now)
                }
            };
            removed += tally.sent + tally.dropped + tally.failed;
            for (kind, n) in kinds
                .iter_mut()
                .zip([tally.sent, tally.dropped, tally.failed])
            {
                *kind += n;
            }
            assert_eq!(made, removed + queue.len() as u64);
            // A batch may be in flight beside a full queue.
            assert!(queue.memory() <= 4 * 1024 + 2 * 1024, "{}", queue.memory());
        }
        assert!(kinds.iter().all(|n| *n > 10), "{kinds:?}");
        let tally = queue.clear();
        assert_eq!(made, removed + tally.dropped);
    }
}
