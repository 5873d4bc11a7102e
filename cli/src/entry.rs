//! One entry of a list: from words, as words, as a row; what makes two of them the same.

use std::fmt;

use std::borrow::Cow;

use ipnet::IpNet;
use portcullis::identifier::listed::{trimmed, without_scheme};
use portcullis::identifier::{self, IdentifierKind};

use crate::args::{EntryKind, EntryWords};
use crate::error::{Failure, Result};
use crate::output::shorten;

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
    pub fn from_words(words: &EntryWords) -> Result<Self> {
        let kind = words.kind;
        let wrong = |takes| Failure::usage(format!("{} takes {takes}", kind_name(kind)));
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
        // What the filter ignores is not written.
        let value = match kind {
            EntryKind::Token => without_scheme(trimmed(&value)).to_owned(),
            _ => trimmed(&value).to_owned(),
        };
        if value.is_empty() || name.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::usage("an empty value identifies nobody; give one"));
        }
        if kind == EntryKind::Ip && parse_range(&value).is_none() {
            return Err(Failure::usage(format!(
                "\"{value}\" is not an address or a range; allowed are such as 192.0.2.1, 2001:db8::1, 198.51.100.0/24"
            )));
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
        let names_differ = match self.kind {
            EntryKind::Cookie => self.name != other.name,
            // The name that a key travels under does not count in the filter, and is not always known.
            EntryKind::ApiKey => {
                self.name.is_some() && other.name.is_some() && self.name != other.name
            }
            _ => false,
        };
        !names_differ && self.meant_value() == other.meant_value()
    }

    /// What the filter takes the value for.
    pub fn meant_value(&self) -> Cow<'_, str> {
        let value = trimmed(&self.value);
        match self.kind {
            EntryKind::Ip => match parse_range(value) {
                Some(range) => Cow::Owned(range.to_string()),
                None => Cow::Borrowed(value),
            },
            EntryKind::Cookie => Cow::Borrowed(unquoted(value)),
            EntryKind::Token => Cow::Borrowed(without_scheme(value)),
            EntryKind::ApiKey | EntryKind::Username => Cow::Borrowed(value),
        }
    }

    /// The value as it may be shown.
    pub fn shown_value(&self, show_secrets: bool) -> String {
        match self.kind {
            EntryKind::Ip => self.value.clone(),
            _ if show_secrets => self.value.clone(),
            _ => shorten(&self.meant_value(), false),
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
    identifier::parse_range(text).map(|range| range.trunc())
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

/// A cookie's value without enclosing double quotes.
pub fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}
