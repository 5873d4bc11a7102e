//! The page of the host's admin interface: the state of the lists, and whether a client is blocked. Changes nothing, and shows
//! no secret: entries are fingerprints here.

use core::fmt::Write as _;
use core::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;
use smallvec::SmallVec;

use super::refresh::Refresh;
use super::{Process, State};
use crate::config::{Mode, Route};
use crate::host::System;
use crate::host::memory::{Headers, MemoryHost, MemoryRequest};
use crate::identifier::IdentifierKind;
use crate::judge::{FeedList, Verdict, foresee};
use crate::list::ExactView;
use crate::plugin::{Plugin, PluginFeed};
use crate::request::{LazyRequest, RequestBuffers};

/// A refused query: status 400 and what to do.
const USAGE: &str = "\
/portcullis                     the state of the lists
/portcullis?ip=192.0.2.1        whether a client with this address is blocked, and why

Parameters, percent-encoded; several may be given:
  ip            the client's address
  cookie        NAME=VALUE
  oauth_token   a bearer token
  username      a user of HTTP Basic authentication
  header        NAME:VALUE, such as an API key's; may be repeated
  host, path    the request's, which select the API
";

impl Process {
    /// Whether there is a configuration, and every list of every configuration has arrived.
    pub fn has_first_lists(&self) -> bool {
        let state = self.state();
        let mut lists = state.lists.iter();
        !state.plugins.is_empty() && lists.all(|list| list.refresh.shared().read().is_some())
    }

    /// The response to a GET of the admin interface: status and text. `target`: path and query.
    pub fn admin_page(&self, system: &dyn System, target: &str) -> (u32, String) {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let state = self.state();
        if query.is_empty() {
            return (200, state.overview(system));
        }
        match asked(query) {
            Ok(request) => (200, state.explanation(system, &request)),
            Err(problem) => (400, format!("{problem}\n\n{USAGE}")),
        }
    }
}

impl State {
    fn overview(&self, system: &dyn System) -> String {
        let mut text = format!("Portcullis {}\n", env!("CARGO_PKG_VERSION"));
        if self.plugins.is_empty() {
            text.push_str("\nno filter configuration\n");
        }
        for (id, plugin) in &self.plugins {
            let config = plugin.config();
            let _ = writeln!(
                text,
                "\nfilter {}: enable_firewall {}, enable_abs {}, enable_abs_attack {}",
                id.0, config.enable_firewall, config.enable_abs, config.enable_abs_attack
            );
            for known in plugin.feeds() {
                let mode = match known.feed.mode {
                    Mode::Enforce => "enforce",
                    Mode::Shadow => "shadow",
                };
                let _ = write!(text, "  feed {} ({mode}): ", known.feed.name);
                match self.refresh_of(known) {
                    Some(refresh) => refresh.describe(&mut text, known, system.monotonic_now()),
                    None => text.push_str("no list yet"),
                }
                text.push('\n');
            }
            if plugin.feeds().is_empty() {
                text.push_str("  no feed\n");
            }
        }
        text.push_str("\nWhether a client is blocked, and why: /portcullis?ip=192.0.2.1\n");
        text
    }

    fn explanation(&self, system: &dyn System, request: &MemoryRequest) -> String {
        let mut text = String::new();
        for (id, plugin) in &self.plugins {
            let verdict = match self.foresee(system, plugin, request) {
                Verdict::Allow if !plugin.config().enable_firewall => {
                    "passes: enable_firewall is false".to_owned()
                }
                Verdict::Allow => "passes: no enforced list has it".to_owned(),
                Verdict::AllowListed => "passes: it is on the allow list".to_owned(),
                Verdict::Deny(reason) => format!("denied: {}", Self::reason(&reason.to_string())),
                Verdict::WouldDeny(reason) => format!(
                    "passes, because of shadow mode or guard.max_denied_percent; otherwise denied: {}",
                    Self::reason(&reason.to_string())
                ),
            };
            let _ = writeln!(text, "filter {}: {verdict}", id.0);
        }
        if self.plugins.is_empty() {
            text.push_str("no filter configuration\n");
        }
        text
    }

    /// A reason, as filter state has it: the list and the kind.
    fn reason(reason: &str) -> String {
        let (source, kind) = reason.split_once(' ').unwrap_or((reason, ""));
        format!("source={source} kind={kind}")
    }

