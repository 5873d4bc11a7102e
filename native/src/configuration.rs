//! One configuration of the filter: its hooks on Envoy's main thread, and the threads that parse its lists.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::io::Read;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use portcullis::host::{MetricHandle, MetricType, RootId};
use portcullis::process::{FetchJob, Filter, Process};

use crate::abi::{self, Buffer, ConfigHandle, ConfigPointer, Header};
use crate::calls::{Calls, Ended, Next, Whole};
use crate::failures::Failures;
use crate::host::{Arrived, ConfigHost, ProcessHost, token};
use crate::in_flight::{self, Hook};
use crate::inbox::{FETCHED, FILE_CALL, Inbox, RESET, TICK};
use crate::list_files::FileResponse;
use crate::metrics::MetricTable;
use crate::panics::guarded;
use crate::{list_files, logger, pipe, ticks};

/// The name that `filter_name` must have.
pub const NAME: &str = "portcullis";

/// Requests and hooks that ended in a panic.
const PANICS: &str = "portcullis.panics";

/// The core's state in this process, for all configurations.
static PROCESS: LazyLock<Arc<Process>> = LazyLock::new(|| Arc::new(Process::new(&ProcessHost)));

/// The core's state in this process.
pub fn process() -> Arc<Process> {
    PROCESS.clone()
}

static NEXT_ROOT: AtomicU32 = AtomicU32::new(1);

