//! Waiting for conditions, instead of sleeping.

use super::stopwatch::Stopwatch;
use std::time::{Duration, Instant};

/// How long a step may take before a test fails: far longer than any healthy machine needs. Promised times have bounds of
/// their own, see [`within`].
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Time between two checks of a condition.
const POLL: Duration = Duration::from_millis(20);

/// Polls `condition` until it returns a value; fails the test after [`DEADLINE`].
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_or(what, DEADLINE, condition, String::new).await
}

/// Like [`eventually`], with another deadline and a description of the actual state.
pub async fn eventually_or<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
    actual: impl Fn() -> String,
) -> T {
    let start = Instant::now();
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what} {}",
            actual()
        );
    }
}

/// Polls `condition` until it returns a value; fails the test if that takes longer than `bound`, which is a documented
/// limit. Time in which the machine did not run its threads does not count.
pub async fn within<T>(
    bound: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let watch = Stopwatch::start();
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let value = condition().await;
        let elapsed = watch.elapsed();
        assert!(
            elapsed < bound,
            "not within {bound:?}: {what}; after {elapsed:?}, and {:?} late",
            watch.late()
        );
        if let Some(value) = value {
            return value;
        }
    }
}

/// Runs `check` repeatedly for `span`.
pub async fn throughout(span: Duration, mut check: impl AsyncFnMut()) {
    let start = Instant::now();
    let mut poll = tokio::time::interval(POLL);
    while start.elapsed() < span {
        poll.tick().await;
        check().await;
    }
}
