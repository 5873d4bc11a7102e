//! The logger behind the `log` facade. It writes to the host's log and never panics, unlike the SDK's.

use core::fmt::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};
use proxy_wasm::types::LogLevel;

use crate::host::{log_level, write_log};

struct HostLog;

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        };
        let mut message = String::new();
        // A message that fails half-way is still worth its first half.
        let _ = message.write_fmt(*record.args());
        write_log(level, &message);
    }

    fn flush(&self) {}
}

/// Installs the logger. Until [`follow_host`] is called it writes every level: the host traps a VM that asks for the
/// level while it starts.
pub fn install() {
    // It fails only where a logger is installed already.
    let _ = log::set_logger(&HostLog);
    log::set_max_level(LevelFilter::Trace);
}

/// Turns off the levels that the host does not log, so that their messages are not formatted. The host reports no
/// change of its level, so this is called again at each tick.
pub fn follow_host() {
    log::set_max_level(match log_level() {
        // The host writes or drops each line itself.
        None | Some(0) => LevelFilter::Trace,
        Some(1) => LevelFilter::Debug,
        Some(2) => LevelFilter::Info,
        Some(3) => LevelFilter::Warn,
        Some(4) => LevelFilter::Error,
        // "critical" and "off".
        Some(_) => LevelFilter::Off,
    });
}
