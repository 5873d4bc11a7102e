//! Filter files: what is served after each change of the directory, and after each fault.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::process::Child;
use std::thread;

use serde_json::{Value, json};

use crate::support::{Fleet, Tmpfs, body, eventually, filter};

fn switched(enabled: bool) -> String {
    filter(&json!({"enable_firewall": enabled})).to_string()
}

fn served(fleet: &Fleet) -> Value {
    let response = fleet.discover("a", "portcullis", "");
    assert_eq!(response.status(), 200, "{}", fleet.log());
    body(&response)
        .pointer("/resources/0/typed_config/config/configuration/value")
        .unwrap()
        .clone()
}

fn until_served(fleet: &Fleet, enabled: bool) {
    eventually("the change is served", || {
        (served(fleet) == json!({"enable_firewall": enabled})).then_some(())
    });
}

#[test]
fn a_deleted_file_is_served_on_until_it_returns() {
    let mut fleet = Fleet::new();
    fleet.write("portcullis.json", &switched(false));
    fleet.start();
    fs::remove_file(fleet.path("filters/portcullis.json")).unwrap();
    eventually("the log names the file", || {
        let log = fleet.log();
        log.contains("portcullis.json does not exist").then_some(())
    });
    until_served(&fleet, false);
    fleet.kill();
    fleet.start();
    until_served(&fleet, false);
    fleet.write("portcullis.json", &switched(true));
    until_served(&fleet, true);
}

#[test]
fn yaml_and_a_config_map_volume_are_read() {
    let mut fleet = Fleet::new();
    let filters = fleet.path("filters");
    fs::remove_file(filters.join("portcullis.json")).unwrap();
    // As the kubelet lays a volume out: the files are links through one link that is replaced.
    let version = |name: &str, enabled: bool| {
        fs::create_dir(filters.join(name)).unwrap();
        let text = format!("# A comment.\n{}\n", switched(enabled));
        fs::write(filters.join(name).join("portcullis.yaml"), text).unwrap();
        symlink(name, filters.join("..new")).unwrap();
        fs::rename(filters.join("..new"), filters.join("..data")).unwrap();
    };
    version("..1", false);
    symlink("..data/portcullis.yaml", filters.join("portcullis.yaml")).unwrap();
    fleet.start();
    until_served(&fleet, false);
    version("..2", true);
    until_served(&fleet, true);
}

#[test]
fn a_native_filter_is_served_and_edited() {
    const CONFIGURATION: &str = "/resources/0/typed_config/filter_config/value";
    let shipped = include_str!("../../envoy/native.json");
    let fleet = Fleet::started();
    fleet.write("portcullis.json", shipped);
    let served = || body(&fleet.discover("a", "portcullis", ""));
    eventually("the native filter is served", || {
        served().pointer(CONFIGURATION).map(drop)
    });
    let file: Value = serde_json::from_str(shipped).unwrap();
    assert_eq!(
        served().pointer("/resources/0/typed_config"),
        file.pointer("/resources/0/typed_config")
    );
    let edited = shipped.replace("\"enable_firewall\": true", "\"enable_firewall\": false");
    fleet.write("portcullis.json", &edited);
    eventually("the change is served", || {
        let served = served();
        let configuration = served.pointer(CONFIGURATION)?;
        (configuration["enable_firewall"] == false).then_some(())
    });
}

#[test]
fn a_second_file_of_the_same_name_is_refused() {
    let fleet = Fleet::started();
    fleet.write("portcullis.yaml", &switched(false));
    eventually("the log names both", || {
        let log = fleet.log();
        (log.contains("portcullis.json, ") && log.contains("portcullis.yaml")).then_some(())
    });
    assert_eq!(served(&fleet), json!({}));
    // A change of one of them would not be served.
    let text = fs::read_to_string(fleet.path("filters/portcullis.json")).unwrap();
    let off = switched(false);
    let put = fleet.send("PUT", "/v1/filters/portcullis", &[("if-match", "*")], off);
    assert_eq!(put.status(), 422);
    let message = body(&put)["error"].as_str().unwrap().to_owned();
    assert!(message.contains("delete all but one"), "{message}");
    let file = fs::read_to_string(fleet.path("filters/portcullis.json"));
    assert_eq!(file.unwrap(), text);
}

