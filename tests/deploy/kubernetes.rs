//! `examples/kubernetes-sidecar`: the output of kustomize, and a real Envoy with the files, arguments and mounts of its
//! pod.

use crate::command::{refused, resources_of, run_readme};
use crate::harness::process::{artefact, repository};
use crate::harness::services::Api;
use crate::harness::{self, eventually};
use crate::proxy::Proxy;
use crate::secure_abs::{KEYS, SecureAbs};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const EXAMPLE: &str = "examples/kubernetes-sidecar/example";

#[test]
fn the_commands_of_the_readme_work() {
    let outputs = run_readme("examples/kubernetes-sidecar/README.md");

    let printed: String = outputs.into_iter().map(|(_, output)| output).collect();
    for expected in [
        "secret shop/portcullis-abs: ABS_ACCESS_KEY ABS_SECRET_KEY\n",
        "valid: Deployment sample-api\n",
        "valid: ConfigMap portcullis-filter\n",
        "valid: NetworkPolicy portcullis\n",
    ] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
}

#[test]
fn an_object_needs_its_namespace_first() {
    let secret = "kubectl create secret generic portcullis-abs --namespace shop --from-literal K=v";
    let namespace = "kubectl apply -f examples/kubernetes-sidecar/example/namespace.yaml";
    let wrong_order = refused(&format!("{secret}\n{namespace}"));
    assert!(
        wrong_order.contains("namespaces \"shop\" not found"),
        "{wrong_order}"
    );
    let twice = refused("kubectl create namespace shop\nkubectl create namespace shop");
    assert!(twice.contains("already exists"), "{twice}");
    // The kustomization needs no other command.
    let resources = kustomized(EXAMPLE);
    assert_eq!(resources[0]["kind"], "Namespace");
    assert_eq!(resources[0]["metadata"]["name"], "shop");
}

#[test]
fn the_sidecar_is_locked_down_and_the_workload_is_unchanged() {
    let resources = kustomized(EXAMPLE);
    let pod = pod(&resources);
    let own = container(pod, "containers", "sample-api");
    assert_eq!(
        *own,
        json!({
            "name": "sample-api",
            "image": "registry.example.com/sample-api:0.2.0",
            "args": ["--listen=127.0.0.1:8000"]
        })
    );
    for added in [
        container(pod, "containers", "portcullis"),
        container(pod, "initContainers", "portcullis-module"),
    ] {
        let security = &added["securityContext"];
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
        assert!(added["resources"]["limits"]["memory"].is_string());
        assert!(added["resources"]["requests"]["cpu"].is_string());
        // Not an untagged image and not "latest".
        let image = added["image"].as_str().unwrap();
        let (_, tag) = image.rsplit_once(':').unwrap();
        assert!(tag.contains(|c: char| c.is_ascii_digit()), "{image}");
    }
    let sidecar = container(pod, "containers", "portcullis");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert!(sidecar[probe].is_object(), "{probe}");
    }
    let service = resource(&resources, "Service", "sample-api");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "portcullis");
    assert_eq!(service["spec"]["ports"][0]["port"], 80);
    let policy = resource(&resources, "NetworkPolicy", "portcullis");
    assert_eq!(
        policy["spec"]["podSelector"]["matchLabels"],
        json!({"portcullis": "enabled"})
    );
    let template = resource(&resources, "Deployment", "sample-api");
    assert_eq!(
        template["spec"]["template"]["metadata"]["labels"],
        json!({"app": "sample-api", "portcullis": "enabled"})
    );
}

#[test]
fn every_workload_with_the_label_gets_a_sidecar_and_no_other() {
    let overlay = TempDir::new_in(repository().join("target")).unwrap();
    let mut documents = Vec::new();
    for (name, label) in [("first", "enabled"), ("second", "enabled"), ("third", "no")] {
        documents.push(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": {"portcullis": label}},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "initContainers": [{"name": "own", "image": "own:1"}],
                        "containers": [{"name": "own", "image": "own:1"}],
                        "volumes": [{"name": "own", "emptyDir": {}}]
                    }
                }
            }
        }));
    }
    let text: Vec<_> = documents.iter().map(Value::to_string).collect();
    std::fs::write(overlay.path().join("apps.yaml"), text.join("\n---\n")).unwrap();
    let component = repository().join("examples/kubernetes-sidecar/component");
    symlink(component, overlay.path().join("component")).unwrap();
    let kustomization = json!({"resources": ["apps.yaml"], "components": ["./component"]});
    std::fs::write(
        overlay.path().join("kustomization.yaml"),
        kustomization.to_string(),
    )
    .unwrap();

    let resources = kustomized(overlay.path().to_str().unwrap());

    for (name, containers) in [("first", 2), ("second", 2), ("third", 1)] {
        let pod = &resource(&resources, "Deployment", name)["spec"]["template"]["spec"];
        for kind in ["containers", "initContainers"] {
            assert_eq!(pod[kind].as_array().unwrap().len(), containers, "{name}");
        }
        container(pod, "containers", "own");
    }
}

