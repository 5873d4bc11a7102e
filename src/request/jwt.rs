//! Claims of JSON web tokens (RFC 7519), read without verification: Envoy's `jwt_authn` verifies them before this filter.

use core::slice;

use crate::codec::base64;
use crate::codec::decimal;
use crate::codec::json::{self, Handler, Scalar};

use super::text::{before, split_once};

/// A longer token is not decoded. By default, Envoy limits request headers to 60 KiB.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// Calls `visit` with each value of the claims `names` of `token`: strings as they are, numbers as decimal text, and each
/// element of a list. All values of a repeated claim count, since JSON parsers differ in which one they use. Visits nothing if
/// `token` is not a JSON web token or is longer than 64 KiB.
///
/// The payload `{"sub":["bob",7]}` gives, for `sub`, `bob` and `7`.
pub fn visit_jwt_claims(token: &[u8], names: &[&str], visit: &mut dyn FnMut(&[u8])) {
    for value in claim_values(token, names) {
        visit(&value.text);
    }
}

/// A value of a claim.
pub(super) struct ClaimValue {
    /// The index of the claim's name.
    pub(super) claim: usize,
    /// The value, which is not empty.
    pub(super) text: Vec<u8>,
}

/// The values that [`visit_jwt_claims`] visits, in the order of the payload.
pub(super) fn claim_values(token: &[u8], names: &[&str]) -> Vec<ClaimValue> {
    let Some(payload) = payload(token).filter(|_| !names.is_empty()) else {
        return Vec::new();
    };
    let payload = base64::decode(payload);
    if let Some(values) = read_values(&payload, names) {
        return values;
    }
    // A value that can't be read, such as half of a character, must not hide other claims: parsers differ in what they accept.
    let mut values = Vec::new();
    if names.len() > 1 && read_values(&payload, &[]).is_some() {
        for (claim, name) in names.iter().enumerate() {
            let of_claim = read_values(&payload, slice::from_ref(name));
            for ClaimValue { text, .. } in of_claim.into_iter().flatten() {
                values.push(ClaimValue { claim, text });
            }
        }
    }
    values
}

/// The values of claims in a payload; `None` if it is not JSON, or if one of them can't be read. Values before an error are
/// ignored: no server accepts such a token.
fn read_values(mut payload: &[u8], names: &[&str]) -> Option<Vec<ClaimValue>> {
    let mut claims = Claims {
        names,
        depth: 0,
        claim: 0,
        values: Vec::new(),
    };
    let length = payload.len();
    let outcome = json::read(&mut payload, length, &mut claims);
    outcome.is_ok().then_some(claims.values)
}

/// The payload of a possible JSON web token: its second part, if that looks like a JSON object in base64.
pub(super) fn payload(token: &[u8]) -> Option<&[u8]> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let (_header, rest) = split_once(token, b'.')?;
    let payload = before(rest, b'.');
    (base64::first_visible_byte(payload) == Some(b'{')).then_some(payload)
}

/// Collects the values of some claims of a JSON object.
struct Claims<'c> {
    names: &'c [&'c str],
    /// 1: in the object itself; 2: in a list that is the value of a claim.
    depth: usize,
    /// The index of the current claim's name.
    claim: usize,
    values: Vec<ClaimValue>,
}

impl Handler for Claims<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        let mut add = |text: String| {
            if !text.is_empty() {
                self.values.push(ClaimValue {
                    claim: self.claim,
                    text: text.into_bytes(),
                });
            }
        };
        match value {
            _ if self.depth == 0 => {}
            Scalar::Text(text) => add(text.to_owned()),
            Scalar::Unsigned(number) => add(number.to_string()),
            Scalar::Negative(number) => add(number.to_string()),
            // JavaScript prints 7.0 as 7, Python as 7.0.
            Scalar::Float(number) => {
                add(decimal::short_text(number));
                if number.fract() == 0.0 {
                    add(decimal::text(number));
                }
            }
            Scalar::Null | Scalar::Bool(_) => {}
        }
        true
    }

    fn begin_list(&mut self) -> bool {
        let is_claim = self.depth == 1;
        if is_claim {
            self.depth = 2;
        }
        is_claim
    }

    fn begin_object(&mut self) -> bool {
        let is_outermost = self.depth == 0;
        if is_outermost {
            self.depth = 1;
        }
        is_outermost
    }

    fn key(&mut self, name: &str) -> bool {
        let claim = self.names.iter().position(|known| *known == name);
        self.claim = claim.unwrap_or_default();
        claim.is_some()
    }

    fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
