//! One edit of a filter's file: the steps of a command, with the conditions of HTTP and an audit line.

use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::http;
use crate::config_file::atomic_file;
use crate::config_file::edit::{Edited, edit_text};
use crate::config_file::place::Place;
use crate::config_file::select::Selection;
use crate::error::Result;
use crate::serve::Server;
use crate::serve::access::Caller;
use crate::serve::filters::{Filter, MISSING_FILE, etag_of};
use crate::serve::problem::Problem;

/// How often an edit without `If-Match` is repeated if another one comes between.
const MOST_TRIES: u32 = 5;

/// Held during an edit.
static ONE: Mutex<()> = Mutex::new(());

/// The query of every edit.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Change nothing.
    pub dry_run: bool,
}

/// What is edited, under which conditions, and by whom.
#[derive(Debug)]
pub struct Request {
    /// The filter.
    pub name: String,
    /// The entity tag that the file must have.
    pub if_match: Option<String>,
    /// Change nothing.
    pub dry_run: bool,
    /// For the audit line.
    pub caller: Caller,
}

/// What an edit did.
#[derive(Debug)]
pub struct Done {
    body: Value,
    etag: String,
}

impl Done {
    /// The response.
    pub fn response(&self) -> Response {
        http::json_with_etag(&self.body, &self.etag)
    }

    /// Whether the file was changed.
    pub fn is_changed(&self) -> bool {
        self.body.get("changed") == Some(&Value::Bool(true))
    }
}

/// The filter with this name.
pub fn find(server: &Server, name: &str) -> std::result::Result<Filter, Problem> {
    let found = server.filters.get(name);
    found.map_err(|message| Problem::new(StatusCode::NOT_FOUND, message))
}

/// The text of a filter's file, and its entity tag.
pub fn text_of(filter: &Filter) -> std::result::Result<(String, String), Problem> {
    let text = atomic_file::read(&filter.file, MISSING_FILE)?;
    let etag = etag_of(&text);
    Ok((text, etag))
}

/// Edits a filter's file. `edit` is repeated if another change comes between.
///
/// # Errors
///
/// There is no such filter, its file has another entity tag, or the filter would refuse the configuration.
pub fn apply(
    server: &Server,
    request: &Request,
    edit: impl Fn(&mut Map<String, Value>) -> Result<String>,
) -> std::result::Result<Done, Problem> {
    let Request { name, caller, .. } = request;
    let condition = request.if_match.as_deref().filter(|etag| *etag != "*");
    let filter = find(server, name)?;
    let place = Place::File(filter.file.clone());
    let mut conflict = None;
    // One edit after the other: only those of other programs come between.
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..MOST_TRIES {
        let (text, etag) = text_of(&filter)?;
        if condition.is_some_and(|condition| condition != etag) {
            return Err(changed_meanwhile(name));
        }
        let edited = edit_text(&place, Selection::default(), text, false, &edit);
        let edited = edited.map_err(Problem::from).inspect_err(|problem| {
            record_refusal(server, name, caller, problem);
        })?;
        let text = match &edited.text {
            Some(text) if !request.dry_run => text,
            _ => return Ok(done(server, name, &edited, request.dry_run, etag)),
        };
        let who = &caller.name;
        match server
            .filters
            .replace(name, &etag, text, who, &server.changes)
        {
            Ok(served) => return Ok(done(server, name, &edited, false, served.etag())),
            Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {
                conflict = Some(problem);
            }
            Err(problem) => {
                record_refusal(server, name, caller, &problem);
                return Err(problem);
            }
        }
        if condition.is_some() {
            break;
        }
    }
    Err(conflict.unwrap_or_else(|| changed_meanwhile(name)))
}

/// Records a change that was refused: only where it was wrong, since the values can be secret.
pub fn record_refusal(server: &Server, name: &str, caller: &Caller, problem: &Problem) {
    let errors = problem.json.get("errors").and_then(Value::as_array);
    let paths = errors.into_iter().flatten();
    let paths: Vec<_> = paths
        .filter_map(|error| error.get("path")?.as_str())
        .collect();
    let what = match paths.is_empty() {
        true => format!("{name}: a change was refused with {}", problem.status),
        false => format!("{name}: a change was refused: {}", paths.join(", ")),
    };
    server.changes.record(&caller.name, &what, false);
}

fn done(server: &Server, name: &str, edited: &Edited, dry_run: bool, etag: String) -> Done {
    let report = edited.report(dry_run).json;
    let mut body = Map::new();
    body.insert("filter".to_owned(), json!(name));
    for key in ["message", "changed", "dry_run", "changes"] {
        body.insert(key.to_owned(), report.get(key).cloned().unwrap_or_default());
    }
    let served = server.filters.served(name);
    let version = served.map(|served| served.version.clone()).ok();
    body.insert("version".to_owned(), json!(version));
    Done {
        body: Value::Object(body),
        etag,
    }
}

fn changed_meanwhile(name: &str) -> Problem {
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        format!(
            "the file of the filter \"{name}\" was changed meanwhile; read it again and repeat the change"
        ),
    )
}
