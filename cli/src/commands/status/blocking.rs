//! Whether a configuration blocks anybody, in one sentence: what the switches, modes and lists leave of it.
//!
//! Follows the order of the library's `judge`, without a request.

use std::collections::BTreeSet;

use portcullis::config::{Api, BeforeFirstList, Config, Feed, Mode, WhenStale};
use portcullis::identifier::IdentifierKind;
use portcullis::metrics::{FeedMetric, Metric};

use super::limits::Limited;
use crate::clients::envoy_admin::RunningEnvoy;
use crate::config_file::listener::Exemptions;

/// How much is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every listed client.
    Yes,
    /// Some of the listed clients, or some of their requests.
    Partly,
    /// Nobody.
    No,
    /// It can't be known.
    Unknown,
}

/// Whether clients are blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocking {
    /// How much.
    pub state: State,
    /// Why not all, or what is special.
    pub reasons: Vec<String>,
}

impl State {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Yes => "yes",
            State::Partly => "partly",
            State::No => "no",
            State::Unknown => "unknown",
        }
    }
}

impl Blocking {
    /// One with a single reason.
    pub fn because(state: State, reason: impl Into<String>) -> Self {
        Self {
            state,
            reasons: vec![reason.into()],
        }
    }

    /// The sentence.
    pub fn text(&self) -> String {
        let state = self.state.as_str();
        match self.reasons.as_slice() {
            [] => state.to_owned(),
            reasons => format!("{state}: {}", reasons.join("; ")),
        }
    }

    /// That of a configuration, and of the lists of the Envoy that runs it.
    pub fn of(config: &Config, envoy: Option<&RunningEnvoy>, limited: &Limited) -> Self {
        if !config.enable_firewall {
            return Self::because(State::No, "enable_firewall is false");
        }
        let allowed = families_allowed(config);
        if allowed.len() > 1 {
            return Self::because(State::No, "the whitelist has every address");
        }
        let mut found = Found::default();
        let n_manual = config.deny_list.n_entries();
        if n_manual > 0 {
            found.add(config, |_| true);
        }
        for feed in config.all_feeds() {
            let list = List::of(&feed, envoy, limited);
            found.reasons.extend(list.reason);
            found.notes.extend(list.note);
            if list.is_enforced {
                found.add(config, |api| {
                    api.enable_blocking && api.counts_feed(&feed.name)
                });
            }
        }
        if !found.has_list && found.reasons.is_empty() {
            let reason = "there is nothing to block: the blacklist is empty, and no list of ABS or a feed has an entry";
            return Self::because(State::No, reason);
        }
        let reasons = allowed.iter();
        let reasons = reasons.map(|family| format!("the whitelist has every {family} address"));
        found.reasons.extend(reasons);
        let shadow = names(config, |api| api.mode == Mode::Shadow);
        let has_feeds = !config.all_feeds().is_empty();
        let unblocked = names(config, |api| {
            api.mode == Mode::Enforce && !api.enable_blocking
        });
        let is_one = config.apis.single().is_some();
        match (shadow.as_slice(), is_one) {
            ([], _) => {}
            (_, true) => found.reasons.push("shadow mode only counts".to_owned()),
            (names, false) => found
                .reasons
                .push(format!("shadow mode only counts in {}", names.join(", "))),
        }
        if has_feeds && !unblocked.is_empty() {
            let places = match is_one {
                true => String::new(),
                false => format!(" in {}", unblocked.join(", ")),
            };
            found
                .reasons
                .push(format!("enable_blocking is false{places}"));
        }
        found.into_blocking()
    }

    /// The same where listeners and routes exempt requests from the filter.
    pub fn with(mut self, exemptions: &Exemptions) -> Self {
        if exemptions.are_of_all() {
            return Self::because(
                State::No,
                "no HTTP connection manager of an active listener has the filter",
            );
        }
        for manager in &exemptions.managers {
            self.reasons.push(format!(
                "the filter is disabled in the HTTP connection manager \"{manager}\""
            ));
        }
        if exemptions.routes > 0 {
            self.reasons.push(format!(
                "routes disable the filter or change its rules (typed_per_filter_config: {})",
                exemptions.routes
            ));
        }
        if self.state == State::Yes && (exemptions.routes > 0 || !exemptions.managers.is_empty()) {
            self.state = State::Partly;
        }
        if !exemptions.is_enabled && !exemptions.managers.is_empty() && exemptions.routes == 0 {
            self.state = State::No;
        }
        self
    }
}

