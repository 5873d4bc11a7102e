//! Claims of JSON web tokens (RFC 7519), read without verification: Envoy's `jwt_authn` verifies them before this filter.

use crate::codec::base64;
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
    let Some(payload) = payload(token).filter(|_| !names.is_empty()) else {
        return;
    };
    let payload = base64::decode(payload);
    let mut claims = Claims {
        names,
        depth: 0,
        values: Vec::new(),
    };
    let length = payload.len();
    // Values before an error are ignored: no server accepts such a token.
    if json::read(&mut payload.as_slice(), length, &mut claims).is_ok() {
        for value in claims.values.iter().filter(|value| !value.is_empty()) {
            visit(value);
        }
    }
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
    values: Vec<Vec<u8>>,
}

impl Handler for Claims<'_> {
    fn scalar(&mut self, value: Scalar<'_>) -> bool {
        let mut add = |text: String| self.values.push(text.into_bytes());
        match value {
            _ if self.depth == 0 => {}
            Scalar::Text(text) => add(text.to_owned()),
            Scalar::Unsigned(number) => add(number.to_string()),
            Scalar::Negative(number) => add(number.to_string()),
            // JavaScript prints 7.0 as 7, Python as 7.0.
            Scalar::Float(number) => {
                add(number.to_string());
                if number.fract() == 0.0 {
                    add(format!("{number:.1}"));
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
        self.names.contains(&name)
    }

    fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
