//! Wiring: what a VM does on each callback of the host, by the parts that own the policy. No policy of its own.
//!
//! One [`Vm`] lives as long as the VM does, and outlives changes of configuration: each brings a new root context into
//! the same VM, beside the old one, and both share the VM's sources and their lists.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::rc::Rc;

use siphasher::sip::SipHasher13;

use crate::blocklist::{AddressRanges, LocalList};
use crate::config::{Api, BeforeFirstList, Config, ConfigError};
use crate::denied_share::DeniedShare;
use crate::host::{CallToken, Host, LocalReply, LogLevel, RootId};
use crate::identifier::{
    Fingerprint, FingerprintKey, IdentifierKind, PerKind, parse_source_address,
};
use crate::metrics::{Metric, Metrics};
use crate::refresh::{OwnerId, SHORT_TICK, SPARE_TICK, SourceId, TICK};
use crate::request::{RequestHeaders, select_api, visit_identifiers};
use crate::source::{Confirmed, ListInForce, Orders, Source, VmIdentity};
use crate::verdict::{ApiPolicy, Hits, Kind, Reason, Verdict, judge};

/// gRPC's PERMISSION_DENIED.
const GRPC_PERMISSION_DENIED: u32 = 7;

/// A root context that missed this many of its ticks is gone; the host does not say so to a module without the
/// callback, which would cost each request.
const MISSED_TICKS: u32 = 8;

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
    sources: Vec<Source>,
    deliveries: Vec<Delivery>,
    /// Requests whose response is not there yet, and what those take in bytes.
    drafts: HashMap<StreamId, PendingDraft>,
    draft_memory: usize,
    n_records: u64,
    headers: RequestHeaders,
}

#[derive(Debug)]
struct PendingDraft {
    draft: Draft,
    root: RootId,
    verdict: Option<String>,
}

/// A root context: one configuration.
#[derive(Debug)]
struct Root {
    id: RootId,
    config: Rc<Config>,
    allow_list: Rc<LocalList>,
    deny_list: LocalList,
    never_block: AddressRanges,
    /// What a request is judged by that no entry of `apis` names.
    default_api: Api,
    source: Option<SourceId>,
    destination: Option<Destination>,
    rules: u64,
    tick_period: Duration,
    last_tick: Duration,
    /// Ticks of other root contexts since this one's last.
    missed_ticks: u32,
    denied_share: DeniedShare,
}

