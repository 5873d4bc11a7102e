//! Cookies: white space, separators, quotes, encodings, names.

use super::Rows;
use crate::identities::{Identity, percent_encoded};
use crate::raw::RawRequest;
use Identity::*;

pub fn add(rows: &mut Rows) {
    let mut cookies = |rule, identity, templates: &[&[u8]]| {
        rows.headers(rule, identity, "cookie", templates);
    };
    cookies(
        "cookie: several",
        Cookie,
        &[
            b"a=b; S={}",
            b"S={}; a=b",
            b"S=other; S={}",
            b"S={}; S=other",
            b"a=b;S={};c=d",
            b";;S={};;",
            b"a; S={}",
            b"=x; S={}",
            b"$Version=1; S={}; $Path=/",
        ],
    );
    cookies(
        "cookie: white space",
        Cookie,
        &[
            b" S={}",
            b"S={} ",
            b"S ={}",
            b"S= {}",
            b"S\t=\t{}\t; a=b",
            // U+00A0 in one byte and in two.
            b"S={}\xa0",
            b"S=\xa0{}",
            b"\xa0S={}",
            b"a=b;\xa0S={}",
            b"S={}\xc2\xa0",
            b"S=\xc2\xa0{}",
            b"a=b;\xc2\xa0S={}",
            b"S\xc2\xa0={}",
            // U+0085, likewise.
            b"S={}\x85",
            b"S=\x85{}",
            b"S={}\xc2\x85",
            // U+1680, U+2003, U+2028, U+202F, U+205F, U+3000.
            b"S={}\xe1\x9a\x80",
            b"S={}\xe2\x80\x83",
            b"S={}\xe2\x80\xa8",
            b"S={}\xe2\x80\xaf",
            b"S={}\xe2\x81\x9f",
            b"S={}\xe3\x80\x80",
            b"S=\xe3\x80\x80{}",
            // Several of them.
            b"S=\xa0 \x85{}\x85 \xa0",
            b"S=\xc2\xa0\xe3\x80\x80{}\xe3\x80\x80\xc2\xa0",
        ],
    );
    cookies(
        "cookie: separators",
        Cookie,
        &[
            b"a=b,S={}",
            b"a=b, S={}",
            b"S={},a=b",
            b"S={}, a=b",
            b"a=b S={}",
            b"S={} a=b",
            b"a=b\tS={}",
            // Text that is not a pair, before white space.
            b"a=b;x S={}",
            b"a=b;x\tS={}",
            b"S\t=\t{}\tx; a=b",
            b"S = {} x",
        ],
    );
    cookies(
        "cookie: strangers",
        Cookie,
        &[
            b"S={}\xae",
            b"S={}]",
            b"S={}[x",
            b"\xe5S={}",
            b"]S={}",
            b"a=b\x83S={}",
            b"a=b;\xd7S={}",
            b"S={}\xe2\x82\xaf",
        ],
    );
    cookies(
        "cookie: quotes",
        Cookie,
        &[
            b"S=\"{}\"",
            b"S=\"{}",
            b"S={}\"",
            b"S=\"{}\"x",
            b"S=\"{}\" x; a=b",
            b"S=\"{}\",a=b",
            b"a=\"b; S={}",
            b"a=\"b\"; S={}",
            // The first character of the value, K, escaped in quotes.
            b"S=\"\\{}\"",
            b"S=\\{}",
            b"a=b S=\\{}",
            // The server drops the last byte.
            b"S=\"{}x",
            b"S=\"{}\xe5",
        ],
    );
    cookies("cookie: quotes", EncodedCookie, &[b"T=\"{}\""]);
    cookies(
        "cookie: JSON",
        Cookie,
        &[b"S=j:\"{}\"", b"S=j%3A%22{}%22", b"S=j:[\"{}\"]"],
    );
    cookies(
        "cookie: arrays",
        Cookie,
        &[b"S[]={}", b"S[0]={}", b"S[a][b]={}", b"S[0]x={}"],
    );
    cookies(
        "cookie: PHP's names",
        DottedCookie,
        &[b"app_sid={}", b"app sid={}", b"app[sid={}"],
    );
    cookies("cookie: letter case", Cookie, &[b"s={}", b"a=b; s={}"]);

    let (value, rest) = (Cookie.value(), &Cookie.value()[1..]);
    for header in [
        format!("S={}", percent_encoded(value)),
        format!("S=%4B{rest}"),
        format!("S=%4b{rest}"),
    ] {
        rows.add(
            "cookie: encoded values",
            Cookie,
            RawRequest::header("cookie", header),
        );
    }
    let (head, tail) = value.split_at(10);
    for header in [format!("S={head}\\{tail}"), format!("a=b S={head}\\{tail}")] {
        rows.add(
            "cookie: quotes",
            Cookie,
            RawRequest::header("cookie", header),
        );
    }
    let octal = format!("S=\"\\113{rest}\"");
    rows.add(
        "cookie: quotes",
        Cookie,
        RawRequest::header("cookie", octal),
    );
    for (identity, header) in [
        (
            EncodedCookie,
            format!("T={}", percent_encoded(EncodedCookie.value())),
        ),
        (
            EncodedCookie,
            format!("T={}", EncodedCookie.value().replace('=', "%3d")),
        ),
        (ListedEncodedCookie, "E=ZW5j+ZGVk/dg==".to_owned()),
        (ListedEncodedCookie, "E=ZW5j%2bZGVk/dg=%3d".to_owned()),
        (ListedEncodedCookie, "E=\"ZW5j+ZGVk/dg==\"".to_owned()),
    ] {
        rows.add(
            "cookie: encoded values",
            identity,
            RawRequest::header("cookie", header),
        );
    }
    // PHP before 7.2.34, 7.3.23 and 7.4.11 decoded the names of cookies.
    for (identity, name) in [
        (Cookie, "%53"),
        (Cookie, "S%5B%5D"),
        (DottedCookie, "app%5Fsid"),
        (DottedCookie, "app%2Esid"),
    ] {
        let header = format!("{name}={}", identity.value());
        rows.by_rule(
            "cookie: encoded names",
            identity,
            RawRequest::header("cookie", header),
        );
    }
    for request in [
        RawRequest::header("cookie", "a=b").and("cookie", format!("S={value}")),
        RawRequest::header("cookie", format!("S={value}")).and("cookie", "S=other"),
        RawRequest::header("Cookie", format!("S={value}")),
    ] {
        rows.add("cookie: several", Cookie, request);
    }
}
