//! The two rules that list a client: too many 401 responses, or too many requests, within a minute.
//!
//! There are no other rules. ABS's own models are different.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::attack_list::Identifier;
use crate::traffic::TrafficRecord;

/// The window of both rules.
pub const WINDOW: Duration = Duration::from_secs(60);

/// With more clients than this, those without records for a window are removed.
const WATCHED_CLIENTS: usize = 100_000;

/// When a client is listed.
#[derive(Clone, Debug, Default)]
pub struct DetectionRules {
    /// The client is listed at this many 401 responses within the window; 0 for never.
    pub unauthorized_per_minute: usize,
    /// The client is listed at this many requests within the window; 0 for never.
    pub requests_per_minute: usize,
    /// The cookie that identifies a client; `None` for the first one in a request.
    pub session_cookie: Option<String>,
}

/// The rules' state for each client.
#[derive(Debug)]
pub struct Detection {
    rules: DetectionRules,
    clients: HashMap<Identifier, Client>,
    next_sweep: usize,
}

// Times in order, at most as many as the rule needs.
#[derive(Debug, Default)]
struct Client {
    unauthorized: VecDeque<SystemTime>,
    requests: VecDeque<SystemTime>,
}

impl Detection {
    /// Rules without any state.
    pub fn new(rules: DetectionRules) -> Self {
        Self {
            rules,
            clients: HashMap::new(),
            next_sweep: WATCHED_CLIENTS,
        }
    }

    /// Adds one record and returns the identifier to list, if a rule matches. Denied requests do not count; otherwise a
    /// client that is removed from the list would be listed again at its first request.
    pub fn observe(&mut self, record: &TrafficRecord, now: SystemTime) -> Option<Identifier> {
        if record.blocked {
            return None;
        }
        let unauthorized = record.response_code.as_deref() == Some("401");
        let requests_limit = self.rules.requests_per_minute;
        let unauthorized_limit = if unauthorized {
            self.rules.unauthorized_per_minute
        } else {
            0
        };
        if requests_limit == 0 && unauthorized_limit == 0 {
            return None;
        }
        let identifier = self.most_specific(record)?;
        let time = record
            .time
            .and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)))
            .unwrap_or(now);
        self.sweep(time);
        let client = self.clients.entry(identifier.clone()).or_default();
        let too_many_requests = tips_over(&mut client.requests, requests_limit, time);
        let too_many_unauthorized = tips_over(&mut client.unauthorized, unauthorized_limit, time);
        if !too_many_requests && !too_many_unauthorized {
            return None;
        }
        self.clients.remove(&identifier);
        Some(identifier)
    }

    // Other cookies do not identify a client, so a configured name excludes them.
    fn most_specific(&self, record: &TrafficRecord) -> Option<Identifier> {
        record
            .request
            .identifiers()
            .into_iter()
            .find(|identifier| match identifier {
                Identifier::Cookie { name, .. } => self
                    .rules
                    .session_cookie
                    .as_ref()
                    .is_none_or(|session| session == name),
                _ => true,
            })
    }

    fn sweep(&mut self, time: SystemTime) {
        if self.clients.len() < self.next_sweep {
            return;
        }
        self.clients.retain(|_, client| {
            [&client.unauthorized, &client.requests]
                .into_iter()
                .filter_map(VecDeque::back)
                .any(|last| is_within_window(*last, time))
        });
        self.next_sweep = WATCHED_CLIENTS.max(self.clients.len().saturating_mul(2));
    }
}

// Records of several workers arrive out of order, so a time may belong before later ones.
fn tips_over(times: &mut VecDeque<SystemTime>, threshold: usize, time: SystemTime) -> bool {
    if threshold == 0 {
        return false;
    }
    let place = times.partition_point(|earlier| *earlier <= time);
    times.insert(place, time);
    if times.len() > threshold {
        times.pop_front();
    }
    times.len() == threshold
        && times
            .front()
            .zip(times.back())
            .is_some_and(|(first, last)| is_within_window(*first, *last))
}

fn is_within_window(first: SystemTime, last: SystemTime) -> bool {
    last.duration_since(first).is_ok_and(|gap| gap < WINDOW)
        || first.duration_since(last).is_ok_and(|gap| gap < WINDOW)
}
