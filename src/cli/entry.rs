//! One entry of a list: from words, from and to the list shape of ABS and of the configuration, and as a row.

use std::fmt;

use ipnet::IpNet;
use portcullis::attack_list::AttackListError;
use portcullis::identifier::{IdentifierKind, parse_address};
use serde_json::{Map, Value, json};

use super::args::{EntryKind, EntryWords};
use super::output::cut;

/// The five keys of a list, in the order in which lists are shown.
const KEYS: [(&str, EntryKind); 5] = [
    ("ips", EntryKind::Ip),
    ("cookies", EntryKind::Cookie),
    ("oauth_tokens", EntryKind::Token),
    ("api_keys", EntryKind::ApiKey),
    ("usernames", EntryKind::Username),
];

/// Why words or a file make no entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EntryError {
    /// Too few or too many words.
    #[error("{kind} takes {takes}")]
    Words {
        /// Which kind.
        kind: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// No address.
    #[error(
        "\"{0}\" is no address and no range; allowed are such as 192.0.2.1, 2001:db8::1, 198.51.100.0/24"
    )]
    Address(String),
    /// Nothing.
    #[error("an empty value identifies nobody; give one")]
    Empty,
    /// The file maps names to API keys.
    #[error("this list holds API keys by the names they travel under; say api_key NAME VALUE")]
    NameNeeded,
    /// Nothing to take off.
    #[error("say what is to be taken off: KIND and VALUE, or --file FILE")]
    NothingNamed,
    /// A file that is no list.
    #[error("{file}: {error}")]
    File {
        /// The file.
        file: String,
        /// Why not.
        error: AttackListError,
    },
    /// The list in the file is not written as a list.
    #[error("{0} is not written as a list of this kind; see check_config")]
    NotAList(&'static str),
}

impl EntryError {
    /// Whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        !matches!(self, EntryError::NotAList(_) | EntryError::File { .. })
    }
}

/// One entry of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which kind of identifier.
    pub kind: EntryKind,
    /// A cookie's name; the name that an API key travels under, where it is known.
    pub name: Option<String>,
    /// What identifies the client.
    pub value: String,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.words(false))
    }
}

impl Entry {
    /// Reads the words of a command.
    pub fn from_words(words: &EntryWords) -> Result<Self, EntryError> {
        let kind = words.kind;
        let wrong = |takes| EntryError::Words {
            kind: kind_name(kind),
            takes,
        };
        let (name, value) = match (kind, words.words.as_slice()) {
            (EntryKind::Ip, [value]) => (None, value.clone()),
            (EntryKind::Ip, _) => return Err(wrong("one value: ip ADDRESS")),
            (EntryKind::Cookie, [name, value]) => (Some(name.clone()), value.clone()),
            (EntryKind::Cookie, _) => return Err(wrong("a name and a value: cookie NAME VALUE")),
            (EntryKind::Token, [value]) => (None, value.clone()),
            (EntryKind::Token, _) => return Err(wrong("one value: token VALUE")),
            (EntryKind::ApiKey, [value]) => (None, value.clone()),
            (EntryKind::ApiKey, [name, value]) => (Some(name.clone()), value.clone()),
            (EntryKind::ApiKey, _) => return Err(wrong("a value: api_key [NAME] VALUE")),
            // ASE takes a user name with spaces as it stands.
            (EntryKind::Username, words) => (None, words.join(" ")),
        };
        if value.is_empty() || name.as_ref().is_some_and(String::is_empty) {
            return Err(EntryError::Empty);
        }
        if kind == EntryKind::Ip && parse_range(&value).is_none() {
            return Err(EntryError::Address(value));
        }
        Ok(Self { kind, name, value })
    }

    /// An address or a range of them.
    pub fn from_range(range: IpNet) -> Self {
        let value = match range.prefix_len() == range.max_prefix_len() {
            true => range.addr().to_string(),
            false => range.to_string(),
        };
        Self {
            kind: EntryKind::Ip,
            name: None,
            value,
        }
    }

