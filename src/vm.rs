//! Wiring: what a VM does on each callback of the host, by the parts that own the policy. No policy of its own.
//!
//! One [`Vm`] lives as long as the VM does, and outlives changes of configuration: each brings a new root context into
//! the same VM, beside the old one, and both share the VM's sources and their lists.

use core::hash::Hasher;
use core::time::Duration;
use std::rc::Rc;

use siphasher::sip::SipHasher13;

use crate::config::{Config, ConfigError, JwtLocation, UsernameSource};
use crate::host::{CallToken, Host, LocalReply, LogLevel, RootId, StreamId};
use crate::identifier::FingerprintKey;
use crate::judge::{DenyBreaker, Policy, Reason, Replaced, Verdict, judge};
use crate::list::{AddressRanges, ManualList};
use crate::metrics::{Metric, Metrics};
use crate::request::LazyRequest;
use crate::sync::refresh::{ListId, SHORT_TICK, SPARE_TICK, TICK, VmId};
use crate::sync::source::{Orders, Source, VmIdentity};
use crate::traffic::delivery::Destination;
use crate::traffic::record;
use crate::traffic::recorder::{Recorded, Recorder, Recording};

/// gRPC's PERMISSION_DENIED.
const GRPC_PERMISSION_DENIED: u32 = 7;

/// A root context that did not tick for this many of its periods is gone; the host does not say so to a module without
/// the callback, which would cost each request.
const MISSED_PERIODS: u32 = 8;

/// What the host is to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Let it go on.
    Continue,
    /// Stop: a local reply was sent.
    Stop,
}

/// All that one VM keeps.
#[derive(Debug)]
pub struct Vm {
    identity: VmIdentity,
    /// Manual lists are fingerprinted with a key that never leaves this VM.
    local_key: FingerprintKey,
    metrics: Metrics,
    /// In the order in which they were configured.
    roots: Vec<Root>,
    /// When any of them ticked last.
    last_tick: Duration,
    sources: Vec<Source>,
    recorder: Recorder,
    current: LazyRequest,
}

/// A root context: one configuration.
#[derive(Debug)]
struct Root {
    id: RootId,
    config: Rc<Config>,
    allow_list: Rc<ManualList>,
    deny_list: ManualList,
    never_block: AddressRanges,
    /// What a request is judged by that no entry of `apis` names.
    /// Headers that are read besides those that HTTP has for identifiers and APIs.
    header_names: Vec<String>,
    source: Option<ListId>,
    destination: Option<Destination>,
    rules: u64,
    tick_period: Duration,
    /// How long others have ticked since it did.
    idle: Duration,
    denied_share: DenyBreaker,
}

impl Vm {
    /// A VM that has not been configured. Makes no hostcall but for the clock and random numbers.
    pub fn new(host: &dyn Host) -> Self {
        let owner = VmId(host.random());
        Self {
            identity: VmIdentity {
                owner,
                born: host.monotonic_now(),
                served: false,
            },
            local_key: FingerprintKey::from_words([host.random(), host.random()]),
            metrics: Metrics::default(),
            roots: Vec::new(),
            last_tick: Duration::ZERO,
            sources: Vec::new(),
            recorder: Recorder::new(owner.0),
            current: LazyRequest::default(),
        }
    }

    /// Takes the plugin configuration of a root context.
    ///
    /// The host also calls this in a VM that it makes only to try the configuration and then throws away. So nothing is
    /// written here, and nothing is fetched: that begins with the first tick.
    ///
    /// # Errors
    ///
    /// Every error of the configuration, each logged too. The configuration in force goes on.
    pub fn configure(
        &mut self,
        host: &dyn Host,
        id: RootId,
        json: &[u8],
    ) -> Result<(), Vec<ConfigError>> {
        let environment = |name: &str| host.environment_variable(name);
        let config = match Config::parse(json, &environment) {
            Ok(config) => config,
            Err(errors) => {
                log_refused(host, &errors);
                return Err(errors);
            }
        };
        log_warnings(host, &config);
        let root = Root::new(id, config, self.local_key);
        if let Some(id) = root.source
            && !self.sources.iter().any(|source| source.id() == id)
        {
            self.sources.push(Source::new(id, self.identity.owner));
        }
        if let Some(destination) = &root.destination {
            self.recorder.open(destination);
        }
        self.roots.retain(|known| known.id != id);
        // Root contexts that had nothing to do tick again, so that those that are gone are noticed.
        for position in 0..self.roots.len() {
            if self.roots.get(position).is_some_and(Root::is_stopped) {
                self.set_period(host, position, TICK);
            }
        }
        self.roots.push(root);
        host.set_tick_period(id, SHORT_TICK);
        Ok(())
    }

