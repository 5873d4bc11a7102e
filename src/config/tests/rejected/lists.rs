//! The sections `allow_list` and `deny_list`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "addresses: host bits",
        r#"{"deny_list": {"ips": ["192.0.2.7/24", "2001:db8::1/32", "::ffff:192.0.2.7/120", "::ffff:0.0.0.0/95", "[2001:db8::1]/64"]}}"#,
        &[
            r#"deny_list.ips[0]: found "192.0.2.7/24", which has host bits set; write 192.0.2.0/24 for the range or 192.0.2.7/32 for the single address"#,
            r#"deny_list.ips[1]: found "2001:db8::1/32", which has host bits set; write 2001:db8::/32 for the range or 2001:db8::1/128 for the single address"#,
            r#"deny_list.ips[2]: found "::ffff:192.0.2.7/120", which has host bits set; write 192.0.2.0/24 for the range or 192.0.2.7/32 for the single address"#,
            r#"deny_list.ips[3]: found "::ffff:0.0.0.0/95", which has host bits set; write ::fffe:0:0/95 for the range or ::ffff:0.0.0.0/128 for the single address"#,
            r#"deny_list.ips[4]: found "[2001:db8::1]/64", which has host bits set; write 2001:db8::/64 for the range or 2001:db8::1/128 for the single address"#,
        ],
    ),
    (
        "addresses: not addresses",
        r#"{"deny_list": {"ips": ["10.0.0.256", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/024", "192.0.2.0/+8", "192.0.2.0/", "/8", "192.0.2.0/255.255.255.0", "localhost", "eyJhbGciOi.SECRET.x", "deadbeefSECRETdeadbeef", "", "192.0.2. 1"]}}"#,
        &[
            r#"deny_list.ips[0]: found "10.0.0.256"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            r#"deny_list.ips[1]: found "192.0.2.0/33"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            r#"deny_list.ips[2]: found "2001:db8::/129"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            r#"deny_list.ips[3]: found "192.0.2.0/024"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            "deny_list.ips[4]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            r#"deny_list.ips[5]: found "192.0.2.0/"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            "deny_list.ips[6]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            r#"deny_list.ips[7]: found "192.0.2.0/255.255.255.0"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            "deny_list.ips[8]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[9]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[10]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[11]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[12]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
        ],
    ),
    (
        "addresses: other types",
        r#"{"allow_list": {"ips": [1, null, ["192.0.2.1"]]}, "guard": {"never_block": [{}]}, "deny_list": {"ips": {"a": 1}}}"#,
        &[
            r#"allow_list.ips[0]: found a number; allowed: a list of addresses and CIDR ranges, such as ["192.0.2.7", "2001:db8::/32"]"#,
            r#"allow_list.ips[1]: found null; allowed: a list of addresses and CIDR ranges, such as ["192.0.2.7", "2001:db8::/32"]"#,
            r#"allow_list.ips[2]: found a list; allowed: a list of addresses and CIDR ranges, such as ["192.0.2.7", "2001:db8::/32"]"#,
            r#"deny_list.ips: found an object; allowed: a list of addresses and CIDR ranges, such as ["192.0.2.7", "2001:db8::/32"]"#,
            r#"guard.never_block[0]: found an object; allowed: a list of addresses and CIDR ranges, such as ["192.0.2.7", "2001:db8::/32"]"#,
        ],
    ),
    (
        "manual lists: empty entries",
        r#"{"deny_list": {"cookies": {"PHP": ["\"\""], "SID": [""]}, "oauth_tokens": [""], "api_keys": [""], "usernames": [""]}}"#,
        &[
            "deny_list.cookies.PHP[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.cookies.SID[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.oauth_tokens[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.api_keys[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.usernames[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
        ],
    ),
    (
        "manual lists: line breaks",
        r#"{"deny_list": {"cookies": {"SID": ["SECRET\rSECRET"]}, "oauth_tokens": ["SECRET\nSECRET"], "api_keys": {"x-api-key": ["SECRET\u0000"]}, "usernames": ["SECRET\nSECRET"]}}"#,
        &[
            r#"deny_list.cookies.SID[0]: found the character "\r"; allowed: a string that is not empty and has no line break and no NUL"#,
            r#"deny_list.oauth_tokens[0]: found the character "\n"; allowed: a string that is not empty and has no line break and no NUL"#,
            r#"deny_list.api_keys.x-api-key[0]: found the character "\0"; allowed: a string that is not empty and has no line break and no NUL"#,
            r#"deny_list.usernames[0]: found the character "\n"; allowed: a string that is not empty and has no line break and no NUL"#,
        ],
    ),
    (
        "manual lists: other types",
        r#"{"allow_list": {"cookies": ["SECRET"], "oauth_tokens": {"a": "SECRET"}, "api_keys": 5, "usernames": [["SECRET"], {"username": "SECRET"}]}}"#,
        &[
            r#"allow_list.cookies: found a list; allowed: an object from a cookie's name to the list of its values, such as {"JSESSIONID": ["..."]}"#,
            "allow_list.oauth_tokens: found an object; allowed: a list of bearer tokens",
            "allow_list.api_keys: found a number; allowed: a list of API keys, or an object from a name to a list of API keys",
            "allow_list.usernames[0]: found a list; allowed: a list of user names",
            "allow_list.usernames[1]: found an object; allowed: a list of user names",
        ],
    ),
    (
        "manual lists: values of another type",
        r#"{"allow_list": {"cookies": {"PHP": [null], "SID": 5}, "api_keys": {"api_key": null, "x-api-key": [5]}}}"#,
        &[
            "allow_list.cookies.PHP[0]: found null; allowed: a list of the cookie's values",
            "allow_list.cookies.SID: found a number; allowed: a list of the cookie's values",
            "allow_list.api_keys.api_key: found null; allowed: a list of API keys",
            "allow_list.api_keys.x-api-key[0]: found a number; allowed: a list of API keys",
        ],
    ),
    (
        "manual lists: a cookie name that contains a value",
        r#"{"deny_list": {"cookies": {"": ["SECRET"], "SID=SECRET": ["x"]}}}"#,
        &[
            r#"deny_list.cookies: found an empty string; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
            r#"deny_list.cookies: found the character "="; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
        ],
    ),
    (
        "cookie values that no request can carry",
        r#"{"deny_list": {"cookies": {"session": ["SECRET; SECRET", "SECRET\nSECRET"]}}, "allow_list": {"usernames": "SECRET\r\nSECRET"}}"#,
        &[
            r#"allow_list.usernames: found the character "\r"; allowed: a string that is not empty and has no line break and no NUL"#,
            r#"deny_list.cookies.session[0]: found the character ";"; allowed: a cookie's value without ";", which ends a cookie, so that no request could match; write it as %3B, which matches the same requests"#,
            r#"deny_list.cookies.session[1]: found the character "\n"; allowed: a string that is not empty and has no line break and no NUL"#,
        ],
    ),
];
