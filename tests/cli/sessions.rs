use crate::support::{Workspace, assert_session};

#[test]
fn switches_print_what_ase_prints() {
    assert_session(&Workspace::new(), "flags");
}

#[test]
fn manual_lists_print_what_ase_prints() {
    assert_session(&Workspace::new(), "lists");
}

#[test]
fn one_string_is_a_list_of_one_in_every_command() {
    let workspace = Workspace::new();
    workspace.write(
        "one.json",
        r#"{"deny_list": {"ips": "192.0.2.1", "cookies": {"session": "first-session"}, "oauth_tokens": "Bearer first-token",
            "api_keys": {"x-api-key": "first-key"}, "usernames": "first-user "}, "allow_list": {"ips": "192.0.2.9"}}"#,
    );
    workspace.write(
        "one.yaml",
        "kind: WasmPlugin\nmetadata: {name: portcullis}\nspec:\n  pluginConfig:\n    deny_list:\n      ips: 192.0.2.1 # why\n      \
         usernames: first-user\n",
    );
    assert_session(&workspace, "one_string");
}

#[test]
fn yaml_is_read_as_envoy_and_kubernetes_read_it() {
    let workspace = Workspace::new();
    workspace.write("words.yaml", WORDS);
    workspace.write("marked.yaml", &format!("\u{FEFF}{WASM_PLUGIN}"));
    workspace.write("marked.json", "\u{FEFF}{\"enable_firewall\": true}");
    workspace.write(
        "twice.yaml",
        "kind: WasmPlugin\nmetadata: {name: portcullis}\nspec:\n  pluginConfig:\n    enable_firewall: true\n    \
         enable_firewall: false\n",
    );
    workspace.write(
        "nothing.yaml",
        "kind: WasmPlugin\nmetadata: {name: portcullis}\nspec:\n  pluginConfig: null\n",
    );
    workspace.write("null.json", "null");
    let configured = |before: &str, value: &str| {
        format!(
            r#"{{{before}"root_id": "portcullis", "vm_config": {{}}, "configuration": {{
                "@type": "type.googleapis.com/google.protobuf.Struct", "value": {value}}}}}"#
        )
    };
    workspace.write(
        "twice-within.json",
        &configured(
            "",
            r#"{"guard": {"max_change_percent": 1, "max_change_percent": 2}}"#,
        ),
    );
    workspace.write(
        "twice-outside.json",
        &configured(r#""root_id": "other", "#, "{}"),
    );
    workspace.write(
        "text.yaml",
        "root_id: portcullis\nvm_config: {}\nconfiguration:\n  \"@type\": type.googleapis.com/google.protobuf.StringValue\n  \
         value: |\n    enable_firewall: true\n",
    );
    assert_session(&workspace, "yaml");
}

#[test]
fn directories_pipes_and_devices_are_refused() {
    let workspace = Workspace::new();
    workspace.write(
        "large.json",
        &format!("{{\"a\": \"{}\"}}", "x".repeat(80 << 20)),
    );
    assert_session(&workspace, "no_file");
}

