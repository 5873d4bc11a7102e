//! `examples/envoy-gateway` and `examples/native-envoy-gateway`: the manifests, and a real Envoy configured as Envoy Gateway
//! does from them.

use crate::command::{resources_of, run_readme};
use crate::harness;
use crate::harness::artefact::Artefact;
use crate::harness::services::Api;
use crate::proxy::Proxy;
use crate::secure_abs::{KEYS, SecureAbs};
use serde_json::{Value, json};
use tempfile::TempDir;

const MANIFESTS: &str = "examples/envoy-gateway/portcullis.yaml";
const NATIVE: &str = "examples/native-envoy-gateway/portcullis.yaml";
const TYPE: &str = "type.googleapis.com/envoy.";

#[test]
fn the_commands_of_the_readme_work() {
    let outputs = run_readme("examples/envoy-gateway/README.md");

    let printed: String = outputs.into_iter().map(|(_, output)| output).collect();
    for expected in [
        "secret envoy-gateway-system/portcullis-abs: ABS_ACCESS_KEY ABS_SECRET_KEY\n",
        "valid: EnvoyExtensionPolicy portcullis\n",
        "valid: EnvoyProxy portcullis\n",
    ] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
}

#[test]
fn the_commands_of_the_native_readme_work() {
    let outputs = run_readme("examples/native-envoy-gateway/README.md");
    let printed: String = outputs.into_iter().map(|(_, output)| output).collect();
    let expected = "the configuration of \"portcullis\" is valid";
    assert!(printed.contains(expected), "{printed}");
}

#[test]
fn the_filter_blocks_on_the_routes_of_its_policy() {
    blocks_on_the_routes_of_its_policy(resources_of(&format!("cat {MANIFESTS}")));
}

#[test]
fn the_native_filter_blocks_on_the_routes_of_its_policy() {
    let mut resources = resources_of(&format!("cat {NATIVE}"));
    // The others are those of the wasm example.
    let replaced: Vec<_> = resources.iter().map(|it| it["kind"].clone()).collect();
    let mut others = resources_of(&format!("cat {MANIFESTS}"));
    others.retain(|it| !replaced.contains(&it["kind"]));
    resources.append(&mut others);
    let proxy = &resources[1]["spec"];
    let deployment = &proxy["provider"]["kubernetes"]["envoyDeployment"];
    let path = &proxy["dynamicModules"][0]["source"]["local"]["path"];
    let installer = &deployment["initContainers"][0];
    assert_eq!(&installer["command"][2], path);
    for mount in [
        &installer["volumeMounts"][0],
        &deployment["container"]["volumeMounts"][0],
    ] {
        assert_eq!(mount["name"], deployment["pod"]["volumes"][0]["name"]);
        let file = path.as_str().unwrap();
        assert!(
            file.starts_with(mount["mountPath"].as_str().unwrap()),
            "{file}"
        );
    }
    blocks_on_the_routes_of_its_policy(resources);
}

/// Runs an Envoy as Envoy Gateway configures it from these objects, and a listed client against it.
pub fn blocks_on_the_routes_of_its_policy(resources: Vec<Value>) {
    harness::run(async {
        let abs = SecureAbs::start().await;
        let api = Api::start().await;
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("envoy.json");
        let bootstrap = bootstrap(&resources, &api, &abs);
        std::fs::write(&file, bootstrap.to_string()).unwrap();
        let proxy = Proxy::with_bootstrap(&file, KEYS).await;
        let get = |path| proxy.get("http", path);
        abs.admin(
            "POST",
            "list",
            &json!({"ips": ["127.0.0.7"], "oauth_tokens": ["stolen"]}),
        );

        proxy.becomes_denied(&get("/").from("127.0.0.7")).await;
        proxy.becomes_denied(&get("/").bearer("stolen")).await;
        proxy.becomes_allowed(&get("/").from("127.0.0.8")).await;
        let underscore = get("/").from("127.0.0.8").header("x_api_key", "key");
        assert_eq!(underscore.send().await.status, 400);
        // The policy does not target this route.
        let other = get("/")
            .from("127.0.0.7")
            .header("host", "other.example.com");
        proxy.becomes_allowed(&other).await;

        let metrics = proxy.admin("/stats/prometheus").await;
        assert!(
            metrics.contains("portcullis_denied{source=\"abs\",kind=\"ip\"}"),
            "{metrics}"
        );
        let dump = proxy.admin("/config_dump").await;
        for key in KEYS {
            assert!(!dump.contains(key), "/config_dump shows {key}");
        }
    });
}

