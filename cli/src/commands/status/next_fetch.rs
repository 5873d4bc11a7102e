//! When the next fetch of a list is due, and whether it is overdue, as far as the metrics show.

use std::time::Duration;

use portcullis::config::Feed;
use portcullis::metrics::LastResult;

/// When the next fetch is due.
pub struct NextFetch {
    /// In how many seconds; 0 for now.
    pub seconds: u64,
    /// For people.
    pub text: String,
}

impl NextFetch {
    /// After a fetch that ended `ago` seconds ago.
    pub fn new(interval: Duration, ago: u64, last: Option<LastResult>) -> Self {
        let seconds = interval.as_secs().saturating_sub(ago);
        let text = match last {
            _ if seconds == 0 => "now".to_owned(),
            // The first retries come sooner.
            Some(LastResult::Failed) => format!("within {seconds} s"),
            _ => format!("due in {seconds} s"),
        };
        Self { seconds, text }
    }
}

/// Whether a fetch is overdue: the last one is longer ago than the interval with its jitter and the time of a fetch.
pub fn is_overdue(feed: &Feed, ago: u64) -> bool {
    let interval = feed.interval.mul_f64(1.2);
    let longest = interval.saturating_add(feed.timeout);
    Duration::from_secs(ago.saturating_sub(1)) > longest
}