#[test]
fn check_config_reports_every_error_with_its_path() {
    let workspace = Workspace::new();
    workspace.write(
        "typos.json",
        r#"{"enabel_firewall": true, "abs_attack_request_minutes": 0, "enable_abs_attack": true,
            "deny_list": {"ips": ["10.0.0.1/8", 7], "oauth_tokens": ["very-secret-token", ""]}, "enable_abs": "yes",
            "enable_abs": false}"#,
    );
    workspace.write("cut.json", r#"{"enable_firewall": tr"#);
    workspace.write("list.json", "[]");
    workspace.write("no-filter.json", r#"{"resources": []}"#);
    workspace.write(
        "wasm-plugin.yaml",
        "# A fleet's plugin.\nkind: WasmPlugin\nmetadata:\n  name: portcullis\nspec:\n  pluginConfig:\n    \
         enable_firewal: true # a typo\n",
    );
    workspace.write("several.yaml", SEVERAL);
    workspace.write(
        "warned.json",
        r#"{"abs": {"cluster": "abs\n", "access_key": "very-secret-key\r\n"}, "deny_list": null,
            "apis": [{"hostname": "open.example.com", "enable_blocking": false}]}"#,
    );
    workspace.write("listener.yaml", BOOTSTRAP);
    workspace.write(
        "never.json",
        r#"{"deny_list": {"cookies": {"session": ["very-secret; x"]}, "usernames": ["very\nsecret"]}}"#,
    );
    workspace.write(
        "text.json",
        r#"{"config": {"name": "p", "root_id": "p", "vm_config": {}, "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": "{\"enable_firewall\": 1}"}}}"#,
    );
    workspace.write(
        "bytes.json",
        r#"{"config": {"name": "p", "root_id": "p", "vm_config": {}, "configuration": {
            "@type": "type.googleapis.com/google.protobuf.BytesValue", "value": "e30="}}}"#,
    );
    workspace.write(
        "absent.json",
        r#"{"config": {"name": "p", "vm_config": {}}}"#,
    );
    workspace.write(
        "native.json",
        r#"{"typed_config": {"dynamic_module_config": {"name": "portcullis"}, "filter_name": "portcullis", "filter_config": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": "{\"enable_firewall\": 1}"}}}"#,
    );
    workspace.write(
        "native-route.json",
        r#"{"filter": {"dynamic_module_config": {}, "filter_name": "portcullis", "filter_config": {
            "@type": "type.googleapis.com/google.protobuf.Struct", "value": {}}},
            "typed_per_filter_config": {"portcullis": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilterPerRoute",
                "filter_name": "portcullis",
                "filter_config": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"mode": "shade"}}}}}"#,
    );
    workspace.write(
        "native-absent.json",
        r#"{"dynamic_module_config": {"name": "portcullis"}, "filter_name": "portcullis"}"#,
    );
    assert_session(&workspace, "check_config");
}

#[test]
fn manifests_are_edited_in_place() {
    let workspace = Workspace::new();
    workspace.write("wasm-plugin.yaml", WASM_PLUGIN);
    workspace.write("several.yaml", SEVERAL);
    workspace.write("configmap.yaml", CONFIG_MAP);
    workspace.write("aliased.yaml", ALIASED);
    workspace.write("bootstrap.yaml", BOOTSTRAP);
    workspace.write("policy.yaml", POLICY);
    workspace.write("text.json", TEXT);
    workspace.write("native.yaml", NATIVE_BOOTSTRAP);
    workspace.write("native-policy.yaml", NATIVE_POLICY);
    workspace.write("native.json", include_str!("../../envoy/native.json"));
    assert_session(&workspace, "manifests");
}

#[test]
fn requests_are_explained() {
    let workspace = Workspace::new();
    workspace.write("config.json", EXPLAINED);
    workspace.write(
        "list.json",
        r#"{"ips": ["192.0.2.1", "198.51.100.0/24"], "cookies": {"SESSION": ["session-of-mallory"]},
            "oauth_tokens": ["token-of-mallory"], "api_keys": ["key/of mallory"], "usernames": ["mallory"]}"#,
    );
    workspace.write("too-wide.json", r#"{"ips": ["0.0.0.0/0"]}"#);
    workspace.write("no-list.json", "<html>");
    assert_session(&workspace, "explain");
}

#[test]
fn help_completions_and_man_page_name_every_command() {
    let workspace = Workspace::new();
    assert_session(&workspace, "usage");
    let help = String::from_utf8(workspace.run(&["--help"]).stdout).unwrap();
    let man = String::from_utf8(workspace.run(&["man"]).stdout).unwrap();
    let commands: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|command| !command.is_empty() && *command != "help")
        .collect();
    assert_eq!(commands.len(), 31, "{commands:?}");
    for command in commands.iter().chain(&["feeds list", "feeds read"]) {
        let title = format!("COMMAND {command}\"");
        assert!(man.contains(&title), "the man page lacks {command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = workspace.run(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command), "{shell} lacks {command}");
        }
    }
}

#[test]
fn bash_accepts_its_completion_script() {
    let workspace = Workspace::new();
    let replayed = workspace.replay("$ portcullis completions bash > complete && bash -n complete");
    assert_eq!(
        replayed,
        "$ portcullis completions bash > complete && bash -n complete\n"
    );
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let replayed = Workspace::new().replay("$ portcullis man | head -n 1 > first");
    assert_eq!(replayed, "$ portcullis man | head -n 1 > first\n");
}

