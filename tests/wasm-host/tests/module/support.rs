//! The lists, requests and names that these tests share.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fake_host::Request;
use crate::scenarios::abs::Abs;
use crate::scenarios::millis;
use crate::scenarios::process::Process;
use crate::secrets::secret;

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of wasm-target/exports.txt or imports.txt.
pub fn names(list: &str) -> Vec<String> {
    let path = repository().join("wasm-target").join(list);
    let text = std::fs::read_to_string(path).unwrap();
    let names = text.lines().filter_map(|line| line.split('#').next());
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// The root context that tests of a single VM configure.
pub const ROOT: u32 = 1;

pub fn config() -> Value {
    json!({
        "enable_abs_attack": true,
        "abs_attack_request_minutes": 0.1,
        "abs": {
            "cluster": "abs",
            "access_key": secret("access-key"),
            "secret_key": secret("secret-key"),
            "timeout": "2s",
        },
    })
}

/// A process with one worker that has the list `list` of ABS.
pub fn started(config: &Value, list: Value) -> (Process, Abs) {
    let process = Process::new(1);
    let abs = Abs::serving(process.world(), list);
    process.configure(config);
    process.advance(millis(3_000));
    (process, abs)
}

pub fn listed() -> Value {
    json!({
        "ips": ["192.0.2.7", "198.51.100.0/24"],
        "cookies": {"sid": [secret("cookie")]},
        "oauth_tokens": [secret("token")],
        "api_keys": [secret("api-key")],
        "usernames": [secret("user")],
    })
}

pub fn clean() -> Request {
    Request::get("/shop").from("203.0.113.1")
}

/// One request for each kind of identifier that is listed.
pub fn attacks() -> [Request; 6] {
    [
        Request::get("/").from("192.0.2.7"),
        Request::get("/").from("198.51.100.200"),
        clean().header("cookie", format!("a=b; sid={}", secret("cookie"))),
        clean().bearer(&secret("token")),
        Request::get(&format!("/?api_key={}", secret("api-key"))).from("203.0.113.1"),
        clean().basic(&secret("user")),
    ]
}
