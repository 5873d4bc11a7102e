//! JSON syntax, unknown keys, types, and the top-level keys.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "JSON that ends early",
        r#"{"enable_abs": true,"#,
        &["configuration: not valid JSON at line 1, column 20: it ends too early; fix it there"],
    ),
    (
        "JSON with a trailing comma",
        r#"{"enable_abs": true,}"#,
        &["configuration: not valid JSON at line 1, column 21: trailing comma; fix it there"],
    ),
    (
        "two documents",
        "{} {}",
        &["configuration: not valid JSON at line 1, column 4: trailing characters; fix it there"],
    ),
    (
        "a number too large for a float",
        r#"{"abs_attack_request_minutes": 1e400}"#,
        &["configuration: not valid JSON at line 1, column 37: number out of range; fix it there"],
    ),
    (
        "a number that JSON does not support",
        r#"{"abs_attack_request_minutes": NaN}"#,
        &["configuration: not valid JSON at line 1, column 32: expected value; fix it there"],
    ),
    (
        "not an object",
        "[]",
        &["configuration: found a list; allowed: an object with named values, { }"],
    ),
    (
        "an unknown key near a known one",
        r#"{"enable_firewal": true}"#,
        &[
            r#"enable_firewal: unknown key; did you mean "enable_firewall"? Known keys here: enable_firewall, enable_abs, enable_abs_attack, abs_attack_request_minutes, abs_attack_request_minute, attack_list_memory, abs, apis, allow_list, deny_list, deny_response, before_first_list, attack_list_max_age, when_stale, traffic, guard, ipv6_prefix, feeds, fleet"#,
        ],
    ),
    (
        "an unknown key in a section",
        r#"{"abs": {"acces_key": "SECRET"}, "traffic": {"sampel": 1}, "guard": {"neverblock": []}, "fleet": {"reports": true}}"#,
        &[
            r#"abs.acces_key: unknown key; did you mean "access_key"? Known keys here: cluster, authority, access_key, secret_key, access_key_env, secret_key_env, timeout, attack_window"#,
            r#"traffic.sampel: unknown key; did you mean "sample"? Known keys here: format, cluster, authority, path, gzip, queue_memory, batch_bytes, flush_interval, sample, ase_token, ase_token_env, headers"#,
            r#"guard.neverblock: unknown key; did you mean "never_block"? Known keys here: widest_ipv4, widest_ipv6, max_change_percent, max_skipped_percent, never_block, max_denied_percent"#,
            r#"fleet.reports: unknown key; did you mean "report"? Known keys here: report"#,
        ],
    ),
    (
        "an unknown key in an entry of a list",
        r#"{"apis": [{}, {"url": "/a", "cookies": "SECRET"}]}"#,
        &[
            r#"apis[1].cookies: unknown key; did you mean "cookie"? Known keys here: api_id, hostname, url, enable_blocking, mode, cookie, oauth2_access_token, oauth2_query, oauth2_cookie, path_parameters, url_case_insensitive, jwt, apikey_header, apikey_qs, username, feeds"#,
        ],
    ),
    (
        "an unknown key in a manual list",
        r#"{"deny_list": {"ip": ["192.0.2.1"]}, "allow_list": {"tokens": ["SECRET"]}}"#,
        &[
            r#"allow_list.tokens: unknown key; did you mean "cookies"? Known keys here: ips, cookies, oauth_tokens, api_keys, usernames"#,
            r#"deny_list.ip: unknown key; did you mean "ips"? Known keys here: ips, cookies, oauth_tokens, api_keys, usernames"#,
        ],
    ),
    (
        "an unknown key that would break the line",
        r#"{"a\"b\nc": 1}"#,
        &[
            r#"["a\"b\nc"]: unknown key; did you mean "abs"? Known keys here: enable_firewall, enable_abs, enable_abs_attack, abs_attack_request_minutes, abs_attack_request_minute, attack_list_memory, abs, apis, allow_list, deny_list, deny_response, before_first_list, attack_list_max_age, when_stale, traffic, guard, ipv6_prefix, feeds, fleet"#,
        ],
    ),
    (
        "a duplicate key",
        r#"{"enable_abs": true, "abs": {"cluster": "a", "cluster": "b"}, "enable_abs": false}"#,
        &[
            "enable_abs: duplicate key; keep only one of them",
            "abs.cluster: duplicate key; keep only one of them",
        ],
    ),
    (
        "a duplicate key in a nested object",
        r#"{"apis": [{"username": [{"header": "x-user", "header": "x-login"}]}]}"#,
        &["apis[0].username[0].header: duplicate key; keep only one of them"],
    ),
    (
        "booleans of another type",
        r#"{"enable_firewall": "true", "enable_abs": 1, "enable_abs_attack": null, "traffic": {"gzip": []}, "fleet": {"report": "true"}}"#,
        &[
            "enable_abs: found a number; allowed: true or false, without quotes",
            "enable_abs_attack: found null; allowed: true or false, without quotes",
            "enable_firewall: found a string; allowed: true or false, without quotes",
            "traffic.gzip: found a list; allowed: true or false, without quotes",
            "fleet.report: found a string; allowed: true or false, without quotes",
        ],
    ),
    (
        "sections of another type",
        r#"{"abs": "SECRET", "apis": {}, "allow_list": [], "deny_list": 1, "deny_response": 403, "traffic": true, "guard": "x", "fleet": true}"#,
        &[
            "abs: found a string; allowed: an object with named values, { }",
            r#"apis: found an object; allowed: a list of API objects, such as [{"api_id": "shop", "url": "/shop"}]"#,
            "allow_list: found a list; allowed: an object with named values, { }",
            "deny_list: found a number; allowed: an object with named values, { }",
            "deny_response: found a number; allowed: an object with named values, { }",
            "traffic: found a boolean; allowed: an object with named values, { }",
            "guard: found a string; allowed: an object with named values, { }",
            "fleet: found a boolean; allowed: an object with named values, { }",
        ],
    ),
    (
        "minutes: too few",
        r#"{"abs_attack_request_minutes": 0.016}"#,
        &[
            "abs_attack_request_minutes: found 0.016; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: zero",
        r#"{"abs_attack_request_minutes": 0}"#,
        &[
            "abs_attack_request_minutes: found 0; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: negative",
        r#"{"abs_attack_request_minutes": -10.5}"#,
        &[
            "abs_attack_request_minutes: found -10.5; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: too many",
        r#"{"abs_attack_request_minutes": 525601}"#,
        &[
            "abs_attack_request_minutes: found 525601; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: far too many",
        r#"{"abs_attack_request_minute": 1e300}"#,
        &[
            "abs_attack_request_minute: found 1e+300; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: almost zero",
        r#"{"abs_attack_request_minute": 1e-300}"#,
        &[
            "abs_attack_request_minute: found 1e-300; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: strings that are not fractions",
        r#"{"abs_attack_request_minutes": ".5", "traffic": {"sample": "0."}, "guard": {"max_change_percent": "-1.5"}}"#,
        &[
            "abs_attack_request_minutes: found a string; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
            "traffic.sample: found a string; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
            "guard.max_change_percent: found a string; allowed: null for any change, or a number of percent above 0, such as 50",
        ],
    ),
    (
        "minutes: a string",
        r#"{"abs_attack_request_minutes": "10"}"#,
        &[
            "abs_attack_request_minutes: found a string; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: both spellings",
        r#"{"abs_attack_request_minutes": 10, "abs_attack_request_minute": 5}"#,
        &[
            "abs_attack_request_minute: another spelling of abs_attack_request_minutes, which is also set; keep abs_attack_request_minutes",
        ],
    ),
    (
        "sizes: no unit, unknown unit, fraction",
        r#"{"attack_list_memory": "128", "traffic": {"queue_memory": "4MiB", "batch_bytes": "1.5KB"}}"#,
        &[
            r#"attack_list_memory: found "128"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
            r#"traffic.queue_memory: found "4MiB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
            r#"traffic.batch_bytes: found "1.5KB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
        ],
    ),
    (
        "sizes: zero",
        r#"{"attack_list_memory": "0MB"}"#,
        &[
            r#"attack_list_memory: found "0MB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
        ],
    ),
    (
        "sizes: too large",
        r#"{"attack_list_memory": "2GB"}"#,
        &[
            r#"attack_list_memory: found "2GB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
        ],
    ),
    (
        "sizes: beyond 64 bits",
        r#"{"attack_list_memory": "99999999999999999999GB", "traffic": {"queue_memory": "18014398509481984KB", "batch_bytes": "-1KB"}}"#,
        &[
            r#"attack_list_memory: found "99999999999999999999GB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
            r#"traffic.queue_memory: found "18014398509481984KB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
            r#"traffic.batch_bytes: found "-1KB"; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
        ],
    ),
    (
        "sizes: a number",
        r#"{"attack_list_memory": 134217728}"#,
        &[
            r#"attack_list_memory: found a number; allowed: a size from "1B" to "1GB", such as "64KB" or "128MB" (whole number; units B, KB, MB, GB; powers of 1024)"#,
        ],
    ),
    (
        "sizes: a batch larger than the queue",
        r#"{"traffic": {"queue_memory": "64KB"}}"#,
        &[
            "traffic.batch_bytes: found a batch larger than the queue; allowed: at most queue_memory: lower batch_bytes, or raise queue_memory",
        ],
    ),
    (
        "durations: no unit, unknown unit, a number, beyond 64 bits",
        r#"{"attack_list_max_age": "30", "abs": {"timeout": "30sec", "attack_window": 30}, "traffic": {"flush_interval": "999999999999999999d"}}"#,
        &[
            r#"abs.timeout: found "30sec"; allowed: a duration from "1ms" to "1h", such as "30s" (whole number; units ms, s, m, h, d)"#,
            r#"abs.attack_window: found a number; allowed: a duration from "1m" to "3650d", such as "30d" (whole number; units ms, s, m, h, d)"#,
            r#"attack_list_max_age: found "30"; allowed: null for never, or a duration from "1s" to "3650d", such as "24h" (whole number; units ms, s, m, h, d)"#,
            r#"traffic.flush_interval: found "999999999999999999d"; allowed: a duration from "10ms" to "1h", such as "2s" (whole number; units ms, s, m, h, d)"#,
        ],
    ),
    (
        "durations: too short",
        r#"{"attack_list_max_age": "0s", "abs": {"timeout": "0ms", "attack_window": "59s"}, "traffic": {"flush_interval": "9ms"}}"#,
        &[
            r#"abs.timeout: found "0ms"; allowed: a duration from "1ms" to "1h", such as "30s" (whole number; units ms, s, m, h, d)"#,
            r#"abs.attack_window: found "59s"; allowed: a duration from "1m" to "3650d", such as "30d" (whole number; units ms, s, m, h, d)"#,
            r#"attack_list_max_age: found "0s"; allowed: null for never, or a duration from "1s" to "3650d", such as "24h" (whole number; units ms, s, m, h, d)"#,
            r#"traffic.flush_interval: found "9ms"; allowed: a duration from "10ms" to "1h", such as "2s" (whole number; units ms, s, m, h, d)"#,
        ],
    ),
    (
        "durations: too long",
        r#"{"attack_list_max_age": "3651d", "abs": {"timeout": "61m", "attack_window": "3651d"}, "traffic": {"flush_interval": "3601s"}}"#,
        &[
            r#"abs.timeout: found "61m"; allowed: a duration from "1ms" to "1h", such as "30s" (whole number; units ms, s, m, h, d)"#,
            r#"abs.attack_window: found "3651d"; allowed: a duration from "1m" to "3650d", such as "30d" (whole number; units ms, s, m, h, d)"#,
            r#"attack_list_max_age: found "3651d"; allowed: null for never, or a duration from "1s" to "3650d", such as "24h" (whole number; units ms, s, m, h, d)"#,
            r#"traffic.flush_interval: found "3601s"; allowed: a duration from "10ms" to "1h", such as "2s" (whole number; units ms, s, m, h, d)"#,
        ],
    ),
    (
        "unknown words",
        r#"{"before_first_list": "Deny", "when_stale": "", "apis": [{"mode": "dry-run"}], "traffic": {"format": "json"}}"#,
        &[
            r#"before_first_list: found "Deny"; allowed: "allow" or "deny""#,
            r#"when_stale: found ""; allowed: "keep" or "drop""#,
            r#"apis[0].mode: found "dry-run"; allowed: "enforce" or "shadow""#,
            r#"traffic.format: found "json"; allowed: "sideband" (for ASE) or "batch" (for a receiver of your own)"#,
        ],
    ),
    (
        "choices of another type",
        r#"{"before_first_list": true, "when_stale": null}"#,
        &[
            r#"before_first_list: found a boolean; allowed: "allow" or "deny""#,
            r#"when_stale: found null; allowed: "keep" or "drop""#,
        ],
    ),
];
