//! The page as HTML. Reads the view only; `maud` escapes every value. No inline style and no inline script: the content
//! security policy forbids both.

mod charts;
mod feeds;
mod filters;
mod lists;
mod nodes;
mod requests;

#[cfg(test)]
mod tests;

use std::time::Duration;

use maud::{DOCTYPE, Markup, html};

use super::headline::Level;
use super::text::{machine, moment};
use super::view::{Change, Notice, View};

/// The whole page.
pub fn page(view: &View) -> Markup {
    let title = view.headline.sentence();
    document(
        title,
        html! {
            a.skip href="#main" { "Skip to the content" }
            header {
                p.product { "Portcullis" }
                nav aria-label="Parts of this page" {
                    @for (id, name) in [
                        ("filters", "Filters"), ("feeds", "Feeds"), ("nodes", "Nodes"), ("lists", "Lists"),
                        ("explain", "Explain"), ("denied", "Denied"), ("changes", "Changes"),
                    ] {
                        a href=(format!("#{id}")) { (name) }
                    }
                }
            }
            main id="main" data-refresh="5" {
                (notice(view.notice.as_ref()))
                (headline(view))
                (filters::section(view))
                (feeds::section(view.feeds.as_deref()))
                (nodes::section(&view.nodes, view.now))
                (lists::section(view))
                (requests::section(view))
                (charts::section(&view.denied))
                (changes(&view.changes))
            }
            footer {
                p { "As of " (time(view.now)) ". " span.live-only { "Refreshed every 5 s while it is visible." } }
                @if view.has_session {
                    form method="post" action="/logout" { button type="submit" { "Log out" } }
                }
                @if !view.may_change {
                    p { "You are a reader: changes need the operator token. " a href="/login" { "Log in" } }
                }
            }
        },
    )
}

/// The page that asks for a token.
pub fn login(failed: bool) -> Markup {
    let described = match failed {
        true => "token-error token-hint",
        false => "token-hint",
    };
    document(
        "Log in",
        html! {
            main id="main" {
                h1 { "Log in" }
                form.stacked method="post" action="/login" {
                    label for="token" { "Token" }
                    p.hint id="token-hint" { "The token of an operator or of a reader." }
                    input #token type="password" name="token" required autocomplete="current-password" autofocus
                        aria-describedby=(described)
                        aria-invalid=[failed.then_some("true")];
                    @if failed {
                        p.error #token-error role="alert" { "This is not the token of an operator or a reader." }
                    }
                    button type="submit" { "Log in" }
                }
            }
        },
    )
}

fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                title { (title) " – Portcullis" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/style.css";
                script src="/assets/script.js" defer {}
            }
            body { (body) }
        }
    }
}

/// What the last form did. The element is there without a message too: a change of its text is read out.
fn notice(notice: Option<&Notice>) -> Markup {
    html! {
        @match notice {
            Some(notice) if notice.is_error => div #message.notice.failed role="alert" {
                p { strong { "Not done: " } (notice.text) }
            },
            Some(notice) => div #message.notice role="status" { p { (notice.text) } },
            None => div #message.notice role="status" {},
        }
    }
}

fn headline(view: &View) -> Markup {
    let headline = &view.headline;
    let (class, mark) = level_mark(headline.level);
    html! {
        section #headline.(class) aria-labelledby="headline-title" {
            h1 #headline-title { span.mark aria-hidden="true" { (mark) } " " (headline.sentence()) }
            @if headline.findings.is_empty() && view.nodes.count == 0 {
                p { "Every filter enforces its lists. No node has asked for its configuration yet." }
            } @else if headline.findings.is_empty() {
                p { "Every filter enforces its lists, and no node is behind or silent." }
            } @else {
                ul.findings {
                    @for finding in &headline.findings {
                        @let (class, mark) = level_mark(finding.level);
                        li.(class) {
                            span.mark aria-hidden="true" { (mark) } " "
                            a href=(format!("#{}", finding.section)) { (finding.text) }
                        }
                    }
                }
            }
        }
    }
}

const fn level_mark(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Protected => ("good", "✓"),
        Level::Attention => ("attention", "!"),
        Level::Unprotected => ("bad", "✕"),
    }
}

fn changes(changes: &[Change]) -> Markup {
    html! {
        section #changes aria-labelledby="changes-title" {
            h2 #changes-title { "Last changes" }
            @if changes.is_empty() {
                p.empty { "Nothing changed since the server started." }
            } @else {
                (scrollable("Last changes", html! {
                    table {
                        thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Result" } } }
                        tbody {
                            @for change in changes {
                                tr {
                                    td { (time(change.at)) }
                                    td.long { (change.who) }
                                    td.long { (change.what) }
                                    td { (if change.accepted { "made" } else { "refused" }) }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// A table that scrolls by itself where the screen is narrow, by keyboard too.
fn scrollable(label: &str, table: Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// A time since 1970.
fn time(since_1970: Duration) -> Markup {
    html! { time datetime=(machine(since_1970)) { (moment(since_1970)) } }
}
