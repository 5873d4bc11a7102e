//! What is reported about a request: its API, its identifiers, the lists that name them, the verdict and the reason.

use std::collections::HashSet;
use std::net::IpAddr;

use portcullis::config::{Api, BeforeFirstList, Config, Mode};
use portcullis::host::memory::Headers;
use portcullis::identifier::{
    ClientIdentifier, FingerprintKey, PerKind, embedded_ipv4, host_of_prefix,
};
use portcullis::list::ManualList;
use portcullis::request::{
    RequestHeaders, select_api, visit_apis, visit_identifiers, visit_readings,
};
use serde_json::{Value, json};

use super::dry_run::Outcome;
use crate::entry::{Entry, kind_name};
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
    /// The filter's configuration.
    pub config: &'a Config,
    /// The entries of ABS's list, if the filter fetches one.
    pub list: Option<&'a [Entry]>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// All headers of the request, pseudo-headers too.
    pub headers: &'a Headers,
    /// What the filter did.
    pub outcome: &'a Outcome,
}

/// One identifier, and the lists that name it.
struct Found {
    entry: Entry,
    allow_list: bool,
    deny_list: bool,
    /// `None` if there is no list.
    attack_list: Option<bool>,
}

impl Explanation<'_> {
    /// What is printed.
    pub fn into_report(self) -> Report {
        let mut headers = RequestHeaders::default();
        for (name, value) in self.headers {
            headers.add(name, value);
        }
        let (authority, path) = (headers.authority(), headers.path());
        let api = select_api(&self.config.apis, authority, path);
        let found = self.find(api, &headers);
        let blocking = match api.enable_blocking {
            true => "blocks on ABS's list",
            false => "never blocks on ABS's list",
        };
        let mode = match api.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        };
        let firewall = match self.config.enable_firewall {
            true => "enabled",
            false => "disabled",
        };
        let list_state = self.list_state();
        let (verdict, reason) = self.verdict(api, &found);
        let line = |title: &str, text: &str| format!("{title:<11}: {text}");
        let mut lines = vec![
            line("firewall", firewall),
            line("api", &format!("{} ({blocking}, mode {mode})", api.api_id)),
            line("attack list", &list_state),
            "identifiers:".to_owned(),
        ];
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
        let json = json!({
            "firewall": self.config.enable_firewall,
            "api": api.api_id,
            "enable_blocking": api.enable_blocking,
            "mode": mode,
            "attack_list": list_state,
            "identifiers": identifiers.collect::<Vec<_>>(),
            "verdict": verdict,
            "reason": reason,
            "reply": reply.map(|reply| json!({"status": reply.status, "details": reply.details})),
        });
        Report {
            notes: self.outcome.logged.clone(),
            ..Report::new(lines.join("\n"), json)
        }
    }

    /// Each identifier that the request carries by the rules of its API, once, and the lists that name it.
    fn find(&self, api: &Api, headers: &RequestHeaders) -> Vec<Found> {
        let key = FingerprintKey::from_words([1, 2]);
        let allow_list = ManualList::new(key, self.config.allow_list.identifiers());
        let deny_list = ManualList::new(key, self.config.deny_list.identifiers());
        let entries = self.list.unwrap_or_default().iter();
        let usable = entries.filter_map(|entry| entry.identifier().ok());
        let attack_list = ManualList::new(key, usable);
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
                attack_list: self.list.map(|_| denies(&attack_list)),
            });
        }
        let look_up = |identifier: ClientIdentifier<'_>| Found {
            entry: Entry::from(identifier),
            allow_list: allow_list.contains(identifier),
            deny_list: deny_list.contains(identifier),
            attack_list: self.list.map(|_| attack_list.contains(identifier)),
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

    fn list_state(&self) -> String {
        let Some(list) = self.list else {
            let before = match self.config.before_first_list {
                BeforeFirstList::Allow => "allow",
                BeforeFirstList::Deny => "deny",
            };
            return match self.config.enable_abs_attack {
                false => "not used: abs attack is disabled".to_owned(),
                true => format!(
                    "none yet (--list FILE or --abs URL provides one); before_first_list is \"{before}\""
                ),
            };
        };
        let entries = match list.len() {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        match self.outcome.has_list {
            true => format!("active, with {entries}"),
            false => format!("refused by the filter ({entries})"),
        }
    }

    /// The filter's verdict in words, and the reason.
    fn verdict(&self, api: &Api, found: &[Found]) -> (String, String) {
        let named = |is_named: fn(&Found) -> bool| {
            let names = found.iter().filter(|found| is_named(found));
            let names: Vec<_> = names
                .map(|found| found.entry.words(self.show_secrets))
                .collect();
            names.join(", ")
        };
        let abs_names = named(|found| found.attack_list == Some(true));
        let Some(verdict) = &self.outcome.verdict else {
            let reason = if self.outcome.allow_listed {
                let names = named(|found| found.allow_list);
                format!("the whitelist names {names} and overrides every other list")
            } else if !self.config.enable_firewall {
                "the firewall is off: nothing is blocked".to_owned()
            } else if abs_names.is_empty() {
                "no list names what the request carries".to_owned()
            } else if !api.enable_blocking {
                format!("ABS lists {abs_names}, but the API has enable_blocking false")
            } else {
                format!(
                    "ABS lists {abs_names}, but the filter skipped the entry or refused the list (guard, allow_list)"
                )
            };
            return ("allowed".to_owned(), reason);
        };
        let mut reason = match verdict.rsplit_once(' ') {
            Some((_, "no_list")) => {
                "there is no list yet, and before_first_list is \"deny\"".to_owned()
            }
            Some((start, _)) if start.ends_with("manual") => {
                format!("the blacklist names {}", named(|found| found.deny_list))
            }
            _ => format!("ABS's attack list names {abs_names}"),
        };
        if self.outcome.reply.is_none() {
            reason
                .push_str("; the API is in shadow mode, so the request passes and is only counted");
        }
        (verdict.clone(), reason)
    }
}

impl Found {
    /// Whether any list names it.
    fn is_named(&self) -> bool {
        self.allow_list || self.deny_list || self.attack_list == Some(true)
    }

    fn row(&self, show_secrets: bool) -> String {
        let mark = |on: bool| if on { "yes" } else { "no" };
        format!(
            "  {}: whitelist {}, blacklist {}, ABS's list {}",
            self.entry.words(show_secrets),
            mark(self.allow_list),
            mark(self.deny_list),
            self.attack_list.map_or("unknown", mark)
        )
    }

    fn to_json(&self, show_secrets: bool) -> Value {
        json!({
            "type": kind_name(self.entry.kind),
            "name": self.entry.name,
            "value": self.entry.shown_value(show_secrets),
            "whitelist": self.allow_list,
            "blacklist": self.deny_list,
            "abs_detected": self.attack_list,
        })
    }
}
