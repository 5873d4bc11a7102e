//! A feed of each other format than ABS's: its list server fails.

use crate::background_traffic::{CLEAN, LISTED};
use crate::harness::client::{Reply, Request};
use crate::harness::envoy::METRIC_PREFIX;
use crate::harness::services::Abs;
use crate::harness::traffic::Traffic;
use crate::harness::{Harness, Setup, eventually, eventually_or, play, run_beside};
use crate::matrix::{Row, documented, row};
use crate::scripted_server::{ScriptedServer, length, ok};
use crate::watch::complaints;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The rows that the test below shows. The feeds are in the names of their metrics.
pub const ROWS: &[Row] = &[
    Row {
        fault: "feed_status_500",
        what: "the list server fails",
        metrics: &[
            "fetch.source=crowdsec.result=status",
            "fetch.source=revoked.result=status",
            "fetch.source=text_500.result=status",
        ],
        log: &[("status 500", 3)],
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
    Row {
        fault: "feed_slow",
        what: "no response within the feed's `timeout`",
        metrics: &[
            "fetch.source=crowdsec.result=timeout",
            "fetch.source=revoked.result=timeout",
            "fetch.source=text_slow.result=timeout",
        ],
        log: &[("within timeout of the feed", 3)],
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
    Row {
        fault: "feed_html",
        what: "an HTML page with status 200",
        metrics: &[
            "fetch.source=crowdsec.result=malformed",
            "fetch.source=revoked.result=malformed",
            "fetch.source=text_html.result=malformed",
        ],
        log: &[("failed (malformed)", 3)],
        documented: documented::UNUSABLE_LIST,
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
    Row {
        fault: "feed_truncated",
        what: "the connection closes within the body",
        metrics: &[
            "fetch.source=crowdsec.result=reset",
            "fetch.source=revoked.result=reset",
            "fetch.source=text_truncated.result=reset",
        ],
        log: &[("it was interrupted", 3)],
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
    Row {
        fault: "feed_redirect",
        what: "a redirect to a sign-in page, which is not followed",
        metrics: &[
            "fetch.source=crowdsec.result=status",
            "fetch.source=revoked.result=status",
            "fetch.source=text_redirect.result=status",
        ],
        log: &[("redirects to \"https://lists.example.com/login\"", 3)],
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
    Row {
        fault: "feed_wrong_key",
        what: "the list server does not accept the key",
        metrics: &[
            "fetch.source=crowdsec.result=unauthorized",
            "fetch.source=revoked.result=unauthorized",
            "fetch.source=text_key.result=unauthorized",
        ],
        log: &[("status 403", 3)],
        documented: documented::KEYS,
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
    Row {
        fault: "feed_away",
        what: "the list server goes away",
        metrics: &[
            "fetch.source=crowdsec.result=status",
            "fetch.source=revoked.result=status",
            "fetch.source=text_away.result=status",
        ],
        log: &[("status 503", 3)],
        test: "feeds::a_feed_of_each_format_fails",
        ..Row::BASE
    },
];

const PAGE: &str = "<!DOCTYPE html><html><body>Sign in</body></html>";
const LOGIN: &str = "https://lists.example.com/login";
const KEY: &str = "planted-lapi-key";

/// A text list is fetched once a minute at most.
const NEXT_TEXT_FETCH: Duration = Duration::from_secs(120);

/// Text feeds, each with the end of its listed client's address. Each has one of the faults at its second fetch.
const TEXTS: [(&str, u8); 7] = [
    ("text_500", 1),
    ("text_slow", 2),
    ("text_html", 3),
    ("text_truncated", 4),
    ("text_redirect", 5),
    ("text_key", 6),
    ("text_away", 7),
];

fn text_client(end: u8) -> String {
    format!("127.0.2.{end}")
}

fn feed(name: &'static str, format: &str, cluster: &str, path: &str) -> Value {
    json!({"name": name, "format": format, "cluster": cluster, "path": path, "timeout": "3s"})
}

/// The server that sends a text feed's list, then its fault.
fn server_of(name: &str, end: u8) -> ScriptedServer {
    let body = format!("# a list\n{}\n", text_client(end));
    let good = ok(&length(body.as_bytes()), body.as_bytes());
    let head = |line: &str, headers: &str| {
        format!("HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n")
    };
    let fault = match name {
        "text_500" => head("500 Internal Server Error", "").into_bytes(),
        "text_key" => head("403 Forbidden", "").into_bytes(),
        "text_redirect" => head("302 Found", &format!("location: {LOGIN}\r\n")).into_bytes(),
        "text_html" => ok("content-type: text/html\r\n", PAGE.as_bytes()),
        "text_truncated" => ok(&length(body.as_bytes()), &body.as_bytes()[..12]),
        _ => good.clone(),
    };
    let server = ScriptedServer::start(&good);
    server.respond_in_turn(vec![good, fault]);
    server
}

/// The state of a feed before a fault.
struct FeedWatch {
    fault: &'static str,
    feed: &'static str,
    metrics: BTreeMap<String, u64>,
    n_lines: usize,
}

impl FeedWatch {
    /// Of the row's feed whose name begins like this.
    async fn begin(harness: &Harness, fault: &'static str, feed: &str) -> Self {
        let names = row(fault).metrics.iter();
        let mut names = names.filter_map(|metric| metric.split(['=', '.']).nth(2));
        let feed = names.find(|name| name.starts_with(feed)).unwrap();
        Self {
            fault,
            feed,
            metrics: fetches(harness, feed).await,
            n_lines: lines(harness, feed).len(),
        }
    }

    /// Waits for the feed's part of the row: its metric and its line of the log, and nothing else.
    async fn expect_effects(&self, harness: &Harness, deadline: Duration) {
        let Self { fault, feed, .. } = self;
        let what = format!("{fault} of the feed {feed}");
        let source = format!("source={feed}.");
        let row = row(fault);
        let rising = row.metrics.iter().find(|metric| metric.contains(&source));
        let rising = rising.unwrap();
        let before = |metric: &str| self.metrics.get(metric).copied().unwrap_or(0);
        let new_lines = eventually_or(
            &what,
            deadline,
            async || {
                let lines = lines(harness, feed).split_off(self.n_lines);
                let has_risen = harness.envoy.count(rising).await > before(rising);
                (has_risen && !lines.is_empty()).then_some(lines)
            },
            || format!("{:#?}", lines(harness, feed)),
        )
        .await;
        let [line] = &new_lines[..] else {
            panic!("{what}: one line is expected: {new_lines:#?}");
        };
        for text in [row.log[0].0, "the active list stays"] {
            assert!(line.contains(text), "{what}: {text} is missing: {line}");
        }
        for (metric, now) in fetches(harness, feed).await {
            let is_good = metric.ends_with("=ok") || metric.ends_with("=not_modified");
            let is_expected = is_good || metric == *rising || now == before(&metric);
            assert!(is_expected, "{what}: {metric} is {now}");
        }
    }

    /// Waits until the log reports that the feed works again.
    async fn expect_recovery(&self, harness: &Harness) {
        let recovered = format!("fetching the list {} works again", self.feed);
        let n_failures = self.n_lines + 1;
        let what = format!("{} of the feed {} has ended", self.fault, self.feed);
        eventually(&what, async || {
            let n = harness.envoy.log().matches(&recovered).count();
            (n >= n_failures).then_some(())
        })
        .await;
    }
}

/// The counters of a feed's fetches.
async fn fetches(harness: &Harness, feed: &str) -> BTreeMap<String, u64> {
    let start = format!("{METRIC_PREFIX}fetch.source={feed}.result=");
    let stats = harness.envoy.stats(&start).await.into_iter();
    stats
        .map(|(name, value)| (name.replace(METRIC_PREFIX, ""), value))
        .collect()
}

/// The filter's warnings and errors about a feed so far.
fn lines(harness: &Harness, feed: &str) -> Vec<String> {
    let name = format!("list {feed} ");
    let mut lines = complaints(harness);
    lines.retain(|line| line.contains(&name));
    lines
}

/// The simulator with the lists of the feeds `crowdsec` and `revoked`.
async fn simulator() -> Abs {
    let server = Abs::start("access", "secret", &["--lapi-key", KEY].map(str::to_owned)).await;
    server.add_decisions(json!({"value": LISTED})).await;
    server.store("/tokens/revoked", r#"["token-1"]"#).await;
    server
}

/// The simulator with the list of the feed `text_slow`.
async fn slow_simulator() -> Abs {
    let server = Abs::start("access", "secret", &[]).await;
    let list = format!("{}\n", text_client(2));
    server.store("/lists/text_slow", &list).await;
    server
}

/// `of_text`: the server of each text feed.
fn setup(server: &Abs, of_text: &[(&'static str, SocketAddr)]) -> Setup {
    let mut crowdsec = feed("crowdsec", "crowdsec", "lists", "/v1/decisions/stream");
    crowdsec["headers"] = json!({"x-api-key": {"env": "LAPI_KEY"}});
    let mut feeds = vec![
        crowdsec,
        feed("revoked", "tokens", "lists", "/tokens/revoked"),
    ];
    for feed in &mut feeds {
        feed["interval"] = json!("1s");
    }
    let mut setup = Setup::new()
        .cluster("lists", server.address)
        .variable("LAPI_KEY", KEY);
    for (name, address) in of_text {
        setup = setup.cluster(name, *address);
        let mut text = feed(name, "text", name, &format!("/lists/{name}"));
        text["interval"] = json!("1m");
        // The clients have loopback addresses.
        text["special_ranges"] = json!(true);
        feeds.push(text);
    }
    setup.plugin(json!({"enable_abs_attack": false, "feeds": feeds}))
}

#[test]
fn a_feed_of_each_format_fails() {
    // Most of the time, the text lists wait for their second fetch.
    run_beside(async {
        let mut server = simulator().await;
        let slow = slow_simulator().await;
        let scripted = TEXTS.iter().filter(|(name, _)| *name != "text_slow");
        let scripted = scripted.map(|(name, end)| (*name, server_of(name, *end)));
        let mut scripted: BTreeMap<_, _> = scripted.collect();
        let of_text = scripted
            .iter()
            .map(|(name, server)| (*name, server.address));
        let of_text: Vec<_> = of_text.chain([("text_slow", slow.address)]).collect();
        play(setup(&server, &of_text), async |harness| {
            let payload = URL_SAFE_NO_PAD.encode(r#"{"jti":"token-1"}"#);
            let token = harness.get("/").bearer(&format!("e30.{payload}.c2ln"));
            let decision = harness.get("/").from(LISTED);
            let mut listed: Vec<Request> = TEXTS
                .iter()
                .map(|(_, end)| harness.get("/").from(&text_client(*end)))
                .collect();
            listed.extend([token, decision]);
            for request in &listed {
                harness.becomes_denied(request).await;
            }
            let clean = harness.get("/").from(CLEAN);
            let mut traffic: Vec<Traffic> = Vec::new();
            traffic.push(
                harness
                    .traffic_on_every_worker(&clean, Reply::is_allowed)
                    .await,
            );
            for request in &listed[listed.len() - 2..] {
                let denied = harness.traffic_on_every_worker(request, Reply::is_denied);
                traffic.push(denied.await);
            }
            let faults_of_text = [
                "feed_status_500",
                "feed_slow",
                "feed_html",
                "feed_truncated",
                "feed_redirect",
                "feed_wrong_key",
                "feed_away",
            ];
            let mut watches_of_text = Vec::new();
            for fault in faults_of_text {
                watches_of_text.push(FeedWatch::begin(harness, fault, "text").await);
            }
            scripted.remove("text_away");
            slow.fault(json!({"delay_ms": 600_000, "endpoint": "lists"}))
                .await;

            for (fault, how) in [
                ("feed_status_500", json!({"status": 500})),
                ("feed_slow", json!({"delay_ms": 600_000})),
                (
                    "feed_html",
                    json!({"body": PAGE, "content_type": "text/html"}),
                ),
                ("feed_truncated", json!({"truncate_at": 12})),
                ("feed_redirect", json!({"redirect": LOGIN})),
                ("feed_wrong_key", json!({"status": 403})),
            ] {
                let mut watches = Vec::new();
                for (feed, endpoint) in [("crowdsec", "decisions"), ("revoked", "tokens")] {
                    watches.push(FeedWatch::begin(harness, fault, feed).await);
                    let mut how = how.clone();
                    how["endpoint"] = json!(endpoint);
                    server.fault(how).await;
                }
                for watch in &watches {
                    watch.expect_effects(harness, NEXT_TEXT_FETCH).await;
                }
                server.clear_faults().await;
                for watch in &watches {
                    watch.expect_recovery(harness).await;
                }
            }
            for watch in &watches_of_text {
                watch.expect_effects(harness, NEXT_TEXT_FETCH).await;
            }
            let mut watches = Vec::new();
            for feed in ["crowdsec", "revoked"] {
                watches.push(FeedWatch::begin(harness, "feed_away", feed).await);
            }
            server.stop();
            for watch in &watches {
                watch.expect_effects(harness, NEXT_TEXT_FETCH).await;
            }
            for request in &listed {
                harness.assert_denied(request).await;
            }
            for one in traffic {
                one.stop().await.assert_clean();
            }
        })
        .await;
    });
}