#[test]
fn a_file_without_a_module_is_refused_with_what_is_needed() {
    let fleet = Fleet::started();
    fleet.write("plain.json", r#"{"enable_firewall": true}"#);
    eventually("the log says what is needed", || {
        let log = fleet.log();
        (log.contains("plain.json") && log.contains("typed_config")).then_some(())
    });
    let response = fleet.discover("a", "plain", "");
    assert_eq!(response.status(), 404);
    assert!(body(&response)["error"].as_str().unwrap().contains("valid"));
}

#[test]
fn a_full_disk_costs_no_change() {
    let disk = Tmpfs::mounted();
    let mut fleet = Fleet::new();
    fleet.state = disk.path().join("state");
    fleet.start();
    disk.fill();
    fleet.write("portcullis.json", &switched(false));
    until_served(&fleet, false);
    eventually("the log says what it costs", || {
        let log = fleet.log();
        log.contains("an older configuration could be served")
            .then_some(())
    });
    fleet.kill();
    fleet.start();
    until_served(&fleet, false);
}

#[test]
fn kill_9_at_any_moment_leaves_a_valid_configuration() {
    let mut fleet = Fleet::new();
    for round in 0..30 {
        fleet.start();
        fleet.write("portcullis.json", &switched(round % 2 == 0));
        // Each round ends the process at another step of reading and writing.
        let moment = std::time::Instant::now();
        while moment.elapsed().as_millis() < round * 20 {
            served(&fleet);
        }
        fleet.kill();
        assert!(
            fs::read_dir(fleet.path("state/filters"))
                .unwrap()
                .any(|entry| entry.unwrap().file_name() == "portcullis")
        );
    }
    // Only the copy is left.
    fs::remove_file(fleet.path("filters/portcullis.json")).unwrap();
    fleet.start();
    let value = served(&fleet);
    assert!(value["enable_firewall"].is_boolean(), "{value}");
}

#[test]
fn a_request_that_is_no_discovery_request_is_refused() {
    let fleet = Fleet::started();
    let post = |body: Vec<u8>| {
        let path = "/v3/discovery:extension_configs";
        fleet.send("POST", path, &[("content-type", "application/json")], body)
    };
    let large = json!({"node": {"id": "x".repeat(1 << 20)}, "resource_names": ["portcullis"]});
    assert_eq!(post(large.to_string().into_bytes()).status(), 413);
    assert_eq!(post(Vec::new()).status(), 400);
    assert_eq!(post(b"{\"node\": 3}".to_vec()).status(), 400);
    assert_eq!(post(b"\xff\xfe{}".to_vec()).status(), 400);
    assert_eq!(post("[".repeat(100_000).into_bytes()).status(), 400);
    assert_eq!(post(b"{}".to_vec()).status(), 400);
    let of_another_type = json!({"resource_names": ["portcullis"], "type_url": "x"});
    assert_eq!(post(of_another_type.to_string().into_bytes()).status(), 400);
    assert_eq!(served(&fleet), json!({}));
}

#[test]
fn two_hundred_nodes_that_connect_at_once_get_the_same_version() {
    let mut fleet = Fleet::started();
    let before = body(&fleet.discover("a", "portcullis", ""));
    fleet.kill();
    fleet.start();
    let fleet = &fleet;
    thread::scope(|scope| {
        let nodes: Vec<_> = (0..200)
            .map(|node| {
                scope.spawn(move || body(&fleet.discover(&format!("n{node}"), "portcullis", "")))
            })
            .collect();
        for node in nodes {
            assert_eq!(node.join().unwrap(), before);
        }
    });
}

/// Ends the program with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let fleet = Fleet::new();
    let mut server = Ended(fleet.command().spawn().unwrap());
    let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines();
    let url = log.find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("portcullis serve: ").map(str::to_owned)
    });
    let url = url.unwrap();
    drop(log);
    let is_on = || {
        let response = ureq::get(format!("{url}/v1/filters/portcullis/flags")).call();
        let text = response.unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["enable_firewall"] == json!(true)
    };
    let version = || {
        let response = ureq::get(format!("{url}/v1/filters")).call();
        let text = response.unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()[0]["version"].clone()
    };
    let before = version();
    fleet.write("portcullis.json", &switched(false));
    eventually("the change is served", || {
        (version() != before).then_some(())
    });
    let patched = ureq::patch(format!("{url}/v1/filters/portcullis/flags"))
        .content_type("application/json")
        .send(r#"{"enable_firewall": true}"#);
    assert_eq!(patched.unwrap().status(), 200);
    assert!(is_on());
}

#[test]
fn a_link_that_leads_nowhere_is_reported_once() {
    let fleet = Fleet::started();
    symlink("/nowhere/file.json", fleet.path("filters/nowhere.json")).unwrap();
    symlink("loop.json", fleet.path("filters/loop.json")).unwrap();
    let reports = |name: &str| {
        let log = fleet.log();
        log.lines().filter(|line| line.contains(name)).count()
    };
    eventually("both are reported", || {
        (reports("nowhere.json") > 0 && reports("loop.json") > 0).then_some(())
    });
    // Each file is looked at in each round: after two other changes, a second report would be there.
    for enabled in [false, true] {
        fleet.write("portcullis.json", &switched(enabled));
        until_served(&fleet, enabled);
    }
    assert_eq!((reports("nowhere.json"), reports("loop.json")), (1, 1));
    let text = switched(true);
    fs::remove_file(fleet.path("filters/nowhere.json")).unwrap();
    fleet.write("nowhere.json", &text);
    eventually("a file in its place is served", || {
        (fleet.discover("a", "nowhere", "").status() == 200).then_some(())
    });
}

#[test]
fn a_directory_that_is_away_is_reported_once() {
    let fleet = Fleet::started();
    let (directory, away) = (fleet.path("filters"), fleet.path("away"));
    let reports = || {
        let log = fleet.log();
        let lines = log.lines();
        lines
            .filter(|line| line.contains("filters can't be read"))
            .count()
    };
    for time in 1..=2 {
        fs::rename(&directory, &away).unwrap();
        eventually("it is reported", || (reports() == time).then_some(()));
        assert_eq!(fleet.discover("a", "portcullis", "").status(), 200);
        fs::rename(&away, &directory).unwrap();
        let enabled = time == 1;
        fleet.write("portcullis.json", &switched(enabled));
        until_served(&fleet, enabled);
        assert_eq!(reports(), time);
    }
}
