//! `examples/istio-sidecar`: the manifests, and a real Envoy configured as Istio does from them: an empty vm_id, an
//! inbound and an outbound listener, ABS over TLS in Istio's cluster.

use crate::command::{run_readme, tool};
use crate::harness;
use crate::harness::interval::assert_interval;
use crate::harness::process::repository;
use crate::harness::services::Api;
use crate::prometheus::Prometheus;
use crate::proxy::Proxy;
use crate::secure_abs::{KEYS, SecureAbs};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// Seconds between two fetches in these tests. Everything else is as in the manifests.
const INTERVAL: f64 = 2.0;

#[test]
fn the_commands_of_the_readme_work_and_give_the_proxies_their_keys() {
    let outputs = run_readme("examples/istio-sidecar/README.md");

    let printed: String = outputs.into_iter().map(|(_, output)| output).collect();
    for namespace in ["shop", "istio-ingress"] {
        let secret = format!("secret {namespace}/portcullis-abs: ABS_ACCESS_KEY ABS_SECRET_KEY\n");
        assert!(printed.contains(&secret), "{printed}");
    }
    for file in ["api.yaml", "gateway.yaml"] {
        let text = std::fs::read_to_string(example(file)).unwrap();
        for key in ["ABS_ACCESS_KEY", "ABS_SECRET_KEY"] {
            let reference = format!("secretKeyRef: {{ name: portcullis-abs, key: {key} }}");
            assert!(text.contains(&reference), "{file} should have {reference}");
        }
    }
    for valid in [
        "ServiceEntry abs",
        "DestinationRule abs",
        "WasmPlugin portcullis",
    ] {
        assert!(printed.contains(&format!("valid: {valid}\n")), "{printed}");
    }
}

#[test]
fn a_sidecar_fetches_once_an_interval_for_both_directions_and_blocks_both_ways() {
    mesh(
        "shop/sample-api",
        &["abs.yaml", "sidecar.yaml", "api.yaml"],
        async |mesh| {
            let sidecar = &mesh.proxy;
            let inbound = |path| sidecar.get("virtualInbound", path).bearer("stolen");
            let outbound = |path| sidecar.get("virtualOutbound", path).bearer("stolen");
            sidecar.becomes_allowed(&inbound("/")).await;
            sidecar.becomes_allowed(&outbound("/")).await;

            mesh.abs.admin(
                "POST",
                "list",
                &json!({"oauth_tokens": ["stolen"], "ips": ["203.0.113.9"]}),
            );
            sidecar.becomes_denied(&inbound("/")).await;
            sidecar.becomes_denied(&outbound("/")).await;

            // The API may read these names as another header.
            for listener in ["virtualInbound", "virtualOutbound"] {
                let underscore = sidecar.get(listener, "/").header("x_api_key", "key");
                assert_eq!(underscore.send().await.status, 400, "{listener}");
            }

            // The address is the one in the gateway's header.
            let forwarded = |address| {
                let request = sidecar.get("virtualInbound", "/");
                request.header("x-forwarded-for", address)
            };
            sidecar.becomes_denied(&forwarded("203.0.113.9")).await;
            sidecar.becomes_allowed(&forwarded("203.0.113.10")).await;

            mesh.assert_one_fetch_an_interval(6).await;

            mesh.abs
                .admin("DELETE", "list", &json!({"oauth_tokens": ["stolen"]}));
            sidecar.becomes_allowed(&inbound("/")).await;
            sidecar.becomes_allowed(&outbound("/")).await;
            mesh.assert_runs_as_istio_renders(&["INBOUND", "OUTBOUND"])
                .await;
        },
    );
}

#[test]
fn a_gateway_blocks_by_the_address_of_its_peer() {
    mesh(
        "istio-ingress/ingress",
        &["abs.yaml", "gateway.yaml"],
        async |mesh| {
            let from = |address| mesh.proxy.get("0.0.0.0_8080", "/").from(address);
            mesh.abs
                .admin("POST", "list", &json!({"ips": ["127.0.0.7"]}));

            mesh.proxy.becomes_denied(&from("127.0.0.7")).await;
            let forged = from("127.0.0.7").header("x-forwarded-for", "127.0.0.8");
            mesh.proxy.becomes_denied(&forged).await;
            let framed = from("127.0.0.8").header("x-forwarded-for", "127.0.0.7");
            mesh.proxy.becomes_allowed(&framed).await;
            let underscore = from("127.0.0.8").header("x_api_key", "key");
            assert_eq!(underscore.send().await.status, 400);
            mesh.assert_one_fetch_an_interval(3).await;
            mesh.assert_runs_as_istio_renders(&["OUTBOUND"]).await;
        },
    );
}

