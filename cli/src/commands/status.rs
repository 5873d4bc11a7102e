//! `status`: the block that ASE prints, from the file, and what the running Envoy reports.

mod configuration;
mod page;
mod traffic;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::config::Config;
use portcullis::identifier::IdentifierKind;
use portcullis::judge::{Kind, Reason, Source};
use portcullis::metrics::{FetchResult, LastResult, Metric};
use serde_json::json;

use self::page::Page;
use crate::args::{Common, StatusArgs};
use crate::clients::access_log::Denied;
use crate::clients::envoy_admin::{self, RunningEnvoy};
use crate::config_file::ConfigFile;
use crate::error::Result;
use crate::output::Report;

const NOT_ASKED: &str = "not asked (--envoy URL asks the running Envoy)";

/// Runs the command.
pub fn run(common: &Common, args: &StatusArgs) -> Result<Report> {
    let config_file = ConfigFile::read(common)?;
    let config = config_file.config()?;
    let envoy = args.envoy.as_deref().map(envoy_admin::read).transpose()?;
    let mut page = Page::default();
    block(&mut page, &config, envoy.as_ref());
    if let Some(envoy) = &envoy {
        running(&mut page, &config_file, &config, envoy);
    }
    page.warnings.extend(shared_address(args, envoy.as_ref()));
    Ok(page.into_report(&config_file.file))
}

/// The block of ASE's `status`.
fn block(page: &mut Page, config: &Config, envoy: Option<&RunningEnvoy>) {
    let state = envoy.map(|envoy| match envoy.state.as_str() {
        "LIVE" => "started".to_owned(),
        other => format!("Envoy says {other}"),
    });
    page.line(
        "status",
        state.as_deref().unwrap_or(NOT_ASKED),
        json!(state),
    );
    let ports = envoy.map(RunningEnvoy::ports);
    let plain = ports.as_ref().map(|ports| &ports.plain);
    let tls = ports.as_ref().map(|ports| &ports.tls);
    page.line("http/ws", &ports_text(plain), json!(plain));
    page.line("https/wss", &ports_text(tls), json!(tls));
    page.line(
        "firewall",
        on(config.enable_firewall),
        json!(config.enable_firewall),
    );
    let cluster = config.abs.as_ref().map(|abs| abs.cluster.as_str());
    let has_tls =
        cluster.map(|cluster| envoy.map(|envoy| (cluster, envoy.cluster_has_tls(cluster))));
    let ssl = match has_tls {
        None => "no cluster is named".to_owned(),
        Some(None) => "as the cluster says".to_owned(),
        Some(Some((_, Some(has_tls)))) => on(has_tls).to_owned(),
        Some(Some((cluster, None))) => {
            if config.enable_abs || config.enable_abs_attack {
                page.warnings.push(format!(
                    "the running Envoy has no cluster \"{cluster}\", which abs.cluster names: ABS can't be reached"
                ));
            }
            "no such cluster".to_owned()
        }
    };
    let text = format!("{}, ssl: {ssl}", on(config.enable_abs));
    page.line(
        "abs",
        &text,
        json!({"enabled": config.enable_abs, "ssl": ssl}),
    );
    page.line(
        "abs attack",
        on(config.enable_abs_attack),
        json!(config.enable_abs_attack),
    );
    let audit = envoy.map(|envoy| envoy.access_logs().0);
    page.line("audit", audit.map_or(NOT_ASKED, on), json!(audit));
    // Portcullis enforces what ABS detects, and detects nothing itself.
    page.line("ase detected attack", on(false), json!(false));
    let configured = config.attack_list_memory;
    let used = envoy.and_then(|envoy| envoy.metric(Metric::Bytes));
    let text = match used {
        Some(used) => format!(
            "configured {}, used {}, free {}",
            megabytes(configured),
            megabytes(used),
            megabytes(configured.saturating_sub(used))
        ),
        None => format!(
            "configured {}, used and free {NOT_ASKED}",
            megabytes(configured)
        ),
    };
    let free = used.map(|used| configured.saturating_sub(used));
    page.line(
        "attack list memory",
        &text,
        json!({"configured_bytes": configured, "used_bytes": used, "free_bytes": free}),
    );
}

