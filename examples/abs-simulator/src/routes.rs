//! ABS's part of the HTTP interface: the attack list, the sideband, the batch of traffic records.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::access::{authorised, authorised_to_write, check_ase_token, text_of};
use crate::admin;
use crate::attack_list::AttackList;
use crate::date::{format_date, parse_date};
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::injection::strike;
use crate::state::Simulator;
use crate::store::{BulkDeletion, Status, View, Window};
use crate::traffic::{SidebandRequest, SidebandResponse, TrafficRecord};

/// The largest batch, once decompressed, in bytes.
pub const MAX_BATCH: u64 = 64 << 20;

/// The largest request body: room for a list of several million entries.
const MAX_BODY: usize = 1 << 30;

/// Bodies up to this size are not compressed.
const MIN_GZIP_BODY: usize = 1024;

/// Every endpoint of the simulator.
pub fn router(simulator: Arc<Simulator>) -> Router {
    let faulty = |endpoint| {
        let simulator = Arc::clone(&simulator);
        middleware::from_fn(move |connection, request, next| {
            strike(Arc::clone(&simulator), endpoint, connection, request, next)
        })
    };
    let attack_list = Router::new()
        .route(
            "/v4/abs/attacklist",
            get(get_attack_list)
                .put(put_attack_list)
                .delete(delete_attack_list),
        )
        .route_layer(faulty(Endpoint::Attacklist));
    let traffic = Router::new()
        .route("/ase/request", post(sideband_request))
        .route("/ase/response", post(sideband_response))
        .route("/portcullis/v1/traffic", post(traffic_batch))
        .route_layer(faulty(Endpoint::Traffic));
    let verbose = simulator.settings.verbose;
    let router = attack_list
        .merge(traffic)
        .merge(admin::router())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(simulator);
    if verbose {
        router.layer(middleware::from_fn(log_request))
    } else {
        router
    }
}

/// Reads a JSON body.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(ApiError::Json)
}

/// A JSON body that is JSON already.
pub(crate) fn json_text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Runs `work`, which may take long on a large list, where it holds up no other connection.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(ApiError::internal)?
}

#[derive(Debug, Deserialize)]
struct AttackListQuery {
    #[serde(default)]
    earlier_date: String,
    #[serde(default)]
    later_date: String,
    status: Option<String>,
}

impl AttackListQuery {
    fn status(&self) -> Result<Status, ApiError> {
        match self.status.as_deref() {
            None => Ok(Status::Any),
            Some("active") => Ok(Status::Active),
            Some("expired") => Ok(Status::Expired),
            Some(found) => Err(ApiError::Status {
                found: found.to_owned(),
            }),
        }
    }

    // The dates name minutes, so the window takes in the whole of the last one.
    fn window(&self) -> Result<Window, ApiError> {
        let date = |name, found: &str| {
            parse_date(found).ok_or_else(|| ApiError::Date {
                name,
                found: found.to_owned(),
            })
        };
        let earliest = date("earlier_date", &self.earlier_date)?;
        let latest = date("later_date", &self.later_date)?;
        if earliest > latest {
            return Err(ApiError::WindowReversed);
        }
        Ok(Window {
            earliest,
            latest: latest + Duration::from_secs(60) - Duration::from_nanos(1),
        })
    }
}

async fn get_attack_list(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    Query(query): Query<AttackListQuery>,
) -> Result<Response, ApiError> {
    let visibility = authorised(&simulator, Endpoint::Attacklist, &headers)?;
    let status = query.status()?;
    let window = query.window()?;
    blocking(move || {
        let view = simulator
            .state()
            .store
            .view(status, window, visibility, SystemTime::now())
            .map_err(ApiError::internal)?;
        answer_view(&simulator, &view, &headers)
    })
    .await
}

