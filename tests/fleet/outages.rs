//! The server and its upstream are away, killed and restarted: Envoys keep what they have.

use super::fleet::Fleet;
use super::harness::envoy::METRIC_PREFIX;
use super::harness::{eventually, run};
use serde_json::json;

#[test]
fn a_killed_server_costs_no_envoy_its_configuration_or_list() {
    run(async {
        let mut fleet = Fleet::start().await;
        fleet
            .abs
            .list(json!({"cookies": {"session": ["attacker"]}}))
            .await;
        let node = fleet.node("node-1").await;
        let attack = node.get().header("cookie", "session=attacker");
        node.until(&attack, true).await;

        fleet.kill_server();
        let failures = "extension_config_discovery.http_filter.portcullis.update_failure";
        let failed = format!("{METRIC_PREFIX}fetch.result=status");
        eventually("Envoy misses the server twice", async || {
            let configuration = node.envoy.stats(failures).await;
            let lists = node.envoy.stats(&failed).await;
            (configuration.get(failures)? >= &2 && !lists.is_empty()).then_some(())
        })
        .await;
        assert!(node.denies(&attack).await);
        assert!(node.get().send().await.is_allowed());

        // ABS is away too: the restarted server has the list on disk, also for an Envoy that starts now.
        fleet.abs.stop();
        fleet.start_server().await;
        let late = fleet.node("node-2").await;
        let of_late = late.get().header("cookie", "session=attacker");
        late.until(&of_late, true).await;
        assert!(node.denies(&attack).await);

        // Back to normal without help.
        fleet.abs.restart().await;
        fleet
            .abs
            .list(json!({"cookies": {"session": ["another"]}}))
            .await;
        for node in [&node, &late] {
            let another = node.get().header("cookie", "session=another");
            node.until(&another, true).await;
        }
    });
}