    /// A tick of a root context.
    pub fn tick(&mut self, host: &dyn Host, id: RootId) {
        let now = host.monotonic_now();
        self.metrics.define(host);
        self.drop_roots_gone(now, id);
        self.drop_unused(host);
        let Some(position) = self.roots.iter().position(|root| root.id == id) else {
            return;
        };
        if let Some(root) = self.roots.get_mut(position) {
            root.note_share(host, now);
        }
        let for_source = self.tick_source(host, position);
        let for_delivery = self.tick_delivery(host, position);
        let period = match (for_source, for_delivery) {
            (Some(one), Some(other)) => one.min(other),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => {
                // Only to see to what older root contexts leave behind.
                let nothing_left = self.sources.is_empty() && self.recorder.is_closed();
                let alone = self.roots.len() == 1 && nothing_left;
                if alone { Duration::ZERO } else { TICK }
            }
        };
        self.set_period(host, position, period);
    }

    /// The answer to a call of a root context, `body_size` bytes long.
    pub fn call_answered(
        &mut self,
        host: &dyn Host,
        root: RootId,
        token: CallToken,
        body_size: usize,
    ) {
        let Some(position) = self.roots.iter().position(|known| known.id == root) else {
            return;
        };
        let (roots, metrics) = (&self.roots, &self.metrics);
        if let Some(recording) = roots.get(position).and_then(Root::recording)
            && self.recorder.call_answered(host, metrics, token, recording)
        {
            return;
        }
        if let Some((source, orders)) = source_of(roots, &mut self.sources, position) {
            source.on_answer(host, metrics, token, root, body_size, &orders);
        }
    }

    /// Judges the request whose headers the host now has, and carries the verdict out.
    pub fn request(&mut self, host: &dyn Host, id: RootId, stream: StreamId) -> Disposition {
        self.identity.served = true;
        // The newest configuration stands in for one that is gone.
        let position = self.roots.iter().position(|root| root.id == id);
        let position = position.unwrap_or(self.roots.len().saturating_sub(1));
        self.current.begin();
        let verdict = self.judge(host, position);
        self.record(host, position, stream, verdict);
        match self.roots.get(position) {
            Some(root) => root.enforce(host, &self.metrics, verdict),
            None => Disposition::Continue,
        }
    }

    /// A stream is over: its response is known, if there was one.
    pub fn stream_ended(&mut self, host: &dyn Host, stream: StreamId) {
        let roots = &self.roots;
        let recording_of = |id| roots.iter().find(|root| root.id == id)?.recording();
        self.recorder
            .stream_ended(host, &self.metrics, stream, recording_of);
    }

    fn judge(&mut self, host: &dyn Host, position: usize) -> Verdict {
        let Some(root) = self.roots.get_mut(position) else {
            return Verdict::Allow;
        };
        let mut source = match root.source {
            Some(id) => self.sources.iter_mut().find(|source| source.id() == id),
            None => None,
        };
        if let Some(source) = &mut source {
            source.load_now(host);
        }
        let policy = root.policy();
        let judged = judge(host, &policy, source.as_deref_mut(), &mut self.current);
        let verdict = judged.unwrap_or_else(|Replaced| {
            // The list was replaced while it was asked. The new one is whole; a second time can't be in one request.
            let again = judge(host, &policy, source, &mut self.current);
            again.unwrap_or(Verdict::Allow)
        });
        if root.config.guard.max_denied_percent.is_some() {
            root.denied_share.count(verdict.is_of_abs());
        }
        verdict
    }

    fn record(&mut self, host: &dyn Host, position: usize, stream: StreamId, verdict: Verdict) {
        let Some(root) = self.roots.get(position) else {
            return;
        };
        let Some(recording) = root.recording() else {
            return;
        };
        if !self.recorder.takes_next(recording.traffic) {
            return;
        }
        self.current.read_headers(host, &root.header_names);
        self.current.read_source_address(host);
        let headers = self.current.headers();
        let request = Recorded {
            stream,
            api: root.policy().api_for(headers),
            headers,
            source_address: self.current.source_address(),
            verdict,
        };
        self.recorder
            .request(host, &self.metrics, recording, request);
    }

