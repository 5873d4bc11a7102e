//! A change reaches every Envoy, and one that is not valid none.

use super::fleet::{Fleet, Node, REFRESH_DELAY};
use super::harness::{eventually, run, within};
use std::time::Duration;

/// Reading the file, the response, and a new VM in each Envoy.
const APPLIED: Duration = Duration::from_secs(2);

#[test]
fn a_command_on_the_server_applies_to_all_envoys_within_two_refresh_delays() {
    run(async {
        let fleet = Fleet::start().await;
        let nodes = [fleet.node("node-1").await, fleet.node("node-2").await];
        let blocked = |node: &Node| node.get().header("x-api-key", "listed-key");
        let added = fleet.command(&["add_blacklist", "api_key", "listed-key"]);
        assert!(added.status.success(), "{added:?}");
        for node in &nodes {
            node.until(&blocked(node), true).await;
        }
        for (command, denied) in [("disable_firewall", false), ("enable_firewall", true)] {
            assert!(fleet.command(&[command]).status.success());
            within(2 * REFRESH_DELAY + APPLIED, command, async || {
                for node in &nodes {
                    // No request fails meanwhile.
                    assert!(node.get().send().await.is_allowed());
                    if node.denies(&blocked(node)).await != denied {
                        return None;
                    }
                }
                Some(())
            })
            .await;
        }
    });
}

#[test]
fn an_invalid_file_reaches_no_envoy() {
    run(async {
        let fleet = Fleet::start().await;
        let node = fleet.node("node-1").await;
        assert!(
            fleet
                .command(&["add_blacklist", "ip", "127.0.0.1"])
                .status
                .success()
        );
        node.until(&node.get(), true).await;
        let valid = std::fs::read_to_string(fleet.path("filters/portcullis.json")).unwrap();
        let invalid = valid.replace("\"enable_firewall\":true", "\"enable_firewall\":\"no\"");
        assert_ne!(invalid, valid);
        fleet.write_filter(&invalid);
        eventually("the server refuses the file", async || {
            fleet.log().contains("enable_firewall: found").then_some(())
        })
        .await;
        let before = node.envoy.stats(ATTEMPTS).await;
        eventually("Envoy asks twice", async || {
            let now = node.envoy.stats(ATTEMPTS).await;
            (now[ATTEMPTS] >= before[ATTEMPTS] + 2).then_some(())
        })
        .await;
        assert!(node.denies(&node.get()).await);
    });
}

/// The number of requests for the filter's configuration.
const ATTEMPTS: &str = "extension_config_discovery.http_filter.portcullis.update_attempt";

#[test]
fn an_envoy_without_the_token_gets_nothing() {
    run(async {
        let fleet = Fleet::start().await;
        let node = Node::start(&fleet, "stranger", "another-token-of-16-bytes").await;
        let reply = node.get().send().await;
        assert_eq!(reply.status, 500);
        let nodes = fleet.get("/v1/nodes").await;
        assert!(!nodes.to_string().contains("stranger"), "{nodes}");
    });
}
