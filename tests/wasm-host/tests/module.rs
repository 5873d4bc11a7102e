//! The release module itself, as it is shipped: what it does, that no answer of a host makes it trap, that it tells no
//! secret, and that its memory stays bounded.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panics"
)]

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_wasm_host::odd::{Oddness, Random};
use portcullis_wasm_host::process::{Call, Process};
use portcullis_wasm_host::secrets::{holds_secret, secret};
use portcullis_wasm_host::vm::{Answer, Compiled, Outcome, Request, Vm};
use serde_json::{Value, json};

static MODULE: LazyLock<Compiled> = LazyLock::new(|| compiled("portcullis.wasm"));
static BLOCK_ONLY: LazyLock<Compiled> = LazyLock::new(|| compiled("portcullis-block-only.wasm"));

fn compiled(name: &str) -> Compiled {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Compiled::read(&root.join("target").join(name))
}

/// How many histories of a VM are played with odd hosts.
const SEEDS: u64 = 8_000;

/// The root context that every test configures first.
const ROOT: u32 = 1;

fn config() -> Value {
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
struct Envoy {
    process: Process,
    vms: Vec<Vm>,
    gets: usize,
}

impl Envoy {
    fn start(module: &Compiled, seed: u64, config: &Value, n_workers: usize) -> Self {
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
            gets: 0,
        }
    }

    /// Lets time pass; ABS answers each call for the list with `answer`, and takes traffic information.
    fn run(&mut self, milliseconds: u64, answer: &Answer) {
        for _ in 0..milliseconds / 50 {
            self.process.pass(50);
            for vm in &mut self.vms {
                vm.tick_due().unwrap();
            }
            for call in self.process.take_calls() {
                let is_get = call.header(":method").as_deref() == Some("GET");
                self.gets += usize::from(is_get);
                let answer = match is_get {
                    true => answer.clone(),
                    false => Answer::new(200, ""),
                };
                let mut vms = self.vms.iter_mut();
                let vm = vms.find(|vm| vm.number() == call.vm).unwrap();
                vm.answer(&call, answer).unwrap();
            }
        }
    }

    /// What each worker makes of a request.
    fn outcomes(&mut self, request: &Request) -> Vec<Outcome> {
        let workers = self.vms.iter_mut().skip(1);
        workers
            .map(|vm| vm.request(ROOT, request.clone()).unwrap())
            .collect()
    }

    fn assert_denied(&mut self, request: &Request, kind: &str) {
        for outcome in self.outcomes(request) {
            assert!(outcome.stopped);
            let reply = outcome.reply.unwrap();
            assert_eq!(reply.status, 403);
            assert_eq!(reply.body, "Error: Unauthorized");
            assert_eq!(reply.details, format!("portcullis_denied_abs_{kind}"));
            assert_eq!(outcome.verdict, Some(format!("denied abs {kind}")));
        }
    }

    fn assert_passes(&mut self, request: &Request) {
        for outcome in self.outcomes(request) {
            assert!(!outcome.stopped, "{outcome:?}");
            assert_eq!(outcome.reply, None);
        }
    }
}

fn listed() -> Value {
    json!({
        "ips": ["192.0.2.7", "198.51.100.0/24"],
        "cookies": {"sid": [secret("cookie")]},
        "oauth_tokens": [secret("token")],
        "api_keys": [secret("api-key")],
        "usernames": [secret("user")],
    })
}

fn list(list: &Value) -> Answer {
    Answer::new(200, list.to_string())
}

fn clean() -> Request {
    Request::from("203.0.113.1", "/shop")
}

