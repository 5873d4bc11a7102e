//! All that changes while the simulator runs, behind one mutex, and the settings, which don't.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::detection::{Detection, DetectionRules};
use crate::faults::Faults;
use crate::store::Store;
use crate::traffic::{Traffic, TrafficRecord};

/// How many times of fetches are kept.
const FETCH_TIMES: usize = 10_000;

/// What is set when the simulator starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `x-abs-ak` of the user who sees everything.
    pub access_key: String,
    /// `x-abs-sk` of the same.
    pub secret_key: String,
    /// `x-abs-ak-ru` of the restricted user.
    pub restricted_access_key: String,
    /// `x-abs-sk-ru` of the same.
    pub restricted_secret_key: String,
    /// `ASE-Token` of the sideband; any or none is taken where this is missing.
    pub ase_token: Option<String>,
    /// How many ASE nodes are played.
    pub ase_nodes: NonZeroUsize,
    /// How long an entry is active; until it is deleted where missing.
    pub ttl: Option<Duration>,
    /// When a client is listed.
    pub rules: DetectionRules,
    /// Whether each request is written to standard error.
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
            ase_token: None,
            ase_nodes: NonZeroUsize::MIN,
            ttl: None,
            rules: DetectionRules::default(),
            verbose: false,
        }
    }
}

/// What has come in since the start. Requests are counted as they come, faulty answer or not.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    /// `GET /v4/abs/attacklist`.
    pub attacklist_get: u64,
    /// Of these, answered with 304.
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
    /// Traffic records taken in, by batch or sideband.
    pub traffic_records: u64,
    /// Bytes of the batches taken in, as they came over the wire.
    pub traffic_bytes: u64,
    /// Clients listed by the rules.
    pub detected: u64,
    /// Requests a fault struck.
    pub faults: u64,
}

/// When the attack list was asked for, by a clock that no one sets.
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

    /// Adds now.
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

/// All that changes.
#[derive(Debug)]
pub struct State {
    /// The attack list.
    pub store: Store,
    /// The traffic records.
    pub traffic: Traffic,
    /// The rules' memory.
    pub detection: Detection,
    /// The faults in force.
    pub faults: Faults,
    /// The counters.
    pub counters: Counters,
    /// When the attack list was asked for.
    pub fetch_times: FetchTimes,
}

impl State {
    /// Takes in one record, whose JSON is `json`, and lists its client where a rule says so.
    pub fn take_in(&mut self, record: &TrafficRecord, json: Box<str>, now: SystemTime) {
        self.counters.traffic_records += 1;
        self.traffic.keep(json);
        if let Some(identifier) = self.detection.observe(record, now) {
            self.counters.detected += 1;
            self.store.add([identifier], now, None);
        }
    }
}

/// The simulator: settings and state.
#[derive(Debug)]
pub struct Simulator {
    /// What was set at the start.
    pub settings: Settings,
    state: Mutex<State>,
}

impl Simulator {
    /// A simulator that lists nobody yet.
    pub fn new(settings: Settings) -> Self {
        let state = State {
            store: Store::new(settings.ttl),
            traffic: Traffic::default(),
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

    /// The state, for as long as the guard lives. Not to be held across an await.
    pub fn state(&self) -> MutexGuard<'_, State> {
        // A handler that panicked must not take every later request with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