impl Vm {
    /// A VM that has not been configured. Makes no hostcall but for the clock and random numbers.
    pub fn new(host: &dyn Host) -> Self {
        Self {
            identity: VmIdentity {
                owner: OwnerId(host.random()),
                born: host.monotonic_now(),
                served: false,
            },
            local_key: FingerprintKey::from_words([host.random(), host.random()]),
            metrics: Metrics::default(),
            roots: Vec::new(),
            sources: Vec::new(),
            deliveries: Vec::new(),
            drafts: HashMap::new(),
            draft_memory: 0,
            n_records: 0,
            headers: RequestHeaders::default(),
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
                for error in &errors {
                    host.log(LogLevel::Error, &format!("configuration refused: {error}"));
                }
                return Err(errors);
            }
        };
        let mut root = Root::new(id, config, self.local_key);
        root.last_tick = host.monotonic_now();
        if let Some(id) = root.source
            && !self.sources.iter().any(|source| source.id() == id)
        {
            self.sources.push(Source::new(id, self.identity.owner));
        }
        self.roots.retain(|known| known.id != id);
        self.roots.push(root);
        host.set_tick_period(id, SHORT_TICK);
        Ok(())
    }

    /// A tick of a root context.
    pub fn tick(&mut self, host: &dyn Host, id: RootId) {
        let now = host.monotonic_now();
        self.metrics.define(host);
        self.drop_roots_gone(now, id);
        self.drop_sources_unused(host);
        let Some(position) = self.roots.iter().position(|root| root.id == id) else {
            return;
        };
        let Some(root) = self.roots.get_mut(position) else {
            return;
        };
        root.note_share(host, now);
        let Some(source_id) = root.source else {
            // Only to see to what older root contexts leave behind.
            let alone = self.roots.len() == 1 && self.sources.is_empty();
            let period = if alone { Duration::ZERO } else { TICK };
            self.set_period(host, position, period);
            return;
        };
        let Some(orders_from) = self.newest_root_of(source_id) else {
            return;
        };
        let Some(source) = self
            .sources
            .iter_mut()
            .find(|source| source.id() == source_id)
        else {
            return;
        };
        if let Some(orders) = self.roots.get(orders_from).and_then(Root::orders) {
            source.tick(host, &self.metrics, id, self.identity, &orders);
        }
        let does_the_work = orders_from == position || source.calling_root() == Some(id);
        let period = if does_the_work {
            source.tick_period()
        } else {
            SPARE_TICK
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
        let caller = self.roots.iter().find(|known| known.id == root);
        let Some(source_id) = caller.and_then(|root| root.source) else {
            return;
        };
        let Some(orders) = self
            .newest_root_of(source_id)
            .and_then(|index| self.roots.get(index))
            .and_then(Root::orders)
        else {
            return;
        };
        if let Some(source) = self
            .sources
            .iter_mut()
            .find(|source| source.id() == source_id)
        {
            source.on_answer(host, &self.metrics, token, root, body_size, &orders);
        }
    }

    /// Judges the request whose headers the host now has, and carries the verdict out.
    pub fn request(&mut self, host: &dyn Host, id: RootId) -> Disposition {
        self.identity.served = true;
        // The newest configuration stands in for one that is gone.
        let position = self.roots.iter().position(|root| root.id == id);
        let position = position.unwrap_or(self.roots.len().saturating_sub(1));
        let Some(root) = self.roots.get_mut(position) else {
            return Disposition::Continue;
        };
        if !root.config.enable_firewall {
            return Disposition::Continue;
        }
        let mut source = match root.source {
            Some(id) => self.sources.iter_mut().find(|source| source.id() == id),
            None => None,
        };
        if let Some(source) = &mut source {
            source.take_up_now(host);
        }
        let judged = root.judge(host, source.as_deref_mut(), &mut self.headers);
        let verdict = judged.unwrap_or_else(|Replaced| {
            // The list was replaced while it was asked. The new one is whole; a second time can't be in one request.
            let again = root.judge(host, source, &mut self.headers);
            again.unwrap_or(Verdict::Allow)
        });
        if root.config.guard.max_denied_percent.is_some() {
            root.denied_share.count(verdict.is_of_abs());
        }
        root.carry_out(host, &self.metrics, verdict)
    }

    fn newest_root_of(&self, source: SourceId) -> Option<usize> {
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
        for root in &mut self.roots {
            if root.id == ticking {
                root.last_tick = now;
                root.missed_ticks = 0;
            } else {
                root.missed_ticks = root.missed_ticks.saturating_add(1);
            }
        }
        // Both by count and by time: a thread that was held up delays all its root contexts alike.
        self.roots.retain(|root| {
            let patience = root.tick_period.saturating_mul(MISSED_TICKS);
            let overdue = now.saturating_sub(root.last_tick) > patience;
            let stopped = root.tick_period == Duration::ZERO;
            stopped || !overdue || root.missed_ticks <= MISSED_TICKS
        });
    }

    fn drop_sources_unused(&mut self, host: &dyn Host) {
        let (roots, metrics) = (&self.roots, &self.metrics);
        self.sources.retain_mut(|source| {
            let used = roots.iter().any(|root| root.source == Some(source.id()));
            if !used {
                source.retire(host, metrics);
            }
            used
        });
    }
}

/// The list was replaced while a request was judged.
struct Replaced;

