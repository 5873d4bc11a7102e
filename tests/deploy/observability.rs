//! `examples/observability`: the rules and their tests, the alerts in a real Prometheus, the dashboard's queries and its
//! picture.

use crate::command::{run, run_readme, tool};
use crate::harness::client::Request;
use crate::harness::envoy::Change;
use crate::harness::process::repository;
use crate::harness::{Harness, Setup, eventually, scenario, throughout};
use crate::prometheus::{Prometheus, RATE_INTERVAL};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The alerts that must not fire when no list is wanted.
const ABOUT_THE_LIST: [&str; 2] = ["PortcullisListStale", "PortcullisNoSuccessfulFetch"];

/// The metric that only the native module has; the end-to-end tests look for it there.
const OF_THE_NATIVE_MODULE: &str = "portcullis_panics";

/// The folder of the pictures, below the repository's root.
const PICTURES: [&str; 2] = ["target/dashboard.png", "target/dashboard.svg"];

#[test]
fn the_commands_of_the_readme_work() {
    let outputs = run_readme("examples/observability/README.md");

    assert!(outputs.iter().any(|(command, output)| {
        command.contains("promtool test rules") && output.contains("SUCCESS")
    }));
}

#[test]
fn the_rules_pass_the_checks_and_tests_of_promtool() {
    let promtool = tool(".tools/prometheus/promtool", "prometheus");
    run(
        &promtool,
        &["check", "config", "examples/observability/prometheus.yml"],
    );
    for tests in ["rules_test.yml", "fleet-rules_test.yml"] {
        let tests = format!("examples/observability/{tests}");
        run(&promtool, &["test", "rules", &tests]);
    }
}

#[test]
fn every_alert_is_tested_both_ways_and_documented() {
    let readme = example("README.md");
    for (name, least) in [("rules", 9), ("fleet-rules", 4)] {
        let tests = example(&format!("{name}_test.yml"));
        let rules = example(&format!("{name}.yml"));
        let alerts: Vec<_> = rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "))
            .collect();
        assert!(alerts.len() >= least, "{alerts:?}");
        for alert in alerts {
            assert!(
                tests.contains(&format!("- alertname: {alert}\n")),
                "{name}_test.yml should test that {alert} fires"
            );
            assert!(
                tests.lines().any(|line| {
                    line.contains(&format!("alertname: {alert},"))
                        && line.contains("exp_alerts: []")
                }),
                "{name}_test.yml should test that {alert} does not fire"
            );
            assert!(
                readme.contains(&format!("| `{alert}` |")),
                "the README's table should have {alert}"
            );
        }
    }
}

