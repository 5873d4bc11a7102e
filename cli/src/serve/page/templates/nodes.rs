//! The nodes, those that need attention first. Their texts are what they say of themselves.

use maud::{Markup, html};

use super::super::text::{age, count, grouped};
use super::super::view::{Node, NodeState, Nodes};
use super::scrollable;

/// The section.
pub fn section(nodes: &Nodes) -> Markup {
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
                (scrollable("Nodes", table(&nodes.shown)))
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

fn table(nodes: &[Node]) -> Markup {
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
                        td { (state(node)) }
                        td.long { (or_dash(&node.cluster)) }
                        td { (or_dash(&node.envoy)) }
                        td { (or_dash(&node.module)) }
                        td { (configurations(node)) }
                        td { (lists(node)) }
                        td { (age(node.last_seen)) " ago" }
                    }
                }
            }
        }
    }
}

fn state(node: &Node) -> Markup {
    let (class, text) = match node.state {
        NodeState::Current => ("good", "✓ current"),
        NodeState::Updating => ("plain", "… updating"),
        NodeState::Unknown => ("plain", "– lists only"),
        NodeState::Behind => ("attention", "! behind"),
        NodeState::Silent => ("bad", "✕ silent"),
    };
    let since = node.since.filter(|_| node.state != NodeState::Current);
    html! {
        span.tag.(class) { (text) }
        @if let Some(since) = since { " for " (age(since)) }
    }
}

fn configurations(node: &Node) -> Markup {
    html! {
        @if node.configurations.is_empty() { (or_dash("")) }
        @for one in &node.configurations {
            div {
                (one.filter) ": "
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
        @for (feed, generation, entries) in &node.lists {
            div { (feed) ": " (grouped(*entries)) " entries, generation " (generation) }
        }
    }
}

fn or_dash(text: &str) -> Markup {
    html! {
        @if text.is_empty() { span aria-label="not reported" { "–" } } @else { (text) }
    }
}
