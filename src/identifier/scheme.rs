//! The names of authentication schemes, which are never tokens or keys.

/// The IANA registry of HTTP authentication schemes, and common schemes that are not registered.
const SCHEMES: &[&str] = &[
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "gnap",
    "hmac",
    "hoba",
    "jwt",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "token",
    "vapid",
];

/// Whether a word is the name of an authentication scheme, in any letter case, with or without a colon after it. A client
/// could get the name listed by sending `Authorization: Bearer Bearer`, which would deny every client that uses the scheme.
pub fn is_scheme(word: &[u8]) -> bool {
    /// No name in the list is longer.
    const LONGEST: usize = 16;
    let word = word.strip_suffix(b":").unwrap_or(word);
    if word.len() > LONGEST {
        return false;
    }
    SCHEMES
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))
}
