//! The lines of `status` about ABS's attack list: its content, its age, how fetches ended, and what it blocked.

use portcullis::config::feed::ABS;
use portcullis::config::{Config, Feed};
use portcullis::identifier::{IdentifierKind, PerKind};
use portcullis::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use portcullis::metrics::{FeedMetric, FetchResult, LastResult, Metric};
use serde_json::json;

use super::next_fetch::{NextFetch, is_overdue};
use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, unix_now};

/// Adds them.
pub fn show(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let count = |metric: &Metric| envoy.metric(metric).unwrap_or(0);
    let entries = IdentifierKind::WITH_LIST_KEY
        .map(|kind| (kind.as_str(), count(&of_abs(FeedMetric::Entries(kind)))));
    page.counts("attack list entries", &entries);
    page.number(
        "attack list generation",
        count(&of_abs(FeedMetric::Generation)),
    );
    freshness(page, config, envoy);
    let fetches =
        FetchResult::ALL.map(|result| (result.as_str(), count(&of_abs(FeedMetric::Fetch(result)))));
    page.counts("fetches", &fetches);
    let lists = [
        ("blocked by abs", "abs", ListOrigin::Feed(ABS.into())),
        ("blocked by blacklist", "blacklist", ListOrigin::Manual),
    ];
    for (title, _, origin) in &lists {
        let blocked =
            reasons(origin).map(|reason| (reason.kind.as_str(), count(&Metric::Denied(reason))));
        page.counts(title, &blocked.collect::<Vec<_>>());
    }
    let shadow = lists.map(|(_, name, origin)| {
        let counts = reasons(&origin).map(|reason| count(&Metric::WouldDeny(reason)));
        (name, counts.sum())
    });
    page.counts("only counted (shadow)", &shadow);
    page.number("passed by whitelist", count(&Metric::AllowListed));
    page.number(
        "entries skipped",
        count(&of_abs(FeedMetric::EntriesSkipped)),
    );
}

/// Age and staleness of the list, and how the last fetch ended.
fn freshness(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let seconds_since = |metric| {
        let time = envoy.metric(&metric).filter(|time| *time > 0)?;
        Some(unix_now().saturating_sub(time))
    };
    let age = seconds_since(of_abs(FeedMetric::LastSuccess));
    let age_text = age.map_or("no list yet".to_owned(), |age| format!("{age} s"));
    page.line("attack list age", &age_text, json!(age));
    let ago = seconds_since(of_abs(FeedMetric::LastAttempt));
    let last = match envoy.metric(&of_abs(FeedMetric::LastResult)) {
        Some(value) => LastResult::from_value(value),
        // The metric exists as soon as a VM of the filter has ticked.
        None => Some(LastResult::None),
    };
    let result = match (config.enable_abs_attack, last) {
        (false, _) => "none (abs attack is disabled)",
        (true, Some(LastResult::None)) => "none yet",
        (true, Some(LastResult::Ok)) => "success",
        (true, Some(LastResult::NotModified)) => "not modified",
        (true, Some(LastResult::Failed)) => "failure",
        (true, None) => "unknown",
    };
    let text = match ago {
        Some(ago) if config.enable_abs_attack => format!("{result}, {ago} s ago"),
        _ => result.to_owned(),
    };
    page.line("last fetch", &text, json!(result));
    page.value("last fetch seconds ago", json!(ago));
    let feed = config.all_feeds().into_iter().find(Feed::is_abs);
    if let Some(feed) = &feed {
        let next = NextFetch::new(feed.interval, ago.unwrap_or(u64::MAX), last);
        page.line("next fetch", &next.text, json!(next.seconds));
    }
    let stale = envoy.metric(&of_abs(FeedMetric::Stale)) == Some(1);
    let stale_text = if stale { "yes" } else { "no" };
    page.line("attack list stale", stale_text, json!(stale));
    if stale {
        page.warnings.push(format!(
            "the attack list is stale (age {age_text}): ABS returned none within attack_list_max_age"
        ));
    } else if result == "failure" {
        page.warnings.push(format!(
            "the last fetch of the attack list failed (list's age: {age_text}); see Envoy's log"
        ));
    } else if let (Some(feed), Some(ago)) = (feed, ago)
        && is_overdue(&feed, ago)
    {
        page.warnings.push(format!(
            "the last fetch ended {ago} s ago, and one is due every {} minutes; is Envoy overloaded?",
            config.refresh_interval.as_secs_f64() / 60.0
        ));
    }
}

fn of_abs(metric: FeedMetric) -> Metric {
    Metric::Feed(ABS.into(), metric)
}

fn reasons(origin: &ListOrigin) -> impl Iterator<Item = DenyReason> {
    let is_manual = *origin == ListOrigin::Manual;
    DenyKind::of(PerKind::WITH_LIST_KEY)
        // The manual list always exists.
        .filter(move |kind| !is_manual || *kind != DenyKind::NoList)
        .map(|kind| DenyReason {
            origin: origin.clone(),
            kind,
        })
}
