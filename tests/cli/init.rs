//! `init`: the filter in bootstraps of several layouts, and its file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Workspace, assert_session, repository};

/// A bootstrap in the layout of JSON, with two managers.
const FLOW: &str = r#"{"static_resources": {"listeners": [
  {"stat_prefix": "a", "http_filters": [{"name": "router"}]},
  {"stat_prefix": "b", "http_filters": [{"name": "portcullis"}, {"name": "router"}]},
  {"stat_prefix": "c", "http_filters": [{"name": "jwt"}, {"name": "router"}]}
]}, "node": {"id": "edge"}}
"#;

/// Two managers whose routers look the same, the first one with the filter.
const TWO: &str = r#"static_resources:
  listeners:
  - name: http
    stat_prefix: a
    http_filters: # in order
    - name: portcullis
      config_discovery: {}
    - name: "envoy.filters.http.router"
  - name: https
    stat_prefix: b
    http_filters:
    - name: "envoy.filters.http.router" # the last one
node: { id: edge }
"#;

/// A manager whose filter has another name than the configuration in it.
const INLINE: &str = r#"node: { id: edge }
stat_prefix: edge
http_filters:
- name: envoy.filters.http.wasm
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    config: { name: edge, root_id: portcullis, vm_config: {} }
- name: router
"#;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let existing = repository().join("tests/deploy/fixtures/existing.yaml");
    workspace.write("envoy.yaml", &fs::read_to_string(existing).unwrap());
    workspace.write("flow.json", FLOW);
    workspace.write("two.yaml", TWO);
    workspace.write("inline.yaml", INLINE);
    workspace.write("clusters.yaml", "static_resources:\n  clusters: []\n");
    workspace.write(
        "empty.yaml",
        "static_resources: { stat_prefix: edge, http_filters: [] }\n",
    );
    workspace.write(
        "object.yaml",
        "kind: ConfigMap\nmetadata: { name: envoy }\n",
    );
    workspace.write_bytes("portcullis.wasm", b"\0asm\x01\0\0\0");
    workspace.write_bytes("libportcullis.so", b"\x7fELF\x02\x01\x01\0");
    workspace
}

#[test]
fn the_filter_is_added_to_a_bootstrap() {
    assert_session(&workspace(), "init");
}

#[test]
fn every_user_may_read_the_filter_file() {
    let workspace = workspace();
    let arguments = ["--bootstrap", "envoy.yaml", "--module", "portcullis.wasm"];
    let output = workspace.run(&[&["init"], &arguments[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let metadata = fs::metadata(workspace.path("filter.json")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
}

#[test]
fn the_end_of_each_line_stays_that_of_the_bootstrap() {
    let workspace = workspace();
    workspace.write("crlf.yaml", &TWO.replace('\n', "\r\n"));
    let arguments = ["--bootstrap", "crlf.yaml", "--module", "portcullis.wasm"];
    let output = workspace.run(&[&["init"], &arguments[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let edited = workspace.read("crlf.yaml");
    assert_eq!(edited.matches("name: portcullis").count(), 2, "{edited}");
    assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
}
