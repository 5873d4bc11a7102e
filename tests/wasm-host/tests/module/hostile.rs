//! Hosts that answer as none would, and long lives: the module never traps, goes on, and takes no more memory.

use std::collections::BTreeMap;

use portcullis_wasm_host::fault_injection::FaultInjector;
use portcullis_wasm_host::process::Process;
use portcullis_wasm_host::seeded::Random;
use portcullis_wasm_host::vm::{Answer, Vm};
use serde_json::{Value, json};

use crate::support::{MODULE, attacks, config, list, listed, names};

/// Number of VM histories played with faults injected.
const SEEDS: u64 = 8_000;

/// One step in the life of a VM, with any numbers where the host gives some.
fn random_step(vm: &mut Vm, process: &Process, random: &mut Random, configurations: &[String]) {
    let root = 1 + random.below(3) as u32;
    let result = match random.below(20) {
        0..=5 => {
            process.pass(random.below(400));
            vm.tick_due()
        }
        6 => {
            let callbacks = [
                "proxy_on_request_headers",
                "proxy_on_context_create",
                "proxy_on_tick",
            ];
            let name = callbacks[random.below(3) as usize];
            vm.stray(name, random.extreme_number() as u32)
        }
        7 => vm.tick(random.extreme_number() as u32),
        8 | 9 => {
            let json = &configurations[random.below(configurations.len() as u64) as usize];
            let size = match random.below(4) {
                0 => random.extreme_number() as u32,
                _ => json.len() as u32,
            };
            let created = vm.create_root(root);
            created.and_then(|()| vm.configure_told(root, size, json.as_bytes()).map(drop))
        }
        10..=13 => {
            let calls = process.take_calls();
            let numbers = (
                random.extreme_number() as u32,
                random.extreme_number() as u32,
            );
            match calls.first() {
                Some(call) if random.below(4) > 0 => {
                    let answer = match random.below(3) {
                        0 => list(&listed()),
                        1 => Answer::new(random.below(700) as u16, random.bytes(300)),
                        _ => Answer::default(),
                    };
                    match random.below(4) {
                        0 => vm.answer_told(call.root, call.token, numbers, answer),
                        _ => vm.answer(call, answer),
                    }
                }
                _ => vm.answer_told(
                    root,
                    random.extreme_number() as u32,
                    numbers,
                    list(&listed()),
                ),
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
    all["traffic"] = json!({"format": "batch", "gzip": true, "flush_interval": "1s"});
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

/// Environments as an operator, or nobody, would make them.
fn random_environment(random: &mut Random) -> Vec<Vec<u8>> {
    let honest = b"ABS_ACCESS_KEY=key".to_vec();
    match random.below(8) {
        0 => vec![],
        1 => vec![
            vec![],
            b"=".to_vec(),
            b"ABS_ACCESS_KEY".to_vec(),
            b"=value".to_vec(),
        ],
        // A key that is no text, one with a colon, one with the end of its line.
        2 => vec![
            b"ABS_ACCESS_KEY=\xff\xfe".to_vec(),
            b"ABS_SECRET_KEY=a:b".to_vec(),
        ],
        3 => vec![b"ABS_ACCESS_KEY=key\n".to_vec(), honest],
        4 => vec![
            [b"ABS_SECRET_KEY=".as_slice(), &[b'k'; 200_000]].concat(),
            honest,
        ],
        5 => (0..2_000)
            .map(|n| format!("N{n}={n}").into_bytes())
            .collect(),
        6 => {
            let line = random.bytes(60);
            vec![line.into_iter().filter(|byte| *byte != 0).collect(), honest]
        }
        _ => vec![honest.clone(), honest],
    }
}

#[test]
fn no_answer_of_a_host_makes_it_trap() {
    let injected = live_with_faults();
    // Each hostcall had faults: none is missing from this test.
    for import in names("imports.txt") {
        let (_, name) = import.split_once('.').unwrap();
        match name {
            // The end of a VM, which must not happen, and its last words.
            "proc_exit" | "fd_write" => assert!(!injected.contains_key(name)),
            name => assert!(
                injected.get(name) > Some(&(SEEDS / 20)),
                "{name}: {injected:?}"
            ),
        }
    }
}

/// Plays a history for each seed, and returns the number of faults by hostcall.
fn live_with_faults() -> BTreeMap<&'static str, u64> {
    let configurations = random_configurations();
    let (mut lists, mut denied, mut within) = (0, 0, 0);
    let mut injected: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..SEEDS {
        let _seed = Seed(seed);
        let process = Process::new(seed);
        let mut random = Random::new(seed);
        process.state().environment = random_environment(&mut random);
        let mut vm = Vm::new(&MODULE, &process);
        // Faults from the first callback on, or only once it works.
        let one_in = [2, 5, 20, 100][seed as usize % 4];
        let faults = FaultInjector::new(seed + 1_000_000, one_in, true);
        if seed % 3 == 0 {
            vm.inject_faults(Some(faults.clone()));
        }
        for step in 0..150 {
            if step == 30 && seed % 3 != 0 {
                vm.inject_faults(Some(faults.clone()));
            }
            random_step(&mut vm, &process, &mut random, &configurations);
        }
        for (name, times) in vm.n_faults() {
            *injected.entry(name).or_default() += times;
        }
        within += vm.n_callbacks_within();
        lists += process.metric("fetch.result=ok");
        let said = |way| process.state().said.get(way).copied().unwrap_or(0);
        denied += said("a reply's details");
        assert_eq!(said("output"), 0);
        // It still lives: an honest host can use it on.
        vm.inject_faults(None);
        process.state().environment.clear();
        vm.create_root(9).unwrap();
        let json = br#"{"deny_list": {"ips": ["192.0.2.7"]}}"#;
        assert!(vm.configure(9, json).unwrap());
        let outcome = vm.request(9, attacks()[0].1.clone()).unwrap();
        assert!(outcome.stopped, "it lives, but blocks no more");
    }
    println!(
        "injected faults: {injected:?}; {within} callbacks within hostcalls; {lists} lists, {denied} replies"
    );
    assert!(injected.values().sum::<u64>() > 20 * SEEDS && within > SEEDS / 10);
    assert!(lists > SEEDS / 10 && denied > SEEDS / 10);
    injected
}

/// A value of shared data may be larger than a VM has memory for: whoever wrote it must not end the VM by it.
#[test]
fn it_survives_a_failed_allocation() {
    let process = Process::new(10);
    let mut vm = Vm::new(&MODULE, &process);
    for size in [0x8000_0000, u32::MAX] {
        assert_eq!(vm.allocate(size).unwrap(), 0);
    }
    vm.create_root(9).unwrap();
    let json = br#"{"deny_list": {"ips": ["192.0.2.7"]}}"#;
    assert!(vm.configure(9, json).unwrap());
    let outcome = vm.request(9, attacks()[0].1.clone()).unwrap();
    assert!(outcome.stopped);
}

/// The unit in which wasm memory grows.
const PAGE: usize = 64 << 10;

/// Rooms that a lying host asks for and never names again are lost, so this host only errs.
#[test]
fn its_memory_stays_bounded() {
    let configurations = random_configurations();
    let process = Process::new(6);
    let mut random = Random::new(6);
    let mut vm = Vm::new(&MODULE, &process);
    vm.inject_faults(Some(FaultInjector::new(7, 50, false)));
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for _ in 0..100_000 {
            random_step(&mut vm, &process, &mut random, &configurations);
        }
        sizes.push(vm.memory_bytes());
    }
    println!("memory after each third: {sizes:?} bytes");
    assert!(sizes[2] <= 16 << 20, "{sizes:?}");
    // Fragmentation still adds a few pages; a leak of three bytes per step adds more.
    assert!(sizes[2] <= sizes[1] + 4 * PAGE, "{sizes:?}");
}
