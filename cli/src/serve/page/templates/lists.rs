//! The manual lists, and the form that edits them.

use maud::{Markup, html};

use super::super::text::{count, id_of};
use super::super::view::{Entry, EntryForm, Filter, List, Served, View};
use super::scrollable;

/// The kinds of entries: the value in a form, and the words for people.
pub const KINDS: [(&str, &str); 5] = [
    ("ip", "Address or range"),
    ("cookie", "Cookie"),
    ("token", "OAuth token"),
    ("api_key", "API key"),
    ("username", "User name"),
];

/// The section.
pub fn section(view: &View) -> Markup {
    let keep = view.entry_form.is_some();
    html! {
        section #lists aria-labelledby="lists-title" data-keep=[keep.then_some("")] {
            h2 #lists-title { "Manual lists" }
            p.hint { "A client on the allow list always passes. One on the deny list is blocked. Secrets are shortened." }
            @for filter in &view.filters {
                @if let Some(served) = &filter.served {
                    (of_filter(view, filter, served))
                }
            }
        }
    }
}

fn of_filter(view: &View, filter: &Filter, served: &Served) -> Markup {
    let id = id_of(&filter.name);
    let is_locked = !view.may_change || !filter.problems.is_empty();
    html! {
        article.card #{ "lists-" (id) } aria-labelledby={ "lists-" (id) "-title" } {
            h3 #{ "lists-" (id) "-title" } { (filter.name) }
            div.columns {
                (list(filter, served, "deny_list", "Deny list", &served.deny, is_locked))
                (list(filter, served, "allow_list", "Allow list", &served.allow, is_locked))
            }
            @if !is_locked {
                @let sent = view.entry_form.as_ref().filter(|form| form.filter == filter.name);
                (form(filter, &id, sent.unwrap_or(&EntryForm::default())))
            }
        }
    }
}

fn list(
    filter: &Filter,
    served: &Served,
    key: &str,
    title: &str,
    list: &List,
    is_locked: bool,
) -> Markup {
    let label = format!("{title} of {}", filter.name);
    html! {
        div {
            h4 { (title) ": " (count(list.count, "entry")) }
            @if list.entries.is_empty() {
                p.empty { "No entries." }
            } @else {
                (scrollable(&label, html! {
                    table {
                        thead { tr {
                            th scope="col" { "Kind" } th scope="col" { "Name" } th scope="col" { "Value" }
                            @if !is_locked { th scope="col" { "Remove" } }
                        } }
                        tbody {
                            @for entry in &list.entries {
                                tr {
                                    td { (entry.kind) }
                                    td.long { (entry.name.as_deref().unwrap_or("–")) }
                                    td.long { (entry.value) }
                                    @if !is_locked { td { (remove(filter, served, key, title, entry)) } }
                                }
                            }
                        }
                    }
                }))
                @if list.entries.len() < list.count {
                    p.hint { "The first " (list.entries.len()) " of " (list.count) " entries. The form below removes the others." }
                }
            }
        }
    }
}

/// The entry is named by its place and the file's entity tag, so that no secret is in the page.
fn remove(filter: &Filter, served: &Served, key: &str, title: &str, entry: &Entry) -> Markup {
    html! {
        form method="post" action="/page/remove" {
            input type="hidden" name="filter" value=(filter.name);
            input type="hidden" name="list" value=(key);
            input type="hidden" name="index" value=(entry.index);
            input type="hidden" name="etag" value=(served.etag);
            button type="submit" aria-label=(format!("Remove {} {} from the {}", entry.kind, entry.value, title.to_lowercase())) { "Remove" }
        }
    }
}

fn form(filter: &Filter, id: &str, sent: &EntryForm) -> Markup {
    let field = |name: &str| format!("entry-{id}-{name}");
    let described = |name: &str, is_wrong: bool| match is_wrong {
        true => format!("entry-{id}-{name}-error entry-{id}-{name}-hint"),
        false => format!("entry-{id}-{name}-hint"),
    };
    let has_errors = sent.name_error.is_some() || sent.value_error.is_some();
    html! {
        form.entry method="post" action="/page/entry" novalidate data-dirty=[has_errors.then_some("")] {
            h4 { "Add or remove an entry" }
            input type="hidden" name="filter" value=(filter.name);
            div.fields {
                div {
                    label for=(field("list")) { "List" }
                    select #(field("list")) name="list" {
                        option value="deny_list" selected[sent.list != "allow_list"] { "Deny list" }
                        option value="allow_list" selected[sent.list == "allow_list"] { "Allow list" }
                    }
                }
                div {
                    label for=(field("kind")) { "Kind" }
                    select #(field("kind")) name="kind" {
                        @for (kind, words) in KINDS {
                            option value=(kind) selected[sent.kind == kind] { (words) }
                        }
                    }
                }
                div {
                    label for=(field("name")) { "Name" }
                    input #(field("name")) name="name" value=(sent.name) maxlength="1000" autocomplete="off"
                        aria-describedby=(described("name", sent.name_error.is_some()))
                        aria-invalid=[sent.name_error.as_ref().map(|_| "true")];
                    @if let Some(error) = &sent.name_error { p.error #{ (field("name")) "-error" } { (error) } }
                    p.hint #{ (field("name")) "-hint" } { "Of a cookie; optional for an API key." }
                }
                div {
                    label for=(field("value")) { "Value" }
                    input #(field("value")) name="value" value=(sent.value) required maxlength="10000" autocomplete="off"
                        autocapitalize="off" spellcheck="false"
                        aria-describedby=(described("value", sent.value_error.is_some()))
                        aria-invalid=[sent.value_error.as_ref().map(|_| "true")];
                    @if let Some(error) = &sent.value_error { p.error #{ (field("value")) "-error" } { (error) } }
                    p.hint #{ (field("value")) "-hint" } { "Such as 192.0.2.1 or 198.51.100.0/24." }
                }
            }
            div.buttons {
                button type="submit" name="action" value="add" { "Add entry" }
                button.plain type="submit" name="action" value="remove" { "Remove entry" }
            }
        }
    }
}
