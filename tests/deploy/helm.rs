//! `charts/portcullis`: what a real Helm renders and refuses, and real Envoys with it, as the tests of the examples run them.

mod hostile;

use crate::command::{blocks, resources_of, run, tool};
use crate::envoy_gateway;
use crate::harness;
use crate::harness::process::repository;
use crate::harness::services::Api;
use crate::istio::mesh_of;
use crate::kubernetes::Pod;
use crate::secure_abs::SecureAbs;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const CHART: &str = "charts/portcullis";

/// A namespace, a release's values, and what Helm renders for them.
struct Release {
    directory: TempDir,
    values: PathBuf,
}

impl Release {
    fn new(values: &Value) -> Self {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("values.json");
        std::fs::write(&file, values.to_string()).unwrap();
        Self {
            directory,
            values: file,
        }
    }

    /// What `helm template` writes; its complaint if it refuses the values.
    fn template(&self) -> Result<String, String> {
        self.template_as("portcullis", "shop")
    }

    /// The same for a release of this name in this namespace.
    fn template_as(&self, name: &str, namespace: &str) -> Result<String, String> {
        let output = Command::new(helm())
            .args(["template", name, CHART, "--namespace", namespace])
            .arg("--values")
            .arg(&self.values)
            .current_dir(repository())
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// The file with the rendered objects.
    fn rendered(&self) -> PathBuf {
        let file = self.file("rendered.yaml");
        let text = self.template().unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(&file, text).unwrap();
        file
    }

    fn objects(&self) -> Vec<Value> {
        let file = self.rendered();
        resources_of(&format!("cat '{}'", file.display()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A real kubectl applies a patch of the release to an object in a file.
    fn patched(&self, object: &Path, patch: &str, kind: &str) -> Value {
        let objects = self.objects();
        let data = &find(&objects, "ConfigMap", "portcullis-patch")["data"];
        let file = self.file("patch.yaml");
        std::fs::write(&file, data[patch].as_str().unwrap()).unwrap();
        let kubectl = tool(".tools/helm/kubectl", "helm");
        let output = run(
            &kubectl,
            &[
                "patch",
                "--local",
                "--filename",
                object.to_str().unwrap(),
                "--type",
                kind,
                "--patch-file",
                file.to_str().unwrap(),
                "--output",
                "json",
            ],
        );
        serde_json::from_str(&output).unwrap()
    }

    /// The example's API with the release's additions, as JSON in a file.
    fn patched_api(&self, example: &str) -> (Value, PathBuf) {
        let resources = resources_of(&format!("cat {example}"));
        let own = self.file("api.json");
        std::fs::write(&own, resources[0].to_string()).unwrap();
        let patched = self.patched(&own, "deployment.yaml", "strategic");
        std::fs::write(&own, patched.to_string()).unwrap();
        (patched, own)
    }
}

fn helm() -> String {
    tool(".tools/helm/helm", "helm")
}

/// The values of the README's example, for a platform.
fn values(platform: &str) -> Value {
    let targets =
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shop"}]);
    json!({
        "platform": platform,
        "credentials": {"existingSecret": "portcullis-abs"},
        "clusters": {"abs": {"host": "abs.example.com", "port": 8080}},
        "config": {
            "enable_abs_attack": true,
            "abs_attack_request_minutes": 10,
            "abs": {"cluster": "abs", "authority": "abs.example.com"}
        },
        "envoyGateway": {"targetRefs": if platform == "envoy-gateway" { targets } else { json!([]) }},
    })
}

/// Everything that is off by default.
fn all_of(platform: &str) -> Value {
    let mut values = values(platform);
    values["image"] = json!({"pullSecret": "registry"});
    values["server"] = json!({
        "enabled": true, "tlsSecret": "portcullis-tls", "tokensSecret": "portcullis-tokens",
        "relay": {"enable_abs_attack": true, "abs": {"cluster": "abs"}, "upstreams": {"abs": {"url": "https://abs.example.com"}}}
    });
    values["serviceMonitor"] = json!({"enabled": true, "labels": {"release": "prometheus"}});
    values["prometheusRule"] = json!({"enabled": true});
    values["dashboard"] = json!({"enabled": true});
    values
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut found = objects
        .iter()
        .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.next().unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn each_platform_passes_lint_and_the_published_schemas() {
    let mut waypoint = all_of("istio");
    waypoint["istio"] = json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}],
        "mode": "SERVER"
    });
    let releases = ["istio", "envoy-gateway", "sidecar", "none"].map(all_of);
    let releases = releases.into_iter().chain([waypoint, json!({})]);
    let releases: Vec<_> = releases.map(|values| Release::new(&values)).collect();
    let mut files = Vec::new();
    for release in &releases {
        let values = release.values.to_str().unwrap();
        run(
            &helm(),
            &["lint", "--strict", "--quiet", CHART, "--values", values],
        );
        files.push(release.rendered().display().to_string());
    }
    // The defaults install nothing.
    let nothing = files.pop().unwrap();
    assert_eq!(std::fs::read_to_string(nothing).unwrap().trim(), "");
    let mut arguments = vec!["tests/deploy/validate-manifests.mjs"];
    arguments.extend(files.iter().map(String::as_str));
    let printed = run("node", &arguments);
    for (object, times) in [
        ("WasmPlugin portcullis", 2),
        ("EnvoyFilter portcullis-header-names", 2),
        ("EnvoyExtensionPolicy portcullis", 1),
        ("EnvoyProxy portcullis", 1),
        ("ConfigMap portcullis-filter", 1),
        ("NetworkPolicy portcullis", 1),
        ("Deployment portcullis-server", 5),
        ("ServiceMonitor portcullis-server", 5),
        ("PodMonitor portcullis", 2),
        ("PrometheusRule portcullis", 5),
        ("ConfigMap portcullis-dashboard", 5),
    ] {
        let line = format!("valid: {object}\n");
        assert_eq!(
            printed.matches(&line).count(),
            times,
            "{object} in {printed}"
        );
    }
}

#[test]
fn wrong_values_are_refused_with_their_place() {
    for (change, pointer, complaints) in [
        (
            json!("kong"),
            "/platform",
            &["at '/platform': value must be one of 'istio'"][..],
        ),
        (
            json!({"enable_firewal": true, "guard": {"widest_ipv4": 40}, "when_stale": "sometimes"}),
            "/config",
            &[
                "at '/config': additional properties 'enable_firewal' not allowed",
                "at '/config/guard/widest_ipv4': maximum: got 40, want 32",
                "at '/config/when_stale': value must be one of 'keep', 'drop'",
            ],
        ),
        (
            json!({"enable_abs_attack": true}),
            "/config",
            &["at '/config': missing property 'abs'"],
        ),
        (
            json!({"feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/drop.txt"}]}),
            "/config",
            &[
                "config.feeds[0].cluster names the cluster \"lists\", which clusters does not have: add clusters.lists",
            ],
        ),
        (
            json!({"feeds": [{
                "name": "lapi", "format": "crowdsec", "cluster": "abs", "headers": {"x-api-key": {"env": "CROWDSEC_KEY"}},
            }]}),
            "/config",
            &[
                "config.feeds[0].headers.x-api-key names the variable \"CROWDSEC_KEY\", which the filter does not get",
                "there are: ABS_ACCESS_KEY, ABS_SECRET_KEY",
            ],
        ),
        (
            json!({"feeds": [{
                "name": "drop", "format": "text", "cluster": "abs", "path": "/drop.txt",
                "headers": {"basic": {"user": "bob", "password_env": "PASSWORD"}},
            }]}),
            "/config",
            &["config.feeds[0].headers.basic names the variable \"PASSWORD\""],
        ),
        (
            json!({"abs": {"host": "abs.example.com"}}),
            "/clusters",
            &["at '/clusters/abs': missing property 'port'"],
        ),
        (
            json!({"one": {"host": "a.example.com", "port": 1}, "abs": {"host": "a.example.com", "port": 2}}),
            "/clusters",
            &["clusters.one: another cluster has the host a.example.com"],
        ),
        (
            json!({"existingSecret": "portcullis-abs", "values": {"ABS_ACCESS_KEY": "key"}}),
            "/credentials",
            &["existingSecret and values are both set"],
        ),
        (
            json!({"enabled": true}),
            "/server",
            &[
                "at '/server/tlsSecret': minLength",
                "at '/server/tokensSecret': minLength",
            ],
        ),
    ] {
        let mut values = values("istio");
        values[&pointer[1..]] = change;
        let error = Release::new(&values).template().unwrap_err();
        for complaint in complaints {
            assert!(error.contains(complaint), "{complaint} in {error}");
        }
    }
    let mut values = values("envoy-gateway");
    values["envoyGateway"] = json!({});
    let error = Release::new(&values).template().unwrap_err();
    assert!(
        error.contains("at '/envoyGateway/targetRefs': minItems"),
        "{error}"
    );
}

