//! `status` with a running Envoy: it finds what is wrong, and reassures only if nothing is.

use crate::commands::Tool;
use crate::harness::artefact::Artefact;
use crate::harness::client::Reply;
use crate::harness::envoy::Change;
use crate::harness::{Harness, Setup, eventually, scenario, within};
use crate::native::with_extension;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest time from one fetch to the next: the interval and its jitter.
const INTERVAL: Duration = Duration::from_millis(1_320);

/// The time that one run of the tool may take.
const RUN: Duration = Duration::from_secs(1);

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

        // A refused one with a version.
        let text = std::fs::read_to_string(tool.folder.join("filter.json")).unwrap();
        let mut filter: Value = serde_json::from_str(&text).unwrap();
        Artefact::of(&filter).set_module(&mut filter, missing, &tool.folder);
        filter["version_info"] = json!("7");
        assert_eq!(harness.envoy.take_filter(filter).await, Change::Refused);
        let status = tool.status().await;
        assert_eq!(status["refused_version"], "7", "{status:#}");
        assert_eq!(status["blocking"]["state"], "unknown", "{status:#}");
        let warnings = status["warnings"].to_string();
        assert!(
            warnings.contains("(update_rejected 2, version 7)"),
            "{warnings}"
        );
    });
}

#[test]
fn status_reports_a_file_that_is_not_for_this_envoy() {
    scenario(Setup::new(), async |harness| {
        let tool = Tool::of(harness).await;
        harness.metric_becomes("fetch.last_result", 2).await;
        let path = tool.folder.join("filter.json");
        let text = std::fs::read_to_string(path).unwrap();
        let mut filter: Value = serde_json::from_str(&text).unwrap();
        // The configuration itself is the same.
        filter["resources"][0]["name"] = json!("another");
        assert_eq!(harness.envoy.take_filter(filter).await, Change::Refused);
        eventually("status reports the file", async || {
            let warnings = tool.status().await["warnings"].to_string();
            warnings
                .contains("filter.json was changed after the newest configuration")
                .then_some(())
        })
        .await;
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
fn status_finds_a_dead_abs_within_one_interval() {
    scenario(Setup::new(), async |harness| {
        let tool = Tool::of(harness).await;
        harness.metric_becomes("fetch.last_result", 2).await;
        let status = tool.status().await;
        assert_eq!(status["last_fetch"], "not modified", "{status:#}");
        assert_eq!(status["failing_fetches"], json!([]), "{status:#}");
        harness.abs.stop();
        let what = "status reports that fetches fail";
        let status = within(INTERVAL + RUN, what, async || {
            let status = tool.status().await;
            (status["failing_fetches"] == json!(["abs"])).then_some(status)
        })
        .await;
        assert_eq!(status["last_fetch"], "failure", "{status:#}");
        let warnings = status["warnings"].to_string();
        assert!(
            warnings.contains("the last fetch of the attack list failed"),
            "{warnings}"
        );
        assert_eq!(status["panics"], panics(), "{status:#}");
        assert_eq!(exit_code(&tool), "3\n");
        harness.abs.restart().await;
        let recovered = async || (exit_code(&tool) == "0\n").then_some(());
        eventually("status finds nothing wrong", recovered).await;
    });
}

#[test]
fn status_says_why_a_fetch_of_the_native_module_fails() {
    if Artefact::Native.is_left_out("only the native module has a page in the admin interface") {
        return;
    }
    let setup = Setup::new().bootstrap(|text| with_extension(&text, "30s"));
    scenario(setup, async |harness| {
        let tool = Tool::of(harness).await;
        harness.metric_becomes("fetch.last_result", 2).await;
        harness.abs.fault(json!({"status": 500})).await;
        eventually("status names the status of the response", async || {
            let status = tool.status().await;
            let warnings = status["warnings"].to_string();
            (warnings.contains(" s): ") && warnings.contains("500")).then_some(())
        })
        .await;
    });
}

#[test]
fn status_says_whether_envoy_blocks() {
    scenario(Setup::new(), async |harness| {
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        let mut tool = Tool::of(harness).await;
        tool.listed.becomes("denied", Reply::is_denied).await;
        assert_eq!(
            blocking(&tool).await,
            json!({"state": "yes", "reasons": []})
        );

        tool.run("portcullis shadow on");
        tool.listed.becomes("allowed", Reply::is_allowed).await;
        let reasons = json!(["shadow mode only counts"]);
        assert_eq!(
            blocking(&tool).await,
            json!({"state": "no", "reasons": reasons})
        );
        tool.run("portcullis shadow off");
        tool.run("portcullis disable_firewall");
        tool.listed.becomes("allowed", Reply::is_allowed).await;

        // What runs counts, without a file too.
        let without = "portcullis --config nowhere.json status --envoy $ENVOY | head -2";
        assert_eq!(
            tool.run(without),
            "Portcullis\nblocking                : no: enable_firewall is false\n"
        );
    });
}

#[test]
fn status_finds_a_limit_on_denied_requests_that_is_exceeded() {
    let setup = Setup::new().plugin(json!({"guard": {"max_denied_percent": 60}}));
    scenario(setup, async |harness| {
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        let listed = harness.get("/").from("127.0.0.7");
        harness.becomes_denied(&listed).await;
        let tool = Tool::beside(harness);
        assert_eq!(blocking(&tool).await["state"], "yes");
        let either = |reply: &Reply| reply.is_denied() || reply.is_allowed();
        let traffic = harness.traffic_on_every_worker(&listed, either).await;
        eventually("status reports that the list only counts", async || {
            let blocking = blocking(&tool).await;
            (blocking["state"] == "no").then_some(())
        })
        .await;
        traffic.stop().await.assert_clean();
    });
}

/// Only the native module counts them.
fn panics() -> Value {
    match Artefact::under_test() {
        Artefact::Native => json!(0),
        Artefact::Wasm => Value::Null,
    }
}

/// Whether clients are blocked, as `status` says.
async fn blocking(tool: &Tool) -> Value {
    tool.status().await["blocking"].clone()
}

/// That of `status --exit-code`, as a line.
fn exit_code(tool: &Tool) -> String {
    tool.run("portcullis status --envoy $ENVOY --exit-code > /dev/null; echo $?")
}

impl Harness {
    fn bound_port(&self) -> u64 {
        u64::from(self.envoy.listener.port())
    }
}
