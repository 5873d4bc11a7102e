//! A real CrowdSec LAPI, from Debian's package: a process of `crowdsec -no-cs`, driven by `cscli`.
//!
//! Owns its configuration and its database, in a directory of its own. It has no online API, no agent and no hub.

use super::audit::Replies;
use super::client::Request;
use super::process::{Process, artefact};
use super::waiting::eventually;
use hyper::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// A LAPI, running or stopped; port and decisions stay the same.
pub struct Lapi {
    /// Where it listens.
    pub address: SocketAddr,
    /// The key of the one bouncer.
    pub key: String,
    directory: TempDir,
    process: Option<Process>,
    /// Bound without listening, so that no other program gets the port.
    _reserved: TcpSocket,
}

impl Lapi {
    /// Starts a LAPI without decisions and waits until it responds.
    pub async fn start(key: &str) -> Self {
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.set_reuseaddr(true).unwrap();
        reserved.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let mut lapi = Self {
            address: reserved.local_addr().unwrap(),
            key: key.to_owned(),
            directory: TempDir::new().unwrap(),
            process: None,
            _reserved: reserved,
        };
        lapi.configure();
        lapi.cscli(&["machines", "add", "tests", "--password", "tests"])
            .unwrap();
        lapi.cscli(&["bouncers", "add", "tests", "--key", key])
            .unwrap();
        lapi.restart().await;
        lapi
    }

    /// Starts it again, with its decisions, after [`Lapi::stop`].
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "the LAPI is running");
        let mut command = Command::new(program("crowdsec"));
        command.arg("-c").arg(self.config()).arg("-no-cs");
        let mut process = Process::start("crowdsec", &mut command);
        // LAPI does not count a HEAD as a pull of the bouncer.
        let head = self
            .request("/v1/decisions/stream")
            .with_body(Method::HEAD, "");
        eventually("the LAPI responds", async || {
            process.assert_running();
            head.try_send().await.ok().filter(|it| it.status == 200)
        })
        .await;
        self.process = Some(process);
    }

    /// Kills it; its connections are closed.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// The address as a URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A GET with the bouncer's key.
    pub fn request(&self, path: &str) -> Request {
        Request::get(self.address, path, &Replies::default())
            .header("x-api-key", &self.key)
            .header("user-agent", "tests/1")
    }

    /// Adds a decision. Of two for the same scope, value and type, LAPI serves the longer one.
    pub fn add(&self, scope: &str, value: &str, duration: &str, kind: &str) {
        self.cscli(&[
            "decisions",
            "add",
            "--scope",
            scope,
            "--value",
            value,
            "--duration",
            duration,
            "--type",
            kind,
        ])
        .unwrap();
    }

    /// Deletes the decisions for a value, of every type.
    pub fn delete(&self, scope: &str, value: &str) {
        // cscli has no scope here, except that ranges need their own flag.
        let flag = match scope.to_lowercase().as_str() {
            "range" => "--range",
            "ip" => "--ip",
            _ => "--value",
        };
        self.cscli(&["decisions", "delete", flag, value]).unwrap();
    }

    /// Deletes every decision.
    pub fn delete_all(&self) {
        self.cscli(&["decisions", "delete", "--all"]).unwrap();
    }

    /// Imports a CSV file with the header `duration,scope,value`. LAPI keeps the scopes as they are written, so write
    /// `Ip`, `Range`, `Country` and `AS`.
    pub fn import(&self, csv: &str) {
        // cscli's default for the flag, `Ip`, would replace the scopes of the file.
        self.import_with(csv, &["--scope", ""]);
    }

    /// Imports a CSV file with these flags.
    pub fn import_with(&self, csv: &str, flags: &[&str]) {
        let file = self.directory.path().join("import.csv");
        std::fs::write(&file, csv).unwrap();
        let import = ["decisions", "import", "--input", file.to_str().unwrap()];
        self.cscli(&[&import, flags].concat()).unwrap();
    }

    /// The active decisions, as `cscli decisions list` prints them in JSON: alerts with their decisions, or null.
    pub fn list(&self) -> Value {
        let output = self.cscli(&["decisions", "list", "--limit", "0", "--output", "json"]);
        serde_json::from_str(&output.unwrap()).unwrap()
    }

    /// Runs `cscli`; returns its standard output, or its standard error if it fails.
    pub fn cscli(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(program("cscli"))
            .arg("-c")
            .arg(self.config())
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(format!(
                "cscli {}: {}",
                arguments.join(" "),
                text(&output.stderr)
            )),
        }
    }

    fn config(&self) -> std::path::PathBuf {
        self.directory.path().join("config.yaml")
    }

    fn configure(&self) {
        let directory = self.directory.path();
        let file = |name: &str| directory.join(name).display().to_string();
        // JSON is YAML.
        let config = json!({
            "common": {
                "daemonize": false,
                "log_media": "stdout",
                // At `info`, it logs every imported decision.
                "log_level": "warning",
                "working_dir": file(""),
            },
            "config_paths": {
                "config_dir": file(""),
                "data_dir": file(""),
                "simulation_path": file("simulation.yaml"),
                "hub_dir": file("hub"),
                "index_path": file("hub/.index.json"),
                "notification_dir": file("notifications"),
                "plugin_dir": file("plugins"),
            },
            "db_config": {
                "type": "sqlite",
                "db_path": file("crowdsec.db"),
                "use_wal": true,
            },
            "api": {
                "client": {"credentials_path": file("credentials.yaml")},
                "server": {
                    "log_level": "warning",
                    "listen_uri": self.address.to_string(),
                    "profiles_path": file("profiles.yaml"),
                },
            },
            "prometheus": {"enabled": false},
        });
        let profile = json!({
            "name": "default",
            "filters": ["Alert.Remediation == true"],
            "decisions": [{"type": "ban", "duration": "4h"}],
        });
        write(directory, "config.yaml", &config);
        write(directory, "profiles.yaml", &profile);
        write(directory, "simulation.yaml", &json!({"simulation": false}));
        // `cscli machines add` writes the credentials.
        write(directory, "credentials.yaml", &json!({}));
    }
}

fn write(directory: &Path, name: &str, content: &Value) {
    std::fs::write(directory.join(name), content.to_string()).unwrap();
}

fn program(name: &str) -> std::path::PathBuf {
    let (variable, default) = match name {
        "cscli" => ("CSCLI_BIN", ".tools/crowdsec/cscli"),
        _ => ("CROWDSEC_BIN", ".tools/crowdsec/crowdsec"),
    };
    artefact(variable, default, "tools/install crowdsec")
}
