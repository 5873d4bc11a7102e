//! The ABS simulator with TLS, under the name in the examples: abs.example.com.

use crate::harness::certificate::Certificate;
use crate::harness::services::{Abs, fetch_times};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// Its credentials.
pub const KEYS: [&str; 2] = ["example_access", "example_secret"];

/// A running simulator.
pub struct SecureAbs {
    simulator: Abs,
    certificate: Certificate,
}

impl SecureAbs {
    /// Starts it with a new certificate.
    pub async fn start() -> Self {
        let certificate = Certificate::new("abs.example.com");
        let simulator = Abs::start(KEYS[0], KEYS[1], &certificate.arguments()).await;
        Self {
            simulator,
            certificate,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.simulator.address
    }

    /// The file of its certificate, which is its own authority.
    pub fn certificate(&self) -> String {
        self.certificate.path().display().to_string()
    }

    /// The times of the requests for the attack list, since the simulator's start.
    pub fn fetch_times(&self) -> Vec<Duration> {
        fetch_times(self.admin("GET", "fetches", &Value::Null))
    }

    /// A request to the simulator's admin interface, which has TLS too.
    pub fn admin(&self, method: &str, what: &str, body: &Value) -> Value {
        let port = self.address().port();
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail-with-body",
                "--max-time",
                "60",
            ])
            .args(["--cacert", &self.certificate()])
            .args(["--resolve", &format!("abs.example.com:{port}:127.0.0.1")])
            .args([
                "--request",
                method,
                "--header",
                "content-type: application/json",
            ])
            .args([
                "--data",
                &if body.is_null() {
                    String::new()
                } else {
                    body.to_string()
                },
            ])
            .arg(format!("https://abs.example.com:{port}/admin/{what}"))
            .output()
            .expect("curl should be installed");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}