/// The chart has no other idea of an object than the example that is tested.
#[test]
fn the_objects_are_those_of_the_examples() {
    let of_istio = [
        "WasmPlugin",
        "ServiceEntry",
        "DestinationRule",
        "EnvoyFilter",
    ];
    let of_gateway = ["EnvoyExtensionPolicy", "EnvoyProxy", "ClientTrafficPolicy"];
    for (platform, kinds, files) in [
        (
            "istio",
            &of_istio[..],
            "examples/istio-sidecar/abs.yaml examples/istio-sidecar/sidecar.yaml",
        ),
        (
            "envoy-gateway",
            &of_gateway,
            "examples/envoy-gateway/portcullis.yaml",
        ),
    ] {
        let rendered = Release::new(&values(platform)).objects();
        // Documents of several files, each without `---` at its end.
        let expected = resources_of(&format!(
            "for file in {files}; do cat $file; echo ---; done"
        ));
        for kind in kinds {
            let spec = |objects: &[Value]| {
                let object = objects.iter().find(|object| object["kind"] == *kind);
                let mut spec = object.unwrap_or_else(|| panic!("no {kind}"))["spec"].clone();
                if let Some(Value::String(text)) = spec.pointer("/bootstrap/value") {
                    let parsed = resources_of(&format!("cat <<'END'\n{text}\nEND\n"));
                    spec["bootstrap"]["value"] = parsed[0].clone();
                }
                spec
            };
            assert_eq!(spec(&rendered), spec(&expected), "{kind}");
        }
    }
}

