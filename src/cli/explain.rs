//! `explain`: what becomes of a request, and why.
//!
//! The verdict is the filter's own: it runs here, against one request and one answer of ABS. Who stands on which list
//! is asked of the same structures that the filter asks. Nothing is judged in this file.

mod rehearsal;

use std::net::IpAddr;

use portcullis::attack_list::AttackListError;
use portcullis::blocklist::LocalList;
use portcullis::config::{Api, BeforeFirstList, Config, ManualEntries, Mode};
use portcullis::identifier::{FingerprintKey, PerKind, parse_address};
use portcullis::request::{IdentifierRef, RequestHeaders, select_api, visit_identifiers};
use serde_json::{Value, json};

use self::rehearsal::{Outcome, Request, rehearse};
use super::abs::{self, Client};
use super::args::{Common, EntryKind, ExplainArgs, ListStatus};
use super::entry::{Entry, kind_name, kind_of, parse_range};
use super::error::Failure;
use super::file;
use super::filter_file::FilterFile;
use super::output::Report;

/// Why there is no request, or no list, to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No address.
    #[error("--ip: \"{0}\" is no address; allowed are such as 192.0.2.1 and 2001:db8::1")]
    Address(String),
    /// No header.
    #[error("--header: a header is NAME: VALUE, as with curl; one without a colon was given")]
    Header,
    /// No URL.
    #[error(
        "--url: \"{0}\" is no URL; allowed are such as https://api.example.com/shop?x=1 and /shop?x=1"
    )]
    Url(String),
    /// The file holds no attack list.
    #[error("{file}: {error}")]
    List {
        /// The file.
        file: String,
        /// Why not.
        error: AttackListError,
    },
}

impl ExplainError {
    /// Whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        !matches!(self, ExplainError::List { .. })
    }
}

/// Runs the command.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Report, Failure> {
    let address = args
        .ip
        .as_ref()
        .map(|text| parse_address(text).ok_or_else(|| ExplainError::Address(text.clone())))
        .transpose()?;
    let request = read_request(args, address)?;
    let text = file::read(&common.config)?;
    let filter_file = FilterFile::parse(&common.config, text, common.name.as_deref())?;
    let invalid = |errors| Failure::Invalid {
        file: filter_file.file().to_owned(),
        unchanged: false,
        errors,
    };
    let config = filter_file.validate().map_err(invalid)?;
    let list = read_list(args, &config)?;
    let outcome = rehearse(filter_file.raw(), list.as_deref(), &request).map_err(invalid)?;
    Ok(Explanation {
        show_secrets: common.show_secrets,
        config: &config,
        list: list.as_deref(),
        address,
        request: &request,
        outcome: &outcome,
    }
    .into_report())
}

fn read_request(args: &ExplainArgs, address: Option<IpAddr>) -> Result<Request, ExplainError> {
    let wrong = || ExplainError::Url(args.url.clone());
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| args.url.strip_prefix(scheme));
    let (mut authority, path) = match rest {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            if authority.is_empty() {
                return Err(wrong());
            }
            (authority.to_owned(), path.to_owned())
        }
        None if args.url.starts_with('/') => (String::new(), args.url.clone()),
        None => return Err(wrong()),
    };
    // A URL's fragment never leaves the client; a URL without a path asks for "/".
    let mut path = path.split('#').next().unwrap_or_default().to_owned();
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let mut headers = Vec::new();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or(ExplainError::Header)?;
        // Envoy hands header names over in lower case, and values without white space around them.
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "" => return Err(ExplainError::Header),
            "host" => authority = value,
            _ => headers.push((name, value)),
        }
    }
    headers.insert(0, (":method".to_owned(), "GET".to_owned()));
    headers.insert(1, (":authority".to_owned(), authority));
    headers.insert(2, (":path".to_owned(), path));
    let source_address = address.map(|address| match address {
        IpAddr::V4(v4) => format!("{v4}:443"),
        IpAddr::V6(v6) => format!("[{v6}]:443"),
    });
    Ok(Request {
        source_address,
        headers,
    })
}

