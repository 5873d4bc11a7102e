//! The search for leaked secrets: in plain text and in common encodings.

use std::sync::LazyLock;

use memchr::memmem;

/// Every secret of a test contains this, so that one search finds all.
const MARKER: &str = "pl4nted-s3cret";

/// A secret that must never leave the module.
pub fn secret(name: &str) -> String {
    format!("{MARKER}-{name}")
}

/// Whether bytes contain a secret: in any letter case, in hex, in base64, or with its bytes apart, as in UTF-16 and in
/// lists of numbers.
pub fn holds_secret(bytes: &[u8]) -> bool {
    static FORMS: LazyLock<Forms> = LazyLock::new(Forms::of_marker);
    let contains = |bytes: &[u8], form: &String| memmem::find(bytes, form.as_bytes()).is_some();
    let lower = bytes.to_ascii_lowercase();
    let dense: Vec<u8> = lower.iter().copied().filter(|byte| *byte != 0).collect();
    FORMS
        .in_lower_case
        .iter()
        .any(|form| contains(&dense, form))
        || FORMS.exact.iter().any(|form| contains(bytes, form))
}

/// The marker in each encoding.
struct Forms {
    in_lower_case: Vec<String>,
    exact: [String; 3],
}

impl Forms {
    fn of_marker() -> Self {
        let hex = MARKER.bytes().map(|byte| format!("{byte:02x}")).collect();
        let numbers: Vec<String> = MARKER.bytes().map(|byte| byte.to_string()).collect();
        Self {
            in_lower_case: vec![
                MARKER.to_owned(),
                hex,
                numbers.join(", "),
                numbers.join(","),
            ],
            exact: base64_forms(),
        }
    }
}

/// The parts of the marker's base64 that do not depend on the text before and after it.
fn base64_forms() -> [String; 3] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    [0, 1, 2].map(|skipped| {
        let (triples, _) = MARKER.as_bytes()[skipped..].as_chunks::<3>();
        let letters = triples.iter().flat_map(|[first, second, third]| {
            let bits = u32::from_be_bytes([0, *first, *second, *third]);
            [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))
        });
        letters.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_marker_is_found_and_nothing_else() {
        let secret = secret("token");
        let hex: String = secret.bytes().map(|byte| format!("{byte:02X}")).collect();
        let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Encoded by another program: printf 'xxpl4nted-s3cret' | base64, with 0 to 2 x.
        let base64 = [
            "cGw0bnRlZC1zM2NyZXQ=",
            "eHBsNG50ZWQtczNjcmV0",
            "eHhwbDRudGVkLXMzY3JldA==",
        ];
        assert!(holds_secret(format!("a {secret} b").as_bytes()));
        assert!(holds_secret(secret.to_uppercase().as_bytes()));
        assert!(holds_secret(hex.as_bytes()));
        assert!(holds_secret(&wide));
        assert!(holds_secret(format!("{:?}", secret.as_bytes()).as_bytes()));
        for text in base64 {
            assert!(holds_secret(text.as_bytes()), "{text}");
        }
        assert!(!holds_secret(b"pl4nted-s3cre"));
        assert!(!holds_secret(b""));
    }
}
