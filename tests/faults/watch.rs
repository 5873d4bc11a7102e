//! Checks in a running Envoy that a fault has the effects of its row and no others.

use crate::background_traffic::LISTED;
use crate::harness::artefact::Artefact;
use crate::harness::envoy::METRIC_PREFIX;
use crate::harness::{DEADLINE, Harness, eventually, eventually_or};
use crate::matrix::{EACH_WORKER, List, Row, row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Results of fetches that succeed.
const GOOD: [&str; 2] = ["fetch.result=ok", "fetch.result=not_modified"];

/// The longest a fetch takes, with the wait before it.
const FETCH: Duration = Duration::from_secs(3);

/// The state before the fault.
pub struct Watch {
    row: &'static Row,
    metrics: BTreeMap<String, u64>,
    n_lines: usize,
}

impl Watch {
    /// Records the state before the fault.
    pub async fn begin(harness: &Harness, fault: &str) -> Self {
        Self {
            row: row(fault),
            metrics: metrics(harness).await,
            n_lines: complaints(harness).len(),
        }
    }

    /// For a fault that is there when Envoy starts.
    pub fn from_start(fault: &str) -> Self {
        Self {
            row: row(fault),
            metrics: BTreeMap::new(),
            n_lines: 0,
        }
    }

    /// The same fault; from now on another row of the matrix is checked.
    pub fn continues_as(self, fault: &str) -> Self {
        Self {
            row: row(fault),
            ..self
        }
    }

    /// Waits until the row's metrics have risen by `times` and its log lines are there. Fails the test if another failure
    /// was counted or logged, or if the list is not what the row says. [`BackgroundTraffic`] checks the requests.
    ///
    /// [`BackgroundTraffic`]: crate::background_traffic::BackgroundTraffic
    pub async fn expect_effects(&self, harness: &Harness, times: u64) {
        let Row {
            fault,
            metrics: rising,
            log,
            list,
            ..
        } = self.row;
        for metric in *rising {
            let least = self.before(metric) + times;
            let deadline = DEADLINE + FETCH.saturating_mul(u32::try_from(times).unwrap());
            eventually_or(
                &format!("{fault}: {metric} reaches {least}"),
                deadline,
                async || (harness.envoy.count(metric).await >= least).then_some(()),
                String::new,
            )
            .await;
        }
        let artefact = Artefact::under_test();
        let log = log.iter().map(|&(text, times)| match times {
            EACH_WORKER => (text, artefact.n_reporters(EACH_WORKER)),
            times => (text, times),
        });
        for (text, times) in log.clone() {
            eventually(
                &format!("{fault}: {times} lines of the log with `{text}`"),
                async || {
                    let lines = complaints(harness).split_off(self.n_lines);
                    let with_text = lines.iter().filter(|line| line.contains(text));
                    (with_text.count() == times).then_some(())
                },
            )
            .await;
        }
        let lines = complaints(harness).split_off(self.n_lines);
        let expected: usize = log.map(|(_, times)| times).sum();
        assert_eq!(lines.len(), expected, "{fault}: {lines:#?}");
        for (metric, now) in metrics(harness).await {
            let failure = metric.starts_with("fetch.result=") && !GOOD.contains(&metric.as_str());
            assert!(
                !failure || rising.contains(&metric.as_str()) || now == self.before(&metric),
                "{fault}: {metric} went from {} to {now}",
                self.before(&metric)
            );
        }
        let generation = harness.envoy.count("attack_list.generation").await;
        let before = self.before("attack_list.generation");
        let listed = harness.get("/").from(LISTED);
        match list {
            List::NoneYet => {
                assert_eq!(generation, 0, "{fault}");
                harness.assert_allowed(&listed).await;
            }
            List::Stays => {
                assert_eq!(generation, before, "{fault}");
                harness.assert_denied(&listed).await;
            }
            List::New => assert!(generation > before, "{fault}: still list {generation}"),
        }
    }

    fn before(&self, metric: &str) -> u64 {
        self.metrics.get(metric).copied().unwrap_or(0)
    }
}

/// Makes the simulator fail as `how` says until the row's effects are there, then waits for the next good fetch.
pub async fn inject(harness: &Harness, fault: &str, how: Value) {
    let watch = Watch::begin(harness, fault).await;
    harness.abs.fault(how).await;
    watch.expect_effects(harness, 1).await;
    harness.abs.clear_faults().await;
    recovers(harness).await;
}

/// Waits until a fetch succeeds and the log reports it.
pub async fn recovers(harness: &Harness) {
    let before = good_fetches(harness).await;
    eventually("a fetch succeeds", async || {
        (good_fetches(harness).await > before).then_some(())
    })
    .await;
    // Envoy's log arrives through a pipe, with a delay.
    eventually("the last line about fetches reports success", async || {
        let log = harness.envoy.log();
        let about_fetches = |line: &&str| line.contains("fetching the attack list");
        let last = log.lines().rfind(about_fetches)?;
        last.contains("works again").then_some(())
    })
    .await;
}

/// The filter's warnings and errors so far, and Envoy's line for each crash of a VM.
pub fn complaints(harness: &Harness) -> Vec<String> {
    let artefact = Artefact::under_test();
    let component = artefact.log_component();
    let levels = ["warning", "error", "critical"].map(|level| format!("[{level}][{component}]"));
    let sources = [artefact.log_mark(), "Uncaught RuntimeError"];
    let log = harness.envoy.log();
    log.lines()
        .filter(|line| levels.iter().any(|level| line.contains(level)))
        .filter(|line| sources.iter().any(|text| line.contains(text)))
        .map(str::to_owned)
        .collect()
}

async fn good_fetches(harness: &Harness) -> u64 {
    let metrics = metrics(harness).await;
    let count = |name| metrics.get(name).copied().unwrap_or(0);
    GOOD.into_iter().map(count).sum()
}

async fn metrics(harness: &Harness) -> BTreeMap<String, u64> {
    let stats = harness.envoy.stats(METRIC_PREFIX).await;
    let plain = |name: String| name.replace(METRIC_PREFIX, "");
    stats
        .into_iter()
        .map(|(name, value)| (plain(name), value))
        .collect()
}
