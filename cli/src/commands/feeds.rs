//! `feeds`: shows the configured feeds (`feeds/list.rs`), or the list of one (`feeds/read.rs`).
//!
//! This file finds a feed in the configuration.

mod list;
pub mod read;
pub mod relayed;

use std::env;

use portcullis::config::feed::ABS;
use portcullis::config::{Config, Feed, Notice};
use serde_json::{Value, json};

use crate::args::{Common, FeedsCommand};
use crate::config_file::ConfigFile;
use crate::error::{Failure, Result};
use crate::output::Report;

/// Runs the command.
pub fn run(common: &Common, command: &FeedsCommand) -> Result<Report> {
    match command {
        FeedsCommand::List => list::run(common),
        FeedsCommand::Read(args) => read::run(common, args),
    }
}

/// All feeds, each with whether it is enabled: ABS's, the enabled ones in the order of the configuration, the others.
pub fn all_feeds(config: &Config) -> Vec<(Feed, bool)> {
    let mut with_abs = config.clone();
    with_abs.enable_abs_attack = true;
    let feeds = with_abs.all_feeds().into_iter();
    let feeds = feeds.map(|feed| {
        let is_enabled = !feed.is_abs() || config.enable_abs_attack;
        (feed, is_enabled)
    });
    let disabled = config.disabled_feeds.iter();
    feeds
        .chain(disabled.map(|feed| (feed.clone(), false)))
        .collect()
}

/// Refuses a name that no feed has.
pub fn unknown_feed<'a>(name: &str, known: impl Iterator<Item = &'a Feed>) -> Failure {
    let known: Vec<_> = known.map(|feed| &*feed.name).collect();
    Failure::usage(match known.as_slice() {
        [] => format!("there is no feed \"{name}\": no feeds are configured"),
        known => format!(
            "there is no feed \"{name}\"; feeds here: {}",
            known.join(", ")
        ),
    })
}

/// The feed with this name, with the environment variables of this process, and the prefix length of IPv6 addresses.
/// Whether it is enabled does not matter.
fn find(config_file: &ConfigFile, name: &str) -> Result<(Feed, u8)> {
    let feeds = all_feeds(&config_file.config()?);
    if !feeds.iter().any(|(feed, _)| *feed.name == *name) {
        return Err(unknown_feed(name, feeds.iter().map(|(feed, _)| feed)));
    }
    let mut configuration = config_file.configuration.clone();
    let mut path = "abs.".to_owned();
    if name == ABS {
        configuration.insert("enable_abs_attack".to_owned(), json!(true));
    } else if let Some(Value::Array(feeds)) = configuration.get_mut("feeds") {
        for (index, feed) in feeds.iter_mut().enumerate() {
            if let Some(feed) = feed.as_object_mut()
                && feed.get("name").and_then(Value::as_str) == Some(name)
            {
                feed.insert("enabled".to_owned(), json!(true));
                path = format!("feeds[{index}].");
            }
        }
    }
    let configuration = Value::Object(configuration).to_string();
    let environment = |name: &str| env::var(name).ok();
    let config = Config::parse(configuration.as_bytes(), &environment)
        .map_err(|errors| Failure::invalid_configuration(&config_file.file, None, &errors))?;
    let mut warnings = config.warnings.iter();
    let unusable = warnings.find(|warning| {
        matches!(warning.notice, Notice::UnusableVariable { .. }) && warning.path.starts_with(&path)
    });
    if let Some(warning) = unusable
        && let Notice::UnusableVariable { variable, .. } = &warning.notice
    {
        return Err(Failure::usage(match env::var_os(variable) {
            None => format!(
                "the environment variable {variable} is not set; {} needs it",
                warning.path
            ),
            Some(_) => warning.to_string(),
        }));
    }
    let mut feeds = config.all_feeds().into_iter();
    match feeds.find(|feed| *feed.name == *name) {
        Some(feed) => Ok((feed, config.ipv6_prefix)),
        None => Err(unknown_feed(name, config.feeds.iter())),
    }
}
