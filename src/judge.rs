//! Judges requests by their identifiers and the lists, and enforces the verdicts: the only place with blocking policy.
//!
//! [`judge`] reads top-down in the documented order: firewall, allow list, deny list, the API's `enable_blocking` and
//! `feeds`, each feed's list (`before_first_list`, `when_stale`, `guard.never_block`), the limit on denied requests, the
//! `mode` of the feed and of the API. A route may change what the API sets.
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
pub use policy::{FeedList, FeedPolicy, Policy};
pub use verdict::Verdict;

use crate::config::{Api, Config, Mode, Route};
use crate::identifier::{PerKind, parse_source_address};
use crate::list::ActiveList;
use crate::request::{LazyRequest, visit_apis, visit_readings};

use lookup::{Findings, Lookup, Waiting};
use verdict::{DenyKind, DenyReason, ListOrigin};

/// Judges a request. One that servers may route to different APIs gets the most severe of their verdicts. `feeds`: those of
/// the configuration, in its order.
pub fn judge<L: ActiveList>(
    config: &Config,
    policy: &Policy,
    feeds: &mut [FeedList<'_, L>],
    route: &Route,
    request: &mut LazyRequest<'_>,
) -> Verdict {
    let verdict = foresee(config, policy, feeds, route, request);
    for feed in feeds.iter().filter(|_| config.enable_firewall) {
        if feed.feed.guard.max_denied_percent.is_some() {
            let is_denied = verdict.is_entry_of(&feed.feed.name);
            feed.policy.breaker.count(is_denied);
        }
    }
    verdict
}

/// The verdict of [`judge`], for a request that is not one of those that the limit on denied requests counts.
pub fn foresee<L: ActiveList>(
    config: &Config,
    policy: &Policy,
    feeds: &mut [FeedList<'_, L>],
    route: &Route,
    request: &mut LazyRequest<'_>,
) -> Verdict {
    if !config.enable_firewall {
        return Verdict::Allow;
    }
    let lookup = Lookup::new(policy, feeds);
    let mut of_address = Findings::default();
    let mut waiting = Waiting::NONE;
    let kinds = lookup.kinds();
    if kinds.ip
        && let Some(address) = parse_source_address(request.source_address())
    {
        lookup.find_address(address, config.ipv6_prefix, &mut waiting, &mut of_address);
    }
    if of_address.is_allowed {
        return Verdict::AllowListed;
    }
    let wanted = PerKind { ip: false, ..kinds };
    if !wanted.any() {
        lookup.look_up(&mut waiting, &mut of_address);
    }
    let no_list = feeds.iter().any(FeedList::denies_without_list);
    if !wanted.any() && !no_list && of_address.is_empty() {
        return Verdict::Allow;
    }
    let mut judge_for = |api: &Api, request: &mut LazyRequest<'_>| {
        let mut findings = of_address.clone();
        if wanted.any() {
            let lookup = Lookup::new(policy, feeds);
            let mut waiting = waiting;
            visit_readings(api, request.headers(), wanted, &mut |identifier| {
                lookup.find(identifier, &mut waiting, &mut findings);
            });
            lookup.look_up(&mut waiting, &mut findings);
        }
        judge_for_api(api, route, findings, feeds)
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

/// Judges by the rules of one API and of the route. Asks a feed's list for exact entries only if they decide.
fn judge_for_api<L: ActiveList>(
    api: &Api,
    route: &Route,
    findings: Findings,
    feeds: &mut [FeedList<'_, L>],
) -> Verdict {
    if findings.is_allowed {
        return Verdict::AllowListed;
    }
    if let Some(kind) = findings.denied {
        let reason = DenyReason {
            origin: ListOrigin::Manual,
            kind: DenyKind::Listed(kind),
        };
        return in_mode(route.mode(api), reason);
    }
    if !route.enables_blocking(api) {
        return Verdict::Allow;
    }
    let mut verdict = Verdict::Allow;
    for (index, feed) in feeds.iter_mut().enumerate() {
        if !route.counts_feed(api, &feed.feed.name) {
            continue;
        }
        let listed = feed
            .list
            .as_mut()
            .and_then(|list| findings.listed(index, list));
        let kind = match listed {
            Some(kind) => DenyKind::Listed(kind),
            None if feed.denies_without_list() => DenyKind::NoList,
            None => continue,
        };
        let is_bounded = listed.is_some() && feed.policy.breaker.is_open();
        let is_shadow = is_bounded || feed.feed.mode == Mode::Shadow;
        let reason = DenyReason {
            origin: ListOrigin::Feed(feed.feed.name.clone()),
            kind,
        };
        let of_feed = in_mode(
            if is_shadow {
                Mode::Shadow
            } else {
                route.mode(api)
            },
            reason,
        );
        // The first feed that denies is reported; one that only counts does not hide a later one that denies.
        verdict = verdict.or_severer(of_feed);
        if matches!(verdict, Verdict::Deny(_)) {
            break;
        }
    }
    verdict
}

fn in_mode(mode: Mode, reason: DenyReason) -> Verdict {
    match mode {
        Mode::Enforce => Verdict::Deny(reason),
        Mode::Shadow => Verdict::WouldDeny(reason),
    }
}

#[cfg(test)]
mod tests;
