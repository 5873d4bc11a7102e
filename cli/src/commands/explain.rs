//! `explain`: what the filter does with a request, and why.
//!
//! The verdict is the filter's own: it runs here, with one request and one response of ABS. Which lists name an
//! identifier is read from the same structures that the filter uses. This file judges nothing.

mod dry_run;
mod explanation;

use std::net::{IpAddr, SocketAddr};

use portcullis::config::Config;
use portcullis::host::memory::MemoryRequest;
use portcullis::identifier::parse_address;

use self::dry_run::dry_run;
use self::explanation::Explanation;
use crate::args::{Common, ExplainArgs, ListStatus};
use crate::clients::abs::{self, Client};
use crate::config_file::{ConfigFile, atomic_file};
use crate::error::{Failure, Result};
use crate::output::Report;

/// Runs the command.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Report> {
    let address = args.ip.as_deref().map(read_address).transpose()?;
    let request = read_request(args, address)?;
    let headers = request.headers.clone();
    let config_file = ConfigFile::read(common)?;
    let config = config_file.config()?;
    let body = read_list(args, &config)?;
    let list = body.as_deref().map(|body| {
        abs::read(body, None).map_err(|error| match &args.list {
            Some(path) => Failure::refused(format!("{}: {error}", path.display())),
            None => Failure::refused(format!("ABS: {error}")),
        })
    });
    let list = list.transpose()?;
    let outcome = dry_run(&config_file.raw, body.as_deref(), request)
        .map_err(|errors| Failure::invalid_configuration(&config_file.file, false, &errors))?;
    Ok(Explanation {
        show_secrets: common.show_secrets,
        config: &config,
        list: list.as_ref().map(|list| list.entries.as_slice()),
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

/// ABS's list as ABS writes it, if the filter would fetch one.
fn read_list(args: &ExplainArgs, config: &Config) -> Result<Option<Vec<u8>>> {
    match (&args.list, &args.abs.abs_url) {
        _ if !config.enable_abs_attack => Ok(None),
        (Some(path), _) => atomic_file::read_bytes(path).map(Some),
        (None, Some(_)) => Client::new(&args.abs)?
            .fetch_body(ListStatus::Active)
            .map(Some),
        (None, None) => Ok(None),
    }
}
