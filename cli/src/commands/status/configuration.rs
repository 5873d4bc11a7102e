//! Which configuration the running Envoy has active, and what it refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::page::Page;
use crate::clients::envoy_admin::{RunningEnvoy, Updates};
use crate::config_file::{ConfigFile, validate};

/// Shows whether Envoy runs what the file says.
pub fn show(page: &mut Page, config_file: &ConfigFile, envoy: &RunningEnvoy) {
    let wanted = normal(&Value::Object(config_file.configuration.clone()));
    let configurations = envoy.configurations(&config_file.names);
    let differing: BTreeSet<String> = configurations
        .iter()
        .flat_map(|found| keys_differing(&wanted, &normal(&Value::Object(found.clone()))))
        .collect();
    let updates = envoy.updates(&config_file.names);
    let refused = updates.iter().find(|updates| updates.newest_is_refused);
    let nothing_active = refused.is_some_and(|updates| updates.accepted == 0);
    let (text, matches) = match (refused, configurations.is_empty(), differing.is_empty()) {
        (Some(_), _, _) if nothing_active => {
            ("none: Envoy refused the newest one".to_owned(), false)
        }
        (Some(_), _, _) => (
            "an older one: Envoy refused the newest one".to_owned(),
            false,
        ),
        (None, true, _) => ("no filter of this name".to_owned(), false),
        (None, false, true) => ("that of the file".to_owned(), true),
        (None, false, false) => {
            let keys = differing.iter().cloned().collect::<Vec<_>>().join(", ");
            (format!("differs from the file in {keys}"), false)
        }
    };
    page.line(
        "configuration in force",
        &text,
        json!({"matches_file": matches, "filters": configurations.len(), "differing": differing}),
    );
    refused_updates(page, &updates, envoy);
    if refused.is_some() {
        return;
    }
    if configurations.is_empty() {
        page.warnings.push(format!(
            "the running Envoy holds no filter of the name \"{}\": nothing is blocked by it",
            config_file
                .names
                .first()
                .map_or("portcullis", String::as_str)
        ));
    } else if !matches {
        page.warnings.push(format!(
            "the running Envoy does not match {}: it {text}; does it watch this very file?",
            config_file.file
        ));
    }
    // Envoy shows the newest configuration even where the filter refused it and an older one goes on.
    let refused = configurations
        .into_iter()
        .any(|found| validate(Value::Object(found).to_string().as_bytes()).is_err());
    if refused {
        page.warnings.push(
            "the running Envoy was given a configuration that the filter refuses: an older one is in force, or none; \
             see check_config and Envoy's log"
                .to_owned(),
        );
    }
}

/// What Envoy refused since it started.
fn refused_updates(page: &mut Page, updates: &[Updates], envoy: &RunningEnvoy) {
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
    }
    for updates in updates.iter().filter(|updates| updates.newest_is_refused) {
        let active = match updates.accepted {
            0 => "no configuration is active, and every request gets 500",
            _ => "the one before stays active",
        };
        page.warnings.push(format!(
            "the running Envoy refused the newest configuration of \"{}\" (update_rejected {}): {active}; see \
             check_config and Envoy's log",
            updates.filter, updates.refused
        ));
    }
    for updates in updates
        .iter()
        .filter(|updates| updates.accepted == 0 && !updates.newest_is_refused)
    {
        page.warnings.push(format!(
            "the running Envoy has accepted no configuration of \"{}\" yet: every request gets 500; see Envoy's log",
            updates.filter
        ));
    }
    for listener in envoy.listeners_refused() {
        page.warnings.push(format!(
            "the running Envoy refused the newest configuration of the listener \"{listener}\"; see Envoy's log"
        ));
    }
}

/// A value as Envoy gives it back: every number is a floating-point one in a Struct.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (key.clone(), normal(value)))
            .collect(),
        other => other.clone(),
    }
}

fn keys_differing(one: &Value, other: &Value) -> Vec<String> {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        return Vec::new();
    };
    one.keys()
        .chain(other.keys())
        .filter(|key| one.get(*key) != other.get(*key))
        .cloned()
        .collect()
}