/// An operator's bad week in half a minute. `DASHBOARD_RUN_SECONDS` stretches it for the picture.
#[test]
fn a_real_prometheus_raises_the_alerts_and_has_data_for_the_dashboard() {
    let setup = Setup::new().plugin(json!({
        "enable_abs": true,
        "traffic": {"format": "batch", "cluster": null},
        "attack_list_max_age": "5s",
        "apis": [{"url": "/"}, {"url": "/beta", "mode": "shadow"}],
        "allow_list": {"ips": ["127.0.0.10"]},
        "deny_list": {"ips": ["127.0.0.9"]},
        "feeds": [simulated_lapi("crowdsec")],
    }));
    scenario(setup, async |harness| {
        let start = Instant::now();
        let prometheus = Prometheus::start(harness.envoy.admin_address()).await;
        let phase = stretched_phase();

        // Calm: all requests pass except those on the manual list.
        let clients = Clients::new(harness);
        let traffic = clients.start();
        prometheus
            .finds("portcullis_attack_list_last_success_unix_seconds{source=\"\"} > 0")
            .await;
        prometheus
            .finds("rate(portcullis_denied{source=\"manual\"}[4s]) > 0")
            .await;
        throughout(phase, async || {}).await;
        assert_eq!(prometheus.firing().await, Vec::<String>::new());

        // ABS lists a client that the allow list lets pass: nothing is denied, and no alert is near.
        harness.abs.list(json!({"ips": ["127.0.0.10"]})).await;
        for expression in [
            "portcullis_attack_list_entries{source=\"\", kind=\"ip\"} == 1",
            "rate(portcullis_allow_listed[4s]) > 0",
        ] {
            prometheus.finds(expression).await;
        }
        throughout(Duration::from_secs(3), async || {
            for expression in [
                "sum({__name__=~\"portcullis_(denied|would_deny)\", source=\"abs\"}) > 0",
                "ALERTS",
            ] {
                let found = prometheus.query(expression).await;
                assert!(found.is_empty(), "{expression}: {found:?}");
            }
        })
        .await;

        // ABS lists attackers of every kind.
        harness.abs.list(clients.first_attackers()).await;
        throughout(phase, async || {}).await;
        harness.abs.list(clients.further_attackers()).await;
        prometheus
            .finds("count(rate(portcullis_denied{source=\"abs\"}[4s]) > 0) == 5")
            .await;
        prometheus
            .finds("rate(portcullis_would_deny{kind=\"ip\"}[4s]) > 0")
            .await;

        // CrowdSec bans a client.
        harness
            .abs
            .add_decisions(json!({"value": "127.0.0.22"}))
            .await;
        prometheus
            .finds("rate(portcullis_denied{source=\"crowdsec\", kind=\"ip\"}[4s]) > 0")
            .await;
        prometheus
            .finds("portcullis_attack_list_entries{source=\"crowdsec\", kind=\"ip\"} == 1")
            .await;
        throughout(phase, async || {}).await;

        // ABS sends an invalid body, then fails for longer than attack_list_max_age.
        harness.abs.fault(json!({"body": "no list"})).await;
        prometheus.fires("PortcullisListRefused").await;
        harness.abs.fault(json!({"status": 500})).await;
        prometheus.fires("PortcullisListStale").await;
        throughout(phase, async || {}).await;
        harness.abs.clear_faults().await;
        prometheus
            .finds("portcullis_attack_list_stale{source=\"\"} == 0")
            .await;

        // Unusable entries.
        let body = json!({"ips": ["127.0.0.7", "no address", ""]}).to_string();
        harness.abs.fault(json!({"body": body, "times": 2})).await;
        prometheus.fires("PortcullisEntriesSkipped").await;
        throughout(phase, async || {}).await;

        // An operator's mistakes: a misspelt key, then wrong credentials.
        let misspelt = json!({"enable_abs_atack": true});
        assert_eq!(harness.envoy.configure(misspelt).await, Change::Refused);
        prometheus.fires("PortcullisConfigurationRejected").await;
        let wrong = harness.secrets.plant_in_configuration("wrong-key");
        harness
            .envoy
            .reconfigure(json!({"abs": {"access_key": wrong, "secret_key": wrong}}))
            .await;
        prometheus.fires("PortcullisUnauthorized").await;
        throughout(phase, async || {}).await;

        // ABS refuses traffic records. The alert waits for five minutes of that.
        harness
            .abs
            .fault(json!({"status": 404, "endpoint": "traffic"}))
            .await;
        prometheus.pends("PortcullisAbsReceivesNothing").await;
        prometheus.pends("PortcullisTrafficLost").await;
        harness.abs.clear_faults().await;

        // Turned off on purpose: no list and no alert about it.
        harness
            .envoy
            .reconfigure(json!({"enable_abs_attack": false}))
            .await;
        prometheus
            .finds("portcullis_attack_list_last_success_unix_seconds{source=\"\"} == 0")
            .await;
        throughout(phase, async || {}).await;
        // A rule is evaluated slightly later than its metrics are read.
        let about_the_list = async || {
            let mut firing = prometheus.firing().await;
            firing.retain(|alert| ABOUT_THE_LIST.contains(&alert.as_str()));
            firing
        };
        eventually("no alert about the list", async || {
            about_the_list().await.is_empty().then_some(())
        })
        .await;
        throughout(Duration::from_secs(3), async || {
            assert_eq!(about_the_list().await, Vec::<String>::new());
        })
        .await;
        traffic.stop().await;

        let span = start.elapsed();
        assert_eq!(prometheus.broken_rules().await, Vec::<String>::new());
        assert_every_metric_exists(&prometheus).await;
        assert_every_query_finds_data(&prometheus, span).await;
        draw(&prometheus, span);
    });
}

