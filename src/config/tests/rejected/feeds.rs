//! The section `feeds`, and `apis[].feeds`.

use super::Case;

pub(super) const CASES: &[Case] = &[
    (
        "feeds of another type",
        r#"{"feeds": {"name": "drop"}}"#,
        &[
            "feeds: found an object; allowed: a list of feed objects, such as [{\"name\": \"drop\", \"format\": \"text\", \"cluster\": \"lists\", \"path\": \"/drop.txt\"}]",
        ],
    ),
    (
        "a feed without its keys",
        r#"{"feeds": [{}]}"#,
        &[
            "feeds[0].name: missing; each feed needs a name of its own: metrics and response details show it",
            "feeds[0].format: missing; name the format of the list: \"crowdsec\", \"text\", \"tokens\" or \"abs\"",
            "feeds[0].cluster: missing; name the Envoy cluster of the list server",
        ],
    ),
    (
        "a text feed without a path",
        r#"{"feeds": [{"name": "drop", "format": "text", "cluster": "lists"}]}"#,
        &["feeds[0].path: missing; name the path of the list at its server, such as \"/drop.txt\""],
    ),
    (
        "names",
        r#"{"feeds": [
            {"name": "abs", "format": "crowdsec", "cluster": "a"},
            {"name": "Drop-1", "format": "crowdsec", "cluster": "b"},
            {"name": "one", "format": "crowdsec", "cluster": "c"},
            {"name": "one", "format": "crowdsec", "cluster": "d", "enabled": false}]}"#,
        &[
            "feeds[0].name: found \"abs\"; allowed: a lower-case word of letters, digits and _, except abs and manual, such as \"drop\"",
            "feeds[1].name: found \"Drop-1\"; allowed: a lower-case word of letters, digits and _, except abs and manual, such as \"drop\"",
            "feeds[3].name: found \"one\"; allowed: a name that no other feed has",
        ],
    ),
    (
        "a format that does not exist",
        r#"{"feeds": [{"name": "x", "format": "stix", "cluster": "lists"}]}"#,
        &[
            "feeds[0].format: found \"stix\"; allowed: \"crowdsec\", \"text\", \"tokens\" or \"abs\"",
        ],
    ),
    (
        "a key of another format",
        r#"{"feeds": [{"name": "x", "format": "text", "cluster": "lists", "path": "/x", "scopes": ["ip"]}]}"#,
        &[
            "feeds[0].scopes: found a key of the format \"crowdsec\" in a feed of the format \"text\"; allowed: keys of the feed's format; remove it, or change format",
        ],
    ),
    (
        "an unknown key",
        r#"{"feeds": [{"name": "x", "format": "crowdsec", "cluster": "lapi", "scope": ["ip"]}]}"#,
        &[
            "feeds[0].scope: unknown key; did you mean \"scopes\"? Known keys here: name, format, enabled, cluster, authority, path, headers, interval, timeout, memory, max_age, when_stale, before_first_list, mode, kinds, guard, special_ranges, claims, window, scopes, origins, scenarios_containing, scenarios_not_containing, types, session_cookie, scope_headers, usage_metrics",
        ],
    ),
    (
        "a text list more often than publishers allow",
        r#"{"feeds": [{"name": "x", "format": "text", "cluster": "lists", "path": "/x", "interval": "30s"}]}"#,
        &[
            "feeds[0].interval: found \"30s\"; allowed: a duration from \"1m\" to \"365d\" for the format \"text\", such as \"1h\" (whole number; units ms, s, m, h, d)",
        ],
    ),
    (
        "values that LAPI would split at commas",
        r#"{"feeds": [{"name": "x", "format": "crowdsec", "cluster": "lapi", "origins": ["crowdsec,CAPI", ""]}]}"#,
        &[
            "feeds[0].origins[0]: found \"crowdsec,CAPI\"; allowed: a list of words without commas, such as [\"crowdsec\", \"cscli\"]",
            "feeds[0].origins[1]: found \"\"; allowed: a list of words without commas, such as [\"crowdsec\", \"cscli\"]",
        ],
    ),
    (
        "a header for addresses",
        r#"{"feeds": [{"name": "x", "format": "crowdsec", "cluster": "lapi", "scope_headers": {"Ip": "x-real-ip"}}]}"#,
        &[
            "feeds[0].scope_headers.Ip: found \"Ip\"; allowed: a scope without commas, except Ip and Range, which need no header",
        ],
    ),
    (
        "kinds that the format does not have",
        r#"{"feeds": [{"name": "x", "format": "text", "cluster": "lists", "path": "/x", "kinds": ["ip", "username"]}]}"#,
        &[
            "feeds[0].kinds[1]: found \"username\"; allowed: a list of kinds that the feed's format has: \"ip\", \"cookie\", \"oauth_token\", \"api_key\", \"username\", \"header\", \"token_claims\"",
        ],
    ),
    (
        "too many claims",
        r#"{"feeds": [{"name": "x", "format": "tokens", "cluster": "lists", "path": "/x", "claims": ["a", "b", "c", "d", "e"]}]}"#,
        &[
            "feeds[0].claims: found 5 names; allowed: a list of one to four different names of claims, such as [\"jti\", \"aud\"]",
        ],
    ),
    (
        "headers",
        r#"{"feeds": [{"name": "x", "format": "text", "cluster": "lists", "path": "/x", "headers":
            {"Host": "SECRET", "x-key": 7, "X-Api-Key": "SECRET", "x-api-key": "SECRET", "basic": {"user": "SECRET:x"}}}]}"#,
        &[
            "feeds[0].headers.Host: found \"host\"; allowed: any other header: Envoy sets this one",
            "feeds[0].headers.x-key: found a number; allowed: a string, or {\"env\": \"NAME\"} for the value of an environment variable",
            "feeds[0].headers.x-api-key: duplicate key; keep only one of them",
            "feeds[0].headers.basic.user: found a name with a colon; allowed: a user name without a colon",
            "feeds[0].headers.basic.password_env: missing; name the environment variable that has the value",
        ],
    ),
    (
        "two feeds with the same list",
        r#"{"feeds": [
            {"name": "a", "format": "text", "cluster": "lists", "path": "/x"},
            {"name": "b", "format": "text", "cluster": "lists", "path": "/x", "mode": "shadow"}]}"#,
        &[
            "feeds: found the feeds a and b, which have the same list; allowed: feeds that differ in cluster, authority, path, kinds or a key of their format; remove one",
        ],
    ),
    (
        "an API that names an unknown feed",
        r#"{"feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/x"}], "apis": [{"api_id": "shop", "url": "/shop", "feeds": ["dorp"]}]}"#,
        &["apis[0].feeds[0]: found \"dorp\", which is no feed; feeds here: abs, drop"],
    ),
    (
        "an API that names a feed with an error",
        r#"{"feeds": [{"name": "drop", "format": "text", "cluster": "lists"}], "apis": [{"feeds": ["drop"]}]}"#,
        &["feeds[0].path: missing; name the path of the list at its server, such as \"/drop.txt\""],
    ),
];
