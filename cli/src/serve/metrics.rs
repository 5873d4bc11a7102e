//! `GET /metrics`: the state of the server and of its nodes for Prometheus. Every label has a value that the server's own
//! files or its code name, never one that a node sends.
//!
//! Source: Prometheus's text-based exposition format, version 0.0.4.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use portcullis::identifier::IdentifierKind;

use super::Server;
use super::filters::Filter;
use super::nodes::Nodes;
use super::relay::FeedStatus;
use crate::clients::feed::unix_now;

#[cfg(test)]
mod tests;

/// Requests for configuration, by result.
#[derive(Debug, Default)]
pub struct DiscoveryRequests {
    ok: AtomicU64,
    not_modified: AtomicU64,
    error: AtomicU64,
}

impl DiscoveryRequests {
    fn count(&self, status: StatusCode) {
        let counter = match status {
            StatusCode::OK => &self.ok,
            StatusCode::NOT_MODIFIED => &self.not_modified,
            _ => &self.error,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts a request for configuration by the status of its response.
pub async fn count_discovery(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    server.discovery_requests.count(response.status());
    response
}

/// Handles `GET /metrics`.
pub async fn metrics(State(server): State<Arc<Server>>) -> Response {
    let mut text = Text::default();
    write_filters(&mut text, &server.filters.list());
    write_discovery(&mut text, &server.discovery_requests);
    write_nodes(&mut text, &server.nodes);
    write_relay(&mut text, &server.relay.status(), unix_now().as_secs());
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text.0).into_response()
}

fn write_filters(text: &mut Text, filters: &[Filter]) {
    text.family(
        "portcullis_fleet_filter_info",
        "gauge",
        "The version of each filter that is served; always 1.",
    );
    for filter in filters {
        if let Some(served) = &filter.served {
            text.sample(&[("filter", &filter.name), ("version", &served.version)], 1);
        }
    }
    text.family(
        "portcullis_fleet_filter_invalid",
        "gauge",
        "1 while the file of a filter is refused or does not exist: the last valid content is served.",
    );
    for filter in filters {
        let invalid = u64::from(filter.problem.is_some());
        text.sample(&[("filter", &filter.name)], invalid);
    }
    text.family(
        "portcullis_fleet_filter_last_change_unix_seconds",
        "gauge",
        "When the server read the version that it serves.",
    );
    for filter in filters {
        if let Some(served) = &filter.served {
            text.sample(&[("filter", &filter.name)], served.since.as_secs());
        }
    }
}

fn write_discovery(text: &mut Text, requests: &DiscoveryRequests) {
    text.family(
        "portcullis_fleet_discovery_requests_total",
        "counter",
        "Requests for configuration, by result.",
    );
    for (result, count) in [
        ("ok", &requests.ok),
        ("not_modified", &requests.not_modified),
        ("error", &requests.error),
    ] {
        text.sample(&[("result", result)], count.load(Ordering::Relaxed));
    }
}

fn write_nodes(text: &mut Text, nodes: &Nodes) {
    text.family(
        "portcullis_fleet_nodes",
        "gauge",
        "Nodes by state of their configuration; unknown: requests lists only.",
    );
    for (state, count) in nodes.summary(unix_now()).iter() {
        text.sample(&[("state", state.as_str())], count as u64);
    }
    let totals = nodes.totals();
    for (name, help, counts) in [
        (
            "portcullis_fleet_denied_total",
            "Denied requests that nodes reported, by feed and kind.",
            &totals.denied,
        ),
        (
            "portcullis_fleet_would_deny_total",
            "Requests that nodes would deny, by feed and kind.",
            &totals.would_deny,
        ),
    ] {
        text.family(name, "counter", help);
        for total in counts {
            text.sample(&[("feed", &total.feed), ("kind", &total.kind)], total.count);
        }
    }
    text.family(
        "portcullis_fleet_allow_listed_total",
        "counter",
        "Requests of clients on the allow list that nodes reported.",
    );
    text.sample(&[], totals.allow_listed);
    let events = nodes.events();
    text.family(
        "portcullis_fleet_node_reports_total",
        "counter",
        "Headers of nodes about themselves, by result.",
    );
    text.sample(&[("result", "ok")], events.reports);
    text.sample(&[("result", "invalid")], events.invalid_reports);
    text.sample(&[("result", "implausible")], events.implausible_reports);
    text.family(
        "portcullis_fleet_nodes_evicted_total",
        "counter",
        "Nodes that were replaced by others or not recorded, because there were too many.",
    );
    text.sample(&[], events.evicted);
}

fn write_relay(text: &mut Text, feeds: &[FeedStatus], now: u64) {
    text.family(
        "portcullis_fleet_relay_fetches_total",
        "counter",
        "Fetches of the relay, by feed and result.",
    );
    for feed in feeds {
        for (result, count) in &feed.fetches {
            text.sample(&[("feed", &feed.name), ("result", result)], *count);
        }
    }
    text.family(
        "portcullis_fleet_relay_list_age_seconds",
        "gauge",
        "The time since the last fetch that gave a list or confirmed it; none before the first.",
    );
    for feed in feeds {
        if let Some(last) = feed.last_success {
            text.sample(&[("feed", &feed.name)], now.saturating_sub(last));
        }
    }
    text.family(
        "portcullis_fleet_relay_entries",
        "gauge",
        "Entries of the list that is served, by feed and kind.",
    );
    for feed in feeds {
        for kind in IdentifierKind::ALL {
            let labels = [("feed", feed.name.as_str()), ("kind", kind.as_str())];
            text.sample(&labels, *feed.entries.get(kind));
        }
    }
}

/// The text of a response.
#[derive(Debug, Default)]
struct Text(String, &'static str);

impl Text {
    /// Begins a metric.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.1 = name;
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Adds a sample of the metric.
    fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(self.1);
        let mut separator = '{';
        for (name, value) in labels {
            let _ = write!(self.0, "{separator}{name}=\"{}\"", escaped(value));
            separator = ',';
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// The value of a label.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}
