//! Whose address counts: Envoy decides, and the filter follows.

use crate::rig::{Setup, scenario};
use serde_json::json;

#[test]
fn a_client_can_neither_hide_behind_nor_accuse_another_by_x_forwarded_for() {
    scenario(Setup::new(), async |rig| {
        rig.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        rig.becomes_denied(&rig.get("/").from("127.0.0.7")).await;

        for forged in ["127.0.0.8", "127.0.0.8, 127.0.0.9", "not an address", ""] {
            let hiding = rig
                .get("/")
                .from("127.0.0.7")
                .header("x-forwarded-for", forged)
                .header("x-real-ip", forged)
                .header("forwarded", format!("for={forged}"));
            rig.assert_denied(&hiding).await;
        }
        let accusing = rig
            .get("/")
            .from("127.0.0.8")
            .header("x-forwarded-for", "127.0.0.7");
        rig.assert_allowed(&accusing).await;
    });
}

#[test]
fn x_forwarded_for_counts_as_far_as_the_trusted_hops_reach() {
    scenario(Setup::new().trusted_hops(1), async |rig| {
        rig.abs
            .list(json!({"ips": ["198.51.100.7", "127.0.0.7"]}))
            .await;

        let listed = rig.get("/").header("x-forwarded-for", "198.51.100.7");
        rig.becomes_denied(&listed).await;
        // Entries further left were written by who knows whom.
        rig.assert_denied(
            &rig.get("/")
                .header("x-forwarded-for", "203.0.113.1, 198.51.100.7"),
        )
        .await;
        rig.assert_allowed(
            &rig.get("/")
                .header("x-forwarded-for", "198.51.100.7, 203.0.113.1"),
        )
        .await;
        // The proxy's own address is not the client's.
        rig.assert_allowed(
            &rig.get("/")
                .from("127.0.0.7")
                .header("x-forwarded-for", "203.0.113.1"),
        )
        .await;
    });
}

#[test]
fn x_forwarded_for_counts_through_two_trusted_proxies() {
    scenario(Setup::new().trusted_hops(2), async |rig| {
        rig.abs.list(json!({"ips": ["198.51.100.7"]})).await;

        rig.becomes_denied(
            &rig.get("/")
                .header("x-forwarded-for", "192.0.2.1, 198.51.100.7, 203.0.113.1"),
        )
        .await;
        rig.assert_allowed(
            &rig.get("/")
                .header("x-forwarded-for", "198.51.100.7, 192.0.2.1, 203.0.113.1"),
        )
        .await;
    });
}
