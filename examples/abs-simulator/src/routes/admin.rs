//! The simulator's admin interface. It needs no credentials.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{blocking, json_text, parse_json};
use crate::attack_list::{AttackList, Identifier};
use crate::date::parse_date;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::generate::{Kinds, generate};
use crate::state::{Counters, Simulator};

/// Number of records in a response without `limit`.
const DEFAULT_RECORDS: usize = 1000;

/// The endpoints under `/admin`.
pub(super) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route(
            "/admin/list",
            get(get_list).post(add_to_list).delete(remove_from_list),
        )
        .route("/admin/load", post(load_list))
        .route("/admin/generate", post(generate_list))
        .route("/admin/fault", post(set_fault).delete(clear_faults))
        .route("/admin/counters", get(get_counters))
        .route("/admin/fetches", get(get_fetches))
        .route("/admin/records", get(get_records).delete(clear_records))
}

/// An attack list and its times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    ips: Option<Vec<String>>,
    cookies: Option<BTreeMap<String, Vec<String>>>,
    oauth_tokens: Option<Vec<String>>,
    api_keys: Option<Vec<String>>,
    usernames: Option<Vec<String>>,
    #[serde(default)]
    ttl_seconds: Option<f64>,
    #[serde(default)]
    detected_at: Option<String>,
}

impl Listing {
    fn times(&self) -> Result<Times, ApiError> {
        Times::new(self.ttl_seconds, self.detected_at.as_deref())
    }

    fn into_identifiers(self) -> impl Iterator<Item = Identifier> {
        AttackList {
            ips: self.ips.unwrap_or_default(),
            cookies: self.cookies.unwrap_or_default(),
            oauth_tokens: self.oauth_tokens.unwrap_or_default(),
            api_keys: self.api_keys.unwrap_or_default(),
            usernames: self.usernames.unwrap_or_default(),
        }
        .into_identifiers()
    }
}

#[derive(Clone, Copy, Debug)]
struct Times {
    detected: SystemTime,
    ttl: Option<Duration>,
}

impl Times {
    fn new(ttl_seconds: Option<f64>, detected_at: Option<&str>) -> Result<Self, ApiError> {
        let ttl = ttl_seconds
            .map(|found| {
                Duration::try_from_secs_f64(found)
                    .ok()
                    .filter(|ttl| !ttl.is_zero())
                    .ok_or(ApiError::Ttl { found })
            })
            .transpose()?;
        let detected = match detected_at {
            None => SystemTime::now(),
            Some(found) => parse_date(found).ok_or_else(|| ApiError::Date {
                name: "detected_at",
                found: found.to_owned(),
            })?,
        };
        Ok(Self { detected, ttl })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generation {
    entries: u32,
    #[serde(default)]
    kinds: Kinds,
    #[serde(default = "default_seed")]
    seed: u32,
    #[serde(default)]
    ttl_seconds: Option<f64>,
    #[serde(default)]
    detected_at: Option<String>,
}

fn default_seed() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
struct RecordsQuery {
    #[serde(default)]
    offset: usize,
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    DEFAULT_RECORDS
}

async fn get_list(State(simulator): State<Arc<Simulator>>) -> Result<Response, ApiError> {
    blocking(move || {
        let mut state = simulator.state();
        let (active, expired) = state.store.lists(SystemTime::now());
        let lists = BTreeMap::from([("active", active), ("expired", expired)]);
        Ok(json_text(
            serde_json::to_string(&lists).map_err(ApiError::internal)?,
        ))
    })
    .await
}

async fn add_to_list(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || take_listing(&simulator, false, &body)).await
}

async fn load_list(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || take_listing(&simulator, true, &body)).await
}

fn take_listing(
    simulator: &Simulator,
    replace: bool,
    body: &[u8],
) -> Result<Json<Value>, ApiError> {
    let listing: Listing = parse_json(body)?;
    let times = listing.times()?;
    Ok(add(simulator, replace, listing.into_identifiers(), times))
}

async fn generate_list(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let wanted: Generation = parse_json(&body)?;
        let times = Times::new(wanted.ttl_seconds, wanted.detected_at.as_deref())?;
        let identifiers = generate(wanted.entries, wanted.kinds, wanted.seed)?;
        Ok(add(&simulator, true, identifiers, times))
    })
    .await
}

fn add(
    simulator: &Simulator,
    replace: bool,
    identifiers: impl Iterator<Item = Identifier>,
    times: Times,
) -> Json<Value> {
    let mut state = simulator.state();
    if replace {
        state.store.clear();
    }
    state.store.add(identifiers, times.detected, times.ttl);
    active_entries(state.store.active_entries(SystemTime::now()))
}

async fn remove_from_list(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    blocking(move || {
        let now = SystemTime::now();
        let mut state = simulator.state();
        if body.trim_ascii().is_empty() {
            state.store.clear();
        } else {
            let named: AttackList<String> = parse_json(&body)?;
            state.store.remove(named.into_identifiers(), now);
        }
        Ok(active_entries(state.store.active_entries(now)))
    })
    .await
}

fn active_entries(number: usize) -> Json<Value> {
    Json(json!({ "active_entries": number }))
}

async fn set_fault(
    State(simulator): State<Arc<Simulator>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let fault: Fault = parse_json(&body)?;
    fault.validate()?;
    simulator.state().faults.set(fault);
    Ok(Json(json!({})))
}

async fn clear_faults(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.state().faults.clear();
    StatusCode::NO_CONTENT
}

async fn get_counters(State(simulator): State<Arc<Simulator>>) -> Json<Counters> {
    Json(simulator.state().counters)
}

async fn get_fetches(State(simulator): State<Arc<Simulator>>) -> Json<Vec<u128>> {
    Json(simulator.state().fetch_times.as_millis())
}

async fn get_records(
    State(simulator): State<Arc<Simulator>>,
    Query(page): Query<RecordsQuery>,
) -> Response {
    json_text(
        simulator
            .state()
            .traffic
            .records_json(page.offset, page.limit),
    )
}

async fn clear_records(State(simulator): State<Arc<Simulator>>) -> StatusCode {
    simulator.state().traffic.clear_records();
    StatusCode::NO_CONTENT
}