#[test]
fn the_prometheus_of_the_example_turns_istios_metric_names_into_labels() {
    mesh(
        "shop/sample-api",
        &["abs.yaml", "sidecar.yaml", "api.yaml"],
        async |mesh| {
            mesh.abs
                .admin("POST", "list", &json!({"oauth_tokens": ["stolen"]}));
            let request = mesh.proxy.get("virtualInbound", "/").bearer("stolen");
            mesh.proxy.becomes_denied(&request).await;
            let raw = mesh.proxy.admin("/stats/prometheus").await;
            assert!(
                raw.contains("portcullis_denied_source_abs_kind_oauth_token{}"),
                "{raw}"
            );

            let prometheus = Prometheus::start(mesh.proxy.envoy.admin).await;
            for expression in [
                "portcullis_denied{source=\"abs\", kind=\"oauth_token\"} > 0",
                "portcullis_would_deny{source=\"manual\", kind=\"ip\"} == 0",
                "portcullis_fetch{result=\"ok\"} > 0",
                "portcullis_attack_list_entries{kind=\"oauth_token\"} == 1",
                "envoy_wasm_portcullis_vm_reload_success == 0",
            ] {
                prometheus.finds(expression).await;
            }
        },
    );
}

#[test]
fn the_renderer_refuses_what_istio_would_accept_silently() {
    for (file, is, becomes, complaint) in [
        (
            "sidecar.yaml",
            "istio-injection: enabled",
            "istio-injection: disabled",
            "shop/sample-api gets no proxy",
        ),
        (
            "api.yaml",
            "portcullis: enabled\n",
            "portcullis: enabled\n        sidecar.istio.io/inject: \"false\"\n",
            "shop/sample-api gets no proxy",
        ),
        (
            "sidecar.yaml",
            "cluster: outbound|443||abs.example.com",
            "cluster: outbound|8080||abs.example.com",
            "no ServiceEntry makes the cluster outbound|8080||abs.example.com",
        ),
        (
            "sidecar.yaml",
            "portcullis: enabled",
            "portcullis: enable",
            "no WasmPlugin selects shop/sample-api",
        ),
        (
            "api.yaml",
            "- name: ABS_SECRET_KEY",
            "- name: ABS_SECRET",
            "istio-proxy of sample-api has no variable ABS_SECRET_KEY",
        ),
    ] {
        let changed = TempDir::new().unwrap();
        for name in ["abs.yaml", "sidecar.yaml", "api.yaml"] {
            let mut text = std::fs::read_to_string(example(name)).unwrap();
            if name == file {
                assert!(text.contains(is), "{file} should have {is}");
                text = text.replace(is, becomes);
            }
            std::fs::write(changed.path().join(name), text).unwrap();
        }
        let files: Vec<_> = ["abs.yaml", "sidecar.yaml", "api.yaml"]
            .iter()
            .map(|name| changed.path().join(name).display().to_string())
            .collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();

        let output = render("shop/sample-api", &files, changed.path(), &[]);

        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(complaint), "{errors}");
    }
}

#[test]
fn a_gateway_is_injected_by_the_label_of_its_pod_or_of_its_namespace() {
    let with = |pod: &str, namespace: &str| {
        let changed = TempDir::new().unwrap();
        let mut text = std::fs::read_to_string(example("gateway.yaml")).unwrap();
        let label = ", sidecar.istio.io/inject: \"true\"";
        assert!(text.contains(label));
        text = text.replace(label, pod);
        if !namespace.is_empty() {
            let labels = format!("{{ name: istio-ingress, labels: {{ {namespace} }} }}");
            text.push_str(&format!(
                "---\napiVersion: v1\nkind: Namespace\nmetadata: {labels}\n"
            ));
        }
        let file = changed.path().join("gateway.yaml");
        std::fs::write(&file, text).unwrap();
        let files = [example("abs.yaml"), file.display().to_string()];
        let files = files.each_ref().map(String::as_str);
        let output = render("istio-ingress/ingress", &files, changed.path(), &[]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() || errors.contains("gets no proxy"),
            "{errors}"
        );
        output.status.success()
    };
    for (pod, namespace, is_injected) in [
        (", sidecar.istio.io/inject: \"true\"", "", true),
        ("", "", false),
        ("", "istio-injection: enabled", true),
        ("", "istio.io/rev: default", true),
        (", istio.io/rev: default", "", true),
        (
            ", sidecar.istio.io/inject: \"true\"",
            "istio-injection: disabled",
            false,
        ),
        (
            ", sidecar.istio.io/inject: \"false\"",
            "istio-injection: enabled",
            false,
        ),
        ("", "istio.io/rev: canary", false),
    ] {
        assert_eq!(with(pod, namespace), is_injected, "{pod} {namespace}");
    }
}

/// A proxy as Istio configures it, with its upstreams.
pub struct Mesh {
    pub proxy: Proxy,
    pub abs: SecureAbs,
    _api: Api,
    directory: TempDir,
}

/// Runs `body` against the proxy of one workload of the example.
fn mesh(workload: &str, files: &[&str], body: impl AsyncFnOnce(&Mesh)) {
    let files: Vec<_> = files.iter().map(|file| example(file)).collect();
    mesh_of(workload, &files, body);
}

