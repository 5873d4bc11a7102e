//! The header of list requests that reports on this node.

use crate::harness::{Setup, eventually, scenario};
use serde_json::json;

#[test]
fn abs_receives_the_report_of_this_envoy() {
    let setup = Setup::new()
        .plugin(json!({
            "fleet": {"report": true},
            "allow_list": {"ips": ["127.0.0.10"]}
        }))
        .bootstrap(|text| {
            let shipped = "  id: portcullis\n";
            assert_eq!(text.matches(shipped).count(), 1);
            text.replace(shipped, "  id: 'sidecar~10.0.0.1~edge \"1\"'\n")
        });
    scenario(setup, async |harness| {
        let denied = harness.block("127.0.0.7").await;
        harness.assert_denied(&denied).await;
        harness
            .assert_allowed(&harness.get("/").from("127.0.0.10"))
            .await;
        let total = harness.envoy.count("denied.source=abs.kind=ip").await;
        let generation = harness.envoy.count("attack_list.generation").await;
        let expected = format!(
            "v=1;node=sidecar%7E10.0.0.1%7Eedge%20%221%22;module={};denied=abs.ip:{total};allow_listed=4;lists=abs:{generation}:1",
            env!("CARGO_PKG_VERSION")
        );
        eventually(&format!("ABS receives {expected}"), async || {
            let requests = harness.abs.requests("attacklist").await;
            let report = requests.last()?["headers"]["x-portcullis-node"].as_str()?;
            (report == expected).then_some(())
        })
        .await;
    });
}
