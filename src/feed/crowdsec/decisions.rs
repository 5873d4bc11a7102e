//! The shape of the decisions stream: JSON events in, entries out.

use super::decision::{Decision, Field, Meaning};
use super::error::DecisionsError;
use super::{DecisionCounts, DecisionOptions};
use crate::codec::json::{ErrorKind, Handler, JsonError, Scalar};
use crate::feed::entries::EntrySink;
use crate::feed::scalar::Shape;
use crate::identifier::IdentifierKind;
use crate::identifier::listed::Unusable;

/// A list of the body.
#[derive(Clone, Copy)]
enum List {
    New,
    Deleted,
}

/// Where a JSON value is.
#[derive(Clone, Copy)]
enum Place {
    /// The whole body.
    Top,
    /// Under the key of a list.
    Key(List),
    /// In a list.
    Element(List),
    /// Under a key of a decision; `None` before the first.
    Field(Option<Field>),
}

/// The decisions while they are read.
pub(super) struct DecisionsReader<'s> {
    sink: &'s mut dyn EntrySink,
    options: &'s DecisionOptions<'s>,
    place: Place,
    decision: Decision,
    /// `new` is there.
    has_new: bool,
    /// What the body is.
    shape: Shape,
    n_keys: u64,
    counts: DecisionCounts,
    /// The sink accepts no more, so that the rest of the body has no meaning.
    is_full: bool,
    /// Why the body is not a list.
    refused: Option<DecisionsError>,
}

impl<'s> DecisionsReader<'s> {
    pub(super) fn new(sink: &'s mut dyn EntrySink, options: &'s DecisionOptions<'s>) -> Self {
        Self {
            sink,
            options,
            place: Place::Top,
            decision: Decision::default(),
            has_new: false,
            shape: Shape::default(),
            n_keys: 0,
            counts: DecisionCounts::default(),
            is_full: false,
            refused: None,
        }
    }

    /// The result, when the parser has ended.
    pub(super) fn finish(
        self,
        outcome: Result<(), JsonError>,
    ) -> Result<DecisionCounts, DecisionsError> {
        if self.is_full {
            return Err(DecisionsError::SinkFull);
        }
        if let Err(error) = outcome
            && error.kind != ErrorKind::Stopped
        {
            return Err(DecisionsError::Json(error));
        }
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if !self.has_new {
            return Err(DecisionsError::NoNew(self.shape));
        }
        let counts = self.counts;
        if counts.entries.is_unusable() {
            return Err(DecisionsError::NothingUsable(Box::new(counts.entries)));
        }
        Ok(counts)
    }

    fn skip(&mut self, kind: IdentifierKind, reason: Unusable) {
        self.sink
            .skipped(self.counts.entries.add_skipped(kind, reason));
    }

    fn refuse(&mut self, found: Shape) {
        let error = DecisionsError::WrongShape(found);
        self.refused.get_or_insert(error);
    }

    /// An element of a list that is not a decision.
    fn skip_element(&mut self, list: List) {
        if self.is_full {
            return;
        }
        match list {
            List::New => self.skip(IdentifierKind::Ip, Unusable::WrongType),
            List::Deleted => self.sink.ignored(),
        }
    }

    fn end_decision(&mut self) {
        if self.is_full {
            return;
        }
        let counts = &mut self.counts;
        let count = match self.decision.meaning(self.options) {
            Meaning::Entry(entry, time_to_live) => {
                counts.entries.add_usable(entry.kind());
                self.is_full = !self.sink.entry(entry, time_to_live);
                return;
            }
            Meaning::Unusable(kind, reason) => return self.skip(kind, reason),
            Meaning::UnknownScope => &mut counts.unknown_scope,
            Meaning::OtherType => &mut counts.other_type,
            Meaning::Expired => &mut counts.expired,
        };
        *count = count.saturating_add(1);
        self.sink.ignored();
    }
}

impl Handler for DecisionsReader<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        match self.place {
            Place::Top => self.shape = Shape::of(value),
            Place::Key(List::New) if value == Scalar::Null => self.has_new = true,
            Place::Key(List::New) => self.refuse(Shape::of(value)),
            Place::Key(List::Deleted) | Place::Field(None) => {}
            Place::Element(list) => self.skip_element(list),
            Place::Field(Some(field)) => self.decision.set(field, value),
        }
        self.refused.is_none() && !self.is_full
    }

    fn begin_list(&mut self) -> bool {
        match self.place {
            Place::Key(list) => {
                self.has_new |= matches!(list, List::New);
                self.place = Place::Element(list);
                return true;
            }
            Place::Top => self.shape = Shape::List,
            Place::Element(list) => self.skip_element(list),
            Place::Field(_) => self.decision.set_fault(Unusable::WrongType),
        }
        false
    }

    fn begin_object(&mut self) -> bool {
        match self.place {
            Place::Top => return true,
            Place::Element(List::New) if !self.is_full => {
                self.decision.clear();
                self.place = Place::Field(None);
                return true;
            }
            Place::Element(list) => self.skip_element(list),
            Place::Key(List::New) => self.refuse(Shape::SomeObject),
            Place::Key(List::Deleted) => {}
            Place::Field(_) => self.decision.set_fault(Unusable::WrongType),
        }
        false
    }

    fn key(&mut self, name: &str) -> bool {
        match self.place {
            Place::Field(_) => {
                let field = Field::of_key(name);
                self.place = Place::Field(field);
                field.is_some()
            }
            Place::Top | Place::Key(_) | Place::Element(_) => {
                self.n_keys = self.n_keys.saturating_add(1);
                let list = match name {
                    "new" => List::New,
                    "deleted" => List::Deleted,
                    _ => return false,
                };
                self.place = Place::Key(list);
                true
            }
        }
    }

    fn end(&mut self) {
        self.place = match self.place {
            Place::Field(_) => {
                self.end_decision();
                Place::Element(List::New)
            }
            Place::Element(list) => Place::Key(list),
            Place::Top | Place::Key(_) => {
                self.shape = Shape::Object(self.n_keys);
                Place::Top
            }
        };
    }
}