/// What the running Envoy reports.
fn running(page: &mut Page, config_file: &ConfigFile, config: &Config, envoy: &RunningEnvoy) {
    page.line("envoy", &envoy.version, json!(envoy.version));
    configuration::show(page, config_file, envoy);
    page.warnings
        .extend(config.warnings.iter().map(ToString::to_string));
    let around = [
        config_file.listener_warnings.clone(),
        envoy.listener_warnings(&config_file.names),
    ];
    page.warnings
        .extend(around.into_iter().flatten().collect::<BTreeSet<_>>());
    let entries = IdentifierKind::ALL.map(|kind| {
        let count = envoy.metric(Metric::Entries(kind)).unwrap_or(0);
        (kind.as_str(), count)
    });
    page.counts("attack list entries", &entries);
    let generation = envoy.metric(Metric::Generation).unwrap_or(0);
    page.line(
        "attack list generation",
        &generation.to_string(),
        json!(generation),
    );
    freshness(page, config, envoy);
    let fetches = FetchResult::ALL.map(|result| {
        (
            result.as_str(),
            envoy.metric(Metric::Fetch(result)).unwrap_or(0),
        )
    });
    page.counts("fetches", &fetches);
    for (title, source) in [
        ("blocked by abs", Source::Abs),
        ("blocked by blacklist", Source::Manual),
    ] {
        let blocked = kinds_of(source).map(|kind| {
            (
                kind.as_str(),
                envoy
                    .metric(Metric::Denied(Reason { source, kind }))
                    .unwrap_or(0),
            )
        });
        page.counts(title, &blocked.collect::<Vec<_>>());
    }
    let shadow = [Source::Abs, Source::Manual].map(|source| {
        let counts = kinds_of(source)
            .filter_map(|kind| envoy.metric(Metric::WouldDeny(Reason { source, kind })));
        (
            if source == Source::Abs {
                "abs"
            } else {
                "blacklist"
            },
            counts.sum(),
        )
    });
    page.counts("only counted (shadow)", &shadow);
    let passed = envoy.metric(Metric::AllowListed).unwrap_or(0);
    page.line("passed by whitelist", &passed.to_string(), json!(passed));
    let skipped = envoy.metric(Metric::EntriesSkipped).unwrap_or(0);
    page.line("entries skipped", &skipped.to_string(), json!(skipped));
    traffic::lines(page, config, envoy);
    let [done, failed, put_off] = envoy.vm_reloads(&config_file.names);
    page.counts(
        "vm reloads",
        &[("done", done), ("failed", failed), ("put off", put_off)],
    );
}

/// Age and staleness of the list, and how the last fetch ended.
fn freshness(page: &mut Page, config: &Config, envoy: &RunningEnvoy) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let last = envoy.metric(Metric::LastSuccess).filter(|last| *last > 0);
    let age = last.map(|last| now.saturating_sub(last));
    let text = match age {
        Some(age) => format!("{age} s"),
        None => "no list has come".to_owned(),
    };
    page.line("attack list age", &text, json!(age));
    let ended = envoy.metric(Metric::LastAttempt).filter(|ended| *ended > 0);
    let ago = ended.map(|ended| now.saturating_sub(ended));
    let last = match envoy.metric(Metric::LastResult) {
        Some(value) => LastResult::from_value(value),
        // The metric is there as soon as a VM of the filter has ticked.
        None => Some(LastResult::None),
    };
    let result = match (config.enable_abs_attack, last) {
        (false, _) => "none (abs attack is disabled)",
        (true, Some(LastResult::None)) => "none yet",
        (true, Some(LastResult::Ok)) => "success",
        (true, Some(LastResult::NotModified)) => "not modified",
        (true, Some(LastResult::Failed)) => "failure",
        (true, None) => "unknown",
    };
    let text_of_result = match ago {
        Some(ago) if config.enable_abs_attack => format!("{result}, {ago} s ago"),
        _ => result.to_owned(),
    };
    page.line("last fetch", &text_of_result, json!(result));
    page.value("last fetch seconds ago", json!(ago));
    let stale = envoy.metric(Metric::Stale) == Some(1);
    page.line(
        "attack list stale",
        if stale { "yes" } else { "no" },
        json!(stale),
    );
    if stale {
        page.warnings.push(format!(
            "the attack list is stale (age {text}): ABS has given none within attack_list_max_age"
        ));
    } else if result == "failure" {
        page.warnings.push(format!(
            "the last fetch of the attack list failed (list's age: {text}); Envoy's log says why"
        ));
    } else if let Some(ago) = ago.filter(|ago| is_overdue(config, *ago)) {
        page.warnings.push(format!(
            "the last fetch ended {ago} s ago, and one is due every {} minutes; is Envoy in distress?",
            config.refresh_interval.as_secs_f64() / 60.0
        ));
    }
}

/// Whether more time has passed since the last fetch than an interval, its jitter and a fetch take.
fn is_overdue(config: &Config, ago: u64) -> bool {
    let timeout = config.abs.as_ref().map(|abs| abs.timeout);
    let longest = config.refresh_interval.mul_f64(1.2) + timeout.unwrap_or_default();
    config.enable_abs_attack && Duration::from_secs(ago) > longest + Duration::from_secs(1)
}

/// The sign of a client address set wrong.
fn shared_address(args: &StatusArgs, envoy: Option<&RunningEnvoy>) -> Vec<String> {
    let files: Vec<PathBuf> = match (&args.access_log, envoy) {
        (Some(path), _) => vec![path.clone()],
        (None, Some(envoy)) => {
            let mut files = envoy.access_logs().1;
            // Standard output and the like are no files that can be read again.
            files.retain(|path| path.is_file());
            files.sort();
            files.dedup();
            files
        }
        (None, None) => Vec::new(),
    };
    let mut warnings = Vec::new();
    let mut denied = Denied::default();
    for path in files {
        if let Err(error) = denied.read(&path) {
            warnings.push(format!(
                "the access log {} can't be read: {error}",
                path.display()
            ));
        }
    }
    if let Some((address, count, total)) = denied.shared_private_address() {
        warnings.push(format!(
            "{count} of the last {total} denied requests come from the private address {address}: Envoy seems to take \
             a proxy in front of it for the client; see use_remote_address and xff_num_trusted_hops"
        ));
    }
    warnings
}

fn kinds_of(source: Source) -> impl Iterator<Item = Kind> {
    // The manual list is never missing.
    Kind::ALL
        .into_iter()
        .filter(move |kind| (source, *kind) != (Source::Manual, Kind::NoList))
}

const fn on(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

fn ports_text(ports: Option<&BTreeSet<u64>>) -> String {
    match ports {
        None => NOT_ASKED.to_owned(),
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
