//! The ABS simulator behind TLS, under the name that the examples have: abs.example.com.

use crate::harness::services::{Abs, fetch_times};
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// The credentials that it takes.
pub const KEYS: [&str; 2] = ["example_access", "example_secret"];

/// The ABS simulator behind TLS, under the name that the example has.
pub struct SecureAbs {
    simulator: Abs,
    files: TempDir,
}

impl SecureAbs {
    /// Starts it, with a certificate of its own.
    pub async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["abs.example.com".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let files = TempDir::new().unwrap();
        let file = |name| files.path().join(name).display().to_string();
        std::fs::write(file("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(file("key.pem"), key.serialize_pem()).unwrap();
        let arguments = [
            "--tls-cert",
            &file("cert.pem"),
            "--tls-key",
            &file("key.pem"),
        ];
        let simulator = Abs::start(KEYS[0], KEYS[1], &arguments.map(str::to_owned)).await;
        Self { simulator, files }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.simulator.address
    }

    /// The file with its certificate, which is its own authority.
    pub fn certificate(&self) -> String {
        self.files.path().join("cert.pem").display().to_string()
    }

    /// When the attack list was asked for, since the simulator's start.
    pub fn fetch_times(&self) -> Vec<Duration> {
        fetch_times(self.admin("GET", "fetches", &Value::Null))
    }

    /// The simulator's admin interface, which is behind TLS too.
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
            .expect("curl should be there");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}
