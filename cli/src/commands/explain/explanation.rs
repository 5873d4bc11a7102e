//! What is told of a request: its API, its identifiers, the lists that name them, the filter's verdict and the reason.

use std::net::IpAddr;

use portcullis::config::{Api, BeforeFirstList, Config, ManualEntries, Mode};
use portcullis::identifier::{FingerprintKey, PerKind, embedded_ipv4, host_of_prefix};
use portcullis::list::ManualList;
use portcullis::request::{
    IdentifierRef, RequestHeaders, select_api, visit_apis, visit_identifiers, visit_readings,
};
use serde_json::{Value, json};

use super::rehearsal::{Outcome, Request};
use crate::args::EntryKind;
use crate::clients::abs;
use crate::entry::{Entry, kind_name, kind_of, parse_range};
use crate::output::Report;

/// All that there is to tell.
pub struct Explanation<'a> {
    /// Show identifiers whole.
    pub show_secrets: bool,
    /// What the filter works by.
    pub config: &'a Config,
    /// ABS's list as ABS writes it, where the filter has one.
    pub list: Option<&'a [u8]>,
    /// The client's.
    pub address: Option<IpAddr>,
    /// What it asked for.
    pub request: &'a Request,
    /// What the filter did.
    pub outcome: &'a Outcome,
}

/// One identifier, and the lists that name it.
struct Found {
    entry: Entry,
    allow_list: bool,
    deny_list: bool,
    /// `None` where there is no list to ask.
    attack_list: Option<bool>,
}

