//! A dry run of the filter: in this process, on a [`MemoryHost`], with one request and one response of ABS.
//!
//! Owns no rule: it reports what [`Vm`] did. Time is simulated; nothing is sent.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use portcullis::config::ConfigError;
use portcullis::host::memory::{
    MemoryHost, MemoryProcess, MemoryRequest, MemoryResponse, SentReply,
};
use portcullis::host::{RootId, StreamId};
use portcullis::metrics::{FetchResult, Metric};
use portcullis::sync::SHORT_TICK;
use portcullis::vm::Vm;

const ROOT: RootId = RootId(1);

/// Later than every interval that the filter measures from the start of the clock.
const MONOTONIC_START: Duration = Duration::from_secs(1_000_000);

/// A filter that has not fetched and published a list within this many ticks never does.
const MOST_TICKS: u32 = 1_000;

/// The filter loads a list within this many ticks after it has published it.
const TICKS_TO_LOAD: u32 = 20;

/// What the filter did with a request.
#[derive(Debug)]
pub struct Outcome {
    /// `%FILTER_STATE(wasm.portcullis.verdict:PLAIN)%`, if set.
    pub verdict: Option<String>,
    /// The local reply, if any.
    pub reply: Option<SentReply>,
    /// Whether the allow list let the request pass.
    pub allow_listed: bool,
    /// The warnings and errors that the filter logged when it fetched the list.
    pub logged: Vec<String>,
    /// Whether the filter accepted the list.
    pub has_list: bool,
}

/// Runs the filter: configures it, responds to its fetch, if any, with `list`, and passes it the request.
pub fn dry_run(
    configuration: &[u8],
    list: Option<&[u8]>,
    request: MemoryRequest,
) -> Result<Outcome, Vec<ConfigError>> {
    let _ = log::set_logger(&LOGGER).map(|()| log::set_max_level(LevelFilter::Warn));
    let unix_now = SystemTime::now().duration_since(UNIX_EPOCH);
    let process = MemoryProcess::new(MONOTONIC_START, unix_now.unwrap_or_default(), 1);
    let host = MemoryHost::new(&process);
    let mut vm = Vm::new(&host);
    vm.configure(&host, ROOT, configuration)?;
    // check_config reports the warnings of the configuration.
    LOGGER.take();
    if let Some(list) = list {
        fetch(&mut vm, &host, list);
    }
    host.set_request(request);
    vm.request(&host, ROOT, StreamId(1));
    let counted = |metric: Metric| process.metric(&metric.name()) > 0;
    Ok(Outcome {
        verdict: host.filter_state(),
        reply: host.reply(),
        allow_listed: counted(Metric::AllowListed),
        logged: LOGGER.take(),
        has_list: counted(Metric::Fetch(FetchResult::Ok)),
    })
}

fn fetch(vm: &mut Vm, host: &MemoryHost, list: &[u8]) {
    let mut ticks_left = MOST_TICKS;
    while ticks_left > 0 {
        host.process().pass(SHORT_TICK);
        vm.tick(host, ROOT);
        ticks_left = ticks_left.saturating_sub(1);
        for call in host.take_calls() {
            // Calls with traffic information get no response.
            let method = (b":method".to_vec(), b"GET".to_vec());
            if call.headers.contains(&method) {
                host.set_response(MemoryResponse {
                    headers: vec![(b":status".to_vec(), b"200".to_vec())],
                    body: list.to_vec(),
                });
                vm.on_call_response(host, ROOT, call.token, list.len());
                ticks_left = ticks_left.min(TICKS_TO_LOAD);
            }
        }
    }
}

static LOGGER: Logger = Logger(Mutex::new(Vec::new()));

/// Collects the filter's log messages.
struct Logger(Mutex<Vec<String>>);

impl Logger {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with("portcullis")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            messages.push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}
