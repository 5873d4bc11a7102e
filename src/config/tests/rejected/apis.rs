//! The section `apis`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "apis: entries of another type",
        r#"{"apis": ["/shop", 1, null]}"#,
        &[
            "apis[0]: found a string; allowed: an object with named values, { }",
            "apis[1]: found a number; allowed: an object with named values, { }",
            "apis[2]: found null; allowed: an object with named values, { }",
        ],
    ),
    (
        "apis: the same hostname and url",
        r#"{"apis": [{"hostname": "a.example", "url": "/shop"}, {"url": "/shop"}, {"hostname": "A.EXAMPLE.", "url": "/shop/"}, {"hostname": "*", "url": "/shop"}]}"#,
        &[
            "apis[2]: same hostname and url as apis[0]; merge the two entries, or change the hostname or url of one",
            "apis[3]: same hostname and url as apis[1]; merge the two entries, or change the hostname or url of one",
        ],
    ),
    (
        "apis: the same place by default",
        r#"{"apis": [{}, {"hostname": "*", "url": "/"}]}"#,
        &[
            "apis[1]: same hostname and url as apis[0]; merge the two entries, or change the hostname or url of one",
        ],
    ),
    (
        "apis: hostnames",
        r#"{"apis": [{"hostname": ""}, {"hostname": "*.example.com"}, {"hostname": "api.example.com:8443"}, {"hostname": "müller.example"}, {"hostname": "[::1"}, {"hostname": null}]}"#,
        &[
            r#"apis[0].hostname: found an empty string; allowed: "*" for any, or one host name without a port, such as "api.example.com" (an international name as xn--...)"#,
            r#"apis[1].hostname: found the character "*"; allowed: "*" for any, or one host name without a port, such as "api.example.com" (an international name as xn--...)"#,
            r#"apis[2].hostname: found the character ":"; allowed: "*" for any, or one host name without a port, such as "api.example.com" (an international name as xn--...)"#,
            r#"apis[3].hostname: found the character "ü"; allowed: "*" for any, or one host name without a port, such as "api.example.com" (an international name as xn--...)"#,
            r#"apis[4].hostname: found the character "["; allowed: "*" for any, or one host name without a port, such as "api.example.com" (an international name as xn--...)"#,
            r#"apis[5].hostname: found null; allowed: "*" for any, or a host name, such as "api.example.com""#,
        ],
    ),
    (
        "apis: urls",
        r#"{"apis": [{"url": ""}, {"url": "shop"}, {"url": "/shop/*"}, {"url": "/shop?token=SECRET"}, {"url": "/a//b"}, {"url": "/a/../b"}, {"url": "/a/."}, {"url": "//"}, {"url": "/a b"}, {"url": "/ü"}, {"url": 1}, {"url": "https://example.com/"}]}"#,
        &[
            r#"apis[0].url: found an empty string; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[1].url: found "shop"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[2].url: found the character "*"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[3].url: found the character "?"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[4].url: found "/a//b"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[5].url: found "/a/../b"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[6].url: found "/a/."; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[7].url: found "//"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[8].url: found the character " "; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[9].url: found the character "ü"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[10].url: found a number; allowed: a base path, such as "/shop"; "/" for any"#,
            r#"apis[11].url: found "https://example.com/"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
        ],
    ),
    (
        "apis: api_id",
        r#"{"apis": [{"api_id": "", "url": "/a"}, {"api_id": 7, "url": "/b"}, {"api_id": "a\nb", "url": "/c"}]}"#,
        &[
            "apis[0].api_id: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            r#"apis[1].api_id: found a number; allowed: a name for logs and traffic information, such as "shop""#,
            r#"apis[2].api_id: found the character "\n"; allowed: a string that is not empty and has no line break and no NUL"#,
        ],
    ),
    (
        "apis: cookie names",
        r#"{"apis": [{"cookie": ""}, {"url": "/a", "cookie": ["SID=SECRET", 1, "a;b"]}, {"url": "/b", "cookie": {}}]}"#,
        &[
            r#"apis[0].cookie: found an empty string; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
            r#"apis[1].cookie[0]: found the character "="; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
            "apis[1].cookie[1]: found a number; allowed: a cookie's name, or a list of names; null for every cookie, [] for none",
            r#"apis[1].cookie[2]: found the character ";"; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
            "apis[2].cookie: found an object; allowed: a cookie's name, or a list of names; null for every cookie, [] for none",
        ],
    ),
    (
        "apis: header names",
        r#"{"apis": [{"apikey_header": ["x-api-key: SECRET", ":authority", "", null]}]}"#,
        &[
            r#"apis[0].apikey_header[0]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"apis[0].apikey_header[1]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"apis[0].apikey_header[2]: found an empty string; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"apis[0].apikey_header[3]: found null; allowed: a list of header names, such as ["x-api-key"]; [] for none"#,
        ],
    ),
    (
        "apis: query names",
        r#"{"apis": [{"apikey_qs": ["", 1]}]}"#,
        &[
            "apis[0].apikey_qs[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            r#"apis[0].apikey_qs[1]: found a number; allowed: a list of names of query parameters, such as ["api_key"]; [] for none"#,
        ],
    ),
    (
        "apis: user names",
        r#"{"apis": [{"username": [{}, {"basic_auth": false}, {"basic_auth": 1}, {"header": "x user"}, {"jwt_claim": ""}, {"basic_auth": true, "jwt_claim": "sub"}, "basic_auth", {"jwt": "sub"}]}]}"#,
        &[
            r#"apis[0].username[0]: found an empty object; allowed: one source per object: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}"#,
            "apis[0].username[1].basic_auth: found false; allowed: true; omit this source to disable it",
            "apis[0].username[2].basic_auth: found a number; allowed: true",
            r#"apis[0].username[3].header: found the character " "; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            "apis[0].username[4].jwt_claim: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            r#"apis[0].username[5]: found an object with several keys; allowed: one source per object: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}"#,
            "apis[0].username[6]: found a string; allowed: an object with named values, { }",
            r#"apis[0].username[7].jwt: unknown key; did you mean "header"? Known keys here: basic_auth, header, jwt_claim"#,
        ],
    ),
    (
        "apis: user names of another type",
        r#"{"apis": [{"username": "sub"}]}"#,
        &[
            r#"apis[0].username: found a string; allowed: a list of sources: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}; [] for none"#,
        ],
    ),
    (
        "apis: user names, a source that is not in a list",
        r#"{"apis": [{"username": {"basic_auth": true}}]}"#,
        &[
            r#"apis[0].username: found an object; allowed: a list of sources: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}; [] for none"#,
        ],
    ),
];