/// What a configuration blocks by.
#[derive(Default)]
struct Found {
    /// Whether there is a list with entries that is enforced.
    has_list: bool,
    /// Whether such a list is enforced in an API.
    blocks: bool,
    /// Why less is blocked.
    reasons: Vec<String>,
    /// Why more is.
    notes: Vec<String>,
}

impl Found {
    /// Adds a list with entries, which counts in some APIs.
    fn add(&mut self, config: &Config, counts: impl Fn(&Api) -> bool) {
        let mut apis = config.apis.iter();
        self.has_list = true;
        self.blocks |= apis.any(|api| api.mode == Mode::Enforce && counts(api));
    }

    fn into_blocking(self) -> Blocking {
        let state = match (self.blocks, self.reasons.is_empty()) {
            (false, _) => State::No,
            (true, true) => State::Yes,
            (true, false) => State::Partly,
        };
        let reasons = self.notes.into_iter().chain(self.reasons);
        Blocking {
            state,
            reasons: reasons.collect(),
        }
    }
}

/// What the list of a feed contributes.
struct List {
    is_enforced: bool,
    /// Why it is not enforced, or not everywhere.
    reason: Option<String>,
    /// Why it denies more than its entries.
    note: Option<String>,
}

impl List {
    fn of(feed: &Feed, envoy: Option<&RunningEnvoy>, limited: &Limited) -> Self {
        let name = match feed.is_abs() {
            true => "ABS's list".to_owned(),
            false => format!("the list {}", feed.name),
        };
        let only = |reason: String| Self {
            is_enforced: false,
            reason: Some(reason),
            note: None,
        };
        if feed.mode == Mode::Shadow {
            return only(format!("{name} only counts: its feed is in shadow mode"));
        }
        let Some(envoy) = envoy else {
            return Self::enforced();
        };
        let metric = |metric| envoy.metric(&Metric::Feed(feed.name.clone(), metric));
        if metric(FeedMetric::LastSuccess).unwrap_or(0) == 0 {
            return match feed.before_first_list {
                BeforeFirstList::Allow => only(format!("{name} was never fetched")),
                BeforeFirstList::Deny => Self {
                    note: Some(format!(
                        "every request, since {name} was never fetched and before_first_list is deny"
                    )),
                    ..Self::enforced()
                },
            };
        }
        if metric(FeedMetric::Stale) == Some(1) && feed.when_stale == WhenStale::Drop {
            return only(format!("{name} is stale, and when_stale is drop"));
        }
        if let Some(still_denies) = limited.still_denies(&feed.name) {
            let setting = feed.setting("guard.max_denied_percent");
            return Self {
                is_enforced: still_denies,
                reason: Some(format!(
                    "{name} denies more than {setting}, and only counts"
                )),
                note: None,
            };
        }
        let kinds = IdentifierKind::ALL.into_iter();
        let entries = kinds.map(|kind| metric(FeedMetric::Entries(kind)).unwrap_or(0));
        Self {
            is_enforced: entries.sum::<u64>() > 0,
            ..Self::enforced()
        }
    }

    const fn enforced() -> Self {
        Self {
            is_enforced: true,
            reason: None,
            note: None,
        }
    }
}

/// The families of addresses that the allow list has as a whole: as one range, or as its two halves.
fn families_allowed(config: &Config) -> Vec<&'static str> {
    let mut families = Vec::new();
    for (is_ipv4, name) in [(true, "IPv4"), (false, "IPv6")] {
        let ranges = config.allow_list.ips.iter();
        let ranges = ranges.filter(|range| range.addr().is_ipv4() == is_ipv4);
        let wide: BTreeSet<_> = ranges.filter(|range| range.prefix_len() <= 1).collect();
        let has_all = wide.iter().any(|range| range.prefix_len() == 0) || wide.len() > 1;
        families.extend(has_all.then_some(name));
    }
    families
}

/// The APIs that match, as a person calls them.
fn names(config: &Config, matches: impl Fn(&Api) -> bool) -> Vec<String> {
    let apis = config.apis.iter().filter(|api| matches(api));
    let names = apis.map(|api| match api.api_id.as_str() {
        "" => "requests of no API".to_owned(),
        id => id.to_owned(),
    });
    names.collect()
}
