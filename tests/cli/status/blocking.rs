//! The first lines of `status`: whether clients are blocked, and which fetches fail.

use serde_json::{Value, json};

use super::{status, warnings};
use crate::envoy_admin::{Admin, Update, now};
use crate::support::Workspace;

/// What follows a title.
fn line<'p>(printed: &'p str, title: &str) -> &'p str {
    let title = format!("{title:<24}: ");
    let mut lines = printed.lines().filter_map(|line| line.strip_prefix(&title));
    lines
        .next()
        .unwrap_or_else(|| panic!("no {title}{printed}"))
}

/// The guard whose limit the tests exceed.
fn limit_to(admin: &mut Admin, percent: u64) {
    admin.configuration()["guard"] = json!({"max_denied_percent": percent});
}

#[test]
fn whether_clients_are_blocked_is_in_the_first_line() {
    let workspace = Workspace::new();
    type Change<'a> = &'a dyn Fn(&mut Admin);
    let table: [(Change<'_>, &str); 23] = [
        (&|_| {}, "yes"),
        (
            &|admin| admin.configuration()["allow_list"] = json!({"ips": ["0.0.0.0/0", "::/0"]}),
            "no: the whitelist has every address",
        ),
        (
            &|admin| {
                admin.configuration()["allow_list"] = json!({"ips": ["128.0.0.0/1", "0.0.0.0/1"]})
            },
            "partly: the whitelist has every IPv4 address",
        ),
        (
            &|admin| admin.configuration()["allow_list"] = json!({"ips": ["128.0.0.0/1", "::/1"]}),
            "yes",
        ),
        (
            &|admin| admin.configuration()["enable_firewall"] = json!(false),
            "no: enable_firewall is false",
        ),
        (
            &|admin| admin.configuration()["enable_abs_attack"] = json!(false),
            "no: there is nothing to block: the blacklist is empty, and no list of ABS or a feed has an entry",
        ),
        (
            // ABS sent a list without entries.
            &|admin| {
                for kind in ["ip", "cookie", "oauth_token", "api_key", "username"] {
                    admin.set(&format!("attack_list.entries.kind={kind}"), 0);
                }
            },
            "no: there is nothing to block: the blacklist is empty, and no list of ABS or a feed has an entry",
        ),
        (
            &|admin| {
                let configuration = admin.configuration();
                configuration["enable_abs_attack"] = json!(false);
                configuration["deny_list"] = json!({"ips": ["192.0.2.1"]});
            },
            "yes",
        ),
        (
            &|admin| admin.configuration()["apis"] = json!([{"api_id": "all", "mode": "shadow"}]),
            "no: shadow mode only counts",
        ),
        (
            &|admin| {
                admin.configuration()["apis"] = json!([{"api_id": "shop", "url": "/shop", "mode": "shadow"},
                    {"api_id": "news", "url": "/news", "enable_blocking": false}]);
            },
            "partly: shadow mode only counts in shop; enable_blocking is false in news",
        ),
        (
            &|admin| {
                admin.configuration()["apis"] = json!([{"api_id": "all", "enable_blocking": false}])
            },
            "no: enable_blocking is false",
        ),
        (
            // The blacklist does not need it.
            &|admin| {
                admin.configuration()["apis"] =
                    json!([{"api_id": "all", "enable_blocking": false}]);
                admin.configuration()["deny_list"] = json!({"ips": ["192.0.2.1"]});
            },
            "partly: enable_blocking is false",
        ),
        (
            &|admin| admin.set("attack_list.last_success_unix_seconds", 0),
            "no: ABS's list was never fetched",
        ),
        (
            &|admin| {
                admin.set("attack_list.last_success_unix_seconds", 0);
                admin.configuration()["before_first_list"] = json!("deny");
            },
            "yes: every request, since ABS's list was never fetched and before_first_list is deny",
        ),
        (&|admin| admin.set("attack_list.stale", 1), "yes"),
        (
            &|admin| {
                admin.set("attack_list.stale", 1);
                admin.configuration()["attack_list_max_age"] = json!("1h");
                admin.configuration()["when_stale"] = json!("drop");
            },
            "no: ABS's list is stale, and when_stale is drop",
        ),
        (
            &|admin| {
                admin.configuration()["feeds"] = json!([{"name": "drop", "format": "text", "cluster": "abs",
                    "path": "/drop.txt", "mode": "shadow"}]);
            },
            "partly: the list drop only counts: its feed is in shadow mode",
        ),
        (
            &|admin| admin.set_last_update(Update::Refused),
            "unknown: Envoy refused the newest configuration and runs an older one, which it does not show",
        ),
        (
            &|admin| {
                admin.set_stat(
                    "extension_config_discovery.http_filter.portcullis.update_success",
                    0,
                );
            },
            "no: no configuration is active, and every request gets 500",
        ),
        (
            &|admin| admin.dump["configs"][1]["ecds_filters"] = json!([]),
            "no: the running Envoy has no filter named \"portcullis\"",
        ),
        (
            &|admin| admin.configuration()["enable_firewall"] = json!("no"),
            "unknown: the filter refuses the newest configuration; an older one is active, or none",
        ),
        (
            &|admin| admin.manager()["http_filters"][0]["disabled"] = json!(true),
            "no: the filter is disabled in the HTTP connection manager \"ingress\"",
        ),
        (
            &|admin| {
                admin.manager()["route_config"]["virtual_hosts"][0]["typed_per_filter_config"] =
                    json!({"portcullis": {"disabled": true}});
            },
            "partly: routes disable the filter or change its rules (typed_per_filter_config: 1)",
        ),
    ];
    for (change, expected) in table {
        let mut admin = Admin::of(&workspace);
        change(&mut admin);
        let printed = status(&workspace, admin, &[]);
        assert_eq!(line(&printed, "blocking"), expected, "{printed}");
        assert!(printed.starts_with("Portcullis\nblocking "), "{printed}");
    }
}

#[test]
fn a_limit_on_denied_requests_that_is_exceeded_is_reported() {
    let workspace = Workspace::new();
    let stat = "would_deny.source=abs.kind=ip";
    // Whether the list counts and denies while status watches.
    for (counts, denies, expected) in [
        (
            true,
            false,
            "no: ABS's list denies more than guard.max_denied_percent, and only counts",
        ),
        (
            true,
            true,
            "partly: ABS's list denies more than guard.max_denied_percent, and only counts",
        ),
        (false, true, "yes"),
    ] {
        let mut admin = Admin::of(&workspace);
        limit_to(&mut admin, 5);
        workspace.write(
            "envoy/filter.json",
            &with_configuration(&workspace, admin.configuration()),
        );
        admin.set(stat, 7);
        let before = admin.stats.clone();
        if counts {
            admin.set(stat, 8);
        }
        if denies {
            admin.set("denied.source=abs.kind=ip", 99_999);
        }
        admin.later_stats = Some(std::mem::replace(&mut admin.stats, before));
        let printed = status(&workspace, admin, &[]);
        assert_eq!(line(&printed, "blocking"), expected);
        let warned = "ABS's list denies more than guard.max_denied_percent of the requests: the filter only counts what it \
                      would deny until the share has fallen; check the list, or raise the limit";
        let all: &[&str] = if counts { &[warned] } else { &[] };
        assert_eq!(warnings(&printed), all);
    }
}

/// The workspace's file with another configuration.
fn with_configuration(workspace: &Workspace, configuration: &Value) -> String {
    let mut file: Value = serde_json::from_str(&workspace.read("envoy/filter.json")).unwrap();
    file["resources"][0]["typed_config"]["config"]["configuration"]["value"] =
        configuration.clone();
    file.to_string()
}

#[test]
fn failing_fetches_are_named_at_the_top() {
    let workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    admin.configuration()["feeds"] =
        json!([{"name": "drop", "format": "text", "cluster": "abs", "path": "/drop.txt"}]);
    admin.set("fetch.last_result", 3);
    admin.add("fetch.source=drop.last_result", 3);
    admin.add("fetch.source=drop.last_attempt_unix_seconds", now());
    let printed = status(&workspace, admin, &[]);
    assert_eq!(line(&printed, "failing fetches"), "abs, AGO; drop, AGO");
    assert_eq!(line(&printed, "last fetch"), "failing, AGO");
    let mut admin = Admin::of(&workspace);
    admin.set("fetch.last_result", 3);
    let json: Value =
        serde_json::from_str(&status(&workspace, admin, &["--output", "json"])).unwrap();
    assert_eq!(json["failing_fetches"], json!(["abs"]));
    assert_eq!(json["blocking"], json!({"state": "yes", "reasons": []}));
    assert_eq!(json["last_fetch"], "failure");
}

/// The listener as one of LDS, with `states` besides its active one, which has no filter.
fn without_filter(admin: &mut Admin, states: &[&str]) {
    let listeners = &mut admin.dump["configs"][2];
    let with_filter = listeners["static_listeners"][0]["listener"].clone();
    let mut active = with_filter.clone();
    let manager = active.pointer_mut("/filter_chains/0/filters/0/typed_config");
    manager.unwrap()["http_filters"] = json!([{"name": "envoy.filters.http.router"}]);
    let mut dynamic = json!({"name": "ingress", "active_state": {"listener": active}});
    for state in states {
        let key = match *state {
            "error_state" => "failed_configuration",
            _ => "listener",
        };
        dynamic[state] = json!({ key: with_filter });
    }
    listeners["static_listeners"] = json!([]);
    listeners["dynamic_listeners"] = json!([dynamic]);
}

#[test]
fn a_listener_that_is_not_active_blocks_nobody() {
    let workspace = Workspace::new();
    for states in [
        &[][..],
        &["draining_state"],
        &["warming_state"],
        &["error_state"],
    ] {
        let mut admin = Admin::of(&workspace);
        without_filter(&mut admin, states);
        let printed = status(&workspace, admin, &[]);
        assert_eq!(
            line(&printed, "blocking"),
            "no: no HTTP connection manager of an active listener has the filter",
            "{states:?}"
        );
        let warned = warnings(&printed);
        let is_warned = warned
            .iter()
            .any(|it| it.contains("nothing is blocked by it"));
        assert!(is_warned, "{states:?}: {warned:?}");
    }
}

#[test]
fn a_filter_within_a_refused_listener_is_not_active() {
    let workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    let filter = admin.dump["configs"][1]["ecds_filters"][0]["ecds_filter"].clone();
    admin.dump["configs"][1]["ecds_filters"] = json!([]);
    admin.manager()["http_filters"][0] = filter;
    without_filter(&mut admin, &["error_state"]);
    let printed = status(&workspace, admin, &[]);
    assert_eq!(
        line(&printed, "blocking"),
        "no: the running Envoy has no filter named \"portcullis\""
    );
}
