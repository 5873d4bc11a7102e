//! `nodes`: what a server knows of its nodes, those with a problem first.
//!
//! Renders the response of `GET /v1/nodes`.

use std::cmp::Reverse;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::args::{Common, NodeState, NodesArgs};
use crate::clients::feed::unix_now;
use crate::clients::fleet::Fleet;
use crate::error::{Failure, Result};
use crate::output::{Report, table};

impl NodeState {
    /// The state with this name in the response.
    fn named(name: &str) -> Self {
        let known = Self::value_variants().iter();
        let mut known = known.filter(|state| state.as_str() == name);
        known.next().copied().unwrap_or(Self::Unknown)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Unknown => "unknown",
            Self::Updating => "updating",
            Self::Silent => "silent",
            Self::Behind => "behind",
        }
    }
}

/// Runs the command.
pub fn run(common: &Common, args: &NodesArgs) -> Result<Report> {
    let fleet = Fleet::of(&common.remote)?.ok_or_else(|| {
        Failure::usage("--server URL is missing: the server of a fleet knows the nodes")
    })?;
    Ok(report(&fleet.get("/v1/nodes")?, args.state, unix_now()))
}

/// Renders the response of `GET /v1/nodes`: all nodes, or those in one state.
pub fn report(response: &Value, only: Option<NodeState>, now: Duration) -> Report {
    let all = array(response, "nodes");
    let state = |node: &Value| NodeState::named(text(node, "state"));
    let mut nodes: Vec<&Value> = all.iter().collect();
    nodes.retain(|node| only.is_none_or(|only| state(node) == only));
    nodes.sort_by_key(|node| (Reverse(state(node)), text(node, "id")));
    let mut rows = vec![
        [
            "STATE", "SINCE", "NODE", "CLUSTER", "ENVOY", "MODULE", "VERSION", "LISTS", "SEEN",
        ]
        .map(str::to_owned),
    ];
    rows.extend(nodes.iter().map(|node| row(node, now)));
    let counts = NodeState::value_variants().iter().rev().filter_map(|one| {
        let count = all.iter().filter(|node| state(node) == *one).count();
        (count > 0).then(|| format!("{count} {}", one.as_str()))
    });
    let counts: Vec<String> = counts.collect();
    let text = match (all.len(), nodes.is_empty()) {
        (0, _) => "no node has sent a request to this server yet".to_owned(),
        (total, true) => format!("none of {total} nodes: {}", counts.join(", ")),
        (total, false) => format!("{}\n{total} nodes: {}", table(&rows), counts.join(", ")),
    };
    Report::new(text, json!({ "nodes": nodes }))
}

fn row(node: &Value, now: Duration) -> [String; 9] {
    let time = |key: &str| match node.get(key).and_then(Value::as_u64) {
        None => "-".to_owned(),
        Some(seconds) => ago(now.as_secs().saturating_sub(seconds)),
    };
    let filters = array(node, "filters").iter().map(version);
    let lists = array(node, "lists").iter().map(|list| {
        let entries = list.get("entries").and_then(Value::as_u64);
        format!("{} {}", text(list, "feed"), entries.unwrap_or_default())
    });
    [
        text(node, "state").to_owned(),
        time("since_unix_seconds"),
        text(node, "id").to_owned(),
        shown(text(node, "cluster")),
        shown(text(node, "envoy")),
        shown(text(node, "module")),
        shown(&filters.collect::<Vec<_>>().join(", ")),
        shown(&lists.collect::<Vec<_>>().join(", ")),
        time("last_seen_unix_seconds"),
    ]
}

/// What a node has of a filter, and what it should have if that differs.
fn version(filter: &Value) -> String {
    let (name, accepted, served) = (
        text(filter, "filter"),
        text(filter, "accepted"),
        text(filter, "served"),
    );
    match accepted == served {
        true => format!("{name} {accepted}"),
        false if accepted.is_empty() => format!("{name} none, served {served}"),
        false => format!("{name} {accepted}, served {served}"),
    }
}

/// A time in the past, in the largest unit of which it has two.
fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s ago"),
        120..7_200 => format!("{}m ago", seconds / 60),
        7_200..172_800 => format!("{}h ago", seconds / 3_600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

fn shown(text: &str) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => text.to_owned(),
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn array<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> Value {
        json!({"nodes": [
            {
                "id": "a", "cluster": "edge", "envoy": "1.40.0", "module": "0.2.0", "state": "current",
                "since_unix_seconds": null, "last_seen_unix_seconds": 1_000,
                "filters": [{"filter": "portcullis", "accepted": "v2", "served": "v2"}],
                "lists": [
                    {"feed": "abs", "generation": 7, "entries": 1200},
                    {"feed": "drop", "generation": 1, "entries": 0},
                ],
            },
            {
                "id": "c", "cluster": "", "envoy": "1.38.2", "module": "", "state": "behind",
                "since_unix_seconds": 400, "last_seen_unix_seconds": 997,
                "filters": [{"filter": "portcullis", "accepted": "v1", "served": "v2"}],
                "lists": [],
            },
            {
                "id": "b", "state": "behind", "since_unix_seconds": 400, "last_seen_unix_seconds": 997,
                "filters": [{"filter": "portcullis", "accepted": "", "served": "v2"}],
            },
            {"id": "d", "state": "silent", "since_unix_seconds": 0, "last_seen_unix_seconds": 0},
            // Of a later server.
            {"id": "e", "state": "draining"},
        ]})
    }

    const NOW: Duration = Duration::from_secs(1_000);

    #[test]
    fn problems_are_first() {
        let report = report(&response(), None, NOW);
        assert_eq!(
            report.text,
            "\
STATE     SINCE    NODE  CLUSTER  ENVOY   MODULE  VERSION                     LISTS             SEEN
behind    10m ago  b     -        -       -       portcullis none, served v2  -                 3s ago
behind    10m ago  c     -        1.38.2  -       portcullis v1, served v2    -                 3s ago
silent    16m ago  d     -        -       -       -                           -                 16m ago
draining  -        e     -        -       -       -                           -                 -
current   -        a     edge     1.40.0  0.2.0   portcullis v2               abs 1200, drop 0  0s ago
5 nodes: 2 behind, 1 silent, 1 unknown, 1 current"
        );
        let ids = report.json["nodes"].as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|node| text(node, "id")).collect();
        assert_eq!(ids, ["b", "c", "d", "e", "a"]);
        assert_eq!(report.exit_code, 0);
    }

    #[test]
    fn one_state_is_selected() {
        let silent = report(&response(), Some(NodeState::Silent), NOW);
        assert_eq!(silent.text.lines().count(), 3, "{}", silent.text);
        assert!(
            silent
                .text
                .ends_with("5 nodes: 2 behind, 1 silent, 1 unknown, 1 current")
        );
        assert_eq!(silent.json["nodes"].as_array().unwrap().len(), 1);
        let updating = report(&response(), Some(NodeState::Updating), NOW);
        let expected = "none of 5 nodes: 2 behind, 1 silent, 1 unknown, 1 current";
        assert_eq!(updating.text, expected);
        assert_eq!(updating.exit_code, 0);
    }

    #[test]
    fn a_server_without_nodes_has_no_table() {
        for response in [json!({"nodes": []}), json!({}), json!(null)] {
            let report = report(&response, None, NOW);
            assert_eq!(report.text, "no node has sent a request to this server yet");
            assert_eq!(report.json, json!({"nodes": []}));
        }
    }
}
