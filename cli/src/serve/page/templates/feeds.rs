//! The relayed feeds.

use maud::{Markup, html};

use super::super::text::{age, grouped};
use super::super::view::Feed;
use super::scrollable;

/// The section.
pub fn section(feeds: Option<&[Feed]>) -> Markup {
    html! {
        section #feeds aria-labelledby="feeds-title" {
            h2 #feeds-title { "Feeds" }
            @match feeds {
                None => p.empty { "This server relays no lists: each node fetches its own. " code { "--relay FILE" } " changes that." },
                Some([]) => p.empty { "The relay file has no enabled feed." },
                Some(feeds) => (scrollable("Feeds", table(feeds))),
            }
        }
    }
}

fn table(feeds: &[Feed]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Feed" } th scope="col" { "State" } th scope="col" { "Entries" }
                    th scope="col" { "Age" } th scope="col" { "Last result" } th scope="col" { "Next fetch" }
                }
            }
            tbody {
                @for feed in feeds {
                    tr {
                        th scope="row" { (feed.name) }
                        td { (state(feed)) }
                        td {
                            @if feed.entries.is_empty() { "0" }
                            @for (index, (kind, number)) in feed.entries.iter().enumerate() {
                                @if index > 0 { ", " }
                                (grouped(*number)) " " (kind)
                            }
                        }
                        td { (feed.age.map_or_else(|| "no list".to_owned(), age)) }
                        td.long { (feed.last_result) }
                        td { (feed.next_fetch.map_or_else(|| "not planned".to_owned(), |next| format!("in {}", age(next)))) }
                    }
                }
            }
        }
    }
}

fn state(feed: &Feed) -> Markup {
    let (class, text) = match (feed.age, feed.is_stale, feed.is_failing) {
        (None, ..) => ("bad", "✕ no list"),
        (Some(_), true, _) => ("bad", "✕ stale"),
        (Some(_), false, true) => ("attention", "! failing"),
        (Some(_), false, false) => ("good", "✓ fresh"),
    };
    html! { span.tag.(class) { (text) } }
}
