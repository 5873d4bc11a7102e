//! One entry: the claims that it has, and the identifier that they are.

use crate::codec::json::Scalar;
use crate::feed::scalar::entry_text;
use crate::identifier::listed::Unusable;
use crate::identifier::{ClientIdentifier, MAX_TOKEN_CLAIMS};

/// The claims of one entry.
pub(super) struct Token<'c> {
    claims: Vec<Claim<'c>>,
    /// Of a claim that has no text.
    fault: Option<Unusable>,
}

struct Claim<'c> {
    name: &'c str,
    value: String,
    is_present: bool,
}

impl<'c> Token<'c> {
    /// A token without claims. `names`: those that it may have.
    pub(super) fn new(names: &'c [String]) -> Self {
        let claims = names.iter().take(MAX_TOKEN_CLAIMS).map(|name| Claim {
            name,
            value: String::new(),
            is_present: false,
        });
        Self {
            claims: claims.collect(),
            fault: None,
        }
    }

    /// The index of a claim.
    pub(super) fn claim(&self, name: &str) -> Option<usize> {
        self.claims.iter().position(|claim| claim.name == name)
    }

    /// Forgets the values and keeps their memory.
    pub(super) fn clear(&mut self) {
        for claim in &mut self.claims {
            claim.is_present = false;
        }
        self.fault = None;
    }

    pub(super) fn set(&mut self, index: usize, value: Scalar<'_>) {
        let text = match value {
            Scalar::Float(_) => Err(Unusable::LongNumber),
            other => entry_text(other),
        };
        match text {
            Ok(text) if text.is_empty() => self.set_fault(Unusable::Empty),
            Ok(text) => {
                if let Some(claim) = self.claims.get_mut(index) {
                    claim.value.clear();
                    claim.value.push_str(&text);
                    claim.is_present = true;
                }
            }
            Err(reason) => self.set_fault(reason),
        }
    }

    pub(super) fn set_fault(&mut self, reason: Unusable) {
        self.fault = Some(reason);
    }

    /// Calls `use_entry` with the identifier; otherwise returns why there is none.
    pub(super) fn entry<T>(
        &self,
        use_entry: impl FnOnce(ClientIdentifier<'_>) -> T,
    ) -> Result<T, Unusable> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let mut pairs: [(&str, &[u8]); MAX_TOKEN_CLAIMS] = Default::default();
        let mut n_pairs = 0usize;
        let present = self.claims.iter().filter(|claim| claim.is_present);
        for (pair, claim) in pairs.iter_mut().zip(present) {
            *pair = (claim.name, claim.value.as_bytes());
            n_pairs = n_pairs.saturating_add(1);
        }
        match pairs.get(..n_pairs) {
            Some(claims @ [_, ..]) => Ok(use_entry(ClientIdentifier::TokenClaims(claims))),
            _ => Err(Unusable::WrongType),
        }
    }
}
