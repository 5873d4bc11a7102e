//! A fault under watch: what a row of the table says of it, seen in Envoy.

use crate::background_traffic::LISTED;
use crate::harness::envoy::DEADLINE;
use crate::harness::{Harness, eventually, eventually_or};
use crate::matrix::{List, Row, row};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The result of a fetch that brought a list, or word that there is none newer.
const GOOD: [&str; 2] = ["fetch.result=ok", "fetch.result=not_modified"];

/// How long a fetch takes at most, and the wait before it.
const FETCH: Duration = Duration::from_secs(3);

/// What stood before the fault.
pub struct Watch {
    row: Row,
    metrics: BTreeMap<String, u64>,
    n_lines: usize,
}

impl Watch {
    /// Looks at what stands now; the fault is yet to come.
    pub async fn begin(harness: &Harness, fault: &str) -> Self {
        Self {
            row: row(fault),
            metrics: metrics(harness).await,
            n_lines: complaints(harness).len(),
        }
    }

    /// A fault that was there from Envoy's start.
    pub fn from_start(fault: &str) -> Self {
        Self {
            row: row(fault),
            metrics: BTreeMap::new(),
            n_lines: 0,
        }
    }

    /// The same fault, but another row tells what comes of it in the end.
    pub fn goes_on_as(self, fault: &str) -> Self {
        Self {
            row: row(fault),
            ..self
        }
    }

    /// Waits until the row's metrics have risen `times` times and its log lines are there, and sees that no other
    /// failure was counted or logged, and that the list is what the row says. Requests are
    /// the traffic's to see.
    pub async fn sees_its_effects(&self, harness: &Harness, times: u64) {
        let Row {
            fault,
            metrics: rising,
            log,
            list,
            ..
        } = &self.row;
        for metric in rising {
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
        for text in log {
            let times = log.iter().filter(|other| *other == text).count();
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
        assert_eq!(lines.len(), log.len(), "{fault}: {lines:#?}");
        for (metric, now) in metrics(harness).await {
            let failure = metric.starts_with("fetch.result=") && !GOOD.contains(&metric.as_str());
            assert!(
                !failure || rising.contains(&metric) || now == self.before(&metric),
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

/// Has the simulator fail by `fault` until the row's effects are there, and then sees that the next fetch is well.
pub async fn strike(harness: &Harness, fault: &str, how: Value) {
    let watch = Watch::begin(harness, fault).await;
    harness.abs.fault(how).await;
    watch.sees_its_effects(harness, 1).await;
    harness.abs.clear_faults().await;
    recovers(harness).await;
}

/// Waits until a fetch is well again, and the log says so.
pub async fn recovers(harness: &Harness) {
    let before = good_fetches(harness).await;
    eventually("a fetch is well again", async || {
        (good_fetches(harness).await > before).then_some(())
    })
    .await;
    // The line comes through a pipe, a moment later.
    eventually("the last line on fetches says that they work", async || {
        let log = harness.envoy.log();
        let about_fetches = |line: &&str| line.contains("fetching the attack list");
        let last = log.lines().rfind(about_fetches)?;
        last.contains("works again").then_some(())
    })
    .await;
}

/// The filter's warnings and errors so far, and Envoy's line for each crash of a VM.
pub fn complaints(harness: &Harness) -> Vec<String> {
    let grave = ["[warning][wasm]", "[error][wasm]", "[critical][wasm]"];
    let told = ["wasm log portcullis", "Uncaught RuntimeError"];
    let log = harness.envoy.log();
    log.lines()
        .filter(|line| grave.iter().any(|level| line.contains(level)))
        .filter(|line| told.iter().any(|text| line.contains(text)))
        .map(str::to_owned)
        .collect()
}

async fn good_fetches(harness: &Harness) -> u64 {
    let metrics = metrics(harness).await;
    let count = |name| metrics.get(name).copied().unwrap_or(0);
    GOOD.into_iter().map(count).sum()
}

async fn metrics(harness: &Harness) -> BTreeMap<String, u64> {
    let stats = harness.envoy.stats("wasmcustom.portcullis.").await;
    let plain = |name: String| name.replace("wasmcustom.portcullis.", "");
    stats
        .into_iter()
        .map(|(name, value)| (plain(name), value))
        .collect()
}
