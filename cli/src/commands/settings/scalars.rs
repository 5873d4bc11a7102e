//! The scalar keys of the configuration, with their defaults. The tests hold the table against the filter's loader.

use serde_json::Value;

/// The keys, each with the JSON of its default; `None` if it has no default, or one that depends on other keys. In a
/// section of a list, `[]` takes the place of the element.
const SCALARS: &[(&str, Option<&str>)] = &[
    ("enable_firewall", Some("true")),
    ("enable_abs", Some("false")),
    ("enable_abs_attack", Some("false")),
    ("abs_attack_request_minutes", Some("10")),
    ("attack_list_memory", Some("\"128MB\"")),
    ("attack_list_max_age", Some("null")),
    ("before_first_list", Some("\"allow\"")),
    ("when_stale", Some("\"keep\"")),
    ("ipv6_prefix", Some("128")),
    ("abs.cluster", None),
    ("abs.authority", None),
    ("abs.access_key", None),
    ("abs.secret_key", None),
    ("abs.access_key_env", Some("\"ABS_ACCESS_KEY\"")),
    ("abs.secret_key_env", Some("\"ABS_SECRET_KEY\"")),
    ("abs.timeout", Some("\"30s\"")),
    ("abs.attack_window", Some("\"30d\"")),
    ("deny_response.status", Some("403")),
    ("deny_response.body", Some("\"Error: Unauthorized\"")),
    ("traffic.format", None),
    ("traffic.cluster", None),
    ("traffic.authority", None),
    ("traffic.path", Some("\"/portcullis/v1/traffic\"")),
    ("traffic.gzip", Some("false")),
    ("traffic.queue_memory", Some("\"4MB\"")),
    ("traffic.batch_bytes", Some("\"256KB\"")),
    ("traffic.flush_interval", Some("\"2s\"")),
    ("traffic.sample", Some("1")),
    ("traffic.ase_token", None),
    ("traffic.ase_token_env", Some("\"ASE_TOKEN\"")),
    ("guard.widest_ipv4", Some("8")),
    ("guard.widest_ipv6", Some("32")),
    ("guard.max_change_percent", Some("null")),
    ("guard.max_skipped_percent", Some("10")),
    ("guard.max_denied_percent", Some("null")),
    ("fleet.report", Some("false")),
    ("apis[].api_id", None),
    ("apis[].hostname", Some("\"*\"")),
    ("apis[].url", Some("\"/\"")),
    ("apis[].url_case_insensitive", Some("false")),
    ("apis[].enable_blocking", Some("true")),
    ("apis[].mode", Some("\"enforce\"")),
    ("apis[].oauth2_access_token", Some("true")),
    ("apis[].jwt.location", Some("\"h:authorization:bearer\"")),
    ("apis[].jwt.username", None),
    ("apis[].jwt.clientid", None),
    ("feeds[].name", None),
    ("feeds[].format", None),
    ("feeds[].enabled", Some("true")),
    ("feeds[].cluster", None),
    ("feeds[].authority", None),
    ("feeds[].path", None),
    ("feeds[].interval", None),
    ("feeds[].timeout", Some("\"30s\"")),
    ("feeds[].memory", Some("\"128MB\"")),
    ("feeds[].max_age", Some("null")),
    ("feeds[].when_stale", Some("\"keep\"")),
    ("feeds[].before_first_list", Some("\"allow\"")),
    ("feeds[].mode", Some("\"enforce\"")),
    ("feeds[].session_cookie", None),
    ("feeds[].usage_metrics", Some("false")),
    ("feeds[].special_ranges", Some("false")),
    ("feeds[].window", Some("\"30d\"")),
    ("feeds[].guard.widest_ipv4", Some("8")),
    ("feeds[].guard.widest_ipv6", Some("32")),
    ("feeds[].guard.max_change_percent", Some("null")),
    ("feeds[].guard.max_skipped_percent", Some("10")),
    ("feeds[].guard.max_denied_percent", Some("null")),
];

/// Every scalar key, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static str> {
    SCALARS.iter().map(|(key, _)| *key)
}

/// Whether the key has one value, and neither a list nor an object.
pub fn is_scalar(key: &str) -> bool {
    all().any(|known| known == key)
}

/// What holds if the configuration does not have the key.
pub fn default(key: &str) -> Option<Value> {
    let (_, json) = SCALARS.iter().find(|(known, _)| *known == key)?;
    serde_json::from_str((*json)?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use portcullis::config::{Config, KNOWN_KEYS};
    use serde_json::json;

    use super::*;

    /// Lists and objects, and the second spelling of a key.
    const OTHERS: [&str; 28] = [
        "abs_attack_request_minute",
        "abs",
        "apis",
        "allow_list",
        "deny_list",
        "deny_response",
        "traffic",
        "guard",
        "feeds",
        "fleet",
        "deny_response.headers",
        "traffic.headers",
        "guard.never_block",
        "apis[].cookie",
        "apis[].oauth2_query",
        "apis[].oauth2_cookie",
        "apis[].path_parameters",
        "apis[].jwt",
        "apis[].apikey_header",
        "apis[].apikey_qs",
        "apis[].username",
        "apis[].feeds",
        "feeds[].headers",
        "feeds[].kinds",
        "feeds[].guard",
        "feeds[].claims",
        "feeds[].scopes",
        "feeds[].scope_headers",
    ];

    /// Lists of feeds, which are objects of `crowdsec` only.
    const OF_CROWDSEC: [&str; 4] = [
        "feeds[].origins",
        "feeds[].scenarios_containing",
        "feeds[].scenarios_not_containing",
        "feeds[].types",
    ];

    #[test]
    fn every_key_of_the_loader_is_a_scalar_or_known_as_none() {
        let mut loader = BTreeSet::new();
        for (section, keys) in KNOWN_KEYS {
            if section.ends_with("_list") || section.contains("username") {
                continue;
            }
            for key in *keys {
                loader.insert(match *section {
                    "" => (*key).to_owned(),
                    section => format!("{section}.{key}"),
                });
            }
        }
        let ours = all().filter(|key| !key.starts_with("feeds[].guard."));
        let ours = ours.chain(OTHERS).chain(OF_CROWDSEC);
        let ours: BTreeSet<_> = ours.map(str::to_owned).collect();
        assert_eq!(ours, loader);
    }

    #[test]
    fn the_defaults_are_those_of_the_loader() {
        let parse = |configuration: &Value| {
            Config::parse(configuration.to_string().as_bytes(), &|_| None)
                .unwrap_or_else(|errors| panic!("{configuration}: {errors:?}"))
        };
        for key in all() {
            let Some(value) = default(key) else { continue };
            let format = match key {
                "feeds[].usage_metrics" => "crowdsec",
                "feeds[].window" => "abs",
                _ => "text",
            };
            let mut feed = json!({"name": "f", "format": format, "cluster": "c"});
            if format == "text" {
                feed["path"] = json!("/list");
            }
            let without = json!({
                "abs": {"cluster": "c"}, "traffic": {"format": "batch"}, "apis": [{"url": "/", "jwt": {"username": "u"}}],
                "feeds": [feed],
            });
            let mut with = without.clone();
            let pointer = format!("/{}", key.replace("[].", "/0/").replace('.', "/"));
            let (parent, last) = pointer.rsplit_once('/').unwrap();
            if with.pointer(parent).is_none() {
                let (grandparent, name) = parent.rsplit_once('/').unwrap();
                with.pointer_mut(grandparent).unwrap()[name] = json!({});
            }
            with.pointer_mut(parent).unwrap()[last] = value;
            assert_eq!(parse(&with), parse(&without), "{key}");
        }
    }
}
