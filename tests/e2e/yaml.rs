//! YAML as Envoy reads it: what the command line tool's own tests hold its reader to.

use crate::harness::audit::Replies;
use crate::harness::client::Request;
use crate::harness::envoy::envoy_binary;
use crate::harness::eventually;
use crate::harness::process::{Process, repository};
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
    // The metadata are a Struct, as the filter's configuration is.
    let text = format!(
        "node:\n  id: words\n  cluster: words\n  metadata:\n{words}\
         admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}\n"
    );
    std::fs::write(&bootstrap, text).unwrap();
    let admin_address = directory.path().join("admin");
    let mut process = Process::start(
        "envoy",
        Command::new(envoy_binary())
            .arg("-c")
            .arg(&bootstrap)
            .arg("--admin-address-path")
            .arg(&admin_address)
            .args(["--concurrency", "1", "--disable-hot-restart"]),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let info: Value = runtime.block_on(async {
        let admin = eventually("Envoy names its admin address", async || {
            process.assert_running();
            std::fs::read_to_string(&admin_address).ok()?.parse().ok()
        })
        .await;
        eventually("Envoy reports on itself", async || {
            let request = Request::get(admin, "/server_info", &Replies::default());
            let reply = request.try_send().await.ok()?;
            serde_json::from_str(&reply.body).ok()
        })
        .await
    });
    process.stop();
    let read = &info["node"]["metadata"];
    let list = |value: &Value| value["words"].as_array().unwrap().clone();
    for (index, (read, expected)) in list(read).iter().zip(list(&expected)).enumerate() {
        assert_eq!(*read, expected, "word {index}");
    }
    assert_eq!(*read, expected);
}
