//! The shape of the attack list: JSON events in, entries out.
//!
//! Owns which JSON value is an entry and of which kind, and which shapes are not a list. `identifier::listed` decides
//! which values are usable.

use core::cell::Cell;

use super::error::AttackListError;
use super::repair::NO_TEXT;
use crate::codec::json::{ErrorKind, Handler, JsonError, Scalar};
use crate::feed::entries::{EntryCounts, EntrySink};
use crate::feed::scalar::{Shape, entry_text};
use crate::identifier::listed::{Unusable, listed};
use crate::identifier::{IdentifierKind, PerKind};

/// Where in the list a JSON value is.
#[derive(Clone, Copy)]
enum Place {
    /// The whole body.
    Top,
    /// Under `attacklist`.
    Nested,
    /// Under one of the five keys.
    Key(IdentifierKind),
    /// Under a name, in a map from names to lists.
    Name(IdentifierKind),
    /// In a list of entries.
    Entry(IdentifierKind),
    /// Under the singular name, in an entry that is an object.
    Value(IdentifierKind),
    /// In a list where an object is expected; an empty one is accepted, since PHP encodes an empty object that way.
    WrongList(Option<IdentifierKind>),
}

/// An open list or object.
struct Open {
    place: Place,
    is_object: bool,
    /// The number of its keys.
    n_keys: u64,
    /// Whether one of them is known.
    has_known_key: bool,
}

/// Reads one attack list from JSON events.
pub(super) struct AttackListReader<'s> {
    sink: &'s mut dyn EntrySink,
    /// Whether invalid text of the body was replaced.
    has_replaced: &'s Cell<bool>,
    /// The place of the next value.
    place: Place,
    open: Vec<Open>,
    /// The current name, in a map from names to lists.
    name: String,
    /// Whether the body has a list, possibly an empty one.
    has_list: bool,
    /// The shape of the whole body.
    shape: Shape,
    counts: EntryCounts,
    /// Kinds with an entry of an unexpected shape.
    misshapen: PerKind<bool>,
    /// Whether the sink accepts no more entries; the rest of the body is ignored.
    is_full: bool,
    /// Why the body is not a list.
    refused: Option<AttackListError>,
}

impl<'s> AttackListReader<'s> {
    pub(super) fn new(sink: &'s mut dyn EntrySink, has_replaced: &'s Cell<bool>) -> Self {
        Self {
            sink,
            has_replaced,
            place: Place::Top,
            open: Vec::new(),
            name: String::new(),
            has_list: false,
            shape: Shape::default(),
            counts: EntryCounts::default(),
            misshapen: PerKind::default(),
            is_full: false,
            refused: None,
        }
    }

    /// The result, after the parser has ended with `outcome`.
    pub(super) fn finish(
        self,
        outcome: Result<(), JsonError>,
    ) -> Result<EntryCounts, AttackListError> {
        match (outcome, self.refused) {
            (
                Ok(())
                | Err(JsonError {
                    kind: ErrorKind::Stopped,
                    ..
                }),
                Some(refused),
            ) => return Err(refused),
            (Err(error), _) => return Err(error.into()),
            (Ok(()), None) => {}
        }
        let counts = self.counts;
        if !self.has_list {
            return Err(AttackListError::NoKnownKey {
                found: self.shape,
                under_attacklist: false,
            });
        }
        if counts.is_unusable() {
            return Err(AttackListError::NothingUsable(Box::new(counts)));
        }
        let is_lost = |kind| *self.misshapen.get(kind) && *counts.usable.get(kind) == 0;
        let mut kinds = IdentifierKind::WITH_LIST_KEY.into_iter();
        match kinds.find(|kind| is_lost(*kind)) {
            None => Ok(counts),
            Some(kind) => Err(AttackListError::WrongEntries {
                kind,
                counts: Box::new(counts),
            }),
        }
    }

    /// Passes an entry to the sink; `false` if the sink accepts no more.
    fn take(&mut self, kind: IdentifierKind, text: &str) -> bool {
        let is_text = !self.has_replaced.get() || !text.contains(NO_TEXT);
        let entry = if is_text {
            listed(kind, &self.name, text)
        } else {
            Err(Unusable::NotText)
        };
        match entry.map(|entry| self.sink.entry(entry, None)) {
            Ok(continues) => {
                self.counts.add_usable(kind);
                self.is_full |= !continues;
                continues
            }
            Err(reason) => {
                self.skip(kind, reason);
                true
            }
        }
    }

    fn skip(&mut self, kind: IdentifierKind, reason: Unusable) {
        let entry = self.counts.add_skipped(kind, reason);
        *self.misshapen.get_mut(kind) |= reason == Unusable::WrongType;
        self.sink.skipped(entry);
    }

