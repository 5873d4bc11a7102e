//! Which feeds have a limit on denied requests that is exceeded: their lists only count until the share has fallen.
//!
//! Each VM decides by its own requests and no metric shows it, so this watches whether a list that enforces keeps counting.

use std::thread::sleep;
use std::time::Duration;

use portcullis::config::{Config, Feed, Mode};
use portcullis::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use portcullis::metrics::Metric;

use super::page::Page;
use crate::clients::envoy_admin::RunningEnvoy;
use crate::error::Result;

/// How long is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// The feeds whose limit is exceeded.
#[derive(Debug, Default)]
pub struct Limited(Vec<(Feed, bool)>);

impl Limited {
    /// Whether the list of the feed with this name still denies, in another VM; `None` if its limit is not exceeded.
    pub fn still_denies(&self, name: &str) -> Option<bool> {
        let mut all = self.0.iter();
        let found = all.find(|(feed, _)| *feed.name == *name);
        found.map(|(_, denies)| *denies)
    }
}

/// Finds them. Reads the statistics again if a feed has such a limit and has counted.
pub fn exceeded(config: &Config, envoy: &mut RunningEnvoy) -> Result<Limited> {
    // In these, shadow mode counts too.
    let has_shadow = config.apis.iter().any(|api| api.mode == Mode::Shadow);
    if has_shadow || !config.enable_firewall {
        return Ok(Limited::default());
    }
    let mut feeds = config.all_feeds();
    feeds.retain(|feed| feed.guard.max_denied_percent.is_some() && feed.mode == Mode::Enforce);
    let read = |envoy: &RunningEnvoy, metric: fn(DenyReason) -> Metric| -> Vec<u64> {
        let counts = feeds.iter().map(|feed| count(feed, envoy, metric));
        counts.collect()
    };
    let counted = read(envoy, Metric::WouldDeny);
    if counted.iter().all(|count| *count == 0) {
        return Ok(Limited::default());
    }
    let denied = read(envoy, Metric::Denied);
    sleep(WATCHED);
    envoy.refresh_metrics()?;
    let (counted_later, denied_later) =
        (read(envoy, Metric::WouldDeny), read(envoy, Metric::Denied));
    let grows = counted_later
        .iter()
        .zip(&counted)
        .map(|(later, before)| later > before);
    let denies = denied_later
        .iter()
        .zip(&denied)
        .map(|(later, before)| later > before);
    let found = feeds.iter().zip(grows).zip(denies);
    let found = found.filter(|((_, grows), _)| *grows);
    Ok(Limited(
        found
            .map(|((feed, _), denies)| (feed.clone(), denies))
            .collect(),
    ))
}

/// Adds a warning for each.
pub fn warn(page: &mut Page, limited: &Limited) {
    for (feed, _) in &limited.0 {
        let name = match feed.is_abs() {
            true => "ABS's list".to_owned(),
            false => format!("the list {}", feed.name),
        };
        let setting = feed.setting("guard.max_denied_percent");
        page.warnings.push(format!(
            "{name} denies more than {setting} of the requests: the filter only counts what it would deny until the share \
             has fallen; check the list, or raise the limit"
        ));
    }
}

/// How many requests an entry of the feed's list denied, or would have.
fn count(feed: &Feed, envoy: &RunningEnvoy, metric: fn(DenyReason) -> Metric) -> u64 {
    let reasons = DenyKind::of(feed.kinds).map(|kind| DenyReason {
        origin: ListOrigin::Feed(feed.name.clone()),
        kind,
    });
    let counts = reasons.map(|reason| envoy.metric(&metric(reason)).unwrap_or(0));
    counts.sum()
}
