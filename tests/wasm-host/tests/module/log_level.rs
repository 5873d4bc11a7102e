//! The module writes no log line below the host's level, and follows a change of that level.

use portcullis_wasm_host::process::{DEBUG, INFO, Process};
use portcullis_wasm_host::vm::{Request, Vm};
use serde_json::json;

use crate::support::{MODULE, ROOT};

#[test]
fn debug_lines_start_at_the_first_tick_after_the_host_turns_them_on() {
    let process = Process::new(11);
    process.state().log_level = INFO;
    let mut vm = Vm::new(&MODULE, &process);
    vm.create_root(ROOT).unwrap();
    let config = json!({"deny_list": {"ips": ["192.0.2.7"]}, "apis": [{"mode": "shadow"}]});
    assert!(vm.configure(ROOT, config.to_string().as_bytes()).unwrap());
    // Each of these requests logs a debug line, "would deny".
    let debug_lines = |vm: &mut Vm| {
        process.state().logs.clear();
        let outcome = vm.request(ROOT, Request::from("192.0.2.7", "/")).unwrap();
        assert!(!outcome.stopped);
        let logs = &process.state().logs;
        logs.iter().filter(|(level, _)| *level == DEBUG).count()
    };
    assert_eq!(debug_lines(&mut vm), 0);
    vm.tick(ROOT).unwrap();
    assert_eq!(debug_lines(&mut vm), 0);

    process.state().log_level = DEBUG;
    vm.tick(ROOT).unwrap();
    assert_eq!(debug_lines(&mut vm), 1);

    process.state().log_level = INFO;
    vm.tick(ROOT).unwrap();
    assert_eq!(debug_lines(&mut vm), 0);
}

#[test]
fn lines_at_the_level_of_the_host_and_above_are_written() {
    let process = Process::new(12);
    process.state().log_level = INFO;
    let mut vm = Vm::new(&MODULE, &process);
    vm.create_root(ROOT).unwrap();
    assert!(!vm.configure(ROOT, b"{").unwrap());
    let state = process.state();
    let refused = |(level, line): &(u32, String)| {
        *level > INFO && line.starts_with("the plugin configuration is refused")
    };
    assert!(state.logs.iter().any(refused), "{:?}", state.logs);
}
