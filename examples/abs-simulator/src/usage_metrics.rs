//! The body of `POST /v1/usage-metrics`: what LAPI requires of it.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Refused usage metrics.
#[derive(Debug, Error)]
pub enum UsageMetricsError {
    /// Not the JSON that LAPI reads.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Not the metrics of one bouncer.
    #[error("remediation_components: found {0}, expected 1")]
    Components(usize),
}

#[derive(Deserialize)]
struct Body {
    remediation_components: Vec<Component>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only their presence and their types are checked")]
struct Component {
    #[serde(rename = "type")]
    kind: String,
    version: String,
    os: Option<System>,
    #[serde(default)]
    feature_flags: Vec<String>,
    utc_startup_timestamp: u64,
    metrics: Vec<Metrics>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only their presence and their types are checked")]
struct System {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only their presence and their types are checked")]
struct Metrics {
    meta: Meta,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only their presence and their types are checked")]
struct Meta {
    window_size_seconds: u64,
    utc_now_timestamp: u64,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only their presence and their types are checked")]
struct Item {
    name: String,
    value: f64,
    unit: String,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

/// The metrics as JSON, if LAPI would keep them.
///
/// # Errors
///
/// What LAPI would refuse.
pub fn check_usage_metrics(body: &[u8]) -> Result<Value, UsageMetricsError> {
    let checked: Body = serde_json::from_slice(body)?;
    match checked.remediation_components.len() {
        1 => Ok(serde_json::from_slice(body)?),
        found => Err(UsageMetricsError::Components(found)),
    }
}
