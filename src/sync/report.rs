//! The metrics of a list and of its fetches, and the log lines about a list; those about failed fetches are in `updater`.
//! The callers decide which VM reports: the owner of the lease.

use crate::identifier::IdentifierKind;
use crate::list::Manifest;
use crate::metrics::{FetchResult, LastResult, MeteredHost, Metric};

/// Reports the result of an attempt.
pub fn report_attempt(host: MeteredHost<'_>, result: FetchResult) {
    host.add(Metric::Fetch(result), 1);
    host.set(Metric::LastResult, LastResult::from(result).value());
    host.set(Metric::LastAttempt, host.unix_now().as_secs());
}

/// Reports the active list.
pub fn report_list(host: MeteredHost<'_>, manifest: &Manifest) {
    for kind in IdentifierKind::ALL {
        host.set(Metric::Entries(kind), *manifest.counts.get(kind));
    }
    host.set(Metric::Bytes, manifest.stored_bytes);
    host.set(Metric::Generation, manifest.generation);
}

/// Logs that the list became stale or fresh.
pub fn log_age(is_stale: bool) {
    if is_stale {
        log::warn!("the attack list is stale: no fetch has succeeded within attack_list_max_age");
    } else {
        log::info!("the attack list is fresh again");
    }
}

/// Logs a new list.
pub fn log_list(manifest: &Manifest, skipped: u64) {
    let counts = IdentifierKind::ALL
        .map(|kind| format!("{} {}", kind.as_str(), manifest.counts.get(kind)))
        .join(", ");
    log::info!(
        "attack list {} is active: {counts}; {} bytes, {skipped} entries skipped",
        manifest.generation,
        manifest.stored_bytes
    );
}

/// Reports that the list was dropped.
pub fn report_no_list(host: MeteredHost<'_>) {
    for kind in IdentifierKind::ALL {
        host.set(Metric::Entries(kind), 0);
    }
    // Alerts on the list's age would otherwise fire for a list that no configuration uses.
    for metric in [
        Metric::Bytes,
        Metric::Stale,
        Metric::LastSuccess,
        Metric::LastResult,
        Metric::LastAttempt,
    ] {
        host.set(metric, 0);
    }
}