/// Runs `body` against the proxy of one workload of these manifests.
pub fn mesh_of(workload: &str, files: &[String], body: impl AsyncFnOnce(&Mesh)) {
    harness::run(async {
        let mesh = Mesh::start(workload, files).await;
        body(&mesh).await;
        let transcript = mesh.proxy.envoy.process.transcript();
        for secret in ["stolen", KEYS[0], KEYS[1]] {
            assert!(!transcript.contains(secret), "Envoy wrote {secret}");
        }
    });
}

impl Mesh {
    async fn start(workload: &str, files: &[String]) -> Self {
        let directory = TempDir::new().unwrap();
        let abs = SecureAbs::start().await;
        let api = Api::start().await;
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let module = std::env::var("PORTCULLIS_WASM")
            .unwrap_or_else(|_| "target/portcullis.wasm".to_owned());
        let resolve = format!("abs.example.com:8080={}", abs.address());
        let api_address = api.address.to_string();
        let authority = abs.certificate();
        let output = render(
            workload,
            &files,
            directory.path(),
            &[
                ["--module", &module],
                ["--resolve", &resolve],
                ["--system-authorities", &authority],
                ["--workload-address", &api_address],
                ["--service-address", &api_address],
                ["--inbound", "127.0.0.1:0"],
                ["--outbound", "127.0.0.1:0"],
                ["--admin", "127.0.0.1:0"],
            ],
        );
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        shorten_the_interval(&directory.path().join("ecds"));
        let bootstrap = directory.path().join("envoy.json");
        let proxy = Proxy::with_bootstrap(&bootstrap, KEYS).await;
        Self {
            proxy,
            abs,
            _api: api,
            directory,
        }
    }

    /// Fails the test unless there are `count` fetches in that many intervals: not one per worker or direction.
    async fn assert_one_fetch_an_interval(&self, count: u32) {
        let interval = Duration::from_secs_f64(INTERVAL);
        assert_interval(async || self.abs.fetch_times(), interval, count).await;
    }

    /// Fails the test unless Envoy reports the configuration that Istio would give it.
    pub async fn assert_runs_as_istio_renders(&self, directions: &[&str]) {
        let bootstrap: Value = serde_json::from_str(
            &std::fs::read_to_string(self.directory.path().join("envoy.json")).unwrap(),
        )
        .unwrap();
        let listeners = bootstrap["static_resources"]["listeners"]
            .as_array()
            .unwrap();
        let found: Vec<_> = listeners
            .iter()
            .map(|listener| listener["traffic_direction"].as_str().unwrap())
            .collect();
        assert_eq!(found, directions);

        let dump: Value =
            serde_json::from_str(&self.proxy.admin("/config_dump?resource=ecds_filters").await)
                .unwrap();
        let filters = dump["configs"].as_array().unwrap();
        assert!(!filters.is_empty(), "{dump}");
        for filter in filters {
            let config = &filter["ecds_filter"]["typed_config"]["config"];
            assert_eq!(config["failure_policy"], "FAIL_RELOAD", "{dump}");
            assert_eq!(config["root_id"], "portcullis");
            assert!(config["name"].as_str().unwrap().ends_with(".portcullis"));
            assert_eq!(config["vm_config"]["vm_id"], Value::Null);
            assert_eq!(
                config["vm_config"]["environment_variables"]["host_env_keys"],
                json!(["ABS_ACCESS_KEY", "ABS_SECRET_KEY"])
            );
        }
        let runtime: Value = serde_json::from_str(&self.proxy.admin("/runtime").await).unwrap();
        assert_eq!(
            runtime["entries"]["http.async_response_buffer_limit"]["final_value"],
            "268435456"
        );
    }
}

fn render(workload: &str, files: &[&str], output: &Path, options: &[[&str; 2]]) -> Output {
    Command::new(tool(".tools/venv/bin/python", "python"))
        .current_dir(repository())
        .arg("examples/istio-sidecar/render.py")
        .args(["--workload", workload])
        .arg("--output")
        .arg(output)
        .args(options.iter().flatten())
        .args(files)
        .output()
        .unwrap()
}

/// The example fetches every ten minutes; a test can't wait for that.
fn shorten_the_interval(ecds: &Path) {
    let files: Vec<_> = std::fs::read_dir(ecds).unwrap().collect();
    assert!(!files.is_empty());
    for file in files {
        let path = file.unwrap().path();
        let mut resources: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let value =
            &mut resources["resources"][0]["typed_config"]["config"]["configuration"]["value"];
        let mut plugin: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
        assert_eq!(plugin["abs_attack_request_minutes"], 10);
        plugin["abs_attack_request_minutes"] = json!(INTERVAL / 60.0);
        *value = plugin.to_string().into();
        std::fs::write(&path, resources.to_string()).unwrap();
    }
}

fn example(file: &str) -> String {
    format!("examples/istio-sidecar/{file}")
}
