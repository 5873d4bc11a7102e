//! Tests of the plugin configuration: tables of accepted, rejected and warned configurations, and hostile bytes.

mod accepted;
mod feeds;
mod rejected;
mod warned;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use self::accepted::{ACCEPTED, defaults};
use super::*;

/// The environment of the VM in these tests.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "BAD_COLON" => "SECRET:1",
        "LINE_END" => "SECRET-good\r\n",
        "MARKED" => "\u{FEFF} SECRET-good\t",
        "BLANK" => " \n",
        "TWO_LINES" => "SECRET\nSECRET",
        "GOOD" => "SECRET-good",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn parse(json: &[u8]) -> Result<Config, Vec<ConfigError>> {
    Config::parse(json, &environment)
}

#[test]
fn valid_configurations_have_the_expected_values() {
    for (name, json, change) in ACCEPTED {
        let mut expected = defaults();
        change(&mut expected);
        let mut parsed = parse(json.as_bytes());
        if let Ok(config) = &mut parsed {
            // See `warned`.
            config.warnings.clear();
        }
        assert_eq!(parsed, Ok(expected), "{name}: {json}");
    }
}

#[test]
fn all_errors_are_reported_with_their_paths() {
    for (name, json, expected) in rejected::cases() {
        let errors = parse(json.as_bytes()).expect_err(name);
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(shown, *expected, "{name}: {json}");
    }
}

#[test]
fn errors_and_debug_output_show_no_secrets() {
    let mut n_with_secret = 0;
    for (name, json, _) in rejected::cases() {
        n_with_secret += usize::from(json.contains("SECRET"));
        for error in parse(json.as_bytes()).expect_err(name) {
            let shown = format!("{error} {error:?} {error:#?}");
            assert!(!shown.contains("SECRET"), "{name}: {shown}");
        }
    }
    for (name, json, _) in ACCEPTED {
        n_with_secret += usize::from(json.contains("SECRET"));
        let config = parse(json.as_bytes()).expect(name);
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("SECRET"), "{name}: {shown}");
    }
    assert!(
        n_with_secret > 20,
        "only {n_with_secret} cases contain a secret"
    );
}

#[test]
fn json_errors_name_line_and_column() {
    let json = b"{\n  \"enable_abs\": true\n  \"enable_firewall\": true\n}";
    assert_eq!(
        parse(json),
        Err(vec![ConfigError {
            path: String::new(),
            problem: Problem::Syntax {
                line: 3,
                column: 3,
                reason: "expected `,` or `}`".to_owned(),
            },
        }])
    );
}

