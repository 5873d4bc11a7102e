//! What is known of each Envoy, by `/metrics`. States over time are in unit tests.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::schema;
use crate::support::{Fleet, body, eventually, filter};
use serde_json::json;

fn metrics(fleet: &Fleet) -> String {
    let response = fleet.get("/metrics", &[]);
    assert_eq!(response.status(), 200);
    String::from_utf8(response.into_body()).unwrap()
}

fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no {line}: {text}");
}

#[test]
fn a_node_appears_and_takes_each_version() {
    let fleet = Fleet::started();
    assert_has(
        &metrics(&fleet),
        "portcullis_fleet_nodes{state=\"current\"} 0",
    );

    let first = body(&fleet.discover("edge-1", "portcullis", ""));
    let first = first["version_info"].as_str().unwrap().to_owned();
    assert_has(
        &metrics(&fleet),
        "portcullis_fleet_nodes{state=\"updating\"} 1",
    );
    let info =
        format!("portcullis_fleet_filter_info{{filter=\"portcullis\",version=\"{first}\"}} 1");
    assert_has(&metrics(&fleet), &info);

    assert_eq!(fleet.discover("edge-1", "portcullis", &first).status(), 304);
    assert_has(
        &metrics(&fleet),
        "portcullis_fleet_nodes{state=\"current\"} 1",
    );

    let changed = filter(&json!({"enable_firewall": false}));
    fleet.write("portcullis.json", &changed.to_string());
    let second = eventually("another version", || {
        let response = fleet.discover("edge-1", "portcullis", &first);
        (response.status() == 200).then(|| body(&response)["version_info"].clone())
    });
    assert_has(
        &metrics(&fleet),
        "portcullis_fleet_nodes{state=\"updating\"} 1",
    );
    fleet.discover("edge-1", "portcullis", second.as_str().unwrap());
    assert_has(
        &metrics(&fleet),
        "portcullis_fleet_nodes{state=\"current\"} 1",
    );
}

#[test]
fn requests_are_counted_by_result() {
    let fleet = Fleet::started();
    let version = body(&fleet.discover("a", "portcullis", ""));
    let version = version["version_info"].as_str().unwrap();
    fleet.discover("a", "portcullis", version);
    fleet.discover("a", "portcullis", version);
    fleet.discover("a", "unknown", "");
    let metrics = metrics(&fleet);
    for (result, count) in [("ok", 1), ("not_modified", 2), ("error", 1)] {
        let name = "portcullis_fleet_discovery_requests_total";
        assert_has(&metrics, &format!("{name}{{result=\"{result}\"}} {count}"));
    }
    assert!(!metrics.contains("unknown\"} 1"), "{metrics}");
}

#[test]
fn a_refused_file_is_a_metric() {
    let fleet = Fleet::started();
    fleet.write("portcullis.json", "{\"enable_firewall\": 1}");
    eventually("the file is refused", || {
        let line = "portcullis_fleet_filter_invalid{filter=\"portcullis\"} 1\n";
        metrics(&fleet).contains(line).then_some(())
    });
}

/// The text format, and the names of metrics.
#[test]
fn prometheus_accepts_the_metrics() {
    let fleet = Fleet::started();
    fleet.write("a\"b\\c.json", &filter(&json!({})).to_string());
    eventually("the second filter", || {
        metrics(&fleet).contains("a\\\"b\\\\c").then_some(())
    });
    fleet.discover("edge-1", "portcullis", "");
    let promtool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/prometheus/promtool");
    let mut check = Command::new(&promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; run tools/install prometheus",
                promtool.display()
            )
        });
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(metrics(&fleet).as_bytes()).unwrap();
    drop(stdin);
    let output = check.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// The header comes with requests for lists, whether this server has the list or not.
#[test]
fn a_node_reports_and_forged_headers_are_ignored() {
    let fleet = Fleet::started();
    let report = |header: &str| fleet.get("/v1/feeds/drop", &[("x-portcullis-node", header)]);
    report("v=1;node=edge-1;module=0.2.0;denied=abs.ip:12,forged.ip:5;allow_listed=3");
    let too_long = format!("v=1;node=edge-2;later={}", "x".repeat(4_000));
    for forged in [
        "",
        "v=1",
        "v=1;node=edge-2;denied=a\"b.ip:1",
        "v=1;node=edge-2;denied=<b>.ip:1",
        "v=1;node=%",
        &too_long,
    ] {
        report(forged);
    }
    let metrics = metrics(&fleet);
    for line in [
        "portcullis_fleet_nodes{state=\"unknown\"} 1",
        "portcullis_fleet_denied_total{feed=\"abs\",kind=\"ip\"} 12",
        "portcullis_fleet_denied_total{feed=\"other\",kind=\"ip\"} 5",
        "portcullis_fleet_allow_listed_total 3",
        "portcullis_fleet_node_reports_total{result=\"ok\"} 1",
        "portcullis_fleet_node_reports_total{result=\"invalid\"} 6",
    ] {
        assert_has(&metrics, line);
    }
    assert!(
        !metrics.contains("forged") && !metrics.contains("edge-"),
        "{metrics}"
    );
}

#[test]
fn the_api_shows_what_a_node_polls_and_reports() {
    let fleet = Fleet::started();
    let version = body(&fleet.discover("edge-1", "portcullis", ""))["version_info"].clone();
    fleet.discover("edge-1", "portcullis", version.as_str().unwrap());
    let header = "v=1;node=edge-1;module=0.2.0;denied=abs.ip:12;allow_listed=3;lists=abs:7:1200";
    fleet.get("/v1/feeds/drop", &[("x-portcullis-node", header)]);
    let response = body(&fleet.get("/v1/nodes", &[]));
    let document = schema::document();
    let described = &document["components"]["schemas"]["Node"];
    let node = &response["nodes"][0];
    schema::check(&document, described, node, "node").unwrap();
    assert_eq!(node["state"], "current");
    assert_eq!(node["envoy"], "1.40.0");
    assert_eq!(node["filters"][0]["accepted"], version);
    assert_eq!(node["denied"], json!({"abs": {"ip": 12}}));
    let lists = json!([{"feed": "abs", "generation": 7, "entries": 1200}]);
    assert_eq!(node["lists"], lists);
    let status = body(&fleet.get("/v1/status", &[]));
    assert_eq!(status["nodes"]["current"], 1);
}
