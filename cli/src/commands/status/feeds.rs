//! The lines of `status` about the feeds besides ABS's: their entries, how old those are, the last fetch and the next one,
//! and what they blocked.

use portcullis::config::{Config, Feed, Mode};
use portcullis::identifier::IdentifierKind;
use portcullis::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use portcullis::metrics::{FeedMetric, Metric};
use serde_json::{Map, Value, json};

use super::fetches::Fetches;
use super::next_fetch::NextFetch;
use super::page::Page;
use crate::clients::envoy_admin::RunningEnvoy;
use crate::commands::feeds::all_feeds;

/// Adds them. `envoy`: the running one, and for how many seconds it has run the configuration. Without it, only which feeds are
/// enabled.
pub fn show(page: &mut Page, config: &Config, envoy: Option<(&RunningEnvoy, Option<u64>)>) {
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
            Some((envoy, runs_for)) => show_feed(page, &feed, envoy, runs_for),
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
fn show_feed(page: &mut Page, feed: &Feed, envoy: &RunningEnvoy, runs_for: Option<u64>) -> Value {
    let metric = |metric| envoy.metric(&Metric::Feed(feed.name.clone(), metric));
    let count = |name| metric(name).unwrap_or(0);
    let fetches = Fetches::of(feed, envoy);
    let kinds = IdentifierKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| *feed.kinds.get(*kind));
    let entries = kinds.map(|kind| (kind.as_str(), count(FeedMetric::Entries(kind))));
    let entries: Vec<_> = entries.collect();
    let (age, is_stale) = (fetches.age, fetches.is_stale);
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
    let next = fetches
        .ago
        .map(|ago| NextFetch::new(feed.interval, ago, fetches.last));
    page.text("  last fetch", &fetches.text());
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
    } else if fetches.is_failing() {
        let (name, cluster) = (&feed.name, &feed.cluster);
        // The native module reads the file of a cluster that Envoy need not have, and reports its failures.
        if envoy.cluster_has_tls(cluster).is_none() && envoy.failure(name).is_none() {
            Some(format!(
                "the running Envoy has no cluster \"{cluster}\", which the feed {name} names: its list can't be fetched; add \
                 the cluster to the bootstrap and restart Envoy, or correct the name"
            ))
        } else {
            let why = Fetches::why(feed, envoy);
            Some(format!(
                "the last fetch of the list {name} failed{why}, or try `portcullis feeds read {name} --url URL` with the \
                 server's address"
            ))
        }
    } else {
        let (name, interval) = (&feed.name, feed.interval.as_secs());
        let idle = fetches.idle_for(feed, runs_for);
        idle.map(|idle| match fetches.ago {
            Some(_) => format!(
                "the last fetch of the list {name} ended {idle} s ago, and one is due every {interval} s; is Envoy \
                 overloaded?"
            ),
            None => format!(
                "no fetch of the list {name} has ended in {idle} s, and one is due every {interval} s; see Envoy's log"
            ),
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
        "last_fetch": fetches.result(),
        "last_fetch_seconds_ago": fetches.ago,
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
