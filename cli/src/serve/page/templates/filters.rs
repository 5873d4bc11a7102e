//! The filters: their switches, their shadow mode, and the errors of their files.

use maud::{Markup, html};

use super::super::text::id_of;
use super::super::view::{Filter, Served, View};

/// The section.
pub fn section(view: &View) -> Markup {
    html! {
        section #filters aria-labelledby="filters-title" {
            h2 #filters-title { "Filters" }
            @if view.filters.is_empty() {
                p.empty { "There is no filter. Put a file NAME.json or NAME.yaml into the directory of " code { "--filters" } "." }
            }
            div.cards {
                @for filter in &view.filters {
                    (card(filter, view.may_change))
                }
            }
        }
    }
}

fn card(filter: &Filter, may_change: bool) -> Markup {
    let id = id_of(&filter.name);
    html! {
        article.card #{ "filter-" (id) } aria-labelledby={ "filter-" (id) "-title" } {
            h3 #{ "filter-" (id) "-title" } { (filter.name) }
            @if !filter.problems.is_empty() {
                div.problem {
                    p { strong { "Not valid: " } code { (filter.file) } }
                    ul { @for problem in &filter.problems { li { (problem) } } }
                }
            }
            @match &filter.served {
                None => p { "Nothing is served for this filter: it has never had a valid file." },
                Some(served) => {
                    (switches(filter, served, &id, may_change))
                    @if !served.shadow.is_empty() {
                        p { strong { "Shadow mode" } " (counted, not blocked): " (served.shadow.join(", ")) }
                    }
                    p.detail { "Served version " code { (served.version) } }
                }
            }
        }
    }
}

fn switches(filter: &Filter, served: &Served, id: &str, may_change: bool) -> Markup {
    // A change would have to overwrite what somebody is writing.
    let is_locked = !may_change || !filter.problems.is_empty();
    let switches = [
        ("firewall", "Firewall", served.firewall, "All blocking"),
        ("abs", "ABS", served.abs, "Traffic information to ABS"),
        (
            "abs_attack",
            "ABS attack",
            served.abs_attack,
            "Blocking on ABS's list",
        ),
    ];
    html! {
        ul.switches {
            @for (key, label, is_on, meaning) in switches {
                @let control = format!("switch-{id}-{key}");
                li {
                    form method="post" action="/page/switch" {
                        input type="hidden" name="filter" value=(filter.name);
                        input type="hidden" name="switch" value=(key);
                        input type="hidden" name="on" value=(if is_on { "false" } else { "true" });
                        div {
                            span.label #{ (control) "-label" } { (label) }
                            span.hint #{ (control) "-hint" } { (meaning) }
                        }
                        button.switch #(control) type="submit" role="switch" aria-checked=(if is_on { "true" } else { "false" })
                            aria-labelledby={ (control) "-label" } aria-describedby={ (control) "-hint" } disabled[is_locked] {
                            span.track aria-hidden="true" { span.thumb {} }
                            span.state { (if is_on { "On" } else { "Off" }) }
                        }
                    }
                }
            }
        }
    }
}