/// ABS's list as ABS writes it, where the filter would fetch one.
fn read_list(args: &ExplainArgs, config: &Config) -> Result<Option<Vec<u8>>, Failure> {
    let body = match (&args.list, &args.abs.abs_url) {
        _ if !config.enable_abs_attack => return Ok(None),
        (Some(path), _) => {
            let body = file::read(path)?.into_bytes();
            // A fault is told by the list's reader itself, and not by what the filter does without a list.
            abs::read(&body).map_err(|error| ExplainError::List {
                file: path.display().to_string(),
                error,
            })?;
            body
        }
        (None, Some(_)) => Client::new(&args.abs)?.fetch_body(ListStatus::Active)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(body))
}

/// All that there is to tell.
struct Explanation<'a> {
    show_secrets: bool,
    config: &'a Config,
    list: Option<&'a [u8]>,
    address: Option<IpAddr>,
    request: &'a Request,
    outcome: &'a Outcome,
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
    fn into_report(self) -> Report {
        let mut headers = RequestHeaders::default();
        for (name, value) in &self.request.headers {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        let default_api = Api::default();
        let chosen = select_api(&self.config.apis, headers.authority(), headers.path());
        let api = chosen.unwrap_or(&default_api);
        let found = self.find(api, &headers);
        let api_name = match (chosen, api.api_id.as_str()) {
            (None, _) => "none matches: every default holds",
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
            lines.push("  none that counts".to_owned());
        }
        for found in &found {
            lines.push(format!("  {}", found.row(self.show_secrets)));
        }
        if self.address.is_none() {
            lines.push("  (no address was given: --ip)".to_owned());
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
        let allow_list = LocalList::new(key, &self.config.allow_list);
        let deny_list = LocalList::new(key, &self.config.deny_list);
        let attack_list = LocalList::new(key, &self.listed());
        let mut found: Vec<Found> = Vec::new();
        if let Some(address) = self.address {
            found.push(Found {
                entry: Entry::from_range(address.into()),
                allow_list: allow_list.contains_ip(address),
                deny_list: deny_list.contains_ip(address),
                attack_list: self.list.map(|_| attack_list.contains_ip(address)),
            });
        }
        let every_kind = PerKind {
            ip: false,
            cookie: true,
            oauth_token: true,
            api_key: true,
            username: true,
        };
        visit_identifiers(api, headers, every_kind, &mut |identifier| {
            let entry = entry_of(identifier);
            let fingerprint = identifier.fingerprint(&key);
            if !found.iter().any(|found| found.entry.same_as(&entry)) {
                found.push(Found {
                    entry,
                    allow_list: allow_list.contains(fingerprint),
                    deny_list: deny_list.contains(fingerprint),
                    attack_list: self.list.map(|_| attack_list.contains(fingerprint)),
                });
            }
        });
        found
    }

    /// What ABS lists, as far as it can be used.
    fn listed(&self) -> ManualEntries {
        let list = self
            .list
            .and_then(|list| abs::read(list).ok())
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
                false => "not asked: abs attack is disabled".to_owned(),
                true => {
                    let before = match self.config.before_first_list {
                        BeforeFirstList::Allow => "allow",
                        BeforeFirstList::Deny => "deny",
                    };
                    format!(
                        "none has come (--list FILE or --abs URL gives one); before_first_list is \"{before}\""
                    )
                }
            };
        };
        let entries = match abs::read(list).map_or(0, |list| list.entries.len()) {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        match self.outcome.has_list {
            true => format!("in force, with {entries}"),
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
                "the whitelist names {}, and goes before every other list",
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
                    "ABS lists {abs_names}, but the filter left the entry or the whole list out (guard, allow_list)"
                ),
            };
            return ("allowed".to_owned(), reason);
        };
        let mut reason = match verdict.rsplit_once(' ') {
            Some((_, "no_list")) => {
                "no list has come yet, and before_first_list is \"deny\"".to_owned()
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
            reason.push_str(
                "; the API is in shadow mode, so that the request passes and is only counted",
            );
        }
        (verdict.clone(), reason)
    }
}

impl Found {
    fn row(&self, show_secrets: bool) -> String {
        let mark = |on: bool| if on { "yes" } else { "no" };
        format!(
            "{}: whitelist {}, blacklist {}, ABS's list {}",
            self.entry.words(show_secrets),
            mark(self.allow_list),
            mark(self.deny_list),
            self.attack_list.map_or("not asked", mark)
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
