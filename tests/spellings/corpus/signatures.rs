//! Signed values with another spelling of the signature: JWTs and sessions of itsdangerous.

use super::Rows;
use crate::identities::{Identity, signed};
use crate::raw::RawRequest;
use Identity::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub fn add(rows: &mut Rows) {
    for identity in [JwtHs256, JwtRs256, JwtEs256] {
        for token in respelled(identity.value()) {
            bearer(rows, "jwt: signature", identity, &token);
        }
        let (head, signature) = identity.value().rsplit_once('.').unwrap();
        // Bytes that the decoders of Python skip: of some only four at once, because the padding depends on the length.
        for strangers in ["!!!!", "\u{e9}"] {
            let token = format!("{head}.{}{strangers}{}", &signature[..8], &signature[8..]);
            bearer(rows, "jwt: signature", identity, &token);
        }
        let padding = "=".repeat((4 - signature.len() % 4) % 4);
        for end in ["x", "!", "\u{e9}"] {
            let token = format!("{}{padding}{end}", identity.value());
            bearer(rows, "jwt: signature", identity, &token);
        }
        let target = format!("/?access_token={}", identity.value());
        rows.add("query: access_token", identity, RawRequest::path(target));
    }
    let twin = signed("listed", "es256_twin");
    bearer(rows, "jwt: the ECDSA twin", JwtEs256, twin);
    for token in respelled(twin) {
        bearer(rows, "jwt: the ECDSA twin", JwtEs256, &token);
    }
    let target = format!("/?access_token={twin}");
    rows.add("jwt: the ECDSA twin", JwtEs256, RawRequest::path(target));

    for identity in [FlaskSession, SignedCookie, StarletteSession] {
        let name = identity.cookie_name();
        let mut values = respelled(identity.value());
        values.push(format!("{}=x", identity.value()));
        values.push(format!("{}=!", identity.value()));
        values.push(format!("\"{}=\"", identity.value()));
        for value in values {
            rows.add(
                "session: signature",
                identity,
                RawRequest::header("cookie", format!("{name}={value}")),
            );
        }
    }
    // The vendor reads the first element of a claim that is a list.
    for payload in [
        r#"{"sub":"mallory"}"#,
        r#"{"sub":["mallory","x"]}"#,
        r#"{"sub":["x","mallory"]}"#,
        r#"{"sub":1001}"#,
        r#"{"sub":[1001]}"#,
    ] {
        let [head, payload] =
            [r#"{"alg":"HS256"}"#, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        let header = format!("Bearer {head}.{payload}.c2ln");
        rows.by_rule(
            "jwt: claims that are lists",
            User,
            RawRequest::header("authorization", header),
        );
    }
}

fn bearer(rows: &mut Rows, rule: &'static str, identity: Identity, token: &str) {
    let header = format!("Bearer {token}");
    rows.add(rule, identity, RawRequest::header("authorization", header));
}

/// Other spellings of the signature after the last dot that base64 decoders read as the same bytes.
fn respelled(value: &str) -> Vec<String> {
    let (head, signature) = value.rsplit_once('.').unwrap();
    let mut found = vec![
        format!("{value}="),
        format!("{value}=="),
        format!("{value}==="),
        format!("{head}.{}", signature.replace('-', "+").replace('_', "/")),
    ];
    // The last character has two or four unused bits.
    let spare = match signature.len() % 4 {
        2 => 4,
        3 => 2,
        _ => 0,
    };
    let (rest, last) = signature.split_at(signature.len() - 1);
    let digit = ALPHABET.iter().position(|byte| [*byte] == last.as_bytes());
    let digit = digit.expect("a signature should be base64url");
    for bits in 1..1 << spare {
        let other = char::from(ALPHABET[digit ^ bits]);
        found.push(format!("{head}.{rest}{other}"));
    }
    found.retain(|spelling| spelling != value);
    found
}
