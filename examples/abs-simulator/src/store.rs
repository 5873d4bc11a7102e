//! The listed entries with their times, and the bodies that serve them. Time is an argument; HTTP is not known here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;
use serde::Deserialize;

use crate::attack_list::{AttackList, Identifier};
use crate::view::View;

/// Which entries a request selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Listed now.
    Active,
    /// Expired.
    Expired,
    /// Both.
    Any,
}

/// A window of detection times, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The older end.
    pub earliest: SystemTime,
    /// The newer end.
    pub latest: SystemTime,
}

impl Window {
    fn covers(self, other: Window) -> bool {
        self.earliest <= other.earliest && other.latest <= self.latest
    }

    fn joined(self, other: Window) -> Window {
        Window {
            earliest: self.earliest.min(other.earliest),
            latest: self.latest.max(other.latest),
        }
    }
}

/// Whether a user sees secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everything is shown.
    Full,
    /// Cookies, tokens and API keys are obfuscated.
    Restricted,
}

/// Which kinds a bulk deletion removes.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BulkDeletion {
    /// Every kind.
    pub delete_all: bool,
    /// Every IP address.
    pub delete_all_ips: bool,
    /// Every cookie.
    pub delete_all_cookies: bool,
    /// Every bearer token.
    pub delete_all_oauth_tokens: bool,
    /// Every API key.
    pub delete_all_api_keys: bool,
    /// Every user name.
    pub delete_all_usernames: bool,
}

impl BulkDeletion {
    fn takes(&self, identifier: &Identifier) -> bool {
        self.delete_all
            || match identifier {
                Identifier::Ip(_) => self.delete_all_ips,
                Identifier::Cookie { .. } => self.delete_all_cookies,
                Identifier::OauthToken(_) => self.delete_all_oauth_tokens,
                Identifier::ApiKey(_) => self.delete_all_api_keys,
                Identifier::Username(_) => self.delete_all_usernames,
            }
    }
}

#[derive(Clone, Copy, Debug)]
struct Times {
    detected: SystemTime,
    expires: Option<SystemTime>,
}

#[derive(Debug)]
struct KeptView {
    // From the first detection to the last; `None` without entries.
    extent: Option<Window>,
    view: Arc<View>,
}

type Entries = IndexMap<Identifier, Times>;

/// The attack list: active and expired entries.
#[derive(Debug)]
pub struct Store {
    default_ttl: Option<Duration>,
    active: Entries,
    expired: Entries,
    // The earliest expiry among the active entries, so that most calls only compare times.
    next_expiry: Option<SystemTime>,
    // The bodies for windows with all entries. Every change clears them.
    views: HashMap<(Status, Visibility), KeptView>,
}

impl Store {
    /// An empty list. Entries expire after `default_ttl`, or never.
    pub fn new(default_ttl: Option<Duration>) -> Self {
        Self {
            default_ttl,
            active: Entries::new(),
            expired: Entries::new(),
            next_expiry: None,
            views: HashMap::new(),
        }
    }

    /// How many entries are active.
    pub fn active_entries(&mut self, now: SystemTime) -> usize {
        self.expire(now);
        self.active.len()
    }

