//! The switches of a filter.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::change::{self, Change};
use super::edit::{self, Request};
use super::filters::flags;
use super::http::{self, blocking};
use crate::commands::switches::Switch;
use crate::serve::Server;
use crate::serve::filters::read_file;
use crate::serve::problem::Problem;

/// Handles `GET /v1/filters/{name}/flags`.
pub async fn read(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    blocking(move || {
        let filter = edit::find(&server, &name)?;
        let (text, etag) = edit::text_of(&filter)?;
        let configuration = read_file(&name, &filter.file, text)?.configuration;
        Ok(http::json_with_etag(&flags(&configuration), &etag))
    })
    .await
}

/// Handles `PATCH /v1/filters/{name}/flags`.
pub async fn change(change: Change) -> Result<Response, Problem> {
    let wanted = wanted(&change.json()?)?;
    let (server, dry_run) = (change.server.clone(), change.options.dry_run);
    let edit = move |server: &Server, request: &Request| set(server, request, &wanted);
    change::apply(server, change.edit(dry_run), edit).await
}

/// Sets switches.
pub fn set(
    server: &Server,
    request: &Request,
    wanted: &[(Switch, bool)],
) -> Result<edit::Done, Problem> {
    edit::apply(server, request, |configuration| {
        let messages = wanted
            .iter()
            .map(|(switch, enabled)| switch.set(configuration, *enabled));
        Ok(messages.collect::<Vec<_>>().join("; "))
    })
}

/// Reads the switches of a body; reports every error.
fn wanted(body: &Map<String, Value>) -> Result<Vec<(Switch, bool)>, Problem> {
    let mut wanted = Vec::new();
    let mut errors = Vec::new();
    for (key, value) in body {
        let switch = Switch::ALL.into_iter().find(|switch| switch.key() == key);
        match (switch, value) {
            (Some(switch), Value::Bool(enabled)) => wanted.push((switch, *enabled)),
            (Some(_), _) => {
                errors.push(json!({"path": key, "message": "allowed are true and false"}));
            }
            (None, _) => {
                let keys = Switch::ALL.map(Switch::key).join(", ");
                let message = format!("there is no such flag; there are {keys}");
                errors.push(json!({"path": key, "message": message}));
            }
        }
    }
    let problem = |error: &str| Problem {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        json: json!({"error": error, "errors": errors}),
    };
    match (errors.is_empty(), wanted.is_empty()) {
        (false, _) => Err(problem("the flags are not valid")),
        (true, true) => Err(problem(
            "no flag is named; send such as {\"enable_firewall\": false}",
        )),
        (true, false) => Ok(wanted),
    }
}
