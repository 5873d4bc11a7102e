//! Every check of the configuration: what is typed, and the whole text of all errors.

/// Name, configuration, errors. The environment has `BAD_COLON` and `BAD_LINE`, whose values are refused. What must
/// not be shown is spelled `SECRET`.
pub(super) const REFUSED: &[(&str, &str, &[&str])] = &[
    (
        "JSON that ends early",
        r#"{"enable_abs": true,"#,
        &["configuration: not valid JSON at line 1, column 20: it ends too early; mend it there"],
    ),
    (
        "JSON with a trailing comma",
        r#"{"enable_abs": true,}"#,
        &["configuration: not valid JSON at line 1, column 21: trailing comma; mend it there"],
    ),
    (
        "two documents",
        "{} {}",
        &["configuration: not valid JSON at line 1, column 4: trailing characters; mend it there"],
    ),
    (
        "a number too large for a float",
        r#"{"abs_attack_request_minutes": 1e400}"#,
        &["configuration: not valid JSON at line 1, column 37: number out of range; mend it there"],
    ),
    (
        "a number that JSON does not have",
        r#"{"abs_attack_request_minutes": NaN}"#,
        &["configuration: not valid JSON at line 1, column 32: expected value; mend it there"],
    ),
    (
        "another type than an object",
        "[]",
        &["configuration: found a list; allowed: an object with named values, { }"],
    ),
    (
        "an unknown key near a known one",
        r#"{"enable_firewal": true}"#,
        &[
            r#"enable_firewal: unknown key; did you mean "enable_firewall"? Known keys here: enable_firewall, enable_abs, enable_abs_attack, abs_attack_request_minutes, abs_attack_request_minute, attack_list_memory, abs, apis, allow_list, deny_list, deny_response, before_first_list, attack_list_max_age, when_stale, traffic, guard, ipv6_prefix"#,
        ],
    ),
    (
        "an unknown key in a section",
        r#"{"abs": {"acces_key": "SECRET"}, "traffic": {"sampel": 1}, "guard": {"neverblock": []}}"#,
        &[
            r#"abs.acces_key: unknown key; did you mean "access_key"? Known keys here: cluster, authority, access_key, secret_key, access_key_env, secret_key_env, timeout, attack_window"#,
            r#"traffic.sampel: unknown key; did you mean "sample"? Known keys here: format, cluster, authority, path, gzip, queue_memory, batch_bytes, flush_interval, sample, ase_token, ase_token_env, headers"#,
            r#"guard.neverblock: unknown key; did you mean "never_block"? Known keys here: widest_ipv4, widest_ipv6, max_change_percent, max_skipped_percent, never_block, max_denied_percent"#,
        ],
    ),
    (
        "an unknown key in an entry of a list",
        r#"{"apis": [{}, {"url": "/a", "cookies": "SECRET"}]}"#,
        &[
            r#"apis[1].cookies: unknown key; did you mean "cookie"? Known keys here: api_id, hostname, url, enable_blocking, mode, cookie, oauth2_access_token, oauth2_query, oauth2_cookie, path_parameters, url_case_insensitive, jwt, apikey_header, apikey_qs, username"#,
        ],
    ),
    (
        "an unknown key in a list of ABS's shape",
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
            r#"["a\"b\nc"]: unknown key; did you mean "abs"? Known keys here: enable_firewall, enable_abs, enable_abs_attack, abs_attack_request_minutes, abs_attack_request_minute, attack_list_memory, abs, apis, allow_list, deny_list, deny_response, before_first_list, attack_list_max_age, when_stale, traffic, guard, ipv6_prefix"#,
        ],
    ),
    (
        "a key that stands twice",
        r#"{"enable_abs": true, "abs": {"cluster": "a", "cluster": "b"}, "enable_abs": false}"#,
        &[
            "abs.cluster: the key stands twice in this object; keep one of them",
            "enable_abs: the key stands twice in this object; keep one of them",
        ],
    ),
    (
        "a key that stands twice, deep inside",
        r#"{"apis": [{"username": [{"header": "x-user", "header": "x-login"}]}]}"#,
        &["apis[0].username[0].header: the key stands twice in this object; keep one of them"],
    ),
    (
        "booleans of another type",
        r#"{"enable_firewall": "true", "enable_abs": 1, "enable_abs_attack": null, "traffic": {"gzip": []}}"#,
        &[
            "enable_abs: found a number; allowed: true or false, without quotes",
            "enable_abs_attack: found null; allowed: true or false, without quotes",
            "enable_firewall: found a string; allowed: true or false, without quotes",
            "traffic.gzip: found a list; allowed: true or false, without quotes",
        ],
    ),
    (
        "sections of another type",
        r#"{"abs": "SECRET", "apis": {}, "allow_list": [], "deny_list": 1, "deny_response": 403, "traffic": true, "guard": "x"}"#,
        &[
            "abs: found a string; allowed: an object with named values, { }",
            r#"apis: found an object; allowed: a list of API objects, such as [{"api_id": "shop", "url": "/shop"}]"#,
            "allow_list: found a list; allowed: an object with named values, { }",
            "deny_list: found a number; allowed: an object with named values, { }",
            "deny_response: found a number; allowed: an object with named values, { }",
            "traffic: found a boolean; allowed: an object with named values, { }",
            "guard: found a string; allowed: an object with named values, { }",
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
        "minutes: none",
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
            "abs_attack_request_minute: found a number beyond 10^12; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: barely more than none",
        r#"{"abs_attack_request_minute": 1e-300}"#,
        &[
            "abs_attack_request_minute: found a number within 0.000001 of 0; allowed: a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5",
        ],
    ),
    (
        "minutes: strings that are no fractions",
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
            "abs_attack_request_minute: another spelling of abs_attack_request_minutes, which is there too; keep abs_attack_request_minutes",
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
        "sizes: none",
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
        "words that are none of the choices",
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
    (
        "abs.cluster missing for enable_abs",
        r#"{"enable_abs": true, "traffic": {"format": "batch"}}"#,
        &[
            "abs.cluster: missing; enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off",
        ],
    ),
    (
        "traffic.format missing for enable_abs",
        r#"{"enable_abs": true, "abs": {"cluster": "abs"}, "traffic": {"gzip": true}}"#,
        &[
            "traffic.format: missing; enable_abs needs it: \"sideband\" sends to ASE's sideband interface (name ASE's cluster in traffic.cluster), \"batch\" sends to a receiver of your own at traffic.path; or turn enable_abs off",
        ],
    ),
    (
        "traffic.cluster and traffic.authority",
        r#"{"traffic": {"cluster": "", "authority": "ase example"}}"#,
        &[
            "traffic.cluster: found an empty string; allowed: one or more visible ASCII characters, without spaces",
            r#"traffic.authority: found the character " "; allowed: one or more visible ASCII characters, without spaces"#,
        ],
    ),
    (
        "abs.cluster missing for enable_abs_attack",
        r#"{"enable_abs_attack": true, "abs": {"authority": "abs.example.com"}}"#,
        &[
            "abs.cluster: missing; enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off",
        ],
    ),
    (
        "abs.cluster empty, abs.authority with a space",
        r#"{"enable_abs": true, "abs": {"cluster": "", "authority": "abs example"}, "traffic": {"format": "batch"}}"#,
        &[
            "abs.cluster: found an empty string; allowed: one or more visible ASCII characters, without spaces",
            r#"abs.authority: found the character " "; allowed: one or more visible ASCII characters, without spaces"#,
        ],
    ),
    (
        "abs.cluster of another type is not missing too",
        r#"{"enable_abs": true, "abs": {"cluster": 1}, "traffic": {"format": "batch"}}"#,
        &[
            r#"abs.cluster: found a number; allowed: the name of the Envoy cluster of ABS, such as "abs""#,
        ],
    ),
    (
        "abs of another type: the cluster is not missing too",
        r#"{"enable_abs": true, "abs": [], "traffic": {"format": "batch"}}"#,
        &["abs: found a list; allowed: an object with named values, { }"],
    ),
    (
        "keys with a colon",
        r#"{"abs": {"access_key": "SECRET:1", "secret_key": "SECRET:2"}}"#,
        &[
            r#"abs.access_key: found the character ":"; allowed: a key of visible ASCII characters without ":""#,
            r#"abs.secret_key: found the character ":"; allowed: a key of visible ASCII characters without ":""#,
        ],
    ),
    (
        "keys with a line break, of another type",
        r#"{"abs": {"access_key": "SECRET\nSECRET", "secret_key": 12345}}"#,
        &[
            r#"abs.access_key: found the character "\n"; allowed: a key of visible ASCII characters without ":""#,
            "abs.secret_key: found a number; allowed: a string; or leave it out and set the environment variable",
        ],
    ),
    (
        "keys that are empty or not ASCII",
        r#"{"abs": {"access_key": "", "secret_key": "SECRETü"}}"#,
        &[
            r#"abs.access_key: found an empty string; allowed: a key of visible ASCII characters without ":""#,
            r#"abs.secret_key: found the character "ü"; allowed: a key of visible ASCII characters without ":""#,
        ],
    ),
    (
        "names of variables that can't be any",
        r#"{"abs": {"access_key_env": "SECRET KEY", "secret_key_env": ""}}"#,
        &[
            r#"abs.access_key_env: found the character " "; allowed: the name of an environment variable (letters, digits and underscores), such as "ABS_ACCESS_KEY""#,
            r#"abs.secret_key_env: found an empty string; allowed: the name of an environment variable (letters, digits and underscores), such as "ABS_ACCESS_KEY""#,
        ],
    ),
    (
        "values of which nothing is left",
        r#"{"deny_list": {"oauth_tokens": ["\"\""], "api_keys": ["+"], "usernames": ["\""]}}"#,
        &[
            "deny_list.oauth_tokens[0]: found a string of white space, quotes and plus signs only; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.api_keys[0]: found a string of white space, quotes and plus signs only; allowed: a string that is not empty and has no line break and no NUL",
            "deny_list.usernames[0]: found a string of white space, quotes and plus signs only; allowed: a string that is not empty and has no line break and no NUL",
        ],
    ),
    (
        "a token with a space",
        r#"{"traffic": {"ase_token": "SECRET SECRET"}}"#,
        &[
            r#"traffic.ase_token: found the character " "; allowed: one or more visible ASCII characters, without spaces"#,
        ],
    ),
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
            "apis[2]: the same hostname and url as apis[0]; make one entry of the two, or change the hostname or url of one",
            "apis[3]: the same hostname and url as apis[1]; make one entry of the two, or change the hostname or url of one",
        ],
    ),
    (
        "apis: the same place by default",
        r#"{"apis": [{}, {"hostname": "*", "url": "/"}]}"#,
        &[
            "apis[1]: the same hostname and url as apis[0]; make one entry of the two, or change the hostname or url of one",
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
            r#"apis[0].url: found an empty string; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[1].url: found "shop"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[2].url: found the character "*"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[3].url: found the character "?"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[4].url: found "/a//b"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[5].url: found "/a/../b"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[6].url: found "/a/."; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[7].url: found "//"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[8].url: found the character " "; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[9].url: found the character "ü"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            r#"apis[10].url: found a number; allowed: a base path, such as "/shop"; "/" for any"#,
            r#"apis[11].url: found "https://example.com/"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
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
            r#"apis[0].apikey_header[0]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
            r#"apis[0].apikey_header[1]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
            r#"apis[0].apikey_header[2]: found an empty string; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
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
            r#"apis[0].username[0]: found an empty object; allowed: one source an object: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}"#,
            "apis[0].username[1].basic_auth: found false; allowed: true; leave this source out to not use it",
            "apis[0].username[2].basic_auth: found a number; allowed: true",
            r#"apis[0].username[3].header: found the character " "; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
            "apis[0].username[4].jwt_claim: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            r#"apis[0].username[5]: found an object with several keys; allowed: one source an object: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}"#,
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
        "apis: user names, a source alone",
        r#"{"apis": [{"username": {"basic_auth": true}}]}"#,
        &[
            r#"apis[0].username: found an object; allowed: a list of sources: {"basic_auth": true}, {"header": "x-user"} or {"jwt_claim": "sub"}; [] for none"#,
        ],
    ),
    (
        "addresses: host bits",
        r#"{"deny_list": {"ips": ["192.0.2.7/24", "2001:db8::1/32", "::ffff:192.0.2.7/120", "::ffff:0.0.0.0/95", "[2001:db8::1]/64"]}}"#,
        &[
            r#"deny_list.ips[0]: found "192.0.2.7/24", which has bits set behind its prefix; write 192.0.2.0/24 for the range or 192.0.2.7/32 for the one address"#,
            r#"deny_list.ips[1]: found "2001:db8::1/32", which has bits set behind its prefix; write 2001:db8::/32 for the range or 2001:db8::1/128 for the one address"#,
            r#"deny_list.ips[2]: found "::ffff:192.0.2.7/120", which has bits set behind its prefix; write 192.0.2.0/24 for the range or 192.0.2.7/32 for the one address"#,
            r#"deny_list.ips[3]: found "::ffff:0.0.0.0/95", which has bits set behind its prefix; write ::fffe:0:0/95 for the range or ::ffff:0.0.0.0/128 for the one address"#,
            r#"deny_list.ips[4]: found "[2001:db8::1]/64", which has bits set behind its prefix; write 2001:db8::/64 for the range or 2001:db8::1/128 for the one address"#,
        ],
    ),
    (
        "addresses: no addresses",
        r#"{"deny_list": {"ips": ["10.0.0.256", "192.0.2.0/33", "2001:db8::/129", "192.0.2.0/024", "192.0.2.0/+8", "192.0.2.0/", "/8", "192.0.2.0/255.255.255.0", "localhost", "eyJhbGciOi.SECRET.x", "deadbeefSECRETdeadbeef", "", "192.0.2. 1"]}}"#,
        &[
            r#"deny_list.ips[0]: found "10.0.0.256"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            r#"deny_list.ips[1]: found "192.0.2.0/33"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            r#"deny_list.ips[2]: found "2001:db8::/129"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            r#"deny_list.ips[3]: found "192.0.2.0/024"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            "deny_list.ips[4]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            r#"deny_list.ips[5]: found "192.0.2.0/"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            "deny_list.ips[6]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            r#"deny_list.ips[7]: found "192.0.2.0/255.255.255.0"; allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"#,
            "deny_list.ips[8]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[9]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[10]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[11]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
            "deny_list.ips[12]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
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
        "manual lists: a cookie's name with its value",
        r#"{"deny_list": {"cookies": {"": ["SECRET"], "SID=SECRET": ["x"]}}}"#,
        &[
            r#"deny_list.cookies: found an empty string; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
            r#"deny_list.cookies: found the character "="; allowed: a cookie's name, without =, ; and control characters, such as "JSESSIONID""#,
        ],
    ),
    (
        "cookies' values that no request could hold",
        r#"{"deny_list": {"cookies": {"session": ["SECRET; SECRET", "SECRET\nSECRET"]}}, "allow_list": {"usernames": "SECRET\r\nSECRET"}}"#,
        &[
            r#"allow_list.usernames: found the character "\r"; allowed: a string that is not empty and has no line break and no NUL"#,
            r#"deny_list.cookies.session[0]: found the character ";"; allowed: a cookie's value without ";", which ends a cookie, so that no request could match; write it as %3B, which matches the same requests"#,
            r#"deny_list.cookies.session[1]: found the character "\n"; allowed: a string that is not empty and has no line break and no NUL"#,
        ],
    ),
    (
        "deny_response: status",
        r#"{"deny_response": {"status": 199}}"#,
        &[
            "deny_response.status: found 199; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 101",
        r#"{"deny_response": {"status": 101, "body": ""}}"#,
        &[
            "deny_response.status: found 101; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 204",
        r#"{"deny_response": {"status": 204, "body": ""}}"#,
        &[
            "deny_response.status: found 204; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 205",
        r#"{"deny_response": {"status": 205, "body": ""}}"#,
        &[
            "deny_response.status: found 205; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "status 304",
        r#"{"deny_response": {"status": 304, "body": ""}}"#,
        &[
            "deny_response.status: found 304; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: status too high",
        r#"{"deny_response": {"status": 600.0}}"#,
        &[
            "deny_response.status: found 600; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: status with a fraction",
        r#"{"deny_response": {"status": 403.5}}"#,
        &[
            "deny_response.status: found 403.5; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: status and body of another type",
        r#"{"deny_response": {"status": "403", "body": null}}"#,
        &[
            "deny_response.status: found a string; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
            r#"deny_response.body: found null; allowed: a string; "" for no body"#,
        ],
    ),
    (
        "deny_response: a huge status",
        r#"{"deny_response": {"status": 18446744073709551615}}"#,
        &[
            "deny_response.status: found a number beyond 10^12; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
        ],
    ),
    (
        "deny_response: headers",
        r#"{"deny_response": {"headers": {"": "a", ":status": "200", "x y": "a", "x-a": "a\r\nset-cookie: SECRET", "x-b": 1, "x-nul": "\u0000"}}}"#,
        &[
            r#"deny_response.headers[""]: found an empty string; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
            r#"deny_response.headers[":status"]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
            r#"deny_response.headers["x y"]: found the character " "; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
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
        &["deny_response.headers.x-a: the key stands twice in this object; keep one of them"],
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
            "traffic.sample: found a number within 0.000001 of 0; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
        ],
    ),
    (
        "traffic: path and headers",
        r#"{"traffic": {"path": "portcullis", "headers": ["User Agent", ":path"], "sample": "1"}}"#,
        &[
            "traffic.sample: found a string; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
            r#"traffic.path: found "portcullis"; allowed: a path that starts with /, of visible ASCII characters alone, such as "/portcullis/v1/traffic""#,
            r#"traffic.headers[0]: found the character " "; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
            r#"traffic.headers[1]: found the character ":"; allowed: a header name of letters, digits and !#$%&'*+-.^_`|~ alone, such as "x-api-key""#,
        ],
    ),
    (
        "traffic: path with white space",
        r#"{"traffic": {"path": "/a b"}}"#,
        &[
            r#"traffic.path: found the character " "; allowed: a path that starts with /, of visible ASCII characters alone, such as "/portcullis/v1/traffic""#,
        ],
    ),
    (
        "guard: widths",
        r#"{"guard": {"widest_ipv4": 33, "widest_ipv6": 129}}"#,
        &[
            "guard.widest_ipv4: found 33; allowed: a prefix length, a whole number from 0 (any range) to 32 (addresses alone)",
            "guard.widest_ipv6: found 129; allowed: a prefix length, a whole number from 0 (any range) to 128 (addresses alone)",
        ],
    ),
    (
        "guard: more widths",
        r#"{"guard": {"widest_ipv4": -1, "widest_ipv6": 32.5}}"#,
        &[
            "guard.widest_ipv4: found -1; allowed: a prefix length, a whole number from 0 (any range) to 32 (addresses alone)",
            "guard.widest_ipv6: found 32.5; allowed: a prefix length, a whole number from 0 (any range) to 128 (addresses alone)",
        ],
    ),
    (
        "guard: widths of another type",
        r#"{"guard": {"widest_ipv4": null, "widest_ipv6": "32"}}"#,
        &[
            "guard.widest_ipv4: found null; allowed: a prefix length, a whole number from 0 (any range) to 32 (addresses alone)",
            "guard.widest_ipv6: found a string; allowed: a prefix length, a whole number from 0 (any range) to 128 (addresses alone)",
        ],
    ),
    (
        "guard: percents",
        r#"{"guard": {"max_change_percent": 0, "max_denied_percent": 100.1}}"#,
        &[
            "guard.max_change_percent: found 0; allowed: null for any change, or a number of percent above 0, such as 50",
            "guard.max_denied_percent: found 100.1; allowed: null for any share, or a number of percent above 0 and up to 100, such as 20",
        ],
    ),
    (
        "guard: percents of another type",
        r#"{"guard": {"max_change_percent": "50", "max_denied_percent": false}}"#,
        &[
            "guard.max_change_percent: found a string; allowed: null for any change, or a number of percent above 0, such as 50",
            "guard.max_denied_percent: found a boolean; allowed: null for any share, or a number of percent above 0 and up to 100, such as 20",
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
        "guard: more skipped entries than there are",
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
            r#"guard.never_block[0]: found "10.0.0.1/8", which has bits set behind its prefix; write 10.0.0.0/8 for the range or 10.0.0.1/32 for the one address"#,
            "guard.never_block[1]: found a string that is no address (not shown); allowed: an address or a CIDR range, such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32",
        ],
    ),
    (
        "every error at once",
        r#"{"enable_abs_attack": true, "abs": {"access_key": "SECRET:", "timeout": 5, "typo": 1}, "apis": [{"cookie": 5}, {"cookie": [1], "url": "x"}], "deny_list": {"ips": ["192.0.2.1", "10.0.0.1/8"], "usernames": [""]}, "deny_response": {"status": 1}, "when_stale": "maybe", "guard": {"widest_ipv4": 99}, "traffic": {"sample": 2}, "bogus": {}}"#,
        &[
            r#"bogus: unknown key; did you mean "abs"? Known keys here: enable_firewall, enable_abs, enable_abs_attack, abs_attack_request_minutes, abs_attack_request_minute, attack_list_memory, abs, apis, allow_list, deny_list, deny_response, before_first_list, attack_list_max_age, when_stale, traffic, guard, ipv6_prefix"#,
            r#"when_stale: found "maybe"; allowed: "keep" or "drop""#,
            r#"abs.typo: unknown key; did you mean "timeout"? Known keys here: cluster, authority, access_key, secret_key, access_key_env, secret_key_env, timeout, attack_window"#,
            r#"abs.timeout: found a number; allowed: a duration from "1ms" to "1h", such as "30s" (whole number; units ms, s, m, h, d)"#,
            "abs.cluster: missing; enable_abs and enable_abs_attack need it: name the Envoy cluster of ABS, or turn both off",
            r#"abs.access_key: found the character ":"; allowed: a key of visible ASCII characters without ":""#,
            "apis[0].cookie: found a number; allowed: a cookie's name, or a list of names; null for every cookie, [] for none",
            r#"apis[1].url: found "x"; allowed: a base path that starts with / and has whole segments alone, such as "/shop": no *, ?, #, //, . or .., other characters percent-encoded"#,
            "apis[1].cookie[0]: found a number; allowed: a cookie's name, or a list of names; null for every cookie, [] for none",
            r#"deny_list.ips[1]: found "10.0.0.1/8", which has bits set behind its prefix; write 10.0.0.0/8 for the range or 10.0.0.1/32 for the one address"#,
            "deny_list.usernames[0]: found an empty string; allowed: a string that is not empty and has no line break and no NUL",
            "deny_response.status: found 1; allowed: a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), without quotes, such as 403",
            "traffic.sample: found 2; allowed: a number from 0 (no request) to 1 (every request), such as 0.1",
            "guard.widest_ipv4: found 99; allowed: a prefix length, a whole number from 0 (any range) to 32 (addresses alone)",
        ],
    ),
];