#[test]
fn the_server_is_that_of_the_example() {
    let rendered = Release::new(&all_of("none")).objects();
    let expected = resources_of("tools/kustomize build examples/kubernetes-fleet");
    let pod = |objects: &[Value], name: &str| {
        find(objects, "Deployment", name)["spec"]["template"]["spec"].clone()
    };
    let (mut rendered_pod, expected_pod) = (
        pod(&rendered, "portcullis-server"),
        pod(&expected, "portcullis-server"),
    );
    assert_eq!(rendered_pod["containers"], expected_pod["containers"]);
    assert_eq!(
        rendered_pod["securityContext"],
        expected_pod["securityContext"]
    );
    rendered_pod["volumes"][1]["configMap"] = json!(null);
    for (index, volume) in expected_pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        assert_eq!(rendered_pod["volumes"][index]["name"], volume["name"]);
        assert_eq!(rendered_pod["volumes"][index]["secret"], volume["secret"]);
    }
    let filters = &find(&rendered, "ConfigMap", "portcullis-server-filters")["data"];
    let filter: Value = serde_json::from_str(filters["portcullis.json"].as_str().unwrap()).unwrap();
    let configuration = "/resources/0/typed_config/config/configuration/value";
    assert_eq!(
        filter.pointer(configuration).unwrap(),
        &values("none")["config"]
    );
}

#[test]
fn the_alerts_have_the_intervals_of_the_configuration() {
    let rules = |config: Value| {
        let mut values = all_of("none");
        values["config"] = config;
        let objects = Release::new(&values).objects();
        find(&objects, "PrometheusRule", "portcullis")["spec"]["groups"].clone()
    };
    let file = |name: &str| resources_of(&format!("cat examples/observability/{name}"))[0].clone();
    let feed = |keys: Value| {
        let mut feed = json!({"name": "crowdsec", "format": "crowdsec", "cluster": "lapi"});
        for (key, value) in keys.as_object().unwrap() {
            feed[key] = value.clone();
        }
        feed
    };
    let usual = rules(json!({"feeds": [feed(json!({}))]}));
    assert_eq!(usual[0], file("rules.yml")["groups"][0]);
    assert_eq!(usual[1], file("fleet-rules.yml")["groups"][0]);
    let others = rules(json!({
        "abs_attack_request_minutes": 0.5,
        "feeds": [feed(json!({"interval": "6h"})), feed(json!({"name": "a", "interval": "1500ms"}))]
    }));
    let expressions: Vec<_> = (0..3)
        .map(|index| others[0]["rules"][index]["expr"].clone())
        .collect();
    assert_eq!(expressions, ["vector(30)", "vector(21600)", "vector(1.5)"]);
}

