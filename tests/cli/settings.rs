//! Single keys, shadow mode, and the import of an ASE.

use crate::support::{Workspace, assert_session};

const APIS: &str = r#"{
  "apis": [
    {"api_id": "shop", "url": "/shop", "cookie": ["S"]},
    {"url": "/open", "enable_blocking": false}
  ],
  "feeds": [{"name": "drop", "format": "text", "cluster": "lists", "path": "/drop.txt", "mode": "shadow"}]
}
"#;

#[test]
fn every_scalar_key_can_be_set_and_shown() {
    let workspace = Workspace::new();
    workspace.write("apis.json", APIS);
    workspace.write(
        "two-spellings.json",
        "{\"abs_attack_request_minute\": 10}\n",
    );
    assert_session(&workspace, "settings");
}

#[test]
fn shadow_mode_is_one_command() {
    let workspace = Workspace::new();
    workspace.write("apis.json", APIS);
    assert_session(&workspace, "shadow");
}

#[test]
fn an_ase_is_imported_and_nothing_is_left_out_silently() {
    let workspace = Workspace::new();
    workspace.add_fixture("ase");
    workspace.add_fixture("ase-sideband");
    assert_session(&workspace, "import_ase");
}
