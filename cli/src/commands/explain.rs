//! `explain`: what the filter does with a request, and why.
//!
//! The verdict is the filter's own: it runs here, with one request and one response for each list. Which lists name an
//! identifier is read from the same structures that the filter uses. This file reads the lists, and judges nothing; the
//! command and the management API share it.

mod dry_run;
mod explanation;
mod found;
mod question;

use std::path::Path;

use portcullis::config::feed::ABS;
use portcullis::config::{Config, Feed};
use portcullis::host::memory::MemoryResponse;
use serde_json::{Value, json};

use self::dry_run::{Served, dry_run};
use self::explanation::{ExplainedFeed, ExplainedList, Explanation};
pub use self::question::{AskedRequest, Question};
use super::feeds::{all_feeds, unknown_feed};
use crate::args::{Common, ExplainArgs, ListStatus};
use crate::clients::abs::Client;
use crate::clients::fleet::Fleet;
use crate::config_file::{ConfigFile, atomic_file};
use crate::error::{Failure, Result};
use crate::feed_list::{check, collect};
use crate::output::Report;

/// Runs the command.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Report> {
    let headers = headers(args)?;
    let request = Question {
        ip: args.ip.as_deref(),
        headers: &headers,
        url: &args.url,
        prefix: "--",
    }
    .read()?;
    let has_lists = args.list.is_some() || !args.feeds.is_empty() || args.abs.abs_url.is_some();
    if let (Some(fleet), false) = (Fleet::of(&common.remote)?, has_lists) {
        return ask(&fleet, common, args, &headers);
    }
    let config_file = ConfigFile::read(common)?;
    let config = config_file.config()?;
    let lists = read_lists(args, &config)?;
    Explained {
        file: &config_file.file,
        raw: &config_file.raw,
        config: &config,
        lists: &lists,
        list_options: true,
        show_secrets: common.show_secrets,
    }
    .explain(request)
}

/// The headers, with the cookies in one more, as a browser sends them.
fn headers(args: &ExplainArgs) -> Result<Vec<String>> {
    let mut headers = args.headers.clone();
    let has_name = |cookie: &String| {
        cookie
            .split_once('=')
            .is_some_and(|(name, _)| !name.trim().is_empty())
    };
    if !args.cookies.iter().all(has_name) {
        return Err(Failure::usage(
            "--cookie: a cookie is NAME=VALUE; one has no name or no equals sign",
        ));
    }
    if !args.cookies.is_empty() {
        headers.push(format!("cookie: {}", args.cookies.join("; ")));
    }
    Ok(headers)
}

/// The server judges, over the lists that it relays.
fn ask(fleet: &Fleet, common: &Common, args: &ExplainArgs, headers: &[String]) -> Result<Report> {
    let mut explained = fleet.post(
        "/v1/explain",
        &json!({
            "filter": fleet.filter_name(common.name.as_deref())?,
            "ip": args.ip,
            "headers": headers,
            "url": args.url,
        }),
    )?;
    let mut take = |key| explained.as_object_mut().and_then(|all| all.remove(key));
    let (text, notes) = (take("text"), take("notes"));
    let text = text.as_ref().and_then(Value::as_str).unwrap_or_default();
    let notes = notes
        .as_ref()
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let mut notes: Vec<_> = notes.filter_map(Value::as_str).map(str::to_owned).collect();
    if common.show_secrets {
        notes.push("the server shortens secrets, whatever --show-secrets says".to_owned());
    }
    Ok(Report {
        notes,
        ..Report::new(text, explained)
    })
}

/// A filter and the lists that it gets.
pub struct Explained<'a> {
    /// Where its configuration is, for errors.
    pub file: &'a str,
    /// Its configuration as it gets it.
    pub raw: &'a [u8],
    /// The same, read.
    pub config: &'a Config,
    /// The lists; a feed without one has none yet.
    pub lists: &'a [GivenList],
    /// Whether to name the options that provide a missing list.
    pub list_options: bool,
    /// Show identifiers in full.
    pub show_secrets: bool,
}

