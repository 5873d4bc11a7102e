//! The lines of `status` about traffic information: how many records were sent, and whether ABS receives them.

use portcullis::config::Config;
use portcullis::metrics::Metric;
use portcullis::traffic::outcome::Problem;
use portcullis::traffic::settings::Destination;
use serde_json::json;

use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, unix_now};

/// If no call was accepted for this many seconds before the last failure, ABS receives nothing.
const NOTHING_ACCEPTED: u64 = 60;

/// After a later call was accepted, a failure is reported for this many seconds.
const RECENT: u64 = 600;

/// Adds them.
pub fn show(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let count = |metric| envoy.metric(metric).unwrap_or(0);
    page.counts(
        "traffic records",
        &[
            ("sent", count(&Metric::TrafficSent)),
            ("failed", count(&Metric::TrafficFailed)),
            ("dropped", count(&Metric::TrafficDropped)),
        ],
    );
    let (state, warning) = state(config, envoy);
    page.line("traffic information", state, json!(state));
    page.warnings.extend(warning);
}

/// The state, and a warning with what to do about it.
fn state(config: &Config, envoy: &RunningEnvoy) -> (&'static str, Option<String>) {
    let Some(abs) = config.abs.as_ref().filter(|_| config.enable_abs) else {
        return ("disabled", None);
    };
    let destination = Destination::new(abs, &config.traffic);
    let cluster = destination.cluster();
    if cluster != abs.cluster && envoy.cluster_has_tls(cluster).is_none() {
        let warning = format!(
            "ABS receives nothing: the running Envoy has no cluster \"{cluster}\", which traffic.cluster names"
        );
        return ("ABS receives nothing", Some(warning));
    }
    let time = |metric| envoy.metric(metric).filter(|time| *time > 0);
    let accepted = time(&Metric::TrafficLastSuccess);
    let Some(failed) = time(&Metric::TrafficLastFailure) else {
        let state = match accepted {
            Some(_) => "received",
            None => "nothing was sent yet",
        };
        return (state, None);
    };
    let status = envoy.metric(&Metric::TrafficLastFailureStatus).unwrap_or(0);
    let problem = Problem::of_status(u16::try_from(status).unwrap_or(0));
    let why = problem.explanation(config.traffic.format);
    if accepted.is_none_or(|accepted| failed >= accepted.saturating_add(NOTHING_ACCEPTED)) {
        let warning = format!("ABS receives nothing: {why}");
        return ("ABS receives nothing", Some(warning));
    }
    if unix_now().saturating_sub(failed) > RECENT {
        return ("received", None);
    }
    let warning = format!("ABS does not receive all traffic information: {why}");
    ("partly received", Some(warning))
}
