//! CrowdSec's decisions: the database of a LAPI in memory, and the queries of its stream. HTTP is not known here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::go_duration::GoDuration;

/// How far the deleted decisions of two deltas overlap.
const OVERLAP: Duration = Duration::from_secs(2);

/// A decision, with defaults as `cscli decisions add` has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDecision {
    /// `Ip`, `Range`, `Country`, `AS` or any other word.
    #[serde(default = "default_scope")]
    pub scope: String,
    /// What is listed.
    pub value: String,
    /// How long, in Go's format.
    #[serde(default = "default_duration")]
    pub duration: String,
    /// What is to be done.
    #[serde(rename = "type", default = "default_type")]
    pub kind: String,
    /// Who has decided.
    #[serde(default = "default_origin")]
    pub origin: String,
    /// Why.
    #[serde(default)]
    pub scenario: Option<String>,
    /// Whether it is only for show.
    #[serde(default)]
    pub simulated: bool,
}

fn default_scope() -> String {
    "Ip".to_owned()
}

fn default_duration() -> String {
    "4h".to_owned()
}

fn default_type() -> String {
    "ban".to_owned()
}

fn default_origin() -> String {
    "cscli".to_owned()
}

/// A kept decision.
#[derive(Clone, Debug)]
pub struct Decision {
    id: u64,
    new: NewDecision,
    created: SystemTime,
    until: SystemTime,
}

impl Decision {
    fn triple(&self) -> (&str, &str, &str) {
        (&self.new.scope, &self.new.value, &self.new.kind)
    }

    fn scenario(&self) -> Cow<'_, str> {
        match &self.new.scenario {
            Some(scenario) => scenario.into(),
            None => format!("manual '{}' from 'simulator'", self.new.kind).into(),
        }
    }

    /// Its JSON in a reply of `release`.
    pub fn row(&self, release: Release, now: SystemTime) -> Row<'_> {
        let left = self.until.duration_since(now);
        let duration = GoDuration {
            negative: left.is_err(),
            length: left.unwrap_or_else(|error| error.duration()),
        };
        let modern = release == Release::V1_7;
        Row {
            duration: match modern {
                true => duration.rounded(),
                false => duration,
            }
            .to_string(),
            id: self.id,
            origin: &self.new.origin,
            scenario: self.scenario(),
            scope: &self.new.scope,
            kind: &self.new.kind,
            uuid: modern.then(|| format!("00000000-0000-4000-8000-{:012x}", self.id)),
            value: &self.new.value,
        }
    }
}

/// A decision in a reply.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    duration: String,
    id: u64,
    origin: &'a str,
    scenario: Cow<'a, str>,
    scope: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
    value: &'a str,
}

/// The release of CrowdSec that is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Release {
    /// Writes null for an empty list, fractions of seconds and no uuid; has no usage metrics.
    #[serde(rename = "1.4")]
    V1_4,
    /// Streams pages, with empty lists, whole seconds and a uuid.
    #[default]
    #[serde(rename = "1.7")]
    V1_7,
}

/// What a request for the stream selects. Of a repeated parameter, the first counts.
#[derive(Clone, Debug)]
pub struct Filter {
    startup: bool,
    scopes: Vec<String>,
    origins: Option<Vec<String>>,
    containing: Option<Vec<String>>,
    not_containing: Vec<String>,
    kind: Option<String>,
    value: Option<String>,
    simulated: bool,
    dedup: bool,
}

impl Filter {
    /// The filter of the query's parameters.
    pub fn new(query: &[(String, String)]) -> Self {
        let first = |wanted: &str| {
            let pair = query.iter().find(|(name, _)| name == wanted);
            pair.map(|(_, value)| value.clone())
        };
        let items = |wanted: &str| first(wanted).map(|value| split(&value));
        let lower = |items: Vec<String>| items.iter().map(|it| it.to_lowercase()).collect();
        Self {
            startup: first("startup").is_some_and(|value| value == "true"),
            scopes: split(&first("scopes").unwrap_or_else(|| "ip,range".to_owned()))
                .iter()
                .map(|scope| canonical_scope(scope))
                .collect(),
            origins: items("origins"),
            containing: items("scenarios_containing").map(lower),
            not_containing: items("scenarios_not_containing")
                .map(lower)
                .unwrap_or_default(),
            kind: first("type"),
            value: first("value"),
            simulated: first("simulated").is_some_and(|value| value == "true"),
            dedup: first("dedup").is_none_or(|value| value != "false"),
        }
    }

