//! The block that ASE's `status` prints: the switches, and what the running Envoy has in place of ASE's services.
//!
//! Programs get its values in any case; people with `--ase`.

use std::collections::BTreeSet;

use portcullis::config::Config;
use portcullis::config::feed::ABS;
use portcullis::metrics::{FeedMetric, Metric};
use serde_json::json;

use super::page::{self, Page};
use crate::clients::envoy_admin::RunningEnvoy;

const UNKNOWN: &str = "unknown (--envoy URL asks the running Envoy)";

/// Adds it.
pub fn show(page: &mut Page, config: &Config, envoy: Option<&RunningEnvoy>) {
    let state = envoy.map(|envoy| match envoy.state.as_str() {
        "LIVE" => "started".to_owned(),
        other => format!("Envoy reports {other}"),
    });
    page.ase_line("status", state.as_deref().unwrap_or(UNKNOWN), json!(state));
    let ports = envoy.map(RunningEnvoy::ports);
    let plain = ports.as_ref().map(|ports| &ports.plain);
    let tls = ports.as_ref().map(|ports| &ports.tls);
    page.ase_line("http/ws", &ports_text(plain), json!(plain));
    page.ase_line("https/wss", &ports_text(tls), json!(tls));
    page.setting(
        "firewall",
        page::state(config.enable_firewall),
        json!(config.enable_firewall),
    );
    let ssl = ssl_to_abs(page, config, envoy);
    page.setting(
        "abs",
        &format!("{}, ssl: {ssl}", page::state(config.enable_abs)),
        json!({"enabled": config.enable_abs, "ssl": ssl}),
    );
    let attack = config.enable_abs_attack;
    page.setting("abs attack", page::state(attack), json!(attack));
    let audit = envoy.map(|envoy| envoy.access_logs().0);
    page.ase_line("audit", audit.map_or(UNKNOWN, page::state), json!(audit));
    // Portcullis enforces what ABS detects; it detects nothing itself.
    page.ase_line("ase detected attack", page::state(false), json!(false));
    let configured = config.attack_list_memory;
    let used = envoy.and_then(|envoy| envoy.metric(&Metric::Feed(ABS.into(), FeedMetric::Bytes)));
    let free = used.map(|used| configured.saturating_sub(used));
    let text = match (used, free) {
        (Some(used), Some(free)) => {
            format!("used {}, free {}", megabytes(used), megabytes(free))
        }
        _ => format!("used and free {UNKNOWN}"),
    };
    page.setting(
        "attack list memory",
        &format!("configured {}, {text}", megabytes(configured)),
        json!({"configured_bytes": configured, "used_bytes": used, "free_bytes": free}),
    );
}

/// Whether ABS is called with TLS.
fn ssl_to_abs(page: &mut Page, config: &Config, envoy: Option<&RunningEnvoy>) -> &'static str {
    let Some(abs) = &config.abs else {
        return "no cluster configured";
    };
    let Some(envoy) = envoy else {
        return "as configured in the cluster";
    };
    if let Some(has_tls) = envoy.cluster_has_tls(&abs.cluster) {
        return page::state(has_tls);
    }
    if config.enable_abs || config.enable_abs_attack {
        page.warnings.push(format!(
            "the running Envoy has no cluster \"{}\", which abs.cluster names: ABS can't be reached",
            abs.cluster
        ));
    }
    "no such cluster"
}

fn ports_text(ports: Option<&BTreeSet<u64>>) -> String {
    match ports {
        None => UNKNOWN.to_owned(),
        Some(ports) if ports.is_empty() => "none".to_owned(),
        Some(ports) => format!("port {}", numbers(ports)),
    }
}

/// The numbers of ports in a sentence.
pub fn numbers(ports: &BTreeSet<u64>) -> String {
    let ports: Vec<_> = ports.iter().map(u64::to_string).collect();
    ports.join(", ")
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let megabytes = bytes as f64 / (1024.0 * 1024.0);
    format!("{megabytes:.2} MB")
}
