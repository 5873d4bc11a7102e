//! One process with native threads: what `vm` is for a proxy-wasm VM. Wires filter configurations to the lists they enforce,
//! the judgement of requests, and traffic information.
//!
//! | file | owns |
//! |---|---|
//! | `process.rs` | the filter configurations, lists and senders of the process, and which of them a tick advances |
//! | [`filter`] | one filter configuration: a method for each callback of the host |
//! | `shared_list` | a list that the main thread replaces and every request reads |
//! | `refresh` | one list: when to fetch, the call, what its result changes |
//! | [`fetch_job`] | a response to a list, on a thread of its own |
//! | `admin` | the page of Envoy's admin interface |
//! | `inbox` | records from the threads that serve requests |
//!
//! All threads share one exact list a feed. The main thread ticks, fetches and sends; no other thread takes a lock for a
//! request, except to leave a traffic record. No thread is created here, and no clock is read except the host's.

use core::sync::atomic::AtomicU64;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{ConfigError, Feed};
use crate::host::{CallToken, RootHost, RootId, System};
use crate::identifier::FingerprintKey;
use crate::metrics::{MeteredHost, Metric, Metrics};
use crate::plugin::Plugin;
use crate::sync::report::ListState;
use crate::sync::{
    ListId, SHORT_TICK, SyncSettings, TICK, UsageReporter, VmId, VmIdentity, node_report,
};
use crate::traffic::sender::Sender;

mod admin;
pub mod fetch_job;
pub mod filter;
mod inbox;
mod refresh;
mod shared_list;
#[cfg(test)]
mod tests;

pub use fetch_job::{FetchJob, Fetched};
pub use filter::{Filter, StreamState};
pub use shared_list::SharedList;

use inbox::Inbox;
use refresh::Refresh;

type Host<'a> = MeteredHost<'a, dyn RootHost + 'a>;

/// The state of a process.
#[derive(Debug)]
pub struct Process {
    /// In the correlation ids of its traffic records.
    random: u64,
    started: Duration,
    /// The key of the manual lists' fingerprints.
    local_key: FingerprintKey,
    /// The key of the feeds' fingerprints.
    list_key: FingerprintKey,
    n_requests: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were configured.
    plugins: Vec<(RootId, Arc<Plugin>)>,
    lists: Vec<ProcessList>,
    senders: Vec<(Arc<Inbox>, Sender)>,
}

/// A list of the process.
#[derive(Debug)]
struct ProcessList {
    refresh: Refresh,
    usage: UsageReporter,
}