#[test]
fn every_known_key_is_read() {
    for &(section, keys) in KNOWN_KEYS {
        for key in keys {
            // No key allows a list in a list.
            let entry = format!(r#"{{"{key}": [[]]}}"#);
            let (json, path) = match section {
                "" => (entry, (*key).to_owned()),
                "apis[]" => (
                    format!(r#"{{"apis": [{entry}]}}"#),
                    format!("apis[0].{key}"),
                ),
                "apis[].username[]" => (
                    format!(r#"{{"apis": [{{"username": [{entry}]}}]}}"#),
                    format!("apis[0].username[0].{key}"),
                ),
                "apis[].jwt" => (
                    format!(r#"{{"apis": [{{"jwt": {entry}}}]}}"#),
                    format!("apis[0].jwt.{key}"),
                ),
                "feeds[]" => {
                    let required = [
                        ("name", r#""n""#),
                        ("format", r#""text""#),
                        ("cluster", r#""c""#),
                        ("path", r#""/p""#),
                    ];
                    let others = required.iter().filter(|(other, _)| other != key);
                    let others: String = others
                        .map(|(key, value)| format!(r#""{key}": {value}, "#))
                        .collect();
                    (
                        format!(r#"{{"feeds": [{{{others}"{key}": [[]]}}]}}"#),
                        format!("feeds[0].{key}"),
                    )
                }
                _ => (
                    format!(r#"{{"{section}": {entry}}}"#),
                    format!("{section}.{key}"),
                ),
            };
            let errors = parse(json.as_bytes()).expect_err(&json);
            assert_eq!(errors.len(), 1, "{json}: {errors:?}");
            assert!(errors[0].path.starts_with(&path), "{json}: {errors:?}");
            let is_unknown = matches!(errors[0].problem, Problem::UnknownKey { .. });
            assert!(!is_unknown, "{json}: {errors:?}");
        }
    }
}

#[test]
fn every_value_of_every_key_is_read_or_rejected() {
    let values = [
        "null",
        "true",
        "-0.0",
        "-1",
        "1e308",
        "18446744073709551615",
        "99999999999999999999999",
        "5e-324",
        r#""""#,
        r#""/""#,
        r#""é""#,
        r#""18446744073709551615d""#,
        r#""18446744073709551615GB""#,
        r#""::ffff:0:0/0""#,
        r#""1.2.3.4/256""#,
        "[]",
        "{}",
        "[null]",
        r#"[{"": [{"": null}]}]"#,
        r#"{"": ""}"#,
    ];
    let mut n_read = 0;
    for &(section, keys) in KNOWN_KEYS {
        for key in keys {
            for value in values {
                let entry = format!(r#"{{"{key}": {value}}}"#);
                let json = match section {
                    "" => entry,
                    "apis[]" => format!(r#"{{"apis": [{entry}]}}"#),
                    "apis[].username[]" => format!(r#"{{"apis": [{{"username": [{entry}]}}]}}"#),
                    _ => format!(r#"{{"{section}": {entry}}}"#),
                };
                match parse(json.as_bytes()) {
                    Ok(_) => n_read += 1,
                    Err(errors) => assert!(!errors.is_empty(), "{json}"),
                }
            }
        }
    }
    assert!(n_read > 0);
}

#[test]
fn hostile_bytes_are_rejected() {
    let deep_list = "[".repeat(100_000);
    let deep_object = "{\"abs\":".repeat(100_000);
    let long_key = format!("{{\"{}\": 1}}", "k".repeat(1 << 16));
    let long_number = format!(
        "{{\"guard\": {{\"widest_ipv4\": {}}}}}",
        "9".repeat(100_000)
    );
    let long_text = format!("{{\"when_stale\": \"{}\"}}", "é".repeat(100_000));
    let table: &[(&str, &[u8])] = &[
        ("not UTF-8", b"{\"api\": \"\xff\"}"),
        ("not UTF-8, in a key", b"{\"\xc3\x28\": 1}"),
        ("half a surrogate pair", br#"{"when_stale": "\ud800"}"#),
        ("a byte order mark inside", b"{\xef\xbb\xbf}"),
        ("NUL", b"\0"),
        ("binary", b"\x0a\x05\x08\x96\x01\xff\xfe"),
        ("deep lists", deep_list.as_bytes()),
        ("deep objects", deep_object.as_bytes()),
        ("a long key", long_key.as_bytes()),
        ("a long number", long_number.as_bytes()),
        ("a long text", long_text.as_bytes()),
    ];
    for (name, bytes) in table {
        let errors = parse(bytes).expect_err(name);
        assert_eq!(errors.len(), 1, "{name}");
        let shown = errors[0].to_string();
        assert!(shown.len() < 1_000, "{name}: {} bytes", shown.len());
    }
}

#[test]
fn a_broken_copy_of_a_valid_configuration_never_panics() {
    let mut n_rejected = 0;
    for (_, json, _) in ACCEPTED {
        for (position, &byte) in json.as_bytes().iter().enumerate() {
            let mut broken = json.as_bytes().to_vec();
            for replacement in [b'"', b'{', b'0', b'-', 0xff, byte ^ 1] {
                broken[position] = replacement;
                n_rejected += usize::from(parse(&broken).is_err());
            }
            broken.truncate(position);
            n_rejected += usize::from(parse(&broken).is_err());
        }
    }
    assert!(n_rejected > 0);
}

#[test]
fn manual_lists_have_a_size_limit() {
    let errors =
        |json: serde_json::Value| match Config::parse(json.to_string().as_bytes(), &|_| None) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
    let names = |n: usize| (0..n).map(|i| format!("user-{i}")).collect::<Vec<_>>();
    let allowed = "allowed: 5000 entries and 256 KB of values in allow_list and deny_list together, which a worker \
                   loads within 5 ms; put longer lists on ABS's attack list, which is loaded in steps \
                   (enable_abs_attack)";
    let none: [String; 0] = [];
    assert_eq!(
        errors(serde_json::json!({"deny_list": {"usernames": names(5_000)}})),
        none
    );
    assert_eq!(
        errors(serde_json::json!({"deny_list": {"oauth_tokens": ["x".repeat(256 << 10)]}})),
        none
    );
    assert_eq!(
        errors(
            serde_json::json!({"deny_list": {"usernames": names(3_000)}, "allow_list": {"api_keys": names(2_001)}})
        ),
        [format!(
            "deny_list: found 5001 entries with 42789 bytes of values in both lists; {allowed}"
        )]
    );
    assert_eq!(
        errors(serde_json::json!({"allow_list": {"cookies": {"S": ["x".repeat(256 << 10)]}}})),
        [format!(
            "allow_list: found 1 entry with 262145 bytes of values in both lists; {allowed}"
        )]
    );
    let list = errors(
        serde_json::json!({"deny_list": {"ips": (0..400_000u32).map(|i| {
        std::net::Ipv4Addr::from(0x0a00_0000 + i).to_string()
    }).collect::<Vec<_>>()}}),
    );
    assert_eq!(
        list,
        [format!(
            "deny_list: found 400000 entries with 6400000 bytes of values in both lists; {allowed}"
        )]
    );
    for (n, found) in [(250, 0), (251, 1)] {
        let named: serde_json::Map<_, _> = names(n)
            .into_iter()
            .map(|name| (name, serde_json::json!(["v"])))
            .collect();
        for key in ["cookies", "api_keys"] {
            let reported = errors(serde_json::json!({"deny_list": {key: named.clone()}}));
            let expected = format!("deny_list.{key}: found 251 names; allowed: at most 250 names");
            assert_eq!(reported, vec![expected; found]);
        }
    }
}
