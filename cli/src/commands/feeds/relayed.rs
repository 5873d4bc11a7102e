//! The lists that the server of a fleet relays, as its API reports them. Sends nothing.

use std::time::Duration;

use serde_json::Value;

use crate::output::table;

/// A table of the feeds of `GET /v1/feeds`.
pub fn rows(feeds: &[Value], now: Duration) -> String {
    let mut rows =
        vec![["RELAYED", "ENTRIES", "CONFIRMED", "LAST RESULT", "UPSTREAM"].map(str::to_owned)];
    rows.extend(feeds.iter().map(|feed| {
        let text = |key| {
            let text = feed.get(key).and_then(Value::as_str);
            text.unwrap_or("-").to_owned()
        };
        [
            text("name"),
            entries(feed),
            ago(feed, "last_success", now),
            text("last_result"),
            text("upstream"),
        ]
    }));
    table(&rows)
}

/// The numbers of entries of a relayed feed.
pub fn entries(feed: &Value) -> String {
    let kinds = feed.get("entries").and_then(Value::as_object);
    let kinds = kinds.into_iter().flatten();
    let kinds: Vec<_> = kinds
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    match (kinds.is_empty(), feed.get("etag")) {
        (false, _) => kinds.join(", "),
        (true, None | Some(Value::Null)) => "no list yet".to_owned(),
        (true, Some(_)) => "none".to_owned(),
    }
}

/// How long ago the time of `key` is.
pub fn ago(feed: &Value, key: &str, now: Duration) -> String {
    let time = feed.get(key).and_then(Value::as_u64);
    time.map_or("never".to_owned(), |time| {
        format!("{} s ago", now.as_secs().saturating_sub(time))
    })
}
