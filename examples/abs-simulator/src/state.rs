//! The simulator's settings, and its mutable state behind one mutex.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;

use crate::decisions::{Decisions, Release};
use crate::detection::{Detection, DetectionRules};
use crate::documents::Documents;
use crate::faults::{Endpoint, Faults};
use crate::requests::Requests;
use crate::store::Store;
use crate::traffic::{Traffic, TrafficRecord};

/// Number of fetch times to keep.
const FETCH_TIMES: usize = 10_000;

/// The settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `x-abs-ak` of the full user.
    pub access_key: String,
    /// `x-abs-sk` of the same.
    pub secret_key: String,
    /// `x-abs-ak-ru` of the restricted user.
    pub restricted_access_key: String,
    /// `x-abs-sk-ru` of the same.
    pub restricted_secret_key: String,
    /// `X-Api-Key` of LAPI's bouncer.
    pub lapi_key: String,
    /// `ASE-Token` of the sideband; not checked if missing.
    pub ase_token: Option<String>,
    /// Number of simulated ASE nodes.
    pub ase_nodes: NonZeroUsize,
    /// How long an entry is active; if missing, until it is deleted.
    pub ttl: Option<Duration>,
    /// When a client is listed.
    pub rules: DetectionRules,
    /// Whether to write each request to standard error.
    pub verbose: bool,
}

impl Default for Settings {
    /// The factory defaults of ABS, no expiry, no rules.
    fn default() -> Self {
        Self {
            access_key: "abs_ak".to_owned(),
            secret_key: "abs_sk".to_owned(),
            restricted_access_key: "abs_ak_ru".to_owned(),
            restricted_secret_key: "abs_sk_ru".to_owned(),
            lapi_key: "lapi_key".to_owned(),
            ase_token: None,
            ase_nodes: NonZeroUsize::MIN,
            ttl: None,
            rules: DetectionRules::default(),
            verbose: false,
        }
    }
}

/// Counters since the start. Requests with a fault count too.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    /// `GET /v4/abs/attacklist`.
    pub attacklist_get: u64,
    /// Of these, those with a 304 response.
    pub attacklist_not_modified: u64,
    /// Requests to `/v4/abs/attacklist` refused for their credentials.
    pub attacklist_unauthorized: u64,
    /// `PUT /v4/abs/attacklist`.
    pub attacklist_put: u64,
    /// `DELETE /v4/abs/attacklist`.
    pub attacklist_delete: u64,
    /// `POST /ase/request`.
    pub ase_request: u64,
    /// `POST /ase/response`.
    pub ase_response: u64,
    /// `POST /portcullis/v1/traffic`.
    pub traffic_batches: u64,
    /// Requests to `/portcullis/v1/traffic` refused for their credentials.
    pub traffic_unauthorized: u64,
    /// Traffic records received, by batch or sideband.
    pub traffic_records: u64,
    /// Bytes of the accepted batches on the wire.
    pub traffic_bytes: u64,
    /// `GET /v1/decisions/stream`.
    pub decisions_get: u64,
    /// Of these, those refused for their key.
    pub decisions_forbidden: u64,
    /// `POST /v1/usage-metrics`.
    pub usage_metrics: u64,
    /// `GET /lists/NAME`.
    pub lists_get: u64,
    /// `GET /tokens/NAME`.
    pub tokens_get: u64,
    /// Requests for lists and tokens with a 304 response.
    pub documents_not_modified: u64,
    /// Requests for lists and tokens refused for their credentials.
    pub documents_unauthorized: u64,
    /// Clients listed by the rules.
    pub detected: u64,
    /// Requests with a fault.
    pub faults: u64,
}

/// Adds one to a counter.
pub fn increment(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// The times of requests for the attack list, by a monotonic clock.
#[derive(Debug)]
pub struct FetchTimes {
    start: Instant,
    times: VecDeque<Duration>,
}

impl FetchTimes {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            times: VecDeque::new(),
        }
    }

    /// Adds the current time.
    pub fn add(&mut self) {
        if self.times.len() == FETCH_TIMES {
            self.times.pop_front();
        }
        self.times.push_back(self.start.elapsed());
    }

    /// Milliseconds since the simulator's start, oldest first.
    pub fn as_millis(&self) -> Vec<u128> {
        self.times.iter().map(Duration::as_millis).collect()
    }
}

/// The mutable state.
#[derive(Debug)]
pub struct State {
    /// The attack list.
    pub store: Store,
    /// The traffic records.
    pub traffic: Traffic,
    /// LAPI's decisions.
    pub decisions: Decisions,
    /// The release of LAPI.
    pub release: Release,
    /// The accepted usage metrics.
    pub usage_metrics: Vec<Value>,
    lists: Documents,
    tokens: Documents,
    /// The newest requests.
    pub requests: Requests,
    /// The rules' state.
    pub detection: Detection,
    /// The active faults.
    pub faults: Faults,
    /// The counters.
    pub counters: Counters,
    /// The times of requests for the attack list.
    pub fetch_times: FetchTimes,
}

impl State {
    /// The lists by URL of an endpoint.
    pub fn documents(&mut self, endpoint: Endpoint) -> &mut Documents {
        match endpoint {
            Endpoint::Tokens => &mut self.tokens,
            _ => &mut self.lists,
        }
    }

    /// Adds one record, with `json` as its JSON, and lists its client if a rule matches.
    pub fn take_in(&mut self, record: &TrafficRecord, json: Box<str>, now: SystemTime) {
        self.counters.traffic_records = self.counters.traffic_records.saturating_add(1);
        self.traffic.keep(json);
        if let Some(identifier) = self.detection.observe(record, now) {
            self.counters.detected = self.counters.detected.saturating_add(1);
            self.store.add([identifier], now, None);
        }
    }
}

/// The simulator: settings and state.
#[derive(Debug)]
pub struct Simulator {
    /// The settings.
    pub settings: Settings,
    state: Mutex<State>,
}

impl Simulator {
    /// A simulator with an empty list.
    pub fn new(settings: Settings) -> Self {
        let state = State {
            store: Store::new(settings.ttl),
            traffic: Traffic::default(),
            decisions: Decisions::default(),
            release: Release::default(),
            usage_metrics: Vec::new(),
            lists: Documents::default(),
            tokens: Documents::default(),
            requests: Requests::default(),
            detection: Detection::new(settings.rules.clone()),
            faults: Faults::default(),
            counters: Counters::default(),
            fetch_times: FetchTimes::new(),
        };
        Self {
            settings,
            state: Mutex::new(state),
        }
    }

    /// Locks the state. Do not hold the guard across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A handler that panicked must not make every later request fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
