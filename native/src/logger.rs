//! The logger of the `log` facade. It writes to Envoy's log, under `dynamic_modules`.

use core::fmt::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::abi::{self, number};

struct EnvoyLog;

impl Log for EnvoyLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => number::LOG_ERROR,
            Level::Warn => number::LOG_WARN,
            Level::Info => number::LOG_INFO,
            Level::Debug | Level::Trace => number::LOG_DEBUG,
        };
        // As in the lines that Envoy writes for proxy-wasm.
        let mut message = "portcullis: ".to_owned();
        // If formatting fails, the text before the failure is logged.
        let _ = message.write_fmt(*record.args());
        let (file, line) = (record.file().unwrap_or_default(), record.line());
        abi::log(level, &message, file, line.unwrap_or_default());
    }

    fn flush(&self) {}
}

/// Installs the logger, and lets panics be logged.
pub fn install() {
    // It fails only if it is installed already: Envoy loads a module again after all configurations were deleted.
    let _ = log::set_logger(&EnvoyLog);
    follow_envoy();
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}

/// Turns off the levels that Envoy does not log, so that their messages are not formatted. Envoy reports no change of its
/// level, so this is called again at each tick.
pub fn follow_envoy() {
    const LEVELS: [(u32, LevelFilter); 4] = [
        (number::LOG_DEBUG, LevelFilter::Debug),
        (number::LOG_INFO, LevelFilter::Info),
        (number::LOG_WARN, LevelFilter::Warn),
        (number::LOG_ERROR, LevelFilter::Error),
    ];
    let enabled = LEVELS
        .into_iter()
        .find(|(level, _)| abi::log_enabled(*level));
    log::set_max_level(enabled.map_or(LevelFilter::Off, |(_, filter)| filter));
}
