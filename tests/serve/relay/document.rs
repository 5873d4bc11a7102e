//! `docs/fleet.md` and the example agree with the server: its files, its lists, its metrics.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::upstream::{Upstream, ok};
use super::{list, relay};
use crate::support::{Fleet, body, eventually, repository};

fn document() -> String {
    fs::read_to_string(repository().join("docs/fleet.md")).unwrap()
}

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// The relay file, and the filter that fits it.
fn configurations() -> [Value; 2] {
    let blocks = blocks(&document(), "json");
    let [relay, filter] = blocks.as_slice() else {
        panic!("docs/fleet.md has {} blocks of JSON", blocks.len());
    };
    [relay, filter].map(|block| serde_json::from_str(block).unwrap())
}

/// The lists of all upstreams.
fn upstream() -> Upstream {
    Upstream::new(|head| {
        let path = head.split(' ').nth(1).unwrap();
        Some(match path.split('?').next().unwrap() {
            "/v4/abs/attacklist" => ok("application/json", r#"{"ips": ["192.0.2.1"]}"#),
            "/v1/decisions/stream" => ok(
                "application/json",
                r#"{"new": [{"scope": "Ip", "value": "203.0.113.7", "type": "ban", "duration": "1h"}], "deleted": null}"#,
            ),
            "/drop/drop.txt" => ok("text/plain", "198.51.100.0/24 ; SBL1\n"),
            "/revoked.json" => ok("application/json", r#"["token-1"]"#),
            other => panic!("the relay asks for {other}"),
        })
    })
}

#[test]
fn each_list_of_the_relay_is_where_the_filter_of_the_document_asks_for_it() {
    let upstream = upstream();
    let [mut configuration, filter] = configurations();
    for (_, address) in configuration["upstreams"].as_object_mut().unwrap() {
        *address = json!(upstream.url);
    }
    let fleet = relay(&configuration);
    let relayed: BTreeSet<String> = body(&fleet.get("/v1/feeds", &[]))["feeds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|feed| feed["name"].as_str().unwrap().to_owned())
        .collect();
    let mut used = BTreeSet::from(["abs".to_owned()]);
    assert_eq!(filter["abs"]["cluster"], "portcullis");
    let of_abs = list(&fleet, "/v4/abs/attacklist");
    assert!(String::from_utf8_lossy(of_abs.body()).contains("192.0.2.1"));
    for feed in filter["feeds"].as_array().unwrap() {
        let [name, path] = ["name", "path"].map(|key| feed[key].as_str().unwrap());
        assert_eq!(feed["cluster"], "portcullis");
        let of_feed = list(&fleet, path);
        let text = String::from_utf8_lossy(of_feed.body()).into_owned();
        let (format, entry) = match name {
            "crowdsec" => ("crowdsec", "203.0.113.7"),
            "drop" => ("text", "198.51.100.0/24"),
            "revoked" => ("tokens", "token-1"),
            other => panic!("no upstream for {other}"),
        };
        assert_eq!(feed["format"], format);
        assert!(text.contains(entry), "{name}: {text}");
        used.insert(name.to_owned());
    }
    assert_eq!(used, relayed);
}

#[test]
fn the_filter_of_the_document_is_valid() {
    let [_, filter] = configurations();
    let fleet = Fleet::started();
    fleet.write("second.json", &crate::support::filter(&filter).to_string());
    eventually("the filter is served", || {
        (fleet.discover("a", "second", "").status() == 200).then_some(())
    });
}

/// The commands of the start that write files, in a directory with the example.
#[test]
fn the_files_of_the_start_are_served() {
    let document = document();
    let (_, start) = document.split_once("## Start").unwrap();
    let commands = blocks(start, "sh").remove(0);
    let commands: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("sed ") || line.contains("mkdir"))
        .map(|line| line.trim_start_matches("make build && "))
        .collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    let mut fleet = Fleet::new();
    fs::remove_dir_all(fleet.path("filters")).unwrap();
    std::os::unix::fs::symlink(repository().join("examples"), fleet.path("examples")).unwrap();
    let shell = Command::new("bash")
        .args(["-ec", &commands.join("\n")])
        .current_dir(fleet.directory.path())
        .output()
        .unwrap();
    assert!(shell.status.success(), "{shell:?}");
    let upstream = upstream();
    let relay = fs::read_to_string(fleet.path("relay.json")).unwrap();
    let changed = relay.replace("http://127.0.0.1:8080", &upstream.url);
    assert_ne!(relay, changed);
    fs::write(fleet.path("relay.json"), changed).unwrap();
    fleet.arguments = vec![
        "--relay".to_owned(),
        fleet.path("relay.json").display().to_string(),
    ];
    fleet.start();
    let served = fleet.discover("a", "portcullis", "");
    assert_eq!(served.status(), 200);
    let served = String::from_utf8_lossy(served.body()).into_owned();
    assert!(served.contains("target/portcullis.wasm"), "{served}");
    list(&fleet, "/v4/abs/attacklist");
}

#[test]
fn the_document_names_exactly_the_metrics_of_the_server() {
    let fleet = Fleet::started();
    let metrics = fleet.get("/metrics", &[]);
    let metrics = String::from_utf8(metrics.body().clone()).unwrap();
    let served: BTreeSet<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let document = document();
    let documented: BTreeSet<&str> = document
        .split('`')
        .filter(|span| span.starts_with("portcullis_fleet_"))
        .collect();
    assert!(served.len() > 5);
    assert_eq!(documented, served);
}
