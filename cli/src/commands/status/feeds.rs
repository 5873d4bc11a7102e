//! The lines of `status` about the feeds besides ABS's: their entries, how old those are, the last fetch and the next one,
//! and what they blocked.

use portcullis::config::{Config, Feed, Mode};
use portcullis::identifier::IdentifierKind;
use portcullis::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use portcullis::metrics::{FeedMetric, LastResult, Metric};
use serde_json::{Map, Value, json};

use super::next_fetch::{NextFetch, is_overdue};
use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, unix_now};
use crate::commands::feeds::all_feeds;

/// Adds them. Without a running Envoy, only which feeds are enabled.
pub fn show(page: &mut Page, config: &Config, envoy: Option<&RunningEnvoy>) {
    let mut json = Map::new();
    for (feed, is_enabled) in all_feeds(config) {
        if feed.is_abs() {
            continue;
        }
        let value = match envoy {
            _ if !is_enabled => {
                page.text(&title(&feed), "off");
                json!({"enabled": false})
            }
            None => {
                let mode = match feed.mode {
                    Mode::Enforce => "enabled",
                    Mode::Shadow => "enabled, shadow mode",
                };
                page.text(&title(&feed), mode);
                json!({"enabled": true})
            }
            Some(envoy) => show_feed(page, &feed, envoy),
        };
        json.insert(feed.name.to_string(), value);
    }
    if !json.is_empty() {
        page.value("feeds", Value::Object(json));
    }
}

fn title(feed: &Feed) -> String {
    format!("feed {}", feed.name)
}

/// Adds the lines of one feed; returns the same for programs.
fn show_feed(page: &mut Page, feed: &Feed, envoy: &RunningEnvoy) -> Value {
    let metric = |metric| envoy.metric(&Metric::Feed(feed.name.clone(), metric));
    let count = |name| metric(name).unwrap_or(0);
    let since = |time: FeedMetric| {
        let time = metric(time).filter(|time| *time > 0)?;
        Some(unix_now().saturating_sub(time))
    };
    let kinds = IdentifierKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| *feed.kinds.get(*kind));
    let entries = kinds.map(|kind| (kind.as_str(), count(FeedMetric::Entries(kind))));
    let entries: Vec<_> = entries.collect();
    let age = since(FeedMetric::LastSuccess);
    let is_stale = metric(FeedMetric::Stale) == Some(1);
    let skipped = count(FeedMetric::EntriesSkipped);
    page.text(
        &title(feed),
        &match age {
            None => "no list yet".to_owned(),
            Some(age) => {
                let stale = if is_stale { ", stale" } else { "" };
                format!("{}, age {age} s{stale}", words(&entries))
            }
        },
    );
    let last = metric(FeedMetric::LastResult).and_then(LastResult::from_value);
    let result = match last {
        None | Some(LastResult::None) => "none yet",
        Some(LastResult::Ok) => "success",
        Some(LastResult::NotModified) => "not modified",
        Some(LastResult::Failed) => "failure",
    };
    let ago = since(FeedMetric::LastAttempt);
    let next = ago.map(|ago| NextFetch::new(feed.interval, ago, last));
    page.text(
        "  last fetch",
        &ago.map_or(result.to_owned(), |ago| format!("{result}, {ago} s ago")),
    );
    page.text(
        "  next fetch",
        &next
            .as_ref()
            .map_or("now".to_owned(), |next| next.text.clone()),
    );
    let reasons = DenyKind::of(feed.kinds).map(|kind| DenyReason {
        origin: ListOrigin::Feed(feed.name.clone()),
        kind,
    });
    let reasons: Vec<_> = reasons.collect();
    let by_kind = |metric: fn(DenyReason) -> Metric| {
        let counts = reasons.iter().map(|reason| {
            let count = envoy.metric(&metric(reason.clone())).unwrap_or(0);
            (reason.kind.as_str(), count)
        });
        counts.collect::<Vec<_>>()
    };
    let (blocked, counted) = (by_kind(Metric::Denied), by_kind(Metric::WouldDeny));
    page.text("  blocked", &words(&blocked));
    page.text("  only counted (shadow)", &words(&counted));
    if skipped > 0 {
        page.text("  entries skipped", &skipped.to_string());
    }
    let warning = if is_stale {
        Some(format!(
            "the list {} is stale: no fetch has succeeded within its max_age",
            feed.name
        ))
    } else if last == Some(LastResult::Failed) {
        let name = &feed.name;
        Some(format!(
            "the last fetch of the list {name} failed; see Envoy's log, or try `portcullis feeds read {name}`"
        ))
    } else {
        let overdue = ago.filter(|ago| is_overdue(feed, *ago));
        overdue.map(|ago| {
            format!(
                "the last fetch of the list {} ended {ago} s ago, and one is due every {} s; is Envoy overloaded?",
                feed.name,
                feed.interval.as_secs()
            )
        })
    };
    page.warnings.extend(warning);
    json!({
        "enabled": true,
        "shadow": feed.mode == Mode::Shadow,
        "entries": object(&entries),
        "entries_skipped": skipped,
        "used_bytes": count(FeedMetric::Bytes),
        "age_seconds": age,
        "stale": is_stale,
        "last_fetch": result,
        "last_fetch_seconds_ago": ago,
        "next_fetch_in_seconds": next.map_or(0, |next| next.seconds),
        "blocked": object(&blocked),
        "only_counted": object(&counted),
    })
}

fn words(counts: &[(&str, u64)]) -> String {
    let words = counts.iter().map(|(name, count)| format!("{name} {count}"));
    words.collect::<Vec<_>>().join(", ")
}

fn object(counts: &[(&str, u64)]) -> Map<String, Value> {
    let values = counts.iter();
    values
        .map(|(name, count)| ((*name).to_owned(), json!(count)))
        .collect()
}
