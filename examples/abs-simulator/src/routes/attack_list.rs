//! ABS's attack list API: reading the list, deleting entries.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::conditional::{Validators, conditional};
use super::{blocking, parse_json};
use crate::access::{authorised, authorised_to_write};
use crate::attack_list::AttackList;
use crate::date::{format_date, parse_date};
use crate::error::ApiError;
use crate::faults::Endpoint;
use crate::state::{Simulator, increment};
use crate::store::{BulkDeletion, Status, Window};
use crate::view::View;

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
    let response = conditional(view, Validators::etag(), "application/json", headers)?;
    if response.status() == StatusCode::NOT_MODIFIED {
        increment(&mut simulator.state().counters.attacklist_not_modified);
    }
    Ok(response)
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