/// One request for each kind of identifier that is listed.
fn attacks() -> [(&'static str, Request); 6] {
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

#[test]
fn it_fetches_blocks_keeps_the_list_and_unblocks() {
    whole_life(&MODULE);
}

#[test]
fn so_does_the_block_only_module() {
    whole_life(&BLOCK_ONLY);
}

fn whole_life(module: &Compiled) {
    let mut envoy = Envoy::start(module, 1, &config(), 2);
    for (_, request) in attacks() {
        envoy.assert_passes(&request);
    }
    envoy.run(2_000, &list(&listed()));
    assert_eq!(envoy.gets, 1, "one fetch for all VMs");
    for (kind, request) in attacks() {
        envoy.assert_denied(&request, kind);
    }
    envoy.assert_passes(&clean());

    // ABS fails: the list stays.
    envoy.run(30_000, &Answer::new(503, ""));
    envoy.run(15_000, &Answer::default());
    assert!(envoy.process.metric("fetch.result=status") > 0);
    assert!(envoy.process.metric("fetch.result=reset") > 0);
    for (kind, request) in attacks() {
        envoy.assert_denied(&request, kind);
    }

    // A bad configuration is refused, and the one in force goes on.
    for vm in &mut envoy.vms {
        assert!(!vm.configure(ROOT, br#"{"enable_firewal": true}"#).unwrap());
    }
    envoy.assert_denied(&attacks()[0].1, "ip");

    envoy.run(60_000, &list(&json!({"ips": []})));
    for (_, request) in attacks() {
        envoy.assert_passes(&request);
    }

    // The list is back; then fetching is turned off.
    envoy.run(15_000, &list(&listed()));
    envoy.assert_denied(&attacks()[0].1, "ip");
    for vm in &mut envoy.vms {
        vm.create_root(ROOT + 1).unwrap();
        assert!(vm.configure(ROOT + 1, b"{}").unwrap());
        let outcome = vm.request(ROOT + 1, attacks()[0].1.clone()).unwrap();
        assert!(!outcome.stopped);
    }
}

#[test]
fn it_tells_no_secret() {
    let mut config = config();
    config["enable_abs"] = json!(true);
    config["abs"] = json!({"cluster": "abs"});
    config["allow_list"] = json!({"usernames": [secret("friend")]});
    config["deny_list"] =
        json!({"api_keys": [secret("manual")], "cookies": {"c": [secret("manual-cookie")]}});
    let mut envoy = Envoy::start(&MODULE, 2, &config, 2);
    // Keys by environment variable, as well as in the configuration.
    for root in [2, 3] {
        let mut state = envoy.process.state();
        state.environment = vec![
            ("ABS_ACCESS_KEY".to_owned(), secret("access-key")),
            ("ABS_SECRET_KEY".to_owned(), secret("secret-key")),
        ];
        drop(state);
        if root == 3 {
            config["abs"] =
                json!({"cluster": "abs", "access_key": secret("a"), "secret_key": secret("b")});
        }
        let mut vm = Vm::new(&MODULE, &envoy.process);
        vm.create_root(ROOT).unwrap();
        assert!(vm.configure(ROOT, config.to_string().as_bytes()).unwrap());
        envoy.vms.push(vm);
    }
    let requests: Vec<Request> = attacks()
        .into_iter()
        .map(|(_, request)| request)
        .chain([
            clean().header("x-api-key", secret("manual")),
            clean().header("cookie", format!("c={}", secret("manual-cookie"))),
            clean().header("authorization", format!("Bearer {}", secret("unlisted"))),
        ])
        .collect();
    let bodies = [
        listed().to_string(),
        format!("{{\"ips\": [\"{}", secret("cut")),
        format!(
            "{{\"usernames\": [\"{}\"], {}",
            secret("no-json"),
            secret("no-json")
        ),
        format!("<html>{}</html>", secret("page")),
        format!("{{\"{}\": 1}}", secret("unknown-key")),
        format!("{{\"ips\": [\"{}\", \"0.0.0.0/0\"]}}", secret("no-address")),
    ];
    for body in &bodies {
        let answer = Answer::new(200, body.as_str());
        envoy.run(20_000, &answer);
        for request in &requests {
            envoy.outcomes(request);
        }
        let mut failure = Answer::new(401, body.as_str());
        failure
            .headers
            .push(("etag".to_owned(), secret("etag").into()));
        envoy.run(20_000, &failure);
    }
    // Configurations that are refused are told of, too.
    let refused = [
        json!({"abs": {"cluster": "abs", "access_key": format!("{}:", secret("colon"))}}),
        json!({"deny_list": {"ips": [secret("bad-ip")], "api_keys": [{"k": secret("bad-key")}]}}),
        json!({"enable_abs": true, "abs": {"secret_key": {"x": secret("wrong-type")}}}),
    ];
    for json in refused {
        let taken = envoy.vms[1].configure(ROOT, json.to_string().as_bytes());
        assert!(!taken.unwrap(), "{json}");
    }

    // It was asked, answered and denied, and it said something by each way.
    assert!(envoy.process.metric("denied.source=abs.kind=oauth_token") > 0);
    assert!(envoy.process.metric("denied.source=manual.kind=api_key") > 0);
    assert!(envoy.process.metric("traffic.sent") > 0);
    let state = envoy.process.state();
    for way in [
        "a shared-data key",
        "a shared-data value",
        "a log line",
        "a metric's name",
    ] {
        assert!(state.said.get(way).copied().unwrap_or(0) > 0, "{way}");
    }
    for way in [
        "filter state",
        "a reply's body",
        "a reply's headers",
        "a reply's details",
    ] {
        assert!(state.said.get(way).copied().unwrap_or(0) > 0, "{way}");
    }
    assert_eq!(state.leaks, Vec::<String>::new());
    for (key, (value, _)) in &state.data {
        assert!(!holds_secret(key) && !holds_secret(value));
    }
}

/// The search of the other tests sees a secret that leaves the module.
#[test]
fn a_secret_that_is_told_is_found() {
    let mut config = config();
    config["deny_response"] = json!({"body": secret("body")});
    let mut envoy = Envoy::start(&MODULE, 8, &config, 1);
    envoy.run(2_000, &list(&listed()));
    assert_eq!(envoy.process.state().leaks.len(), 0);
    assert!(envoy.outcomes(&attacks()[0].1)[0].stopped);
    let leaks = envoy.process.state().leaks.clone();
    assert_eq!(leaks, [format!("a reply's body: {}", secret("body"))]);
}

/// Equal lists of two processes have no fingerprint in common: each process has a key of its own.
#[test]
fn the_list_stands_in_shared_data_as_keyed_fingerprints() {
    let fingerprints = |seed| {
        let mut envoy = Envoy::start(&MODULE, seed, &config(), 1);
        envoy.run(2_000, &list(&listed()));
        envoy.assert_denied(&attacks()[3].1, "oauth_token");
        let state = envoy.process.state();
        let buckets = state
            .data
            .iter()
            .filter(|(key, _)| String::from_utf8_lossy(key).contains("/bucket/"));
        let words = buckets.flat_map(|(_, (value, _))| {
            // Behind a frame's header of 32 bytes.
            let words = value.get(32..).unwrap_or_default().as_chunks::<8>().0;
            words.to_vec()
        });
        words.collect::<Vec<[u8; 8]>>()
    };
    let (one, other) = (fingerprints(3), fingerprints(4));
    // The range stands elsewhere.
    assert_eq!(one.len(), 5);
    assert_eq!(other.len(), 5);
    assert!(one.iter().all(|print| !other.contains(print)));
}

/// The credentials go to ABS, and nowhere else: not in a path, and not in a body.
#[test]
fn credentials_stand_in_their_headers_alone() {
    let mut config = config();
    config["enable_abs"] = json!(true);
    config["traffic"] = json!({"flush_interval": "1s"});
    let mut envoy = Envoy::start(&MODULE, 5, &config, 1);
    let mut calls: Vec<Call> = Vec::new();
    for _ in 0..200 {
        envoy.process.pass(50);
        for vm in &mut envoy.vms {
            vm.tick_due().unwrap();
        }
        envoy.vms[1].request(ROOT, clean()).unwrap();
        for call in envoy.process.take_calls() {
            let mut vms = envoy.vms.iter_mut();
            let vm = vms.find(|vm| vm.number() == call.vm).unwrap();
            let answer = match call.header(":method").as_deref() {
                Some("GET") => list(&listed()),
                _ => Answer::new(200, ""),
            };
            vm.answer(&call, answer).unwrap();
            calls.push(call);
        }
    }
    for method in ["GET", "POST"] {
        let mut methods = calls.iter().map(|call| call.header(":method"));
        assert!(methods.any(|known| known.as_deref() == Some(method)));
    }
    for call in calls {
        assert_eq!(call.cluster, "abs");
        assert_eq!(call.header("x-abs-ak"), Some(secret("access-key")));
        assert_eq!(call.header("x-abs-sk"), Some(secret("secret-key")));
        let others = call
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with("x-abs-"));
        assert!(others.into_iter().all(|(_, value)| !holds_secret(value)));
        assert!(!holds_secret(&call.body));
    }
}

/// One step in the life of a VM, with any numbers where the host gives some.
fn random_step(vm: &mut Vm, process: &Process, random: &mut Random, configurations: &[String]) {
    let root = 1 + random.below(3) as u32;
    let result = match random.below(10) {
        0..=2 => {
            process.pass(random.below(400));
            vm.tick_due()
        }
        3 => vm.tick(random.odd_number() as u32),
        4 => {
            let json = &configurations[random.below(configurations.len() as u64) as usize];
            let created = vm.create_root(root);
            created.and_then(|()| vm.configure(root, json.as_bytes()).map(drop))
        }
        5 | 6 => {
            let calls = process.take_calls();
            let numbers = (random.odd_number() as u32, random.odd_number() as u32);
            match calls.first() {
                Some(call) if random.below(4) > 0 => {
                    let answer = match random.below(3) {
                        0 => list(&listed()),
                        1 => Answer::new(random.below(700) as u16, random.bytes(300)),
                        _ => Answer::default(),
                    };
                    vm.answer(call, answer)
                }
                _ => vm.answer_told(root, random.odd_number() as u32, numbers, list(&listed())),
            }
        }
        _ => {
            let attacks = attacks();
            let (_, request) = attacks[random.below(attacks.len() as u64) as usize].clone();
            let request = match random.below(2) {
                0 => request,
                _ => request.header("cookie", random.bytes(50)),
            };
            vm.request(root, request).map(drop)
        }
    };
    result.unwrap();
}

fn random_configurations() -> Vec<String> {
    let mut all = config();
    all["enable_abs"] = json!(true);
    all["guard"] = json!({"max_denied_percent": 1, "max_change_percent": 10});
    all["traffic"] = json!({"gzip": true, "flush_interval": "1s"});
    let mut sideband = config();
    sideband["enable_abs"] = json!(true);
    sideband["traffic"] = json!({"format": "sideband"});
    let mut strict = config();
    strict["before_first_list"] = json!("deny");
    strict["attack_list_max_age"] = json!("2s");
    strict["when_stale"] = json!("drop");
    let mut configurations: Vec<String> = [all, sideband, strict, config(), json!({})]
        .iter()
        .map(Value::to_string)
        .collect();
    configurations.push("{".to_owned());
    configurations
}

/// Each failure names its seed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0);
        }
    }
}