impl Process {
    /// A process without a configuration.
    pub fn new(system: &dyn System) -> Self {
        let key = || FingerprintKey::from_words([system.random(), system.random()]);
        Self {
            random: system.random(),
            started: system.monotonic_now(),
            local_key: key(),
            list_key: key(),
            n_requests: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// A filter configuration, on the main thread. Nothing is fetched yet: that begins at the first tick, since the host also
    /// creates configurations only to validate them.
    ///
    /// # Errors
    ///
    /// Every error of the configuration, each logged too.
    pub fn configure(
        self: &Arc<Self>,
        host: &dyn RootHost,
        id: RootId,
        json: &[u8],
    ) -> Result<Arc<Filter>, Vec<ConfigError>> {
        let plugin = Arc::new(Plugin::load(host, json, self.local_key)?);
        let mut metrics = Metrics::default();
        metrics.define(host, plugin.metrics());
        let mut state = self.state();
        let feeds = plugin.feeds().iter();
        let lists = feeds.map(|known| state.list(known.list, &known.feed, self.list_key, host));
        let lists = lists.collect();
        let destination = plugin.destination();
        let inbox = destination.map(|destination| {
            let known = state.senders.iter().map(|(inbox, _)| inbox);
            let known = known
                .into_iter()
                .find(|inbox| inbox.destination() == destination);
            known.cloned().unwrap_or_else(|| {
                let inbox = Arc::new(Inbox::new(destination.clone()));
                let sender = Sender::new(destination.clone());
                state.senders.push((inbox.clone(), sender));
                inbox
            })
        });
        // Stopped configurations tick again, to release what this one leaves behind.
        for (known, _) in &state.plugins {
            host.set_tick_period(*known, SHORT_TICK);
        }
        state.plugins.push((id, plugin.clone()));
        drop(state);
        host.set_tick_period(id, SHORT_TICK);
        let process = self.clone();
        Ok(Arc::new(Filter::new(
            id, process, plugin, lists, inbox, metrics,
        )))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick of a filter configuration; returns the period until the next one.
    fn tick(&self, host: Host<'_>, filter: &Filter) -> Duration {
        let mut state = self.state();
        state.release_unused(host);
        let of_lists = state.tick_lists(host, filter.id(), self.identity());
        let of_traffic = state.tick_traffic(host, filter);
        let period = of_lists.into_iter().chain(of_traffic).min();
        period.unwrap_or_else(|| {
            // Ticks go on only to release what older configurations leave behind.
            let nothing_left = state.lists.is_empty() && state.senders.is_empty();
            match state.plugins.len() == 1 && nothing_left {
                true => Duration::ZERO,
                false => TICK,
            }
        })
    }

    /// The lists of this cluster changed at their source: they are fetched at the next tick.
    pub fn source_changed(&self, cluster: &str) {
        let State { plugins, lists, .. } = &mut *self.state();
        for list in lists {
            let id = list.refresh.id();
            let feeds = plugins.iter().flat_map(|(_, plugin)| plugin.feeds());
            let mut feeds = feeds.filter(|known| known.list == id);
            if feeds.any(|known| known.feed.cluster == cluster) {
                list.refresh.source_changed();
            }
        }
    }

    fn begin_response(
        &self,
        host: &dyn RootHost,
        id: RootId,
        token: CallToken,
    ) -> Option<FetchJob> {
        let State { plugins, lists, .. } = &mut *self.state();
        let mut lists = lists.iter_mut();
        let list = lists.find(|list| list.refresh.awaits(id, token))?;
        let settings = newest_settings(plugins, list.refresh.id(), id)?;
        Some(list.refresh.begin_response(host, &settings))
    }

    fn finish_fetch(&self, host: Host<'_>, id: RootId, token: CallToken, fetched: Fetched) {
        let State { plugins, lists, .. } = &mut *self.state();
        let mut lists = lists.iter_mut();
        if let Some(list) = lists.find(|list| list.refresh.awaits(id, token))
            && let Some(settings) = newest_settings(plugins, list.refresh.id(), id)
        {
            list.refresh.finish(host, &settings, fetched);
        }
    }

    fn on_call_response(&self, host: Host<'_>, filter: &Filter, token: CallToken) {
        let id = filter.id();
        if let Some(job) = self.begin_response(&*host, id, token) {
            // The call failed: there is no body.
            let fetched = job.run(&mut std::io::empty());
            return self.finish_fetch(host, id, token, fetched);
        }
        let State {
            plugins,
            lists,
            senders,
        } = &mut *self.state();
        if let Some((inbox, settings)) = filter.traffic()
            && let Some((_, sender)) = senders.iter_mut().find(|(it, _)| Arc::ptr_eq(it, inbox))
            && sender.on_call_response(host, token, settings)
        {
            return;
        }
        for list in lists {
            if list.usage.awaits(id, token)
                && let Some(settings) = newest_settings(plugins, list.refresh.id(), id)
            {
                return list.usage.on_response(host, &settings);
            }
        }
    }

    /// A filter configuration is deleted.
    fn remove(&self, id: RootId) {
        let mut state = self.state();
        state.plugins.retain(|(known, _)| *known != id);
        for list in &mut state.lists {
            list.refresh.abandon_call(id);
            list.usage.abandon_call(id);
        }
        for (_, sender) in &mut state.senders {
            sender.abandon_call(|root| root != id);
        }
        if state.plugins.is_empty() {
            // There will be no tick that releases them.
            *state = State::default();
        }
    }

    fn identity(&self) -> VmIdentity {
        VmIdentity {
            id: VmId(self.random),
            started: self.started,
            served: true,
        }
    }
}

impl State {
    /// The list `id`, of `feed` if it is new.
    fn list(
        &mut self,
        id: ListId,
        feed: &Feed,
        key: FingerprintKey,
        system: &dyn System,
    ) -> Arc<SharedList> {
        let mut known = self.lists.iter();
        if let Some(known) = known.find(|list| list.refresh.id() == id) {
            return known.refresh.shared().clone();
        }
        let refresh = Refresh::new(id, feed, key, system.random());
        let shared = refresh.shared().clone();
        self.lists.push(ProcessList {
            refresh,
            usage: UsageReporter::default(),
        });
        shared
    }

    /// Ticks the lists of which this is the newest configuration; returns the period until the next tick.
    fn tick_lists(&mut self, host: Host<'_>, id: RootId, vm: VmIdentity) -> Option<Duration> {
        let states: Vec<(ListId, ListState)> = {
            let lists = self.lists.iter();
            let states = lists.map(|it| Some((it.refresh.id(), it.refresh.state()?)));
            states.flatten().collect()
        };
        let mut shortest: Option<Duration> = None;
        for ProcessList { refresh, usage } in &mut self.lists {
            let list = refresh.id();
            let newest = self.plugins.iter().rfind(|(_, plugin)| plugin.uses(list));
            let Some((_, plugin)) = newest.filter(|(newest, _)| *newest == id) else {
                continue;
            };
            let Some(settings) = plugin.sync_settings(list, id) else {
                continue;
            };
            let node_report = || {
                settings.reported.map(|config| {
                    node_report::text(host.system(), config, |feed| {
                        let id = ListId::of(feed);
                        let mut states = states.iter();
                        let state = states.find(|(known, _)| *known == id);
                        state.map(|(_, state)| *state)
                    })
                })
            };
            refresh.tick(host, &settings, &node_report);
            usage.tick(host, true, vm, &settings);
            let period = if refresh.is_busy() { SHORT_TICK } else { TICK };
            shortest = Some(shortest.map_or(period, |shortest| shortest.min(period)));
        }
        shortest
    }

    /// Sends the records of its destination if this is the newest configuration with it; returns the period until the next
    /// tick.
    fn tick_traffic(&mut self, host: Host<'_>, filter: &Filter) -> Option<Duration> {
        let (inbox, settings) = filter.traffic()?;
        let mut plugins = self.plugins.iter();
        let newest = plugins.rfind(|(_, it)| it.destination() == Some(inbox.destination()));
        if newest.is_none_or(|(newest, _)| *newest != filter.id()) {
            return Some(TICK);
        }
        let mut senders = self.senders.iter_mut();
        let (_, sender) = senders.find(|(known, _)| Arc::ptr_eq(known, inbox))?;
        for record in inbox.take() {
            sender.push(host, settings, record);
        }
        sender.tick(host, settings);
        Some(SHORT_TICK)
    }

    /// Releases the queues and lists that no configuration uses. Gauges have the names of the newest configuration.
    fn release_unused(&mut self, host: Host<'_>) {
        let plugins = &self.plugins;
        self.senders.retain_mut(|(inbox, sender)| {
            let mut used = plugins
                .iter()
                .filter_map(|(_, plugin)| plugin.destination());
            let is_used = used.any(|used| used == inbox.destination());
            if !is_used {
                let waiting = u64::try_from(inbox.take().len()).unwrap_or(u64::MAX);
                host.add(&Metric::TrafficDropped, waiting);
                sender.stop(host);
            }
            is_used
        });
        let mut were_cleared = false;
        self.lists.retain_mut(|list| {
            let feeds = plugins.iter().rev().flat_map(|(_, plugin)| plugin.feeds());
            let newest = feeds
                .into_iter()
                .find(|known| known.list == list.refresh.id());
            were_cleared |= match newest {
                Some(newest) => list.refresh.rename(host, &newest.feed),
                None => {
                    list.refresh.retire(host);
                    true
                }
            };
            newest.is_some()
        });
        if were_cleared {
            for list in &mut self.lists {
                list.refresh.report_again();
            }
        }
    }
}

/// How a list is fetched by calls of the root context `root`: by the newest configuration that uses it.
fn newest_settings(
    plugins: &[(RootId, Arc<Plugin>)],
    list: ListId,
    root: RootId,
) -> Option<SyncSettings<'_>> {
    let (_, newest) = plugins.iter().rfind(|(_, plugin)| plugin.uses(list))?;
    newest.sync_settings(list, root)
}
