//! ABS's attack list API: reading the list, deleting entries.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{blocking, parse_json};
use crate::access::{authorised, authorised_to_write};
use crate::attack_list::AttackList;
use crate::date::{format_date, parse_date};
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::state::Simulator;
use crate::store::{BulkDeletion, Status, View, Window};

/// Bodies up to this size are not compressed.
const MIN_GZIP_BODY: usize = 1024;

/// The one endpoint.
pub(super) fn router() -> Router<Arc<Simulator>> {
    let methods = get(get_list).put(remove_named).delete(remove_kinds);
    Router::new().route("/v4/abs/attacklist", methods)
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

    // The dates are minutes, so the window contains the whole last minute.
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
        // To the end of the minute.
        let latest = latest.checked_add(Duration::new(59, 999_999_999));
        Ok(Window {
            earliest,
            latest: latest.ok_or(ApiError::WindowReversed)?,
        })
    }
}

async fn get_list(
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
        view_response(&simulator, &view, &headers)
    })
    .await
}

fn view_response(
    simulator: &Simulator,
    view: &View,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let compressed = view.body.len() > MIN_GZIP_BODY && accepts_gzip(headers);
    let plain_etag = format!("\"{}\"", view.digest);
    // A strong entity tag identifies bytes, and the compressed bytes are different.
    let gzip_etag = format!("\"{}-gzip\"", view.digest);
    let is_known =
        if_none_match(headers).any(|tag| tag == "*" || tag == plain_etag || tag == gzip_etag);
    let etag = if compressed { gzip_etag } else { plain_etag };
    let tags = [
        (header::ETAG, etag),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    if is_known {
        let counters = &mut simulator.state().counters;
        counters.attacklist_not_modified = counters.attacklist_not_modified.saturating_add(1);
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

async fn remove_named(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    authorised_to_write(&simulator, Endpoint::Attacklist, &headers)?;
    let named: AttackList<String> = parse_json(&body)?;
    blocking(move || {
        let now = SystemTime::now();
        let mut state = simulator.state();
        let removed = state.store.remove(named.into_identifiers(), now);
        Ok(Json(json!({
            "message": deletion_message(removed.len()),
            "date": format_date(now),
            "attacklist": AttackList::from_identifiers(&removed),
        })))
    })
    .await
}

async fn remove_kinds(
    State(simulator): State<Arc<Simulator>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    authorised_to_write(&simulator, Endpoint::Attacklist, &headers)?;
    let deletion: BulkDeletion = parse_json(&body)?;
    blocking(move || {
        let now = SystemTime::now();
        let removed = simulator.state().store.remove_kinds(deletion, now);
        Ok(Json(json!({
            "message": deletion_message(removed.len()),
            "date": format_date(now),
        })))
    })
    .await
}

fn deletion_message(n_removed: usize) -> String {
    format!("{n_removed} client identifiers deleted from the attack list")
}

// RFC 9110, 12.5.3: `gzip`, unless its weight is zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    list_items(headers, header::ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse().is_ok_and(|q: f32| q > 0.0)
    })
}

// RFC 9110, 13.1.2 compares weakly, so a leading `W/` is ignored.
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
