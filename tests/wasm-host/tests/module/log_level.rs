//! The module writes no log line below the host's level, and follows a change of that level.

use log::Level;
use serde_json::json;

use crate::fake_host::Request;
use crate::scenarios::millis;
use crate::scenarios::process::Process;

/// The levels' numbers in the proxy-wasm ABI.
const DEBUG: u32 = 1;
const INFO: u32 = 2;

#[test]
fn debug_lines_start_at_the_first_tick_after_the_host_turns_them_on() {
    let process = Process::new(1);
    process.world().set_log_level(INFO);
    process.configure(&json!({"deny_list": {"ips": ["192.0.2.7"]}, "apis": [{"mode": "shadow"}]}));
    process.advance(millis(1_000));
    // Each of these requests logs a debug line, "would deny".
    let debug_lines = || {
        process.world().forget_logs();
        assert!(!process.denies(1, &Request::get("/").from("192.0.2.7")));
        let logs = process.world().logs();
        let debug = logs.iter().filter(|(level, _)| *level == Level::Debug);
        debug.count()
    };
    assert_eq!(debug_lines(), 0);
    process.tick(1);
    assert_eq!(debug_lines(), 0);

    process.world().set_log_level(DEBUG);
    process.tick(1);
    assert_eq!(debug_lines(), 1);

    process.world().set_log_level(INFO);
    process.tick(1);
    assert_eq!(debug_lines(), 0);
}

#[test]
fn lines_at_the_level_of_the_host_and_above_are_written() {
    let process = Process::new(1);
    process.world().set_log_level(INFO);
    process
        .try_configure(&json!({"enable_firewal": true}))
        .unwrap_err();
    let logs = process.world().logs();
    let refused = |(level, line): &(Level, String)| {
        *level == Level::Error && line.starts_with("the plugin configuration is refused")
    };
    assert!(logs.iter().any(refused), "{logs:?}");
}