impl Root {
    fn new(id: RootId, config: Config, local_key: FingerprintKey) -> Self {
        let source = config.abs.as_ref().filter(|_| config.enable_abs_attack);
        let source = source.map(|abs| {
            let window = abs.attack_window.as_secs().to_string();
            SourceId::new(&[&abs.cluster, &abs.authority, &window])
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
            allow_list: Rc::new(LocalList::new(local_key, &config.allow_list)),
            deny_list: LocalList::new(local_key, &config.deny_list),
            never_block,
            default_api: Api::default(),
            source,
            destination,
            rules: entry_rules(&config),
            config: Rc::new(config),
            tick_period: SHORT_TICK,
            last_tick: Duration::ZERO,
            missed_ticks: 0,
            denied_share: DeniedShare::default(),
        }
    }

    fn orders(&self) -> Option<Orders<'_>> {
        Some(Orders {
            config: &self.config,
            abs: self.config.abs.as_ref()?,
            allow_list: &self.allow_list,
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

    fn judge(
        &self,
        host: &dyn Host,
        source: Option<&mut Source>,
        headers: &mut RequestHeaders,
    ) -> Result<Verdict, Replaced> {
        let mut lookup = Lookup {
            root: self,
            list: source
                .as_deref()
                .and_then(|source| source.list(&self.config)),
            hits: Hits::default(),
            maybe: Vec::new(),
        };
        let no_list_yet = source.as_deref().is_some_and(|source| !source.has_list());
        if no_list_yet && self.config.before_first_list == BeforeFirstList::Deny {
            lookup.hits.attack_list = Some(Kind::NoList);
        }
        lookup.ask_for_address(host);
        if lookup.hits.allow_list {
            return Ok(Verdict::AllowListed);
        }
        let wanted = lookup.wanted();
        let mut api = self.only_api();
        if wanted.any() || api.is_none() && !lookup.found_nothing() {
            headers.clear();
            host.visit_request_headers(&mut |name, value| headers.add(name, value));
            let chosen = api.unwrap_or_else(|| {
                select_api(&self.config.apis, headers.authority(), headers.path())
                    .unwrap_or(&self.default_api)
            });
            api = Some(chosen);
            visit_identifiers(chosen, headers, wanted, &mut |identifier| {
                let kind = identifier.kind();
                lookup.ask(kind, &|key| identifier.fingerprint(key));
            });
        }
        let (mut hits, maybe) = (lookup.hits, lookup.maybe);
        if let Some(source) = source {
            for fingerprint in maybe {
                match (source.confirm(host, fingerprint), fingerprint.kind()) {
                    (Confirmed::Listed, Some(kind)) => hits.note_attack_list(kind),
                    (Confirmed::Replaced, _) => return Err(Replaced),
                    _ => {}
                }
            }
        }
        if hits.is_empty() {
            return Ok(Verdict::Allow);
        }
        let api = api.unwrap_or(&self.default_api);
        let policy = ApiPolicy {
            enable_blocking: api.enable_blocking,
            mode: api.mode,
        };
        let verdict = judge(&hits, policy);
        Ok(match verdict {
            Verdict::Deny(reason) if verdict.is_of_abs() && self.denied_share.is_exceeded() => {
                Verdict::WouldDeny(reason)
            }
            _ => verdict,
        })
    }

    /// The one API that judges every request, if there is no choosing.
    fn only_api(&self) -> Option<&Api> {
        match self.config.apis.as_slice() {
            [] => Some(&self.default_api),
            [api] if api.hostname.is_none() && api.url.is_empty() => Some(api),
            _ => None,
        }
    }

    fn carry_out(&self, host: &dyn Host, metrics: &Metrics, verdict: Verdict) -> Disposition {
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

/// One request's questions to the lists.
struct Lookup<'a> {
    root: &'a Root,
    list: Option<&'a ListInForce>,
    hits: Hits,
    /// What the gate of ABS's list let through.
    maybe: Vec<Fingerprint>,
}

impl Lookup<'_> {
    fn holds(&self, kind: IdentifierKind) -> bool {
        self.root.allow_list.holds(kind)
            || self.root.deny_list.holds(kind)
            || self.list.is_some_and(|list| list.holds(kind))
    }

    /// The kinds to read from headers: those that any list names.
    fn wanted(&self) -> PerKind<bool> {
        PerKind {
            ip: false,
            cookie: self.holds(IdentifierKind::Cookie),
            oauth_token: self.holds(IdentifierKind::OauthToken),
            api_key: self.holds(IdentifierKind::ApiKey),
            username: self.holds(IdentifierKind::Username),
        }
    }

    fn found_nothing(&self) -> bool {
        self.hits.is_empty() && self.maybe.is_empty()
    }

    fn ask_for_address(&mut self, host: &dyn Host) {
        if !self.holds(IdentifierKind::Ip) {
            return;
        }
        let mut address = None;
        host.visit_source_address(&mut |text| address = parse_source_address(text));
        let Some(address) = address else { return };
        if self.root.allow_list.contains_ip(address) {
            self.hits.allow_list = true;
            return;
        }
        if self.root.deny_list.contains_ip(address) {
            self.hits.note_deny_list(IdentifierKind::Ip);
        }
        let Some(list) = self.list else { return };
        let in_range = list.ranges().contains(address);
        let fingerprint = list.key().ip(address);
        let maybe = !in_range && list.may_contain(fingerprint);
        if !(in_range || maybe) || self.root.never_block.contains(address) {
            return;
        }
        if in_range {
            self.hits.note_attack_list(IdentifierKind::Ip);
        } else {
            self.maybe.push(fingerprint);
        }
    }

    fn ask(&mut self, kind: IdentifierKind, fingerprint: &dyn Fn(&FingerprintKey) -> Fingerprint) {
        let (allow_list, deny_list) = (&self.root.allow_list, &self.root.deny_list);
        if allow_list.holds(kind) && allow_list.contains(fingerprint(allow_list.key())) {
            self.hits.allow_list = true;
        }
        if deny_list.holds(kind) && deny_list.contains(fingerprint(deny_list.key())) {
            self.hits.note_deny_list(kind);
        }
        if let Some(list) = self.list
            && list.holds(kind)
        {
            let fingerprint = fingerprint(list.key());
            if list.may_contain(fingerprint) {
                self.maybe.push(fingerprint);
            }
        }
    }
}

/// A hash of all that decides which entries of ABS's list are taken.
fn entry_rules(config: &Config) -> u64 {
    let mut hasher = SipHasher13::new();
    let guard = &config.guard;
    let bounds = (
        config.attack_list_memory,
        guard.widest_ipv4,
        guard.widest_ipv6,
        guard.max_change_percent.map(f64::to_bits),
    );
    bounds.hash(&mut hasher);
    guard.never_block.hash(&mut hasher);
    config.allow_list.hash(&mut hasher);
    hasher.finish()
}