#[test]
fn without_stats_tags_the_prometheus_of_the_example_turns_names_of_feeds_into_labels() {
    let feeds = ["crowdsec", "drop_v6"].map(simulated_lapi);
    let without_tags = |text: String| {
        let (before, tags) = text.split_once("stats_config:\n").unwrap();
        let (_, after) = tags.split_once("\n\n").unwrap();
        format!("{before}{after}")
    };
    let setup = Setup::new()
        .plugin(json!({"feeds": feeds}))
        .bootstrap(without_tags);
    scenario(setup, async |harness| {
        harness
            .abs
            .add_decisions(json!({"value": "127.0.0.22"}))
            .await;
        let request = harness.get("/").from("127.0.0.22");
        harness.becomes_denied(&request).await;
        let raw = harness.envoy.admin("/stats/prometheus").await;
        let name = "portcullis_denied_source_crowdsec_kind_ip{}";
        assert!(raw.contains(name), "{raw}");

        let prometheus = Prometheus::start(harness.envoy.admin_address()).await;
        for expression in [
            "portcullis_denied{source=\"crowdsec\", kind=\"ip\"} > 0",
            "portcullis_would_deny{source=\"drop_v6\", kind=\"username\"} == 0",
            "portcullis_fetch{source=\"drop_v6\", result=\"ok\"} > 0",
            "portcullis_fetch{source=\"drop_v6\", result=\"not_modified\"} == 0",
            "portcullis_fetch{source=\"\", result=\"ok\"} > 0",
            "portcullis_fetch_last_result{source=\"drop_v6\"} == 1",
            "portcullis_fetch_last_result{source=\"\"}",
            "portcullis_fetch_last_attempt_unix_seconds{source=\"crowdsec\"} > 0",
            "portcullis_entries_skipped{source=\"crowdsec\"} == 0",
            "portcullis_entries_skipped{source=\"\"} == 0",
            "portcullis_attack_list_entries{source=\"drop_v6\", kind=\"ip\"} == 1",
            "portcullis_attack_list_entries{source=\"\", kind=\"oauth_token\"} == 0",
            "portcullis_attack_list_bytes{source=\"drop_v6\"} > 0",
            "portcullis_attack_list_last_success_unix_seconds{source=\"drop_v6\"} > 0",
        ] {
            prometheus.finds(expression).await;
        }
        // No name contains a label any more.
        let names = prometheus.metric_names().await;
        let mut names = names.iter().filter(|name| name.starts_with("portcullis_"));
        let is_label = |part: &str| ["source", "kind", "result"].contains(&part);
        let unlabelled = names.find(|name| {
            let of_feed = name.replace("last_result", "");
            of_feed.split('_').any(is_label)
        });
        assert_eq!(unlabelled, None);
    });
}

/// A feed of the simulator's LAPI. Another path is another list.
fn simulated_lapi(name: &str) -> Value {
    json!({
        "name": name,
        "format": "crowdsec",
        "cluster": "abs",
        "path": format!("/v1/decisions/stream?feed={name}"),
        "headers": {"x-api-key": "lapi_key"},
        "interval": "1s"
    })
}

/// The clients of the run, and their listed identifiers.
struct Clients {
    requests: Vec<Request>,
    token: String,
    cookie: String,
    api_key: String,
    user: String,
}

/// Requests in the background.
struct Running {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Clients {
    fn new(harness: &Harness) -> Self {
        let token = harness.secrets.plant("token");
        let cookie = harness.secrets.plant("cookie");
        let api_key = harness.secrets.plant("api-key");
        let user = harness.secrets.plant("user");
        let basic = BASE64_STANDARD.encode(format!("{user}:password"));
        let get = |path| harness.get(path);
        let requests = vec![
            get("/"),
            get("/orders").from("127.0.0.7"),
            get("/orders").bearer(&token),
            get("/").from("127.0.0.20"),
            get("/orders").header("cookie", format!("session={cookie}")),
            get("/orders").header("x-api-key", &api_key),
            get("/").from("127.0.0.21"),
            get("/orders").header("authorization", format!("Basic {basic}")),
            get("/beta").from("127.0.0.7"),
            get("/").from("127.0.0.9"),
            get("/").from("127.0.0.10"),
            get("/").from("127.0.0.22"),
        ];
        Self {
            requests,
            token,
            cookie,
            api_key,
            user,
        }
    }

    fn first_attackers(&self) -> Value {
        json!({"ips": ["127.0.0.7"], "oauth_tokens": [self.token]})
    }

    fn further_attackers(&self) -> Value {
        json!({
            "cookies": {"session": [self.cookie]},
            "api_keys": [self.api_key],
            "usernames": [self.user],
        })
    }