    /// Whether both name the same client.
    pub fn same_as(&self, other: &Entry) -> bool {
        if self.kind != other.kind {
            return false;
        }
        match self.kind {
            EntryKind::Ip => match (parse_range(&self.value), parse_range(&other.value)) {
                (Some(one), Some(two)) => one == two,
                _ => self.value == other.value,
            },
            EntryKind::Cookie => {
                self.name == other.name && unquoted(&self.value) == unquoted(&other.value)
            }
            // The name that a key travels under does not count in the filter, and is not always known.
            EntryKind::ApiKey => {
                let names_differ =
                    self.name.is_some() && other.name.is_some() && self.name != other.name;
                self.value == other.value && !names_differ
            }
            EntryKind::Token | EntryKind::Username => self.value == other.value,
        }
    }

    /// The value as it may be shown.
    pub fn shown_value(&self, show_secrets: bool) -> String {
        match self.kind {
            EntryKind::Ip => self.value.clone(),
            _ => cut(&self.value, show_secrets),
        }
    }

    /// `ip 10.10.10.10`, `cookie JSESSIONID abcd...`.
    pub fn words(&self, show_secrets: bool) -> String {
        let kind = kind_name(self.kind);
        let value = self.shown_value(show_secrets);
        match &self.name {
            Some(name) => format!("{kind} {name} {value}"),
            None => format!("{kind} {value}"),
        }
    }

    /// `type : cookie, name : JSESSIONID, value : abcd...`, as ASE shows it.
    pub fn row(&self, show_secrets: bool) -> String {
        let kind = kind_name(self.kind);
        let value = self.shown_value(show_secrets);
        match &self.name {
            Some(name) => format!("type : {kind}, name : {name}, value : {value}"),
            None => format!("type : {kind}, value : {value}"),
        }
    }
}

/// An address or a range, in whatever spelling. Whether a list may hold it is for the filter's loader to say.
pub fn parse_range(text: &str) -> Option<IpNet> {
    let range = || text.parse::<IpNet>().ok().map(|range| range.trunc());
    parse_address(text).map(IpNet::from).or_else(range)
}

/// The word for a kind in ASE's commands.
pub const fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Ip => "ip",
        EntryKind::Cookie => "cookie",
        EntryKind::Token => "token",
        EntryKind::ApiKey => "api_key",
        EntryKind::Username => "username",
    }
}

/// The word for a kind as the filter tells them apart.
pub const fn kind_of(kind: IdentifierKind) -> EntryKind {
    match kind {
        IdentifierKind::Ip => EntryKind::Ip,
        IdentifierKind::Cookie => EntryKind::Cookie,
        IdentifierKind::OauthToken => EntryKind::Token,
        IdentifierKind::ApiKey => EntryKind::ApiKey,
        IdentifierKind::Username => EntryKind::Username,
    }
}

/// The entries of a list as the configuration and ABS write it. What is not written as an entry is left out.
pub fn read_list(list: Option<&Value>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (key, kind) in KEYS {
        let mut add = |name: Option<&str>, values: &Value| {
            for value in values
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                entries.push(Entry {
                    kind,
                    name: name.map(str::to_owned),
                    value: value.to_owned(),
                });
            }
        };
        match list.and_then(|list| list.get(key)) {
            Some(Value::Object(by_name)) => {
                for (name, values) in by_name {
                    add(Some(name), values);
                }
            }
            Some(values) => add(None, values),
            None => {}
        }
    }
    entries
}

/// Entries in the list shape of ABS, all five keys there. Values are cut unless they may be shown.
pub fn to_abs_shape(entries: &[Entry], show_secrets: bool) -> Value {
    let mut list =
        json!({"ips": [], "cookies": {}, "oauth_tokens": [], "api_keys": [], "usernames": []});
    for entry in entries {
        let value = Value::String(entry.shown_value(show_secrets));
        for (key, _) in KEYS.iter().filter(|(_, kind)| *kind == entry.kind) {
            let place = list.get_mut(*key);
            match (place, &entry.name, entry.kind) {
                (Some(Value::Object(cookies)), Some(name), EntryKind::Cookie) => {
                    if let Value::Array(values) = cookies.entry(name.clone()).or_insert(json!([])) {
                        values.push(value.clone());
                    }
                }
                (Some(Value::Array(values)), _, _) => values.push(value.clone()),
                _ => {}
            }
        }
    }
    list
}

