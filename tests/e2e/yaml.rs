//! YAML as Envoy reads it: the table that the tests of the command line tool compare its reader with.

use crate::harness::envoy_process::{EnvoyProcess, envoy_binary};
use crate::harness::process::repository;
use serde_json::Value;
use std::process::Command;

#[test]
fn envoy_reads_each_scalar_as_the_table_says() {
    let fixture = |name: &str| {
        let path = repository().join("tests/fixtures/yaml").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let words: String = fixture("words.yaml")
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    let expected: Value = serde_json::from_str(&fixture("words.json")).unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let bootstrap = directory.path().join("envoy.yaml");
    // Metadata is a Struct, like the filter's configuration.
    let text = format!(
        "node:\n  id: words\n  cluster: words\n  metadata:\n{words}\
         admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}\n"
    );
    std::fs::write(&bootstrap, text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let info = runtime.block_on(async {
        let envoy = EnvoyProcess::start(
            Command::new(envoy_binary())
                .arg("-c")
                .arg(&bootstrap)
                .args(["--concurrency", "1", "--disable-hot-restart"]),
        )
        .await;
        envoy.admin("/server_info").await
    });
    let info: Value = serde_json::from_str(&info).unwrap();
    let read = &info["node"]["metadata"];
    let list = |value: &Value| value["words"].as_array().unwrap().clone();
    for (index, (read, expected)) in list(read).iter().zip(list(&expected)).enumerate() {
        assert_eq!(*read, expected, "word {index}");
    }
    assert_eq!(*read, expected);
}
