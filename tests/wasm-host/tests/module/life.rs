//! The life of a list: fetched, enforced, kept through failures, taken back.

use portcullis_wasm_host::vm::Answer;
use serde_json::json;

use crate::support::{Envoy, MODULE, ROOT, attacks, clean, config, list, listed};

#[test]
fn it_fetches_blocks_keeps_the_list_and_unblocks() {
    let mut envoy = Envoy::start(&MODULE, 1, &config(), 2);
    for (_, request) in attacks() {
        envoy.assert_passes(&request);
    }
    envoy.run(2_000, &list(&listed()));
    assert_eq!(envoy.calls.len(), 1, "one fetch for all VMs");
    for (kind, request) in attacks() {
        envoy.assert_denied(&request, kind);
    }
    envoy.assert_passes(&clean());

    // ABS fails: the list stays.
    envoy.run(30_000, &Answer::new(503, ""));
    envoy.run(15_000, &Answer::default());
    assert!(envoy.process.metric("fetch.result=status") > 0);
    assert!(envoy.process.metric("fetch.result=reset") > 0);
    for (kind, request) in attacks() {
        envoy.assert_denied(&request, kind);
    }

    // An invalid configuration is refused, and the active one stays.
    for vm in &mut envoy.vms {
        assert!(!vm.configure(ROOT, br#"{"enable_firewal": true}"#).unwrap());
    }
    envoy.assert_denied(&attacks()[0].1, "ip");

    envoy.run(60_000, &list(&json!({"ips": []})));
    for (_, request) in attacks() {
        envoy.assert_passes(&request);
    }

    // The list is back; then fetching is turned off.
    envoy.run(15_000, &list(&listed()));
    envoy.assert_denied(&attacks()[0].1, "ip");
    for vm in &mut envoy.vms {
        vm.create_root(ROOT + 1).unwrap();
        assert!(vm.configure(ROOT + 1, b"{}").unwrap());
        let outcome = vm.request(ROOT + 1, attacks()[0].1.clone()).unwrap();
        assert!(!outcome.stopped);
    }
}
