//! A real Prometheus with the example's configuration, except for targets and intervals.

use crate::command::tool;
use crate::harness::audit::Replies;
use crate::harness::client::Request;
use crate::harness::eventually;
use crate::harness::process::{Process, repository};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// How often it scrapes, in seconds.
const INTERVAL: u32 = 1;
/// Grafana's `$__rate_interval` for that: four intervals.
pub const RATE_INTERVAL: &str = "4s";

/// A running Prometheus.
pub struct Prometheus {
    /// Where its HTTP interface listens.
    pub address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with this admin interface of an Envoy as its target.
    pub async fn start(target: SocketAddr) -> Self {
        let example = repository().join("examples/observability");
        let directory = TempDir::new().unwrap();
        for rules in ["rules.yml", "fleet-rules.yml"] {
            std::fs::copy(example.join(rules), directory.path().join(rules)).unwrap();
        }
        let configuration = std::fs::read_to_string(example.join("prometheus.yml")).unwrap();
        assert_eq!(configuration.matches("127.0.0.1:9901").count(), 1);
        assert_eq!(configuration.matches("_interval: 15s").count(), 2);
        let configuration = configuration
            .replace("127.0.0.1:9901", &target.to_string())
            .replace("_interval: 15s", &format!("_interval: {INTERVAL}s"));
        let file = directory.path().join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();

        let mut process = Process::start(
            "prometheus",
            Command::new(tool(".tools/prometheus/prometheus", "prometheus"))
                .arg(format!("--config.file={}", file.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    directory.path().join("data").display()
                ))
                .arg("--web.listen-address=127.0.0.1:0"),
        );
        let address = eventually("Prometheus logs its address", async || {
            process.assert_running();
            let log = process.stderr();
            let (_, rest) = log.split_once("msg=\"Listening on\" address=")?;
            rest.lines().next()?.trim().parse().ok()
        })
        .await;
        let prometheus = Self {
            address,
            _process: process,
            _directory: directory,
        };
        eventually("Prometheus has scraped Envoy", async || {
            let up = prometheus.try_query("up{job=\"portcullis\"} == 1").await?;
            (!up.is_empty()).then_some(())
        })
        .await;
        prometheus
    }

    /// The series that a query returns now: labels and value.
    pub async fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        self.try_query(expression)
            .await
            .unwrap_or_else(|| panic!("Prometheus has no result for {expression}"))
    }

    /// The label sets of the series that a query returned at any time within the last `span`.
    pub async fn series_within(&self, expression: &str, span: Duration) -> Vec<Value> {
        let end = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let start = end - span.as_secs();
        let path = format!(
            "/api/v1/query_range?query={}&start={start}&end={end}&step={INTERVAL}",
            encoded(expression)
        );
        let reply = self.get(&path).await;
        assert_eq!(reply["status"], "success", "{expression}: {reply}");
        let series = reply["data"]["result"].as_array().unwrap();
        series
            .iter()
            .map(|series| series["metric"].clone())
            .collect()
    }

    /// Waits until a query returns a series.
    pub async fn finds(&self, expression: &str) {
        eventually(&format!("Prometheus finds {expression}"), async || {
            (!self.query(expression).await.is_empty()).then_some(())
        })
        .await;
    }

    /// Waits until this alert is pending or fires.
    pub async fn pends(&self, alert: &str) {
        self.finds(&format!("ALERTS{{alertname=\"{alert}\"}}"))
            .await;
    }

    /// The names of all metrics that it has scraped.
    pub async fn metric_names(&self) -> Vec<String> {
        let reply = self.get("/api/v1/label/__name__/values").await;
        serde_json::from_value(reply["data"].clone()).unwrap()
    }

    /// The alerts that fire now.
    pub async fn firing(&self) -> Vec<String> {
        let reply = self.get("/api/v1/alerts").await;
        let alerts = reply["data"]["alerts"].as_array().unwrap();
        alerts
            .iter()
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until this alert fires.
    pub async fn fires(&self, alert: &str) {
        eventually(&format!("{alert} fires"), async || {
            self.firing()
                .await
                .iter()
                .any(|firing| firing == alert)
                .then_some(())
        })
        .await;
    }

    /// The rules that could not be evaluated, with the reason.
    pub async fn broken_rules(&self) -> Vec<String> {
        let reply = self.get("/api/v1/rules").await;
        let groups = reply["data"]["groups"].as_array().unwrap();
        assert!(!groups.is_empty(), "no rules are loaded");
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .filter(|rule| rule["health"] != "ok")
            .map(Value::to_string)
            .collect()
    }

    async fn try_query(&self, expression: &str) -> Option<Vec<(Value, f64)>> {
        let path = format!("/api/v1/query?query={}", encoded(expression));
        let reply = Request::get(self.address, &path, &Replies::default())
            .try_send()
            .await
            .ok()?;
        let reply: Value = serde_json::from_str(&reply.body).ok()?;
        assert_ne!(reply["status"], "error", "{expression}: {reply}");
        let series = reply["data"]["result"].as_array()?;
        Some(
            series
                .iter()
                .map(|series| {
                    let value = series["value"][1].as_str().unwrap();
                    (series["metric"].clone(), value.parse().unwrap())
                })
                .collect(),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let reply = Request::get(self.address, path, &Replies::default())
            .send()
            .await;
        serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{path}: {}", reply.body))
    }
}

fn encoded(expression: &str) -> String {
    utf8_percent_encode(expression, NON_ALPHANUMERIC).to_string()
}
