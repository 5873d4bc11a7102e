//! The keys to ABS: who holds them, and what they may not hold.

use crate::background_traffic::BackgroundTraffic;
use crate::every_second;
use crate::harness::envoy::Change;
use crate::harness::{Setup, scenario};
use serde_json::json;

/// Does what the comment in the shipped file tells: the cluster's upstream filters take the place of the comment.
fn with_credential_injector(text: String) -> String {
    let (before, rest) = text
        .split_once("      # -- credential injector --\n")
        .expect("envoy/envoy.yaml should hold the credential injector");
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
fn without_keys_abs_refuses() {
    scenario(every_second().no_keys_in_vm(), async |harness| {
        let background = BackgroundTraffic::clean(harness).await;
        harness.metric_reaches("fetch.result=unauthorized", 1).await;
        assert_eq!(harness.envoy.count("fetch.result=ok").await, 0);
        background.stop(&[]).await;
    });
}

#[test]
fn a_key_with_a_colon_is_refused_and_not_shown() {
    scenario(every_second(), async |harness| {
        let background = BackgroundTraffic::with_list(harness).await;
        // The file that holds it is the operator's, and /config_dump shows it.
        let key = format!("{}:more", harness.secrets.plant_in_configuration("colon"));
        for name in ["access_key", "secret_key"] {
            let change = harness.envoy.configure(json!({"abs": {name: key}})).await;
            assert_eq!(change, Change::Refused);
            harness.envoy.logs(&format!("abs.{name}")).await;
        }
        background.stop(&[]).await;
    });
}