#[test]
fn keys_in_the_values_become_a_secret_where_the_proxies_run() {
    for (platform, namespace) in [
        ("sidecar", "shop"),
        ("envoy-gateway", "envoy-gateway-system"),
    ] {
        let mut values = values(platform);
        values["credentials"] = json!({"values": {"ABS_ACCESS_KEY": "ak", "LIST_KEY": "lk"}});
        let release = Release::new(&values);
        let objects = release.objects();
        let secret = find(&objects, "Secret", "portcullis-credentials");
        assert_eq!(secret["metadata"]["namespace"], namespace);
        assert_eq!(
            secret["stringData"],
            json!({"ABS_ACCESS_KEY": "ak", "LIST_KEY": "lk"})
        );
        // Only the Secret has them; everything else names it.
        let text = release.template().unwrap();
        assert_eq!(text.matches("ak\n").count(), 1, "{text}");
        assert_eq!(text.matches("key: LIST_KEY").count(), 1);
    }
}

#[test]
fn the_readme_has_each_value_with_its_default_and_its_examples_render() {
    let readme = std::fs::read_to_string(repository().join(CHART).join("README.md")).unwrap();
    let values = &resources_of(&format!("cat {CHART}/values.yaml"))[0];
    let schema = std::fs::read_to_string(repository().join(CHART).join("values.schema.json"));
    let schema: Value = serde_json::from_str(&schema.unwrap()).unwrap();
    let mut documented = 0;
    for line in readme.lines() {
        let Some((name, rest)) = line
            .strip_prefix("| `")
            .and_then(|row| row.split_once("` | `"))
        else {
            continue;
        };
        documented += 1;
        let default: Value = serde_json::from_str(rest.split("` |").next().unwrap()).unwrap();
        let found = values.pointer(&format!("/{}", name.replace('.', "/")));
        assert_eq!(found, Some(&default), "{name}");
    }
    let mut known = 0;
    for (name, value) in values.as_object().unwrap() {
        let described = &schema["properties"][name];
        match described["properties"].as_object() {
            Some(properties) => {
                let keys: Vec<_> = properties.keys().collect();
                assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
                known += keys.len();
            }
            None => known += 1,
        }
    }
    assert_eq!(documented, known);

    let examples = blocks(&readme, "yaml");
    assert!(examples.len() >= 2);
    for example in examples {
        let values = resources_of(&format!("cat <<'END'\n{example}END\n"));
        Release::new(&values[0]).template().unwrap();
    }
}

/// What Helm says after an installation are the commands that the README has after it.
#[test]
fn the_commands_of_the_readme_install_and_are_in_the_notes() {
    let readme = std::fs::read_to_string(repository().join(CHART).join("README.md")).unwrap();
    let values = &resources_of(&format!("cat <<'END'\n{}END\n", blocks(&readme, "yaml")[0]))[0];
    let file = Release::new(values);
    let mut n_commands = 0;
    for block in blocks(&readme, "text") {
        let Some((install, others)) = block
            .split_once('\n')
            .filter(|(first, _)| first.starts_with("helm install "))
        else {
            continue;
        };
        let command = install
            .replace(
                "helm install",
                &format!("'{}' install --dry-run=client", helm()),
            )
            .replace("oci://REGISTRY/charts/portcullis", CHART)
            .replace("values.yaml", file.values.to_str().unwrap())
            .replace("REGISTRY", "registry.example.org");
        let printed = run("bash", &["-euo", "pipefail", "-c", &command]);
        let (_, notes) = printed.split_once("NOTES:").unwrap();
        for line in others.lines() {
            let line = line.replace("sample-api", "NAME");
            assert!(notes.contains(&line), "{line} in {notes}");
            n_commands += 1;
        }
    }
    assert_eq!(n_commands, 7);
}

