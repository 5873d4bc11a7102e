//! The setups of the scenarios: feeds without ABS's list, and clients behind a trusted proxy.

use crate::harness::client::Request;
use crate::harness::envoy_files::merge;
use crate::harness::lapi::Lapi;
use crate::harness::{Harness, Setup};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The environment variable with LAPI's key.
pub const KEY_VARIABLE: &str = "CROWDSEC_KEY";

/// LAPI's key; the end of each scenario searches for it.
pub const KEY: &str = "planted-lapi-key";

/// These feeds, and no list of ABS. The client's address is the last one of `x-forwarded-for`.
pub fn setup(feeds: &[Value]) -> Setup {
    Setup::new().trusted_hops(1).plugin(json!({
        "enable_abs_attack": false,
        "feeds": feeds
    }))
}

/// The setup of a feed of this LAPI, with the right key.
pub fn with_lapi(lapi: SocketAddr, feeds: &[Value]) -> Setup {
    setup(feeds)
        .cluster("lapi", lapi)
        .variable(KEY_VARIABLE, KEY)
}

/// A feed of LAPI with a fetch each second, changed by a merge patch (RFC 7396).
pub fn crowdsec(patch: Value) -> Value {
    let mut feed = json!({
        "name": "crowdsec",
        "format": "crowdsec",
        "cluster": "lapi",
        "headers": {"x-api-key": {"env": KEY_VARIABLE}},
        "interval": "1s"
    });
    merge(&mut feed, &patch);
    feed
}

/// A LAPI with [`KEY`].
pub async fn lapi() -> Lapi {
    Lapi::start(KEY).await
}

/// A request from this address.
pub fn from(harness: &Harness, address: &str) -> Request {
    harness.get("/").header("x-forwarded-for", address)
}

/// Waits until a fetch that begins from now on has this result.
pub async fn next_fetch(harness: &Harness, feed: &str, result: &str) {
    let metric = format!("fetch.source={feed}.result={result}");
    // The response to a pending fetch may be older.
    let least = harness.envoy.count(&metric).await + 2;
    harness.metric_reaches(&metric, least).await;
}

/// The lines of the log about failed fetches of this feed so far.
pub fn failures(harness: &Harness, feed: &str) -> Vec<String> {
    let start = format!("fetching the list {feed} failed");
    let log = harness.envoy.log();
    let lines = log.lines().filter(|line| line.contains(&start));
    lines.map(str::to_owned).collect()
}