#[test]
fn the_installers_image_has_the_module_at_the_path_that_the_init_container_copies() {
    let dockerfile = repository().join("release/installer/Dockerfile");
    let dockerfile = std::fs::read_to_string(dockerfile).unwrap();
    let resources = kustomized(EXAMPLE);
    let init = container(pod(&resources), "initContainers", "portcullis-module");
    let source = init["command"][1].as_str().unwrap();

    assert!(dockerfile.contains(&format!("COPY portcullis.wasm {source}\n")));
    assert!(dockerfile.contains("COPY cp /bin/cp\n"));
    assert_eq!(init["command"][0], "cp");
}

#[test]
fn the_pods_envoy_blocks_and_applies_a_changed_config_map() {
    harness::run(async {
        let abs = SecureAbs::start().await;
        let api = Api::start().await;
        let pod = Pod::new(&kustomized(EXAMPLE), &api, &abs);
        let proxy = pod.start().await;
        let client = |address| {
            proxy
                .get("ingress", "/")
                .header("x-forwarded-for", format!("198.51.100.1, {address}"))
        };
        abs.admin(
            "POST",
            "list",
            &json!({"ips": ["203.0.113.7"], "oauth_tokens": ["stolen"]}),
        );

        proxy.becomes_denied(&client("203.0.113.7")).await;
        proxy
            .becomes_denied(&client("203.0.113.8").bearer("stolen"))
            .await;
        proxy.becomes_allowed(&client("203.0.113.8")).await;

        // Only the parts of the admin interface that the kubelet and Prometheus need are reachable from outside.
        let ops = |path| proxy.get("metrics", path);
        assert_eq!(ops("/ready").send().await.status, 200);
        let metrics = ops("/stats/prometheus").send().await;
        assert!(
            metrics
                .body
                .contains("portcullis_denied{source=\"abs\",kind=\"ip\"}"),
            "{}",
            metrics.body
        );
        for path in ["/", "/config_dump", "/quitquitquit", "/stats/prometheus/x"] {
            assert_eq!(ops(path).send().await.status, 404, "{path}");
        }

        // The kubelet updates the mounted ConfigMap.
        pod.update_filter(|plugin| plugin["enable_firewall"] = false.into());
        proxy.becomes_allowed(&client("203.0.113.7")).await;
        pod.update_filter(|plugin| plugin["enable_firewall"] = true.into());
        proxy.becomes_denied(&client("203.0.113.7")).await;

        // With a large list, Envoy stays below the pod's memory limit.
        abs.admin(
            "POST",
            "generate",
            &json!({"entries": 500_000, "kinds": "ips", "seed": 1}),
        );
        eventually("the large list is active", async || {
            let stats = proxy.admin("/stats").await;
            stats
                .contains("attack_list.entries.kind=ip: 500000\n")
                .then_some(())
        })
        .await;
        let used = proxy.envoy.process.peak_resident_kib() * 1024;
        let limit = pod.memory_limit();
        println!("with 500,000 addresses Envoy used {used} of {limit} bytes");
        assert!(used < limit * 8 / 10, "{used} of {limit}");
    });
}

/// The sidecar's files and arguments as in its container, below a folder.
pub struct Pod {
    root: TempDir,
    sidecar: Value,
}

impl Pod {
    /// The sidecar of the Deployment `sample-api`, with the ConfigMaps of these objects.
    pub fn new(resources: &[Value], api: &Api, abs: &SecureAbs) -> Self {
        let root = TempDir::new().unwrap();
        let pod = pod(resources);
        let sidecar = container(pod, "containers", "portcullis").clone();
        let result = Self { root, sidecar };

        // The init container's work.
        let init = container(pod, "initContainers", "portcullis-module");
        let copied = init["command"][2].as_str().unwrap();
        let module = artefact("PORTCULLIS_WASM", "target/portcullis.wasm", "make build");
        let place = result.path_of(copied);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(module, place).unwrap();

        // The ConfigMaps, where the container mounts them.
        for volume in pod["volumes"].as_array().unwrap() {
            let Some(name) = volume["configMap"]["name"].as_str() else {
                continue;
            };
            let mounts = result.sidecar["volumeMounts"].as_array().unwrap();
            let mount = mounts
                .iter()
                .find(|mount| mount["name"] == volume["name"])
                .unwrap();
            assert_eq!(mount["subPath"], Value::Null, "it would never be updated");
            let directory = result.path_of(mount["mountPath"].as_str().unwrap());
            std::fs::create_dir_all(&directory).unwrap();
            let data = &resource(resources, "ConfigMap", name)["data"];
            for (file, text) in data.as_object().unwrap() {
                let text = result.rewritten(text.as_str().unwrap(), api, abs);
                write_like_the_kubelet(&directory, file, &text);
            }
        }
        // Ten minutes is too long for a test.
        result.update_filter(|plugin| {
            assert_eq!(plugin["abs_attack_request_minutes"], 10);
            plugin["abs_attack_request_minutes"] = json!(0.02);
        });
        result
    }

