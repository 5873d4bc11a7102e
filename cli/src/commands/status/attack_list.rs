//! The lines of `status` about ABS's attack list: its content, its age, how fetches ended, and what it blocked.

use std::time::Duration;

use portcullis::config::Config;
use portcullis::identifier::IdentifierKind;
use portcullis::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use portcullis::metrics::{FetchResult, LastResult, Metric};
use serde_json::json;

use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, unix_now};

/// Adds them.
pub fn show(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let count = |metric| envoy.metric(metric).unwrap_or(0);
    let entries =
        IdentifierKind::WITH_LIST_KEY.map(|kind| (kind.as_str(), count(Metric::Entries(kind))));
    page.counts("attack list entries", &entries);
    page.number("attack list generation", count(Metric::Generation));
    freshness(page, config, envoy);
    let fetches = FetchResult::ALL.map(|result| (result.as_str(), count(Metric::Fetch(result))));
    page.counts("fetches", &fetches);
    let lists = [
        ("blocked by abs", "abs", ListOrigin::Abs),
        ("blocked by blacklist", "blacklist", ListOrigin::Manual),
    ];
    for (title, _, origin) in lists {
        let blocked =
            reasons(origin).map(|reason| (reason.kind.as_str(), count(Metric::Denied(reason))));
        page.counts(title, &blocked.collect::<Vec<_>>());
    }
    let shadow = lists.map(|(_, name, origin)| {
        let counts = reasons(origin).map(|reason| count(Metric::WouldDeny(reason)));
        (name, counts.sum())
    });
    page.counts("only counted (shadow)", &shadow);
    page.number("passed by whitelist", count(Metric::AllowListed));
    page.number("entries skipped", count(Metric::EntriesSkipped));
}

/// Age and staleness of the list, and how the last fetch ended.
fn freshness(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let seconds_since = |metric| {
        let time = envoy.metric(metric).filter(|time| *time > 0)?;
        Some(unix_now().saturating_sub(time))
    };
    let age = seconds_since(Metric::LastSuccess);
    let age_text = age.map_or("no list yet".to_owned(), |age| format!("{age} s"));
    page.line("attack list age", &age_text, json!(age));
    let ago = seconds_since(Metric::LastAttempt);
    let last = match envoy.metric(Metric::LastResult) {
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
    let stale = envoy.metric(Metric::Stale) == Some(1);
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
    } else if let Some(ago) = ago.filter(|ago| is_overdue(config, *ago)) {
        page.warnings.push(format!(
            "the last fetch ended {ago} s ago, and one is due every {} minutes; is Envoy overloaded?",
            config.refresh_interval.as_secs_f64() / 60.0
        ));
    }
}

/// Whether a fetch is overdue: the last one is longer ago than the interval with its jitter and the time of a fetch.
fn is_overdue(config: &Config, ago: u64) -> bool {
    let timeout = config.abs.as_ref().map(|abs| abs.timeout);
    let interval = config.refresh_interval.mul_f64(1.2);
    let longest = interval.saturating_add(timeout.unwrap_or_default());
    config.enable_abs_attack && Duration::from_secs(ago.saturating_sub(1)) > longest
}

fn reasons(origin: ListOrigin) -> impl Iterator<Item = DenyReason> {
    DenyKind::ALL
        .into_iter()
        // The manual list always exists.
        .filter(move |kind| (origin, *kind) != (ListOrigin::Manual, DenyKind::NoList))
        .map(move |kind| DenyReason { origin, kind })
}
