//! One VM: a method for each callback of the host.
//!
//! Wires root contexts to the lists they enforce (`sync`), the judgement of requests (`judge`) and traffic information
//! (`traffic`). A [`Vm`] survives changes of configuration: each adds a root context to the VM, and all root
//! contexts share the VM's lists and queues.

use core::time::Duration;

use smallvec::SmallVec;

use crate::config::{ConfigError, Route};
use crate::host::{CallToken, Host, RootId, StreamId, System};
use crate::identifier::FingerprintKey;
use crate::judge::{Disposition, FeedList, Verdict, enforce, judge};
use crate::metrics::{MeteredHost, Metric, Metrics};
use crate::plugin::Plugin;
use crate::request::{LazyRequest, RequestBuffers, select_api};
use crate::root::Root;
use crate::sync::{
    ListId, Replica, ReplicaList, SHORT_TICK, SPARE_TICK, SyncSettings, TICK, Updater,
    UsageReporter, VmId, VmIdentity,
};
use crate::traffic::recorder::Recorder;
use crate::traffic::recording::RecordedRequest;

/// The state of one VM.
#[derive(Debug)]
pub struct Vm {
    identity: VmIdentity,
    /// The key of the manual lists' fingerprints; it never leaves this VM.
    local_key: FingerprintKey,
    metrics: Metrics,
    /// Whether the metrics of all root contexts are defined: at the first tick or request, since a VM may be created only to
    /// validate a configuration.
    are_metrics_defined: bool,
    /// In the order in which they were configured.
    roots: Vec<Root>,
    /// The time of the last tick of any root context.
    last_tick: Duration,
    lists: Vec<SyncedList>,
    recorder: Recorder,
    buffers: RequestBuffers,
    /// The requests since the last tick that a feed reports.
    n_requests: u64,
}

/// A list of this VM.
#[derive(Debug)]
struct SyncedList {
    id: ListId,
    replica: Replica,
    updater: Updater,
    usage: UsageReporter,
}

impl Vm {
    /// A VM without a configuration. Makes no hostcalls except for the clock and random numbers.
    pub fn new(system: &dyn System) -> Self {
        let id = VmId(system.random());
        Self {
            identity: VmIdentity {
                id,
                started: system.monotonic_now(),
                served: false,
            },
            local_key: FingerprintKey::from_words([system.random(), system.random()]),
            metrics: Metrics::default(),
            are_metrics_defined: false,
            roots: Vec::new(),
            last_tick: Duration::ZERO,
            lists: Vec::new(),
            recorder: Recorder::new(id.0),
            buffers: RequestBuffers::default(),
            n_requests: 0,
        }
    }

    /// The plugin configuration of a root context.
    ///
    /// The host also calls this in a VM that it creates to validate the configuration and then deletes. So nothing is
    /// written and nothing is fetched here: that begins at the first tick.
    ///
    /// # Errors
    ///
    /// Every error of the configuration, each logged too. The active configuration stays.
    pub fn configure(
        &mut self,
        host: &dyn Host,
        id: RootId,
        json: &[u8],
    ) -> Result<(), Vec<ConfigError>> {
        let root = Root::new(id, Plugin::load(host, json, self.local_key)?);
        for feed in root.plugin().feeds() {
            let id = feed.list;
            if !self.lists.iter().any(|list| list.id == id) {
                self.lists.push(SyncedList {
                    id,
                    replica: Replica::new(id),
                    updater: Updater::new(id, self.identity.id, &feed.feed),
                    usage: UsageReporter::default(),
                });
            }
        }
        if let Some(destination) = root.plugin().destination() {
            self.recorder.open(destination);
        }
        self.roots.retain(|known| known.id() != id);
        // Stopped root contexts tick again, so that deleted ones are noticed.
        for root in self.roots.iter_mut().filter(|root| root.is_stopped()) {
            root.set_tick_period(host, TICK);
        }
        self.roots.push(root);
        self.are_metrics_defined = false;
        host.set_tick_period(id, SHORT_TICK);
        Ok(())
    }

