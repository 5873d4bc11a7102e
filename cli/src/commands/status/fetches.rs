//! How the last fetch of each list ended, from the filter's gauges, and what is wrong with it.

use portcullis::config::{Config, Feed};
use portcullis::metrics::{FeedMetric, LastResult, Metric};
use serde_json::json;

use super::next_fetch::is_overdue;
use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, unix_now};

/// The fetches of one feed.
pub struct Fetches {
    /// How the last one ended; `None` for a value that the filter never sets.
    pub last: Option<LastResult>,
    /// How many seconds ago it ended.
    pub ago: Option<u64>,
    /// How many seconds ago the list was last received or confirmed.
    pub age: Option<u64>,
    /// Whether the list is older than its maximum age.
    pub is_stale: bool,
}

impl Fetches {
    /// Those of a feed.
    pub fn of(feed: &Feed, envoy: &RunningEnvoy) -> Self {
        let metric = |metric| envoy.metric(&Metric::Feed(feed.name.clone(), metric));
        let since = |time| {
            let time = metric(time).filter(|time| *time > 0)?;
            Some(unix_now().saturating_sub(time))
        };
        Self {
            // The metric exists as soon as a VM of the filter has ticked.
            last: metric(FeedMetric::LastResult)
                .map_or(Some(LastResult::None), LastResult::from_value),
            ago: since(FeedMetric::LastAttempt),
            age: since(FeedMetric::LastSuccess),
            is_stale: metric(FeedMetric::Stale) == Some(1),
        }
    }

    /// Whether the last one failed.
    pub fn is_failing(&self) -> bool {
        self.last == Some(LastResult::Failed)
    }

    /// The word for how the last one ended.
    pub const fn result(&self) -> &'static str {
        match self.last {
            Some(LastResult::None) => "none yet",
            Some(LastResult::Ok) => "success",
            Some(LastResult::NotModified) => "not modified",
            Some(LastResult::Failed) => "failure",
            None => "unknown",
        }
    }

    /// The same for people, with the time.
    pub fn text(&self) -> String {
        match (self.ago, self.is_failing()) {
            (None, _) => self.result().to_owned(),
            (Some(ago), true) => format!("failing, last attempt {ago} s ago"),
            (Some(ago), false) => format!("{}, {ago} s ago", self.result()),
        }
    }

    /// What to look at if the last one failed: the reason, where it is known.
    pub fn why(feed: &Feed, envoy: &RunningEnvoy) -> String {
        match envoy.failure(&feed.name) {
            Some(reason) => format!(": {reason}"),
            None => "; see Envoy's log".to_owned(),
        }
    }

    /// Whether none has ended for longer than one takes to be due. `runs_for`: how long the configuration has run.
    pub fn idle_for(&self, feed: &Feed, runs_for: Option<u64>) -> Option<u64> {
        let idle = self.ago.or(runs_for)?;
        is_overdue(feed, idle).then_some(idle)
    }
}

/// Adds the line with the feeds whose last fetch failed.
pub fn show_failing(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let feeds = config.all_feeds().into_iter();
    let failing = feeds.filter_map(|feed| {
        let fetches = Fetches::of(&feed, envoy);
        fetches.is_failing().then_some((feed.name, fetches.ago))
    });
    let (names, texts): (Vec<_>, Vec<_>) = failing
        .map(|(name, ago)| {
            let ago = ago.map_or(String::new(), |ago| format!(", last attempt {ago} s ago"));
            (name.to_string(), format!("{name}{ago}"))
        })
        .unzip();
    let text = match texts.as_slice() {
        [] => "none".to_owned(),
        texts => texts.join("; "),
    };
    page.line("failing fetches", &text, json!(names));
}