    /// Sends each client's request in turn, a hundred a second, until stopped.
    fn start(&self) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let (requests, stopped) = (self.requests.clone(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            for request in requests.iter().cycle() {
                pace.tick().await;
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                request.send().await;
            }
        });
        Running { stop, task }
    }
}

impl Running {
    /// Ends them; fails the test if a request had no reply.
    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

/// How much longer each of the seven phases lasts than its condition: zero unless a picture is wanted.
fn stretched_phase() -> Duration {
    let seconds = std::env::var("DASHBOARD_RUN_SECONDS").map_or(0, |value| {
        value
            .parse()
            .expect("DASHBOARD_RUN_SECONDS should be a whole number")
    });
    Duration::from_secs(seconds) / 7
}

/// A rule or a panel with a metric that does not exist would never show anything.
async fn assert_every_metric_exists(prometheus: &Prometheus) {
    let known: BTreeSet<_> = prometheus.metric_names().await.into_iter().collect();
    for file in ["rules.yml", "dashboard.json"] {
        let text = example(file);
        let names: BTreeSet<_> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
            .filter(|word| word.starts_with("portcullis_") || word.starts_with("envoy_"))
            // This is one of Envoy's labels.
            .filter(|word| *word != "envoy_http_conn_manager_prefix")
            .filter(|word| *word != OF_THE_NATIVE_MODULE)
            .collect();
        assert!(names.len() >= 8, "{file} names {names:?}");
        for name in names {
            assert!(known.contains(name), "{file}: there is no metric {name}");
        }
    }
}

/// Checks every query of every panel and of the variables.
async fn assert_every_query_finds_data(prometheus: &Prometheus, span: Duration) {
    let dashboard: Value = serde_json::from_str(&example("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 15, "{}", panels.len());
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let expression = filled_in(target["expr"].as_str().unwrap());
            let series = prometheus.series_within(&expression, span).await;
            assert!(
                !series.is_empty(),
                "panel {} finds nothing: {expression}",
                panel["title"]
            );
            // The series have the labels in the legend.
            for part in target["legendFormat"].as_str().unwrap().split("{{").skip(1) {
                let label = part.split("}}").next().unwrap();
                assert!(
                    series.iter().all(|labels| labels.get(label).is_some()),
                    "panel {}: a series of {expression} has no label {label}",
                    panel["title"]
                );
            }
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(definition) = variable["definition"].as_str() else {
            assert_eq!(variable["type"], "datasource");
            continue;
        };
        let (selector, label) = definition
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|arguments| arguments.rsplit_once(", "))
            .unwrap();
        let series = prometheus.series_within(&filled_in(selector), span).await;
        assert!(
            series.iter().any(|labels| labels.get(label).is_some()),
            "{definition}"
        );
    }
}

/// Fills in the dashboard's variables as Grafana does for "All".
fn filled_in(expression: &str) -> String {
    let expression = expression
        .replace("$job", ".*")
        .replace("$instance", ".*")
        .replace("$__rate_interval", RATE_INTERVAL);
    assert!(!expression.contains('$'), "unknown variable: {expression}");
    expression
}

/// Draws pictures of this run by the script that drew the one in the README.
fn draw(prometheus: &Prometheus, span: Duration) {
    let address = format!("http://{}", prometheus.address);
    let seconds = span.as_secs().to_string();
    for picture in PICTURES {
        run(
            &tool(".tools/venv/bin/python", "python"),
            &[
                "examples/observability/picture.py",
                "--prometheus",
                &address,
                "--seconds",
                &seconds,
                "--rate-interval",
                RATE_INTERVAL,
                "--output",
                picture,
            ],
        );
    }
    let png = std::fs::read(repository().join(PICTURES[0])).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    // The other picture is text.
    let svg = std::fs::read_to_string(repository().join(PICTURES[1])).unwrap();
    let dashboard: Value = serde_json::from_str(&example("dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(svg.contains(title), "the picture lacks {title}");
    }
    for kind in ["abs ip", "abs oauth_token", "manual ip"] {
        assert!(
            svg.contains(kind),
            "{kind} is missing in the picture's legends"
        );
    }
}

fn example(file: &str) -> String {
    std::fs::read_to_string(repository().join("examples/observability").join(file)).unwrap()
}