    /// A tick of a root context.
    pub fn tick(&mut self, host: &dyn Host, id: RootId) {
        let now = host.monotonic_now();
        self.define_metrics(host);
        let n_requests = core::mem::take(&mut self.n_requests);
        MeteredHost::new(host, &self.metrics).add(&Metric::Requests, n_requests);
        self.remove_deleted_roots(now, id);
        self.release_unused(host);
        let Some(position) = self.roots.iter().position(|root| root.id() == id) else {
            return;
        };
        if let Some(root) = self.roots.get(position) {
            root.plugin().tick(now);
        }
        let of_lists = self.tick_lists(host, position);
        let of_traffic = self.tick_traffic(host, position);
        let period = of_lists.into_iter().chain(of_traffic).min();
        let period = period.unwrap_or_else(|| {
            // Ticks go on only to release what older root contexts leave behind.
            let nothing_left = self.lists.is_empty() && self.recorder.is_closed();
            if self.roots.len() == 1 && nothing_left {
                Duration::ZERO
            } else {
                TICK
            }
        });
        if let Some(root) = self.roots.get_mut(position) {
            root.set_tick_period(host, period);
        }
    }

    /// The response to a call of a root context.
    pub fn on_call_response(&mut self, host: &dyn Host, id: RootId, token: CallToken) {
        let host = MeteredHost::new(host, &self.metrics);
        let Some(root) = self.roots.iter().find(|root| root.id() == id) else {
            return;
        };
        if let Some(settings) = root.traffic_settings()
            && self
                .recorder
                .on_call_response(host.of_root(), token, settings)
        {
            return;
        }
        for list in &mut self.lists {
            let Some(settings) = newest_settings(&self.roots, list.id, root.id()) else {
                continue;
            };
            if list.updater.awaits(root.id(), token) {
                let replica = &list.replica;
                let updater = &mut list.updater;
                return updater.on_response(host, replica, token, &settings);
            }
            if list.usage.awaits(root.id(), token) {
                return list.usage.on_response(host.of_root(), &settings);
            }
        }
    }

    /// Judges the current request, and enforces the verdict.
    pub fn request(&mut self, host: &dyn Host, id: RootId, stream: StreamId) -> Disposition {
        self.identity.served = true;
        self.define_metrics(host);
        // The newest configuration replaces one that is deleted.
        let position = self.roots.iter().position(|root| root.id() == id);
        let newest = self.roots.len().saturating_sub(1);
        let Some(root) = self.roots.get(position.unwrap_or(newest)) else {
            return Disposition::Continue;
        };
        if root.plugin().counts_requests() {
            self.n_requests = self.n_requests.saturating_add(1);
        }
        let mut feeds = feeds_of(root, &mut self.lists, host);
        let plugin = root.plugin();
        let (config, header_names) = (plugin.config(), plugin.header_names());
        let mut request = LazyRequest::new(host, header_names, &mut self.buffers);
        let verdict = judge(
            config,
            plugin.policy(),
            &mut feeds,
            &Route::NONE,
            &mut request,
        );
        let host = MeteredHost::new(host, &self.metrics);
        record(
            &mut self.recorder,
            host,
            root,
            stream,
            &mut request,
            &verdict,
        );
        enforce(host.of_request(), &config.deny_response, &verdict)
    }

    /// The end of a stream; its response is complete, if there was one.
    pub fn stream_ended(&mut self, host: &dyn Host, stream: StreamId) {
        let roots = &self.roots;
        let settings_of = |id| {
            roots
                .iter()
                .find(|root| root.id() == id)?
                .traffic_settings()
        };
        let host = MeteredHost::new(host, &self.metrics);
        self.recorder.stream_ended(host, stream, settings_of);
    }

    /// Ticks all lists of a root context; returns the period of the next tick.
    fn tick_lists(&mut self, host: &dyn Host, position: usize) -> Option<Duration> {
        let root = self.roots.get(position)?;
        let host = MeteredHost::new(host, &self.metrics);
        let mut shortest = None;
        for list in self
            .lists
            .iter_mut()
            .filter(|list| root.plugin().uses(list.id))
        {
            let newest = self
                .roots
                .iter()
                .rposition(|known| known.plugin().uses(list.id));
            let Some(settings) = newest_settings(&self.roots, list.id, root.id()) else {
                continue;
            };
            let SyncedList {
                replica,
                updater,
                usage,
                ..
            } = list;
            replica.load_step(&*host);
            let is_owner = updater.tick(host, replica, self.identity, &settings);
            usage.tick(host.of_root(), is_owner, self.identity, &settings);
            let is_spare = newest != Some(position) && updater.calling_root() != Some(root.id());
            let period = if is_spare {
                SPARE_TICK
            } else if replica.is_loading() || updater.is_waiting(replica) {
                SHORT_TICK
            } else {
                TICK
            };
            shortest = Some(shortest.map_or(period, |shortest: Duration| shortest.min(period)));
        }
        shortest
    }

