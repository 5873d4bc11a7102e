//! Accepted configurations, and how each differs from the defaults.

use core::time::Duration;

use ipnet::IpNet;

use crate::config::*;

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
pub(super) fn defaults() -> Config {
    Config {
        enable_firewall: true,
        enable_abs: false,
        enable_abs_attack: false,
        refresh_interval: Duration::from_secs(600),
        attack_list_memory: 128 * 1024 * 1024,
        abs: None,
        apis: Apis::new(vec![default_api("*/", None, "")]),
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
            max_loss_percent: None,
            max_skipped_percent: 10.0,
            never_block: Vec::new(),
            max_denied_percent: None,
        },
        ipv6_prefix: 128,
        feeds: Vec::new(),
        disabled_feeds: Vec::new(),
        fleet_report: false,
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
        feeds: None,
        scope_headers: Vec::new(),
        token_claims: Vec::new(),
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
pub(super) type Change = fn(&mut Config);

/// Name, configuration, what differs from the defaults.
pub(super) const ACCEPTED: &[(&str, &str, Change)] = &[
    ("no bytes at all", "", |_| {}),
    ("an empty object", "{}", |_| {}),
    ("white space around", " \n{\t}\r\n", |_| {}),
    (
        "empty sections",
        r#"{"abs": {}, "apis": [], "allow_list": {}, "deny_list": {}, "deny_response": {}, "traffic": {}, "guard": {}, "fleet": {}}"#,
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
        "keys from the environment; an empty one is absent",
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
        "environment variables are not read if ABS is not used",
        r#"{"abs": {"access_key_env": "BAD_COLON"}, "traffic": {"ase_token_env": "TWO_LINES"}}"#,
        |_| {},
    ),
    (
        "reports of this node",
        r#"{"fleet": {"report": true}}"#,
        |config| config.fleet_report = true,
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
        "behaviour without a list and with a stale list",
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
            config.apis = Apis::new(vec![Api {
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
                feeds: None,
                scope_headers: Vec::new(),
                token_claims: Vec::new(),
            }]);
        },
    ),
    (
        "an API that reads nothing",
        r#"{"apis": [{"cookie": [], "oauth2_access_token": false, "apikey_header": [], "apikey_qs": [], "username": []}]}"#,
        |config| {
            config.apis = Apis::new(vec![Api {
                cookie: Some(Vec::new()),
                oauth2_access_token: false,
                apikey_header: Vec::new(),
                apikey_qs: Vec::new(),
                username: Vec::new(),
                ..default_api("*/", None, "")
            }]);
        },
    ),
    (
        "every cookie, and a list of cookies",
        r#"{"apis": [{"url": "/aa", "cookie": null}, {"url": "/b", "cookie": ["a", "b"]}]}"#,
        |config| {
            config.apis = Apis::new(vec![
                default_api("*/aa", None, "/aa"),
                Api {
                    cookie: Some(texts(&["a", "b"])),
                    ..default_api("*/b", None, "/b")
                },
            ]);
        },
    ),
    (
        "APIs are ordered by longest url; of equal urls, those with a hostname are first",
        r#"{"apis": [{}, {"url": "/b"}, {"url": "/long/path"}, {"url": "/a"}, {"url": "/b", "hostname": "h.example"},
            {"hostname": "[2001:db8::1]"}, {"hostname": "i.example", "url": "/b"}]}"#,
        |config| {
            config.apis = Apis::new(vec![
                default_api("*/long/path", None, "/long/path"),
                default_api("h.example/b", Some("h.example"), "/b"),
                default_api("i.example/b", Some("i.example"), "/b"),
                default_api("*/b", None, "/b"),
                default_api("*/a", None, "/a"),
                default_api("[2001:db8::1]/", Some("[2001:db8::1]"), ""),
                default_api("*/", None, ""),
            ]);
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
        "a single double quote is part of a cookie value",
        r#"{"deny_list": {"cookies": {"a": ["\"x", "x\""]}}}"#,
        |config| {
            config.deny_list.cookies = ["\"x", "x\""]
                .map(|value| ("a".to_owned(), value.to_owned()))
                .to_vec();
        },
    ),
    (
        "the deny response; google.protobuf.Struct has only floats",
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
        "the lowest status",
        r#"{"deny_response": {"status": 200}}"#,
        |config| config.deny_response.status = 200,
    ),
    (
        "the highest status",
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
                max_loss_percent: None,
                max_skipped_percent: 0.0,
                never_block: ranges(&["10.0.0.0/8", "192.0.2.1/32"]),
                max_denied_percent: Some(100.0),
            };
        },
    ),
    (
        "guard without percentages",
        r#"{"guard": {"max_change_percent": null, "max_denied_percent": null}}"#,
        |_| {},
    ),
];
