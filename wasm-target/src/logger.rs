//! The logger of the `log` facade. It writes to the host's log and never panics, unlike the SDK's.
//! Makes no hostcall itself.

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
        // If formatting fails, the text before the failure is logged.
        let _ = message.write_fmt(*record.args());
        write_log(level, &message);
    }

    fn flush(&self) {}
}

/// Installs the logger. It writes every level until the first call of [`follow_host`]: the host traps a VM that
/// reads the level during its start.
pub fn install() {
    // It fails only if a logger is already installed.
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