    fn foresee(&self, system: &dyn System, plugin: &Plugin, request: &MemoryRequest) -> Verdict {
        let feeds = plugin.feeds().iter();
        let lists: Vec<_> = feeds
            .map(|known| {
                let shared = self.refresh_of(known)?.shared();
                Some((shared.list()?, shared.is_stale()))
            })
            .collect();
        let feeds = plugin.feeds().iter().zip(&lists);
        let mut feeds: SmallVec<[_; 2]> = feeds
            .map(|(known, list)| FeedList {
                feed: &known.feed,
                policy: &known.policy,
                list: list
                    .as_ref()
                    .map(|(list, is_stale)| ExactView::new(list, *is_stale, system)),
            })
            .collect();
        let host = MemoryHost::default();
        host.set_request(request.clone());
        let mut buffers = RequestBuffers::default();
        let mut request = LazyRequest::new(&host, plugin.header_names(), &mut buffers);
        let config = plugin.config();
        foresee(
            config,
            plugin.policy(),
            &mut feeds,
            &Route::NONE,
            &mut request,
        )
    }

    fn refresh_of(&self, known: &PluginFeed) -> Option<&Refresh> {
        let mut lists = self.lists.iter();
        let list = lists.find(|list| list.refresh.id() == known.list)?;
        Some(&list.refresh)
    }
}

impl Refresh {
    fn describe(&self, text: &mut String, known: &PluginFeed, now: Duration) {
        match self.state() {
            None => text.push_str("no list yet"),
            Some(state) => {
                let counts = IdentifierKind::ALL.into_iter();
                let counts = counts.filter(|kind| *known.feed.kinds.get(*kind));
                let counts =
                    counts.map(|kind| format!("{} {}", kind.as_str(), state.counts.get(kind)));
                let counts = counts.collect::<Vec<_>>().join(", ");
                let _ = write!(
                    text,
                    "{counts}; list {}, {} bytes",
                    state.generation, state.bytes
                );
            }
        }
        if let Some(last_success) = self.last_success() {
            let age = now.saturating_sub(last_success).as_secs();
            let _ = write!(text, "; confirmed {age} s ago");
        }
        if self.shared().is_stale() {
            text.push_str("; STALE");
        }
        if let Some(error) = self.last_error() {
            let error = error.explained(&known.feed);
            let _ = write!(text, "; FAILING: {error}");
        }
        let next = self.due(known.feed.interval).saturating_sub(now).as_secs();
        let _ = write!(text, "; next fetch in {next} s");
    }
}

/// The request that a query describes.
fn asked(query: &str) -> Result<MemoryRequest, String> {
    let mut address = Vec::new();
    let (mut host, mut path) = (b"portcullis".to_vec(), b"/".to_vec());
    let mut headers: Headers = Vec::new();
    let mut authorization: Option<Vec<u8>> = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value: Vec<u8> = percent_decode(value.replace('+', " ").as_bytes()).collect();
        match name {
            "ip" => {
                let text = String::from_utf8_lossy(&value);
                if text.parse::<std::net::IpAddr>().is_err() {
                    return Err("ip: not an IP address".to_owned());
                }
                address = value;
            }
            "host" => host = value,
            "path" => path = value,
            "cookie" => headers.push((b"cookie".to_vec(), value)),
            "oauth_token" => authorization = Some([b"Bearer ", &*value].concat()),
            "username" => {
                let user = STANDARD.encode([&*value, b":"].concat());
                authorization = Some([b"Basic ", user.as_bytes()].concat());
            }
            "header" => {
                let colon = value.iter().position(|byte| *byte == b':');
                let (name, rest) = value.split_at(colon.unwrap_or(0));
                let Some((_, rest)) = rest.split_first().filter(|_| !name.is_empty()) else {
                    return Err("header: not NAME:VALUE".to_owned());
                };
                headers.push((name.to_ascii_lowercase(), rest.trim_ascii().to_vec()));
            }
            _ => return Err("an unknown parameter".to_owned()),
        }
    }
    headers.extend(authorization.map(|value| (b"authorization".to_vec(), value)));
    headers.push((b":authority".to_vec(), host));
    headers.push((b":path".to_vec(), path));
    if !address.is_empty() {
        // As Envoy writes an address with a port.
        address = match address.contains(&b':') {
            true => [b"[", &*address, b"]:0"].concat(),
            false => [&*address, b":0"].concat(),
        };
    }
    Ok(MemoryRequest {
        source_address: address,
        headers,
        ..MemoryRequest::default()
    })
}
