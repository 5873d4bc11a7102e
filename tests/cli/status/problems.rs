//! Each problem that `status --envoy` warns of.

use serde_json::{Value, json};

use super::{TWO_HOURS, status, warnings};
use crate::envoy_admin::{Admin, Update, now};
use crate::support::Workspace;

const FORGED_ADDRESS: &str = "the HTTP connection manager \"ingress\" takes the client's address from X-Forwarded-For, which a \
                              client that connects to it can send itself: set use_remote_address: true, with \
                              xff_num_trusted_hops behind proxies, or original_ip_detection_extensions";

const OPEN: &str = "the filter lets requests pass unjudged after a crash (failure_policy FAIL_OPEN), and no metric shows one: \
                    set failure_policy: FAIL_RELOAD";

/// The PluginConfig of the filter.
fn plugin(admin: &mut Admin) -> &mut Value {
    let plugin = "/configs/1/ecds_filters/0/ecds_filter/typed_config/config";
    admin.dump.pointer_mut(plugin).unwrap()
}

#[test]
fn every_problem_has_its_warning() {
    let workspace = Workspace::new();
    type Change<'a> = &'a dyn Fn(&mut Admin);
    let table: [(Change<'_>, &[&str]); 23] = [
        (&|_| {}, &[]),
        (
            &|admin| plugin(admin)["failure_policy"] = json!("FAIL_OPEN"),
            &[OPEN],
        ),
        (&|admin| plugin(admin)["fail_open"] = json!(true), &[OPEN]),
        (
            &|admin| admin.add("panics", 2),
            &[
                "the native module has panicked 2 times since Envoy started: after three on one worker within a minute \
                 native_failure decides whether requests pass unjudged; see Envoy's log",
            ],
        ),
        (
            &|admin| admin.configuration()["enable_firewall"] = json!(false),
            &[
                "the running Envoy does not match envoy/filter.json: it differs from the file in enable_firewall; does it \
                 watch this file? Envoy reads a file when it is replaced (`mv`, as the commands do), not when it is edited in \
                 place: cp -p envoy/filter.json envoy/filter.json.new && mv envoy/filter.json.new envoy/filter.json",
            ],
        ),
        (
            // Every number of a Struct is a floating-point one.
            &|admin| admin.configuration()["abs_attack_request_minutes"] = json!(10.0),
            &[],
        ),
        (
            &|admin| admin.configuration()["enable_firewall"] = json!("no"),
            &[
                "the running Envoy does not match envoy/filter.json: it differs from the file in enable_firewall; does it \
                 watch this file? Envoy reads a file when it is replaced (`mv`, as the commands do), not when it is edited in \
                 place: cp -p envoy/filter.json envoy/filter.json.new && mv envoy/filter.json.new envoy/filter.json",
                "the running Envoy was given a configuration that the filter refuses: an older one is active, or \
                 none; see check_config and Envoy's log",
            ],
        ),
        (
            &|admin| admin.dump["configs"][1]["ecds_filters"] = json!([]),
            &["the running Envoy has no filter named \"portcullis\": nothing is blocked by it"],
        ),
        (
            &|admin| admin.set("attack_list.stale", 1),
            &["the attack list is stale (age AGE): ABS returned none within attack_list_max_age"],
        ),
        (
            // The counters suggest the opposite: they have no order.
            &|admin| {
                admin.set("attack_list.last_success_unix_seconds", now() - TWO_HOURS);
                admin.set("fetch.last_result", 3);
                admin.set("fetch.result=unauthorized", 0);
            },
            &["the last fetch of the attack list failed (list's age: 2 H); see Envoy's log"],
        ),
        (
            // Old failures do not matter after a success.
            &|admin| {
                admin.set("attack_list.last_success_unix_seconds", now() - TWO_HOURS);
                admin.set("fetch.last_result", 2);
                admin.set("fetch.result=unauthorized", 3);
            },
            &[],
        ),
        (
            &|admin| admin.set("fetch.last_attempt_unix_seconds", now() - TWO_HOURS),
            &[
                "the last fetch ended 2 H ago, and one is due every 10 minutes; is Envoy overloaded?",
            ],
        ),
        (
            &|admin| admin.set_last_update(Update::Refused),
            &[
                "the running Envoy refused the newest configuration of \"portcullis\" (update_rejected 3): the previous one \
                 stays active; see check_config and Envoy's log",
            ],
        ),
        (
            &|admin| {
                admin.set_last_update(Update::Refused);
                admin.set_stat(
                    "extension_config_discovery.http_filter.portcullis.update_success",
                    0,
                );
            },
            &[
                "the running Envoy refused the newest configuration of \"portcullis\" (update_rejected 3): no configuration \
                 is active, and every request gets 500; see check_config and Envoy's log",
            ],
        ),
        (
            &|admin| {
                admin.dump["configs"][2]["dynamic_listeners"] = json!([{
                    "name": "edge",
                    "active_state": {},
                    "error_state": {"details": "secret"}
                }]);
            },
            &[
                "the running Envoy refused the newest configuration of the listener \"edge\"; see Envoy's log",
            ],
        ),
        (
            &|admin| {
                admin.dump["configs"][2]["dynamic_listeners"] = json!([{
                    "name": "edge",
                    "active_state": {"version_info": "6"},
                    "error_state": {"version_info": "7", "details": "secret"}
                }]);
            },
            &[
                "the running Envoy refused the newest configuration of the listener \"edge\", version 7; see Envoy's log",
            ],
        ),
        (
            &|admin| {
                admin.set_last_update(Update::Refused);
                admin.dump["configs"][1]["ecds_filters"][0]["version_info"] = json!("3f2a");
            },
            &[
                "the running Envoy refused the newest configuration of \"portcullis\" (update_rejected 3, version 3f2a): the \
                 previous one stays active; see check_config and Envoy's log",
            ],
        ),
        (
            &|admin| admin.manager()["use_remote_address"] = json!(false),
            &[FORGED_ADDRESS],
        ),
        (
            &|admin| {
                let manager = admin.manager();
                manager["use_remote_address"] = json!(false);
                manager["original_ip_detection_extensions"] =
                    json!([{"name": "envoy.http.original_ip_detection.custom_header"}]);
            },
            &[],
        ),
        (
            // None has ended since Envoy started.
            &|admin| {
                admin.set("attack_list.last_success_unix_seconds", 0);
                admin.set("fetch.last_attempt_unix_seconds", 0);
                admin.set("fetch.last_result", 0);
                admin.info["uptime_current_epoch"] = json!("7200s");
            },
            &[
                "no fetch of the attack list has ended in 7200 s, and one is due every 10 minutes; see Envoy's log",
            ],
        ),
        (
            &|admin| {
                admin.manager()["common_http_protocol_options"] = json!({"idle_timeout": "1s"});
            },
            &[
                "the HTTP connection manager \"ingress\" accepts header names with underscores, which some servers read as \
                 dashes (x_api_key as x-api-key): set common_http_protocol_options: { headers_with_underscores_action: \
                 REJECT_REQUEST }",
            ],
        ),
        (
            &|admin| {
                admin.set("attack_list.last_success_unix_seconds", 0);
                admin.set("fetch.last_result", 3);
            },
            &[
                "the last fetch of the attack list failed (list's age: no list yet); see Envoy's log",
            ],
        ),
        (
            &|admin| {
                admin.dump["configs"][0]["static_clusters"]
                    .as_array_mut()
                    .unwrap()
                    .remove(0);
            },
            &[
                "the running Envoy has no cluster \"abs\", which abs.cluster names: ABS can't be reached",
            ],
        ),
    ];
    for (change, expected) in table {
        let mut admin = Admin::of(&workspace);
        change(&mut admin);
        let printed = status(&workspace, admin, &[]);
        assert_eq!(warnings(&printed), expected, "{printed}");
    }
}

#[test]
fn a_file_that_is_newer_than_what_envoy_accepted_is_reported() {
    const LATER: &str = "envoy/filter.json was changed after the newest configuration of \"portcullis\" that the running \
                         Envoy accepted, and Envoy refused or could not read some (update_rejected 3, update_failure 0): \
                         this one is probably not active; see Envoy's log";
    // Envoy accepted one at the start of 2026. When the file was changed, and how many Envoy refused.
    for (changed, refused, expected) in [
        ("2026-01-02T00:00:00Z", 3, vec![LATER]),
        ("2026-01-02T00:00:00Z", 0, vec![]),
        ("2025-12-31T00:00:00Z", 3, vec![]),
    ] {
        let workspace = Workspace::new();
        workspace.replay(&format!("$ touch -d {changed} envoy/filter.json"));
        let mut admin = Admin::of(&workspace);
        let stat = |name: &str| format!("extension_config_discovery.http_filter.portcullis.{name}");
        admin.set_stat(&stat("update_time"), 1_767_225_600_000);
        admin.set_stat(&stat("update_rejected"), refused);
        admin.dump["configs"][1]["ecds_filters"][0]["last_updated"] = json!("2025-12-01T00:00:00Z");
        let printed = status(&workspace, admin, &[]);
        assert_eq!(warnings(&printed), expected, "{printed}");
    }
}
