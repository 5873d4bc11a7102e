//! What only the native module has: the bootstrap extension, which waits for the first lists and has a page in the admin
//! interface.

use crate::harness::artefact::Artefact;
use crate::harness::envoy_process::envoy_binary;
use crate::harness::{Harness, Setup, scenario};
use crate::reconfiguration::{at_port, knock, port_outside_the_ephemeral_range};
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn is_left_out() -> bool {
    Artefact::Native.is_left_out("a wasm module has no bootstrap extension")
}

/// Enables the bootstrap extension as the comment in the shipped file says, with this wait.
pub fn with_extension(text: &str, wait: &str) -> String {
    let (before, rest) = text.split_once("# -- bootstrap extension --\n").unwrap();
    let (block, after) = rest
        .split_once("# -- end of the bootstrap extension --\n")
        .unwrap();
    let block: String = block
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap()))
        .collect();
    assert!(block.contains("wait_for_first_list: 30s"));
    format!("{before}{}{after}", block.replace("30s", wait))
}

#[test]
fn envoy_serves_only_once_the_first_list_is_there() {
    if is_left_out() {
        return;
    }
    let port = port_outside_the_ephemeral_range();
    let setup = Setup::new().bootstrap(move |text| at_port(&with_extension(&text, "30s"), port));
    scenario(setup, async |harness| {
        harness.block("127.0.0.7").await;
        for _ in 0..5 {
            let stop = Arc::new(AtomicBool::new(false));
            let clients: Vec<_> = ["127.0.0.7", "127.0.0.8"]
                .map(|client| tokio::spawn(knock(port, client, Arc::clone(&stop))))
                .into();
            harness.restart_envoy().await;
            let ready = Instant::now();
            while ready.elapsed() < Duration::from_millis(300) {
                let listed = harness.get("/").from("127.0.0.7");
                assert!(listed.send().await.is_denied());
            }
            stop.store(true, Ordering::Relaxed);
            for (client, expected) in clients.into_iter().zip([403, 200]) {
                let knocks = client.await.unwrap();
                assert!(knocks.n_refused > 0, "Envoy was never down");
                assert!(knocks.statuses.len() > 10, "{knocks:?}");
                assert!(
                    knocks.statuses.iter().all(|&status| status == expected),
                    "{expected}: {knocks:?}"
                );
            }
        }
    });
}

#[test]
fn envoy_serves_without_a_list_after_the_longest_wait() {
    if is_left_out() {
        return;
    }
    let setup = Setup::new()
        .abs_down()
        .bootstrap(|text| with_extension(&text, "2s"));
    scenario(setup, async |harness| {
        harness
            .envoy
            .logs("not every list has arrived in time")
            .await;
        harness.assert_allowed(&harness.get("/")).await;
        harness.abs.restart().await;
        harness.block("127.0.0.7").await;
    });
}

#[test]
fn the_admin_page_says_which_list_blocks_a_client() {
    if is_left_out() {
        return;
    }
    let setup = Setup::new()
        .plugin(json!({"deny_list": {"ips": ["127.0.0.9"]}, "allow_list": {"ips": ["127.0.0.10"]}}))
        .bootstrap(|text| with_extension(&text, "30s"));
    scenario(setup, async |harness| {
        let token = harness.secrets.plant("token");
        harness
            .abs
            .list(json!({"ips": ["127.0.0.7"], "oauth_tokens": [token]}))
            .await;
        harness
            .becomes_denied(&harness.get("/").from("127.0.0.7"))
            .await;
        let overview = harness.envoy.admin("/portcullis").await;
        assert!(overview.contains("feed abs (enforce)"), "{overview}");
        for (query, expected) in [
            ("ip=127.0.0.7", "denied: source=abs kind=ip"),
            ("ip=127.0.0.9", "denied: source=manual kind=ip"),
            ("ip=127.0.0.10", "passes: it is on the allow list"),
            ("ip=127.0.0.8", "passes: no enforced list has it"),
            (
                &format!("ip=127.0.0.8&oauth_token={token}"),
                "denied: source=abs kind=oauth_token",
            ),
        ] {
            let page = harness.envoy.admin(&format!("/portcullis?{query}")).await;
            assert!(page.contains(expected), "{query}: {page}");
            assert!(!page.contains(&token), "{page}");
        }
        assert_eq!(posted(harness).await, 405);
        // The page counts nothing.
        assert_eq!(harness.envoy.count("denied.source=manual.kind=ip").await, 0);
    });
}

/// The status of a POST to the page.
async fn posted(harness: &Harness) -> u16 {
    let page = harness.get("/portcullis").with_body(Method::POST, "");
    let request = page.at_port(harness.envoy.admin_address().port());
    request.send().await.status
}

/// The name that `examples/observability/rules.yml` uses.
#[test]
fn prometheus_has_the_counter_of_panics() {
    if is_left_out() {
        return;
    }
    scenario(Setup::new(), async |harness| {
        assert_eq!(harness.get("/").send().await.status, 200);

        let text = harness.envoy.admin("/stats/prometheus").await;

        assert!(
            text.contains("\n# TYPE portcullis_panics counter\n"),
            "{text}"
        );
    });
}