#[test]
fn no_answer_of_a_host_makes_it_trap() {
    let configurations = random_configurations();
    let (mut odd, mut lists, mut denied) = (0, 0, 0);
    for seed in 0..SEEDS {
        let _seed = Seed(seed);
        let process = Process::new(seed);
        let mut random = Random::new(seed);
        let mut vm = Vm::new(&MODULE, &process);
        // Odd from the first callback on, or only once it works.
        let one_in = [2, 5, 20, 100][seed as usize % 4];
        let oddness = Oddness {
            random: Random::new(seed + 1_000_000),
            one_in,
            lies: true,
            times: 0,
        };
        if seed % 3 == 0 {
            vm.be_odd(Some(oddness.clone()));
        }
        for step in 0..150 {
            if step == 30 {
                vm.be_odd(Some(oddness.clone()));
            }
            random_step(&mut vm, &process, &mut random, &configurations);
        }
        odd += vm.times_odd();
        lists += process.metric("fetch.result=ok");
        denied += process.metric("denied.source=abs.kind=ip");
        // It still lives: an honest host can use it on.
        vm.be_odd(None);
        vm.create_root(9).unwrap();
        let json = br#"{"deny_list": {"ips": ["192.0.2.7"]}}"#;
        assert!(vm.configure(9, json).unwrap());
        let outcome = vm.request(9, attacks()[0].1.clone()).unwrap();
        assert!(outcome.stopped, "it lives, but blocks no more");
    }
    println!("{odd} odd answers, {lists} lists, {denied} requests denied by them");
    assert!(odd > 50 * SEEDS && lists > SEEDS / 10 && denied > SEEDS / 10);
}

/// Rooms that a lying host asks for and never names again are lost, so this host only errs.
#[test]
fn its_memory_stays_bounded() {
    let configurations = random_configurations();
    let process = Process::new(6);
    let mut random = Random::new(6);
    let mut vm = Vm::new(&MODULE, &process);
    vm.be_odd(Some(Oddness {
        random: Random::new(7),
        one_in: 50,
        lies: false,
        times: 0,
    }));
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for _ in 0..10_000 {
            random_step(&mut vm, &process, &mut random, &configurations);
        }
        sizes.push(vm.memory_bytes());
    }
    println!("memory after each third: {sizes:?} bytes");
    assert!(sizes[2] <= 16 << 20, "{sizes:?}");
    assert!(
        sizes[2] * 50 <= sizes[1] * 51,
        "more than 2 % more: {sizes:?}"
    );
}
