//! "Is this client blocked, and why": the form and its result.

use maud::{Markup, html};

use super::super::view::{Explained, View};

/// The section.
pub fn section(view: &View) -> Markup {
    let form = &view.explain;
    let keep = form.result.is_some() || form.has_errors();
    let url = match form.url.is_empty() {
        true => "/",
        false => &form.url,
    };
    html! {
        section #explain aria-labelledby="explain-title" data-keep=[keep.then_some("")] {
            h2 #explain-title { "Is this client blocked, and why?" }
            @if let Some(result) = &form.result { (explained(result)) }
            @if let Some(error) = &form.error { p.error role="alert" { (error) } }
            form.stacked method="post" action="/page/explain#explain" novalidate {
                div.fields {
                    div {
                        label for="explain-filter" { "Filter" }
                        select #explain-filter name="filter" {
                            @for filter in view.filters.iter().filter(|filter| filter.served.is_some()) {
                                option value=(filter.name) selected[filter.name == form.filter] { (filter.name) }
                            }
                        }
                    }
                    (field("address", "Client address", &form.address, "Such as 192.0.2.1; may be empty.", form.address_error.as_deref()))
                    (field("url", "URL", url, "Absolute, or a path.", form.url_error.as_deref()))
                }
                div {
                    label for="explain-headers" { "Request headers" }
                    textarea #explain-headers name="headers" rows="4" autocomplete="off" spellcheck="false"
                        aria-describedby=(described("headers", form.headers_error.is_some()))
                        aria-invalid=[form.headers_error.as_ref().map(|_| "true")] {}
                    @if let Some(error) = &form.headers_error { p.error #explain-headers-error { (error) } }
                    p.hint #explain-headers-hint {
                        "One per line, such as " code { "Authorization: Bearer TOKEN" } ". They are not stored or shown again."
                    }
                }
                button type="submit" { "Explain" }
            }
        }
    }
}

fn field(name: &str, label: &str, value: &str, hint: &str, error: Option<&str>) -> Markup {
    html! {
        div {
            label for={ "explain-" (name) } { (label) }
            input #{ "explain-" (name) } name=(name) value=(value) maxlength="8000" autocomplete="off" spellcheck="false"
                aria-describedby=(described(name, error.is_some())) aria-invalid=[error.map(|_| "true")];
            @if let Some(error) = error { p.error #{ "explain-" (name) "-error" } { (error) } }
            p.hint #{ "explain-" (name) "-hint" } { (hint) }
        }
    }
}

fn described(name: &str, is_wrong: bool) -> String {
    match is_wrong {
        true => format!("explain-{name}-error explain-{name}-hint"),
        false => format!("explain-{name}-hint"),
    }
}

fn explained(result: &Explained) -> Markup {
    let class = match result.is_blocked {
        true => "bad",
        false => "good",
    };
    html! {
        div.result #explain-result role="status" {
            p.verdict { span.tag.(class) { (result.verdict) } " " (result.reason) }
            p.detail { "API " (result.api) }
            @if result.identifiers.is_empty() {
                p { "The request carries no identifier of a client." }
            } @else {
                table {
                    thead { tr { th scope="col" { "Identifier" } th scope="col" { "On the lists" } } }
                    tbody {
                        @for (identifier, lists) in &result.identifiers {
                            tr { th.long scope="row" { (identifier) } td.long { (lists) } }
                        }
                    }
                }
            }
            @for note in &result.notes { p.hint { (note) } }
        }
    }
}
