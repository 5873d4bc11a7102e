//! 100,000 decisions of a real LAPI in a real Envoy, and how fast all workers have them.

use crate::harness::client::Request;
use crate::harness::{eventually, play, run, stopwatch::Stopwatch};
use crate::relay::Relay;
use crate::setups::{crowdsec, from, lapi, with_lapi};
use serde_json::json;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const DECISIONS: u32 = 100_000;

/// The longest time until all workers enforce the list, beyond the time that LAPI needs to send it.
const BEYOND_LAPI: Duration = Duration::from_secs(3);

/// Public addresses, one after the other.
fn address(number: u32) -> String {
    Ipv4Addr::from((11 << 24) + number).to_string()
}

#[test]
fn a_large_list_is_active_on_all_workers_within_three_seconds() {
    run(async {
        let lapi = lapi().await;
        let lines = (0..DECISIONS).map(|number| format!("4h,Ip,{}\n", address(number)));
        lapi.import(&format!(
            "duration,scope,value\n{}",
            lines.collect::<String>()
        ));
        let relay = Relay::start(lapi.address).await;
        let feed = crowdsec(json!({"interval": "1h"}));
        play(with_lapi(relay.address, &[feed]), async |harness| {
            harness
                .metric_becomes("fetch.source=crowdsec.last_result", 3)
                .await;
            let last = from(harness, &address(DECISIONS - 1));
            let mut connections = harness.connections_to_all_workers(&last).await;
            let watch = Stopwatch::start();
            relay.open();
            eventually("every worker denies the last address", async || {
                for connection in &mut connections {
                    let reply = connection.send(&last).await.unwrap();
                    if !reply.is_denied() {
                        return None;
                    }
                }
                Some(())
            })
            .await;
            let (active, late) = (Instant::now(), watch.late());
            let calls = relay.calls();
            let [call] = calls[..] else {
                panic!("one fetch is expected: {calls:?}")
            };
            let (sent, beyond) = (call.ended - call.began, active - call.ended);
            println!(
                "{DECISIONS} decisions, {:.1} MB: LAPI sent them in {sent:.2?}; all workers enforced them {beyond:.2?} \
                 later, {late:.2?} of it on a busy machine",
                call.bytes as f64 / 1e6
            );
            assert!(beyond < BEYOND_LAPI + late, "{beyond:?} after LAPI's last byte");

            let entries = "attack_list.source=crowdsec.entries.kind=ip";
            assert_eq!(harness.envoy.count(entries).await, u64::from(DECISIONS));
            for number in [0, 1, DECISIONS / 2, DECISIONS - 1] {
                harness.assert_denied(&from(harness, &address(number))).await;
            }
            let neighbours: Vec<Request> = [address(DECISIONS), "10.255.255.255".to_owned()]
                .iter()
                .map(|address| from(harness, address))
                .collect();
            for neighbour in &neighbours {
                harness.assert_allowed(neighbour).await;
            }
        })
        .await;
    });
}
