//! The command line tool with a running Envoy: each command takes effect within two seconds, and no request fails.

use crate::harness::client::{Connection, Reply, Request};
use crate::harness::process::{artefact, repository};
use crate::harness::stopwatch::Stopwatch;
use crate::harness::traffic::Traffic;
use crate::harness::{Harness, Setup, eventually, scenario, throughout, within};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The longest a command takes to change what Envoy does.
const EFFECT: Duration = Duration::from_secs(2);

#[test]
fn the_documented_order_of_commands_switches_a_running_envoy() {
    let setup = Setup::new().plugin(json!({
        "deny_list": {"ips": ["127.0.0.9"]},
        "traffic": {"format": "batch", "cluster": null, "flush_interval": "200ms"},
    }));
    scenario(setup, async |harness| {
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        let mut tool = Tool::of(harness).await;
        tool.listed.becomes("denied", Reply::is_denied).await;
        tool.manual.becomes("denied", Reply::is_denied).await;
        let traffic = harness
            .traffic(&harness.get("/background").from("127.0.0.8"), 4)
            .await;

        let mut run = Vec::new();
        for (line, expected) in documented_commands() {
            let printed = tool.run(&line);
            assert_eq!(printed, expected, "{line}");
            let command = line.strip_prefix("portcullis ").unwrap().to_owned();
            match command.as_str() {
                "disable_firewall" => {
                    tool.manual.becomes("allowed", Reply::is_allowed).await;
                    tool.listed.becomes("allowed", Reply::is_allowed).await;
                }
                "enable_firewall" => tool.manual.becomes("denied", Reply::is_denied).await,
                "enable_abs" => harness.records_become_more().await,
                "disable_abs" => harness.records_stay(&traffic).await,
                "enable_abs_attack" => tool.listed.becomes("denied", Reply::is_denied).await,
                "disable_abs_attack" => {
                    tool.listed.becomes("allowed", Reply::is_allowed).await;
                    harness.fetches_stay().await;
                }
                "status" => {}
                other => panic!("this test does not know {other}"),
            }
            run.push(command);
        }
        for command in [
            "enable_firewall",
            "enable_abs",
            "enable_abs_attack",
            "disable_abs_attack",
            "disable_abs",
            "disable_firewall",
        ] {
            assert!(
                run.iter().any(|run| run == command),
                "the README never runs {command}"
            );
        }
        traffic.stop().await.assert_clean();
    });
}

#[test]
fn manual_lists_change_while_envoy_serves() {
    scenario(Setup::new(), async |harness| {
        let mut tool = Tool::of(harness).await;
        let traffic = harness
            .traffic(&harness.get("/background").from("127.0.0.8"), 4)
            .await;

        tool.run("portcullis add_blacklist ip 127.0.0.9");
        tool.manual.becomes("denied", Reply::is_denied).await;
        tool.run("portcullis add_whitelist ip 127.0.0.0/28");
        tool.manual.becomes("allowed", Reply::is_allowed).await;
        tool.run("portcullis clear_whitelist");
        tool.manual.becomes("denied", Reply::is_denied).await;
        tool.run("portcullis delete_blacklist ip 127.0.0.9");
        tool.manual.becomes("allowed", Reply::is_allowed).await;

        traffic.stop().await.assert_clean();
    });
}

/// The commands in the walk-through of docs/ase.md, and their output.
fn documented_commands() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join("docs/ase.md")).unwrap();
    let (_, section) = text.split_once("The switches, in ASE's order\n").unwrap();
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut in_block = false;
    for line in section.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => in_block = true,
            ("```", _) => in_block = false,
            (_, Some(command)) if in_block => commands.push((command.to_owned(), String::new())),
            (printed, None) if in_block => {
                let (_, expected) = commands.last_mut().unwrap();
                expected.push_str(printed);
                expected.push('\n');
            }
            _ => {}
        }
    }
    commands
}