impl Explanation<'_> {
    /// What is printed.
    pub fn into_report(self) -> Report {
        let mut headers = RequestHeaders::default();
        for (name, value) in &self.request.headers {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        let default_api = Api::default();
        let chosen = select_api(&self.config.apis, headers.authority(), headers.path());
        let api = chosen.unwrap_or(&default_api);
        let found = self.find(api, &headers);
        let api_name = match (chosen, api.api_id.as_str()) {
            (None, _) => "none matches: all defaults apply",
            (Some(_), "") => "without a name",
            (Some(_), name) => name,
        };
        let (verdict, reason) = self.verdict(api, &found);
        let firewall = match self.config.enable_firewall {
            true => "enabled",
            false => "disabled",
        };
        let mut lines = vec![
            line("firewall", firewall),
            line("api", &format!("{api_name} ({})", describe_api(api))),
            line("attack list", &self.list_state()),
            "identifiers:".to_owned(),
        ];
        if found.is_empty() {
            lines.push("  none".to_owned());
        }
        for found in &found {
            lines.push(format!("  {}", found.row(self.show_secrets)));
        }
        if self.address.is_none() {
            lines.push("  (no address given: --ip)".to_owned());
        }
        lines.push(line("verdict", &verdict));
        lines.push(line("reason", &reason));
        if let Some((status, details)) = &self.outcome.reply {
            lines.push(line(
                "reply",
                &format!("status {status}, response code details {details}"),
            ));
        }
        let reply = self.outcome.reply.as_ref();
        let reply = reply.map(|(status, details)| json!({"status": status, "details": details}));
        let json = json!({
            "firewall": self.config.enable_firewall,
            "api": chosen.map(|api| &api.api_id),
            "enable_blocking": api.enable_blocking,
            "mode": mode_name(api.mode),
            "attack_list": self.list_state(),
            "identifiers": found.iter().map(|found| found.to_json(self.show_secrets)).collect::<Vec<_>>(),
            "verdict": verdict,
            "reason": reason,
            "reply": reply,
        });
        Report {
            notes: self.outcome.complaints.clone(),
            ..Report::new(lines.join("\n"), json)
        }
    }

    /// Each identifier that the request carries by the rules of its API, once, and the lists that name it.
    fn find(&self, api: &Api, headers: &RequestHeaders) -> Vec<Found> {
        let key = FingerprintKey::from_words([1, 2]);
        let allow_list = ManualList::new(key, &self.config.allow_list);
        let deny_list = ManualList::new(key, &self.config.deny_list);
        let attack_list = ManualList::new(key, &self.listed());
        let mut found: Vec<Found> = Vec::new();
        if let Some(address) = self.address {
            let network = host_of_prefix(address, self.config.ipv6_prefix);
            let own = |list: &ManualList| list.contains_ip(address) || list.contains_ip(network);
            let embedded = embedded_ipv4(address);
            let denies =
                |list: &ManualList| own(list) || embedded.is_some_and(|it| list.contains_ip(it));
            found.push(Found {
                entry: Entry::from_range(address.into()),
                allow_list: own(&allow_list),
                deny_list: denies(&deny_list),
                attack_list: self.list.map(|_| denies(&attack_list)),
            });
        }
        let every_kind = PerKind {
            ip: false,
            cookie: true,
            oauth_token: true,
            api_key: true,
            username: true,
        };
        let look_up = |identifier: IdentifierRef<'_>| {
            let fingerprint = identifier.fingerprint(&key);
            Found {
                entry: entry_of(identifier),
                allow_list: allow_list.contains(fingerprint),
                deny_list: deny_list.contains(fingerprint),
                attack_list: self.list.map(|_| attack_list.contains(fingerprint)),
            }
        };
        let mut prints = Vec::new();
        visit_identifiers(api, headers, every_kind, &mut |identifier| {
            let one = look_up(identifier);
            prints.push(identifier.fingerprint(&key));
            if !found.iter().any(|found| found.entry.same_as(&one.entry)) {
                found.push(one);
            }
        });
        // Of the other readings those that a list names.
        let (authority, path) = (headers.authority(), headers.path());
        let default_api = Api::default();
        visit_apis(&self.config.apis, authority, path, &mut |api| {
            let api = api.unwrap_or(&default_api);
            visit_readings(api, headers, every_kind, &mut |identifier| {
                let fingerprint = identifier.fingerprint(&key);
                let one = look_up(identifier);
                if one.is_named() && !prints.contains(&fingerprint) {
                    prints.push(fingerprint);
                    found.push(one);
                }
            });
        });
        found
    }

    /// What ABS lists, as far as it can be used.
    fn listed(&self) -> ManualEntries {
        let list = self
            .list
            .and_then(|list| abs::read(list, None).ok())
            .unwrap_or_default();
        let mut listed = ManualEntries::default();
        for entry in list.entries {
            match entry.kind {
                EntryKind::Ip => listed.ips.extend(parse_range(&entry.value)),
                EntryKind::Cookie => {
                    listed
                        .cookies
                        .push((entry.name.unwrap_or_default(), entry.value));
                }
                EntryKind::Token => listed.oauth_tokens.push(entry.value),
                EntryKind::ApiKey => listed.api_keys.push(entry.value),
                EntryKind::Username => listed.usernames.push(entry.value),
            }
        }
        listed
    }

    fn list_state(&self) -> String {
        let Some(list) = self.list else {
            return match self.config.enable_abs_attack {
                false => "not used: abs attack is disabled".to_owned(),
                true => {
                    let before = match self.config.before_first_list {
                        BeforeFirstList::Allow => "allow",
                        BeforeFirstList::Deny => "deny",
                    };
                    format!(
                        "none yet (--list FILE or --abs URL provides one); before_first_list is \"{before}\""
                    )
                }
            };
        };
        let entries = match abs::read(list, None).map_or(0, |list| list.entries.len()) {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        match self.outcome.has_list {
            true => format!("active, with {entries}"),
            false => format!("refused by the filter ({entries})"),
        }
    }

    /// The filter's verdict in words, and what it comes from.
    fn verdict(&self, api: &Api, found: &[Found]) -> (String, String) {
        let named = |on: fn(&Found) -> bool| {
            let names: Vec<_> = found
                .iter()
                .filter(|found| on(found))
                .map(|found| found.entry.words(self.show_secrets))
                .collect();
            names.join(", ")
        };
        if self.outcome.allow_listed {
            let reason = format!(
                "the whitelist names {} and overrides every other list",
                named(|found| found.allow_list)
            );
            return ("allowed".to_owned(), reason);
        }
        let Some(verdict) = &self.outcome.verdict else {
            let abs_names = named(|found| found.attack_list == Some(true));
            let reason = match (
                self.config.enable_firewall,
                abs_names.is_empty(),
                api.enable_blocking,
            ) {
                (false, _, _) => "the firewall is off: nothing is blocked".to_owned(),
                (true, true, _) => "no list names what the request carries".to_owned(),
                (true, false, false) => {
                    format!("ABS lists {abs_names}, but the API has enable_blocking false")
                }
                (true, false, true) => format!(
                    "ABS lists {abs_names}, but the filter skipped the entry or refused the list (guard, allow_list)"
                ),
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
            _ => format!(
                "ABS's attack list names {}",
                named(|found| found.attack_list == Some(true))
            ),
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
            "{}: whitelist {}, blacklist {}, ABS's list {}",
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

fn entry_of(identifier: IdentifierRef<'_>) -> Entry {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (name, value) = match identifier {
        IdentifierRef::Cookie { name, value } => (Some(text(name)), text(value)),
        IdentifierRef::OauthToken(value)
        | IdentifierRef::ApiKey(value)
        | IdentifierRef::Username(value) => (None, text(value)),
    };
    Entry {
        kind: kind_of(identifier.kind()),
        name,
        value,
    }
}

fn describe_api(api: &Api) -> String {
    let blocking = match api.enable_blocking {
        true => "blocks on ABS's list",
        false => "never blocks on ABS's list",
    };
    format!("{blocking}, mode {}", mode_name(api.mode))
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    }
}

fn line(title: &str, text: &str) -> String {
    format!("{title:<11}: {text}")
}
