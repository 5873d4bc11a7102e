//! One filter configuration of the process: a method for each callback of the host. Owns no list.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use smallvec::SmallVec;

use super::Process;
use super::fetch_job::{FetchJob, Fetched};
use super::inbox::{Inbox, OpenRecord};
use super::shared_list::SharedList;
use crate::config::Route;
use crate::host::{CallToken, RequestHost, RootHost, RootId};
use crate::judge::{Disposition, FeedList, Verdict, enforce, judge};
use crate::list::ExactView;
use crate::metrics::{MeteredHost, Metric, Metrics};
use crate::plugin::Plugin;
use crate::request::{LazyRequest, RequestBuffers, select_api};
use crate::traffic::record::CorrelationId;
use crate::traffic::recording::{RecordedRequest, Recording, is_sampled};
use crate::traffic::settings::TrafficSettings;

/// A filter configuration. Requests use it on every thread.
#[derive(Debug)]
pub struct Filter {
    id: RootId,
    process: Arc<Process>,
    plugin: Arc<Plugin>,
    /// The list of each feed, in the order of the configuration.
    lists: Vec<Arc<SharedList>>,
    inbox: Option<Arc<Inbox>>,
    metrics: Metrics,
    /// For the sample of its requests.
    n_requests: AtomicU64,
}

/// What a stream keeps between its request and its end.
#[derive(Default)]
pub struct StreamState {
    record: Cell<Option<OpenRecord>>,
}

/// Memory that is reused for each request of a thread.
#[derive(Default)]
struct Buffers {
    request: RequestBuffers,
    recording: Recording,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Lends this thread's buffers; a callback during another gets new ones.
fn with_buffers<T>(act: impl FnOnce(&mut Buffers) -> T) -> T {
    BUFFERS.with(|buffers| match buffers.try_borrow_mut() {
        Ok(mut buffers) => act(&mut buffers),
        Err(_) => act(&mut Buffers::default()),
    })
}

impl Filter {
    pub(super) fn new(
        id: RootId,
        process: Arc<Process>,
        plugin: Arc<Plugin>,
        lists: Vec<Arc<SharedList>>,
        inbox: Option<Arc<Inbox>>,
        metrics: Metrics,
    ) -> Self {
        Self {
            id,
            process,
            plugin,
            lists,
            inbox,
            metrics,
            n_requests: AtomicU64::new(0),
        }
    }

    /// Its number.
    pub fn id(&self) -> RootId {
        self.id
    }

    /// Its configuration.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    pub(super) fn traffic(&self) -> Option<(&Arc<Inbox>, TrafficSettings<'_>)> {
        Some((self.inbox.as_ref()?, self.plugin.traffic_settings(self.id)?))
    }

    /// A tick, on the main thread. Sets the period until the next one.
    pub fn tick(&self, host: &dyn RootHost) {
        self.plugin.tick(host.monotonic_now());
        let metered = MeteredHost::for_root(host, &self.metrics);
        let period = self.process.tick(metered, self);
        host.set_tick_period(self.id, period);
    }

    /// The headers of a response arrived, on the main thread. For the response to a fetch: the job that reads its body, on any
    /// thread; its result goes to [`Filter::finish_fetch`]. Any other response goes to [`Filter::on_call_response`] when it
    /// is complete.
    pub fn begin_response(&self, host: &dyn RootHost, token: CallToken) -> Option<FetchJob> {
        self.process.begin_response(host, self.id, token)
    }

    /// The result of the job of a fetch, on the main thread.
    pub fn finish_fetch(&self, host: &dyn RootHost, token: CallToken, fetched: Fetched) {
        let host = MeteredHost::for_root(host, &self.metrics);
        self.process.finish_fetch(host, self.id, token, fetched);
    }

    /// A complete response, or a call that failed, on the main thread.
    pub fn on_call_response(&self, host: &dyn RootHost, token: CallToken) {
        let metered = MeteredHost::for_root(host, &self.metrics);
        self.process.on_call_response(metered, self, token);
    }

    /// Judges a request, and enforces the verdict. `route`: what the request's route changes.
    pub fn request(
        &self,
        host: &dyn RequestHost,
        route: &Route,
        stream: &StreamState,
    ) -> Disposition {
        let metered = MeteredHost::for_request(host, &self.metrics);
        let (plugin, config) = (&*self.plugin, self.plugin.config());
        if plugin.counts_requests() {
            metered.add(&Metric::Requests, 1);
        }
        let guards: SmallVec<[_; 2]> = self.lists.iter().map(|list| list.read()).collect();
        let known = plugin.feeds().iter().zip(&self.lists).zip(&guards);
        let feeds = known.map(|((known, list), guard)| FeedList {
            feed: &known.feed,
            policy: &known.policy,
            list: guard
                .as_ref()
                .map(|active| ExactView::new(active, list.is_stale(), host)),
        });
        let mut feeds: SmallVec<[_; 2]> = feeds.collect();
        let verdict = with_buffers(|buffers| {
            let Buffers { request, recording } = buffers;
            let mut request = LazyRequest::new(host, plugin.header_names(), request);
            let verdict = judge(config, plugin.policy(), &mut feeds, route, &mut request);
            self.record(metered, stream, &mut request, recording, &verdict);
            verdict
        });
        // Not while the buffers are lent: the reply may end the stream.
        enforce(metered, &config.deny_response, &verdict)
    }

    fn record(
        &self,
        host: MeteredHost<'_, dyn RequestHost + '_>,
        stream: &StreamState,
        request: &mut LazyRequest<'_>,
        recording: &mut Recording,
        verdict: &Verdict,
    ) {
        let Some((inbox, settings)) = self.traffic() else {
            return;
        };
        let traffic = settings.traffic;
        if !is_sampled(traffic.sample, self.n_requests.fetch_add(1, Relaxed)) {
            return;
        }
        let n = self.process.n_requests.fetch_add(1, Relaxed);
        let (headers, source_address) = request.headers_and_address();
        let apis = &self.plugin.config().apis;
        let recorded = RecordedRequest {
            api: select_api(apis, headers.authority(), headers.path()),
            headers,
            source_address,
            verdict,
        };
        let correlation_id = CorrelationId {
            vm: self.process.random,
            request: n.wrapping_add(1),
        };
        let record = recording.begin(&*host, traffic, correlation_id, recorded);
        let record = inbox.open(record, traffic.queue_memory);
        if record.is_none() {
            host.add(&Metric::TrafficDropped, 1);
        }
        stream.record.set(record);
    }

    /// The end of a stream; its response is complete, if there was one.
    pub fn stream_ended(&self, host: &dyn RequestHost, stream: &StreamState) {
        let Some(record) = stream.record.take() else {
            return;
        };
        let Some((_, settings)) = self.traffic() else {
            return;
        };
        with_buffers(|buffers| {
            record.complete(|record| buffers.recording.end(host, settings, record));
        });
    }

    /// The host deletes the configuration, on any thread. No other method is called afterwards.
    pub fn destroyed(&self) {
        self.process.remove(self.id);
    }
}
