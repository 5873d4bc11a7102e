//! `status`: ASE's status block, from the file, and what the running Envoy reports.

mod attack_list;
mod configuration;
mod feeds;
mod fleet;
mod next_fetch;
mod page;
mod traffic;

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis::config::Config;
use portcullis::config::feed::ABS;
use portcullis::metrics::{FeedMetric, Metric};
use serde_json::json;

use self::page::Page;
use crate::args::{Common, StatusArgs};
use crate::clients::access_log::Denied;
use crate::clients::envoy_admin::{self, RunningEnvoy};
use crate::clients::fleet::Fleet;
use crate::config_file::ConfigFile;
use crate::error::Result;
use crate::output::Report;

const UNKNOWN: &str = "unknown (--envoy URL asks the running Envoy)";

/// Runs the command.
pub fn run(common: &Common, args: &StatusArgs) -> Result<Report> {
    let server = Fleet::of(&common.remote)?;
    if let Some(server) = &server
        && common.name.is_none()
        && server.filter_names()?.is_empty()
    {
        let mut page = Page::default();
        page.text("filters", "none: the server has no filter");
        fleet::show(&mut page, &server.get("/v1/status")?);
        return Ok(page.into_report(common.remote.server.as_deref().unwrap_or_default()));
    }
    let config_file = ConfigFile::read(common)?;
    let config = config_file.config()?;
    let envoy = args.envoy.as_deref().map(envoy_admin::read).transpose()?;
    let mut page = Page::default();
    ase_block(&mut page, &config, envoy.as_ref());
    if let Some(envoy) = &envoy {
        running_envoy(&mut page, &config_file, &config, envoy);
    } else {
        feeds::show(&mut page, &config, None);
    }
    if let Some(server) = &server {
        fleet::show(&mut page, &server.get("/v1/status")?);
    }
    shared_address(&mut page, args, envoy.as_ref());
    Ok(page.into_report(&config_file.file))
}

/// The block of ASE's `status`.
fn ase_block(page: &mut Page, config: &Config, envoy: Option<&RunningEnvoy>) {
    let state = envoy.map(|envoy| match envoy.state.as_str() {
        "LIVE" => "started".to_owned(),
        other => format!("Envoy reports {other}"),
    });
    page.line("status", state.as_deref().unwrap_or(UNKNOWN), json!(state));
    let ports = envoy.map(RunningEnvoy::ports);
    let plain = ports.as_ref().map(|ports| &ports.plain);
    let tls = ports.as_ref().map(|ports| &ports.tls);
    page.line("http/ws", &ports_text(plain), json!(plain));
    page.line("https/wss", &ports_text(tls), json!(tls));
    page.switch("firewall", config.enable_firewall);
    let ssl = ssl_to_abs(page, config, envoy);
    page.line(
        "abs",
        &format!("{}, ssl: {ssl}", page::state(config.enable_abs)),
        json!({"enabled": config.enable_abs, "ssl": ssl}),
    );
    page.switch("abs attack", config.enable_abs_attack);
    let audit = envoy.map(|envoy| envoy.access_logs().0);
    page.line("audit", audit.map_or(UNKNOWN, page::state), json!(audit));
    // Portcullis enforces what ABS detects; it detects nothing itself.
    page.switch("ase detected attack", false);
    let configured = config.attack_list_memory;
    let used = envoy.and_then(|envoy| envoy.metric(&Metric::Feed(ABS.into(), FeedMetric::Bytes)));
    let free = used.map(|used| configured.saturating_sub(used));
    let text = match (used, free) {
        (Some(used), Some(free)) => {
            format!("used {}, free {}", megabytes(used), megabytes(free))
        }
        _ => format!("used and free {UNKNOWN}"),
    };
    page.line(
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

/// What the running Envoy reports.
fn running_envoy(page: &mut Page, config_file: &ConfigFile, config: &Config, envoy: &RunningEnvoy) {
    page.line("envoy", &envoy.version, json!(envoy.version));
    configuration::show(page, config_file, envoy);
    let notices = config.warnings.iter().map(ToString::to_string);
    page.warnings.extend(notices);
    let mut listeners = envoy.listener_warnings(&config_file.names);
    listeners.extend(config_file.listener_warnings.iter().cloned());
    page.warnings
        .extend(listeners.into_iter().collect::<BTreeSet<_>>());
    attack_list::show(page, config, envoy);
    feeds::show(page, config, Some(envoy));
    traffic::show(page, config, envoy);
    let [done, failed, put_off] = envoy.vm_reloads(&config_file.names);
    page.counts(
        "vm reloads",
        &[("done", done), ("failed", failed), ("put off", put_off)],
    );
}

/// Warns of the sign of a misconfigured client address.
fn shared_address(page: &mut Page, args: &StatusArgs, envoy: Option<&RunningEnvoy>) {
    let files: BTreeSet<PathBuf> = match (&args.access_log, envoy) {
        (Some(path), _) => BTreeSet::from([path.clone()]),
        (None, Some(envoy)) => {
            let files = envoy.access_logs().1.into_iter();
            // Standard output, for example, is not a file that can be read.
            files.filter(|path| path.is_file()).collect()
        }
        (None, None) => BTreeSet::new(),
    };
    let mut denied = Denied::default();
    for path in files {
        if let Err(error) = denied.read(&path) {
            page.warnings.push(format!(
                "the access log {} can't be read: {error}",
                path.display()
            ));
        }
    }
    if let Some((address, count, total)) = denied.shared_private_address() {
        page.warnings.push(format!(
            "{count} of the last {total} denied requests come from the private address {address}: Envoy seems to use \
             the address of a proxy in front of it as the client's; see use_remote_address and xff_num_trusted_hops"
        ));
    }
}

fn ports_text(ports: Option<&BTreeSet<u64>>) -> String {
    match ports {
        None => UNKNOWN.to_owned(),
        Some(ports) if ports.is_empty() => "none".to_owned(),
        Some(ports) => {
            let ports: Vec<_> = ports.iter().map(u64::to_string).collect();
            format!("port {}", ports.join(", "))
        }
    }
}

fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let megabytes = bytes as f64 / (1024.0 * 1024.0);
    format!("{megabytes:.2} MB")
}
