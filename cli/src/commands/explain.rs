//! `explain`: what the filter does with a request, and why.
//!
//! The verdict is the filter's own: it runs here, with one request and one response for each list. Which lists name an
//! identifier is read from the same structures that the filter uses. This file reads the request and the lists, and judges
//! nothing.

mod dry_run;
mod explanation;
mod found;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use portcullis::config::feed::ABS;
use portcullis::config::{Config, Feed};
use portcullis::host::memory::{MemoryRequest, MemoryResponse};
use portcullis::identifier::parse_address;

use self::dry_run::{Served, dry_run};
use self::explanation::{ExplainedFeed, ExplainedList, Explanation};
use super::feeds::{all_feeds, unknown_feed};
use crate::args::{Common, ExplainArgs, ListStatus};
use crate::clients::abs::Client;
use crate::config_file::{ConfigFile, atomic_file};
use crate::error::{Failure, Result};
use crate::feed_list::{check, collect};
use crate::output::Report;

/// Runs the command.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Report> {
    let address = args.ip.as_deref().map(read_address).transpose()?;
    let request = read_request(args, address)?;
    let headers = request.headers.clone();
    let config_file = ConfigFile::read(common)?;
    let config = config_file.config()?;
    let given = read_lists(args, &config)?;
    let mut feeds = Vec::new();
    for feed in config.all_feeds() {
        let given = given.iter().find(|given| given.feed == *feed.name);
        let list = given.map(|given| given.read(&feed, config.ipv6_prefix));
        feeds.push(ExplainedFeed {
            list: list.transpose()?,
            feed,
        });
    }
    let served = feeds.iter().filter_map(|known| {
        let given = given.iter().find(|given| given.feed == *known.feed.name)?;
        Some(Served {
            feed: &known.feed,
            body: &given.body,
        })
    });
    let served: Vec<_> = served.collect();
    let outcome = dry_run(&config_file.raw, &served, request)
        .map_err(|errors| Failure::invalid_configuration(&config_file.file, None, &errors))?;
    Ok(Explanation {
        show_secrets: common.show_secrets,
        config: &config,
        feeds: &feeds,
        address,
        headers: &headers,
        outcome: &outcome,
    }
    .into_report())
}

fn read_address(text: &str) -> Result<IpAddr> {
    parse_address(text).ok_or_else(|| {
        Failure::usage(format!(
            "--ip: \"{text}\" is not an address; allowed are such as 192.0.2.1 and 2001:db8::1"
        ))
    })
}

fn read_request(args: &ExplainArgs, address: Option<IpAddr>) -> Result<MemoryRequest> {
    let wrong = || {
        Failure::usage(format!(
            "--url: \"{}\" is not a URL; allowed are such as https://api.example.com/shop?x=1 and /shop?x=1",
            args.url
        ))
    };
    let no_header = || {
        Failure::usage(
            "--header: a header is NAME: VALUE, as with curl; one has no name or no colon",
        )
    };
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| args.url.strip_prefix(scheme));
    let (mut authority, path) = match rest {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            if authority.is_empty() {
                return Err(wrong());
            }
            (authority.to_owned(), path.to_owned())
        }
        None if args.url.starts_with('/') => (String::new(), args.url.clone()),
        None => return Err(wrong()),
    };
    // A URL's fragment never leaves the client; a URL without a path requests "/".
    let mut path = path.split('#').next().unwrap_or_default().to_owned();
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let mut headers = Vec::new();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or_else(no_header)?;
        // Envoy passes header names in lower case, and values without white space around them.
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "" => return Err(no_header()),
            "host" => authority = value,
            _ => headers.push((name, value)),
        }
    }
    for (name, value) in [
        (":path", path),
        (":authority", authority),
        (":method", "GET".to_owned()),
    ] {
        headers.insert(0, (name.to_owned(), value));
    }
    let source_address = address.map(|address| SocketAddr::new(address, 443).to_string());
    Ok(MemoryRequest {
        source_address: source_address.unwrap_or_default().into_bytes(),
        protocol: b"HTTP/1.1".to_vec(),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.into_bytes(), value.into_bytes()))
            .collect(),
        ..MemoryRequest::default()
    })
}

/// A list that the command line names.
struct GivenList {
    /// The name of the feed.
    feed: String,
    /// Where it is from, for errors.
    origin: String,
    body: Vec<u8>,
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