#[test]
fn a_list_file_is_a_feed_and_a_change_of_it_is_enforced() {
    if is_left_out() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drop.txt");
    std::fs::write(&path, "127.0.0.7\n").unwrap();
    let files = format!(
        "{{ wait_for_first_list: 30s, list_files: {{ local: {} }} }}",
        path.display()
    );
    let setup = Setup::new()
        .plugin(json!({
            "enable_abs_attack": false,
            "feeds": [{
                "name": "local", "format": "text", "cluster": "local", "path": "/", "special_ranges": true,
                "guard": {"max_change_percent": null}
            }]
        }))
        .bootstrap(move |text| {
            with_extension(&text, "30s").replace("{ wait_for_first_list: 30s }", &files)
        });
    scenario(setup, async |harness| {
        let listed = |address: &str| harness.get("/").from(address);
        harness.assert_denied(&listed("127.0.0.7")).await;
        // As a ConfigMap's volume does it: another file in its place.
        let next = directory.path().join("next");
        std::fs::write(&next, "127.0.0.9\n").unwrap();
        std::fs::rename(&next, &path).unwrap();
        harness.becomes_denied(&listed("127.0.0.9")).await;
        harness.assert_allowed(&listed("127.0.0.7")).await;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "127.0.0.9\n127.0.0.8\n").unwrap();
        harness.becomes_denied(&listed("127.0.0.8")).await;
    });
}

#[test]
fn a_route_changes_what_is_blocked_on_it() {
    if is_left_out() {
        return;
    }
    let route = |prefix: &str, rules: &str| {
        format!(
            "- match: {{ prefix: {prefix} }}
                          route: {{ cluster: api }}
                          typed_per_filter_config:
                            portcullis:
                              \"@type\": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute
                              dynamic_module_config: {{ name: portcullis, do_not_close: true }}
                              per_route_config_name: portcullis
                              filter_config:
                                \"@type\": type.googleapis.com/google.protobuf.Struct
                                value: {rules}
                        "
        )
    };
    let routes = [
        route("/open", "{ enable_blocking: false }"),
        route("/trial", "{ mode: shadow }"),
        route("/others", "{ feeds: [ others ] }"),
    ]
    .concat();
    let setup = Setup::new().bootstrap(move |text| {
        let all = "- match: { prefix: / }\n";
        assert!(text.contains(all));
        text.replacen(all, &format!("{routes}{all}"), 1)
    });
    scenario(setup, async |harness| {
        harness.block("127.0.0.7").await;
        let listed = |path: &str| harness.get(path).from("127.0.0.7");
        harness.assert_denied(&listed("/")).await;
        for (path, counts) in [("/open", false), ("/others", false), ("/trial", true)] {
            harness.assert_allowed(&listed(path)).await;
            let would_deny = harness.envoy.count("would_deny.source=abs.kind=ip").await;
            assert_eq!(would_deny > 0, counts, "{path}");
        }
    });
}

/// The configuration of a filter chain with the native filter only.
const OF_ANY_VERSION: &str = r#"
static_resources:
  listeners:
    - address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                route_config: {}
                http_filters:
                  - name: portcullis
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
                      dynamic_module_config: { name: portcullis, do_not_close: true }
                      filter_name: portcullis
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
"#;

/// With every version: the artefact under test does not matter.
#[test]
fn an_envoy_that_is_too_old_says_what_to_use() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("envoy.yaml");
    std::fs::write(&file, OF_ANY_VERSION).unwrap();
    let module = Artefact::Native.module();
    let output = std::process::Command::new(envoy_binary())
        .args(["--mode", "validate", "-c"])
        .arg(&file)
        .env(
            "ENVOY_DYNAMIC_MODULES_SEARCH_PATH",
            module.parent().unwrap(),
        )
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let says = log.contains(
        "the native module needs Envoy 1.39 or later: update Envoy, or use portcullis.wasm",
    );
    let version = std::process::Command::new(envoy_binary())
        .arg("--version")
        .output()
        .unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let minor = version
        .split("/1.")
        .nth(1)
        .and_then(|rest| rest.split('.').next());
    let is_too_old = minor.unwrap().parse::<u32>().unwrap() < 39;
    assert_eq!(
        (output.status.success(), says),
        (!is_too_old, is_too_old),
        "{version}: {log}"
    );
}

/// A list server whose response takes seconds, in small parts.
fn slow_list_server() -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            std::thread::spawn(move || -> std::io::Result<()> {
                let _ = connection.read(&mut [0; 4096])?;
                connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                for _ in 0..2_000 {
                    connection.write_all(b"a\r\n192.0.2.1\n\r\n")?;
                    std::thread::sleep(Duration::from_millis(2));
                }
                connection.write_all(b"0\r\n\r\n")
            });
        }
    });
    address
}

/// Then a worker destroys the configuration, and the calls are the main thread's.
#[test]
fn streams_outlive_configurations_whose_fetches_are_in_flight() {
    if is_left_out() {
        return;
    }
    let setup = Setup::new()
        .cluster("slow", slow_list_server())
        .bootstrap(|text| {
            // Each stream lives a while.
            let router = "- name: envoy.filters.http.router";
            let delay = "- name: envoy.filters.http.fault
                    typed_config:
                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                      delay: { fixed_delay: 0.12s, percentage: { numerator: 100 } }
                  ";
            assert!(text.contains(router));
            text.replacen(router, &format!("{delay}{router}"), 1)
        });
    scenario(setup, async |harness| {
        let passing = harness.traffic(&harness.get("/"), 16).await;
        for change in 0..60 {
            let feeds: Vec<_> = (0..8)
                .map(|feed| {
                    json!({
                        "name": format!("f{feed}"), "format": "text", "cluster": "slow", "interval": "1h",
                        "path": format!("/{change}/{feed}")
                    })
                })
                .collect();
            harness.envoy.reconfigure(json!({ "feeds": feeds })).await;
            passing.wait_for_more(25).await;
        }
        passing.stop().await.assert_clean();
        harness.block("127.0.0.7").await;
    });
}