const WASM_PLUGIN: &str = "\
# Blocks what ABS lists, at every gateway.
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: portcullis
spec:
  phase: AUTHN # before anything else
  pluginConfig:
    enable_firewall: true   # the main switch
    abs:
      cluster: outbound|443||abs.example.com
    deny_list:
      ips:
      - 192.0.2.1 # seen on Monday
      - 192.0.2.2
";

const SEVERAL: &str = "\
kind: WasmPlugin
metadata: {name: one}
spec:
  pluginConfig: {enable_firewall: true}
---
kind: WasmPlugin
metadata: {name: two}
spec:
  url: oci://example.com/two
";

const CONFIG_MAP: &str = r#"kind: ConfigMap
metadata:
  name: portcullis
data:
  note: not JSON
  # What Envoy watches.
  filter.json: |
    {
      "resources": [
        {
          "name": "portcullis",
          "typed_config": {
            "config": {
              "root_id": "portcullis",
              "vm_config": {},
              "configuration": {
                "@type": "type.googleapis.com/google.protobuf.Struct",
                "value": {
                  "enable_firewall": true
                }
              }
            }
          }
        }
      ]
    }
"#;

const WORDS: &str = r#"root_id: portcullis
vm_config: {}
configuration:
  "@type": type.googleapis.com/google.protobuf.Struct
  value:
    abs_attack_request_minutes: 0.5
    deny_list:
      usernames: [no, on, y, 007, 0x1F, ~, true, 1e3, 1.5, 2147483648, "no", nobody]
"#;

const ALIASED: &str = "\
kind: WasmPlugin
metadata: {name: one}
anchor: &config
  enable_firewall: true
spec:
  pluginConfig: *config
";

const BOOTSTRAP: &str = r#"static_resources:
  listeners:
  - name: ingress
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          http_filters:
          - name: portcullis
            typed_config:
              config:
                root_id: portcullis
                vm_config: { runtime: envoy.wasm.runtime.v8 }
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  # JSON, as older control planes want it.
                  value: |
                    {
                      "enable_firewall": true,
                      "deny_list": {"ips": ["192.0.2.1"]}
                    }
          - name: envoy.filters.http.router # last
"#;

const POLICY: &str = "\
kind: EnvoyExtensionPolicy
metadata: {name: portcullis}
spec:
  wasm:
  - name: other
    rootID: other
    config: {a: 1}
  - name: portcullis
    rootID: portcullis
    config:
      enable_firewall: true
";

const NATIVE_BOOTSTRAP: &str = r#"static_resources:
  listeners:
  - name: ingress
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          http_filters:
          - name: portcullis
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter
              dynamic_module_config: { name: portcullis, do_not_close: true }
              filter_name: portcullis
              filter_config:
                "@type": type.googleapis.com/google.protobuf.Struct
                value:
                  enable_firewall: true # the main switch
          - name: envoy.filters.http.router # last
"#;

const NATIVE_POLICY: &str = "\
kind: EnvoyExtensionPolicy
metadata: {name: portcullis}
spec:
  dynamicModule:
  - name: waf
    config: {a: 1}
  - name: portcullis
    filterName: portcullis
    config:
      enable_firewall: true
";

const TEXT: &str = r#"{"config": {"root_id": "portcullis", "vm_config": {}, "configuration": {
  "@type": "type.googleapis.com/google.protobuf.StringValue", "value": "{\"enable_firewall\":true}"}}}
"#;

const EXPLAINED: &str = r#"{
  "enable_abs_attack": true,
  "abs": {"cluster": "abs"},
  "apis": [
    {"api_id": "shop", "url": "/shop", "cookie": "SESSION", "username": [{"header": "x-user"}]},
    {"api_id": "docs", "url": "/docs", "enable_blocking": false},
    {"api_id": "beta", "hostname": "beta.example.com", "url": "/", "mode": "shadow"}
  ],
  "allow_list": {"usernames": ["our monitoring"]},
  "deny_list": {"ips": ["203.0.113.0/24"], "api_keys": ["key-of-an-old-partner"]}
}
"#;