/// A configuration. Envoy destroys it after its last stream, on any thread.
pub struct Configuration {
    /// The core's part.
    pub filter: Arc<Filter>,
    /// Its metrics.
    pub metrics: MetricTable,
    /// Whether it judges no request any more.
    pub failures: Failures,
    id: RootId,
    panics: Option<MetricHandle>,
    validates: bool,
    calls: Mutex<Calls>,
    inbox: Arc<Inbox>,
    envoy: ConfigPointer,
    main_thread: ThreadId,
    /// It is being destroyed: what its calls still cause is ignored.
    is_ending: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Configuration {
    /// A new configuration. If it is refused, the log says why.
    pub fn new(envoy: ConfigHandle<'_>, name: &[u8], json: &[u8]) -> Option<Self> {
        logger::follow_envoy();
        if name != NAME.as_bytes() {
            let name = String::from_utf8_lossy(name);
            log::error!(
                "filter_name: \"{name}\" is not a filter of this module; its only filter is \"{NAME}\""
            );
            return None;
        }
        let id = RootId(NEXT_ROOT.fetch_add(1, Ordering::Relaxed));
        let validates = abi::is_validation_mode();
        let inbox = Arc::new(Inbox::new((!validates).then(|| envoy.scheduler())));
        if !validates {
            let inbox = inbox.clone();
            let due = Arc::new(move || inbox.notify(TICK));
            if let Err(error) = ticks::add(id, due) {
                log::error!(
                    "the system starts no thread for the filter's ticks: {error}; check the limit on threads"
                );
                return None;
            }
        }
        let metrics = MetricTable::default();
        let host = ConfigHost {
            envoy,
            metrics: &metrics,
            inbox: (!validates).then_some(&*inbox),
            response: None,
        };
        let configured = guarded(|| PROCESS.configure(&host, id, json));
        let panics = metrics
            .define(Some(envoy), MetricType::Counter, PANICS)
            .ok();
        metrics.complete();
        let Some(Ok(filter)) = configured else {
            // The core has logged its errors.
            ticks::remove(id);
            return None;
        };
        if !validates {
            inbox.open();
        }
        Some(Self {
            filter,
            metrics,
            failures: Failures::default(),
            id,
            panics,
            validates,
            calls: Mutex::default(),
            inbox,
            envoy: envoy.pointer(),
            main_thread: std::thread::current().id(),
            is_ending: AtomicBool::new(false),
        })
    }

    /// The host for a hook.
    fn host<'a>(
        &'a self,
        envoy: ConfigHandle<'a>,
        response: Option<Arrived<'a>>,
    ) -> ConfigHost<'a> {
        ConfigHost {
            envoy,
            metrics: &self.metrics,
            inbox: (!self.validates).then_some(&*self.inbox),
            response,
        }
    }

    /// A hook on the main thread begins; it has ended when the result is dropped.
    pub fn hook(&self) -> Hook {
        self.inbox.in_flight.hook()
    }

    /// Envoy destroys the configuration, on any thread: ends its calls before Envoy does, on the main thread.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        if std::thread::current().id() != self.main_thread {
            let in_flight = &self.inbox.in_flight;
            in_flight.end(self.envoy, || self.inbox.notify_others(RESET));
        }
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Counts a panic.
    pub fn count_panic(&self, recorder: &impl crate::metrics::Recorder) {
        if let Some(panics) = self.panics {
            // The panic itself is in the log.
            let _ = self.metrics.increment(recorder, panics, 1);
        }
    }

    /// A thread has asked for this hook.
    pub fn scheduled(&self, envoy: ConfigHandle<'_>, event: u64) {
        match event {
            TICK => {
                ticks::begun(self.id);
                logger::follow_envoy();
                #[cfg(any(test, feature = "trap"))]
                crate::trap::at("tick", self.id);
                self.filter.tick(&self.host(envoy, None));
            }
            FETCHED => {
                for (id, fetched) in self.inbox.take_fetched() {
                    let host = self.host(envoy, None);
                    match fetched {
                        Some(fetched) => self.filter.finish_fetch(&host, token(id), fetched),
                        None => {
                            self.count_panic(&envoy);
                            self.filter.on_call_response(&host, token(id));
                        }
                    }
                }
            }
            FILE_CALL => {
                for call in self.inbox.take_file_calls() {
                    self.read_file(envoy, call.id, list_files::get(&call.cluster, &call.known));
                }
            }
            RESET => in_flight::reset_ending(),
            _ => {}
        }
    }

    /// Delivers the response to a call to a file.
    fn read_file(&self, envoy: ConfigHandle<'_>, id: u64, response: FileResponse) {
        let headers = response.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        let arrived = Arrived {
            headers: &headers,
            body: &[],
        };
        let host = self.host(envoy, Some(arrived));
        let read = match (self.filter.begin_response(&host, token(id)), response.body) {
            (Some(job), Some(body)) => self.parse(id, job, body),
            (Some(job), None) => self.parse(id, job, std::io::empty()),
            (None, _) => {
                self.filter.on_call_response(&host, token(id));
                Ok(())
            }
        };
        if let Err(error) = read {
            self.no_thread(&error);
            let host = self.host(envoy, None);
            self.filter.on_call_response(&host, token(id));
        }
    }

    fn no_thread(&self, error: &std::io::Error) {
        log::error!(
            "the system starts no thread to parse a list: {error}; check the limit on threads"
        );
    }

    /// The headers of a response arrived; `is_complete`: without a body.
    pub fn response_headers(
        &self,
        envoy: ConfigHandle<'_>,
        id: u64,
        headers: &[Header<'_>],
        is_complete: bool,
    ) {
        if self.is_ending() {
            return;
        }
        let headers: Vec<_> = headers.iter().map(Header::pair).collect();
        let arrived = Arrived {
            headers: &headers,
            body: &[],
        };
        let host = self.host(envoy, Some(arrived));
        let Some(job) = self.filter.begin_response(&host, token(id)) else {
            let owned = headers
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()));
            lock(&self.calls).begin_whole(id, owned.collect());
            return;
        };
        let (writer, reader) = pipe::pipe();
        match self.parse(id, job, reader) {
            Ok(()) if is_complete => {
                writer.finish();
                lock(&self.calls).done(id);
            }
            Ok(()) => lock(&self.calls).begin_list(id, writer),
            Err(error) => {
                self.no_thread(&error);
                lock(&self.calls).done(id);
                self.filter
                    .on_call_response(&self.host(envoy, None), token(id));
                envoy.reset_http_stream(id);
            }
        }
    }

    /// Parses a list on a thread of its own.
    fn parse(
        &self,
        id: u64,
        job: FetchJob,
        mut body: impl Read + Send + 'static,
    ) -> std::io::Result<()> {
        let inbox = self.inbox.clone();
        #[cfg(any(test, feature = "trap"))]
        let root = self.id;
        let thread = std::thread::Builder::new().name("portcullis-list".to_owned());
        thread.spawn(move || {
            let parsed = guarded(|| {
                #[cfg(any(test, feature = "trap"))]
                crate::trap::at("parse", root);
                job.run(&mut body)
            });
            // The rest of the body is of no use.
            drop(body);
            inbox.add_fetched(id, parsed);
        })?;
        Ok(())
    }

    /// A part of the body of a response arrived, in several pieces.
    pub fn response_data(&self, envoy: ConfigHandle<'_>, id: u64, parts: &[Buffer<'_>]) {
        if self.is_ending() {
            return;
        }
        lock(&self.calls).await_parser(id);
        for part in parts {
            self.response_bytes(envoy, id, part.bytes());
        }
    }

    fn response_bytes(&self, envoy: ConfigHandle<'_>, id: u64, bytes: &[u8]) {
        // Released before Envoy or the core is called: a reset runs another hook at once.
        let next = lock(&self.calls).data(id, bytes);
        match next {
            Next::Wait => {}
            Next::Reset => envoy.reset_http_stream(id),
            Next::Deliver(whole) => {
                self.deliver(envoy, id, &whole);
                envoy.reset_http_stream(id);
            }
        }
    }

    /// A response is complete.
    pub fn response_complete(&self, envoy: ConfigHandle<'_>, id: u64) {
        let ended = lock(&self.calls).complete(id);
        self.ended(envoy, id, ended);
    }

    /// A call was broken off: by its server, by its timeout or by this module.
    pub fn response_reset(&self, envoy: ConfigHandle<'_>, id: u64) {
        let ended = lock(&self.calls).reset(id);
        self.ended(envoy, id, ended);
    }

    fn ended(&self, envoy: ConfigHandle<'_>, id: u64, ended: Ended) {
        self.inbox.in_flight.ended(id);
        match ended {
            _ if self.is_ending() => {}
            Ended::Delivered => {}
            Ended::Deliver(whole) => self.deliver(envoy, id, &whole),
            Ended::Failed => self
                .filter
                .on_call_response(&self.host(envoy, None), token(id)),
        }
    }

    fn deliver(&self, envoy: ConfigHandle<'_>, id: u64, whole: &Whole) {
        let headers = whole.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        let arrived = Arrived {
            headers: &headers,
            body: &whole.body,
        };
        let host = self.host(envoy, Some(arrived));
        self.filter.on_call_response(&host, token(id));
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        ticks::remove(self.id);
        self.inbox.close();
        self.filter.destroyed();
    }
}
