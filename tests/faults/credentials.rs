//! The keys to ABS: where they are kept, and what they may not contain.

use crate::background_traffic::BackgroundTraffic;
use crate::every_second;
use crate::harness::envoy::Change;
use crate::harness::{Setup, scenario};
use serde_json::json;

/// Enables the credential injector as the comment in the shipped file says.
fn with_credential_injector(text: String) -> String {
    let (before, rest) = text
        .split_once("      # -- credential injector --\n")
        .expect("envoy/envoy.yaml should have the credential injector");
    let (block, after) = rest
        .split_once("      # -- end of the credential injector --\n")
        .unwrap();
    let uncomment = |block: &str| -> String {
        block
            .lines()
            .map(|line| format!("{}\n", line.replacen("# ", "", 1)))
            .collect()
    };
    let (start, rest) = after
        .split_once("  # -- secrets of the credential injector --\n")
        .unwrap();
    let (secrets, end) = rest
        .split_once("  # -- end of the secrets of the credential injector --")
        .unwrap();
    [before, &uncomment(block), start, &uncomment(secrets), end].concat()
}

#[test]
fn envoy_adds_the_keys_and_the_vm_never_holds_them() {
    let setup: Setup = every_second()
        .no_keys_in_vm()
        .bootstrap(with_credential_injector);
    scenario(setup, async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        assert_eq!(harness.abs.counter("attacklist_unauthorized").await, 0);
        background.stop(&[]).await;
    });
}

#[test]
fn without_keys_abs_refuses_the_fetch() {
    scenario(every_second().no_keys_in_vm(), async |harness| {
        let background = BackgroundTraffic::clean(harness).await;
        harness.metric_reaches("fetch.result=unauthorized", 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
        background.stop(&[]).await;
    });
}

#[test]
fn a_key_with_a_colon_is_refused_and_not_logged() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        // It is in the operator's file, so /config_dump shows it.
        let key = format!("{}:more", harness.secrets.plant_in_configuration("colon"));
        for name in ["access_key", "secret_key"] {
            let change = harness.envoy.configure(json!({"abs": {name: key}})).await;
            assert_eq!(change, Change::Refused);
            harness.envoy.logs(&format!("abs.{name}")).await;
        }
        background.stop(&[]).await;
    });
}
