//! A dry run of the filter: in this process, on a [`MemoryHost`], with one request and one response for each list.
//!
//! Owns no rule: it reports what [`Vm`] did. Time is simulated; nothing is sent.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};
use portcullis::config::{ConfigError, Feed};
use portcullis::feed::call::{self, Method};
use portcullis::host::memory::{
    MadeCall, MemoryHost, MemoryProcess, MemoryRequest, MemoryResponse, SentReply,
};
use portcullis::host::{RootId, StreamId, System};
use portcullis::metrics::Metric;
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
    /// The warnings and errors that the filter logged when it fetched the lists.
    pub logged: Vec<String>,
}

/// A feed, and the response that its call gets.
pub struct Served<'a> {
    /// The feed.
    pub feed: &'a Feed,
    /// The list in the feed's format.
    pub body: &'a [u8],
}

/// Runs the filter: configures it, responds to its fetches with the lists, and passes it the request. Calls of feeds without
/// a list get no response.
pub fn dry_run(
    configuration: &[u8],
    lists: &[Served<'_>],
    request: MemoryRequest,
) -> Result<Outcome, Vec<ConfigError>> {
    let collecting = Collecting::start();
    let unix_now = SystemTime::now().duration_since(UNIX_EPOCH);
    let process = MemoryProcess::new(MONOTONIC_START, unix_now.unwrap_or_default(), 1);
    let host = MemoryHost::new(&process);
    let mut vm = Vm::new(&host);
    vm.configure(&host, ROOT, configuration)?;
    // check_config reports the warnings of the configuration.
    collecting.take();
    if !lists.is_empty() {
        fetch(&mut vm, &host, lists);
    }
    host.set_request(request);
    vm.request(&host, ROOT, StreamId(1));
    let counted = |metric: &Metric| process.metric(&metric.name()) > 0;
    Ok(Outcome {
        verdict: host.filter_state(),
        reply: host.reply(),
        allow_listed: counted(&Metric::AllowListed),
        logged: collecting.take(),
    })
}

fn fetch(vm: &mut Vm, host: &MemoryHost, lists: &[Served<'_>]) {
    let mut is_served = vec![false; lists.len()];
    let mut ticks_left = MOST_TICKS;
    while ticks_left > 0 {
        host.process().pass(SHORT_TICK);
        vm.tick(host, ROOT);
        ticks_left = ticks_left.saturating_sub(1);
        for made in host.take_calls() {
            let is_for = |list: &Served<'_>| is_call_of(list.feed, &made, host.unix_now());
            let Some(list) = lists.iter().find(|list| is_for(list)) else {
                // Of a feed without a list, or with traffic information.
                continue;
            };
            // Feeds of one source share a call.
            for (known, is_served) in lists.iter().zip(&mut is_served) {
                *is_served |= is_for(known);
            }
            host.set_response(MemoryResponse {
                headers: vec![(b":status".to_vec(), b"200".to_vec())],
                body: list.body.to_vec(),
            });
            vm.on_call_response(host, ROOT, made.token);
        }
        if !is_served.contains(&false) {
            ticks_left = ticks_left.min(TICKS_TO_LOAD);
        }
    }
}

/// Whether the filter made this call for the list of `feed`.
fn is_call_of(feed: &Feed, made: &MadeCall, unix_now: Duration) -> bool {
    let path = call::path(feed, unix_now);
    let headers = call::headers(feed, Method::Get, &path, None);
    let mut headers = headers.into_iter();
    made.cluster == feed.cluster
        && made.headers.len() == headers.len()
        && made
            .headers
            .iter()
            .zip(&mut headers)
            .all(|((name, value), (known, wanted))| name == known.as_bytes() && value == wanted)
}

static LOGGER: Logger = Logger;

thread_local! {
    /// What the filter of this thread logs, while a dry run collects it: a server makes several at the same time, and logs
    /// on other threads too.
    static LOGGED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Collects the filter's log messages until it is dropped.
struct Collecting;

impl Collecting {
    fn start() -> Self {
        let _ = log::set_logger(&LOGGER).map(|()| log::set_max_level(LevelFilter::Warn));
        LOGGED.set(Some(Vec::new()));
        Self
    }

    fn take(&self) -> Vec<String> {
        LOGGED.replace(Some(Vec::new())).unwrap_or_default()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        LOGGED.set(None);
    }
}

/// Passes messages to the dry run of its thread.
struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn && metadata.target().starts_with("portcullis")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.with_borrow_mut(|messages| {
                if let Some(messages) = messages {
                    messages.push(record.args().to_string());
                }
            });
        }
    }

    fn flush(&self) {}
}
