//! The names of authentication schemes, which are neither tokens nor keys.

/// From the IANA registry of HTTP authentication schemes, and those that servers use as if they were in it.
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

/// Whether a word is the name of an authentication scheme, in any letter case, with a colon behind it or without. As a listed
/// token or key it would match every client that uses the scheme, and a client gets it listed by sending
/// `Authorization: Bearer Bearer`.
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
