//! The nodes, those that need attention first. Their texts are what they say of themselves.

use std::time::Duration;

use maud::{Markup, html};

use super::super::super::nodes::{Node, State};
use super::super::text::{age, count, grouped};
use super::super::view::Nodes;
use super::scrollable;

/// The section.
pub fn section(nodes: &Nodes, now: Duration) -> Markup {
    html! {
        section #nodes aria-labelledby="nodes-title" {
            h2 #nodes-title { "Nodes" }
            @if nodes.count == 0 {
                p.empty { "No Envoy has asked for its configuration yet. envoy/fleet.yaml shows how it does." }
            } @else {
                p {
                    (count(nodes.count, "node")) ": " (states(nodes)) "."
                    @if nodes.shown.len() < nodes.count {
                        " The table shows " (nodes.shown.len()) " of them, those that need attention first; "
                        code { "portcullis nodes --server URL" } " lists all."
                    }
                }
                (scrollable("Nodes", table(&nodes.shown, now)))
            }
        }
    }
}

/// The numbers of nodes in the states that there are.
fn states(nodes: &Nodes) -> String {
    let states = [
        (nodes.current, "current"),
        (nodes.updating, "updating"),
        (nodes.behind, "behind"),
        (nodes.silent, "silent"),
        (nodes.unknown, "with lists only"),
    ];
    let states = states.into_iter().filter(|(number, _)| *number > 0);
    let states = states.map(|(number, state)| {
        let number = grouped(u64::try_from(number).unwrap_or(u64::MAX));
        format!("{number} {state}")
    });
    states.collect::<Vec<_>>().join(", ")
}

fn table(nodes: &[Node], now: Duration) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Node" } th scope="col" { "State" } th scope="col" { "Cluster" }
                    th scope="col" { "Envoy" } th scope="col" { "Module" } th scope="col" { "Configuration" }
                    th scope="col" { "Lists" } th scope="col" { "Last seen" }
                }
            }
            tbody {
                @for node in nodes {
                    tr {
                        th.long scope="row" { (node.id) }
                        td { (state(node, now)) }
                        td.long { (or_dash(&node.cluster)) }
                        td { (or_dash(&node.envoy)) }
                        td { (or_dash(&node.module)) }
                        td { (configurations(node)) }
                        td { (lists(node)) }
                        td { (age(now.saturating_sub(node.last_seen))) " ago" }
                    }
                }
            }
        }
    }
}

fn state(node: &Node, now: Duration) -> Markup {
    let (class, text) = match node.state(now) {
        State::Current => ("good", "✓ current"),
        State::Updating => ("plain", "… updating"),
        State::Unknown => ("plain", "– lists only"),
        State::Behind => ("attention", "! behind"),
        State::Silent => ("bad", "✕ silent"),
    };
    let since = node.since(now).map(|since| now.saturating_sub(since));
    html! {
        span.tag.(class) { (text) }
        @if let Some(since) = since { " for " (age(since)) }
    }
}

fn configurations(node: &Node) -> Markup {
    html! {
        @if node.filters.is_empty() { (or_dash("")) }
        @for one in &node.filters {
            div {
                (one.name) ": "
                @if one.accepted == one.served {
                    code { (one.served) }
                } @else if one.accepted.is_empty() {
                    code { (one.served) } " served, none accepted yet"
                } @else {
                    code { (one.served) } " served, " code { (one.accepted) } " accepted"
                }
            }
        }
    }
}

fn lists(node: &Node) -> Markup {
    html! {
        @if node.lists.is_empty() { (or_dash("")) }
        @for list in &node.lists {
            div { (list.feed) ": " (grouped(list.entries)) " entries, generation " (list.generation) }
        }
    }
}

fn or_dash(text: &str) -> Markup {
    html! {
        @if text.is_empty() { span aria-label="not reported" { "–" } } @else { (text) }
    }
}
