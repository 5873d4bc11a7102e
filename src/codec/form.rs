//! Percent-encoding and the encoding of forms. Knows no name of a parameter.

use std::borrow::Cow;

/// Decodes percent-encoding; borrowed if there is none. A percent sign without two hex digits is literal.
pub(crate) fn percent_decode(text: &[u8]) -> Cow<'_, [u8]> {
    percent_encoding::percent_decode(text).into()
}

/// Decodes a name or a value of a form (WHATWG URL, 5.1): percent-encoding, and `+` for a space.
pub(crate) fn form_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text);
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    Cow::Owned(percent_encoding::percent_decode(&spaced).collect())
}
