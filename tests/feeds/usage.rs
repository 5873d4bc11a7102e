//! Usage metrics: the filter's report at the simulator's LAPI, and a feed that reports in a real Envoy.
//!
//! The time between two reports is 15 minutes, so no report of a real Envoy comes within a test: `tests/lifecycle` has the
//! schedule and the numbers. The real LAPI of these tests is too old for usage metrics.

use crate::harness::audit::Replies;
use crate::harness::client::Request;
use crate::harness::services::Abs;
use crate::harness::{play, run};
use crate::setups::{KEY, crowdsec, from, next_fetch, with_lapi};
use core::time::Duration;
use hyper::Method;
use portcullis::feed::crowdsec::usage::{Usage, request_path};
use serde_json::{Value, json};

async fn lapi() -> Abs {
    Abs::start("access", "secret", &["--lapi-key", KEY].map(str::to_owned)).await
}

#[test]
fn lapi_accepts_a_report() {
    run(async {
        let lapi = lapi().await;
        let usage = Usage {
            processed: 20,
            dropped: 3,
            window: Duration::from_secs(900),
            unix_now: Duration::from_secs(1_795_428_930),
            unix_start: Duration::from_secs(1_795_428_000),
        };
        let body = usage.to_json(&["crowdsec".to_owned()]);
        let path = request_path("/v1/decisions/stream");
        let reply = Request::get(lapi.address, &path, &Replies::default())
            .with_body(Method::POST, body.clone())
            .header("x-api-key", KEY)
            .send()
            .await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let accepted = lapi.admin(Method::GET, "/admin/usage-metrics", None).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(accepted, json!([body]));
    });
}

#[test]
fn a_feed_that_reports_counts_requests_and_sends_nothing_at_first() {
    run(async {
        let lapi = lapi().await;
        lapi.add_decisions(json!({"value": "203.0.113.7"})).await;
        let feed = crowdsec(json!({"usage_metrics": true}));
        play(with_lapi(lapi.address, &[feed]), async |harness| {
            harness.becomes_denied(&from(harness, "203.0.113.7")).await;
            for _ in 0..20 {
                harness.assert_allowed(&from(harness, "203.0.113.8")).await;
            }
            harness.metric_reaches("requests", 21).await;
            next_fetch(harness, "crowdsec", "ok").await;
            assert_eq!(lapi.counter("usage_metrics").await, 0);
            // The first tick of the lease's owner reads the metrics.
            let log = harness.envoy.log();
            assert!(!log.contains("was not read"), "{log}");
        })
        .await;
    });
}
