//! What is reported about a request: its API, its identifiers, the lists that name them, the verdict and the reason.

use std::collections::HashSet;
use std::net::IpAddr;

use portcullis::config::{Api, BeforeFirstList, Config, Feed, Mode};
use portcullis::host::memory::Headers;
use portcullis::identifier::{ClientIdentifier, PerKind, embedded_ipv4, host_of_prefix};
use portcullis::list::ManualList;
use portcullis::request::{
    RequestHeaders, select_api, visit_apis, visit_identifiers, visit_readings,
};
use serde_json::{Map, Value, json};

use super::dry_run::Outcome;
use super::found::{self, Found, Naming};
use crate::entry::{Entry, fingerprint_key};
use crate::feed_list::{FeedList, ListedEntry};
use crate::output::Report;

/// Every kind but addresses.
const IN_HEADERS: PerKind<bool> = PerKind {
    ip: false,
    cookie: true,
    oauth_token: true,
    api_key: true,
    username: true,
    header: true,
    token_claims: true,
};

/// Everything to report.
pub struct Explanation<'a> {
    /// Show identifiers in full.
    pub show_secrets: bool,
    /// Whether to name the options that provide a missing list.
    pub list_options: bool,
    /// The filter's configuration.
    pub config: &'a Config,
    /// The feeds that the filter fetches, in the order in which it asks their lists.
    pub feeds: &'a [ExplainedFeed],
    /// The client's address.
    pub address: Option<IpAddr>,
    /// All headers of the request, pseudo-headers too.
    pub headers: &'a Headers,
    /// What the filter did.
    pub outcome: &'a Outcome,
}

/// A feed, and its list.
pub struct ExplainedFeed {
    /// The feed.
    pub feed: Feed,
    /// Its list, if there is one.
    pub list: Option<ExplainedList>,
}

/// A list that the filter gets.
pub struct ExplainedList {
    /// Its entries.
    pub list: FeedList,
    /// Whether the guard accepts it.
    pub is_accepted: bool,
}