/// The part of Envoy Gateway's configuration of Envoy that concerns the filter: its bootstrap merged with the one of
/// EnvoyProxy, and a listener with the policy's filter.
fn bootstrap(resources: &[Value], api: &Api, abs: &SecureAbs) -> Value {
    let spec = |kind| {
        let found = resources.iter().find(|resource| resource["kind"] == kind);
        &found.unwrap_or_else(|| panic!("no {kind}"))["spec"]
    };
    let proxy = spec("EnvoyProxy");
    assert_eq!(proxy["bootstrap"]["type"], "Merge");
    let added = resources_of(&format!(
        "cat <<'END'\n{}END\n",
        proxy["bootstrap"]["value"].as_str().unwrap()
    ));
    let mut bootstrap = json!({
        "admin": {"address": address("127.0.0.1", 0)},
        "layered_runtime": {
            "layers": [{
                "name": "global_config",
                "static_layer": {"envoy.restart_features.use_eds_cache_for_ads": true}
            }]
        },
        "static_resources": {
            "listeners": [listener(spec("EnvoyExtensionPolicy"), proxy, spec("ClientTrafficPolicy"))],
            "clusters": [{
                "name": "api",
                "load_assignment": {
                    "cluster_name": "api",
                    "endpoints": [{"lb_endpoints": [
                        {"endpoint": {"address": address("127.0.0.1", api.address.port())}}
                    ]}]
                }
            }]
        }
    });
    merge(&mut bootstrap, &added[0]);

    // Envoy's environment has the variables of the filter.
    let wanted = &spec("EnvoyExtensionPolicy")["wasm"][0]["env"]["hostKeys"];
    // A native module reads them itself.
    let native = json!(["ABS_ACCESS_KEY", "ABS_SECRET_KEY"]);
    let wanted = if wanted.is_null() { &native } else { wanted };
    let variables = &proxy["provider"]["kubernetes"]["envoyDeployment"]["container"]["env"];
    let given: Vec<_> = variables.as_array().unwrap().iter().collect();
    let names: Vec<_> = given.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(json!(names), *wanted);
    for variable in given {
        let reference = &variable["valueFrom"]["secretKeyRef"];
        assert_eq!(reference["name"], "portcullis-abs");
        assert_eq!(reference["key"], variable["name"]);
    }

    let text = bootstrap.to_string();
    let text = replaced(
        &text,
        r#"{"address":"abs.example.com","port_value":8080}"#,
        &format!(
            r#"{{"address":"127.0.0.1","port_value":{}}}"#,
            abs.address().port()
        ),
    );
    let text = replaced(
        &text,
        "/etc/ssl/certs/ca-certificates.crt",
        &abs.certificate(),
    );
    serde_json::from_str(&text).unwrap()
}

/// The policy's filter: its name and its `typed_config`.
fn filter(policy: &Value, proxy: &Value) -> (&'static str, Value) {
    // Ten minutes is too long for a test.
    let configuration = |filter: &Value| {
        let mut plugin = filter["config"].clone();
        assert_eq!(plugin["abs_attack_request_minutes"], 10);
        plugin["abs_attack_request_minutes"] = json!(0.02);
        json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": plugin.to_string()
        })
    };
    let wasm = &policy["wasm"][0];
    if wasm.is_null() {
        let filter = &policy["dynamicModule"][0];
        let module = &proxy["dynamicModules"][0];
        assert_eq!(filter["name"], module["name"]);
        let typed_config = json!({
            "@type": format!("{TYPE}extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter"),
            "dynamic_module_config": {
                "do_not_close": module["doNotClose"],
                "module": {"local": {"filename": Artefact::Native.module()}}
            },
            "filter_name": filter["filterName"],
            "filter_config": configuration(filter)
        });
        let name = "envoy.filters.http.dynamic_modules/envoyextensionpolicy/shop/portcullis/dynamicmodule/0";
        return (name, typed_config);
    }
    let typed_config = json!({
        "@type": format!("{TYPE}extensions.filters.http.wasm.v3.Wasm"),
        "config": {
            "name": wasm["name"],
            "root_id": wasm["rootID"],
            "fail_open": wasm["failOpen"],
            "vm_config": {
                "vm_id": "envoyextensionpolicy/shop/portcullis/wasm/0",
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": Artefact::Wasm.module()}},
                "environment_variables": {"host_env_keys": wasm["env"]["hostKeys"]}
            },
            "configuration": configuration(wasm)
        }
    });
    let name = "envoy.filters.http.wasm/envoyextensionpolicy/shop/portcullis/wasm/0";
    (name, typed_config)
}

/// A Gateway's listener: the policy's filter is disabled, and enabled on each route that the policy targets.
fn listener(policy: &Value, proxy: &Value, traffic: &Value) -> Value {
    let (name, typed_config) = filter(policy, proxy);
    let on = json!({
        name: {
            "@type": format!("{TYPE}config.route.v3.FilterConfig"),
            "config": {}
        }
    });
    let host = |domain: &str, filters: &Value| {
        json!({
            "name": domain,
            "domains": [domain],
            "routes": [{
                "match": {"prefix": "/"},
                "route": {"cluster": "api"},
                "typed_per_filter_config": filters
            }]
        })
    };
    let underscores_action = match traffic["headers"]["withUnderscoresAction"].as_str() {
        // Envoy Gateway's default.
        None | Some("RejectRequest") => "REJECT_REQUEST",
        Some("DropHeader") => "DROP_HEADER",
        Some("Allow") => "ALLOW",
        other => panic!("no such action: {other:?}"),
    };
    json!({
        "name": "http",
        "address": address("127.0.0.1", 0),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": format!("{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                "stat_prefix": "http",
                "common_http_protocol_options": {
                    "headers_with_underscores_action": underscores_action
                },
                "use_remote_address": true,
                "xff_num_trusted_hops": traffic["clientIPDetection"]["xForwardedFor"]["numTrustedHops"],
                "http_filters": [
                    {
                        "name": name,
                        "disabled": true,
                        "typed_config": typed_config
                    },
                    {
                        "name": "envoy.filters.http.router",
                        "typed_config": {"@type": format!("{TYPE}extensions.filters.http.router.v3.Router")}
                    }
                ],
                "route_config": {
                    "name": "http",
                    "virtual_hosts": [host("*", &on), host("other.example.com", &json!({}))]
                }
            }
        }]}]
    })
}

fn address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    text.replace(from, to)
}

/// Envoy Gateway's merge: maps are merged, lists appended, other values replaced.
fn merge(base: &mut Value, added: &Value) {
    match (base, added) {
        (Value::Object(base), Value::Object(added)) => {
            for (key, value) in added {
                match base.get_mut(key) {
                    Some(known) => merge(known, value),
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(added)) => base.extend(added.iter().cloned()),
        (base, added) => *base = added.clone(),
    }
}
