//! One entry of a list: from words, as words, as a row; what makes two of them the same.

use std::fmt;

use std::borrow::Cow;

use ipnet::IpNet;
use portcullis::feed::abs::AttackListError;
use portcullis::identifier::listed::{trimmed, without_scheme};
use portcullis::identifier::{self, IdentifierKind};

use super::args::{EntryKind, EntryWords};
use super::output::cut;

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
        // What the filter ignores is not written.
        let value = match kind {
            EntryKind::Token => without_scheme(trimmed(&value)).to_owned(),
            _ => trimmed(&value).to_owned(),
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
            _ => cut(&self.meant_value(), false),
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