    fn selects(&self, decision: &Decision) -> bool {
        let new = &decision.new;
        let scenario = || decision.scenario().to_lowercase();
        self.scopes.contains(&new.scope)
            && (self.simulated || !new.simulated)
            && self
                .origins
                .as_ref()
                .is_none_or(|it| it.contains(&new.origin))
            && self.kind.as_ref().is_none_or(|it| *it == new.kind)
            && self.value.as_ref().is_none_or(|it| *it == new.value)
            && self
                .containing
                .as_ref()
                .is_none_or(|it| it.iter().any(|part| scenario().contains(part)))
            && !self
                .not_containing
                .iter()
                .any(|part| scenario().contains(part))
    }
}

fn split(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

/// Upper and lower case mean the same in four scopes only.
pub fn canonical_scope(scope: &str) -> String {
    match scope.to_lowercase().as_str() {
        "ip" => "Ip",
        "range" => "Range",
        "country" => "Country",
        "as" => "AS",
        _ => scope,
    }
    .to_owned()
}

/// Decisions of a reply.
pub type Selected = Vec<Arc<Decision>>;

/// The decisions, active, expired and deleted.
#[derive(Debug, Default)]
pub struct Decisions {
    rows: Vec<Arc<Decision>>,
    last_id: u64,
    last_pull: Option<SystemTime>,
}

impl Decisions {
    /// Adds decisions; each with its duration.
    pub fn add(
        &mut self,
        decisions: impl IntoIterator<Item = (NewDecision, Duration)>,
        now: SystemTime,
    ) {
        for (mut new, duration) in decisions {
            new.scope = canonical_scope(&new.scope);
            self.last_id = self.last_id.saturating_add(1);
            self.rows.push(Arc::new(Decision {
                id: self.last_id,
                new,
                created: now,
                until: now.checked_add(duration).unwrap_or(now),
            }));
        }
    }

    /// Ends the active decisions that match every given part; returns how many.
    pub fn end(&mut self, matches: impl Fn(&NewDecision) -> bool, now: SystemTime) -> usize {
        let mut ended = 0_usize;
        // As in LAPI, no two deletions have the same time: of duplicates, one is reported.
        let mut until = now;
        for row in &mut self.rows {
            if row.until > now && matches(&row.new) {
                Arc::make_mut(row).until = until;
                until = until.checked_sub(Duration::from_nanos(1)).unwrap_or(now);
                ended = ended.saturating_add(1);
            }
        }
        ended
    }

    /// Removes everything; nothing is reported as deleted.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// The active decisions of every scope, duplicates too.
    pub fn active(&self, now: SystemTime) -> Selected {
        let rows = self.rows.iter().filter(|row| row.until > now);
        rows.cloned().collect()
    }

    /// The new and the deleted decisions of a reply. Without `startup=true`, those since the previous reply.
    pub fn stream(&mut self, filter: &Filter, now: SystemTime) -> (Selected, Selected) {
        let since = match (filter.startup, self.last_pull.replace(now)) {
            (true, _) | (_, None) => None,
            (false, since) => since,
        };
        // As in LAPI, duplicates are removed before the filters: an origin's shorter decision is missing if another
        // origin has a longer one.
        let mut longest = HashMap::new();
        if filter.dedup {
            for row in &self.rows {
                let until = longest.entry(row.triple()).or_insert(row.until);
                *until = row.until.max(*until);
            }
        }
        let (mut new, mut deleted) = (Vec::new(), Vec::new());
        for row in &self.rows {
            let is_longest = longest
                .get(&row.triple())
                .is_none_or(|until| *until == row.until);
            if !is_longest || !filter.selects(row) {
                continue;
            }
            if row.until > now {
                if since.is_none_or(|since| row.created > since) {
                    new.push(Arc::clone(row));
                }
            } else if since
                .and_then(|since| since.checked_sub(OVERLAP))
                .is_none_or(|since| row.until > since)
            {
                deleted.push(Arc::clone(row));
            }
        }
        (new, deleted)
    }
}
