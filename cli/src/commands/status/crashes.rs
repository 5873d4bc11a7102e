//! What `status` warns of because of crashes of the filter: one that may have left requests unjudged.

use serde_json::Value;

use super::page::Page;
use crate::clients::envoy_admin::RunningEnvoy;
use crate::config_file::locate::DEFAULT_NAME;

/// Adds the warnings. `names`: those of the filter.
pub fn warn(page: &mut Page, envoy: &RunningEnvoy, names: &[String]) {
    let mut objects = envoy.active_objects().into_iter();
    if objects.any(|object| passes_after_crash(object, names)) {
        page.warnings.push(
            "the filter lets requests pass unjudged after a crash (failure_policy FAIL_OPEN), and no metric shows one: set \
             failure_policy: FAIL_RELOAD"
                .to_owned(),
        );
    }
    let panics = envoy.panics().unwrap_or(0);
    if panics > 0 {
        let times = if panics == 1 { "time" } else { "times" };
        page.warnings.push(format!(
            "the native module has panicked {panics} {times} since Envoy started: after three on one worker within a minute \
             native_failure decides whether requests pass unjudged; see Envoy's log"
        ));
    }
}

/// Whether this is the PluginConfig of the filter, and opens after a crash.
fn passes_after_crash(object: &Value, names: &[String]) -> bool {
    let is_ours = |key: &str| {
        let name = object.get(key).and_then(Value::as_str);
        name.is_some_and(|name| name == DEFAULT_NAME || names.iter().any(|known| known == name))
    };
    object.get("vm_config").is_some()
        && (is_ours("name") || is_ours("root_id"))
        && (object.get("failure_policy") == Some(&Value::from("FAIL_OPEN"))
            || object.get("fail_open") == Some(&Value::Bool(true)))
}