    /// Starts its Envoy.
    pub async fn start(&self) -> Proxy {
        let arguments: Vec<_> = self.sidecar["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|argument| self.below_root(argument.as_str().unwrap()))
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        // The container has the variables of the filter.
        let names: Vec<_> = self.sidecar["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variable| variable["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["ABS_ACCESS_KEY", "ABS_SECRET_KEY"]);
        Proxy::start(&arguments, KEYS).await
    }

    /// Changes the plugin configuration in the mounted ConfigMap, as the kubelet does after a change of the ConfigMap.
    fn update_filter(&self, change: impl FnOnce(&mut Value)) {
        let directory = self.path_of("/etc/portcullis");
        let text = std::fs::read_to_string(directory.join("filter.json")).unwrap();
        let mut filter: Value = serde_json::from_str(&text).unwrap();
        change(
            filter
                .pointer_mut("/resources/0/typed_config/config/configuration/value")
                .unwrap(),
        );
        write_like_the_kubelet(&directory, "filter.json", &filter.to_string());
    }

    fn memory_limit(&self) -> u64 {
        let limit = self.sidecar["resources"]["limits"]["memory"]
            .as_str()
            .unwrap();
        limit.strip_suffix("Mi").unwrap().parse::<u64>().unwrap() * 1024 * 1024
    }

    /// A file's text with this machine's paths, addresses and ports in place of the pod's, each of which occurs once.
    fn rewritten(&self, text: &str, api: &Api, abs: &SecureAbs) -> String {
        let text = self.below_root(text);
        if !text.contains("static_resources") {
            return text;
        }
        let file = self.root.path().join("bootstrap.yaml");
        std::fs::write(&file, text).unwrap();
        let mut text = resources_of(&format!("cat '{}'", file.display()))[0].to_string();
        let address = |host: &str, port: u16| format!(r#""address":"{host}","port_value":{port}"#);
        let replacements = [
            (address("0.0.0.0", 10000), address("127.0.0.1", 0)),
            (address("0.0.0.0", 9902), address("127.0.0.1", 0)),
            (
                address("127.0.0.1", 8000),
                address("127.0.0.1", api.address.port()),
            ),
            (
                address("abs.example.com", 8080),
                address("127.0.0.1", abs.address().port()),
            ),
            (
                "/etc/ssl/certs/ca-certificates.crt".to_owned(),
                abs.certificate(),
            ),
        ];
        for (from, to) in replacements {
            assert_eq!(text.matches(&from).count(), 1, "{from}");
            text = text.replace(&from, &to);
        }
        // The port of Envoy's own admin interface is not known in advance.
        let admin = address("127.0.0.1", 9901);
        assert_eq!(text.matches(&admin).count(), 2);
        text.replace(&admin, &address(&own_address(), 9901))
    }

    fn below_root(&self, text: &str) -> String {
        let root = self.root.path().display();
        ["/etc/envoy", "/etc/portcullis", "/opt/portcullis"]
            .iter()
            .fold(text.to_owned(), |text, path| {
                text.replace(path, &format!("{root}{path}"))
            })
    }

    fn path_of(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }
}

/// Writes a mounted ConfigMap: the file is a link into `..data`, which is a link to a folder. A change makes a new folder
/// and renames `..data`.
fn write_like_the_kubelet(directory: &Path, file: &str, text: &str) {
    let version = (0..)
        .map(|number| format!("..2026_11_23_{number}"))
        .find(|version| !directory.join(version).exists())
        .unwrap();
    std::fs::create_dir(directory.join(&version)).unwrap();
    std::fs::write(directory.join(&version).join(file), text).unwrap();
    symlink(&version, directory.join("..data_tmp")).unwrap();
    std::fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    if !directory.join(file).exists() {
        symlink(format!("..data/{file}"), directory.join(file)).unwrap();
    }
}

/// The resources in kustomize's output for a directory.
fn kustomized(directory: &str) -> Vec<Value> {
    resources_of(&format!("tools/kustomize build '{directory}'"))
}

fn resource<'a>(resources: &'a [Value], kind: &str, name: &str) -> &'a Value {
    resources
        .iter()
        .find(|resource| resource["kind"] == kind && resource["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn pod(resources: &[Value]) -> &Value {
    &resource(resources, "Deployment", "sample-api")["spec"]["template"]["spec"]
}

fn container<'a>(pod: &'a Value, list: &str, name: &str) -> &'a Value {
    pod[list]
        .as_array()
        .unwrap()
        .iter()
        .find(|container| container["name"] == name)
        .unwrap_or_else(|| panic!("no container {name} in {list}"))
}

/// An address of the loopback interface for this test run only, so that its ports are free.
fn own_address() -> String {
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    format!("127.{}.{middle}.{low}", 64 + high)
}
