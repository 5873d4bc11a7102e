//! One VM: a method for each callback of the host.
//!
//! Wires root contexts to the lists they enforce (`sync`), the judgement of requests (`judge`) and traffic information
//! (`traffic`). A [`Vm`] survives changes of configuration: each adds a root context to the VM, and all root
//! contexts share the VM's lists and queues.

use core::time::Duration;

use crate::config::{Config, ConfigError};
use crate::host::{CallToken, Host, RootId, StreamId, System};
use crate::identifier::FingerprintKey;
use crate::judge::{Disposition, Verdict, enforce, judge};
use crate::metrics::{MeteredHost, Metrics};
use crate::request::{LazyRequest, RequestBuffers, select_api};
use crate::root::Root;
use crate::sync::{
    ListId, Replica, SHORT_TICK, SPARE_TICK, SyncSettings, TICK, Updater, VmId, VmIdentity,
};
use crate::traffic::recorder::{RecordedRequest, Recorder};

/// The number of warnings that are logged; `check_config` shows all.
const MOST_WARNINGS: usize = 10;

/// The state of one VM.
#[derive(Debug)]
pub struct Vm {
    identity: VmIdentity,
    /// The key of the manual lists' fingerprints; it never leaves this VM.
    local_key: FingerprintKey,
    metrics: Metrics,
    /// In the order in which they were configured.
    roots: Vec<Root>,
    /// The time of the last tick of any root context.
    last_tick: Duration,
    lists: Vec<SyncedList>,
    recorder: Recorder,
    buffers: RequestBuffers,
}

