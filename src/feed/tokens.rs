//! Lists of revoked tokens by their claims, read as a stream into an [`EntrySink`].
//!
//! Covers lists of `jti` values and of objects such as `{"jti": "...", "aud": "..."}`.
//!
//! | file | owns |
//! |---|---|
//! | `tokens.rs` | the entry point and its options |
//! | `tokens/list.rs` | which JSON value is an entry |
//! | `tokens/token.rs` | the claims of one entry |
//! | `tokens/error.rs` | why a body is not a list of tokens, in words |

use std::io::Read;

pub use self::error::TokensError;
use self::list::TokensReader;
use super::entries::{EntryCounts, EntrySink};
use crate::codec::json::{self, BUFFER_BYTES};

mod error;
mod list;
#[cfg(test)]
mod tests;
mod token;

/// The claim that entries name if the configuration names no other: the identifier of a token (RFC 7519, 4.1.7).
pub const DEFAULT_CLAIM: &str = "jti";

/// Reads a list of revoked tokens and passes its entries to `sink`, in the order of the body.
///
/// ```json
/// ["4d2c...", {"jti": "9f1e...", "aud": "shop"}, {"sub": "mallory", "iat": 1795428032}]
/// ```
///
/// `claims`: the names of the claims that count, at most [`MAX_TOKEN_CLAIMS`](crate::identifier::MAX_TOKEN_CLAIMS).
///
/// - A string or an integer is the value of the first of `claims`.
/// - An object matches tokens that have all claims that it has, of `claims`; other keys are ignored. The last value of a
///   repeated key counts. So `{"aud": "shop"}` matches every token for `shop`, if `claims` has `aud`.
/// - Values are strings and integers, compared byte for byte; an integer equals a string of its decimal digits. An integer of
///   more than 64 bits is unusable.
///
/// Unusable entries go to [`EntrySink::skipped`]: an object without any of `claims`, and one of which a claim is empty, null,
/// a boolean, a list, an object or a number with a fraction or an exponent. An empty list is a list.
///
/// Nesting does not grow the stack. Memory is bounded by the longest string of the body.
///
/// # Errors
///
/// See [`TokensError`]. The list is complete only with `Ok`.
pub fn read_tokens(
    body: &mut dyn Read,
    claims: &[String],
    sink: &mut dyn EntrySink,
) -> Result<EntryCounts, TokensError> {
    let mut reader = TokensReader::new(sink, claims);
    let outcome = json::read(body, BUFFER_BYTES, &mut reader);
    reader.finish(outcome)
}
