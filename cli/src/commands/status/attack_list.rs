//! The lines of `status` about ABS's attack list: its content, its age, how fetches ended, and what it blocked.

use portcullis::config::feed::ABS;
use portcullis::config::{Config, Feed};
use portcullis::identifier::{IdentifierKind, PerKind};
use portcullis::judge::verdict::{DenyKind, DenyReason, ListOrigin};
use portcullis::metrics::{FeedMetric, FetchResult, Metric};
use serde_json::json;

use super::fetches::Fetches;
use super::next_fetch::NextFetch;
use super::page::Page;
use crate::clients::envoy_admin::RunningEnvoy;

/// Adds them.
pub fn show(page: &mut Page, config: &Config, envoy: &RunningEnvoy, runs_for: Option<u64>) {
    let count = |metric: &Metric| envoy.metric(metric).unwrap_or(0);
    let entries = IdentifierKind::WITH_LIST_KEY
        .map(|kind| (kind.as_str(), count(&of_abs(FeedMetric::Entries(kind)))));
    page.counts("attack list entries", &entries);
    page.number(
        "attack list generation",
        count(&of_abs(FeedMetric::Generation)),
    );
    freshness(page, config, envoy, runs_for);
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

/// Age and staleness of the list, and how the last fetch ended. `runs_for`: how long the configuration has run.
fn freshness(page: &mut Page, config: &Config, envoy: &RunningEnvoy, runs_for: Option<u64>) {
    let feed = config.all_feeds().into_iter().find(Feed::is_abs);
    let Some(feed) = feed else {
        page.line("attack list age", "no list yet", json!(null));
        let result = "none (abs attack is disabled)";
        page.line("last fetch", result, json!(result));
        page.value("last fetch seconds ago", json!(null));
        page.line("attack list stale", "no", json!(false));
        return;
    };
    let fetches = Fetches::of(&feed, envoy);
    let age = fetches.age;
    let age_text = age.map_or("no list yet".to_owned(), |age| format!("{age} s"));
    page.line("attack list age", &age_text, json!(age));
    page.line("last fetch", &fetches.text(), json!(fetches.result()));
    page.value("last fetch seconds ago", json!(fetches.ago));
    let next = NextFetch::new(feed.interval, fetches.ago.unwrap_or(u64::MAX), fetches.last);
    page.line("next fetch", &next.text, json!(next.seconds));
    let stale_text = if fetches.is_stale { "yes" } else { "no" };
    page.line("attack list stale", stale_text, json!(fetches.is_stale));
    let minutes = config.refresh_interval.as_secs_f64() / 60.0;
    let warning = if fetches.is_stale {
        format!(
            "the attack list is stale (age {age_text}): ABS returned none within attack_list_max_age"
        )
    } else if fetches.is_failing() {
        let why = Fetches::why(&feed, envoy);
        format!("the last fetch of the attack list failed (list's age: {age_text}){why}")
    } else if let Some(idle) = fetches.idle_for(&feed, runs_for) {
        match fetches.ago {
            Some(_) => format!(
                "the last fetch ended {idle} s ago, and one is due every {minutes} minutes; is Envoy overloaded?"
            ),
            None => format!(
                "no fetch of the attack list has ended in {idle} s, and one is due every {minutes} minutes; see Envoy's log"
            ),
        }
    } else {
        return;
    };
    page.warnings.push(warning);
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
