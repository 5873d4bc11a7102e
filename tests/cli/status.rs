//! `status --envoy`: each test changes the responses of an Envoy.

mod blocking;
mod feeds;
mod problems;
mod several;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::envoy_admin::{Admin, now};
use crate::support::Workspace;

const TWO_HOURS: u64 = 7200;
/// The longest time in seconds between writing a response and reading it, on any machine.
const TAKES_AT_MOST: u64 = 60;

/// The output without ages, which grow while the test runs.
fn status(workspace: &Workspace, admin: Admin, further: &[&str]) -> String {
    let url = admin.serve();
    let output = workspace.run(&[&["status", "--envoy", &url], further].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).unwrap();
    (0..TAKES_AT_MOST).fold(text, |text, age| {
        text.replace(&format!(": {age} s\n"), ": AGE\n")
            .replace(&format!(", last attempt {age} s ago"), ", AGO")
            .replace(&format!(", {age} s ago\n"), ", AGO\n")
            .replace(&format!(" {} s ago, ", TWO_HOURS + age), " 2 H ago, ")
            .replace(&format!(", age {age} s"), ", age AGE")
            .replace(&format!(": due in {} s\n", 600 - age), ": IN TEN MINUTES\n")
            .replace(&format!("in {} s\n", 300 - age), "in FIVE MINUTES\n")
            .replace(&format!("(age {age} s)"), "(age AGE)")
            .replace(&format!(" age: {} s)", TWO_HOURS + age), " age: 2 H)")
    })
}

/// The warnings in the output.
fn warnings(printed: &str) -> Vec<&str> {
    printed
        .lines()
        .filter_map(|line| line.strip_prefix("warning: "))
        .collect()
}

#[test]
fn status_shows_what_a_running_envoy_reports() {
    let workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    admin.set("attack_list.bytes", 25 * 1024 * 1024 + 629_146);
    admin.set("attack_list.generation", 7);
    for (kind, count) in [
        ("ip", 900_000),
        ("cookie", 12),
        ("oauth_token", 3),
        ("api_key", 4),
        ("username", 5),
    ] {
        admin.set(&format!("attack_list.entries.kind={kind}"), count);
        admin.set(&format!("denied.source=abs.kind={kind}"), count + 1);
        admin.set(&format!("denied.source=manual.kind={kind}"), count + 2);
        admin.set(&format!("would_deny.source=abs.kind={kind}"), 10);
    }
    admin.set("fetch.result=ok", 9);
    admin.set("fetch.result=timeout", 2);
    admin.set("allow_listed", 41);
    admin.set("entries_skipped", 6);
    admin.set_stat("wasm.portcullis.vm_reload_success", 1);
    let expected = "\
Portcullis
blocking                : yes
failing fetches         : none
file                    : envoy/filter.json
envoy                   : 1.40.0, started
ports                   : http 10000
active configuration    : that of the file
configuration updates   : accepted 1, refused 3, unreadable 0
firewall                : enabled
abs                     : disabled, ssl: disabled
abs attack              : enabled
attack list memory      : configured 128.00 MB, used 25.60 MB, free 102.40 MB
attack list entries     : ip 900000, cookie 12, oauth_token 3, api_key 4, username 5
attack list generation  : 7
attack list age         : AGE
last fetch              : success, AGO
next fetch              : IN TEN MINUTES
attack list stale       : no
fetches                 : ok 9, not_modified 1, status 0, timeout 2, reset 0, too_large 0, unauthorized 0, malformed 0, memory 0, refused 0
blocked by abs          : ip 900001, cookie 13, oauth_token 4, api_key 5, username 6, no_list 0
blocked by blacklist    : ip 900002, cookie 14, oauth_token 5, api_key 6, username 7
only counted (shadow)   : abs 50, blacklist 0
passed by whitelist     : 41
entries skipped         : 6
traffic records         : sent 0, failed 0, dropped 0
traffic information     : disabled
vm reloads              : done 1, failed 0, put off 0
";
    let mut admin_before = admin.stats.clone();
    let not_modified = admin_before["stats"]
        .as_array_mut()
        .unwrap()
        .iter()
        .find(|stat| stat["name"] == "wasmcustom.portcullis.fetch.result=not_modified")
        .map(|stat| stat["value"].as_u64().unwrap());
    assert_eq!(
        status(&workspace, admin, &[]),
        expected.replace(
            "not_modified 1",
            &format!("not_modified {}", not_modified.unwrap())
        )
    );
}