    fn tick_source(&mut self, host: &dyn Host, position: usize) -> Option<Duration> {
        let id = self.roots.get(position)?.id;
        let newest = self.newest_root_of(self.roots.get(position)?.source?)?;
        let identity = self.identity;
        let metrics = &self.metrics;
        let (source, orders) = source_of(&self.roots, &mut self.sources, position)?;
        source.tick(host, metrics, id, identity, &orders);
        let does_the_work = newest == position || source.calling_root() == Some(id);
        Some(if does_the_work {
            source.tick_period()
        } else {
            SPARE_TICK
        })
    }

    fn tick_delivery(&mut self, host: &dyn Host, position: usize) -> Option<Duration> {
        let recording = self.roots.get(position)?.recording()?;
        self.recorder.tick(host, &self.metrics, recording);
        let flush_interval = recording.traffic.flush_interval;
        Some(flush_interval.clamp(SHORT_TICK, TICK))
    }

    fn newest_root_of(&self, source: ListId) -> Option<usize> {
        self.roots
            .iter()
            .rposition(|root| root.source == Some(source))
    }

    fn set_period(&mut self, host: &dyn Host, position: usize, period: Duration) {
        if let Some(root) = self.roots.get_mut(position)
            && root.tick_period != period
        {
            root.tick_period = period;
            host.set_tick_period(root.id, period);
        }
    }

    /// Forgets root contexts that do not tick any more; the last one stays.
    fn drop_roots_gone(&mut self, now: Duration, ticking: RootId) {
        // A thread that stood still held all its root contexts up alike: of such a pause little counts.
        let passed = now.saturating_sub(self.last_tick).min(TICK);
        self.last_tick = now;
        self.roots.retain_mut(|root| {
            root.idle = if root.id == ticking {
                Duration::ZERO
            } else {
                root.idle.saturating_add(passed)
            };
            let patience = root.tick_period.saturating_mul(MISSED_PERIODS);
            root.is_stopped() || root.idle <= patience
        });
    }

    fn drop_unused(&mut self, host: &dyn Host) {
        let (roots, metrics) = (&self.roots, &self.metrics);
        let lives = |id| roots.iter().any(|root| root.id == id);
        self.recorder.give_up_calls(lives);
        for source in &mut self.sources {
            source.give_up_call(lives);
        }
        self.recorder.retain(host, metrics, |destination| {
            let mut used = roots.iter().filter_map(|root| root.destination.as_ref());
            used.any(|used| used == destination)
        });
        self.sources.retain_mut(|source| {
            let used = roots.iter().any(|root| root.source == Some(source.id()));
            if !used {
                source.retire(host, metrics);
            }
            used
        });
    }
}

/// So many warnings are logged; `check_config` shows all.
const MOST_WARNINGS: usize = 10;

fn log_refused(host: &dyn Host, errors: &[ConfigError]) {
    let count = errors.len();
    host.log(
        LogLevel::Error,
        &format!(
            "the plugin configuration is refused, {count} error(s) below: the active one stays, and without one Envoy \
             replies 500 to every request"
        ),
    );
    for error in errors {
        host.log(LogLevel::Error, &format!("configuration refused: {error}"));
    }
}

fn log_warnings(host: &dyn Host, config: &Config) {
    for warning in config.warnings.iter().take(MOST_WARNINGS) {
        host.log(LogLevel::Warn, &format!("configuration: {warning}"));
    }
    let more = config.warnings.len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        host.log(
            LogLevel::Warn,
            &format!("configuration: {more} more warning(s); portcullis check_config shows all"),
        );
    }
}

/// The source of a root context, and what it is to work by: the newest configuration that names it.
fn source_of<'a>(
    roots: &'a [Root],
    sources: &'a mut [Source],
    position: usize,
) -> Option<(&'a mut Source, Orders<'a>)> {
    let id = roots.get(position)?.source?;
    let newest = roots.iter().rfind(|root| root.source == Some(id))?;
    let source = sources.iter_mut().find(|source| source.id() == id)?;
    Some((source, newest.orders()?))
}

impl Root {
    fn new(id: RootId, config: Config, local_key: FingerprintKey) -> Self {
        let source = config.abs.as_ref().filter(|_| config.enable_abs_attack);
        let source = source.map(|abs| {
            let window = abs.attack_window.as_secs().to_string();
            ListId::new(&[&abs.cluster, &abs.authority, &window])
        });
        let destination = config.abs.as_ref().filter(|_| config.enable_abs);
        let destination = destination.map(|abs| Destination::new(abs, &config.traffic));
        let mut never_block = AddressRanges::default();
        for range in &config.guard.never_block {
            never_block.push(*range);
        }
        never_block.seal();
        Self {
            id,
            allow_list: Rc::new(ManualList::new(local_key, &config.allow_list)),
            deny_list: ManualList::new(local_key, &config.deny_list),
            never_block,
            header_names: header_names(&config),
            source,
            destination,
            rules: list_rules(&config),
            config: Rc::new(config),
            tick_period: SHORT_TICK,
            idle: Duration::ZERO,
            denied_share: DenyBreaker::default(),
        }
    }

