//! The shape of a list of tokens: JSON events in, entries out.

use super::error::TokensError;
use super::token::Token;
use crate::codec::json::{ErrorKind, Handler, JsonError, Scalar};
use crate::feed::entries::{EntryCounts, EntrySink};
use crate::feed::scalar::Shape;
use crate::identifier::IdentifierKind;
use crate::identifier::listed::Unusable;

/// Where a JSON value is.
#[derive(Clone, Copy)]
enum Place {
    /// The whole body.
    Top,
    /// In the list.
    Element,
    /// Under a key of an entry; with the index of a claim if it is one.
    Key(Option<usize>),
}

/// The list while it is read.
pub(super) struct TokensReader<'s> {
    sink: &'s mut dyn EntrySink,
    place: Place,
    token: Token<'s>,
    /// The body is a list.
    has_list: bool,
    /// What the body is otherwise.
    shape: Shape,
    n_keys: u64,
    counts: EntryCounts,
    /// The sink accepts no more, so that the rest of the body has no meaning.
    is_full: bool,
}

impl<'s> TokensReader<'s> {
    pub(super) fn new(sink: &'s mut dyn EntrySink, claims: &'s [String]) -> Self {
        Self {
            sink,
            place: Place::Top,
            token: Token::new(claims),
            has_list: false,
            shape: Shape::default(),
            n_keys: 0,
            counts: EntryCounts::default(),
            is_full: false,
        }
    }

    /// The result, when the parser has ended.
    pub(super) fn finish(self, outcome: Result<(), JsonError>) -> Result<EntryCounts, TokensError> {
        match outcome {
            _ if self.is_full => return Err(TokensError::SinkFull),
            Err(error) if error.kind != ErrorKind::Stopped => return Err(TokensError::Json(error)),
            _ => {}
        }
        if !self.has_list {
            return Err(TokensError::WrongShape(self.shape));
        }
        if self.counts.is_unusable() {
            return Err(TokensError::NothingUsable(Box::new(self.counts)));
        }
        Ok(self.counts)
    }

    fn skip(&mut self, reason: Unusable) {
        if !self.is_full {
            let skipped = self.counts.add_skipped(IdentifierKind::TokenClaims, reason);
            self.sink.skipped(skipped);
        }
    }

    fn end_token(&mut self) {
        if self.is_full {
            return;
        }
        match self.token.entry(|entry| self.sink.entry(entry, None)) {
            Ok(continues) => {
                self.counts.add_usable(IdentifierKind::TokenClaims);
                self.is_full = !continues;
            }
            Err(reason) => self.skip(reason),
        }
    }
}

impl Handler for TokensReader<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        match self.place {
            Place::Top => self.shape = Shape::of(value),
            Place::Element => {
                self.token.clear();
                self.token.set(0, value);
                self.end_token();
            }
            Place::Key(Some(claim)) => self.token.set(claim, value),
            Place::Key(None) => {}
        }
        !self.is_full
    }

    fn begin_list(&mut self) -> bool {
        match self.place {
            Place::Top => {
                self.has_list = true;
                self.place = Place::Element;
                return true;
            }
            Place::Element => self.skip(Unusable::WrongType),
            Place::Key(_) => self.token.set_fault(Unusable::WrongType),
        }
        false
    }

    fn begin_object(&mut self) -> bool {
        match self.place {
            Place::Top => true,
            Place::Element => {
                self.token.clear();
                self.place = Place::Key(None);
                true
            }
            Place::Key(_) => {
                self.token.set_fault(Unusable::WrongType);
                false
            }
        }
    }

    fn key(&mut self, name: &str) -> bool {
        if let Place::Key(_) = self.place {
            let claim = self.token.claim(name);
            self.place = Place::Key(claim);
            return claim.is_some();
        }
        self.n_keys = self.n_keys.saturating_add(1);
        false
    }

    fn end(&mut self) {
        self.place = match self.place {
            Place::Key(_) => {
                self.end_token();
                Place::Element
            }
            Place::Element => Place::Top,
            Place::Top => {
                self.shape = Shape::Object(self.n_keys);
                Place::Top
            }
        };
    }
}
