//! What a filter does with a request, and why: the filter's own verdict, over the relayed lists. Shows no secret to anyone.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portcullis::config::Feed;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::http::{self, blocking, read_json};
use crate::commands::explain::{Explained, GivenList, Question};
use crate::config_file::validate;
use crate::error::Failure;
use crate::output::Report;
use crate::serve::Server;
use crate::serve::problem::Problem;

/// Questions that wait for the one before take no thread.
pub static AT_ONCE: Semaphore = Semaphore::const_new(1);

/// A question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainBody {
    /// The filter; the only one by default.
    #[serde(default)]
    pub filter: Option<String>,
    /// The client's address.
    #[serde(default)]
    pub ip: Option<String>,
    /// Headers, `NAME: VALUE`.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Absolute, or a path.
    #[serde(default = "root")]
    pub url: String,
}

fn root() -> String {
    "/".to_owned()
}

/// Handles `POST /v1/explain`.
pub async fn explain(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = http::body(body)?;
    let question: ExplainBody = read_json(&headers, &body)?;
    let turn = AT_ONCE.acquire().await;
    blocking(move || {
        // Held until the question is judged, also if its client has left: the next one would wait on a thread.
        let _turn = turn;
        let (name, report) = judge(&server, &question)?;
        let mut body = report.json;
        if let Value::Object(object) = &mut body {
            object.insert("filter".to_owned(), json!(name));
            object.insert("text".to_owned(), json!(report.text));
            object.insert("notes".to_owned(), json!(report.notes));
        }
        Ok(http::json(&body))
    })
    .await
}

/// The name of the filter, and what it does with the request.
///
/// # Errors
///
/// There is no such filter, its file was never valid, or a part of the question can't be read.
pub fn judge(server: &Server, question: &ExplainBody) -> Result<(String, Report), Problem> {
    // Lists can be large: one question after the other.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = match &question.filter {
        Some(name) => name.clone(),
        None => only_filter(server)?,
    };
    let asked = Question {
        ip: question.ip.as_deref().filter(|ip| !ip.is_empty()),
        headers: &question.headers,
        url: &question.url,
        prefix: "",
    };
    // The nodes have the last valid configuration, whatever the file contains.
    let served = server.filters.served(&name);
    let served = served.map_err(|message| Problem::new(StatusCode::NOT_FOUND, message))?;
    let config = validate(&served.raw)
        .map_err(|errors| Failure::invalid_configuration(&name, None, &errors))?;
    let mut lists = Vec::new();
    for feed in config.all_feeds() {
        if let Some(body) = relayed_list(server, &feed)? {
            lists.push(GivenList {
                feed: feed.name.to_string(),
                origin: format!("the relayed list of {}", feed.name),
                body,
            });
        }
    }
    let report = Explained {
        file: &name,
        raw: &served.raw,
        config: &config,
        lists: &lists,
        list_options: false,
        show_secrets: false,
    }
    .explain(asked.read()?)?;
    Ok((name, report))
}

/// The list that the nodes get for a feed; none if this server does not relay it.
fn relayed_list(server: &Server, feed: &Feed) -> Result<Option<Vec<u8>>, Problem> {
    let name = feed.path.strip_prefix("/v1/feeds/").unwrap_or(&feed.name);
    server.relay.body(name).map_err(|error| {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the list of {name} can't be read: {error}"),
        )
    })
}

fn only_filter(server: &Server) -> Result<String, Problem> {
    let filters = server.filters.list();
    match filters.as_slice() {
        [one] => Ok(one.name.clone()),
        several => {
            let names: Vec<_> = several.iter().map(|one| one.name.as_str()).collect();
            Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!(
                    "name the filter with \"filter\"; there are: {}",
                    names.join(", ")
                ),
            ))
        }
    }
}