#[test]
fn the_block_of_ase_is_shown_on_request() {
    let workspace = Workspace::new();
    let printed = status(&workspace, Admin::of(&workspace), &["--ase"]);
    let expected = "\
API Security Enforcer
status                  : started
http/ws                 : port 10000
https/wss               : none
firewall                : enabled
abs                     : disabled, ssl: disabled
abs attack              : enabled
audit                   : enabled
ase detected attack     : disabled
attack list memory      : configured 128.00 MB, used 0.00 MB, free 128.00 MB
Portcullis
blocking                : yes
failing fetches         : none
file                    : envoy/filter.json
envoy                   : 1.40.0, started
ports                   : http 10000
active configuration    : that of the file
configuration updates   : accepted 1, refused 3, unreadable 0
attack list entries     : ";
    assert!(printed.starts_with(expected), "{printed}");
}

/// With Envoy's default namespace for a native filter's metrics.
#[test]
fn status_reads_the_metrics_of_a_native_filter() {
    let workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    admin.set("attack_list.generation", 7);
    let stats = admin.stats.to_string();
    let native = stats.replace("\"wasmcustom.", "\"dynamicmodulescustom.");
    admin.stats = serde_json::from_str(&native).unwrap();
    let printed = status(&workspace, admin, &[]);
    assert!(
        printed.contains("attack list generation  : 7\n"),
        "{printed}"
    );
}

#[test]
fn status_prints_the_same_as_json() {
    let workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    admin.set("attack_list.last_success_unix_seconds", 0);
    let json: Value =
        serde_json::from_str(&status(&workspace, admin, &["--output", "json"])).unwrap();
    assert_eq!(json["status"], "started");
    assert_eq!(json["http_ws"], json!([10000]));
    assert_eq!(json["attack_list_age"], Value::Null);
    assert_eq!(json["active_configuration"]["matches_file"], true);
    assert_eq!(json["attack_list_memory"]["configured_bytes"], 128 << 20);
    assert_eq!(json["warnings"], json!([]));
}

