//! The top-level object of the configuration. Owns the keys, defaults and limits that belong to no section.

use core::time::Duration;

use super::abs::read_abs;
use super::api::{read_apis, warn_of_chosen_by_host};
use super::credential::Environment;
use super::deny_response::read_deny_response;
use super::error::Problem;
use super::feed::read_feeds;
use super::fleet::read_report;
use super::guard::read_guard;
use super::list::{check_size, read_list};
use super::section::Section;
use super::traffic::read_traffic;
use super::value::DurationRange;
use super::{BeforeFirstList, Config, WhenStale};
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
    "feeds",
    "fleet",
];

const MINUTES_KEY: &str = "abs_attack_request_minutes";
/// The spelling of ASE's older documentation.
const MINUTES_ALIAS: &str = "abs_attack_request_minute";

pub(super) const MAX_AGE: DurationRange = DurationRange {
    least: Duration::from_secs(1),
    most: Duration::from_secs(3_650 * 86_400),
    allowed: "null for never, or a duration from \"1s\" to \"3650d\", such as \"24h\" (whole number; units ms, s, m, h, d)",
};

/// Reads all sections. The result is only valid if no error was reported.
pub(super) fn read_config(root: &Section<'_>, environment: Environment<'_>) -> Config {
    let enable_abs = root.boolean("enable_abs", false);
    let enable_abs_attack = root.boolean("enable_abs_attack", false);
    let (before_first_list, when_stale) = (read_before_first_list(root), read_when_stale(root));
    let ipv6_prefix = read_ipv6_prefix(root);
    let feeds = read_feeds(root, ipv6_prefix, environment);
    let abs = read_abs(root, enable_abs || enable_abs_attack, environment);
    let mut apis = read_apis(root, &feeds.names);
    apis.add_feeds(&feeds.enabled);
    let mut config = Config {
        enable_firewall: root.boolean("enable_firewall", true),
        enable_abs,
        enable_abs_attack,
        refresh_interval: read_refresh_interval(root),
        attack_list_memory: root.size("attack_list_memory").unwrap_or(128 << 20),
        abs,
        apis,
        allow_list: read_list(root, "allow_list"),
        deny_list: read_list(root, "deny_list"),
        deny_response: read_deny_response(root),
        before_first_list,
        attack_list_max_age: root.nullable().duration("attack_list_max_age", &MAX_AGE),
        when_stale,
        traffic: read_traffic(root, enable_abs, environment),
        guard: read_guard(root),
        ipv6_prefix,
        feeds: feeds.enabled,
        disabled_feeds: feeds.disabled,
        fleet_report: read_report(root),
        warnings: Vec::new(),
    };
    check_size(root, &config.allow_list, &config.deny_list);
    check_sources(root, &config);
    fold_ranges(&mut config);
    warn_of_chosen_by_host(&config.apis, root);
    config
}

pub(super) fn read_before_first_list(section: &Section<'_>) -> BeforeFirstList {
    let choices = [
        ("allow", BeforeFirstList::Allow),
        ("deny", BeforeFirstList::Deny),
    ];
    let choice = section.choice("before_first_list", choices, "\"allow\" or \"deny\"");
    choice.unwrap_or(BeforeFirstList::Allow)
}

pub(super) fn read_when_stale(section: &Section<'_>) -> WhenStale {
    let choices = [("keep", WhenStale::Keep), ("drop", WhenStale::Drop)];
    let choice = section.choice("when_stale", choices, "\"keep\" or \"drop\"");
    choice.unwrap_or(WhenStale::Keep)
}

fn read_ipv6_prefix(root: &Section<'_>) -> u8 {
    let allowed = "a whole number from 32 to 128, without quotes, such as 64";
    root.whole_number("ipv6_prefix", 32..=128, allowed)
        .unwrap_or(128)
}

/// Feeds with the same source would share one list, whose metrics can have one name only.
fn check_sources(root: &Section<'_>, config: &Config) {
    let feeds = config.all_feeds();
    for (index, feed) in feeds.iter().enumerate() {
        let mut earlier = feeds.iter().take(index);
        if let Some(same) = earlier.find(|earlier| earlier.source() == feed.source()) {
            let found = format!(
                "the feeds {} and {}, which have the same list",
                same.name, feed.name
            );
            let allowed = "feeds that differ in cluster, authority, path, kinds or a key of their format; remove one";
            root.reject("feeds", Problem::invalid(found, allowed));
        }
    }
}

/// Brings the configured ranges to the form that client addresses are compared in.
fn fold_ranges(config: &mut Config) {
    let lists = [
        &mut config.allow_list.ips,
        &mut config.deny_list.ips,
        &mut config.guard.never_block,
    ];
    for range in lists.into_iter().flatten() {
        *range = range_of_prefix(*range, config.ipv6_prefix);
    }
}

fn read_refresh_interval(root: &Section<'_>) -> Duration {
    const ALLOWED: &str = "a number of minutes from 0.0167 (one second) to 525600 (one year), without quotes, such as 10 or 0.5";
    let key = match (root.has(MINUTES_KEY), root.has(MINUTES_ALIAS)) {
        (true, true) => {
            let problem = Problem::SecondSpelling { keep: MINUTES_KEY };
            root.reject(MINUTES_ALIAS, problem);
            MINUTES_KEY
        }
        (false, true) => MINUTES_ALIAS,
        _ => MINUTES_KEY,
    };
    // A number out of the range of u64 becomes its minimum or maximum, which are rejected.
    let milliseconds = |minutes: f64| (minutes * 60_000.0).round() as u64;
    let is_allowed = |minutes| (1_000..=525_600 * 60_000).contains(&milliseconds(minutes));
    let minutes = root.number(key, ALLOWED, is_allowed).unwrap_or(10.0);
    Duration::from_millis(milliseconds(minutes))
}
