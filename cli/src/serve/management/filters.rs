//! The texts of the filter files: listed, read, replaced.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use super::change::Change;
use super::edit::{Request, find, record_refusal, text_of};
use super::http::{self, blocking};
use crate::commands::switches::Switch;
use crate::config_file::bounded;
use crate::config_file::diff::{Difference, differences};
use crate::config_file::mask::masked;
use crate::serve::Server;
use crate::serve::access::{Caller, Role};
use crate::serve::filters::{Filter, etag_of, read_file};
use crate::serve::problem::Problem;

/// Handles `GET /v1/filters`.
pub async fn list(State(server): State<Arc<Server>>) -> Response {
    http::json(&summaries(&server))
}

/// Every filter for programs.
pub fn summaries(server: &Server) -> Value {
    server.filters.list().iter().map(summary).collect()
}

fn summary(filter: &Filter) -> Value {
    let file = filter.file.file_name().unwrap_or_default();
    let served = filter.served.as_ref();
    let flags = served.map(|served| flags(&served.configuration));
    json!({
        "name": filter.name,
        "file": file.to_string_lossy(),
        "valid": filter.problem.is_none(),
        "problem": filter.problem,
        "version": served.map(|served| &served.version),
        "etag": served.map(|served| served.etag()),
        "served_since_unix_seconds": served.map(|served| served.since.as_secs()),
        "flags": flags,
    })
}

/// The switches of a configuration, by their keys.
pub fn flags(configuration: &Map<String, Value>) -> Value {
    let flags = Switch::ALL.into_iter();
    let flags = flags.map(|switch| (switch.key().to_owned(), json!(switch.is_on(configuration))));
    Value::Object(flags.collect())
}

/// Handles `GET /v1/filters/{name}`: the text for an operator, the configuration without secrets for a reader.
pub async fn read(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    blocking(move || {
        let filter = find(&server, &name)?;
        let (text, etag) = text_of(&filter)?;
        let is_json = filter.file.extension().is_some_and(|name| name == "json");
        let (content_type, body) = match caller.role {
            Role::Operator if is_json => ("application/json", text),
            Role::Operator => ("application/yaml", text),
            // The rest of the file can hold secrets too, such as the environment of the VM.
            Role::Reader | Role::Node => {
                let configuration = masked(&read_file(&name, &filter.file, text)?.configuration);
                let body = format!("{:#}\n", Value::Object(configuration));
                ("application/json", body)
            }
        };
        let headers = [
            (header::CONTENT_TYPE, content_type.to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (header::ETAG, etag),
        ];
        Ok((headers, body).into_response())
    })
    .await
}

/// Handles `PUT /v1/filters/{name}`.
pub async fn replace(change: Change) -> Result<Response, Problem> {
    let text = bounded::text(change.body.to_vec())
        .map_err(|reason| Problem::new(StatusCode::BAD_REQUEST, format!("the body: {reason}")))?;
    let (server, dry_run) = (change.server.clone(), change.options.dry_run);
    let request = change.edit(dry_run);
    let condition = request.if_match.clone().ok_or_else(|| {
        Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "the header If-Match is missing; send the ETag of the text that was read (GET), or * to replace any text",
        )
    })?;
    blocking(move || {
        let replaced = replace_text(&server, &request, &condition, &text);
        replaced
            .inspect_err(|problem| record_refusal(&server, &request.name, &request.caller, problem))
    })
    .await
}

fn replace_text(
    server: &Server,
    request: &Request,
    condition: &str,
    text: &str,
) -> Result<Response, Problem> {
    let Request {
        name,
        dry_run,
        caller,
        ..
    } = request;
    let dry_run = *dry_run;
    let filter = find(server, name)?;
    let new = read_file(name, &filter.file, text.to_owned())?;
    let (old, etag) = text_of(&filter)?;
    let is_same = old == text;
    let old = read_file(name, &filter.file, old);
    let changes = match &old {
        Ok(old) => differences(&old.configuration, &new.configuration, false),
        // A file that was not valid has nothing to compare with.
        Err(_) => Vec::new(),
    };
    let mut version = new.version;
    if dry_run || is_same {
        if condition != "*" && condition != etag {
            return Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                format!("the file of the filter \"{name}\" has another entity tag; read it again"),
            ));
        }
    } else {
        let who = &caller.name;
        let served = server
            .filters
            .replace(name, condition, text, who, &server.changes)?;
        version = served.version.clone();
    }
    let message = match (is_same, dry_run) {
        (true, _) => "the file has this text already",
        (false, true) => "the file would be replaced (dry run, nothing was written)",
        (false, false) => "the file was replaced",
    };
    let body = json!({
        "filter": name,
        "message": message,
        "changed": !is_same && !dry_run,
        "dry_run": dry_run,
        "changes": changes.iter().map(Difference::to_json).collect::<Vec<_>>(),
        "version": version,
    });
    Ok(http::json_with_etag(&body, &etag_of(text)))
}