/// Adds entries to a list of the configuration, but for those it holds; says which were added.
pub fn add(list: &mut Map<String, Value>, entries: &[Entry]) -> Result<Vec<Entry>, EntryError> {
    let mut known = Known::of(list);
    let mut added = Vec::new();
    for entry in entries {
        if !known.insert(entry) {
            continue;
        }
        values_for(list, entry)?.push(Value::String(entry.value.clone()));
        added.push(entry.clone());
    }
    Ok(added)
}

/// Takes an entry off a list of the configuration; `false` where it is not there.
pub fn remove(list: &mut Map<String, Value>, entry: &Entry) -> bool {
    let mut removed = false;
    for (key, kind) in KEYS.into_iter().filter(|(_, kind)| *kind == entry.kind) {
        let mut strip = |name: Option<&String>, values: &mut Value| {
            let Value::Array(values) = values else { return };
            let before = values.len();
            values.retain(|value| {
                let listed = value.as_str().map(|value| Entry {
                    kind,
                    name: name.cloned(),
                    value: value.to_owned(),
                });
                !listed.is_some_and(|listed| listed.same_as(entry))
            });
            removed |= values.len() != before;
        };
        match list.get_mut(key) {
            Some(Value::Object(by_name)) => {
                for (name, values) in by_name.iter_mut() {
                    strip(Some(name), values);
                }
                if removed {
                    by_name.retain(|_, values| {
                        values.as_array().is_none_or(|values| !values.is_empty())
                    });
                }
            }
            Some(values) => strip(None, values),
            None => {}
        }
    }
    removed
}

/// The values beside which an entry belongs; made where they are not there yet.
fn values_for<'l>(
    list: &'l mut Map<String, Value>,
    entry: &Entry,
) -> Result<&'l mut Vec<Value>, EntryError> {
    let key = KEYS
        .iter()
        .find(|(_, kind)| *kind == entry.kind)
        .map_or("ips", |(key, _)| key);
    let fresh = match &entry.name {
        Some(_) => json!({}),
        None => json!([]),
    };
    let place = list.entry(key).or_insert(Value::Null);
    if place.is_null() {
        *place = fresh;
    }
    let place = match (place, &entry.name) {
        (Value::Object(by_name), Some(name)) => by_name.entry(name.clone()).or_insert(json!([])),
        (Value::Object(_), None) => return Err(EntryError::NameNeeded),
        (place, _) => place,
    };
    match place {
        Value::Array(values) => Ok(values),
        _ => Err(EntryError::NotAList(key)),
    }
}

/// What a list holds, to ask for each of many entries.
struct Known(std::collections::HashSet<(u8, String, String)>);

impl Known {
    fn of(list: &Map<String, Value>) -> Self {
        let mut known = Self(std::collections::HashSet::new());
        for entry in read_list(Some(&Value::Object(list.clone()))) {
            known.insert(&entry);
        }
        known
    }

    /// `false` where it is known already.
    fn insert(&mut self, entry: &Entry) -> bool {
        let value = match entry.kind {
            EntryKind::Ip => parse_range(&entry.value)
                .map_or_else(|| entry.value.clone(), |range| range.to_string()),
            EntryKind::Cookie => unquoted(&entry.value).to_owned(),
            _ => entry.value.clone(),
        };
        let name = match (entry.kind, &entry.name) {
            (EntryKind::Cookie, Some(name)) => name.clone(),
            _ => String::new(),
        };
        self.0.insert((entry.kind as u8, name, value))
    }
}

fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}
