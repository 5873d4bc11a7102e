//! `explain`: what becomes of a request, and why.
//!
//! The verdict is the filter's own: it runs here, against one request and one answer of ABS. Who stands on which list
//! is asked of the same structures that the filter asks. Nothing is judged in this file.

mod explanation;
mod rehearsal;

use std::net::IpAddr;

use portcullis::config::Config;
use portcullis::feed::abs::AttackListError;
use portcullis::identifier::parse_address;

use self::explanation::Explanation;
use self::rehearsal::{Request, rehearse};
use super::abs::{self, Client};
use super::args::{Common, ExplainArgs, ListStatus};
use super::error::Failure;
use super::file;
use super::filter_file::FilterFile;
use super::output::Report;

/// Why there is no request, or no list, to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// No address.
    #[error("--ip: \"{0}\" is no address; allowed are such as 192.0.2.1 and 2001:db8::1")]
    Address(String),
    /// No header.
    #[error("--header: a header is NAME: VALUE, as with curl; one without a colon was given")]
    Header,
    /// No URL.
    #[error(
        "--url: \"{0}\" is no URL; allowed are such as https://api.example.com/shop?x=1 and /shop?x=1"
    )]
    Url(String),
    /// The file holds no attack list.
    #[error("{file}: {error}")]
    List {
        /// The file.
        file: String,
        /// Why not.
        error: AttackListError,
    },
}

impl ExplainError {
    /// Whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        !matches!(self, ExplainError::List { .. })
    }
}

/// Runs the command.
pub fn run(common: &Common, args: &ExplainArgs) -> Result<Report, Failure> {
    let address = args
        .ip
        .as_ref()
        .map(|text| parse_address(text).ok_or_else(|| ExplainError::Address(text.clone())))
        .transpose()?;
    let request = read_request(args, address)?;
    let text = file::read(&common.config)?;
    let filter_file = FilterFile::parse(&common.config, text, common.name.as_deref())?;
    let invalid = |errors| Failure::Invalid {
        file: filter_file.file().to_owned(),
        unchanged: false,
        errors,
    };
    let config = filter_file.validate().map_err(invalid)?;
    let list = read_list(args, &config)?;
    let outcome = rehearse(filter_file.raw(), list.as_deref(), &request).map_err(invalid)?;
    Ok(Explanation {
        show_secrets: common.show_secrets,
        config: &config,
        list: list.as_deref(),
        address,
        request: &request,
        outcome: &outcome,
    }
    .into_report())
}

fn read_request(args: &ExplainArgs, address: Option<IpAddr>) -> Result<Request, ExplainError> {
    let wrong = || ExplainError::Url(args.url.clone());
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
    // A URL's fragment never leaves the client; a URL without a path asks for "/".
    let mut path = path.split('#').next().unwrap_or_default().to_owned();
    if !path.starts_with('/') {
        path.insert(0, '/');
    }
    let mut headers = Vec::new();
    for header in &args.headers {
        let (name, value) = header.split_once(':').ok_or(ExplainError::Header)?;
        // Envoy hands header names over in lower case, and values without white space around them.
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "" => return Err(ExplainError::Header),
            "host" => authority = value,
            _ => headers.push((name, value)),
        }
    }
    headers.insert(0, (":method".to_owned(), "GET".to_owned()));
    headers.insert(1, (":authority".to_owned(), authority));
    headers.insert(2, (":path".to_owned(), path));
    let source_address = address.map(|address| match address {
        IpAddr::V4(v4) => format!("{v4}:443"),
        IpAddr::V6(v6) => format!("[{v6}]:443"),
    });
    Ok(Request {
        source_address,
        headers,
    })
}

/// ABS's list as ABS writes it, where the filter would fetch one.
fn read_list(args: &ExplainArgs, config: &Config) -> Result<Option<Vec<u8>>, Failure> {
    let body = match (&args.list, &args.abs.abs_url) {
        _ if !config.enable_abs_attack => return Ok(None),
        (Some(path), _) => {
            let body = file::read_bytes(path)?;
            // A fault is told by the list's reader itself, and not by what the filter does without a list.
            abs::read(&body, None).map_err(|error| ExplainError::List {
                file: path.display().to_string(),
                error,
            })?;
            body
        }
        (None, Some(_)) => Client::new(&args.abs)?.fetch_body(ListStatus::Active)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(body))
}
