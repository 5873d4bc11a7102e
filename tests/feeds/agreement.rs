//! The simulator's replies, as the release of the real LAPI, are those of the real LAPI, field by field.

use crate::harness::audit::Replies;
use crate::harness::client::{Reply, Request};
use crate::harness::lapi::Lapi;
use crate::harness::run;
use crate::harness::services::Abs;
use hyper::Method;
use serde_json::{Value, json};

/// Queries of the stream after `?`.
const QUERIES: [&str; 21] = [
    "startup=true",
    "startup=TRUE",
    "startup=true&scopes=ip",
    "startup=true&scopes=IP,RANGE",
    "startup=true&scopes=username,session",
    "startup=true&scopes=USERNAME",
    "startup=true&scopes=country,as",
    "startup=true&scopes=ip&scopes=range",
    "startup=true&scopes=",
    "startup=true&origins=cscli",
    "startup=true&origins=CSCLI",
    "startup=true&origins=lists,cscli-import",
    "startup=true&scenarios_containing=BAN",
    "startup=true&scenarios_containing=http,captcha",
    "startup=true&scenarios_not_containing=captcha,manual-import",
    "startup=true&type=captcha",
    "startup=true&value=192.0.2.1",
    "startup=true&scopes=ip,username&type=ban&origins=cscli",
    "startup=true&simulated=false",
    "startup=false",
    "",
];

/// A real LAPI and the simulator as the same release, with the same key.
struct Servers {
    real: Lapi,
    simulated: Abs,
    key: &'static str,
}

impl Servers {
    async fn start() -> Self {
        let key = "key-1";
        let real = Lapi::start(key).await;
        let arguments = ["--lapi-key", key].map(str::to_owned);
        let simulated = Abs::start("access", "secret", &arguments).await;
        let release = json!({"release": "1.4"});
        simulated
            .admin(Method::POST, "/admin/lapi", Some(release))
            .await;
        Self {
            real,
            simulated,
            key,
        }
    }

    async fn add(&self, scope: &str, value: &str, duration: &str, kind: &str) {
        self.real.add(scope, value, duration, kind);
        let scenario = format!("manual '{kind}' from 'tests'");
        let decision = json!({"scope": scope, "value": value, "duration": duration, "type": kind, "scenario": scenario});
        self.simulated.add_decisions(decision).await;
    }

    async fn delete(&self, scope: &str, value: &str) {
        self.real.delete(scope, value);
        let named = json!({"scope": scope, "value": value});
        self.simulated.end_decisions(named).await;
    }

    /// The replies of both.
    async fn replies(&self, method: Method, path: &str, key: Option<&str>) -> [Reply; 2] {
        let mut replies = Vec::new();
        for address in [self.real.address, self.simulated.address] {
            let mut request = Request::get(address, path, &Replies::default())
                .with_body(method.clone(), "")
                .header("user-agent", "tests/1");
            if let Some(key) = key {
                request = request.header("x-api-key", key);
            }
            replies.push(request.send().await);
        }
        replies.try_into().unwrap()
    }

    /// Fails unless both streams are the same for every query.
    async fn assert_same_streams(&self) {
        for query in QUERIES {
            let path = format!("/v1/decisions/stream?{query}");
            let replies = self.replies(Method::GET, &path, Some(self.key)).await;
            for header in ["content-type", "etag", "content-encoding", "last-modified"] {
                let [real, simulated] = replies.each_ref().map(|reply| reply.header(header));
                assert_eq!(simulated, real, "{header} of {query}");
            }
            let [real, simulated] = replies.map(|reply| {
                assert_eq!(reply.status, 200, "{query}: {}", reply.body);
                serde_json::from_str(&reply.body).unwrap()
            });
            assert_same_decisions(query, &real, &simulated);
        }
    }
}

