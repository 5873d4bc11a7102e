//! Identifiers and lists to a verdict: the only place with blocking policy.
//!
//! [`judge`] reads top-down in the documented order: firewall, allow list, deny list, the API's `enable_blocking`, ABS's
//! list, the API's `mode`, the bound on denied requests. Knows neither headers (see `request`) nor list formats (see
//! `blocklist`).

mod breaker;
mod lookup;
mod verdict;

pub use breaker::DenyBreaker;
pub use verdict::{ApiPolicy, Hits, Kind, Reason, Source, Verdict};

use crate::config::{Api, BeforeFirstList, Config};
use crate::host::Host;
use crate::identifier::{Fingerprint, IdentifierKind, parse_source_address};
use crate::list::{AddressRanges, ManualList};
use crate::request::LazyRequest;
use crate::request::{RequestHeaders, select_api, visit_apis, visit_readings};
use crate::sync::source::{Membership, Source as ListSource};

use lookup::{Findings, Lookup};

/// What one configuration judges by.
#[derive(Debug)]
pub struct Policy<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Its allow list.
    pub allow_list: &'a ManualList,
    /// Its deny list.
    pub deny_list: &'a ManualList,
    /// Addresses that ABS's list never denies.
    pub never_block: &'a AddressRanges,
    /// Headers that are read besides those that HTTP has for identifiers and APIs.
    pub header_names: &'a [String],
    /// The list denies too many requests: it is only counted.
    pub is_exceeded: bool,
}

/// The list was replaced while a request was judged.
#[derive(Debug)]
pub struct Replaced;

/// Judges the request in hand. A request that servers may take for different APIs gets the severest of their verdicts.
///
/// # Errors
///
/// [`Replaced`]: judge again, by the list that is active now.
pub fn judge(
    host: &dyn Host,
    policy: &Policy<'_>,
    mut source: Option<&mut ListSource>,
    request: &mut LazyRequest,
) -> Result<Verdict, Replaced> {
    let config = policy.config;
    if !config.enable_firewall {
        return Ok(Verdict::Allow);
    }
    let lookup = Lookup::new(policy, source.as_deref());
    let mut of_address = Findings::default();
    if lookup.holds(IdentifierKind::Ip) {
        request.read_source_address(host);
        if let Some(address) = parse_source_address(request.source_address()) {
            lookup.ask_for_address(address, &mut of_address);
        }
    }
    if of_address.hits.allow_list {
        return Ok(Verdict::AllowListed);
    }
    let no_list_yet = source.as_deref().is_some_and(|source| !source.has_list());
    if no_list_yet && config.before_first_list == BeforeFirstList::Deny {
        of_address.hits.attack_list = Some(Kind::NoList);
    }
    let wanted = lookup.wanted();
    if !wanted.any() && of_address.is_empty() {
        return Ok(Verdict::Allow);
    }
    let only_api = config.apis.single();
    if wanted.any() || only_api.is_none() {
        request.read_headers(host, policy.header_names);
    }
    let headers = request.headers();
    let mut judge_for = |api: &Api| {
        let lookup = Lookup::new(policy, source.as_deref());
        let mut findings = of_address.clone();
        visit_readings(api, headers, wanted, &mut |identifier| {
            lookup.ask(identifier, &mut findings);
        });
        judge_for_api(host, policy, api, findings, source.as_deref_mut())
    };
    if let Some(api) = only_api {
        return judge_for(api);
    }
    let mut severest = Ok(Verdict::Allow);
    let (authority, path) = (headers.authority(), headers.path());
    visit_apis(&config.apis, authority, path, &mut |api| {
        if let Ok(known) = severest {
            let verdict = judge_for(api);
            severest = verdict.map(|verdict| known.or_severer(verdict));
        }
    });
    severest
}

/// Judges by the rules of one API. Asks shared data only where its response decides.
fn judge_for_api(
    host: &dyn Host,
    policy: &Policy<'_>,
    api: &Api,
    findings: Findings,
    source: Option<&mut ListSource>,
) -> Result<Verdict, Replaced> {
    let Findings { mut hits, maybe } = findings;
    let is_decided = hits.allow_list || hits.deny_list.is_some() || !api.enable_blocking;
    if !is_decided
        && hits.attack_list != Some(Kind::Listed(IdentifierKind::Ip))
        && let Some(source) = source
        && let Some(kind) = first_listed(host, source, maybe)?
    {
        hits.note_attack_list(kind);
    }
    let verdict = verdict::judge(&hits, ApiPolicy::of(api));
    Ok(match verdict {
        Verdict::Deny(reason) if verdict.is_of_abs() && policy.is_exceeded => {
            Verdict::WouldDeny(reason)
        }
        _ => verdict,
    })
}

/// The kind of the first identifier that the list names, in the order of [`IdentifierKind::ALL`]: one that is found ends
/// the search, and none is looked up twice.
fn first_listed(
    host: &dyn Host,
    source: &mut ListSource,
    mut maybe: Vec<Fingerprint>,
) -> Result<Option<IdentifierKind>, Replaced> {
    maybe.sort_unstable_by_key(|fingerprint| (fingerprint.kind(), *fingerprint));
    maybe.dedup();
    for fingerprint in maybe {
        match source.confirm(host, fingerprint) {
            Membership::Listed => return Ok(fingerprint.kind()),
            Membership::NotListed => {}
            Membership::Replaced => return Err(Replaced),
        }
    }
    Ok(None)
}

impl<'a> Policy<'a> {
    /// The API that a request is for, as it is reported.
    pub fn api_for(&self, headers: &RequestHeaders) -> &'a Api {
        let apis = &self.config.apis;
        let select = || select_api(apis, headers.authority(), headers.path());
        apis.single().unwrap_or_else(select)
    }
}
