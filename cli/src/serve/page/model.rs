//! Fills the view from the server: the only file that knows both. Judges nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portcullis::config::Mode;
use portcullis::identifier::IdentifierKind;
use serde_json::{Map, Value};

use super::super::Server;
use super::super::access::{Caller, Role};
use super::super::filters::{self, Filter};
use super::super::nodes::State;
use super::super::relay::FeedStatus;
use super::headline::judge;
use super::view::{self, View};
use crate::clients::feed::unix_now;
use crate::config_file::{manual_list, validate};
use crate::entry::kind_name;

/// The most entries of a manual list that are shown.
const MOST_ENTRIES: usize = 200;

/// The most nodes that are shown.
const MOST_NODES: usize = 100;

/// The most changes that are shown.
const MOST_CHANGES: usize = 20;

/// The most errors of a file that are shown.
const MOST_PROBLEMS: usize = 50;

/// What is shown of each served configuration, by the filter's name: it changes less often than it is shown.
#[derive(Debug, Default)]
pub struct Summaries(Mutex<BTreeMap<String, view::Served>>);

/// The page as `caller` may see it.
pub fn view(server: &Server, caller: &Caller) -> View {
    let filters = server.filters.list();
    let filters: Vec<_> = filters.iter().map(|one| of_filter(server, one)).collect();
    let feeds = feeds(server);
    let now = unix_now();
    let nodes = nodes(server, now);
    let (series, minutes) = server.page.history.read();
    let minutes = minutes.into_iter();
    let changes = server.changes.list().into_iter().take(MOST_CHANGES);
    View {
        now,
        may_change: caller.role == Role::Operator,
        has_session: caller.has_session,
        notice: None,
        headline: judge(&filters, feeds.as_deref(), &nodes),
        filters,
        feeds,
        nodes,
        denied: view::Denied {
            series,
            minutes: minutes
                .map(|(start, counts)| view::Minute { start, counts })
                .collect(),
        },
        changes: changes
            .map(|change| view::Change {
                at: change.at,
                who: by_file(&change.who).unwrap_or(change.who),
                what: change.what,
                accepted: change.accepted,
            })
            .collect(),
        entry_form: None,
        explain: view::ExplainForm::default(),
    }
}

/// A change of a file by others: its path is shorter as a name.
fn by_file(who: &str) -> Option<String> {
    let name = Path::new(who).file_name()?.to_str()?;
    Path::new(who)
        .is_absolute()
        .then(|| format!("the file {name}"))
}

fn of_filter(server: &Server, filter: &Filter) -> view::Filter {
    view::Filter {
        name: filter.name.clone(),
        file: filter.file.display().to_string(),
        problems: filter.problem.as_ref().map_or_else(Vec::new, problems),
        served: filter
            .served
            .as_ref()
            .map(|served| server.page.summaries.of(&filter.name, served)),
    }
}

/// Every error of a file.
fn problems(problem: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let errors = problem.get("errors").and_then(Value::as_array);
    let errors = errors.into_iter().flatten().take(MOST_PROBLEMS);
    let errors: Vec<_> = errors
        .map(|error| format!("{}: {}", text(error, "path"), text(error, "message")))
        .collect();
    match errors.is_empty() {
        true => vec![text(problem, "error")],
        false => errors,
    }
}

impl Summaries {
    fn of(&self, name: &str, served: &Arc<filters::Served>) -> view::Served {
        let etag = served.etag();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(name) {
            Some(known) if known.etag == etag => known.clone(),
            _ => {
                let new = summary(served, etag);
                known.insert(name.to_owned(), new.clone());
                new
            }
        }
    }
}

fn summary(served: &filters::Served, etag: String) -> view::Served {
    let mut summary = view::Served {
        version: served.version.clone(),
        etag,
        allow: list(&served.configuration, "allow_list"),
        deny: list(&served.configuration, "deny_list"),
        ..view::Served::default()
    };
    // Only valid configurations are served.
    if let Ok(config) = validate(&served.raw) {
        summary.firewall = config.enable_firewall;
        summary.abs = config.enable_abs;
        summary.abs_attack = config.enable_abs_attack;
        for api in config.apis.iter().filter(|api| api.mode == Mode::Shadow) {
            summary.shadow.push(format!("API {}", api.api_id));
        }
        for feed in config.all_feeds() {
            if feed.mode == Mode::Shadow {
                summary.shadow.push(format!("feed {}", feed.name));
            }
        }
        summary.feeds = config
            .feeds
            .iter()
            .map(|feed| feed.name.to_string())
            .collect();
    }
    summary
}

fn list(configuration: &Map<String, Value>, key: &str) -> view::List {
    let list = configuration.get(key).and_then(Value::as_object);
    let entries = list.map_or_else(Vec::new, manual_list::entries);
    let shown = entries.iter().enumerate().take(MOST_ENTRIES);
    view::List {
        count: entries.len(),
        entries: shown
            .map(|(index, entry)| view::Entry {
                index,
                kind: kind_name(entry.kind),
                name: entry.name.clone(),
                value: entry.shown_value(false),
            })
            .collect(),
    }
}

/// The feeds that the server relays.
fn feeds(server: &Server) -> Option<Vec<view::Feed>> {
    let now = unix_now();
    let until = |seconds: u64| Duration::from_secs(seconds).saturating_sub(now);
    let of_status = |status: FeedStatus| {
        let kinds = IdentifierKind::ALL.into_iter();
        let entries = kinds.map(|kind| (kind_name(kind).to_owned(), *status.entries.get(kind)));
        let last_result = match (status.last_result, status.last_error.as_str()) {
            (None, _) => "no fetch has ended yet".to_owned(),
            (Some(result), "") => result.replace('_', " "),
            (Some(_), error) => error.to_owned(),
        };
        view::Feed {
            entries: entries.filter(|(_, count)| *count > 0).collect(),
            age: status.age(now),
            is_stale: status.is_stale(now),
            last_result,
            is_failing: status.failures > 0,
            next_fetch: status.next_fetch.map(until),
            problem: status.state_problem,
            name: status.name,
        }
    };
    let relay = &server.relay;
    let feeds = relay.status().into_iter().map(of_status);
    relay.is_on().then(|| feeds.collect())
}

fn nodes(server: &Server, now: Duration) -> view::Nodes {
    let summary = server.nodes.summary(now);
    view::Nodes {
        count: summary.iter().map(|(_, count)| count).sum(),
        current: summary.of(State::Current),
        updating: summary.of(State::Updating),
        behind: summary.of(State::Behind),
        silent: summary.of(State::Silent),
        unknown: summary.of(State::Unknown),
        shown: server.nodes.first_by(now, MOST_NODES, rank),
    }
}

/// Nodes that need attention come first.
const fn rank(state: State) -> u8 {
    match state {
        State::Behind => 0,
        State::Silent => 1,
        State::Updating => 2,
        State::Unknown => 3,
        State::Current => 4,
    }
}