fn assert_same_decisions(query: &str, real: &Value, simulated: &Value) {
    let lists = |stream: &Value| stream.as_object().unwrap().keys().cloned().collect();
    let [names, simulated_names]: [Vec<String>; 2] = [real, simulated].map(lists);
    assert_eq!(simulated_names, names, "{query}");
    for name in names {
        let [real, simulated] = [&real[&name], &simulated[&name]].map(sorted);
        let without_time = |decisions: &Value| {
            let mut decisions = decisions.clone();
            for decision in decisions.as_array_mut().into_iter().flatten() {
                // The fields exist in both and have the same type.
                decision["duration"] = decision["duration"].is_string().into();
                decision["id"] = decision["id"].is_u64().into();
            }
            decisions
        };
        assert_eq!(
            without_time(&simulated),
            without_time(&real),
            "{name} of {query}"
        );
        let durations = |decisions: &Value| -> Vec<f64> {
            let decisions = decisions.as_array().into_iter().flatten();
            decisions
                .map(|it| seconds(it["duration"].as_str().unwrap()))
                .collect()
        };
        for (real, simulated) in durations(&real).into_iter().zip(durations(&simulated)) {
            let far = (real - simulated).abs() > 60.0;
            assert!(!far, "{name} of {query}: {real} s and {simulated} s left");
        }
    }
}

/// The decisions by scope, value and type; both servers have an order of their own.
fn sorted(decisions: &Value) -> Value {
    let mut decisions = decisions.clone();
    if let Some(decisions) = decisions.as_array_mut() {
        decisions.sort_by_key(|it| format!("{} {} {}", it["scope"], it["value"], it["type"]));
    }
    decisions
}

/// The seconds of a duration in Go's format, with hours, minutes and seconds, or milliseconds and less.
fn seconds(text: &str) -> f64 {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap();
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" => 1e-6,
            "ns" => 1e-9,
            _ => panic!("not a duration of Go: {text}"),
        };
        total += number.parse::<f64>().unwrap() * unit;
        rest = next;
    }
    sign * total
}

#[test]
fn the_simulator_replies_as_the_real_lapi() {
    run(async {
        let servers = Servers::start().await;
        servers.assert_same_streams().await;

        servers.add("Ip", "192.0.2.1", "10m", "ban").await;
        servers.add("Ip", "192.0.2.1", "5h", "ban").await;
        servers.add("Ip", "192.0.2.1", "1h", "captcha").await;
        servers.add("Ip", "2001:db8::1", "2h", "ban").await;
        servers.add("ip", "192.0.2.7", "2h", "ban").await;
        servers.add("Range", "198.51.100.0/24", "1h", "ban").await;
        servers.add("username", "bob", "1h", "throttle").await;
        servers.add("session", "s1", "1h30m", "ban").await;
        servers.add("Country", "FR", "1h", "ban").await;
        servers.add("AS", "64496", "1h", "ban").await;
        servers.assert_same_streams().await;

        let csv =
            "duration,scope,value\n1h,Ip,203.0.113.1\n2h,Range,203.0.113.0/25\n3h,username,eve\n";
        servers.real.import(csv);
        servers.simulated.import_decisions(csv).await;
        servers.assert_same_streams().await;

        servers.delete("Ip", "2001:db8::1").await;
        servers.delete("Range", "198.51.100.0/24").await;
        servers.delete("username", "bob").await;
        servers.assert_same_streams().await;

        servers.real.delete_all();
        servers.simulated.end_decisions(json!({})).await;
        servers.assert_same_streams().await;
    });
}

#[test]
fn refusals_are_the_same() {
    run(async {
        let servers = Servers::start().await;
        let stream = "/v1/decisions/stream?startup=true";
        for (method, path, key) in [
            (Method::GET, stream, None),
            (Method::GET, stream, Some("wrong")),
            (Method::HEAD, stream, Some(servers.key)),
            (Method::POST, "/v1/usage-metrics", Some(servers.key)),
        ] {
            let [real, simulated] = servers.replies(method.clone(), path, key).await;
            let what = format!("{method} {path} with {key:?}");
            assert_eq!(simulated.status, real.status, "{what}");
            assert_eq!(simulated.body, real.body, "{what}");
            if !real.body.is_empty() {
                let name = "content-type";
                assert_eq!(simulated.header(name), real.header(name), "{what}");
            }
        }
    });
}
