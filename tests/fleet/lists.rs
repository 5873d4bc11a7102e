//! The server fetches a list once for all Envoys, with credentials that no Envoy has.

use super::fleet::Fleet;
use super::harness::{eventually, run};
use serde_json::{Value, json};

#[test]
fn a_list_is_fetched_once_for_all_envoys_and_enforced_by_each() {
    run(async {
        let fleet = Fleet::start().await;
        fleet
            .abs
            .list(json!({"cookies": {"session": ["attacker"]}, "ips": ["192.0.2.0/24"]}))
            .await;
        let nodes = [fleet.node("node-1").await, fleet.node("node-2").await];
        for node in &nodes {
            let attack = node.get().header("cookie", "session=attacker");
            node.until(&attack, true).await;
            assert!(node.get().send().await.is_allowed());
        }
        // Each Envoy asks the server as often as the server asks ABS.
        let fetches = fleet.abs.fetches().await;
        let mut asked = 0;
        for node in &nodes {
            let requests = "cluster.portcullis.upstream_rq_total";
            asked += node.envoy.stats(requests).await[requests];
        }
        assert!(fetches < asked, "{fetches} upstream, {asked} by the Envoys");
        // The next list is enforced, and the one before it no more.
        fleet
            .abs
            .unlist(json!({"cookies": {"session": ["attacker"]}}))
            .await;
        for node in &nodes {
            let attack = node.get().header("cookie", "session=attacker");
            node.until(&attack, false).await;
        }
    });
}

#[test]
fn the_server_knows_its_nodes_their_lists_and_what_they_denied() {
    run(async {
        let fleet = Fleet::start().await;
        fleet
            .abs
            .list(json!({"cookies": {"session": ["attacker"]}}))
            .await;
        let node = fleet.node("node-1").await;
        let attack = node.get().header("cookie", "session=attacker");
        node.until(&attack, true).await;
        let known = eventually("the report of the node", async || {
            let nodes = fleet.get("/v1/nodes").await;
            let node = nodes["nodes"].as_array()?.first()?.clone();
            (node["denied"]["abs"]["cookie"].as_u64()? > 0).then_some(node)
        })
        .await;
        assert_eq!(known["id"], "node-1");
        assert_eq!(known["cluster"], "edge");
        assert_eq!(known["state"], "current");
        let lists: &Value = &known["lists"];
        assert!(lists.to_string().contains("abs"), "{known}");
    });
}
