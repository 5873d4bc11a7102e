//! The lines of `status` about the configuration that the running Envoy uses, and those that it refused.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, Updates};
use crate::config_file::locate::DEFAULT_NAME;
use crate::config_file::{ConfigFile, validate};

/// Shows whether Envoy runs the configuration in the file, if there is one. `names`: those of the filter.
pub fn show(page: &mut Page, file: Option<&ConfigFile>, names: &[String], envoy: &RunningEnvoy) {
    let active = envoy.configurations(names);
    let differing: BTreeSet<_> = file
        .into_iter()
        .flat_map(|file| active.iter().map(|active| (&file.configuration, active)))
        .flat_map(|(file, active)| differing_keys(file, active))
        .collect();
    let updates = envoy.updates(names);
    let refused = updates.iter().find(|updates| updates.newest_is_refused);
    let (text, matches) = match refused {
        Some(updates) if updates.accepted == 0 => {
            ("none: Envoy refused the newest one".to_owned(), false)
        }
        Some(_) => (
            "an older one: Envoy refused the newest one".to_owned(),
            false,
        ),
        None if active.is_empty() => ("no filter of this name".to_owned(), false),
        None if file.is_none() => (
            "not compared: there is no file to compare with".to_owned(),
            false,
        ),
        None if differing.is_empty() => ("that of the file".to_owned(), true),
        None => {
            let keys = differing.iter().cloned().collect::<Vec<_>>().join(", ");
            (format!("differs from the file in {keys}"), false)
        }
    };
    page.line(
        "active configuration",
        &text,
        json!({
            "matches_file": file.map(|_| matches),
            "filters": active.len(),
            "differing": differing,
        }),
    );
    show_updates(page, &updates, envoy);
    if refused.is_some() {
        return;
    }
    if active.is_empty() {
        let name = names.first();
        page.warnings.push(format!(
            "the running Envoy has no filter named \"{}\": nothing is blocked by it",
            name.map_or(DEFAULT_NAME, String::as_str)
        ));
    } else if let (Some(file), false) = (file, matches) {
        page.warnings.push(format!(
            "the running Envoy does not match {0}: it {text}; does it watch this file? Envoy reads a file when it is replaced \
             (`mv`, as the commands do), not when it is edited in place: cp -p {0} {0}.new && mv {0}.new {0}",
            file.file
        ));
    }
    if let Some(file) = file {
        page.warnings.extend(changed_since(file, &updates));
    }
    // Envoy shows the newest configuration even if the filter refused it and continues with an older one.
    let is_refused =
        |active: &Map<String, Value>| validate(json!(active).to_string().as_bytes()).is_err();
    if active.iter().any(is_refused) {
        page.warnings.push(
            "the running Envoy was given a configuration that the filter refuses: an older one is active, or none; see \
             check_config and Envoy's log"
                .to_owned(),
        );
    }
}

/// Envoy keeps nothing of a text that it can't read as a filter. Then the file is newer than what it accepted.
fn changed_since(file: &ConfigFile, updates: &[Updates]) -> Option<String> {
    /// Envoy reads a file within a moment after its change.
    const MOMENT: Duration = Duration::from_secs(2);
    let changed = fs::metadata(&file.file).ok()?.modified().ok()?;
    let is_newer = |updates: &&Updates| {
        let accepted = UNIX_EPOCH.checked_add(Duration::from_millis(updates.accepted_at));
        accepted.is_some_and(|accepted| changed > accepted)
            && changed.elapsed().is_ok_and(|since| since > MOMENT)
            && (updates.refused > 0 || updates.unreadable > 0)
    };
    let updates = updates.iter().find(is_newer)?;
    Some(format!(
        "{} was changed after the newest configuration of \"{}\" that the running Envoy accepted, and Envoy refused or could \
         not read some (update_rejected {}, update_failure {}): this one is probably not active; see Envoy's log",
        file.file, updates.filter, updates.refused, updates.unreadable
    ))
}

/// What Envoy refused since it started.
fn show_updates(page: &mut Page, updates: &[Updates], envoy: &RunningEnvoy) {
    let sum = |count: fn(&Updates) -> u64| updates.iter().map(count).sum::<u64>();
    if !updates.is_empty() {
        page.counts(
            "configuration updates",
            &[
                ("accepted", sum(|updates| updates.accepted)),
                ("refused", sum(|updates| updates.refused)),
                ("unreadable", sum(|updates| updates.unreadable)),
            ],
        );
        let mut refused = updates.iter().filter(|updates| updates.newest_is_refused);
        let version = refused.find_map(|updates| updates.newest_version.clone());
        page.value("refused version", json!(version));
    }
    for updates in updates {
        let filter = &updates.filter;
        let warning = match (updates.newest_is_refused, updates.accepted) {
            (true, accepted) => {
                let active = match accepted {
                    0 => "no configuration is active, and every request gets 500",
                    _ => "the previous one stays active",
                };
                let refused = updates.refused;
                let version = version(updates.newest_version.as_deref());
                format!(
                    "the running Envoy refused the newest configuration of \"{filter}\" (update_rejected \
                     {refused}{version}): {active}; see check_config and Envoy's log"
                )
            }
            (false, 0) => format!(
                "the running Envoy has accepted no configuration of \"{filter}\" yet: every request gets 500; see Envoy's \
                 log"
            ),
            (false, _) => continue,
        };
        page.warnings.push(warning);
    }
    for listener in envoy.listeners_refused() {
        page.warnings.push(format!(
            "the running Envoy refused the newest configuration of the listener \"{}\"{}; see Envoy's log",
            listener.name,
            version(listener.version.as_deref())
        ));
    }
}

/// A version after what it is that of.
fn version(version: Option<&str>) -> String {
    version.map_or(String::new(), |version| format!(", version {version}"))
}

fn differing_keys(file: &Map<String, Value>, active: &Map<String, Value>) -> Vec<String> {
    let value = |configuration: &Map<String, Value>, key| configuration.get(key).map(as_in_struct);
    file.keys()
        .chain(active.keys())
        .filter(|key| value(file, *key) != value(active, *key))
        .cloned()
        .collect()
}

/// A value as Envoy dumps it: in a Struct every number is a floating-point one.
fn as_in_struct(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.iter().map(as_in_struct).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), as_in_struct(value)))
            .collect(),
        other => other.clone(),
    }
}