    /// Lists `identifiers`. One that is already listed gets the new times and keeps its position.
    pub fn add(
        &mut self,
        identifiers: impl IntoIterator<Item = Identifier>,
        detected: SystemTime,
        ttl: Option<Duration>,
    ) {
        let expires = ttl
            .or(self.default_ttl)
            .and_then(|ttl| detected.checked_add(ttl));
        let mut revived = HashSet::new();
        for identifier in identifiers {
            if self.expired.contains_key(&identifier) {
                revived.insert(identifier.clone());
            }
            self.active.insert(identifier, Times { detected, expires });
        }
        if !revived.is_empty() {
            self.expired
                .retain(|identifier, _| !revived.contains(identifier));
        }
        self.next_expiry = earlier(self.next_expiry, expires);
        self.views.clear();
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.default_ttl);
    }

    /// Deletes the named active entries and returns those that existed.
    pub fn remove(
        &mut self,
        identifiers: impl IntoIterator<Item = Identifier>,
        now: SystemTime,
    ) -> Vec<Identifier> {
        let named: HashSet<Identifier> = identifiers.into_iter().collect();
        self.remove_where(now, |identifier| named.contains(identifier))
    }

    /// Deletes active entries by kind and returns them.
    pub fn remove_kinds(&mut self, deletion: BulkDeletion, now: SystemTime) -> Vec<Identifier> {
        self.remove_where(now, |identifier| deletion.takes(identifier))
    }

    /// Whether one of `identifiers` is active.
    pub fn lists_any(&mut self, identifiers: &[Identifier], now: SystemTime) -> bool {
        self.expire(now);
        identifiers
            .iter()
            .any(|identifier| self.active.contains_key(identifier))
    }

    /// The active entries and the expired ones.
    pub fn lists(&mut self, now: SystemTime) -> (AttackList<&str>, AttackList<&str>) {
        self.expire(now);
        (
            AttackList::from_identifiers(self.active.keys()),
            AttackList::from_identifiers(self.expired.keys()),
        )
    }

    /// The body for a request. It is cached if the window contains every entry, as with a polling client.
    ///
    /// # Errors
    ///
    /// The list can't be serialized.
    pub fn view(
        &mut self,
        status: Status,
        window: Window,
        visibility: Visibility,
        now: SystemTime,
    ) -> serde_json::Result<Arc<View>> {
        self.expire(now);
        if let Some(kept) = self.views.get(&(status, visibility))
            && kept.extent.is_none_or(|extent| window.covers(extent))
        {
            return Ok(Arc::clone(&kept.view));
        }
        let mut whole = true;
        let mut extent: Option<Window> = None;
        let mut listed = Vec::new();
        for (identifier, times) in self.with_status(status) {
            let moment = Window {
                earliest: times.detected,
                latest: times.detected,
            };
            if window.covers(moment) {
                extent = Some(extent.map_or(moment, |extent| extent.joined(moment)));
                listed.push(identifier);
            } else {
                whole = false;
            }
        }
        let list = AttackList::from_identifiers(listed);
        let view = Arc::new(match visibility {
            Visibility::Full => View::new(serde_json::to_vec(&list)?),
            Visibility::Restricted => View::new(serde_json::to_vec(&list.obfuscated())?),
        });
        if whole {
            let kept = KeptView {
                extent,
                view: Arc::clone(&view),
            };
            self.views.insert((status, visibility), kept);
        }
        Ok(view)
    }

    fn with_status(&self, status: Status) -> impl Iterator<Item = (&Identifier, &Times)> {
        let active = (status != Status::Expired).then_some(&self.active);
        let expired = (status != Status::Active).then_some(&self.expired);
        active.into_iter().chain(expired).flatten()
    }

    fn remove_where(
        &mut self,
        now: SystemTime,
        takes: impl Fn(&Identifier) -> bool,
    ) -> Vec<Identifier> {
        self.expire(now);
        let removed: Vec<Identifier> = self
            .active
            .extract_if(.., |identifier, _| takes(identifier))
            .map(|(identifier, _)| identifier)
            .collect();
        if !removed.is_empty() {
            self.views.clear();
        }
        removed
    }

    fn expire(&mut self, now: SystemTime) {
        if self.next_expiry.is_none_or(|expiry| now < expiry) {
            return;
        }
        let out = self.active.extract_if(.., |_, times| {
            times.expires.is_some_and(|expires| expires <= now)
        });
        self.expired.extend(out);
        self.next_expiry = self
            .active
            .values()
            .fold(None, |next, times| earlier(next, times.expires));
        self.views.clear();
    }
}

fn earlier(a: Option<SystemTime>, b: Option<SystemTime>) -> Option<SystemTime> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
