//! The interval between fetches, by ABS's clock, so that the time of the check does not matter.

use super::stopwatch::Stopwatch;
use super::waiting::{DEADLINE, eventually_or};
use std::time::Duration;

/// Waits for one fetch and the `count` after it. Fails the test unless they took that many intervals, within the jitter,
/// and no two came at once. `fetches` returns the times of all fetches so far.
pub async fn assert_interval(
    fetches: impl AsyncFn() -> Vec<Duration>,
    interval: Duration,
    count: u32,
) {
    let watch = Stopwatch::start();
    let before = fetches().await.len();
    let last = before + count as usize;
    let times = eventually_or(
        &format!("{count} fetches after the next"),
        DEADLINE + interval * count,
        async || Some(fetches().await).filter(|times| times.len() > last),
        String::new,
    )
    .await;
    let times = &times[before..=last];
    // On a busy machine a fetch may be late and the next one on time.
    let late = watch.late();
    for pair in times.windows(2) {
        assert!(
            pair[1] - pair[0] + late > interval / 2,
            "two fetches at once: {times:?}, {late:?} late"
        );
    }
    let took = times[times.len() - 1] - times[0];
    let least = (interval * count).mul_f64(0.85) - interval.mul_f64(0.1);
    let most = (interval * count).mul_f64(1.25) + interval.mul_f64(0.5);
    assert!(
        took + late >= least && took <= most + late,
        "{count} intervals of {interval:?} took {took:?}: {times:?}, {late:?} late"
    );
}
