//! A gateway changes between the native and the wasm module while it serves, by its filter file.

use crate::harness::artefact::Artefact;
use crate::harness::client::Reply;
use crate::harness::envoy::Change;
use crate::harness::envoy_files;
use crate::harness::{Setup, scenario};
use serde_json::{Value, json};

/// Replies to denied clients that say which module denies.
fn setup(artefact: Artefact) -> Setup {
    Setup::new()
        .artefact(artefact)
        .plugin(json!({"deny_response": {"body": body(artefact)}}))
}

fn body(artefact: Artefact) -> String {
    format!("denied by {artefact:?}")
}

/// A filter file with both filters: the first one judges first.
fn both(filters: [&Value; 2]) -> Value {
    let filters = filters.map(|filter| {
        let resource = &filter["resources"][0];
        json!({"name": resource["name"], "typed_config": resource["typed_config"]})
    });
    json!({"resources": [{
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "portcullis",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig",
            "default_filter_chain": {"filters": filters},
        },
    }]})
}

/// As docs/native.md says: first both filters, then only the new one, once it has its list.
#[test]
fn a_gateway_changes_to_the_other_module_and_back_and_judges_every_request() {
    if Artefact::Native.is_left_out("the oldest Envoys of these tests load no native module") {
        return;
    }
    scenario(setup(Artefact::Native), async |harness| {
        let is_denied = |reply: &Reply| reply.status == 403 && !reply.is_from_api();
        harness.abs.list(json!({"ips": ["127.0.0.7"]})).await;
        let listed = harness.get("/").from("127.0.0.7");
        harness.becomes(&listed, "denied", is_denied).await;
        let directory = harness.envoy.directory().to_owned();
        let native = envoy_files::filter(&setup(Artefact::Native), &directory);
        let wasm = envoy_files::filter(&setup(Artefact::Wasm), &directory);
        let clean = harness.get("/").from("127.0.0.8");
        let passing = harness
            .traffic_on_every_worker(&clean, Reply::is_allowed)
            .await;
        let blocked = harness.traffic_on_every_worker(&listed, is_denied).await;

        for (old, new, artefact) in [
            (&native, &wasm, Artefact::Wasm),
            (&wasm, &native, Artefact::Native),
        ] {
            let change = harness.envoy.take_filter(both([new, old])).await;
            assert_eq!(change, Change::Accepted);
            let of_new = |reply: &Reply| reply.body == body(artefact);
            harness.becomes(&listed, &body(artefact), of_new).await;
            let change = harness.envoy.take_filter(new.clone()).await;
            assert_eq!(change, Change::Accepted);
            passing.wait_for_more(200).await;
            blocked.wait_for_more(200).await;
            // The new one fetches.
            let entry = format!("127.0.0.{}", 9 + u8::from(artefact == Artefact::Wasm));
            let list = json!({"ips": ["127.0.0.7", entry]});
            harness.abs.list(list).await;
            let entry = harness.get("/").from(&entry);
            harness.becomes(&entry, &body(artefact), of_new).await;
        }

        passing.stop().await.assert_clean();
        blocked.stop().await.assert_clean();
    });
}