    fn is_stopped(&self) -> bool {
        self.tick_period == Duration::ZERO
    }

    fn policy(&self) -> Policy<'_> {
        Policy {
            config: &self.config,
            allow_list: &self.allow_list,
            deny_list: &self.deny_list,
            never_block: &self.never_block,
            header_names: &self.header_names,
            is_exceeded: self.denied_share.is_exceeded(),
        }
    }

    fn recording(&self) -> Option<Recording<'_>> {
        Some(Recording {
            root: self.id,
            destination: self.destination.as_ref()?,
            abs: self.config.abs.as_ref()?,
            traffic: &self.config.traffic,
            header_names: &self.header_names,
        })
    }

    fn orders(&self) -> Option<Orders<'_>> {
        Some(Orders {
            config: &self.config,
            abs: self.config.abs.as_ref()?,
            rules: self.rules,
        })
    }

    fn note_share(&mut self, host: &dyn Host, now: Duration) {
        let Some(max_percent) = self.config.guard.max_denied_percent else {
            return;
        };
        if self.denied_share.tick(now, max_percent) {
            let (level, text) = if self.denied_share.is_exceeded() {
                (
                    LogLevel::Error,
                    "ABS's list denies more than guard.max_denied_percent of the requests: this worker only counts \
                     what it would deny until the share has fallen",
                )
            } else {
                (
                    LogLevel::Warn,
                    "ABS's list denies no more than guard.max_denied_percent of the requests: this worker enforces it \
                     again",
                )
            };
            host.log(level, text);
        }
    }

    fn enforce(&self, host: &dyn Host, metrics: &Metrics, verdict: Verdict) -> Disposition {
        match verdict {
            Verdict::Allow => Disposition::Continue,
            Verdict::AllowListed => {
                metrics.add(host, Metric::AllowListed, 1);
                Disposition::Continue
            }
            Verdict::WouldDeny(reason) => {
                metrics.add(host, Metric::WouldDeny(reason), 1);
                self.mark(host, "would_deny", reason);
                host.log(LogLevel::Debug, &format!("would deny {reason}"));
                Disposition::Continue
            }
            Verdict::Deny(reason) => {
                metrics.add(host, Metric::Denied(reason), 1);
                self.mark(host, "denied", reason);
                let response = &self.config.deny_response;
                let (source, kind) = (reason.source.as_str(), reason.kind.as_str());
                let sent = host.send_local_reply(&LocalReply {
                    status: response.status,
                    headers: &response.headers,
                    body: response.body.as_bytes(),
                    details: &["portcullis_denied_", source, "_", kind].concat(),
                    grpc_status: Some(GRPC_PERMISSION_DENIED),
                });
                if let Err(error) = sent {
                    host.log(LogLevel::Error, &format!("sending the reply: {error}"));
                }
                // Even so it goes no further.
                Disposition::Stop
            }
        }
    }

    fn mark(&self, host: &dyn Host, word: &str, reason: Reason) {
        if let Err(error) = host.set_filter_state(&format!("{word} {reason}")) {
            host.log(LogLevel::Debug, &format!("filter state: {error}"));
        }
    }
}

/// The headers of their own that APIs name for API keys and user names, and those that records tell.
fn header_names(config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: &str| {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    };
    for api in config.apis.iter() {
        for name in &api.apikey_header {
            add(name);
        }
        for source in &api.username {
            if let UsernameSource::Header(name) = source {
                add(name);
            }
        }
        if let Some(JwtLocation::Header(name)) = api.jwt.as_ref().map(|jwt| &jwt.location) {
            add(name);
        }
    }
    if config.enable_abs {
        record::header_names(&config.traffic).for_each(add);
    }
    names
}

/// A hash of all that decides whether a list of ABS's is taken.
fn list_rules(config: &Config) -> u64 {
    let guard = &config.guard;
    let mut hasher = SipHasher13::new();
    for number in [
        config.attack_list_memory,
        guard.widest_ipv4.into(),
        guard.widest_ipv6.into(),
        config.ipv6_prefix.into(),
        guard.max_change_percent.map_or(0, f64::to_bits),
        guard.max_skipped_percent.to_bits(),
    ] {
        hasher.write_u64(number);
    }
    hasher.finish()
}
