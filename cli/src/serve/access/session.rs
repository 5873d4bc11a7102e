//! The cookie of a login: a time and a keyed hash of it, so that the server keeps no sessions.
//!
//! Every server with the same token accepts it, and a token that changes ends its sessions.

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::tokens::Token;

/// The name of the cookie.
const NAME: &str = "portcullis_session";

/// How long a login lasts.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);

/// How many cookies of the name are tried: one for each path that a browser may have one for.
const MOST_TRIED: usize = 4;

/// The `Set-Cookie` of a login with `token`. `secure`: the browser sends it over TLS only.
pub fn cookie(token: &Token, now: Duration, secure: bool) -> String {
    let until = now.saturating_add(LIFETIME).as_secs();
    let value = format!("{until}.{}", hash(token, until));
    attributes(&value, LIFETIME, secure)
}

/// The `Set-Cookie` of a logout.
pub fn removed(secure: bool) -> String {
    attributes("", Duration::ZERO, secure)
}

/// The values of the session cookie in a request.
pub fn values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().strip_prefix(NAME)?.strip_prefix('='))
        .take(MOST_TRIED)
}

/// Whether `value` was issued for a login with `token`, and has not expired.
pub fn is_valid(value: &str, token: &Token, now: Duration) -> bool {
    let Some((until, found)) = value.split_once('.') else {
        return false;
    };
    let Ok(until) = until.parse::<u64>() else {
        return false;
    };
    let same: bool = hash(token, until).as_bytes().ct_eq(found.as_bytes()).into();
    same && now.as_secs() < until
}

/// A hash that only who knows the token can make. Both parts have a fixed length, so nothing can be appended.
fn hash(token: &Token, until: u64) -> String {
    let message = Sha256::digest(format!("portcullis session until {until}"));
    let digest = Sha256::new()
        .chain_update(token.as_bytes())
        .chain_update(message)
        .finalize();
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn attributes(value: &str, age: Duration, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!(
        "{NAME}={value}; Max-Age={}; Path=/; HttpOnly; SameSite=Strict{secure}",
        age.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_valid_for_its_token_and_its_time_only() {
        let token = Token::of(b"operator-operator");
        let now = Duration::from_secs(1_800_000_000);
        let cookie = cookie(&token, now, true);
        let value = cookie.split(['=', ';']).nth(1).unwrap();
        let last = now + LIFETIME - Duration::from_secs(1);
        assert!(is_valid(value, &token, now) && is_valid(value, &token, last));
        assert!(!is_valid(value, &token, now + LIFETIME));
        assert!(!is_valid(value, &Token::of(b"another-token-xyz"), now));
        let (until, hash) = value.split_once('.').unwrap();
        let later: u64 = until.parse::<u64>().unwrap() + 1;
        for forged in [
            format!("{later}.{hash}"),
            format!("{until}."),
            format!("+{until}.{hash}0"),
            until.to_owned(),
            String::new(),
        ] {
            assert!(!is_valid(&forged, &token, now), "{forged}");
        }
    }
}