#[test]
fn tls_is_detected_on_listeners_and_the_cluster_of_abs() {
    let workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    let tls = |side: &str| {
        json!({"name": "tls", "typed_config": {
            "@type": format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext")}})
    };
    admin.dump["configs"][0]["static_clusters"][0]["cluster"]["transport_socket"] = tls("Upstream");
    let mut listener = admin.dump["configs"][2]["static_listeners"][0].clone();
    listener["listener"]["name"] = json!("ingress-tls");
    listener["listener"]["filter_chains"][0]["transport_socket"] = tls("Downstream");
    admin.dump["configs"][2]["static_listeners"]
        .as_array_mut()
        .unwrap()
        .push(listener);
    let mut bound = admin.listeners["listener_statuses"][0].clone();
    bound["name"] = json!("ingress-tls");
    bound["local_address"]["socket_address"]["port_value"] = json!(10443);
    admin.listeners["listener_statuses"]
        .as_array_mut()
        .unwrap()
        .push(bound);
    let printed = status(&workspace, admin, &["--ase"]);
    for line in [
        "http/ws                 : port 10000",
        "https/wss               : port 10443",
        "ports                   : http 10000, https 10443",
        "abs                     : disabled, ssl: enabled",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
}

/// An Envoy that sends traffic information to ASE and has a cluster for it.
fn sending(workspace: &Workspace) -> Admin {
    let file = workspace.read("envoy/filter.json");
    let file = file.replace("\"enable_abs\": false", "\"enable_abs\": true");
    workspace.write("envoy/filter.json", &file);
    let mut admin = Admin::of(workspace);
    let clusters = admin.dump["configs"][0]["static_clusters"]
        .as_array_mut()
        .unwrap();
    let mut ase = clusters[0].clone();
    ase["cluster"]["name"] = json!("ase");
    clusters.push(ase);
    admin
}

#[test]
fn status_reports_whether_abs_receives_traffic_information() {
    let workspace = Workspace::new();
    let no_interface = "the server does not have ASE's sideband interface (status 404); check that traffic.cluster \
                        names the address of ASE's sideband, not of ABS, and that ASE runs in sideband mode";
    let nothing = format!("ABS receives nothing: {no_interface}");
    let partly = format!("ABS does not receive all traffic information: {no_interface}");
    let no_cluster = "ABS receives nothing: the running Envoy has no cluster \"ase\", which traffic.cluster names";
    let no_response = "ABS receives nothing: no response; check the cluster that traffic.cluster names (default: \
                       abs.cluster), and that ASE accepts calls there";
    // Seconds since the last success and the last failure, its status, the state, the warning.
    type Row<'a> = (Option<u64>, Option<u64>, u64, &'a str, Option<&'a str>);
    let table: [Row<'_>; 7] = [
        (None, None, 0, "nothing was sent yet", None),
        (Some(5), None, 0, "received", None),
        (None, Some(5), 404, "ABS receives nothing", Some(&nothing)),
        (None, Some(5), 0, "ABS receives nothing", Some(no_response)),
        // It worked once, and fails now.
        (
            Some(900),
            Some(5),
            404,
            "ABS receives nothing",
            Some(&nothing),
        ),
        (Some(5), Some(5), 404, "partly received", Some(&partly)),
        (Some(5), Some(7_200), 404, "received", None),
    ];
    for (success, failure, status_code, state, warning) in table {
        let mut admin = sending(&workspace);
        let mut set = |name: &str, ago: Option<u64>| {
            let time = ago.map_or(0, |ago| now() - ago);
            admin.set(&format!("traffic.{name}_unix_seconds"), time);
        };
        set("last_success", success);
        set("last_failure", failure);
        admin.set("traffic.last_failure_status", status_code);
        admin.set("traffic.sent", 3);
        admin.set("traffic.failed", 7);
        let printed = status(&workspace, admin, &[]);
        assert!(
            printed.contains(&format!("traffic information     : {state}\n")),
            "{printed}"
        );
        assert!(
            printed.contains(": sent 3, failed 7, dropped 0\n"),
            "{printed}"
        );
        assert_eq!(
            warnings(&printed),
            warning.into_iter().collect::<Vec<_>>(),
            "{printed}"
        );
    }
    let mut admin = sending(&workspace);
    admin.dump["configs"][0]["static_clusters"]
        .as_array_mut()
        .unwrap()
        .pop();
    let printed = status(&workspace, admin, &[]);
    assert_eq!(warnings(&printed), [no_cluster]);
}

#[test]
fn one_private_address_behind_most_denied_requests_is_reported() {
    let workspace = Workspace::new();
    let line =
        |client: &str| format!("{{\"client\":\"{client}\",\"verdict\":\"denied abs ip\"}}\n");
    let log = line("10.1.2.3").repeat(30) + &line("198.51.100.7").repeat(3) + "not JSON\n";
    workspace.write("access.log", &log);
    let expected = [
        "30 of the last 33 denied requests come from the private address 10.1.2.3: Envoy seems to use the address \
         of a proxy in front of it as the client's; see use_remote_address and xff_num_trusted_hops",
    ];
    let printed = status(
        &workspace,
        Admin::of(&workspace),
        &["--access-log", "access.log"],
    );
    assert_eq!(warnings(&printed), expected);
    // Without --access-log, the file that Envoy writes is read.
    let mut admin = Admin::of(&workspace);
    admin.dump["configs"][2]["static_listeners"][0]["listener"]["access_log"] =
        json!([{"typed_config": {"path": workspace.path("access.log")}}]);
    let printed = status(&workspace, admin, &[]);
    assert_eq!(warnings(&printed), expected);
    let printed = status(
        &workspace,
        Admin::of(&workspace),
        &["--access-log", "nowhere.log"],
    );
    assert_eq!(
        warnings(&printed),
        ["the access log nowhere.log can't be read: No such file or directory (os error 2)"]
    );
    assert_eq!(workspace.replay("$ mkfifo pipe"), "$ mkfifo pipe\n");
    let printed = status(&workspace, Admin::of(&workspace), &["--access-log", "pipe"]);
    assert_eq!(
        warnings(&printed),
        ["the access log pipe can't be read: it is not a regular file"]
    );
}

#[test]
fn a_server_that_is_not_envoy_is_reported() {
    let mut workspace = Workspace::new();
    let mut admin = Admin::of(&workspace);
    admin.info = json!("not what Envoy says");
    let url = admin.serve();
    workspace.show_as(&url, "http://envoy");
    workspace.assert_refused(
        &["status", "--envoy", &url],
        1,
        "error: http://envoy/server_info returned status 200 without Envoy's JSON; \
         is this Envoy's admin interface?\n",
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    workspace.show_as(&url, "http://envoy");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while request.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        stream
            .write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    workspace.assert_refused(
        &["status", "--envoy", &url],
        1,
        "error: http://envoy/server_info returned status 404 without Envoy's JSON; is this Envoy's admin interface?\n",
    );
}