/// A list of this VM.
#[derive(Debug)]
struct SyncedList {
    id: ListId,
    replica: Replica,
    updater: Updater,
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
            roots: Vec::new(),
            last_tick: Duration::ZERO,
            lists: Vec::new(),
            recorder: Recorder::new(id.0),
            buffers: RequestBuffers::default(),
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
        let environment = |name: &str| host.environment_variable(name);
        let config = Config::parse(json, &environment).inspect_err(|errors| log_refused(errors))?;
        log_warnings(&config);
        let root = Root::new(id, config, self.local_key);
        if let Some(id) = root.list()
            && !self.lists.iter().any(|list| list.id == id)
        {
            self.lists.push(SyncedList {
                id,
                replica: Replica::new(id),
                updater: Updater::new(id, self.identity.id),
            });
        }
        if let Some(destination) = root.destination() {
            self.recorder.open(destination);
        }
        self.roots.retain(|known| known.id() != id);
        // Stopped root contexts tick again, so that deleted ones are noticed.
        for root in self.roots.iter_mut().filter(|root| root.is_stopped()) {
            root.set_tick_period(host, TICK);
        }
        self.roots.push(root);
        host.set_tick_period(id, SHORT_TICK);
        Ok(())
    }

    /// A tick of a root context.
    pub fn tick(&mut self, host: &dyn Host, id: RootId) {
        let now = host.monotonic_now();
        self.metrics.define(host);
        self.remove_deleted_roots(now, id);
        self.release_unused(host);
        let Some(position) = self.roots.iter().position(|root| root.id() == id) else {
            return;
        };
        if let Some(root) = self.roots.get_mut(position) {
            root.tick(now);
        }
        let periods = [
            self.tick_list(host, position),
            self.tick_traffic(host, position),
        ];
        let period = periods.into_iter().flatten().min().unwrap_or_else(|| {
            // It continues to tick only to release the resources of older root contexts.
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

    /// The response to a call of a root context; its body has `body_size` bytes.
    pub fn on_call_response(
        &mut self,
        host: &dyn Host,
        id: RootId,
        token: CallToken,
        body_size: usize,
    ) {
        let host = MeteredHost::new(host, &self.metrics);
        let Some(root) = self.roots.iter().find(|root| root.id() == id) else {
            return;
        };
        if let Some(settings) = root.traffic_settings()
            && self.recorder.on_call_response(host, token, settings)
        {
            return;
        }
        if let Some((list, settings)) = list_of(&self.roots, &mut self.lists, root) {
            let SyncedList {
                replica, updater, ..
            } = list;
            updater.on_response(host, replica, token, body_size, &settings);
        }
    }

    /// Judges the current request, and enforces the verdict.
    pub fn request(&mut self, host: &dyn Host, id: RootId, stream: StreamId) -> Disposition {
        self.identity.served = true;
        // The newest configuration replaces one that is deleted.
        let position = self.roots.iter().position(|root| root.id() == id);
        let newest = self.roots.len().saturating_sub(1);
        let Some(root) = self.roots.get(position.unwrap_or(newest)) else {
            return Disposition::Continue;
        };
        let replica = root.list().and_then(|id| {
            let mut lists = self.lists.iter_mut();
            lists
                .find(|list| list.id == id)
                .map(|list| &mut list.replica)
        });
        let list = replica.and_then(|replica| replica.active(host));
        let mut request = LazyRequest::new(host, root.header_names(), &mut self.buffers);
        let verdict = judge(root.config(), root.policy(), list, &mut request);
        let host = MeteredHost::new(host, &self.metrics);
        record(
            &mut self.recorder,
            host,
            root,
            stream,
            &mut request,
            verdict,
        );
        enforce(host, &root.config().deny_response, verdict)
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

    fn tick_list(&mut self, host: &dyn Host, position: usize) -> Option<Duration> {
        let root = self.roots.get(position)?;
        let list = root.list();
        let newest = self.roots.iter().rposition(|root| root.list() == list)?;
        let host = MeteredHost::new(host, &self.metrics);
        let (
            SyncedList {
                replica, updater, ..
            },
            settings,
        ) = list_of(&self.roots, &mut self.lists, root)?;
        replica.load_step(&*host);
        updater.tick(host, replica, self.identity, &settings);
        let is_spare = newest != position && updater.calling_root() != Some(root.id());
        Some(if is_spare {
            SPARE_TICK
        } else if replica.is_loading() || updater.is_waiting(replica) {
            SHORT_TICK
        } else {
            TICK
        })
    }

    fn tick_traffic(&mut self, host: &dyn Host, position: usize) -> Option<Duration> {
        let settings = self.roots.get(position)?.traffic_settings()?;
        let host = MeteredHost::new(host, &self.metrics);
        self.recorder.tick(host, settings);
        Some(settings.traffic.flush_interval.clamp(SHORT_TICK, TICK))
    }

    /// Removes root contexts that no longer tick, except the last one.
    fn remove_deleted_roots(&mut self, now: Duration, ticking: RootId) {
        // If the thread stalled, all its root contexts did; only a part of the pause counts as idle time.
        let passed = now.saturating_sub(self.last_tick).min(TICK);
        self.last_tick = now;
        self.roots.retain_mut(|root| root.is_live(ticking, passed));
    }

    /// Releases the calls, queues and lists that no root context uses.
    fn release_unused(&mut self, host: &dyn Host) {
        let host = MeteredHost::new(host, &self.metrics);
        let roots = &self.roots;
        let is_live = |id| roots.iter().any(|root| root.id() == id);
        self.recorder.abandon_calls(is_live);
        self.recorder.retain(host, |destination| {
            let mut used = roots.iter().filter_map(Root::destination);
            used.any(|used| used == destination)
        });
        self.lists.retain_mut(|list| {
            list.updater.abandon_call(is_live);
            let is_used = roots.iter().any(|root| root.list() == Some(list.id));
            if !is_used {
                list.updater.retire(host);
            }
            is_used
        });
    }
}

fn record(
    recorder: &mut Recorder,
    host: MeteredHost<'_>,
    root: &Root,
    stream: StreamId,
    request: &mut LazyRequest<'_>,
    verdict: Verdict,
) {
    let Some(settings) = root.traffic_settings() else {
        return;
    };
    if !recorder.takes_next(settings.traffic) {
        return;
    }
    let (headers, source_address) = request.headers_and_address();
    let recorded = RecordedRequest {
        stream,
        api: select_api(&root.config().apis, headers.authority(), headers.path()),
        headers,
        source_address,
        verdict,
    };
    recorder.request(host, settings, recorded);
}

/// The list of a root context, and how it is fetched: by the newest configuration that uses it.
fn list_of<'a>(
    roots: &'a [Root],
    lists: &'a mut [SyncedList],
    root: &Root,
) -> Option<(&'a mut SyncedList, SyncSettings<'a>)> {
    let id = root.list()?;
    let newest = roots.iter().rfind(|known| known.list() == Some(id))?;
    let list = lists.iter_mut().find(|known| known.id == id)?;
    Some((list, newest.sync_settings(root.id())?))
}

fn log_refused(errors: &[ConfigError]) {
    let count = errors.len();
    log::error!(
        "the plugin configuration is refused, {count} error(s) below: the active one stays; if there is none, Envoy replies \
         500 to every request"
    );
    for error in errors {
        log::error!("configuration refused: {error}");
    }
}

fn log_warnings(config: &Config) {
    for warning in config.warnings.iter().take(MOST_WARNINGS) {
        log::warn!("configuration: {warning}");
    }
    let more = config.warnings.len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        log::warn!("configuration: {more} more warning(s); portcullis check_config shows all");
    }
}
