//! Stage two: what the configuration means. The outermost object and the sections without a file of their own: keys,
//! defaults, bounds.
//!
//! Reads through `raw`, which reports unknown keys and wrong types; spells no value itself, see `value`.

use core::time::Duration;

use super::api::read_apis;
use super::callout::{Environment, read_abs, read_traffic};
use super::error::{Errors, Problem};
use super::field::{
    is_second, read_duration, read_ranges, read_size, read_text, read_whole, refused_number,
};
use super::list::{check_size, read_list};
use super::raw::{Section, Value};
use super::value::{self, DurationRange};
use super::warning::warn_of_chosen_by_host;
use super::{BeforeFirstList, Config, DenyResponse, Guard, WhenStale};
use crate::identifier::range_of_prefix;

pub(super) const ROOT_KEYS: &[&str] = &[
    "enable_firewall",
    "enable_abs",
    "enable_abs_attack",
    MINUTES_KEY,
    MINUTES_ALIAS,
    "attack_list_memory",
    "abs",
    "apis",
    "allow_list",
    "deny_list",
    "deny_response",
    "before_first_list",
    "attack_list_max_age",
    "when_stale",
    "traffic",
    "guard",
    "ipv6_prefix",
];

pub(super) const DENY_RESPONSE_KEYS: &[&str] = &["status", "body", "headers"];
pub(super) const GUARD_KEYS: &[&str] = &[
    "widest_ipv4",
    "widest_ipv6",
    "max_change_percent",
    "max_skipped_percent",
    "never_block",
    "max_denied_percent",
];

/// The spelling of the contract, and the one of ASE's older documentation.
const MINUTES_KEY: &str = "abs_attack_request_minutes";
const MINUTES_ALIAS: &str = "abs_attack_request_minute";

const MAX_AGE: DurationRange = DurationRange {
    least: Duration::from_secs(1),
    most: Duration::from_secs(3_650 * 86_400),
    allowed: "null for never, or a duration from \"1s\" to \"3650d\", such as \"24h\" (whole number; units ms, s, m, h, d)",
};

/// Reads every section. Where errors were added the result is of no use.
pub(super) fn read_config(
    root: &Section<'_>,
    environment: Environment<'_>,
    errors: &mut Errors,
) -> Config {
    let enable_abs = root.boolean("enable_abs", false, errors);
    let enable_abs_attack = root.boolean("enable_abs_attack", false, errors);
    let denies_first = is_second(
        root,
        "before_first_list",
        ["allow", "deny"],
        "\"allow\" or \"deny\"",
        errors,
    );
    let drops_stale = is_second(
        root,
        "when_stale",
        ["keep", "drop"],
        "\"keep\" or \"drop\"",
        errors,
    );
    let mut config = Config {
        enable_firewall: root.boolean("enable_firewall", true, errors),
        enable_abs,
        enable_abs_attack,
        refresh_interval: read_refresh_interval(root, errors),
        attack_list_memory: read_size(root, "attack_list_memory", 128 << 20, errors),
        abs: read_abs(root, enable_abs || enable_abs_attack, environment, errors),
        apis: read_apis(root, errors),
        allow_list: read_list(root, "allow_list", errors),
        deny_list: read_list(root, "deny_list", errors),
        deny_response: read_deny_response(root, errors),
        before_first_list: if denies_first {
            BeforeFirstList::Deny
        } else {
            BeforeFirstList::Allow
        },
        attack_list_max_age: match root.value("attack_list_max_age") {
            Some(Value::Null) => None,
            _ => read_duration(root, "attack_list_max_age", &MAX_AGE, errors),
        },
        when_stale: if drops_stale {
            WhenStale::Drop
        } else {
            WhenStale::Keep
        },
        traffic: read_traffic(root, enable_abs, environment, errors),
        guard: read_guard(root, errors),
        ipv6_prefix: 128,
        warnings: Vec::new(),
    };
    let lists = [
        ("allow_list", &config.allow_list),
        ("deny_list", &config.deny_list),
    ];
    check_size(root, lists, errors);
    read_ipv6_prefix(root, &mut config, errors);
    warn_of_chosen_by_host(&config.apis, errors);
    config
}

/// Reads `ipv6_prefix`, and brings the ranges of the configuration to the form that clients are compared in.
fn read_ipv6_prefix(root: &Section<'_>, config: &mut Config, errors: &mut Errors) {
    let prefix = read_whole(
        root,
        "ipv6_prefix",
        128,
        (32, 128),
        "a whole number from 32 to 128, without quotes, such as 64",
        errors,
    );
    config.ipv6_prefix = u8::try_from(prefix).unwrap_or(128);
    let lists = [
        &mut config.allow_list.ips,
        &mut config.deny_list.ips,
        &mut config.guard.never_block,
    ];
    for range in lists.into_iter().flatten() {
        *range = range_of_prefix(*range, config.ipv6_prefix);
    }
}

