//! The manual lists of a filter.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis::identifier::IdentifierKind;
use serde::Deserialize;
use serde_json::json;

use super::edit::{self, Request};
use super::http::{self, blocking, if_match, read_json};
use crate::commands::manual_lists::{List, rows};
use crate::entry::{Entry, kind_name};
use crate::serve::Server;
use crate::serve::access::Caller;
use crate::serve::filters::read_file;
use crate::serve::problem::Problem;

/// The query of an edit.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    dry_run: bool,
    /// Delete every entry.
    all: bool,
}

/// One entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryBody {
    #[serde(rename = "type", alias = "kind")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    value: String,
}

/// Handles `GET /v1/filters/{name}/lists/{list}`.
pub async fn read(
    State(server): State<Arc<Server>>,
    Path((name, list)): Path<(String, String)>,
) -> Result<Response, Problem> {
    blocking(move || {
        let list = find(&list)?;
        let filter = edit::find(&server, &name)?;
        let (text, etag) = edit::text_of(&filter)?;
        let configuration = read_file(&name, &filter.file, text)?.configuration;
        let entries = list.entries(&configuration);
        let body = json!({"list": list.key(), "entries": rows(&entries, false)});
        Ok(http::json_with_etag(&body, &etag))
    })
    .await
}

/// Handles `POST /v1/filters/{name}/lists/{list}`.
pub async fn add(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Path((name, list)): Path<(String, String)>,
    query: Result<Query<edit::Options>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let options = http::query(query)?;
    let body = http::body(body)?;
    let list = find(&list)?;
    let entry = read_json::<EntryBody>(&headers, &body)?.entry()?;
    let request = Request {
        name,
        if_match: if_match(&headers),
        dry_run: options.dry_run,
        caller,
    };
    blocking(move || {
        let done = edit::apply(&server, &request, |configuration| {
            list.add(configuration, &entry, false)
        })?;
        Ok(done.response())
    })
    .await
}

/// Handles `DELETE /v1/filters/{name}/lists/{list}`: one entry, or with `?all=true` every entry.
pub async fn delete(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Path((name, list)): Path<(String, String)>,
    query: Result<Query<Options>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let options = http::query(query)?;
    let body = http::body(body)?;
    let list = find(&list)?;
    let entry = match options.all {
        true if !body.is_empty() => {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "?all=true deletes every entry, and the body names one; omit one of the two",
            ));
        }
        true => None,
        false => Some(read_json::<EntryBody>(&headers, &body)?.entry()?),
    };
    let request = Request {
        name,
        if_match: if_match(&headers),
        dry_run: options.dry_run,
        caller,
    };
    blocking(move || {
        let done = edit::apply(&server, &request, |configuration| match &entry {
            Some(entry) => list.delete(configuration, entry, false),
            None => Ok(list.clear(configuration)),
        })?;
        Ok(done.response())
    })
    .await
}

fn find(key: &str) -> Result<List, Problem> {
    List::with_key(key).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "there is no such list; there are allow_list and deny_list",
        )
    })
}

impl EntryBody {
    fn entry(self) -> Result<Entry, Problem> {
        let kinds = IdentifierKind::WITH_LIST_KEY;
        let kind = kinds
            .into_iter()
            .find(|kind| self.kind == kind_name(*kind) || self.kind == kind.as_str());
        let Some(kind) = kind else {
            let names = kinds.map(kind_name).join(", ");
            return Err(invalid("type", format!("allowed are {names}")));
        };
        let words: Vec<String> = self.name.into_iter().chain([self.value]).collect();
        Entry::from_words(kind, &words).map_err(|failure| invalid("value", failure.message))
    }
}

fn invalid(path: &str, message: String) -> Problem {
    Problem {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        json: json!({
            "error": format!("{path}: {message}"),
            "errors": [{"path": path, "message": message}],
        }),
    }
}
