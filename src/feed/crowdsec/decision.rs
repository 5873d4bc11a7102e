//! One decision: its fields, and the entry that it is.

use core::time::Duration;

use super::DecisionOptions;
use super::duration::parse_duration;
use crate::codec::json::Scalar;
use crate::feed::scalar::entry_text;
use crate::identifier::listed::{Unusable, listed, trimmed};
use crate::identifier::{ClientIdentifier, IdentifierKind};

/// A key whose value counts.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Scope,
    Type,
    Value,
    Duration,
    Simulated,
}

impl Field {
    pub(super) fn of_key(name: &str) -> Option<Self> {
        Some(match name {
            "scope" => Field::Scope,
            "type" => Field::Type,
            "value" => Field::Value,
            "duration" => Field::Duration,
            "simulated" => Field::Simulated,
            _ => return None,
        })
    }
}

/// The fields of a decision. One that is missing or null is empty.
#[derive(Default)]
pub(super) struct Decision {
    scope: String,
    kind: String,
    value: String,
    duration: String,
    is_simulated: bool,
    /// Of a field that has no text.
    fault: Option<Unusable>,
}

/// What a decision means for the list.
pub(super) enum Meaning<'d> {
    Entry(ClientIdentifier<'d>, Option<Duration>),
    UnknownScope,
    OtherType,
    Expired,
    Unusable(IdentifierKind, Unusable),
}

impl Decision {
    /// Forgets the fields and keeps their memory.
    pub(super) fn clear(&mut self) {
        self.scope.clear();
        self.kind.clear();
        self.value.clear();
        self.duration.clear();
        self.is_simulated = false;
        self.fault = None;
    }

    pub(super) fn set(&mut self, field: Field, value: Scalar<'_>) {
        let text = match field {
            Field::Scope => &mut self.scope,
            Field::Type => &mut self.kind,
            Field::Value => &mut self.value,
            Field::Duration => &mut self.duration,
            Field::Simulated => {
                self.is_simulated = value == Scalar::Bool(true);
                return;
            }
        };
        text.clear();
        match entry_text(value) {
            Ok(found) => text.push_str(trimmed(&found)),
            Err(Unusable::Null) => {}
            Err(reason) => self.set_fault(reason),
        }
    }

    pub(super) fn set_fault(&mut self, reason: Unusable) {
        self.fault = Some(reason);
    }

    pub(super) fn meaning<'d>(&'d self, options: &DecisionOptions<'d>) -> Meaning<'d> {
        if self.scope.is_empty() || self.kind.is_empty() {
            return Meaning::Unusable(IdentifierKind::Ip, Unusable::WrongType);
        }
        let mut types = options.types.iter();
        if self.is_simulated || !types.any(|kind| self.kind.eq_ignore_ascii_case(kind)) {
            return Meaning::OtherType;
        }
        let Some((kind, name)) = self.target(options) else {
            return Meaning::UnknownScope;
        };
        match self.entry(kind, name) {
            Ok(meaning) => meaning,
            Err(reason) => Meaning::Unusable(kind, reason),
        }
    }

    /// The entry of a decision of a wanted type.
    fn entry<'d>(&'d self, kind: IdentifierKind, name: &'d str) -> Result<Meaning<'d>, Unusable> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let time_to_live = match self.duration.as_str() {
            "" => None,
            text => Some(parse_duration(text).ok_or(Unusable::Duration)?),
        };
        if time_to_live == Some(Duration::ZERO) {
            return Ok(Meaning::Expired);
        }
        Ok(Meaning::Entry(
            listed(kind, name, &self.value)?,
            time_to_live,
        ))
    }

    /// The kind of identifier that the scope names, and the name of the cookie or the header.
    fn target<'d>(&self, options: &DecisionOptions<'d>) -> Option<(IdentifierKind, &'d str)> {
        let is = |name: &str| self.scope.eq_ignore_ascii_case(name);
        if is("ip") || is("range") {
            return Some((IdentifierKind::Ip, ""));
        }
        let mut headers = options.scope_headers.iter();
        if let Some((_, header)) = headers.find(|(scope, _)| is(scope)) {
            return Some((IdentifierKind::Header, header));
        }
        if is("username") {
            return Some((IdentifierKind::Username, ""));
        }
        let cookie = options.session_cookie.filter(|_| is("session"))?;
        Some((IdentifierKind::Cookie, cookie))
    }
}
