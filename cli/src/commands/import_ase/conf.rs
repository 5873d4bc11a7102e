//! `ase.conf` and `abs.conf`: what the filter's configuration takes over from them, and what takes the place of the rest.

use serde_json::{Map, Value, json};

use super::api::Mode;
use super::cluster::{Cluster, SYSTEM_CA, endpoint};
use super::remarks::Remarks;
use crate::error::{Failure, Result};

/// Keys of `ase.conf` by the start of their names, and what takes their place.
const OTHERS: [(&str, &[&str]); 11] = [
    (
        "the ports and threads of Envoy",
        &["http_ws_", "https_wss_"],
    ),
    (
        "who may change the file of the configuration may change the filter; portcullis serve has tokens",
        &[
            "management_port",
            "auth_method",
            "enable_audit",
            "admin_log_level",
            "syslog_server",
            "timezone",
        ],
    ),
    (
        "Envoy's access log",
        &["enable_access_log", "flush_log_immediate"],
    ),
    (
        "Envoy's clusters resolve names",
        &["hostname_refresh", "enable_hostname_rewrite"],
    ),
    ("Envoy's health_check filter", &["enable_ase_health"]),
    (
        "portcullis serve gives one configuration to a fleet of Envoys (docs/fleet.md)",
        &["enable_cluster"],
    ),
    (
        "TLS of Envoy's listeners and clusters",
        &["enable_ssl", "ssl_", "server_ca_cert_path", "enable_mtls"],
    ),
    (
        "the sideband interface: the filter takes the place of the gateway's calls to ASE",
        &["enable_sideband_"],
    ),
    (
        "ABS's discovery of APIs has no counterpart",
        &["enable_abs_publish", "abs_publish_"],
    ),
    (
        "the alerts of examples/observability",
        &[
            "decoy_alert_interval",
            "enable_email",
            "sender_email",
            "receiver_email",
            "email_",
            "smtp_",
            "cpu_usage",
            "memory_usage",
            "filesystem_size",
        ],
    ),
    (
        "Envoy's own buffers, sockets and parser",
        &[
            "buffer_size",
            "tcp_",
            "keepalive_",
            "enable_strict_request_parser",
            "max_",
            "process_",
        ],
    ),
];

/// Where ASE runs; inline if `ase.conf` does not say.
pub fn mode(pairs: &[(String, String)]) -> Mode {
    match value(pairs, "mode") {
        Some(mode) if mode.eq_ignore_ascii_case("sideband") => Mode::Sideband,
        _ => Mode::Inline,
    }
}

fn value<'p>(pairs: &'p [(String, String)], key: &str) -> Option<&'p str> {
    let found = pairs.iter().rev().find(|(known, _)| known == key);
    found
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// Takes over `ase.conf`.
pub fn read_ase(
    file: &str,
    pairs: &[(String, String)],
    has_sideband: bool,
    configuration: &mut Map<String, Value>,
    remarks: &mut Remarks,
) -> Result<()> {
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let is_on = value.eq_ignore_ascii_case("true");
        let is_switch = matches!(
            key.as_str(),
            "enable_firewall" | "enable_abs" | "enable_abs_attack"
        );
        if is_switch && !is_on && !value.eq_ignore_ascii_case("false") {
            return Err(Failure::refused(format!(
                "{file}: {key}: found \"{value}\"; allowed: true or false"
            )));
        }
        match key.as_str() {
            "enable_firewall" | "enable_abs_attack" => drop(configuration.insert(key.clone(), json!(is_on))),
            "enable_abs" if is_on && !has_sideband => remarks.add(
                file,
                key,
                "the interface by which ASE uploads its logs to ABS is not public; keep an ASE in sideband mode and import \
                 again with --sideband URL, otherwise ABS learns nothing from this Envoy",
            ),
            "enable_abs" => drop(configuration.insert(key.clone(), json!(is_on))),
            "abs_attack_request_minutes" | "abs_attack_request_minute" => {
                let number: serde_json::Number = value.parse().map_err(|_| {
                    Failure::refused(format!("{file}: {key}: found \"{value}\"; allowed: a number of minutes, such as 10"))
                })?;
                configuration.insert("abs_attack_request_minutes".to_owned(), json!(number));
            }
            "attack_list_memory" => {
                let size = value.to_ascii_uppercase().replace(' ', "");
                configuration.insert(key.clone(), json!(size));
            }
            "mode" if !value.eq_ignore_ascii_case("sideband") => remarks.add(
                file,
                key,
                "Envoy is the proxy: its routes and clusters take the place of ASE's APIs and servers",
            ),
            "mode" => remarks.add(
                file,
                key,
                "the filter in Envoy blocks; the gateway's policy that calls ASE is needed only to feed ABS",
            ),
            "enable_xff" if is_on => remarks.add(
                file,
                key,
                "Envoy determines the client's address: set use_remote_address and xff_num_trusted_hops of its connection \
                 manager",
            ),
            "enable_ase_detected_attack" if is_on => remarks.add(
                file,
                key,
                "the filter detects no attacks itself (methods, content types, decoys); ABS's list and the blacklist block",
            ),
            // What is off in ASE needs no counterpart.
            _ if value.eq_ignore_ascii_case("false") => {}
            other => remarks.add(file, other, reason(other)),
        }
    }
    Ok(())
}

