//! Tests of the plugin configuration, as tables: what is typed, and what comes of it.

mod refused;
mod warned;

use core::time::Duration;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use self::refused::REFUSED;
use super::*;

/// What the VM's environment holds in these tests.
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

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text.to_owned()))
}

fn ranges(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

/// The defaults of the contract.
fn defaults() -> Config {
    Config {
        enable_firewall: true,
        enable_abs: false,
        enable_abs_attack: false,
        refresh_interval: Duration::from_secs(600),
        attack_list_memory: 128 * 1024 * 1024,
        abs: None,
        apis: vec![default_api("*/", None, "")],
        allow_list: ManualEntries::default(),
        deny_list: ManualEntries::default(),
        deny_response: DenyResponse {
            status: 403,
            body: "Error: Unauthorized".to_owned(),
            headers: Vec::new(),
        },
        before_first_list: BeforeFirstList::Allow,
        attack_list_max_age: None,
        when_stale: WhenStale::Keep,
        warnings: Vec::new(),
        traffic: Traffic {
            format: TrafficFormat::Batch,
            cluster: None,
            authority: None,
            path: "/portcullis/v1/traffic".to_owned(),
            gzip: false,
            queue_memory: 4 * 1024 * 1024,
            batch_bytes: 256 * 1024,
            flush_interval: Duration::from_secs(2),
            sample: 1.0,
            ase_token: None,
            headers: texts(&[
                "host",
                "user-agent",
                "content-type",
                "content-length",
                "accept",
                "referer",
                "x-forwarded-for",
            ]),
        },
        guard: Guard {
            widest_ipv4: 8,
            widest_ipv6: 32,
            max_change_percent: None,
            max_skipped_percent: 10.0,
            never_block: Vec::new(),
            max_denied_percent: None,
        },
        ipv6_prefix: 128,
    }
}

fn default_api(api_id: &str, hostname: Option<&str>, url: &str) -> Api {
    Api {
        api_id: api_id.to_owned(),
        hostname: hostname.map(str::to_owned),
        url: url.to_owned(),
        enable_blocking: true,
        mode: Mode::Enforce,
        cookie: None,
        oauth2_access_token: true,
        oauth2_query: texts(&["access_token"]),
        oauth2_cookie: Vec::new(),
        path_parameters: texts(&["jsessionid"]),
        url_case_insensitive: false,
        jwt: None,
        apikey_header: texts(&["x-api-key"]),
        apikey_qs: texts(&["api_key"]),
        username: vec![
            UsernameSource::BasicAuth,
            UsernameSource::JwtClaim("sub".to_owned()),
        ],
    }
}

fn default_abs() -> Abs {
    Abs {
        cluster: "abs".to_owned(),
        authority: "abs".to_owned(),
        access_key: None,
        secret_key: None,
        timeout: Duration::from_secs(30),
        attack_window: Duration::from_secs(30 * 24 * 3600),
    }
}

/// A change to the defaults.
type Change = fn(&mut Config);

/// Name, configuration, what differs from the defaults.
const ACCEPTED: &[(&str, &str, Change)] = &[
    ("no bytes at all", "", |_| {}),
    ("an empty object", "{}", |_| {}),
    ("white space around", " \n{\t}\r\n", |_| {}),
    (
        "empty sections",
        r#"{"abs": {}, "apis": [], "allow_list": {}, "deny_list": {}, "deny_response": {}, "traffic": {}, "guard": {}}"#,
        |_| {},
    ),
    (
        "the flags of ASE",
        r#"{"enable_firewall": false, "enable_abs": true, "enable_abs_attack": true, "abs": {"cluster": "abs"},
            "traffic": {"format": "batch"}}"#,
        |config| {
            config.enable_firewall = false;
            config.enable_abs = true;
            config.enable_abs_attack = true;
            config.abs = Some(default_abs());
        },
    ),
    (
        "keys in any order",
        r#"{"abs": {"cluster": "abs"}, "enable_abs_attack": true}"#,
        |config| {
            config.enable_abs_attack = true;
            config.abs = Some(default_abs());
        },
    ),
    (
        "a cluster with all flags off",
        r#"{"abs": {"cluster": "abs"}}"#,
        |config| config.abs = Some(default_abs()),
    ),
    (
        "abs in full, its keys typed",
        r#"{"abs": {"cluster": "outbound|443||abs.example.com", "authority": "abs.example.com:8080", "access_key": "SECRET-a",
            "secret_key": "SECRET-s", "access_key_env": "GOOD", "timeout": "500ms", "attack_window": "24h"}}"#,
        |config| {
            config.abs = Some(Abs {
                cluster: "outbound|443||abs.example.com".to_owned(),
                authority: "abs.example.com:8080".to_owned(),
                access_key: secret("SECRET-a"),
                secret_key: secret("SECRET-s"),
                timeout: Duration::from_millis(500),
                attack_window: Duration::from_secs(24 * 3600),
            });
        },
    ),
    (
        "keys from the environment; one that is empty is none",
        r#"{"abs": {"cluster": "abs", "access_key_env": "GOOD", "secret_key_env": "EMPTY"}, "traffic": {"format": "batch", "ase_token_env": "GOOD"},
            "enable_abs": true}"#,
        |config| {
            config.enable_abs = true;
            config.abs = Some(Abs {
                access_key: secret("SECRET-good"),
                ..default_abs()
            });
            config.traffic.ase_token = secret("SECRET-good");
        },
    ),
    (
        "variables are left alone where ABS is not used",
        r#"{"abs": {"access_key_env": "BAD_COLON"}, "traffic": {"ase_token_env": "TWO_LINES"}}"#,
        |_| {},
    ),
    (
        "minutes as a float",
        r#"{"abs_attack_request_minutes": 5.0}"#,
        |config| config.refresh_interval = Duration::from_secs(300),
    ),
    (
        "minutes in the older spelling, a fraction",
        r#"{"abs_attack_request_minute": 0.5}"#,
        |config| config.refresh_interval = Duration::from_secs(30),
    ),
    (
        "fractions as Envoy reads them from YAML",
        r#"{"abs_attack_request_minutes": "0.05", "guard": {"max_change_percent": "12.5"}}"#,
        |config| {
            config.refresh_interval = Duration::from_secs(3);
            config.guard.max_change_percent = Some(12.5);
        },
    ),
    (
        "minutes: one second, rounded",
        r#"{"abs_attack_request_minutes": 0.016667}"#,
        |config| config.refresh_interval = Duration::from_secs(1),
    ),
    (
        "minutes: one year",
        r#"{"abs_attack_request_minutes": 525600}"#,
        |config| config.refresh_interval = Duration::from_secs(365 * 86_400),
    ),
    (
        "sizes in every unit",
        r#"{"attack_list_memory": "1GB", "traffic": {"queue_memory": "64KB", "batch_bytes": "4096B"}}"#,
        |config| {
            config.attack_list_memory = 1 << 30;
            config.traffic.queue_memory = 65_536;
            config.traffic.batch_bytes = 4_096;
        },
    ),
    (
        "a batch as large as the queue",
        r#"{"traffic": {"queue_memory": "256KB"}}"#,
        |config| config.traffic.queue_memory = 256 * 1024,
    ),
    (
        "durations: days and minutes",
        r#"{"attack_list_max_age": "30d", "traffic": {"flush_interval": "10m"}}"#,
        |config| {
            config.attack_list_max_age = Some(Duration::from_secs(30 * 86_400));
            config.traffic.flush_interval = Duration::from_secs(600);
        },
    ),
    (
        "what happens without a list and with an old one",
        r#"{"before_first_list": "deny", "attack_list_max_age": null, "when_stale": "drop"}"#,
        |config| {
            config.before_first_list = BeforeFirstList::Deny;
            config.when_stale = WhenStale::Drop;
        },
    ),
    (
        "the other choices, spelled out",
        r#"{"before_first_list": "allow", "when_stale": "keep", "apis": [{"mode": "enforce"}], "traffic": {"format": "batch"}}"#,
        |_| {},
    ),
    (
        "an API in full",
        r#"{"apis": [{"api_id": "shop", "hostname": "API.Example.COM.", "url": "/shop/", "enable_blocking": false, "mode": "shadow",
            "cookie": "JSESSIONID", "oauth2_access_token": false, "apikey_header": ["X-Key", "x-other"], "apikey_qs": "key",
            "username": [{"header": "X-User"}, {"jwt_claim": "name"}, {"basic_auth": true}]}]}"#,
        |config| {
            config.apis = vec![Api {
                api_id: "shop".to_owned(),
                hostname: Some("api.example.com".to_owned()),
                url: "/shop".to_owned(),
                enable_blocking: false,
                mode: Mode::Shadow,
                cookie: Some(texts(&["JSESSIONID"])),
                oauth2_access_token: false,
                oauth2_query: texts(&["access_token"]),
                oauth2_cookie: Vec::new(),
                path_parameters: texts(&["jsessionid"]),
                url_case_insensitive: false,
                jwt: None,
                apikey_header: texts(&["x-key", "x-other"]),
                apikey_qs: texts(&["key"]),
                username: vec![
                    UsernameSource::Header("x-user".to_owned()),
                    UsernameSource::JwtClaim("name".to_owned()),
                    UsernameSource::BasicAuth,
                ],
            }];
        },
    ),
    (
        "an API that reads nothing",
        r#"{"apis": [{"cookie": [], "oauth2_access_token": false, "apikey_header": [], "apikey_qs": [], "username": []}]}"#,
        |config| {
            config.apis = vec![Api {
                cookie: Some(Vec::new()),
                oauth2_access_token: false,
                apikey_header: Vec::new(),
                apikey_qs: Vec::new(),
                username: Vec::new(),
                ..default_api("*/", None, "")
            }];
        },
    ),
    (
        "every cookie, and a list of cookies",
        r#"{"apis": [{"url": "/aa", "cookie": null}, {"url": "/b", "cookie": ["a", "b"]}]}"#,
        |config| {
            config.apis = vec![
                default_api("*/aa", None, "/aa"),
                Api {
                    cookie: Some(texts(&["a", "b"])),
                    ..default_api("*/b", None, "/b")
                },
            ];
        },
    ),
    (
        "APIs go by longest url; else they stay in order, but a named host goes before any host at the same url",
        r#"{"apis": [{}, {"url": "/b"}, {"url": "/long/path"}, {"url": "/a"}, {"url": "/b", "hostname": "h.example"},
            {"hostname": "[2001:db8::1]"}, {"hostname": "i.example", "url": "/b"}]}"#,
        |config| {
            config.apis = vec![
                default_api("*/long/path", None, "/long/path"),
                default_api("h.example/b", Some("h.example"), "/b"),
                default_api("i.example/b", Some("i.example"), "/b"),
                default_api("*/b", None, "/b"),
                default_api("*/a", None, "/a"),
                default_api("[2001:db8::1]/", Some("[2001:db8::1]"), ""),
                default_api("*/", None, ""),
            ];
        },
    ),
    (
        "both lists in full",
        r#"{"allow_list": {"ips": ["192.0.2.7", "2001:db8::/32"]},
            "deny_list": {"ips": ["0.0.0.0/0", "::/0", "::ffff:192.0.2.9", "::ffff:198.51.100.0/120", "::ffff:0:0/96", "[2001:db8::1]", "203.0.113.0/24"],
            "cookies": {"a": ["1"], "b": ["2", "\"3\""]}, "oauth_tokens": ["SECRET-t", "Bearer"],
            "api_keys": ["SECRET-k"], "usernames": ["ann lee"]}}"#,
        |config| {
            config.allow_list.ips = ranges(&["192.0.2.7/32", "2001:db8::/32"]);
            config.deny_list = ManualEntries {
                ips: ranges(&[
                    "0.0.0.0/0",
                    "::/0",
                    "192.0.2.9/32",
                    "198.51.100.0/24",
                    "0.0.0.0/0",
                    "2001:db8::1/128",
                    "203.0.113.0/24",
                ]),
                cookies: [("a", "1"), ("b", "2"), ("b", "3")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec(),
                oauth_tokens: texts(&["SECRET-t", "Bearer"]),
                api_keys: texts(&["SECRET-k"]),
                usernames: texts(&["ann lee"]),
            };
        },
    ),
    (
        "api_keys as a map, and one string for a list of one",
        r#"{"deny_list": {"api_keys": {"api_key": "k3", "x-api-key": ["k1", "k2"]}, "cookies": {"a": "1"}, "ips": "192.0.2.1"}}"#,
        |config| {
            config.deny_list.api_keys = texts(&["k3", "k1", "k2"]);
            config.deny_list.cookies = vec![("a".to_owned(), "1".to_owned())];
            config.deny_list.ips = ranges(&["192.0.2.1/32"]);
        },
    ),
    (
        "ABS writes null for a kind without entries",
        r#"{"deny_list": {"ips": null, "cookies": null, "oauth_tokens": null, "api_keys": null, "usernames": null}}"#,
        |_| {},
    ),
    (
        "a cookie's value with one double quote keeps it",
        r#"{"deny_list": {"cookies": {"a": ["\"x", "x\""]}}}"#,
        |config| {
            config.deny_list.cookies = ["\"x", "x\""]
                .map(|value| ("a".to_owned(), value.to_owned()))
                .to_vec();
        },
    ),
    (
        "the reply; google.protobuf.Struct makes floats of all numbers",
        r#"{"deny_response": {"status": 429.0, "body": "", "headers": {"Retry-After": "60", "X-B": "2", "a": ""}}}"#,
        |config| {
            config.deny_response = DenyResponse {
                status: 429,
                body: String::new(),
                headers: [("retry-after", "60"), ("x-b", "2"), ("a", "")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec(),
            };
        },
    ),
    (
        "the reply's bounds",
        r#"{"deny_response": {"status": 200}}"#,
        |config| config.deny_response.status = 200,
    ),
    (
        "the reply's other bound",
        r#"{"deny_response": {"status": 5.99e2}}"#,
        |config| config.deny_response.status = 599,
    ),
    (
        "traffic in full",
        r#"{"traffic": {"format": "sideband", "cluster": "ase", "authority": "ase.example.com:8443", "path": "/t?x=1", "gzip": true, "queue_memory": "1MB", "batch_bytes": "1KB",
            "flush_interval": "100ms", "sample": 0.25, "ase_token": "SECRET:t", "headers": ["Host", "X-Request-Id"]}}"#,
        |config| {
            config.traffic = Traffic {
                format: TrafficFormat::Sideband,
                cluster: Some("ase".to_owned()),
                authority: Some("ase.example.com:8443".to_owned()),
                path: "/t?x=1".to_owned(),
                gzip: true,
                queue_memory: 1 << 20,
                batch_bytes: 1 << 10,
                flush_interval: Duration::from_millis(100),
                sample: 0.25,
                ase_token: secret("SECRET:t"),
                headers: texts(&["host", "x-request-id"]),
            };
        },
    ),
    (
        "no traffic, no headers",
        r#"{"traffic": {"sample": 0, "headers": []}}"#,
        |config| {
            config.traffic.sample = 0.0;
            config.traffic.headers = Vec::new();
        },
    ),
    (
        "guard in full",
        r#"{"guard": {"widest_ipv4": 0, "widest_ipv6": 128.0, "max_change_percent": 250.5, "max_skipped_percent": 0, "never_block": ["10.0.0.0/8", "192.0.2.1"],
            "max_denied_percent": 100}}"#,
        |config| {
            config.guard = Guard {
                widest_ipv4: 0,
                widest_ipv6: 128,
                max_change_percent: Some(250.5),
                max_skipped_percent: 0.0,
                never_block: ranges(&["10.0.0.0/8", "192.0.2.1/32"]),
                max_denied_percent: Some(100.0),
            };
        },
    ),
    (
        "guard without percents",
        r#"{"guard": {"max_change_percent": null, "max_denied_percent": null}}"#,
        |_| {},
    ),
];

