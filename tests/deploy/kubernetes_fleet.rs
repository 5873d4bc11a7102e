//! `examples/kubernetes-fleet`: the output of kustomize, and what its containers may do.

use crate::command::{resources_of, run_readme};
use serde_json::{Value, json};

const EXAMPLE: &str = "examples/kubernetes-fleet";

#[test]
fn the_commands_of_the_readme_work() {
    let outputs = run_readme("examples/kubernetes-fleet/README.md");

    let printed: String = outputs.into_iter().map(|(_, output)| output).collect();
    for expected in [
        "secret portcullis/portcullis-tokens: operator read node\n",
        "secret portcullis/portcullis-abs: ABS_ACCESS_KEY ABS_SECRET_KEY\n",
        "valid: Deployment portcullis-server\n",
        "valid: PodDisruptionBudget portcullis-server\n",
        "valid: Service portcullis-server\n",
        "valid: ConfigMap portcullis-filters\n",
    ] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
}

#[test]
fn the_server_is_locked_down_and_one_replica_is_always_up() {
    let resources = resources_of(&format!("tools/kustomize build {EXAMPLE}"));
    let deployment = resource(&resources, "Deployment");
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(
        deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"],
        0
    );
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let budget = resource(&resources, "PodDisruptionBudget");
    assert_eq!(budget["spec"]["minAvailable"], 1);
    assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
    assert_eq!(resource(&resources, "Service")["spec"]["selector"], *labels);

    let pod = &deployment["spec"]["template"]["spec"];
    let server = &pod["containers"][0];
    let security = &server["securityContext"];
    assert_eq!(security["runAsNonRoot"], true);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        assert_eq!(server[probe]["httpGet"]["path"], path);
        assert_eq!(server[probe]["httpGet"]["scheme"], "HTTPS");
    }
    // Open requests have ten seconds after the sleep.
    let sleep = server["lifecycle"]["preStop"]["sleep"]["seconds"]
        .as_u64()
        .unwrap();
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > sleep + 10);
}

#[test]
fn each_path_of_the_arguments_is_mounted() {
    let resources = resources_of(&format!("tools/kustomize build {EXAMPLE}"));
    let pod = &resource(&resources, "Deployment")["spec"]["template"]["spec"];
    let server = &pod["containers"][0];
    let mounts = server["volumeMounts"].as_array().unwrap();
    let volumes = pod["volumes"].as_array().unwrap();
    let mut paths = 0;
    for argument in server["args"].as_array().unwrap() {
        let Some((option, path)) = argument.as_str().unwrap().split_once("=/") else {
            continue;
        };
        paths += 1;
        let path = format!("/{path}");
        let mount = mounts
            .iter()
            .find(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()))
            .unwrap_or_else(|| panic!("{option}: {path}"));
        assert_eq!(mount["subPath"], Value::Null, "it would never be updated");
        assert!(
            volumes.iter().any(|volume| volume["name"] == mount["name"]),
            "{path}"
        );
        if option != "--state" {
            assert_eq!(mount["readOnly"], true, "{path}");
        }
    }
    assert_eq!(paths, 8);
}

fn resource<'a>(resources: &'a [Value], kind: &str) -> &'a Value {
    let mut found = resources.iter().filter(|resource| resource["kind"] == kind);
    found.next().unwrap_or_else(|| panic!("no {kind}"))
}
