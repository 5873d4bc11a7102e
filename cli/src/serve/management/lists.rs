//! The manual lists of a filter.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use portcullis::identifier::IdentifierKind;
use serde::Deserialize;
use serde_json::json;

use super::change::{self, Change};
use super::edit::{self, Request};
use super::http::{self, blocking};
use crate::commands::manual_lists::{List, rows};
use crate::entry::{Entry, kind_name};
use crate::serve::Server;
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
pub async fn add(change: Change) -> Result<Response, Problem> {
    let list = find(&change.path.list)?;
    let entry = change.json::<EntryBody>()?.entry()?;
    let (server, dry_run) = (change.server.clone(), change.options.dry_run);
    let edit = move |server: &Server, request: &Request| {
        edit::apply(server, request, |configuration| {
            list.add(configuration, &entry, false)
        })
    };
    change::apply(server, change.edit(dry_run), edit).await
}

/// Handles `DELETE /v1/filters/{name}/lists/{list}`: one entry, or with `?all=true` every entry.
pub async fn delete(change: Change<Options>) -> Result<Response, Problem> {
    let list = find(&change.path.list)?;
    let entry = match change.options.all {
        true if !change.body.is_empty() => {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "?all=true deletes every entry, and the body names one; omit one of the two",
            ));
        }
        true => None,
        false => Some(change.json::<EntryBody>()?.entry()?),
    };
    let (server, dry_run) = (change.server.clone(), change.options.dry_run);
    let edit = move |server: &Server, request: &Request| {
        edit::apply(server, request, |configuration| match &entry {
            Some(entry) => list.delete(configuration, entry, false),
            None => Ok(list.clear(configuration)),
        })
    };
    change::apply(server, change.edit(dry_run), edit).await
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
