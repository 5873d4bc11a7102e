//! Judges requests by their identifiers and the lists, and enforces the verdicts: the only place with blocking policy.
//!
//! [`judge`] reads top-down in the documented order: firewall, allow list, deny list, the API's `enable_blocking`, the
//! feed's list (`before_first_list`, `when_stale`, `guard.never_block`), the API's `mode`, the bound on denied requests.
//!
//! | file | owns |
//! |---|---|
//! | `judge.rs` | the order |
//! | `judge/policy.rs` | the lists and bounds of one configuration |
//! | `judge/lookup.rs` | look-ups of a request's identifiers in the lists |
//! | [`verdict`] | verdicts and their reasons |
//! | `judge/breaker.rs` | the circuit breaker for denials |
//! | `judge/enforce.rs` | local reply, filter state, metrics |
//!
//! Knows neither headers (see `request`) nor list formats (see `list`).

mod breaker;
mod enforce;
mod lookup;
mod policy;
pub mod verdict;

pub use enforce::{Disposition, enforce};
pub use policy::Policy;
pub use verdict::Verdict;

use crate::config::{Api, BeforeFirstList, Config, Mode, WhenStale};
use crate::identifier::{IdentifierKind, parse_source_address};
use crate::list::ActiveList;
use crate::request::{LazyRequest, visit_apis, visit_readings};

use lookup::{Findings, Lookup};
use verdict::{DenyKind, DenyReason, ListOrigin};

/// Judges a request. One that servers may route to different APIs gets the most severe of their verdicts. `list`: that of
/// the configuration's feed; `None` before the first one, and without a feed.
pub fn judge<L: ActiveList>(
    config: &Config,
    policy: &Policy,
    mut list: Option<L>,
    request: &mut LazyRequest<'_>,
) -> Verdict {
    if !config.enable_firewall {
        return Verdict::Allow;
    }
    let is_awaited = config.enable_abs_attack && list.is_none();
    let no_list = is_awaited && config.before_first_list == BeforeFirstList::Deny;
    list = list.filter(|list| !list.is_stale() || config.when_stale == WhenStale::Keep);
    let verdict = judge_by_apis(config, policy, &mut list, no_list, request);
    if config.guard.max_denied_percent.is_some() {
        policy.breaker.count(verdict.is_of_feed_entry());
    }
    verdict
}

fn judge_by_apis<L: ActiveList>(
    config: &Config,
    policy: &Policy,
    list: &mut Option<L>,
    no_list: bool,
    request: &mut LazyRequest<'_>,
) -> Verdict {
    let lookup = Lookup::new(policy, list.as_ref());
    let mut of_address = Findings::default();
    if lookup.holds(IdentifierKind::Ip)
        && let Some(address) = parse_source_address(request.source_address())
    {
        lookup.find_address(address, config.ipv6_prefix, &mut of_address);
    }
    if of_address.is_allowed {
        return Verdict::AllowListed;
    }
    let wanted = lookup.wanted();
    if !wanted.any() && !no_list && of_address.is_empty() {
        return Verdict::Allow;
    }
    let mut judge_for = |api: &Api, request: &mut LazyRequest<'_>| {
        let mut findings = of_address.clone();
        if wanted.any() {
            let lookup = Lookup::new(policy, list.as_ref());
            visit_readings(api, request.headers(), wanted, &mut |identifier| {
                lookup.find(identifier, &mut findings);
            });
        }
        judge_for_api(policy, api, findings, list.as_mut(), no_list)
    };
    if let Some(api) = config.apis.single() {
        return judge_for(api, request);
    }
    let mut apis = Vec::new();
    let headers = request.headers();
    visit_apis(
        &config.apis,
        headers.authority(),
        headers.path(),
        &mut |api| {
            apis.push(api);
        },
    );
    let verdicts = apis.into_iter().map(|api| judge_for(api, request));
    verdicts.fold(Verdict::Allow, Verdict::or_severer)
}

/// Judges by the rules of one API. Looks up exact entries of the feed's list only if the verdict depends on them.
fn judge_for_api<L: ActiveList>(
    policy: &Policy,
    api: &Api,
    findings: Findings,
    list: Option<&mut L>,
    no_list: bool,
) -> Verdict {
    if findings.is_allowed {
        return Verdict::AllowListed;
    }
    let reason = if let Some(kind) = findings.denied {
        DenyReason {
            origin: ListOrigin::Manual,
            kind: DenyKind::Listed(kind),
        }
    } else if !api.enable_blocking {
        return Verdict::Allow;
    } else if let Some(kind) = list.and_then(|list| findings.listed(list)) {
        DenyReason {
            origin: ListOrigin::Abs,
            kind: DenyKind::Listed(kind),
        }
    } else if no_list {
        DenyReason {
            origin: ListOrigin::Abs,
            kind: DenyKind::NoList,
        }
    } else {
        return Verdict::Allow;
    };
    let is_bounded = reason.is_feed_entry() && policy.breaker.is_open();
    match api.mode {
        Mode::Enforce if !is_bounded => Verdict::Deny(reason),
        _ => Verdict::WouldDeny(reason),
    }
}

#[cfg(test)]
mod tests;