#[test]
fn the_notes_warn_of_missing_keys_images_and_monitors() {
    let notes = |values: &Value| {
        let release = Release::new(values);
        let file = release.values.to_str().unwrap();
        let arguments = ["install", "portcullis", CHART, "--dry-run=client"];
        let printed = run(&helm(), &[&arguments[..], &["--values", file]].concat());
        printed.split_once("NOTES:").unwrap().1.to_owned()
    };
    let mut values = values("istio");
    let complete = notes(&values);
    assert!(!complete.contains("has no keys"), "{complete}");
    assert!(
        complete.contains("there are no images at registry.example.com"),
        "{complete}"
    );
    values["credentials"] = json!({});
    values["image"] = json!({"registry": "ghcr.io/shop"});
    let warned = notes(&values);
    assert!(warned.contains("the filter has no keys"), "{warned}");
    assert!(!warned.contains("no images"), "{warned}");

    let mut values = all_of("envoy-gateway");
    assert!(notes(&values).contains("no monitor of Envoy Gateway"));
    values["serviceMonitor"] = json!({});
    assert!(!notes(&values).contains("no monitor"));
}

#[test]
fn the_command_line_tool_finds_the_configuration_in_each_object() {
    let portcullis =
        harness::process::artefact("PORTCULLIS_BIN", "target/release/portcullis", "make build");
    for platform in ["istio", "envoy-gateway", "sidecar"] {
        let release = Release::new(&values(platform));
        let file = release.rendered();
        let arguments = ["--config", file.to_str().unwrap(), "check_config"];
        let printed = run(portcullis.to_str().unwrap(), &arguments);
        assert!(printed.contains("is valid"), "{platform}: {printed}");
    }
}

#[test]
fn the_plugin_of_the_chart_blocks_in_a_sidecar_of_istio() {
    let release = Release::new(&values("istio"));
    let (_, api) = release.patched_api("examples/istio-sidecar/api.yaml");
    let namespace = release.file("namespace.yaml");
    std::fs::write(
        &namespace,
        json!({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}}).to_string(),
    )
    .unwrap();
    let files = [release.rendered(), api, namespace].map(|file| file.display().to_string());
    mesh_of("shop/sample-api", &files, async |mesh| {
        mesh.abs
            .admin("POST", "list", &json!({"oauth_tokens": ["stolen"]}));
        let inbound = mesh.proxy.get("virtualInbound", "/");
        mesh.proxy.becomes_denied(&inbound.bearer("stolen")).await;
        mesh.proxy
            .becomes_allowed(&mesh.proxy.get("virtualInbound", "/"))
            .await;
        let underscore = mesh
            .proxy
            .get("virtualInbound", "/")
            .header("x_api_key", "key");
        assert_eq!(underscore.send().await.status, 400);
        mesh.assert_runs_as_istio_renders(&["INBOUND", "OUTBOUND"])
            .await;
    });
}

#[test]
fn the_policy_of_the_chart_blocks_in_an_envoy_gateway() {
    let objects = Release::new(&values("envoy-gateway")).objects();
    envoy_gateway::blocks_on_the_routes_of_its_policy(objects);
}

#[test]
fn the_sidecar_of_the_chart_blocks() {
    let release = Release::new(&values("sidecar"));
    let (deployment, _) = release.patched_api("examples/kubernetes-sidecar/example/api.yaml");
    let service = resources_of("cat examples/kubernetes-sidecar/example/api.yaml")[1].clone();
    let own = release.file("service.json");
    std::fs::write(&own, service.to_string()).unwrap();
    let service = release.patched(&own, "service.yaml", "json");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "portcullis");
    let mut objects = release.objects();
    objects.push(deployment);
    harness::run(async {
        let abs = SecureAbs::start().await;
        let api = Api::start().await;
        let pod = Pod::new(&objects, &api, &abs);
        let proxy = pod.start().await;
        abs.admin("POST", "list", &json!({"ips": ["203.0.113.7"]}));
        let client = |address| {
            proxy
                .get("ingress", "/")
                .header("x-forwarded-for", format!("198.51.100.1, {address}"))
        };
        proxy.becomes_denied(&client("203.0.113.7")).await;
        proxy.becomes_allowed(&client("203.0.113.8")).await;
    });
}