#[test]
fn valid_configurations_mean_what_they_say() {
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
fn every_error_is_reported_at_once_with_its_path() {
    for (name, json, expected) in REFUSED {
        let errors = parse(json.as_bytes()).expect_err(name);
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(shown, *expected, "{name}: {json}");
    }
}

#[test]
fn no_error_and_no_debug_output_shows_a_secret() {
    let mut n_with_secret = 0;
    for (name, json, _) in REFUSED {
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
        "only {n_with_secret} cases hold a secret"
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
            // A list within a list is wrong under every key.
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
fn any_value_under_any_key_is_read_or_refused() {
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
fn hostile_bytes_are_refused() {
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
    let mut n_refused = 0;
    for (_, json, _) in ACCEPTED {
        for (position, &byte) in json.as_bytes().iter().enumerate() {
            let mut broken = json.as_bytes().to_vec();
            for replacement in [b'"', b'{', b'0', b'-', 0xff, byte ^ 1] {
                broken[position] = replacement;
                n_refused += usize::from(parse(&broken).is_err());
            }
            broken.truncate(position);
            n_refused += usize::from(parse(&broken).is_err());
        }
    }
    assert!(n_refused > 0);
}

#[test]
fn manual_lists_are_bounded_so_that_no_worker_is_held_long() {
    let errors =
        |json: serde_json::Value| match Config::parse(json.to_string().as_bytes(), &|_| None) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
    let names = |n: usize| (0..n).map(|i| format!("user-{i}")).collect::<Vec<_>>();
    let allowed = "allowed: 5000 entries and 256 KB of values in allow_list and deny_list together, which a worker \
                   takes up within 5 ms; longer lists belong on ABS's attack list, which is taken up piece by piece \
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
            let told = errors(serde_json::json!({"deny_list": {key: named.clone()}}));
            let expected = format!("deny_list.{key}: found 251 names; allowed: at most 250 names");
            assert_eq!(told, vec![expected; found]);
        }
    }
}
