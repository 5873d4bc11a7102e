//! A process with a main thread and workers, the lists and requests of the tests, and time that passes as they say.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_wasm_host::process::{Call, Process};
use portcullis_wasm_host::secrets::secret;
use portcullis_wasm_host::vm::{Answer, Compiled, Outcome, Request, Vm};
use serde_json::{Value, json};

pub static MODULE: LazyLock<Compiled> =
    LazyLock::new(|| match std::env::var_os("PORTCULLIS_WASM") {
        Some(path) => Compiled::read(Path::new(&path)),
        None => Compiled::read(&repository().join("target/portcullis.wasm")),
    });

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

/// The root context that every test configures first.
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

/// A process with a main thread and workers, after Envoy tried the configuration in a VM that it threw away.
pub struct Envoy {
    pub process: Process,
    /// The main thread's first.
    pub vms: Vec<Vm>,
    /// Every call that was made and answered.
    pub calls: Vec<Call>,
}

impl Envoy {
    pub fn start(module: &Compiled, seed: u64, config: &Value, n_workers: usize) -> Self {
        let process = Process::new(seed);
        let json = config.to_string();
        let new_vm = || {
            let mut vm = Vm::new(module, &process);
            vm.create_root(ROOT).unwrap();
            assert!(vm.configure(ROOT, json.as_bytes()).unwrap());
            vm
        };
        let canary = new_vm();
        assert!(
            process.state().data.is_empty(),
            "the canary wrote shared data"
        );
        drop(canary);
        let vms = (0..=n_workers).map(|_| new_vm()).collect();
        Self {
            process,
            vms,
            calls: Vec::new(),
        }
    }

    /// Lets time pass; ABS answers each call for the list with `answer`, and takes traffic information.
    pub fn run(&mut self, milliseconds: u64, answer: &Answer) {
        for _ in 0..milliseconds / 50 {
            self.process.pass(50);
            for vm in &mut self.vms {
                vm.tick_due().unwrap();
            }
            for call in self.process.take_calls() {
                let answer = match call.is_get() {
                    true => answer.clone(),
                    false => Answer::new(200, ""),
                };
                let mut vms = self.vms.iter_mut();
                let vm = vms.find(|vm| vm.number() == call.vm).unwrap();
                vm.answer(&call, answer).unwrap();
                self.calls.push(call);
            }
        }
    }

    /// What each worker makes of a request.
    pub fn outcomes(&mut self, request: &Request) -> Vec<Outcome> {
        let workers = self.vms.iter_mut().skip(1);
        workers
            .map(|vm| vm.request(ROOT, request.clone()).unwrap())
            .collect()
    }

    pub fn assert_denied(&mut self, request: &Request, kind: &str) {
        for outcome in self.outcomes(request) {
            assert!(outcome.stopped);
            let reply = outcome.reply.unwrap();
            assert_eq!(reply.status, 403);
            assert_eq!(reply.body, "Error: Unauthorized");
            assert_eq!(reply.details, format!("portcullis_denied_abs_{kind}"));
            assert_eq!(outcome.verdict, Some(format!("denied abs {kind}")));
        }
    }

    pub fn assert_passes(&mut self, request: &Request) {
        for outcome in self.outcomes(request) {
            assert!(!outcome.stopped, "{outcome:?}");
            assert_eq!(outcome.reply, None);
        }
    }
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

pub fn list(list: &Value) -> Answer {
    Answer::new(200, list.to_string())
}

pub fn clean() -> Request {
    Request::from("203.0.113.1", "/shop")
}

/// One request for each kind of identifier that is listed.
pub fn attacks() -> [(&'static str, Request); 6] {
    let basic = STANDARD.encode(format!("{}:{}", secret("user"), secret("password")));
    [
        ("ip", Request::from("192.0.2.7", "/")),
        ("ip", Request::from("198.51.100.200", "/")),
        (
            "cookie",
            clean().header("cookie", format!("a=b; sid={}", secret("cookie"))),
        ),
        (
            "oauth_token",
            clean().header("authorization", format!("Bearer {}", secret("token"))),
        ),
        (
            "api_key",
            Request::from("203.0.113.1", &format!("/?api_key={}", secret("api-key"))),
        ),
        (
            "username",
            clean().header("authorization", format!("Basic {basic}")),
        ),
    ]
}
