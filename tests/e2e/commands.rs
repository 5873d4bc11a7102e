//! The command line tool with a running Envoy: each command takes effect within two seconds, and no request fails.

use crate::harness::client::{Connection, Reply, Request};
use crate::harness::envoy::Change;
use crate::harness::process::{artefact, repository};
use crate::harness::stopwatch::Stopwatch;
use crate::harness::traffic::Traffic;
use crate::harness::{Harness, Setup, eventually, scenario, throughout, within};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
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

#[test]
fn status_shows_what_the_running_envoy_enforces() {
    scenario(Setup::new(), async |harness| {
        harness
            .abs
            .list(json!({"ips": ["127.0.0.7"], "usernames": ["mallory"]}))
            .await;
        let mut tool = Tool::of(harness).await;
        tool.listed.becomes("denied", Reply::is_denied).await;

        let status = tool.status().await;
        assert_eq!(status["status"], "started", "{status:#}");
        assert_eq!(
            status["http_ws"],
            json!([harness.bound_port()]),
            "{status:#}"
        );
        assert_eq!(
            status["active_configuration"]["matches_file"], true,
            "{status:#}"
        );
        assert_eq!(status["attack_list_entries"]["ip"], 1, "{status:#}");
        assert_eq!(status["attack_list_entries"]["username"], 1, "{status:#}");
        // The list was fetched, and possibly confirmed since.
        let last_fetch = status["last_fetch"].as_str().unwrap();
        assert!(
            matches!(last_fetch, "success" | "not modified"),
            "{status:#}"
        );
        assert_eq!(status["abs"]["ssl"], "disabled", "{status:#}");
        assert!(
            status["blocked_by_abs"]["ip"].as_u64().unwrap() > 0,
            "{status:#}"
        );
        assert!(
            status["attack_list_memory"]["used_bytes"].as_u64().unwrap() > 0,
            "{status:#}"
        );
        assert_eq!(status["vm_reloads"]["done"], 0, "{status:#}");
        assert_eq!(status["warnings"], json!([]), "{status:#}");

        // The file of another Envoy.
        std::fs::write(
            tool.folder.join("other.json"),
            r#"{"enable_firewall": false}"#,
        )
        .unwrap();
        let other = tool
            .run("portcullis --config other.json status --envoy $ENVOY | grep -c 'does not match'");
        assert_eq!(other, "1\n");
    });
}

#[test]
fn status_reports_a_configuration_that_envoy_refused() {
    scenario(Setup::new(), async |harness| {
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        let mut tool = Tool::of(harness).await;
        tool.listed.becomes("denied", Reply::is_denied).await;
        assert_eq!(tool.status().await["warnings"], json!([]));

        // The tool can't know that this module is missing.
        let missing = Path::new("/nonexistent/module");
        assert_eq!(harness.envoy.take_module(missing).await, Change::Refused);
        let status = tool.status().await;
        assert_eq!(
            status["active_configuration"]["matches_file"], false,
            "{status:#}"
        );
        assert_eq!(status["configuration_updates"]["refused"], 1, "{status:#}");
        assert_eq!(
            status["warnings"],
            json!([
                "the running Envoy refused the newest configuration of \"portcullis\" (update_rejected 1): the previous one \
                 stays active; see check_config and Envoy's log"
            ]),
            "{status:#}"
        );
        tool.listed.becomes("denied", Reply::is_denied).await;

        // After a good one, the refused one is no longer reported.
        harness
            .envoy
            .reconfigure(json!({"deny_list": {"ips": ["127.0.0.9"]}}))
            .await;
        let status = tool.status().await;
        assert_eq!(status["configuration_updates"]["refused"], 1, "{status:#}");
        assert_eq!(status["warnings"], json!([]), "{status:#}");
    });
}

#[test]
fn status_reports_that_envoy_has_no_configuration_at_all() {
    let setup = Setup::new().module(PathBuf::from("/nonexistent/module"));
    scenario(setup, async |harness| {
        let request = harness.get("/");
        harness
            .becomes(&request, "answered with 500", |reply| reply.status == 500)
            .await;
        let tool = Tool::beside(harness);
        let status = tool.status().await;
        assert_eq!(
            status["warnings"],
            json!([
                "the running Envoy refused the newest configuration of \"portcullis\" (update_rejected 1): no configuration \
                 is active, and every request gets 500; see check_config and Envoy's log"
            ]),
            "{status:#}"
        );
    });
}

#[test]
fn status_reports_how_the_last_fetch_ended() {
    scenario(Setup::new(), async |harness| {
        let tool = Tool::of(harness).await;
        harness.metric_becomes("fetch.last_result", 2).await;
        assert_eq!(tool.status().await["last_fetch"], "not modified");
        harness.abs.stop();
        harness.metric_becomes("fetch.last_result", 3).await;
        let status = tool.status().await;
        assert_eq!(status["last_fetch"], "failure", "{status:#}");
        let warnings = status["warnings"].to_string();
        assert!(
            warnings.contains("the last fetch of the attack list failed"),
            "{warnings}"
        );
    });
}

/// The commands in the README's walk-through and their output.
fn documented_commands() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, section) = text.split_once("The switches, in ASE's order\n").unwrap();
    let (section, _) = section.split_once("\n#").unwrap();
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
struct Tool {
    folder: PathBuf,
    program: PathBuf,
    admin: String,
    /// On ABS's list.
    listed: Client,
    /// On the manual deny list.
    manual: Client,
}

impl Tool {
    /// Connects the two clients to each worker.
    async fn of(harness: &Harness) -> Self {
        let mut tool = Self::beside(harness);
        tool.listed = Client::new(harness, "127.0.0.7").await;
        tool.manual = Client::new(harness, "127.0.0.9").await;
        tool
    }

    /// Does not connect the clients.
    fn beside(harness: &Harness) -> Self {
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
    fn run(&self, line: &str) -> String {
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

    async fn status(&self) -> Value {
        serde_json::from_str(&self.run("portcullis status --envoy $ENVOY --output json")).unwrap()
    }
}

/// A client with a connection to each of Envoy's workers.
struct Client {
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
    async fn becomes(&mut self, what: &str, is_expected: impl Fn(&Reply) -> bool) {
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
    fn bound_port(&self) -> u64 {
        u64::from(self.envoy.listener.port())
    }

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
