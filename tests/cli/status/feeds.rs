//! The lines of `status` about feeds.

use serde_json::{Value, json};

use super::{TAKES_AT_MOST, TWO_HOURS, status, warnings};
use crate::envoy_admin::{Admin, now};
use crate::support::Workspace;

const FEEDS: &str = r#""feeds": [
    {"name": "lapi", "format": "crowdsec", "cluster": "lapi", "session_cookie": "SESSION", "interval": "5m"},
    {"name": "drop", "format": "text", "cluster": "lists", "path": "/drop.txt", "mode": "shadow", "interval": "5m"},
    {"name": "later", "format": "tokens", "cluster": "lists", "path": "/revoked.json", "enabled": false}
], "deny_list""#;

/// A workspace whose file has the feeds of [`FEEDS`].
fn workspace_with_feeds() -> Workspace {
    let workspace = Workspace::new();
    let file = workspace.read("envoy/filter.json");
    let with_feeds = file.replacen("\"deny_list\"", FEEDS, 1);
    assert_ne!(with_feeds, file);
    workspace.write("envoy/filter.json", &with_feeds);
    workspace
}

/// An Envoy that has just fetched the list of `lapi`, and nothing of `drop`.
fn envoy_with_feeds(workspace: &Workspace) -> Admin {
    let mut admin = Admin::of(workspace);
    let clusters = admin.dump["configs"][0]["static_clusters"].as_array_mut();
    clusters
        .unwrap()
        .push(json!({"cluster": {"name": "lapi", "connect_timeout": "2s"}}));
    for (metric, value) in [
        ("attack_list.source=lapi.entries.kind=ip", 15_000),
        ("attack_list.source=lapi.entries.kind=cookie", 2),
        ("attack_list.source=lapi.entries.kind=username", 1),
        ("attack_list.source=lapi.bytes", 150_000),
        ("attack_list.source=lapi.last_success_unix_seconds", now()),
        ("attack_list.source=lapi.stale", 0),
        ("fetch.source=lapi.last_attempt_unix_seconds", now()),
        ("fetch.source=lapi.last_result", 1),
        ("entries_skipped.source=lapi", 4),
        ("denied.source=lapi.kind=ip", 12),
        ("denied.source=lapi.kind=username", 3),
        ("would_deny.source=lapi.kind=cookie", 5),
    ] {
        admin.add(metric, value);
    }
    admin
}

/// The lines about feeds.
fn lines_of_feeds(printed: &str) -> String {
    let mut lines = printed
        .lines()
        .skip_while(|line| !line.starts_with("feed "))
        .take_while(|line| line.starts_with("feed ") || line.starts_with("  "))
        .peekable();
    assert!(lines.peek().is_some(), "{printed}");
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn status_shows_each_feed() {
    let workspace = workspace_with_feeds();
    let printed = status(&workspace, envoy_with_feeds(&workspace), &[]);
    let expected = "\
feed lapi               : ip 15000, cookie 2, username 1, age AGE
  last fetch            : success, AGO
  next fetch            : due in FIVE MINUTES
  blocked               : ip 12, cookie 0, username 3, no_list 0
  only counted (shadow) : ip 0, cookie 5, username 0, no_list 0
  entries skipped       : 4
feed drop               : no list yet
  last fetch            : none yet
  next fetch            : now
  blocked               : ip 0, no_list 0
  only counted (shadow) : ip 0, no_list 0
feed later              : off
";
    assert_eq!(lines_of_feeds(&printed), expected);
    assert_eq!(warnings(&printed), Vec::<&str>::new());
}

#[test]
fn status_shows_each_feed_as_json() {
    let workspace = workspace_with_feeds();
    let admin = envoy_with_feeds(&workspace);
    let json: Value =
        serde_json::from_str(&status(&workspace, admin, &["--output", "json"])).unwrap();
    let lapi = &json["feeds"]["lapi"];
    assert_eq!(
        lapi["entries"],
        json!({"ip": 15_000, "cookie": 2, "username": 1})
    );
    assert_eq!(lapi["blocked"]["ip"], 12);
    assert_eq!(lapi["only_counted"]["cookie"], 5);
    assert_eq!(lapi["used_bytes"], 150_000);
    let [age, ago, next] = [
        "age_seconds",
        "last_fetch_seconds_ago",
        "next_fetch_in_seconds",
    ]
    .map(|key| lapi[key].as_u64().unwrap());
    assert!(
        age < TAKES_AT_MOST && ago < TAKES_AT_MOST && next > 300 - TAKES_AT_MOST,
        "{lapi}"
    );
    assert_eq!(json["feeds"]["drop"]["age_seconds"], Value::Null);
    assert_eq!(json["feeds"]["drop"]["next_fetch_in_seconds"], 0);
    assert_eq!(json["feeds"]["drop"]["shadow"], true);
    assert_eq!(json["feeds"]["later"], json!({"enabled": false}));
}

#[test]
fn problems_of_feeds_have_warnings() {
    let workspace = workspace_with_feeds();
    let two_hours_ago = now() - TWO_HOURS;
    let attempt = "fetch.source=lapi.last_attempt_unix_seconds";
    let table = [
        (
            ("attack_list.source=lapi.stale", 1),
            "the list lapi is stale: no fetch has succeeded within its max_age",
            "due in FIVE MINUTES",
        ),
        (
            ("fetch.source=lapi.last_result", 3),
            "the last fetch of the list lapi failed; see Envoy's log, or try `portcullis feeds read lapi --url URL` with the \
             server's address",
            "within FIVE MINUTES",
        ),
        (
            (attempt, two_hours_ago),
            "the last fetch of the list lapi ended 2 H ago, and one is due every 300 s; is Envoy overloaded?",
            "now",
        ),
    ];
    for ((metric, value), warning, next) in table {
        let mut admin = envoy_with_feeds(&workspace);
        admin.set(metric, value);
        let printed = status(&workspace, admin, &[]);
        assert_eq!(warnings(&printed), [warning]);
        let line = format!("  next fetch            : {next}\n");
        let first = lines_of_feeds(&printed).find("  next fetch").unwrap();
        assert!(
            lines_of_feeds(&printed)[first..].starts_with(&line),
            "{printed}"
        );
    }
}

#[test]
fn a_feed_whose_cluster_is_missing_has_a_warning() {
    let workspace = workspace_with_feeds();
    let mut admin = envoy_with_feeds(&workspace);
    admin.set("fetch.source=lapi.last_result", 3);
    let clusters = admin.dump["configs"][0]["static_clusters"].as_array_mut();
    clusters.unwrap().pop();
    assert_eq!(
        warnings(&status(&workspace, admin, &[])),
        [
            "the running Envoy has no cluster \"lapi\", which the feed lapi names: its list can't be fetched; add the cluster to \
             the bootstrap and restart Envoy, or correct the name"
        ]
    );
}

#[test]
fn status_without_an_envoy_shows_which_feeds_are_enabled() {
    let workspace = workspace_with_feeds();
    let output = workspace.run(&["status"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        lines_of_feeds(&printed),
        "feed lapi               : enabled\nfeed drop               : enabled, shadow mode\nfeed later              : off\n"
    );
}