/// The tool for a running Envoy, and two clients with a connection to each worker.
pub struct Tool {
    /// Where it runs: the directory of Envoy's files.
    pub folder: PathBuf,
    program: PathBuf,
    admin: String,
    /// On ABS's list.
    pub listed: Client,
    /// On the manual deny list.
    manual: Client,
}

impl Tool {
    /// Connects the two clients to each worker.
    pub async fn of(harness: &Harness) -> Self {
        let mut tool = Self::beside(harness);
        tool.listed = Client::new(harness, "127.0.0.7").await;
        tool.manual = Client::new(harness, "127.0.0.9").await;
        tool
    }

    /// Does not connect the clients.
    pub fn beside(harness: &Harness) -> Self {
        Self {
            program: artefact("PORTCULLIS_BIN", "target/release/portcullis", "make build"),
            admin: format!("http://{}", harness.envoy.admin_address()),
            folder: harness.envoy.directory().to_owned(),
            listed: Client::idle(harness, "127.0.0.7"),
            manual: Client::idle(harness, "127.0.0.9"),
        }
    }

    /// Runs a line in a shell and returns its output. The environment names the file, so that the line can be the
    /// documented one.
    pub fn run(&self, line: &str) -> String {
        let path = std::env::var("PATH").unwrap();
        let tools = self.program.parent().unwrap().display();
        let output = Command::new("sh")
            .args(["-c", line])
            .current_dir(&self.folder)
            .env("PATH", format!("{tools}:{path}"))
            .env("PORTCULLIS_CONFIG", "filter.json")
            .env("ENVOY", &self.admin)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {words}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `status` prints for programs.
    pub async fn status(&self) -> Value {
        serde_json::from_str(&self.run("portcullis status --envoy $ENVOY --output json")).unwrap()
    }
}

/// A client with a connection to each of Envoy's workers.
pub struct Client {
    request: Request,
    connections: Vec<Connection>,
}

impl Client {
    async fn new(harness: &Harness, address: &str) -> Self {
        let mut client = Self::idle(harness, address);
        client.connections = harness.connections_to_all_workers(&client.request).await;
        client
    }

    fn idle(harness: &Harness, address: &str) -> Self {
        Self {
            request: harness.get("/shop").from(address),
            connections: Vec::new(),
        }
    }

    /// Fails the test unless `is_expected` accepts every worker's reply in time.
    pub async fn becomes(&mut self, what: &str, is_expected: impl Fn(&Reply) -> bool) {
        let Self {
            request,
            connections,
        } = self;
        let what = format!("{request} is {what}");
        let every_worker = async || {
            for connection in connections.iter_mut() {
                if !is_expected(&connection.send(request).await.unwrap()) {
                    return None;
                }
            }
            Some(())
        };
        within(EFFECT, &what, every_worker).await;
    }
}

impl Harness {
    async fn records_become_more(&self) {
        let before = self.abs.counter("traffic_records").await;
        let more = async || (self.abs.counter("traffic_records").await > before).then_some(());
        within(EFFECT, "ABS gets traffic information", more).await;
    }

    /// Pending records may still arrive within the time limit; after that none does, while traffic continues.
    async fn records_stay(&self, traffic: &Traffic) {
        let command = Stopwatch::start();
        let mut records = self.abs.counter("traffic_records").await;
        // When the last record arrived, and the number of requests by then.
        let (mut at, mut good) = (command.elapsed(), traffic.good());
        eventually("400 requests without a record", async || {
            let now = self.abs.counter("traffic_records").await;
            if now != records {
                records = now;
                (at, good) = (command.elapsed(), traffic.good());
            }
            (traffic.good() >= good + 400).then_some(())
        })
        .await;
        assert!(at < EFFECT, "a record arrived {at:?} after the command");
    }

    /// A pending fetch may still end; the interval is 1.2 seconds.
    async fn fetches_stay(&self) {
        let first = self.abs.fetches().await;
        throughout(Duration::from_secs(3), async || {
            assert!(self.abs.fetches().await <= first + 1);
        })
        .await;
    }
}
