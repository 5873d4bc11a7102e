//! The page at `/`: rendered by the server, usable without JavaScript. Each form is a POST, followed by a redirect back.
//!
//! | module | owns |
//! |---|---|
//! | `model` | the view, filled from the server |
//! | `view` | what is shown, as plain data |
//! | `headline` | is the fleet protected, and what is wrong |
//! | `templates` | the view as HTML |
//! | `actions` | what the forms change |
//! | `explain` | the form that explains a request |
//! | `text` | numbers, times and identifiers as text |
//!
//! This file has the handlers. Who may call them is decided by `access`.

mod actions;
mod explain;
mod headline;
mod model;
mod templates;
mod text;
mod view;

use std::sync::Arc;

use axum::extract::{Extension, Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::Markup;
use serde::Deserialize;

use self::actions::{Changed, EntryRequest, RemoveForm, SwitchForm};
use self::explain::ExplainRequest;
use self::view::{Notice, View};
use super::Server;
use super::access::Caller;
use super::history::History;
use super::management::explain::AT_ONCE;
use super::nodes::Nodes;
use super::problem::Problem;
use crate::clients::feed::unix_now;

/// The largest form.
pub const LARGEST_FORM: usize = 64 * 1024;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// What the page keeps between requests.
#[derive(Debug, Default)]
pub struct Page {
    /// The denied requests of the last hour.
    pub history: History,
    summaries: model::Summaries,
}

impl Page {
    /// Records the denied requests of all nodes.
    pub fn sample(&self, nodes: &Nodes) {
        let observed = nodes.observed().into_iter();
        let sums = observed.map(|total| (format!("{} {}", total.feed, total.kind), total.count));
        self.history.sample(unix_now(), sums.collect());
    }
}

/// What the last form did: a code, so that no link can put words into the page.
#[derive(Debug, Default, Deserialize)]
pub struct Done {
    done: Option<String>,
    filter: Option<String>,
}

/// Handles `GET /`.
pub async fn show(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Query(done): Query<Done>,
) -> Response {
    blocking(move || {
        let mut view = model::view(&server, &caller);
        view.notice = notice(&view, &done);
        html(StatusCode::OK, &templates::page(&view))
    })
    .await
}

/// Handles `POST /page/switch`.
pub async fn switch(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<SwitchForm>,
) -> Response {
    blocking(move || {
        let (name, id) = (form.switch.name(), text::id_of(&form.filter));
        let anchor = format!("switch-{id}-{name}");
        let code = format!("{name}-{}", if form.on { "on" } else { "off" });
        match actions::switch(&server, &caller, &form) {
            Ok(_) => back(&code, &form.filter, &anchor),
            Err(problem) => refused(&server, &caller, &problem),
        }
    })
    .await
}

/// Handles `POST /page/remove`.
pub async fn remove(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<RemoveForm>,
) -> Response {
    blocking(move || {
        let anchor = format!("lists-{}", text::id_of(&form.filter));
        match actions::remove(&server, &caller, &form) {
            Ok(_) => back("removed", &form.filter, &anchor),
            Err(problem) => refused(&server, &caller, &problem),
        }
    })
    .await
}

/// Handles `POST /page/entry`.
pub async fn entry(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<EntryRequest>,
) -> Response {
    blocking(move || {
        let id = text::id_of(&form.filter);
        let done = actions::entry_of(&form).and_then(|entry| {
            let done = actions::entry(&server, &caller, &form, &entry);
            done.map_err(|problem| Box::new(actions::refused(&form, &problem)))
        });
        let code = match (&done, form.action) {
            (Ok(Changed::No), _) => "unchanged",
            (_, actions::Action::Add) => "added",
            (_, actions::Action::Remove) => "removed",
        };
        match done {
            Ok(_) => back(code, &form.filter, &format!("entry-{id}-value")),
            Err(wrong) => {
                let mut view = model::view(&server, &caller);
                view.notice = failed("The entry was not changed: see the error at its field.");
                view.entry_form = Some(*wrong);
                html(StatusCode::UNPROCESSABLE_ENTITY, &templates::page(&view))
            }
        }
    })
    .await
}

/// Handles `POST /page/explain`.
pub async fn explain(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<ExplainRequest>,
) -> Response {
    let turn = AT_ONCE.acquire().await;
    blocking(move || {
        let _turn = turn;
        let mut view = model::view(&server, &caller);
        view.explain = explain::explain(&server, &form);
        let status = match view.explain.has_errors() {
            true => StatusCode::UNPROCESSABLE_ENTITY,
            false => StatusCode::OK,
        };
        html(status, &templates::page(&view))
    })
    .await
}

/// Handles `GET` of a form's address: a reload, or a bookmark.
pub async fn to_page() -> Response {
    Redirect::to("/").into_response()
}

/// Handles `GET /login`.
pub async fn login() -> Response {
    html(StatusCode::OK, &templates::login(false))
}

/// The page after a token that is not valid.
pub fn login_failed() -> Response {
    html(StatusCode::UNAUTHORIZED, &templates::login(true))
}

/// Handles `GET /assets/style.css`.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// Handles `GET /assets/script.js`.
pub async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// Runs a handler that reads and writes files.
async fn blocking(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        let message = "the server failed at this request; see its log";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
    })
}

fn back(code: &str, filter: &str, anchor: &str) -> Response {
    let filter = text::id_of(filter);
    Redirect::to(&format!("/?done={code}&filter={filter}#{anchor}")).into_response()
}

/// The page with an error of a form.
fn refused(server: &Server, caller: &Caller, problem: &Problem) -> Response {
    let mut view = model::view(server, caller);
    view.notice = failed(&actions::message(problem));
    html(problem.status, &templates::page(&view))
}

fn failed(text: &str) -> Option<Notice> {
    Some(Notice {
        text: text.to_owned(),
        is_error: true,
    })
}

fn notice(view: &View, done: &Done) -> Option<Notice> {
    let filter = done.filter.as_deref()?;
    let mut filters = view.filters.iter();
    let filter = filters.find(|known| text::id_of(&known.name) == filter)?;
    let text = match done.done.as_deref()? {
        "firewall-on" => "the firewall is on.",
        "firewall-off" => "the firewall is off: nobody is blocked.",
        "abs-on" => "ABS is on.",
        "abs-off" => "ABS is off.",
        "abs_attack-on" => "ABS attack is on.",
        "abs_attack-off" => "ABS attack is off: clients on ABS's list are not blocked.",
        "added" => "the entry was added.",
        "removed" => "the entry was removed.",
        "unchanged" => "the list has this entry already.",
        _ => return None,
    };
    Some(Notice {
        text: format!("{}: {text}", filter.name),
        is_error: false,
    })
}

fn html(status: StatusCode, markup: &Markup) -> Response {
    (status, Html(markup.0.clone())).into_response()
}

/// A file that can change with the next version of the server.
fn asset(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}