    fn refuse(&mut self, error: AttackListError) {
        if !self.is_full {
            self.refused.get_or_insert(error);
        }
    }

    /// Handles a value of an unexpected shape.
    fn wrong_shape(&mut self, place: Place, found: Shape) {
        let (kind, under_name) = match place {
            Place::Top => {
                self.shape = found;
                return;
            }
            Place::Entry(kind) | Place::Value(kind) => {
                return self.skip(kind, Unusable::WrongType);
            }
            Place::Nested => (None, false),
            Place::WrongList(kind) => (kind, false),
            Place::Key(kind) => (Some(kind), false),
            Place::Name(kind) => (Some(kind), true),
        };
        // The list itself is wrong, not the element in it.
        let found = match place {
            Place::WrongList(_) => Shape::List,
            _ => found,
        };
        self.refuse(AttackListError::WrongShape {
            kind,
            under_name,
            found,
        });
    }

    fn begin(&mut self, is_object: bool) {
        self.open.push(Open {
            place: self.place,
            is_object,
            n_keys: 0,
            has_known_key: false,
        });
    }
}

impl Handler for AttackListReader<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        if self.refused.is_some() {
            return false;
        }
        match (self.place, value) {
            (Place::Entry(kind) | Place::Value(kind), value) => match entry_text(value) {
                Ok(text) if !self.take(kind, &text) => return false,
                Ok(_) => {}
                Err(reason) => self.skip(kind, reason),
            },
            (Place::Nested, Scalar::Null) => self.has_list = true,
            (Place::Key(_) | Place::Name(_), Scalar::Null) => {}
            (place, value) => self.wrong_shape(place, Shape::of(value)),
        }
        self.refused.is_none()
    }

    fn begin_list(&mut self) -> bool {
        let inside = match self.place {
            Place::Nested => {
                self.has_list = true;
                Place::WrongList(None)
            }
            Place::Key(kind @ IdentifierKind::Cookie) => Place::WrongList(Some(kind)),
            Place::Key(kind) | Place::Name(kind) => Place::Entry(kind),
            place => {
                self.wrong_shape(place, Shape::List);
                return false;
            }
        };
        self.begin(false);
        self.place = inside;
        true
    }

    fn begin_object(&mut self) -> bool {
        if let place @ (Place::WrongList(_) | Place::Value(_)) = self.place {
            self.wrong_shape(place, Shape::SomeObject);
            return false;
        }
        self.begin(true);
        true
    }

    fn key(&mut self, name: &str) -> bool {
        let Some(open) = self.open.last_mut() else {
            return false;
        };
        open.n_keys = open.n_keys.saturating_add(1);
        let place = match open.place {
            Place::Top if name == "attacklist" => Some(Place::Nested),
            Place::Top | Place::Nested => kind_of_key(name).map(|kind| {
                self.has_list = true;
                Place::Key(kind)
            }),
            Place::Key(kind @ (IdentifierKind::Cookie | IdentifierKind::ApiKey)) => {
                self.name.clear();
                self.name.push_str(name);
                Some(Place::Name(kind))
            }
            Place::Entry(kind) => singular_names(kind)
                .contains(&name)
                .then_some(Place::Value(kind)),
            Place::Key(_) | Place::Name(_) | Place::Value(_) | Place::WrongList(_) => None,
        };
        open.has_known_key |= place.is_some();
        self.place = place.unwrap_or(self.place);
        place.is_some()
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        self.place = open.place;
        if !open.is_object || open.has_known_key {
            return;
        }
        match open.place {
            Place::Top => self.shape = Shape::Object(open.n_keys),
            Place::Nested if open.n_keys == 0 => self.has_list = true,
            Place::Nested => self.refuse(AttackListError::NoKnownKey {
                found: Shape::Object(open.n_keys),
                under_attacklist: true,
            }),
            Place::Entry(kind) => self.skip(kind, Unusable::WrongType),
            Place::Key(_) | Place::Name(_) if open.n_keys == 0 => {}
            place => self.wrong_shape(place, Shape::Object(open.n_keys)),
        }
    }
}

/// The five keys of the list.
fn kind_of_key(key: &str) -> Option<IdentifierKind> {
    IdentifierKind::WITH_LIST_KEY
        .into_iter()
        .find(|kind| kind.list_key() == key)
}

/// The keys under which an entry that is an object has its value.
const fn singular_names(kind: IdentifierKind) -> &'static [&'static str] {
    match kind {
        IdentifierKind::Ip => &["ip"],
        IdentifierKind::Cookie => &["cookie"],
        IdentifierKind::OauthToken => &["access_token", "oauth_token", "token"],
        IdentifierKind::ApiKey => &["api_key"],
        IdentifierKind::Username => &["username"],
        IdentifierKind::Header | IdentifierKind::TokenClaims => &[],
    }
}
