//! Unambiguous mistakes: accepted with a warning.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// Name, configuration, the same without the mistake, warnings.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const WARNED: &[Case] = &[
    (
        "keys from the environment with white space around them",
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs", "access_key_env": "LINE_END", "secret_key_env": "MARKED"}}"#,
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs", "access_key_env": "GOOD", "secret_key_env": "GOOD"}}"#,
        &[
            "abs.access_key_env: the white space (a line end, for example) around the value of the environment variable \
             LINE_END is ignored; remove it",
            "abs.secret_key_env: the white space (a line end, for example) around the value of the environment variable \
             MARKED is ignored; remove it",
        ],
    ),
    (
        "keys from the environment that can't be sent",
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs", "access_key_env": "BAD_COLON", "secret_key_env": "TWO_LINES"}}"#,
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs"}}"#,
        &[
            "abs.access_key_env: the environment variable BAD_COLON is ignored: found the character \":\"; allowed: a key \
             of visible ASCII characters without \":\"",
            "abs.secret_key_env: the environment variable TWO_LINES is ignored: found the character \"\\n\"; allowed: a \
             key of visible ASCII characters without \":\"",
        ],
    ),
    (
        "a key from the environment that is white space only",
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs", "access_key_env": "BLANK"}}"#,
        r#"{"enable_abs_attack": true, "abs": {"cluster": "abs"}}"#,
        &[
            "abs.access_key_env: the environment variable BLANK is ignored: found an empty string; allowed: a key of visible \
             ASCII characters without \":\"",
        ],
    ),
    (
        "white space around typed values",
        r#"{"abs": {"cluster": "abs\n", "access_key": "\uFEFFSECRET\r\n", "timeout": " 5s"}, "when_stale": "drop ",
            "deny_list": {"ips": ["192.0.2.1\n"], "oauth_tokens": "\u00A0SECRET", "cookies": {"a": ["SECRET "]}},
            "deny_response": {"body": " kept\n"}}"#,
        r#"{"abs": {"cluster": "abs", "access_key": "SECRET", "timeout": "5s"}, "when_stale": "drop",
            "deny_list": {"ips": ["192.0.2.1"], "oauth_tokens": "SECRET", "cookies": {"a": ["SECRET"]}},
            "deny_response": {"body": " kept\n"}}"#,
        &[
            "when_stale: the white space (or byte order mark) around the value is ignored; remove it",
            "abs.cluster: the white space (or byte order mark) around the value is ignored; remove it",
            "abs.timeout: the white space (or byte order mark) around the value is ignored; remove it",
            "abs.access_key: the white space (or byte order mark) around the value is ignored; remove it",
            "deny_list.ips[0]: the white space (or byte order mark) around the value is ignored; remove it",
            "deny_list.cookies.a[0]: the white space (or byte order mark) around the value is ignored; remove it",
            "deny_list.oauth_tokens: the white space (or byte order mark) around the value is ignored; remove it",
        ],
    ),
    (
        "a token with its scheme is the token",
        r#"{"deny_list": {"oauth_tokens": ["Bearer SECRET", "bearer  SECRET2"]}}"#,
        r#"{"deny_list": {"oauth_tokens": ["SECRET", "SECRET2"]}}"#,
        &[],
    ),
    ("null", "null", "{}", &[]),
    ("white space", " \r\n\t", "{}", &[]),
    ("only a byte order mark", "\u{FEFF}", "{}", &[]),
    (
        "a byte order mark",
        "\u{FEFF}{\"enable_firewall\": false}",
        r#"{"enable_firewall": false}"#,
        &[],
    ),
    (
        "null for a section: in YAML, a section with only comments",
        r#"{"abs": null, "allow_list": null, "deny_list": null, "deny_response": {"headers": null}, "traffic": null, "guard": null}"#,
        "{}",
        &[],
    ),
    (
        "APIs that do not block and that a client can choose",
        r#"{"apis": [{"hostname": "docs.example.com", "enable_blocking": false}, {"api_id": "b", "hostname": "b.example.com", "mode": "shadow"},
            {"hostname": "c.example.com"}, {"url": "/open", "enable_blocking": false}]}"#,
        r#"{"apis": [{"hostname": "docs.example.com", "enable_blocking": false}, {"api_id": "b", "hostname": "b.example.com", "mode": "shadow"},
            {"hostname": "c.example.com"}, {"url": "/open", "enable_blocking": false}]}"#,
        &[
            "apis: the API \"docs.example.com/\" does not block (enable_blocking: false) and is chosen by the hostname \
             \"docs.example.com\": any client can send that Host; make sure that Envoy routes that host to this API only",
            "apis: the API \"b\" does not block (mode: shadow) and is chosen by the hostname \"b.example.com\": any client \
             can send that Host; make sure that Envoy routes that host to this API only",
        ],
    ),
];

#[test]
fn unambiguous_mistakes_are_warnings() {
    for (name, json, meant, expected) in WARNED {
        let mut config =
            parse(json.as_bytes()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let warnings = std::mem::take(&mut config.warnings);
        let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(shown, *expected, "{name}");
        assert!(!format!("{warnings:?}").contains("SECRET"), "{name}");
        let mut meant = parse(meant.as_bytes()).unwrap();
        meant.warnings.clear();
        assert_eq!(config, meant, "{name}");
    }
}
