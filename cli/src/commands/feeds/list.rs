//! `feeds list`: the configured feeds, without their secrets; with --server, what it relays too.

use std::time::Duration;

use portcullis::config::{Feed, FeedFormat, Mode};
use portcullis::identifier::IdentifierKind;
use serde_json::{Value, json};

use super::{all_feeds, relayed};
use crate::args::Common;
use crate::clients::abs;
use crate::clients::feed::unix_now;
use crate::clients::fleet::Fleet;
use crate::config_file::ConfigFile;
use crate::error::Result;
use crate::output::{Report, table};

/// Runs the command.
pub fn run(common: &Common) -> Result<Report> {
    let fleet = Fleet::of(&common.remote)?;
    if let Some(fleet) = &fleet
        && common.name.is_none()
        && fleet.filter_names()?.is_empty()
    {
        let (relayed, json) = relayed(fleet)?;
        let text = format!("the server has no filter\n\n{relayed}");
        return Ok(Report::new(text, json!({"feeds": [], "relayed": json})));
    }
    let config_file = ConfigFile::read(common)?;
    let feeds = all_feeds(&config_file.config()?);
    let mut rows = vec![
        [
            "NAME", "STATE", "FORMAT", "MODE", "INTERVAL", "CLUSTER", "PATH",
        ]
        .map(str::to_owned),
    ];
    rows.extend(
        feeds
            .iter()
            .map(|(feed, is_enabled)| row(feed, *is_enabled)),
    );
    let text = match feeds.as_slice() {
        [] => "no feeds are configured".to_owned(),
        _ => table(&rows),
    };
    let json: Value = feeds
        .iter()
        .map(|(feed, is_enabled)| to_json(feed, *is_enabled))
        .collect();
    let mut text = text;
    let mut json = json!({"file": config_file.file, "feeds": json});
    if let Some(fleet) = &fleet {
        let (relayed, feeds) = relayed(fleet)?;
        text.push_str("\n\n");
        text.push_str(&relayed);
        if let Value::Object(object) = &mut json {
            object.insert("relayed".to_owned(), feeds);
        }
    }
    Ok(Report::new(text, json))
}

/// What the server relays, as text and for programs.
fn relayed(fleet: &Fleet) -> Result<(String, Value)> {
    let status = fleet.get("/v1/feeds")?;
    let feeds = status.get("feeds").and_then(Value::as_array);
    let feeds = feeds.map(Vec::as_slice).unwrap_or_default();
    let text = match feeds.is_empty() {
        true => "the server relays no feeds".to_owned(),
        false => relayed::rows(feeds, unix_now()),
    };
    Ok((text, json!(feeds)))
}

fn row(feed: &Feed, is_enabled: bool) -> [String; 7] {
    [
        feed.name.to_string(),
        if is_enabled { "enabled" } else { "off" }.to_owned(),
        format_name(&feed.format).to_owned(),
        mode_name(feed.mode).to_owned(),
        duration_text(feed.interval),
        feed.cluster.clone(),
        path(feed).to_owned(),
    ]
}

fn to_json(feed: &Feed, is_enabled: bool) -> Value {
    let kinds = IdentifierKind::ALL.into_iter();
    let kinds = kinds.filter(|kind| *feed.kinds.get(*kind));
    json!({
        "name": &*feed.name,
        "enabled": is_enabled,
        "format": format_name(&feed.format),
        "mode": mode_name(feed.mode),
        "interval_seconds": feed.interval.as_secs(),
        "cluster": feed.cluster,
        "authority": feed.authority,
        "path": path(feed),
        "kinds": kinds.map(IdentifierKind::as_str).collect::<Vec<_>>(),
    })
}

/// ABS's path has the time of the call in its query.
fn path(feed: &Feed) -> &str {
    match feed.format {
        FeedFormat::Abs { .. } => abs::PATH,
        _ => &feed.path,
    }
}

/// The value of `format`.
pub const fn format_name(format: &FeedFormat) -> &'static str {
    match format {
        FeedFormat::Abs { .. } => "abs",
        FeedFormat::Crowdsec(_) => "crowdsec",
        FeedFormat::Text { .. } => "text",
        FeedFormat::Tokens { .. } => "tokens",
    }
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    }
}

/// As the configuration writes it, in the largest unit: `90s`, `1h`.
fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let unit = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    match unit {
        Some((unit, name)) if duration.subsec_millis() == 0 => {
            format!("{}{name}", seconds.checked_div(*unit).unwrap_or_default())
        }
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_the_largest_unit() {
        let table = [
            (90_000, "90s"),
            (60_000, "1m"),
            (3_600_000, "1h"),
            (86_400_000, "1d"),
            (1_500, "1500ms"),
        ];
        for (milliseconds, expected) in table {
            assert_eq!(duration_text(Duration::from_millis(milliseconds)), expected);
        }
    }
}
