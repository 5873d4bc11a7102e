//! A request that changes a filter, read: what is to change, under which conditions, and who wants it. Changes nothing.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts as _, Path, Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::edit;
use super::http::{self, if_match, read_json};
use crate::serve::Server;
use crate::serve::access::Caller;
use crate::serve::problem::Problem;

/// A request that changes a filter; `O` is its query.
#[derive(Debug)]
pub struct Change<O = edit::Options> {
    /// The server.
    pub server: Arc<Server>,
    /// The names in the path.
    pub path: Names,
    /// The query.
    pub options: O,
    /// The body.
    pub body: Bytes,
    headers: HeaderMap,
    caller: Caller,
}

/// The names in the path.
#[derive(Debug, Deserialize)]
pub struct Names {
    /// The filter.
    pub name: String,
    /// The manual list, if the path has one.
    #[serde(default)]
    pub list: String,
}

impl<O: DeserializeOwned + Send> FromRequest<Arc<Server>> for Change<O> {
    type Rejection = Problem;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let path = Path::from_request_parts(&mut parts, server).await;
        let Path(path) =
            path.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        let options = http::query(Query::from_request_parts(&mut parts, server).await)?;
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, "the server failed on this request; see its log")
        })?;
        let headers = parts.headers.clone();
        let request = Request::from_parts(parts, body);
        let body = http::body(Bytes::from_request(request, server).await)?;
        Ok(Self {
            server: server.clone(),
            path,
            options,
            body,
            headers,
            caller,
        })
    }
}

impl<O> Change<O> {
    /// The body, in JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        read_json(&self.headers, &self.body)
    }

    /// The edit that it asks for.
    pub fn edit(self, dry_run: bool) -> edit::Request {
        edit::Request {
            name: self.path.name,
            if_match: if_match(&self.headers),
            dry_run,
            caller: self.caller,
        }
    }
}

/// Edits a filter on a thread where it stops no other request.
pub async fn apply(
    server: Arc<Server>,
    request: edit::Request,
    edit: impl FnOnce(&Server, &edit::Request) -> Result<edit::Done, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    http::blocking(move || Ok(edit(&server, &request)?.response())).await
}