impl Explained<'_> {
    /// What the filter does with a request, and why.
    pub fn explain(&self, request: AskedRequest) -> Result<Report> {
        let AskedRequest { address, request } = request;
        let headers = request.headers.clone();
        let of_feed = |feed: &Feed| self.lists.iter().find(|given| given.feed == *feed.name);
        let mut feeds = Vec::new();
        for feed in self.config.all_feeds() {
            let list = of_feed(&feed).map(|given| given.read(&feed, self.config.ipv6_prefix));
            feeds.push(ExplainedFeed {
                list: list.transpose()?,
                feed,
            });
        }
        let served = feeds.iter().filter_map(|known| {
            Some(Served {
                feed: &known.feed,
                body: &of_feed(&known.feed)?.body,
            })
        });
        let served: Vec<_> = served.collect();
        let outcome = dry_run(self.raw, &served, request)
            .map_err(|errors| Failure::invalid_configuration(self.file, None, &errors))?;
        Ok(Explanation {
            show_secrets: self.show_secrets,
            list_options: self.list_options,
            config: self.config,
            feeds: &feeds,
            address,
            headers: &headers,
            outcome: &outcome,
        }
        .into_report())
    }
}

/// A list that the filter gets.
pub struct GivenList {
    /// The name of the feed.
    pub feed: String,
    /// Where it is from, for errors.
    pub origin: String,
    /// The list in the feed's format.
    pub body: Vec<u8>,
}

impl GivenList {
    fn read(&self, feed: &Feed, ipv6_prefix: u8) -> Result<ExplainedList> {
        let list = collect(feed, ipv6_prefix, &self.body).map_err(|error| {
            let reason = error.explained(feed);
            Failure::refused(format!("{}: {reason}", self.origin))
        })?;
        let response = MemoryResponse {
            headers: vec![(b":status".to_vec(), b"200".to_vec())],
            body: self.body.clone(),
        };
        Ok(ExplainedList {
            is_accepted: check(feed, ipv6_prefix, response).is_ok(),
            list,
        })
    }
}

/// The lists of feeds that the filter would fetch.
fn read_lists(args: &ExplainArgs, config: &Config) -> Result<Vec<GivenList>> {
    let mut lists = Vec::new();
    let of_file = |feed: &str, path: &Path| {
        Ok(GivenList {
            feed: feed.to_owned(),
            origin: path.display().to_string(),
            body: atomic_file::read_bytes(path)?,
        })
    };
    for (name, path) in &args.feeds {
        let known = all_feeds(config);
        match known.iter().find(|(feed, _)| *feed.name == **name) {
            None => return Err(unknown_feed(name, known.iter().map(|(feed, _)| feed))),
            Some((_, false)) => {
                return Err(Failure::usage(format!(
                    "--feed: the feed \"{name}\" is disabled, so the filter does not use its list"
                )));
            }
            Some((_, true)) => lists.push(of_file(name, path)?),
        }
    }
    match (&args.list, &args.abs.abs_url) {
        _ if !config.enable_abs_attack => {}
        (Some(path), _) => lists.push(of_file(ABS, path)?),
        (None, Some(_)) if !args.feeds.iter().any(|(name, _)| name == ABS) => {
            lists.push(GivenList {
                feed: ABS.to_owned(),
                origin: "ABS".to_owned(),
                body: Client::new(&args.abs)?.fetch_body(ListStatus::Active)?,
            });
        }
        (None, _) => {}
    }
    let mut names = lists.iter().map(|list| list.feed.as_str());
    while let Some(name) = names.next() {
        if names.clone().any(|other| other == name) {
            return Err(Failure::usage(format!(
                "the list of {name} is given twice; a feed has one list"
            )));
        }
    }
    Ok(lists)
}
