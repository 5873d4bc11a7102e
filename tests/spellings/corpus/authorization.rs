//! The Authorization header: tokens and keys with any scheme, users of Basic and Digest.

use super::{Rows, filled};
use crate::identities::Identity;
use crate::raw::RawRequest;
use Identity::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub fn add(rows: &mut Rows) {
    tokens(rows);
    basic(rows);
    let mut digest = |templates: &[&[u8]]| {
        rows.headers("digest: user", User, "authorization", templates);
    };
    digest(&[
        b"Digest realm=\"r\", username=\"{}\", nonce=\"n\", uri=\"/\", response=\"0\"",
        b"Digest username={}, realm=\"r\", nonce=\"n\", uri=\"/\", response=\"0\"",
        b"digest realm=r,username=\"{}\",nonce=n",
        b"Digest username = \"{}\", realm=\"r\"",
        b"Digest USERNAME=\"{}\", realm=\"r\"",
        b"Digest\tusername=\"{}\"",
        b"Digest x=\"a\\\"b\",username=\"{}\"",
        b"Digest r\"=\xe5, username=\"{}\", n$=",
        b"Digest username='{}', realm='r'",
        b"Digest username=\"\\{}\"",
        b"Digest username*=UTF-8''{}",
    ]);
}

fn tokens(rows: &mut Rows) {
    let mut authorizations = |rule, identity, templates: &[&[u8]]| {
        rows.headers(rule, identity, "authorization", templates);
    };
    authorizations(
        "authorization: schemes",
        Token,
        &[
            b"bearer {}",
            b"BEARER {}",
            b"DPoP {}",
            b"token {}",
            b"JWT {}",
            b"OAuth {}",
            b"ApiKey {}",
            b"{}",
        ],
    );
    for identity in [JwtHs256, JwtRs256, JwtEs256] {
        authorizations(
            "authorization: schemes",
            identity,
            &[b"{}", b"JWT {}", b"DPoP {}"],
        );
    }
    authorizations(
        "authorization: words",
        Token,
        &[
            b"Bearer: {}",
            b"x Bearer {}",
            b"Bearer Bearer {}",
            b"xBearer {}",
            b"Bearer  {}",
            b"Bearer\t{}",
            b"Bearer {} x",
            b"Bearer {}, x",
            b"x, Bearer {}",
            b"Bearer x,Bearer {}",
            b"Bearer {},Bearer x",
            b"Basic eDp5, Bearer {}",
            b"Bearer{}",
        ],
    );
    authorizations(
        "authorization: white space",
        Token,
        &[
            b"Bearer {}\xa0",
            b"Bearer\xa0{}",
            b"Bearer {}\x85",
            b"Bearer\x85{}",
            b"\xa0Bearer {}",
            b"\x85Bearer {}",
        ],
    );
    authorizations(
        "authorization: keys",
        ApiKey,
        &[b"ApiKey {}", b"api-key {}", b"Token {}", b"Basic {}", b"{}"],
    );
    authorizations("authorization: keys", EncodedApiKey, &[b"ApiKey {}", b"{}"]);
    let value = Token.value();
    for first in ["Bearer x", "Basic eDp5"] {
        let request = RawRequest::header("authorization", first)
            .and("authorization", format!("Bearer {value}"));
        rows.add("authorization: words", Token, request);
    }
    rows.headers(
        "authorization: cookie",
        Token,
        "cookie",
        &[b"a=b; token={}", b"token=\"{}\""],
    );
}

fn basic(rows: &mut Rows) {
    let user = User.value();
    let plain = STANDARD.encode(format!("{user}:a password"));
    let mut add = |rule, identity, credentials: &[u8], template: &[u8]| {
        let header = filled(template, credentials);
        rows.add(rule, identity, RawRequest::header("authorization", header));
    };
    for template in [
        &b"basic {}"[..],
        b"BASIC {}",
        b"Basic  {}",
        b"Basic\t{}",
        b"Basic {} ",
        b"Basic {}=",
        b"Basic {}==",
        b"Basic {}!",
        b"Basic {}\xa0",
        b"Basic {}, Bearer x",
        b"Basic\x85{}",
        b"\xa0Basic {}",
        b"Basic -{}",
        b"Basic !_{}",
    ] {
        add(
            "basic: scheme and padding",
            User,
            plain.as_bytes(),
            template,
        );
    }
    let unpadded = plain.trim_end_matches('=');
    add(
        "basic: scheme and padding",
        User,
        unpadded.as_bytes(),
        b"Basic {}",
    );
    for stranger in [
        &b"!"[..],
        b"-",
        b"_",
        b".",
        b" ",
        b"\t",
        b"*",
        b"%",
        b"~",
        b"\xe9",
        b"\xc2\xa0",
        b",",
        b"\"",
        b":",
    ] {
        for at in [4, 8] {
            let (head, tail) = plain.as_bytes().split_at(at);
            let credentials = [head, stranger, tail].concat();
            add(
                "basic: characters outside the alphabet",
                User,
                &credentials,
                b"Basic {}",
            );
        }
    }
    // A password with both characters in which the alphabets differ.
    let wide = STANDARD.encode([user.as_bytes(), b":\xff\xfe\xff\xfb\xef\xbe"].concat());
    let other = wide.replace('+', "-").replace('/', "_");
    for credentials in [wide, other] {
        add(
            "basic: characters outside the alphabet",
            User,
            credentials.as_bytes(),
            b"Basic {}",
        );
    }
    let alone = STANDARD.encode(user);
    add(
        "basic: without a colon",
        User,
        alone.as_bytes(),
        b"Basic {}",
    );

    let accented = AccentedUser.value();
    let latin: Vec<u8> = accented
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    let decomposed = accented.replace('\u{eb}', "e\u{308}");
    for user in [&latin[..], decomposed.as_bytes()] {
        let credentials = STANDARD.encode([user, b":a password"].concat());
        add(
            "basic: user names in other encodings",
            AccentedUser,
            credentials.as_bytes(),
            b"Basic {}",
        );
    }
}
