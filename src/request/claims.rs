//! What the claims of a JSON web token identify: users, and the token by combinations of claims, as feeds list them.
//!
//! Each token is parsed once for both. `jwt` reads the payload.

use super::jwt::claim_values;
use crate::config::{Api, UsernameSource};
use crate::identifier::{ClientIdentifier, MAX_TOKEN_CLAIMS, PerKind};

/// The number of combinations that are visited for each token and feed. Only a token whose claims are long lists has more.
const MAX_COMBINATIONS: usize = 256;

/// Whether any claim is to be read from tokens.
pub(super) fn are_read(api: &Api, wanted: PerKind<bool>) -> bool {
    wanted.username && username_claims(api).next().is_some()
        || wanted.token_claims && !api.token_claims.is_empty()
}

/// The claims that contain user names.
fn username_claims(api: &Api) -> impl Iterator<Item = &str> {
    let claims = api.username.iter().filter_map(|source| match source {
        UsernameSource::JwtClaim(claim) => Some(claim.as_str()),
        UsernameSource::BasicAuth | UsernameSource::Header(_) => None,
    });
    let of_jwt = api.jwt.as_ref().and_then(|jwt| jwt.username.as_deref());
    claims.chain(of_jwt)
}

/// The claims to read from each token of a request.
pub(super) struct WantedClaims<'a> {
    /// First those of user names, then those of feeds.
    names: Vec<&'a str>,
    n_usernames: usize,
    /// For each feed of tokens, its claims.
    feeds: &'a [Vec<String>],
}

impl<'a> WantedClaims<'a> {
    pub(super) fn new(api: &'a Api, wanted: PerKind<bool>) -> Self {
        let mut names: Vec<&str> = Vec::new();
        if wanted.username {
            names.extend(username_claims(api));
        }
        let n_usernames = names.len();
        let feeds: &[_] = match wanted.token_claims {
            true => &api.token_claims,
            false => &[],
        };
        for name in feeds.iter().flatten() {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        Self {
            names,
            n_usernames,
            feeds,
        }
    }

    /// Calls `visit` with the user names of `token`, and for each feed with every combination of the claims that its entries
    /// may have: each subset of those that the token has, smaller ones first, with each value of a claim that is a list.
    ///
    /// The payload `{"jti":"x","aud":["a","b"]}` gives, for a feed with both claims, `jti=x`, `aud=a`, `aud=b`,
    /// `jti=x aud=a` and `jti=x aud=b`.
    pub(super) fn visit(&self, token: &[u8], visit: &mut dyn FnMut(ClientIdentifier<'_>)) {
        let values = claim_values(token, &self.names);
        for value in &values {
            if value.claim < self.n_usernames {
                visit(ClientIdentifier::Username(&value.text));
            }
        }
        for feed in self.feeds {
            let mut claims = Vec::with_capacity(MAX_TOKEN_CLAIMS);
            for name in feed.iter().take(MAX_TOKEN_CLAIMS) {
                let mut of_claim = Vec::new();
                for value in &values {
                    if self.names.get(value.claim) == Some(&name.as_str()) {
                        of_claim.push(value.text.as_slice());
                    }
                }
                if !of_claim.is_empty() {
                    claims.push((name.as_str(), of_claim));
                }
            }
            let mut left = MAX_COMBINATIONS;
            for size in 1..=claims.len() {
                visit_combinations(&claims, size, &mut Vec::new(), &mut left, &mut |claims| {
                    visit(ClientIdentifier::TokenClaims(claims));
                });
            }
        }
    }
}

/// Names of claims, each with a value.
type Combination<'v> = Vec<(&'v str, &'v [u8])>;

/// Calls `visit` with `combination`, extended by `size` of `claims` in their order: each with each of its values, of which it
/// has at least one. At most `left` times.
fn visit_combinations<'v>(
    claims: &[(&'v str, Vec<&'v [u8]>)],
    size: usize,
    combination: &mut Combination<'v>,
    left: &mut usize,
    visit: &mut dyn FnMut(&Combination<'v>),
) {
    if size == 0 {
        *left = left.saturating_sub(1);
        return visit(combination);
    }
    let Some(((name, values), others)) = claims.split_first().filter(|_| claims.len() >= size)
    else {
        return;
    };
    for value in values {
        if *left > 0 {
            combination.push((*name, *value));
            visit_combinations(others, size.saturating_sub(1), combination, left, visit);
            combination.pop();
        }
    }
    if *left > 0 {
        visit_combinations(others, size, combination, left, visit);
    }
}