    fn define_metrics(&mut self, host: &dyn Host) {
        if !core::mem::replace(&mut self.are_metrics_defined, true) {
            let metrics = self.roots.iter().flat_map(|root| root.plugin().metrics());
            self.metrics.define(host, metrics);
        }
    }

    fn tick_traffic(&mut self, host: &dyn Host, position: usize) -> Option<Duration> {
        let settings = self.roots.get(position)?.traffic_settings()?;
        let host = MeteredHost::new(host, &self.metrics);
        self.recorder.tick(host.of_root(), settings);
        Some(settings.traffic.flush_interval.clamp(SHORT_TICK, TICK))
    }

    /// Removes root contexts that no longer tick, except the last one.
    fn remove_deleted_roots(&mut self, now: Duration, ticking: RootId) {
        // If the thread stalled, all its root contexts did; only a part of the pause counts as idle time.
        let passed = now.saturating_sub(self.last_tick).min(TICK);
        self.last_tick = now;
        self.roots.retain_mut(|root| root.is_live(ticking, passed));
    }

    /// Releases the calls, queues and lists that no root context uses. Gauges have the names of the newest configuration.
    fn release_unused(&mut self, host: &dyn Host) {
        let host = MeteredHost::new(host, &self.metrics);
        let roots = &self.roots;
        let is_live = |id| roots.iter().any(|root| root.id() == id);
        self.recorder.abandon_calls(is_live);
        self.recorder.retain(host.of_root(), |destination| {
            let mut used = roots.iter().filter_map(|root| root.plugin().destination());
            used.any(|used| used == destination)
        });
        let mut were_cleared = false;
        self.lists.retain_mut(|list| {
            list.updater.abandon_call(is_live);
            let feeds = roots.iter().rev().flat_map(|root| root.plugin().feeds());
            let newest = feeds.into_iter().find(|known| known.list == list.id);
            were_cleared |= match newest {
                Some(newest) => list.updater.rename(host, &newest.feed),
                None => list.updater.retire(host),
            };
            newest.is_some()
        });
        if were_cleared {
            for list in &mut self.lists {
                list.updater.report_again();
            }
        }
    }
}

fn record(
    recorder: &mut Recorder,
    host: MeteredHost<'_>,
    root: &Root,
    stream: StreamId,
    request: &mut LazyRequest<'_>,
    verdict: &Verdict,
) {
    let Some(settings) = root.traffic_settings() else {
        return;
    };
    if !recorder.takes_next(settings.traffic) {
        return;
    }
    let (headers, source_address) = request.headers_and_address();
    let recorded = RecordedRequest {
        api: select_api(
            &root.plugin().config().apis,
            headers.authority(),
            headers.path(),
        ),
        headers,
        source_address,
        verdict,
    };
    recorder.request(host, settings, stream, recorded);
}

/// The feeds of a root context, in the order of its configuration, with their lists.
fn feeds_of<'a>(
    root: &'a Root,
    lists: &'a mut [SyncedList],
    data: &'a dyn Host,
) -> SmallVec<[FeedList<'a, ReplicaList<'a>>; 2]> {
    let feeds = root.plugin().feeds().iter();
    let mut feeds: SmallVec<[_; 2]> = feeds
        .map(|it| FeedList::new(&it.feed, &it.policy))
        .collect();
    for SyncedList { id, replica, .. } in lists {
        let index = root.plugin().feeds().iter().position(|it| it.list == *id);
        if let Some(feed) = index.and_then(|index| feeds.get_mut(index)) {
            feed.list = replica.active(data);
        }
    }
    feeds
}

/// How a list is fetched by calls of the root context `root`: by the newest configuration that uses it.
fn newest_settings(roots: &[Root], list: ListId, root: RootId) -> Option<SyncSettings<'_>> {
    let newest = roots.iter().rfind(|known| known.plugin().uses(list))?;
    newest.plugin().sync_settings(list, root)
}