impl<'a> Explanation<'a> {
    /// What is printed.
    pub fn into_report(self) -> Report {
        let mut headers = RequestHeaders::default();
        for (name, value) in self.headers {
            headers.add(name, value);
        }
        let (authority, path) = (headers.authority(), headers.path());
        let api = select_api(&self.config.apis, authority, path);
        let found = self.find(api, &headers);
        let lists = match self.feeds.iter().all(|known| known.feed.is_abs()) {
            true => "ABS's list",
            false => "the lists of feeds",
        };
        let blocking = match api.enable_blocking {
            true => format!("blocks on {lists}"),
            false => format!("never blocks on {lists}"),
        };
        let mode = match api.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        };
        let firewall = match self.config.enable_firewall {
            true => "enabled",
            false => "disabled",
        };
        let list_state = match self.feeds.iter().find(|known| known.feed.is_abs()) {
            Some(known) => known.state(self.list_options.then_some("--list FILE or --abs URL")),
            None => "not used: abs attack is disabled".to_owned(),
        };
        let others = self.feeds.iter().filter(|known| !known.feed.is_abs());
        let states =
            others.map(|known| (&*known.feed.name, known.state_for(api, self.list_options)));
        let states: Vec<(&str, String)> = states.collect();
        let Judged {
            verdict,
            reason,
            decided_by,
        } = self.judged(api, &found);
        let line = |title: &str, text: &str| format!("{title:<11}: {text}");
        let mut lines = vec![
            line("firewall", firewall),
            line("api", &format!("{} ({blocking}, mode {mode})", api.api_id)),
            line("attack list", &list_state),
        ];
        lines.extend(
            states
                .iter()
                .map(|(name, state)| line(&format!("feed {name}"), state)),
        );
        lines.push("identifiers:".to_owned());
        if found.is_empty() {
            lines.push("  none".to_owned());
        }
        lines.extend(found.iter().map(|found| found.row(self.show_secrets)));
        if self.address.is_none() {
            lines.push("  (no address given: --ip)".to_owned());
        }
        lines.push(line("verdict", &verdict));
        lines.push(line("reason", &reason));
        let reply = self.outcome.reply.as_ref();
        if let Some(reply) = reply {
            let text = format!(
                "status {}, response code details {}",
                reply.status, reply.details
            );
            lines.push(line("reply", &text));
        }
        let identifiers = found.iter().map(|found| found.to_json(self.show_secrets));
        let states = states
            .iter()
            .map(|(name, state)| ((*name).to_owned(), json!(state)));
        let json = json!({
            "firewall": self.config.enable_firewall,
            "api": api.api_id,
            "enable_blocking": api.enable_blocking,
            "mode": mode,
            "attack_list": list_state,
            "feeds": states.collect::<Map<_, _>>(),
            "identifiers": identifiers.collect::<Vec<_>>(),
            "verdict": verdict,
            "reason": reason,
            "decided_by": decided_by,
            "reply": reply.map(|reply| json!({"status": reply.status, "details": reply.details})),
        });
        Report {
            notes: self.outcome.logged.clone(),
            ..Report::new(lines.join("\n"), json)
        }
    }

    /// Each identifier that the request carries by the rules of its API, once, and the lists that name it.
    fn find(&self, api: &Api, headers: &RequestHeaders) -> Vec<Found<'a>> {
        let key = fingerprint_key();
        let allow_list = ManualList::new(key, self.config.allow_list.identifiers());
        let deny_list = ManualList::new(key, self.config.deny_list.identifiers());
        let mut found = Vec::new();
        if let Some(address) = self.address {
            let network = host_of_prefix(address, self.config.ipv6_prefix);
            let names = |list: &ManualList| {
                list.contains_address(address) || list.contains_address(network)
            };
            let embedded = embedded_ipv4(address);
            let denies = |list: &ManualList| {
                names(list) || embedded.is_some_and(|v4| list.contains_address(v4))
            };
            found.push(Found {
                entry: Entry::from(ClientIdentifier::from(address)),
                allow_list: names(&allow_list),
                deny_list: denies(&deny_list),
                feeds: self.namings(|list| list.find_address(address, self.config.ipv6_prefix)),
            });
        }
        let look_up = |identifier: ClientIdentifier<'_>| Found {
            entry: Entry::from(identifier),
            allow_list: allow_list.contains(identifier),
            deny_list: deny_list.contains(identifier),
            feeds: self.namings(|list| list.find(identifier)),
        };
        let mut known = HashSet::new();
        visit_identifiers(api, headers, IN_HEADERS, &mut |identifier| {
            if known.insert(identifier.fingerprint(&key)) {
                found.push(look_up(identifier));
            }
        });
        // Of the other readings, those that a list names.
        let (authority, path) = (headers.authority(), headers.path());
        visit_apis(&self.config.apis, authority, path, &mut |api| {
            visit_readings(api, headers, IN_HEADERS, &mut |identifier| {
                let reading = look_up(identifier);
                if reading.is_named() && known.insert(identifier.fingerprint(&key)) {
                    found.push(reading);
                }
            });
        });
        found
    }

    /// What the list of each feed says about an identifier.
    fn namings(
        &self,
        find: impl Fn(&'a FeedList) -> Option<&'a ListedEntry>,
    ) -> Vec<(&'a Feed, Naming<'a>)> {
        let naming = |known: &'a ExplainedFeed| match &known.list {
            None => Naming::Unknown,
            Some(given) => match find(&given.list) {
                Some(listed) => Naming::By(&listed.entry),
                None => Naming::No,
            },
        };
        let feeds = self.feeds.iter();
        feeds.map(|known| (&known.feed, naming(known))).collect()
    }

    /// The reason if no list names the request. A list that is not given may.
    fn named_by_none(&self, api: &Api) -> String {
        let is_missing = |known: &&ExplainedFeed| {
            known.list.is_none() && api.enable_blocking && api.counts_feed(&known.feed.name)
        };
        let missing = self.feeds.iter().filter(is_missing);
        let missing = missing.map(|known| match known.feed.is_abs() {
            true => "ABS's list",
            false => &known.feed.name,
        });
        match missing.collect::<Vec<_>>().as_slice() {
            [] => "no list names what the request carries".to_owned(),
            missing => format!(
                "no list that is given names what the request carries; not given: {} (a running Envoy may have fetched it)",
                missing.join(", ")
            ),
        }
    }

    /// The filter's verdict in words, the reason, and the entry that decided.
    fn judged(&self, api: &Api, found: &[Found<'_>]) -> Judged {
        let named = |is_named: fn(&Found<'_>) -> bool| {
            let names = found.iter().filter(|found| is_named(found));
            let names: Vec<_> = names
                .map(|found| found.entry.words(self.show_secrets))
                .collect();
            names.join(", ")
        };
        let names_of = |name: &str| {
            let names = found.iter();
            let names = names.filter_map(|found| found.words_of(name, self.show_secrets));
            names.collect::<Vec<_>>().join(", ")
        };
        let Some(verdict) = &self.outcome.verdict else {
            let first = self.feeds.iter().find_map(|known| {
                let names = names_of(&known.feed.name);
                (!names.is_empty()).then_some((&known.feed, names))
            });
            let reason = if self.outcome.allow_listed {
                let names = named(|found| found.allow_list);
                format!("the whitelist names {names} and overrides every other list")
            } else if !self.config.enable_firewall {
                "the firewall is off: nothing is blocked".to_owned()
            } else if let Some((feed, names)) = first {
                let who = if feed.is_abs() { "ABS" } else { &feed.name };
                let why = if !api.enable_blocking {
                    "the API has enable_blocking false"
                } else if !api.counts_feed(&feed.name) {
                    "the feeds of the API do not include it"
                } else {
                    "the filter skipped the entry or refused the list (guard, allow_list)"
                };
                format!("{who} lists {names}, but {why}")
            } else {
                self.named_by_none(api)
            };
            return Judged {
                verdict: "allowed".to_owned(),
                reason,
                decided_by: Value::Null,
            };
        };
        // "denied drop ip": the verdict, the list, the kind.
        let mut words = verdict.splitn(3, ' ').skip(1);
        let (list, kind) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let feeds = &mut self.feeds.iter().map(|known| &known.feed);
        let feed = feeds.find(|feed| *feed.name == *list);
        let mut reason = match feed {
            None => format!("the blacklist names {}", named(|found| found.deny_list)),
            Some(feed) if kind == "no_list" && feed.is_abs() => {
                "there is no list yet, and before_first_list is \"deny\"".to_owned()
            }
            Some(_) if kind == "no_list" => {
                format!(
                    "there is no list of the feed {list} yet, and its before_first_list is \"deny\""
                )
            }
            Some(feed) => {
                let who = match feed.is_abs() {
                    true => "ABS's attack list".to_owned(),
                    false => format!("the feed {list}"),
                };
                format!("{who} names {}", names_of(list))
            }
        };
        if self.outcome.reply.is_none() {
            let who = match (api.mode, feed) {
                (Mode::Enforce, Some(feed)) if feed.mode == Mode::Shadow => "feed",
                _ => "API",
            };
            reason.push_str(&format!(
                "; the {who} is in shadow mode, so the request passes and is only counted"
            ));
        }
        let mut of_kind = found
            .iter()
            .filter(|found| found.entry.kind.as_str() == kind);
        let entry = of_kind.find_map(|found| match feed {
            None => found.deny_list.then_some(&found.entry),
            Some(_) => found.entry_of(list),
        });
        Judged {
            verdict: verdict.clone(),
            reason,
            decided_by: json!({
                "list": list,
                "entry": entry.map(|entry| found::to_json(entry, self.show_secrets)),
            }),
        }
    }
}

/// The verdict in words.
struct Judged {
    verdict: String,
    reason: String,
    /// For programs: the list, and its entry.
    decided_by: Value,
}

impl ExplainedFeed {
    /// Its list, and what the API makes of it.
    fn state_for(&self, api: &Api, list_options: bool) -> String {
        let option = list_options.then(|| format!("--feed {}=FILE", self.feed.name));
        let mut state = self.state(option.as_deref());
        if self.feed.mode == Mode::Shadow {
            state.push_str("; shadow mode");
        }
        if !api.counts_feed(&self.feed.name) {
            state.push_str("; not used for this API");
        }
        state
    }

    /// `options`: those that provide the list, if they are to be named.
    fn state(&self, options: Option<&str>) -> String {
        let Some(given) = &self.list else {
            let before = match self.feed.before_first_list {
                BeforeFirstList::Allow => "allow",
                BeforeFirstList::Deny => "deny",
            };
            let hint = options.map_or(String::new(), |name| format!(" ({name} provides one)"));
            return format!("none yet{hint}; before_first_list is \"{before}\"");
        };
        let entries = match given.list.entries.len() {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        match given.is_accepted {
            true => format!("active, with {entries}"),
            false => format!("refused by the filter ({entries})"),
        }
    }
}