fn reason(key: &str) -> &'static str {
    let is_of = |starts: &&[&str]| starts.iter().any(|start| key.starts_with(start));
    match OTHERS.iter().find(|(_, starts)| is_of(starts)) {
        Some((reason, _)) => reason,
        None if key.contains("pubsub") || key.starts_with("google") => "no counterpart",
        None => "unknown key",
    }
}

/// Takes over `abs.conf`; `None` if it names no ABS.
pub fn read_abs(
    file: &str,
    pairs: &[(String, String)],
    remarks: &mut Remarks,
) -> Result<Option<Cluster>> {
    let is_cloud = value(pairs, "deployment_type") == Some("cloud");
    for (key, _) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        match key.as_str() {
            "deployment_type" if is_cloud => remarks.add(
                file,
                key,
                "cloud: the attack list of an ABS in PingOne is not a public interface; only an ABS of your own can be called",
            ),
            "gateway_credential" | "abs_cloud_endpoint" => remarks.add(file, key, "PingOne has no counterpart"),
            "access_key" | "secret_key" => remarks.add(
                file,
                key,
                "not copied, and obfuscated once ASE has started: give the original keys to Envoy in the environment \
                 variables ABS_ACCESS_KEY and ABS_SECRET_KEY",
            ),
            "deployment_type" | "abs_endpoint" | "enable_ssl" | "abs_ca_cert_path" => {}
            other => remarks.add(file, other, "unknown key"),
        }
    }
    let Some(endpoints) = value(pairs, "abs_endpoint").filter(|_| !is_cloud) else {
        return Ok(None);
    };
    let refused = |error| Failure::refused(format!("{file}: abs_endpoint: {error}"));
    let endpoints = endpoints
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let endpoints = endpoints
        .map(endpoint)
        .collect::<std::result::Result<Vec<_>, _>>();
    // TLS is ASE's default.
    let has_tls = value(pairs, "enable_ssl").is_none_or(|ssl| !ssl.eq_ignore_ascii_case("false"));
    let ca = value(pairs, "abs_ca_cert_path");
    match (has_tls, ca) {
        (true, None) => remarks.add(
            file,
            "abs_ca_cert_path",
            "empty: ASE does not verify ABS's certificate; the cluster does, with the system's authorities. For ABS's \
             self-signed certificate, name it in trusted_ca of clusters.yaml",
        ),
        (true, Some(_)) => remarks.add(
            file,
            "abs_ca_cert_path",
            "taken over: Envoy must be able to read this file, and the certificate must name the host of abs_endpoint",
        ),
        (false, _) => {}
    }
    Ok(Some(Cluster {
        name: "abs",
        endpoints: endpoints.map_err(refused)?,
        ca: has_tls.then(|| ca.unwrap_or(SYSTEM_CA).to_owned()),
    }))
}
