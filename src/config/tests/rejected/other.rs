//! The sections `deny_response`, `traffic` and `guard`, and all errors together.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "deny_response: status",
        r#"{"deny_response": {"status": 199}}"#,
        &[
            "deny_response.status: found 199; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 101",
        r#"{"deny_response": {"status": 101, "body": ""}}"#,
        &[
            "deny_response.status: found 101; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 204",
        r#"{"deny_response": {"status": 204, "body": ""}}"#,
        &[
            "deny_response.status: found 204; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 205",
        r#"{"deny_response": {"status": 205, "body": ""}}"#,
        &[
            "deny_response.status: found 205; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 304",
        r#"{"deny_response": {"status": 304, "body": ""}}"#,
        &[
            "deny_response.status: found 304; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: status too high",
        r#"{"deny_response": {"status": 600.0}}"#,
        &[
            "deny_response.status: found 600; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: status with a fraction",
        r#"{"deny_response": {"status": 403.5}}"#,
        &[
            "deny_response.status: found 403.5; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: status and body of another type",
        r#"{"deny_response": {"status": "403", "body": null}}"#,
        &[
            "deny_response.status: found a string; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
            r#"deny_response.body: found null; allowed: a string; "" for no body"#,
        ],
    ),
    (
        "deny_response: a huge status",
        r#"{"deny_response": {"status": 18446744073709551615}}"#,
        &[
            "deny_response.status: found 1.8446744073709552e+19; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: headers",
        r#"{"deny_response": {"headers": {"": "a", ":status": "200", "x y": "a", "x-a": "a\r\nset-cookie: SECRET", "x-b": 1, "x-nul": "\u0000"}}}"#,
        &[
            r#"deny_response.headers[""]: found an empty string; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"deny_response.headers[":status"]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"deny_response.headers["x y"]: found the character " "; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"deny_response.headers.x-a: found the character "\r"; allowed: a header value without line breaks and NUL"#,
            "deny_response.headers.x-b: found a number; allowed: a string, the header's value",
            r#"deny_response.headers.x-nul: found the character "\0"; allowed: a header value without line breaks and NUL"#,
        ],
    ),
    (
        "deny_response: headers that Envoy sets",
        r#"{"deny_response": {"headers": {"Content-Length": "3", "transfer-encoding": "chunked"}}}"#,
        &[
            r#"deny_response.headers.Content-Length: found "content-length"; allowed: any other header: Envoy sets this one from the body"#,
            r#"deny_response.headers.transfer-encoding: found "transfer-encoding"; allowed: any other header: Envoy sets this one from the body"#,
        ],
    ),
    (
        "deny_response: one header in two spellings",
        r#"{"deny_response": {"headers": {"X-A": "1", "x-a": "2"}}}"#,
        &["deny_response.headers.x-a: duplicate key; keep only one of them"],
    ),
    (
        "deny_response: headers of another type",
        r#"{"deny_response": {"headers": ["x-a: 1"]}}"#,
        &[
            r#"deny_response.headers: found a list; allowed: an object from header name to value, such as {"cache-control": "no-store"}"#,
        ],
    ),
    (
        "traffic: sample",
        r#"{"traffic": {"sample": 1.01}}"#,
        &[
            "traffic.sample: found 1.01; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
        ],
    ),
    (
        "traffic: negative sample",
        r#"{"traffic": {"sample": -0.0000001}}"#,
        &[
            "traffic.sample: found -1e-7; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
        ],
    ),
    (
        "traffic: path and headers",
        r#"{"traffic": {"path": "portcullis", "headers": ["User Agent", ":path"], "sample": "1"}}"#,
        &[
            "traffic.sample: found a string; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
            r#"traffic.path: found "portcullis"; allowed: a path that starts with / and has only visible ASCII characters, such as "/portcullis/v1/traffic""#,
            r#"traffic.headers[0]: found the character " "; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
            r#"traffic.headers[1]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ only, such as "x-api-key""#,
        ],
    ),
    (
        "traffic: path with white space",
        r#"{"traffic": {"path": "/a b"}}"#,
        &[
            r#"traffic.path: found the character " "; allowed: a path that starts with / and has only visible ASCII characters, such as "/portcullis/v1/traffic""#,
        ],
    ),
    (
        "guard: widths",
        r#"{"guard": {"widest_ipv4": 33, "widest_ipv6": 129}}"#,
        &[
            "guard.widest_ipv4: found 33; allowed: a prefix length, a whole number from 0 (any range) to 32 (only addresses)",
            "guard.widest_ipv6: found 129; allowed: a prefix length, a whole number from 0 (any range) to 128 (only addresses)",
        ],
    ),
    (
        "guard: more widths",
        r#"{"guard": {"widest_ipv4": -1, "widest_ipv6": 32.5}}"#,
        &[
            "guard.widest_ipv4: found -1; allowed: a prefix length, a whole number from 0 (any range) to 32 (only addresses)",
            "guard.widest_ipv6: found 32.5; allowed: a prefix length, a whole number from 0 (any range) to 128 (only addresses)",
        ],
    ),
    (
        "guard: widths of another type",
        r#"{"guard": {"widest_ipv4": null, "widest_ipv6": "32"}}"#,
        &[
            "guard.widest_ipv4: found null; allowed: a prefix length, a whole number from 0 (any range) to 32 (only addresses)",
            "guard.widest_ipv6: found a string; allowed: a prefix length, a whole number from 0 (any range) to 128 (only addresses)",
        ],
    ),
    (
        "guard: percentages",
        r#"{"guard": {"max_change_percent": 0, "max_denied_percent": 100.1}}"#,
        &[
            "guard.max_change_percent: found 0; allowed: null for any change, or a number of percent above 0, such as 50",
            "guard.max_denied_percent: found 100.1; allowed: null for no limit, or a number of percent above 0 and up to 100, such as 20",
        ],
    ),
    (
        "guard: percentages of another type",
        r#"{"guard": {"max_change_percent": "50", "max_denied_percent": false}}"#,
        &[
            "guard.max_change_percent: found a string; allowed: null for any change, or a number of percent above 0, such as 50",
            "guard.max_denied_percent: found a boolean; allowed: null for no limit, or a number of percent above 0 and up to 100, such as 20",
        ],
    ),
    (
        "guard: skipped entries",
        r#"{"guard": {"max_skipped_percent": -1}}"#,
        &[
            "guard.max_skipped_percent: found -1; allowed: a number of percent from 0 to 100, such as 10",
        ],
    ),
    (
        "guard: more than all entries skipped",
        r#"{"guard": {"max_skipped_percent": 100.5}}"#,
        &[
            "guard.max_skipped_percent: found 100.5; allowed: a number of percent from 0 to 100, such as 10",
        ],
    ),
    (
        "guard: skipped entries of another type",
        r#"{"guard": {"max_skipped_percent": null}}"#,
        &[
            "guard.max_skipped_percent: found null; allowed: a number of percent from 0 to 100, such as 10",
        ],
    ),
    (
        "guard: never_block",
        r#"{"guard": {"never_block": ["10.0.0.1/8", "office"]}}"#,
        &[
            r#"guard.never_block[0]: found "10.0.0.1/8", which has host bits set; write 10.0.0.0/8 for the range or 10.0.0.1/32 for the single address"#,
            "guard.never_block[1]: found a string that is not an address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
        ],
    ),
    (
        "every error at once",
        r#"{"enable_abs_attack": true, "abs": {"access_key": "SECRET:", "timeout": 5, "typo": 1}, "apis": [{"cookie": 5}, {"cookie": [1], "url": "x"}], "deny_list": {"ips": ["192.0.2.1", "10.0.0.1/8"], "usernames": [""]}, "deny_response": {"status": 1}, "when_stale": "maybe", "guard": {"widest_ipv4": 99}, "traffic": {"sample": 2}, "bogus": {}}"#,
        &[
            r#"bogus: unknown key; did you mean "abs"? Known keys here: enable_firewall, enable_abs, enable_abs_attack, abs_attack_request_minutes, abs_attack_request_minute, attack_list_memory, abs, apis, allow_list, deny_list, deny_response, before_first_list, attack_list_max_age, when_stale, traffic, guard, ipv6_prefix, feeds, fleet"#,
            r#"when_stale: found "maybe"; allowed: "keep" or "drop""#,
            r#"abs.typo: unknown key; did you mean "timeout"? Known keys here: cluster, authority, access_key, secret_key, access_key_env, secret_key_env, timeout, attack_window"#,
            r#"abs.timeout: found a number; allowed: a duration from "1ms" to "1h", such as "30s" (whole number; units ms, s, m, h, d)"#,
            "abs.cluster: missing; enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off",
            r#"abs.access_key: found the character ":"; allowed: a key of visible ASCII characters without ":""#,
            "apis[0].cookie: found a number; allowed: a cookie's name, or a list of names; null for every cookie, [] for none",
            r#"apis[1].url: found "x"; allowed: a base path of whole segments that starts with /, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            "apis[1].cookie[0]: found a number; allowed: a cookie's name, or a list of names; null for every cookie, [] for none",
            r#"deny_list.ips[1]: found "10.0.0.1/8", which has host bits set; write 10.0.0.0/8 for the range or 10.0.0.1/32 for the single address"#,
            "deny_list.usernames[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            "deny_response.status: found 1; allowed: a whole number from 200 to 599 except 204, 205 and 304 (responses without a body), without quotes, such as 403",
            "traffic.sample: found 2; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
            "guard.widest_ipv4: found 99; allowed: a prefix length, a whole number from 0 (any range) to 32 (only addresses)",
        ],
    ),
];
