//! What the claims of a JSON web token identify: users, and the token by combinations of claims, as feeds list them.
//!
//! Each token is parsed once for both. `jwt` reads the payload.

use super::jwt::{ClaimValue, claim_values};
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
            let names = feed.iter().take(MAX_TOKEN_CLAIMS);
            let claims = names.map(|name| (name.as_str(), self.values_of(name, &values)));
            let mut claims: Vec<_> = claims.filter(|(_, values)| !values.is_empty()).collect();
            // The fingerprint of sorted claims needs no allocation.
            claims.sort_unstable();
            visit_combinations(&claims, &mut |combination| {
                visit(ClientIdentifier::TokenClaims(combination));
            });
        }
    }

    fn values_of<'v>(&self, name: &str, values: &'v [ClaimValue]) -> Vec<&'v [u8]> {
        let claim = self.names.iter().position(|known| *known == name);
        let values = values.iter().filter(|value| Some(value.claim) == claim);
        values.map(|value| value.text.as_slice()).collect()
    }
}

/// Names of claims, each with a value.
type Combination<'v> = [(&'v str, &'v [u8])];

/// Calls `visit` with the first [`MAX_COMBINATIONS`] combinations of `claims`, each with its values.
fn visit_combinations<'v>(
    claims: &[(&'v str, Vec<&'v [u8]>)],
    visit: &mut dyn FnMut(&Combination<'v>),
) {
    let n_claims = u32::try_from(claims.len()).unwrap_or(u32::MAX);
    // Each bit of a subset is a claim. There are at most `MAX_TOKEN_CLAIMS`.
    let n_subsets = 1u32.checked_shl(n_claims).unwrap_or_default();
    let mut left = MAX_COMBINATIONS;
    let mut combination = Vec::with_capacity(claims.len());
    for size in 1..=n_claims {
        for subset in (1..n_subsets).filter(|subset| subset.count_ones() == size) {
            let is_chosen = |bit| subset.checked_shr(bit).is_some_and(|bits| bits & 1 == 1);
            let chosen = claims.iter().zip(0..).filter(|(_, bit)| is_chosen(*bit));
            let chosen = chosen.map(|(claim, _)| claim);
            let lengths = chosen.clone().map(|(_, values)| values.len());
            let n_combinations = lengths.fold(1, usize::saturating_mul).min(left);
            for number in 0..n_combinations {
                combination.clear();
                // The digits of `number` are the indexes of the values.
                let mut rest = number;
                for (name, values) in chosen.clone() {
                    let index = rest.checked_rem(values.len()).unwrap_or_default();
                    rest = rest.checked_div(values.len()).unwrap_or_default();
                    combination.extend(values.get(index).map(|value| (*name, *value)));
                }
                visit(&combination);
            }
            left = left.saturating_sub(n_combinations);
        }
    }
}