fn read_refresh_interval(root: &Section<'_>, errors: &mut Errors) -> Duration {
    const ALLOWED: &str = "a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5";
    let default = Duration::from_secs(600);
    let key = match (root.has(MINUTES_KEY), root.has(MINUTES_ALIAS)) {
        (true, true) => {
            let problem = Problem::SecondSpelling { keep: MINUTES_KEY };
            root.report(MINUTES_ALIAS, problem, errors);
            MINUTES_KEY
        }
        (false, true) => MINUTES_ALIAS,
        _ => MINUTES_KEY,
    };
    let Some(minutes) = root.number(key, ALLOWED, errors) else {
        return default;
    };
    // Out of the range of u64 the conversion stays at its ends, which are refused.
    let milliseconds = (minutes * 60_000.0 + 0.5) as u64;
    if (1_000..=525_600 * 60_000).contains(&milliseconds) {
        Duration::from_millis(milliseconds)
    } else {
        root.report(key, refused_number(minutes, ALLOWED), errors);
        default
    }
}

fn read_deny_response(root: &Section<'_>, errors: &mut Errors) -> DenyResponse {
    const STATUS: &str = "a whole number from 200 to 599 but not 204, 205 or 304 (responses without a body), \
                          without quotes, such as 403";
    const HEADERS: &str =
        "an object from header name to value, such as {\"cache-control\": \"no-store\"}";
    let section = root.section("deny_response", DENY_RESPONSE_KEYS, errors);
    let status = read_whole(&section, "status", 403, (200, 599), STATUS, errors);
    // What follows such a response on the connection would be read as the next response.
    if let 204 | 205 | 304 = status {
        section.report("status", refused_number(status.into(), STATUS), errors);
    }
    let body = section
        .verbatim_text("body", "a string; \"\" for no body", errors)
        .unwrap_or("Error: Unauthorized")
        .to_owned();
    let typed = section.map("headers", HEADERS, errors);
    let mut headers: Vec<(String, String)> = Vec::new();
    for (typed_name, _) in typed.entries() {
        let name = value::header_name(typed_name);
        let Some(name) = typed.accepted(typed_name, name, errors) else {
            continue;
        };
        let value = read_text(
            &typed,
            typed_name,
            "a string, the header's value",
            value::header_value,
            errors,
        );
        if matches!(name.as_str(), "content-length" | "transfer-encoding") {
            let allowed = "any other header: Envoy sets this one from the body";
            typed.report(typed_name, Problem::refused_text(&name, allowed), errors);
        } else if headers.iter().any(|(other, _)| *other == name) {
            typed.report(typed_name, Problem::DuplicateKey, errors);
        } else if let Some(value) = value {
            headers.push((name, value));
        }
    }
    DenyResponse {
        status,
        body,
        headers,
    }
}

fn read_guard(root: &Section<'_>, errors: &mut Errors) -> Guard {
    const CHANGE: &str = "null for any change, or a number of percent above 0, such as 50";
    const DENIED: &str =
        "null for any share, or a number of percent above 0 and up to 100, such as 20";
    let section = root.section("guard", GUARD_KEYS, errors);
    let mut percent = |key, most: f64, allowed| {
        let percent = section.number_or_null(key, allowed, errors)?;
        if percent > 0.0 && percent <= most {
            Some(percent)
        } else {
            section.report(key, refused_number(percent, allowed), errors);
            None
        }
    };
    let max_change_percent = percent("max_change_percent", f64::MAX, CHANGE);
    let max_denied_percent = percent("max_denied_percent", 100.0, DENIED);
    let max_skipped_percent = read_skipped_percent(&section, errors);
    let mut prefix = |key, default, most, allowed| {
        let length = read_whole(&section, key, default, (0, most), allowed, errors);
        u8::try_from(length).unwrap_or(u8::MAX)
    };
    let widest_ipv4 = prefix(
        "widest_ipv4",
        8,
        32,
        "a prefix length, a whole number from 0 (any range) to 32 (addresses alone)",
    );
    let widest_ipv6 = prefix(
        "widest_ipv6",
        32,
        128,
        "a prefix length, a whole number from 0 (any range) to 128 (addresses alone)",
    );
    Guard {
        widest_ipv4,
        widest_ipv6,
        max_change_percent,
        max_skipped_percent,
        never_block: read_ranges(&section, "never_block", errors),
        max_denied_percent,
    }
}

fn read_skipped_percent(section: &Section<'_>, errors: &mut Errors) -> f64 {
    const KEY: &str = "max_skipped_percent";
    const ALLOWED: &str = "a number of percent from 0 to 100, such as 10";
    const DEFAULT: f64 = 10.0;
    match section.number(KEY, ALLOWED, errors) {
        None => DEFAULT,
        Some(percent) if (0.0..=100.0).contains(&percent) => percent,
        Some(percent) => {
            section.report(KEY, refused_number(percent, ALLOWED), errors);
            DEFAULT
        }
    }
}
