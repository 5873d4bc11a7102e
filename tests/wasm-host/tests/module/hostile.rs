//! Hosts that answer as none would, and long lives: the module never traps, goes on, and takes no more memory.

use portcullis_wasm_host::odd::Oddness;
use portcullis_wasm_host::process::Process;
use portcullis_wasm_host::seeded::Random;
use portcullis_wasm_host::vm::{Answer, Vm};
use serde_json::{Value, json};

use crate::support::{MODULE, attacks, config, list, listed};

/// How many histories of a VM are played with odd hosts.
const SEEDS: u64 = 8_000;

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