fn answer_view(
    simulator: &Simulator,
    view: &View,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let compressed = view.body.len() > MIN_GZIP_BODY && accepts_gzip(headers);
    let plain_etag = format!("\"{}\"", view.digest);
    // A strong entity tag names bytes, and the compressed ones are others.
    let gzip_etag = format!("\"{}-gzip\"", view.digest);
    let is_known =
        if_none_match(headers).any(|tag| tag == "*" || tag == plain_etag || tag == gzip_etag);
    let etag = if compressed { gzip_etag } else { plain_etag };
    let tags = [
        (header::ETAG, etag),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if is_known {
        simulator.state().counters.attacklist_not_modified += 1;
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    if !compressed {
        return Ok((tags, json, view.body.clone()).into_response());
    }
    let body = view.gzip().map_err(ApiError::internal)?;
    let encoding = [(header::CONTENT_ENCODING, "gzip")];
    Ok((tags, json, encoding, body).into_response())
}

async fn put_attack_list(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    authorised_to_write(&simulator, Endpoint::Attacklist, &headers)?;
    let named: AttackList<String> = parse_json(&body)?;
    blocking(move || {
        let now = SystemTime::now();
        let removed = simulator
            .state()
            .store
            .remove(named.into_identifiers(), now);
        Ok(Json(json!({
            "message": format!("{} client identifiers deleted from the attack list", removed.len()),
            "date": format_date(now),
            "attacklist": AttackList::from_identifiers(&removed),
        }))
        .into_response())
    })
    .await
}

async fn delete_attack_list(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    authorised_to_write(&simulator, Endpoint::Attacklist, &headers)?;
    let deletion: BulkDeletion = parse_json(&body)?;
    blocking(move || {
        let now = SystemTime::now();
        let removed = simulator.state().store.remove_kinds(deletion, now);
        Ok(Json(json!({
            "message": format!("{} client identifiers deleted from the attack list", removed.len()),
            "date": format_date(now),
        }))
        .into_response())
    })
    .await
}

async fn sideband_request(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    check_ase_token(&simulator.settings, &headers)?;
    let correlation_id = correlation_id(&headers)?;
    let request: SidebandRequest = parse_json(&body)?;
    let now = SystemTime::now();
    let mut state = simulator.state();
    if !state.store.lists_any(&request.identifiers(), now) {
        state.traffic.await_response(correlation_id, request);
        return Ok(Json(json!({})).into_response());
    }
    // No response will follow, so the record is whole already.
    let record = TrafficRecord {
        request,
        correlation_id: Some(correlation_id),
        response_code: Some("403".to_owned()),
        time: unix_millis(now),
        verdict: Some("denied abs".to_owned()),
        blocked: true,
        ..TrafficRecord::default()
    };
    let json = serde_json::to_string(&record).map_err(ApiError::internal)?;
    state.take_in(&record, json.into(), now);
    let answer = Json(json!({ "error": "the client is on the attack list" }));
    Ok((StatusCode::FORBIDDEN, answer).into_response())
}

async fn sideband_response(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    check_ase_token(&simulator.settings, &headers)?;
    let correlation_id = correlation_id(&headers)?;
    let response: SidebandResponse = parse_json(&body)?;
    let now = SystemTime::now();
    let mut state = simulator.state();
    let request = state
        .traffic
        .take_waiting(&correlation_id)
        .ok_or(ApiError::UnknownCorrelationId)?;
    let record = TrafficRecord {
        request,
        correlation_id: Some(correlation_id),
        response_code: Some(response.response_code),
        response_status: response.response_status,
        response_headers: response.headers,
        time: unix_millis(now),
        verdict: Some("allowed".to_owned()),
        ..TrafficRecord::default()
    };
    let json = serde_json::to_string(&record).map_err(ApiError::internal)?;
    state.take_in(&record, json.into(), now);
    Ok(Json(json!({})).into_response())
}

async fn traffic_batch(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    authorised_to_write(&simulator, Endpoint::Traffic, &headers)?;
    let text = decoded_batch(&headers, &body)?;
    // The whole batch is read before any of it is kept: a client that sends it again leaves no record twice.
    let mut records = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let record: TrafficRecord =
            serde_json::from_str(line).map_err(|source| ApiError::Line {
                number: index + 1,
                source,
            })?;
        records.push((record, Box::from(line)));
    }
    let accepted = records.len();
    let now = SystemTime::now();
    let mut state = simulator.state();
    state.counters.traffic_bytes += body.len() as u64;
    for (record, json) in records {
        state.take_in(&record, json, now);
    }
    Ok(Json(json!({ "accepted": accepted })).into_response())
}

fn decoded_batch(headers: &HeaderMap, body: &Bytes) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    match text_of(headers, "content-encoding") {
        None | Some("identity") => bytes.extend_from_slice(body),
        Some("gzip") => {
            GzDecoder::new(body.as_ref())
                .take(MAX_BATCH + 1)
                .read_to_end(&mut bytes)
                .map_err(ApiError::Gzip)?;
        }
        Some(found) => {
            return Err(ApiError::Encoding {
                found: found.to_owned(),
            });
        }
    }
    if bytes.len() as u64 > MAX_BATCH {
        return Err(ApiError::TooLarge { limit: MAX_BATCH });
    }
    String::from_utf8(bytes).map_err(|_| ApiError::NotText)
}

async fn log_request(request: Request, next: Next) -> Response {
    let line = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    eprintln!("{line} -> {}", response.status().as_u16());
    response
}

fn correlation_id(headers: &HeaderMap) -> Result<String, ApiError> {
    text_of(headers, "x-correlationid")
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .ok_or(ApiError::NoCorrelationId)
}

// RFC 9110, 12.5.3: `gzip`, unless its weight is zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    list_items(headers, header::ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse().is_ok_and(|q: f32| q > 0.0)
    })
}

// RFC 9110, 13.1.2 compares weakly, so that a `W/` in front does not matter.
fn if_none_match(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list_items(headers, header::IF_NONE_MATCH).map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
}

fn list_items(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn unix_millis(time: SystemTime) -> Option<u64> {
    let millis = time.duration_since(UNIX_EPOCH).ok()?.as_millis();
    u64::try_from(millis).ok()
}
