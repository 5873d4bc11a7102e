//! The admin interface of an Envoy: the responses of an Envoy 1.40.0 with the filter, reduced to the parts that are read.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{Workspace, repository};

const CONFIGURATION: &str =
    "/configs/1/ecds_filters/0/ecds_filter/typed_config/config/configuration/value";
const FILE_CONFIGURATION: &str = "/resources/0/typed_config/config/configuration/value";

const STATS: &str =
    "/stats?format=json&filter=%5E%28wasm%7Cdynamicmodulescustom%7Cextension_config_discovery%29";

/// What Envoy did with the newest configuration.
#[derive(Clone, Copy)]
pub enum Update {
    Accepted,
    Refused,
}

/// The responses of a running Envoy.
pub struct Admin {
    pub info: Value,
    pub stats: Value,
    /// The statistics from the second time on, if they differ.
    pub later_stats: Option<Value>,
    pub listeners: Value,
    pub dump: Value,
}

impl Admin {
    /// An Envoy that runs the configuration in the workspace's file and has just fetched a list.
    pub fn of(workspace: &Workspace) -> Self {
        let fixture = |name: &str| -> Value {
            let path = repository().join(format!("tests/cli/fixtures/{name}.json"));
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        let file: Value = serde_json::from_str(&workspace.read("envoy/filter.json")).unwrap();
        let mut dump = fixture("config_dump");
        *dump.pointer_mut(CONFIGURATION).unwrap() =
            file.pointer(FILE_CONFIGURATION).unwrap().clone();
        let mut admin = Self {
            info: fixture("server_info"),
            stats: fixture("stats"),
            later_stats: None,
            listeners: fixture("listeners"),
            dump,
        };
        admin.set("attack_list.last_success_unix_seconds", now());
        admin.set("fetch.last_attempt_unix_seconds", now());
        admin.set_last_update(Update::Accepted);
        admin
    }

    /// Sets whether Envoy accepted the newest configuration.
    pub fn set_last_update(&mut self, update: Update) {
        const RECEIVED: u64 = 1_795_463_339_628;
        let stat = |name: &str| format!("extension_config_discovery.http_filter.portcullis.{name}");
        self.dump["configs"][1]["ecds_filters"][0]["last_updated"] =
            json!("2026-11-23T19:48:59.628Z");
        self.set_stat(
            &stat("update_time"),
            match update {
                // It accepts the same one again when a file is touched; after every change of the test's file.
                Update::Accepted => (now() + 60) * 1000,
                Update::Refused => RECEIVED - 1,
            },
        );
        self.set_stat(&stat("update_rejected"), 3);
    }

    /// Sets a metric of the filter.
    pub fn set(&mut self, name: &str, value: u64) {
        self.set_stat(&format!("wasmcustom.portcullis.{name}"), value);
    }

    /// Adds a metric of the filter that the fixture lacks.
    pub fn add(&mut self, name: &str, value: u64) {
        let name = format!("wasmcustom.portcullis.{name}");
        let stats = self.stats["stats"].as_array_mut().unwrap();
        stats.push(json!({"name": name, "value": value}));
    }

    pub fn set_stat(&mut self, name: &str, value: u64) {
        let stats = self.stats["stats"].as_array_mut().unwrap();
        let stat = stats.iter_mut().find(|stat| stat["name"] == name);
        stat.unwrap_or_else(|| panic!("the fixture lacks {name}"))["value"] = json!(value);
    }

    pub fn configuration(&mut self) -> &mut Value {
        self.dump.pointer_mut(CONFIGURATION).unwrap()
    }

    /// The HTTP connection manager of its listener.
    pub fn manager(&mut self) -> &mut Value {
        let manager =
            "/configs/2/static_listeners/0/listener/filter_chains/0/filters/0/typed_config";
        self.dump.pointer_mut(manager).unwrap()
    }

    /// Serves the responses; returns the address.
    pub fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let later_stats = self.later_stats.map(|stats| stats.to_string());
        let mut responses = HashMap::from([
            ("/server_info", self.info.to_string()),
            (STATS, self.stats.to_string()),
            ("/listeners?format=json", self.listeners.to_string()),
            ("/config_dump", self.dump.to_string()),
        ]);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                reader.read_line(&mut request).unwrap();
                let path = request.split(' ').nth(1).unwrap();
                let body = responses.get(path).cloned();
                if path == STATS {
                    responses.extend(later_stats.clone().map(|stats| (STATS, stats)));
                }
                let status = if body.is_some() {
                    "200 OK"
                } else {
                    "404 Not Found"
                };
                let body = body.unwrap_or_default();
                let mut header = String::new();
                while reader.read_line(&mut header).unwrap() > 2 {
                    header.clear();
                }
                write!(
                    stream,
                    "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
            }
        });
        url
    }
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
